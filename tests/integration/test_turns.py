"""A customer's turn: of several cases that want to act at one moment, one does, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import turns
from store.database import Database
from tests.conftest import POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from tests.conftest import Databases

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ADA, GRACE = turns.Whose("sandbox", "main", "cus_ada"), turns.Whose("sandbox", "main", "cus_grace")
SECOND = timedelta(seconds=1)


async def claimed(database: Database, owner: str, now: datetime = NOW, whose: turns.Whose = ADA) -> bool:
    async with database.begin() as session:
        return await turns.claim(session, whose, owner, now)


async def given_back(database: Database, owner: str, whose: turns.Whose = ADA) -> None:
    async with database.begin() as session:
        await turns.give_back(session, whose, owner)


async def test_one_case_has_the_turn_until_it_gives_it_back(database_url: str) -> None:
    database = Database(database_url)
    assert await claimed(database, "case_a.day-1.charge")
    assert not await claimed(database, "case_b.day-1.charge")
    assert await claimed(database, "case_c.day-1.charge", whose=GRACE), "another customer's turn is another"
    await given_back(database, "case_b.day-1.charge")
    assert not await claimed(database, "case_b.day-1.charge"), "a turn is given back by its owner alone"
    await given_back(database, "case_a.day-1.charge")
    assert await claimed(database, "case_b.day-1.charge")
    await database.close()


async def test_a_worker_that_died_loses_the_turn_and_one_that_goes_on_keeps_it(database_url: str) -> None:
    database = Database(database_url)
    assert await claimed(database, "case_a.day-1.charge")
    assert await claimed(database, "case_a.day-1.charge", NOW + 60 * SECOND), "the same action may go on"
    assert not await claimed(database, "case_b.day-1.charge", NOW + turns.LENGTH)
    assert await claimed(database, "case_b.day-1.charge", NOW + 60 * SECOND + turns.LENGTH)
    await given_back(database, "case_a.day-1.charge")
    assert not await claimed(database, "case_a.day-1.charge", NOW + 61 * SECOND + turns.LENGTH)
    await database.close()


async def test_a_case_whose_answer_was_lost_goes_on_with_something_else(database_url: str) -> None:
    database = Database(database_url)
    assert await claimed(database, "case_a.day-1.charge")
    assert await claimed(database, "case_a.end.message"), "the charge was found to be made"
    assert not await claimed(database, "case_ab.end.message"), "a name that begins alike is another's"
    await given_back(database, "case_a.day-1.charge")
    assert not await claimed(database, "case_b.day-1.charge")
    await database.close()


async def test_of_many_at_one_moment_one_gets_it(database_url: str) -> None:
    database = Database(database_url)
    for number in range(5):
        found = await asyncio.gather(*(claimed(database, f"case_{case}.{number}") for case in range(8)))
        assert Counter(found) == {True: 1, False: 7}
        for case in range(8):
            await given_back(database, f"case_{case}.{number}")
    await database.close()


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 90)), min_size=10, max_size=30)


@pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL])
def test_whatever_is_claimed_and_given_back_there_are_never_two_owners(
    databases: Databases, kind: str
) -> None:
    url, played = databases.fresh(kind), Counter[str]()

    @settings(derandomize=True, max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def play(steps: list[tuple[bool, int, int]]) -> None:
        played["runs"] += 1
        asyncio.run(_in_turn(url, turns.Whose("sandbox", "main", f"cus_{played['runs']}"), steps))

    play()


async def _in_turn(url: str, whose: turns.Whose, steps: list[tuple[bool, int, int]]) -> None:
    """Bring one customer's turn through the steps, and a plain book beside it."""
    database, now = Database(url), NOW
    owner, until = "", NOW
    for claims, case, seconds in steps:
        now, name = now + seconds * SECOND, f"case_{case}.day-1.charge"
        if claims:
            free = owner in {"", name} or until <= now
            assert await claimed(database, name, now, whose) is free
            if free:
                owner, until = name, now + turns.LENGTH
        else:
            await given_back(database, name, whose)
            owner = "" if owner == name else owner
    await database.close()
