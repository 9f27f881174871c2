"""Every timeline, played to its end: the complete list of effects, and nothing besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.replay import recording
from tests.scenarios.timeline import names, read_timeline
from tests.scenarios.verdict import faults

if TYPE_CHECKING:
    from tests.scenarios.stage import Stage

# Where the two databases could differ: claims made in the same moment, retries, late writes.
ON_POSTGRESQL = (
    "01-declined-every-time",
    "05-new-card-declined",
    "10-answer-lost",
    "13-reported-three-times",
    "15-resumed-on-day-6",
    "24-cancelled-while-being-paid",
)
PLAYS = [(name, "sqlite") for name in names()] + [(name, "postgresql") for name in ON_POSTGRESQL]


@pytest.mark.parametrize(("name", "database"), PLAYS)
async def test_timeline(request: pytest.FixtureRequest, stage: Stage, name: str, database: str) -> None:
    timeline = read_timeline(name)
    played = await stage.play(name, database)
    found = faults(timeline, played)
    assert not found, f"{timeline.title} ({timeline.source}):\n" + "\n".join(found)
    if request.config.getoption("--record") and database == "sqlite":
        recording.save(name, played.histories)
