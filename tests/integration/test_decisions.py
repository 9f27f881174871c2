"""Every decision carries its reason: the log, the case and what the workflow shows say the same sentence."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.testing import LogCapture

from store import cases
from tests.integration.shop import NINE, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)


@pytest.fixture
def lines() -> Iterator[LogCapture]:
    """Give what is logged from here on."""
    before, captured = structlog.get_config(), LogCapture()
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure(wrapper_class=wrapper, processors=[captured])
    yield captured
    structlog.configure(**before)


async def test_a_charge_logs_the_next_decision_with_its_reason(
    database_url: str, tmp_path: Path, lines: LogCapture
) -> None:
    async with opened(database_url, tmp_path) as shop:
        await shop.fails("ann", "insufficient_funds/mac27", NINE, network="mastercard")
        await shop.play(NINE + DAY)
        async with shop.tools.database.read() as session:
            row = await cases.named(session, "in_ann")
    assert row is not None
    opening, charge = [line for line in lines.entries if line["event"] == "case.decided"]
    assert opening["next"] == "day-1.charge"
    assert charge == {
        "event": "case.decided",
        "log_level": "info",
        "case": row.id,
        "workflow": row.workflow_id,
        "invoice": "in_ann",
        "next": row.next_step,
        "at": (NINE + 5 * DAY).isoformat(),
        "text": row.sentence,
    }
    assert row.sentence == (
        "next charge on 07 Mar 2026 09:00 UTC: the issuer asked for 4 days (advice 27);"
        " 1 of 10 attempts used in 1 day"
    )
