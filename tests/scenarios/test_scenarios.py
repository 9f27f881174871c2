"""Every timeline, played to its end: the complete list of effects, and nothing besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.replay import recording
from tests.scenarios.timeline import names, read_timeline
from tests.scenarios.verdict import faults

if TYPE_CHECKING:
    from tests.scenarios.stage import Stage

PLAYS = [(name, database) for database in ("sqlite", "postgresql") for name in names()]


@pytest.mark.parametrize(("name", "database"), PLAYS)
async def test_timeline(request: pytest.FixtureRequest, stage: Stage, name: str, database: str) -> None:
    timeline = read_timeline(name)
    played = await stage.play(name, database)
    found = faults(timeline, played)
    assert not found, f"{timeline.title} ({timeline.source}):\n" + "\n".join(found)
    if request.config.getoption("--record") and database == "sqlite":
        recording.save(name, played.histories)
