"""Past cases read from the database, of both kinds, as failures with what became of them from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.past_failures import PastFailure
from campaigns.story import Lever, Outcome
from store import past_cases
from store.database import Database
from tests.integration.past_cases import MONDAY, case, fill, know

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def read(database: Database, since: datetime | None = None) -> list[PastFailure]:
    found = [failure async for page in past_cases.pages(database, since) for failure in page]
    assert await past_cases.count(database, since) == len(found)
    return found


async def test_a_case_is_read_with_all_that_segments_and_planner_ask(database: Database) -> None:
    row = case(
        1,
        Outcome.RECOVERED_ELSEWHERE,
        after=4 * DAY,
        plan="pro",
        country="DE",
        timezone="Europe/Berlin",
        network="visa",
        decline="stolen_card",
        amount=1900,
        story={"interval": "year", "decline": "do_not_honor"},
    )
    await fill(database, [row])
    await know(database, "cus_1", tier="gold", tags="vip, annual deal")
    assert await read(database) == [
        PastFailure(
            id="case_00001",
            failed_at=MONDAY,
            # The first decline, and not what later charges were declined for.
            decline="stolen_card",
            amount=1900,
            currency="USD",
            processor="stripe",
            customer="stripe/main/cus_1",
            plan="pro",
            interval="year",
            country="DE",
            timezone="Europe/Berlin",
            network="visa",
            attributes={"tier": "gold", "tags": "vip, annual deal"},
            tags=("vip", "annual deal"),
            # Since the ending, not since the case closed.
            settled_after=4 * DAY,
        )
    ]


# How a case can have ended, and whether that came from outside the campaign's timing.
FROM_OUTSIDE = {
    (Outcome.RECOVERED, Lever.SCHEDULED_RETRY): False,
    (Outcome.RECOVERED, Lever.BACKUP): False,
    (Outcome.RECOVERED, Lever.CARD_UPDATE): True,
    (Outcome.RECOVERED, Lever.CUSTOMER): True,
    (Outcome.RECOVERED, Lever.OPERATOR): True,
    (Outcome.RECOVERED, Lever.PROCESSOR): True,
    (Outcome.RECOVERED_ELSEWHERE, None): True,
    (Outcome.CANCELLED, None): True,
    (Outcome.EXHAUSTED, None): False,
    (Outcome.VOIDED, None): True,
    (Outcome.UNCOLLECTIBLE, None): True,
    (Outcome.DISPUTED, None): True,
    (Outcome.BELOW_MINIMUM, None): False,
}


async def test_every_way_in_which_a_case_ends_is_from_outside_or_not(database: Database) -> None:
    assert {outcome for outcome, _ in FROM_OUTSIDE} == {*Outcome} - {Outcome.EXCLUDED}
    assert {lever for _, lever in FROM_OUTSIDE if lever} == {*Lever}
    ways = [*FROM_OUTSIDE]
    rows = [case(number, outcome, lever, after=2 * DAY) for number, (outcome, lever) in enumerate(ways)]
    await fill(database, rows)
    found = {failure.id: failure.settled_after for failure in await read(database)}
    assert found == {
        f"case_{number:05}": 2 * DAY if FROM_OUTSIDE[way] else None for number, way in enumerate(ways)
    }


async def test_what_has_not_ended_or_was_never_worked_is_left_out(database: Database) -> None:
    rows = [
        case(1, None),
        case(2, Outcome.EXCLUDED),
        # Cancelled before its invoice could be read: neither amount nor currency is known.
        case(3, Outcome.CANCELLED, currency="", amount=0),
        case(4),
        case(5),
    ]
    rows[3].failed_at = None
    await fill(database, rows)
    assert [failure.id for failure in await read(database)] == ["case_00005"]


async def test_cases_are_chosen_by_when_their_payment_failed(database: Database) -> None:
    await fill(database, [case(number, failed_at=MONDAY + number * DAY) for number in range(4)])
    assert [failure.id for failure in await read(database, MONDAY + 2 * DAY)] == ["case_00002", "case_00003"]


async def test_a_failure_is_a_repeated_one_if_the_customer_had_one_before_that_was_worked(
    database: Database,
) -> None:
    rows = [
        case(1, customer="ada"),
        case(2, customer="ada", failed_at=MONDAY + DAY),
        case(3, Outcome.BELOW_MINIMUM, customer="bob"),
        case(4, customer="bob", failed_at=MONDAY + DAY),
        case(5, None, customer="eve"),
        case(6, customer="eve", failed_at=MONDAY + DAY),
        case(7, customer="ada", failed_at=MONDAY + DAY, account="other"),
    ]
    await fill(database, rows)
    assert [failure.id for failure in await read(database) if failure.repeated] == [
        "case_00002",
        "case_00006",
    ]


async def test_only_a_campaign_that_was_named_is_told(database: Database) -> None:
    await fill(database, [case(1, chosen_by="named"), case(2, chosen_by="segment"), case(3, chosen_by="")])
    assert [failure.campaign for failure in await read(database)] == ["standard", None, None]


async def test_who_never_had_a_card_had_none_at_the_failure(database: Database) -> None:
    rows = [
        case(1, story={"has_card": False}),
        case(2, story={"has_card": False, "charges": 1}),
        case(3, story={"has_card": True}),
    ]
    await fill(database, rows)
    assert [failure.has_card for failure in await read(database)] == [False, True, True]


async def test_what_ended_before_the_failure_was_known_ended_at_once(database: Database) -> None:
    await fill(database, [case(1, Outcome.RECOVERED_ELSEWHERE, after=-DAY)])
    assert [failure.settled_after for failure in await read(database)] == [timedelta(0)]


async def test_every_case_comes_once_over_many_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_cases, "PAGE", 3)
    await fill(database, [case(number) for number in range(10)])
    sizes = [len(page) async for page in past_cases.pages(database)]
    assert sizes == [3, 3, 3, 1]
    assert [failure.id for failure in await read(database)] == [f"case_{number:05}" for number in range(10)]
