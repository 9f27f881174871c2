"""Where Temporal is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiring import connect_lazily

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("address", "found"), [(None, "localhost:7233"), ("temporal.example:7000", "temporal.example:7000")]
)
async def test_temporal_is_looked_for_where_its_settings_say_else_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str | None, found: str
) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    client = await connect_lazily()
    assert client.service_client.config.target_host == found
