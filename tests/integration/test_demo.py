"""The demonstration, as a newcomer sees it first."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

import embedded
from demo import PAYMENTS
from tests.integration.processes import Terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")
@pytest.mark.timeout(150)
async def test_the_demonstration_ends_well_within_90_seconds(tmp_path: Path) -> None:
    # What a terminal is set up for must not matter to it.
    terminal = Terminal(tmp_path, {"DUNWELL_LIVEMODE": "true", "DUNWELL_STRIPE_API_KEY": "sk_live_real"})
    started = time.monotonic()
    ended = await terminal.run("demo", within=140)
    seconds = time.monotonic() - started
    assert ended.code == 0, ended.out + ended.err
    assert seconds < 90
    assert f"All {len(PAYMENTS)} cases ended as they should" in ended.out
    for payment in PAYMENTS:
        assert payment.name in ended.out
    for words in ("recovered:", "not recovered:", "mails:", "Temporal UI", "/namespaces/default/workflows/"):
        assert words in ended.out
    assert "Traceback" not in ended.out + ended.err
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- nothing that blocks is worth a thread here
