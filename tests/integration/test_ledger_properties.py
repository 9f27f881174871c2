"""Whatever is claimed, settled, given back, noted and forbidden, in any order, the ledger agrees with a plain book."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.budget import Charge, Initiator, Result
from errors import NotKnown
from store import card_attempts, ledger
from store.card_attempts import COUNTING, Source, State
from store.database import Database
from tests.conftest import POSTGRESQL, SQLITE
from tests.integration.ledger_story import HOUR, NOW, SMALL, VISA, Book, attempt

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.card_attempts import Attempt
    from tests.conftest import Databases

CLAIM, SETTLE, GIVE_BACK, NOTE, FORBID = "claim", "settle", "give back", "note", "forbid"
steps = st.lists(
    st.tuples(
        st.sampled_from([CLAIM, CLAIM, CLAIM, SETTLE, SETTLE, GIVE_BACK, NOTE, NOTE, FORBID]),
        st.integers(0, 5),  # which key
        st.sampled_from([100, 200]),
        st.sampled_from(Initiator),
        st.sampled_from([Result.DECLINED, Result.DECLINED, Result.APPROVED, Result.OPEN]),
        st.sampled_from([None, None, 0, 1, 2]),  # which charge
        st.integers(0, 12),  # hours that pass
    ),
    # Short lists reach nothing of interest.
    min_size=15,
    max_size=40,
)


class Played:
    """One card in the ledger and in a book beside it, brought through the same steps."""

    def __init__(self, number: int) -> None:
        self.name = f"{number}"
        self.card = replace(VISA, card=f"fp_{number}")
        self.book = Book(SMALL, self.card)
        self.kept: dict[str, Attempt] = {}
        self.states: dict[str, State] = {}
        self.charges: dict[str, str] = {}
        self.forbidden_until = NOW

    async def step(self, session: AsyncSession, now: datetime, step: tuple[Any, ...]) -> None:
        """Do one thing, and write it into the book as well."""
        what, number, amount, initiator, result, charge_number, _ = step
        charge = None if charge_number is None else f"{self.name}.ch_{charge_number}"
        key = f"{self.name}.k{number}"
        if what == CLAIM:
            await self._claim(session, attempt(key, amount, initiator=initiator), now)
        elif what == NOTE:
            source = Source.OURS if key in self.kept else Source.PROCESSOR
            one = attempt(key, amount, initiator=initiator, source=source, charge=charge)
            await self._note(session, one, result, now)
        elif what == FORBID:
            until = now + number * HOUR
            await ledger.forbid(session, self.card, until, "a word", now)
            self.forbidden_until = max(self.forbidden_until, until)
        elif key not in self.states:
            with pytest.raises(NotKnown):
                await ledger.give_back(session, key, "why", now)
        elif what == GIVE_BACK:
            given = await ledger.give_back(session, key, "why", now)
            assert given is (self.states[key] is State.OPEN)
            if given:
                self.states[key] = State.GIVEN_BACK
                del self.book.counts[key]
        else:
            await ledger.settle(session, key, result, SMALL, now, charge=charge)
            self._settled(key, result, charge, now)

    async def _claim(self, session: AsyncSession, one: Attempt, now: datetime) -> None:
        counted = self.states.get(one.key) in COUNTING
        may = counted or (now >= self.forbidden_until and self.book.may(one, now))
        found = await ledger.claim(session, self.card, one, SMALL, now)
        assert (found.granted, found.fresh) == (may, not counted)
        assert found.granted or (found.free_at is not None and found.free_at > now)
        if counted:
            return
        self.kept[one.key] = one
        self.states[one.key] = State.OPEN if may else State.REFUSED
        if may:
            self.book.made(one, now, Result.OPEN)

    async def _note(self, session: AsyncSession, one: Attempt, result: Result, now: datetime) -> None:
        known = one.key if one.key in self.states else self.charges.get(one.charge or "")
        is_new = await ledger.note(session, self.card, one, result, SMALL, now)
        assert is_new is (known is None)
        if known is None:
            self.kept[one.key] = one
            self.states[one.key] = State.OPEN
            self.book.made(one, now, Result.OPEN)
            known = one.key
        if self.states[known] not in {State.APPROVED, State.DECLINED}:
            self._settled(known, result, one.charge, now)

    def _settled(self, key: str, result: Result, charge: str | None, now: datetime) -> None:
        one = self.kept[key]
        if self.states[key] not in COUNTING:
            self.states[key] = State.OPEN
            self.book.made(one, now, Result.OPEN)
        self._take_charge(key, charge)
        if result is not Result.OPEN:
            self.states[key] = State(result)
            self.book.made(one, self.book.counts[key].at, result)

    def _take_charge(self, key: str, charge: str | None) -> None:
        if charge is None or key in self.charges.values():
            return
        twin = self.charges.get(charge)
        if twin is not None and self.kept[twin].source is Source.OURS:
            return
        if twin is not None:
            del self.states[twin], self.kept[twin]
            self.book.counts.pop(twin, None)
        self.charges[charge] = key

    async def agrees(self, session: AsyncSession, now: datetime) -> None:
        """Look that ledger and book say the same of every attempt and of what is left."""
        rows = await card_attempts.all_with(session, self.card)
        assert {row.key: row.state for row in rows} == self.states
        assert {row.charge: row.key for row in rows if row.charge} == self.charges
        for amount in (100, 200):
            charge = Charge(amount, "USD")
            found = await ledger.left(session, self.card, SMALL, now, charge)
            may = now >= self.forbidden_until and self.book.may(attempt("any", amount), now)
            assert (found.refusal is None) is may


async def play(database: Database, number: int, done: list[tuple[Any, ...]]) -> None:
    played, now = Played(number), NOW
    for step in done:
        now += step[-1] * HOUR
        async with database.begin() as session:
            await played.step(session, now, step)
            await played.agrees(session, now)


@pytest.mark.parametrize(("kind", "examples"), [(SQLITE, 30), (POSTGRESQL, 8)])
def test_the_ledger_agrees_with_a_plain_book(databases: Databases, kind: str, examples: int) -> None:
    url, numbers = databases.fresh(kind), count()

    @settings(
        derandomize=True,
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(done=steps)
    def agrees(done: list[tuple[Any, ...]]) -> None:
        async def whole() -> None:
            database = Database(url)
            try:
                # A card of its own for each example: a fresh database each time would take a day.
                await play(database, next(numbers), done)
            finally:
                await database.close()

        asyncio.run(whole())

    agrees()
