"""What does not answer is held for all workers, let go on gently, and told of once: on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns import breaker
from campaigns.breaker import BreakerRule, Counts
from campaigns.story import Pending, Trigger
from store import breakers
from store.breakers import Route
from store.database import Database
from tests.integration.shop import MINUTE, NINE, Shop, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RULE = BreakerRule()
DAY = timedelta(days=1)
DUE = NINE + DAY
VISA = Route("stripe", "main", "visa", "DE")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened_one = Database(database_url)
    yield opened_one
    await opened_one.close()


@pytest.fixture
async def shop(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(database_url, tmp_path) as found:
        yield found


async def count(
    database: Database,
    route: Route,
    by: str,
    at: datetime = NINE,
    *,
    away: bool = False,
    issuer: bool = False,
) -> None:
    async with database.begin() as session:
        await breakers.count(session, route, by, at, away=away, issuer_away=issuer)


# --- what all workers share --------------------------------------------------------------------------


async def test_counts_of_many_workers_at_once_are_all_there(database: Database) -> None:
    await asyncio.gather(*(count(database, VISA, f"case_{n}", away=n % 3 == 0) for n in range(30)))
    await asyncio.gather(*(count(database, VISA, f"case_{n}", issuer=n % 2 == 0) for n in range(10)))
    async with database.read() as session:
        processor = await breakers.counted(session, "processor:stripe:main", NINE, NINE + MINUTE)
        issuers = await breakers.counted(session, "issuer:visa:DE", NINE, NINE + MINUTE)
        others = await breakers.counted(session, "issuer:visa:FR", NINE, NINE + MINUTE)
    assert processor == Counts(40, 10)
    assert issuers == Counts(30, 5), "what the processor did not answer says nothing of an issuer"
    assert others == Counts()


async def test_of_those_who_find_it_out_together_one_opens_it(database: Database) -> None:
    async def find() -> bool:
        async with database.begin() as session:
            gate = breaker.opened(RULE, NINE)
            return await breakers.open_one(session, VISA.of_processor, gate, by="dunwell", why="?", now=NINE)

    assert Counter(await asyncio.gather(*(find() for _ in range(6)))) == {True: 1, False: 5}


async def test_of_those_who_come_together_one_is_let_through(database: Database) -> None:
    gate = breaker.opened(RULE, NINE)
    async with database.begin() as session:
        await breakers.open_one(session, VISA.of_processor, gate, by="dunwell", why="?", now=NINE)

    async def ask() -> bool:
        async with database.begin() as session:
            row = await breakers.hold(session, VISA.of_processor)
            assert row is not None
            lent = breaker.let_through(RULE, breakers.gate_of(row), gate.until)
            if lent:
                breakers.keep(session, row, lent)
            return lent is not None

    assert Counter(await asyncio.gather(*(ask() for _ in range(6)))) == {True: 1, False: 5}


async def test_what_was_counted_before_it_was_closed_does_not_open_it_again(database: Database) -> None:
    for number in range(12):
        await count(database, VISA, f"case_{number}", away=True)
    async with database.begin() as session:
        gate = breaker.opened(RULE, NINE)
        await breakers.open_one(session, VISA.of_processor, gate, by="dunwell", why="?", now=NINE)
        row = await breakers.hold(session, VISA.of_processor)
        assert row is not None
        breakers.close(session, row, by="ada@example.com", why="it is back", now=NINE + MINUTE)
    async with database.read() as session:
        recent, _ = await breakers.recent(session, VISA.of_processor, RULE, NINE + 2 * MINUTE)
    assert recent == Counts()


# --- a processor -------------------------------------------------------------------------------------


async def test_a_processor_that_is_away_for_two_hours_is_asked_little_and_let_go_on_gently(
    shop: Shop,
) -> None:
    for number in range(24):
        await shop.fails(f"{number:02}", "paid", NINE + number * timedelta(seconds=20))
    back = DUE + timedelta(hours=2)
    shop.sandbox.away = (DUE, back)
    shop.sandbox.asked.clear()

    await shop.play(DUE + timedelta(hours=1))
    [held] = await shop.held()
    assert held.name == "processor:sandbox:main"
    waiting = next(story.hold for story in shop.stories.values() if story.hold)
    assert waiting.why.startswith(
        "sandbox (main) answered 'unavailable' 10 of 10 times in 10 minutes: charges"
    )
    await shop.play(DUE + 3 * DAY)

    charged = await shop.charges()
    assert [result for _, result in charged] == ["paid"] * 24
    assert all(at >= back for at, _ in charged)
    by_minute = Counter((at - back) // MINUTE for at, _ in charged)
    assert max(by_minute.values()) <= 8
    assert await shop.held() == []
    assert [kind for kind, _ in await shop.alerts()] == ["breaker opened", "breaker closed"]
    while_away = [at for at in shop.sandbox.asked if at < back]
    assert sum(at > held.since + 10 * MINUTE for at in while_away) <= 4, "but for a few trials nobody asks"


async def test_somebody_who_waits_is_charged_at_once_and_finds_out_that_it_is_back(shop: Shop) -> None:
    for number in range(11):
        await shop.fails(f"{number:02}", "paid", NINE + number * timedelta(seconds=1))
    shop.sandbox.away = (DUE, DUE + 5 * MINUTE)
    await shop.play(DUE + MINUTE)
    [held] = await shop.held()

    now = DUE + 6 * MINUTE
    assert now < held.until
    await shop.pays("in_00", Pending(id="card.new", trigger=Trigger.CARD_UPDATED), now)
    assert await shop.charges() == [(now, "paid")]
    [held] = await shop.held()
    assert held.until == now


async def test_switched_off_nothing_is_counted_or_held(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, breaker=False) as shop:
        for number in range(12):
            await shop.fails(f"{number:02}", "paid", NINE)
        shop.sandbox.away = (DUE, DUE + MINUTE)
        await shop.play(DUE + DAY)
        assert [result for _, result in await shop.charges()] == ["paid"] * 12
        assert await shop.alerts() == []


# --- an issuer range ---------------------------------------------------------------------------------


async def test_an_issuer_range_is_held_while_other_cards_go_on(shop: Shop) -> None:
    for number in range(16):
        away = "issuer_not_available, paid"
        await shop.fails(f"de{number:02}", away, NINE + number * timedelta(seconds=10))
    for number in range(4):
        await shop.fails(f"fr{number}", "paid", NINE + 3 * MINUTE, country="FR")
        await shop.fails(f"mc{number}", "paid", NINE + 3 * MINUTE, network="mastercard")

    await shop.play(DUE + 5 * MINUTE)
    assert Counter(result for _, result in await shop.charges()) == {"declined": 10, "paid": 8}
    [held] = await shop.held()
    assert held.name == "issuer:visa:DE"
    last = shop.stories["in_de15"].hold
    assert last is not None
    assert last.why == (
        "issuers of visa cards of DE answered 'unavailable' 10 of 10 times in 10 minutes: charges are let"
        " through again gently from 03 Mar 2026 09:11:30 UTC"
    )

    # The scripts of the six that were held begin with a decline, too: trials fail before one goes well.
    await shop.play(DUE + 14 * DAY)
    assert Counter(result for _, result in await shop.charges()) == {"declined": 16, "paid": 8 + 16}
    assert [kind for kind, _ in await shop.alerts()] == ["breaker opened", "breaker closed"]


async def test_a_customers_new_card_is_charged_though_its_range_is_held(shop: Shop) -> None:
    async with shop.tools.database.begin() as session:
        gate = breaker.opened(RULE, DUE)
        await breakers.open_one(session, "issuer:visa:DE", gate, by="dunwell", why="away", now=DUE)
    await shop.fails("ada", "paid", NINE)
    await shop.pays("in_ada", Pending(id="card.new", trigger=Trigger.CARD_UPDATED), DUE + MINUTE)
    assert await shop.charges() == [(DUE + MINUTE, "paid")]
