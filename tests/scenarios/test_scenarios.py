"""Every timeline, played to its end: the complete list of effects, and nothing besides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture(scope="session")
async def under_way(request: pytest.FixtureRequest, stage: Stage) -> Stage:
    """Begin every timeline that this run asks for, so that they are played side by side.

    With pytest-xdist a process cannot know which of them it will be given.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        stage.begin(
            (str(item.callspec.params["name"]), str(item.callspec.params["database"]))
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.originalname == test_timeline.__name__
        )
    return stage


@pytest.mark.parametrize(("name", "database"), PLAYS)
async def test_timeline(under_way: Stage, name: str, database: str) -> None:
    timeline = read_timeline(name)
    found = faults(timeline, await under_way.play(name, database))
    assert not found, f"{timeline.title} ({timeline.source}):\n" + "\n".join(found)
