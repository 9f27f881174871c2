"""Cases in shadow in the database: compared with the processor, and mixed with nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog
from typer.testing import CliRunner

import starter
from activities import claims
from campaigns.budget import Result, Rules
from campaigns.story import Lever, Outcome
from store import attempts, card_attempts, cases, journal, ledger, messages, past_cases
from store.card_attempts import Attempt, Source
from store.cards import Card
from store.database import Database
from store.facts import read_facts
from store.reports import recovery
from store.shadow import Shadowed, compared
from store.tables import AttemptRow, EntryRow, MessageRow
from tests.integration.past_cases import MONDAY, case, fill
from tests.integration.test_studio_campaigns import GOLD, publish
from tests.integration.test_studio_publish import said
from tests.unit.planner_story import story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from typer.testing import Result as Typed

    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def attempt(number: int, case_id: str, trigger: str, state: str, decline: str | None) -> AttemptRow:
    return AttemptRow(
        case_id=case_id,
        attempt=f"a{number}",
        key=f"seen/{case_id}/{number}",
        trigger=trigger,
        amount=4900,
        currency="USD",
        state=state,
        decline=decline,
        claimed_at=MONDAY + number * DAY,
    )


def entry(number: int, case_id: str, kind: str, text: str, key: str | None = None) -> EntryRow:
    return EntryRow(case_id=case_id, key=key or f"{kind}.{number}", kind=kind, text=text, at=MONDAY + DAY)


def mail(case_id: str, action: str, state: str = messages.SHADOW) -> MessageRow:
    return MessageRow(
        id=f"{case_id}.{action}",
        case_id=case_id,
        action=action,
        template="payment_failed",
        state=state,
        claimed_at=MONDAY + DAY,
    )


async def played(database: Database) -> None:
    """Keep one case in shadow that the processor recovered, one that ended, one that runs, and a live one."""
    paid, ended, runs = "case_00001", "case_00002", "case_00003"
    rows = [
        case(1, Outcome.RECOVERED, Lever.PROCESSOR, after=4 * DAY, shadow=True, decline="insufficient_funds"),
        case(2, shadow=True, decline="stolen_card"),
        case(3, None, shadow=True, access="blocked", customer="cus_9"),
        case(4, Outcome.RECOVERED, Lever.SCHEDULED_RETRY),
        case(5, Outcome.EXCLUDED, shadow=True),
    ]
    for row, decline in zip(rows, ("insufficient_funds", "stolen_card", None, None, None), strict=True):
        row.decline = decline
    await fill(database, rows)
    async with database.begin() as session:
        session.add_all(
            [
                attempt(1, paid, "schedule", attempts.SHADOW, "insufficient_funds"),
                attempt(2, paid, "processor", "declined", None),
                attempt(3, paid, "schedule", attempts.SHADOW, "insufficient_funds"),
                attempt(1, ended, "processor", "declined", "stolen_card"),
                attempt(1, "case_00004", "schedule", "paid", None),
                entry(1, ended, journal.SPARED, "the card was declined for good (stolen card)"),
                entry(2, ended, journal.FACT, "payment_succeeded, but the case had ended", "late.evt_9"),
                entry(3, ended, journal.WITHHELD, "shadow: charge day-3.charge would not be made"),
                mail(paid, "day-1.message"),
                mail(runs, "day-1.message"),
                mail("case_00004", "day-1.message", messages.SENT),
            ]
        )
    facts = read_facts()
    card, rules = Card("stripe", "main", "fp_1", "visa", "US"), Rules(facts.limits, facts.fees, 0, "US")
    async with database.begin() as session:
        await ledger.forbid(session, card, None, "stolen", MONDAY)
        for number in (0, 1):
            made = Attempt(
                f"seen/{number}", 4900, "USD", Source.PROCESSOR, invoice="in_2", charge=f"ch_{number}"
            )
            at = MONDAY + number * DAY
            await ledger.note(session, card, made, Result.DECLINED, rules, at, decline="stolen_card")


async def test_what_was_imagined_stands_beside_what_the_processor_did(database: Database) -> None:
    await played(database)
    async with database.read() as session:
        found = await compared(session)
        assert await compared(session, "other") == {}
        assert await compared(session, "standard") == found
    fees = found["standard"].fees
    assert dataclasses.replace(found["standard"], fees={}) == Shadowed(
        cases=3,
        running=1,
        ended={"exhausted": 1},
        recovered_after=[4 * DAY],
        late=1,
        imagined={"insufficient_funds": 2},
        declined={"insufficient_funds": 1, "stolen_card": 1},
        withheld=1,
        spared={"the card was declined for good (stolen card)": 1},
        billed=1,
        mails={"payment_failed": 2},
    )
    # The failure itself, at the same price, is not among them.
    assert list(fees) == ["USD"]
    assert 0 < fees["USD"] < 100


async def test_a_case_in_shadow_takes_no_access_and_is_in_no_figure(database: Database) -> None:
    await played(database)
    async with database.read() as session:
        assert await cases.of_access(session, "cus_9") == []
        figures = (await recovery(session))["standard"]
    assert (figures.running, figures.closed, figures.recovered, figures.shadow) == (0, 1, 1, 4)
    assert figures.money["USD"].recovered == 4900


async def test_a_what_if_run_takes_the_failure_without_the_processors_retries(database: Database) -> None:
    rows = [
        case(1, Outcome.RECOVERED, Lever.PROCESSOR, after=4 * DAY, shadow=True),
        case(2, Outcome.RECOVERED, Lever.CUSTOMER, after=4 * DAY, shadow=True),
        case(3, Outcome.RECOVERED, Lever.PROCESSOR, after=4 * DAY),
    ]
    await fill(database, rows)
    found = [failure async for page in past_cases.pages(database) for failure in page]
    assert [failure.settled_after for failure in found] == [None, 4 * DAY, 4 * DAY]


async def test_the_ledger_is_asked_as_for_a_claim_and_nothing_is_used_up(database: Database) -> None:
    facts = read_facts()
    card, rules = Card("p", "main", "fp_1", "visa", "US"), Rules(facts.limits, facts.fees, 1, "US")
    owed = story(amount=4900, currency="USD", shadow=True)
    async with database.begin() as session:
        free = await claims.would_claim(session, owed, card, rules, MONDAY)
        await ledger.forbid(session, card, MONDAY + DAY, "the issuer asked for a day", MONDAY)
        held = await claims.would_claim(session, owed, card, rules, MONDAY)
        assert await card_attempts.all_with(session, card) == []
        made = await ledger.claim(session, card, Attempt("k", 4900, "USD"), rules, MONDAY)
    assert (free.granted, held.granted) == (True, False)
    assert dataclasses.replace(held, uses=()) == dataclasses.replace(made, uses=())


@pytest.fixture
def terminal(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Type where Dunwell is installed with this database."""
    for name in [name for name in os.environ if name.startswith(("DUNWELL_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUNWELL_DATABASE_URL", database_url)
    monkeypatch.setenv("DUNWELL_SECRET_KEY", "x" * 40)
    # A command sets the log up for its process; here that is everybody's.
    logs, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**logs)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("terminal")
def test_the_command_says_the_same(database_url: str) -> None:
    async def fill_it() -> None:
        database = Database(database_url)
        await played(database)
        await database.close()

    def typed(*words: str) -> Typed:
        return CliRunner().invoke(starter.app, ["shadow", *words])

    nothing = typed()
    assert (nothing.exit_code, "No case was in shadow" in nothing.stdout) == (0, True)
    asyncio.run(fill_it())
    told = json.loads(typed("standard", "--json").stdout)["standard"]
    assert (told["cases"], told["running"]) == (3, 1)
    assert told["recovered_by_processor"] == {"cases": 1, "after_seconds": [4 * 86400.0]}
    assert told["charges"]["dunwell"] == {"count": 2, "by_class": {"soft": 2}, "kept_back": 1}
    assert told["charges"]["processor"]["declined_by_class"] == {"soft": 1, "hard": 1}
    assert "1 recovered by the processor's own retries" in typed().stdout
    unknown = typed("other")
    assert unknown.exit_code != 0
    assert "no case of a campaign 'other' was in shadow" in unknown.stderr


async def test_the_studio_shows_the_comparison_and_what_it_cannot_know(studio: Studio) -> None:
    viewer = await studio.signed_in("vera@example.com")
    await viewer.open("/studio/shadow")
    assert "No case was in shadow" in said(viewer)
    await played(studio.desk.tools.database)
    page = await viewer.open("/studio/shadow")
    assert page.status_code == 200
    assert 'href="/studio/shadow" aria-current="page"' in page.text
    assert "charges 2 3" in said(viewer)
    assert "1 recovered by the processor's own retries, 4 days after the failure." in said(viewer)
    assert "Whether a charge at another time would have been paid: nobody asked the bank." in said(viewer)
    await publish(studio, GOLD.replace("name: gold\n", "name: gold\nmode: shadow\n"))
    await viewer.open("/studio/campaigns/gold")
    assert "In shadow: everything below is decided and written down" in said(viewer)
    await viewer.open("/studio/campaigns")
    assert "4 cases in shadow, counted only in what was imagined there." in said(viewer)


async def test_a_new_card_that_a_case_in_shadow_only_imagined_charging_is_still_to_be_charged(
    database: Database,
) -> None:
    rows = [case(1, None, shadow=True, customer="cus_1"), case(2, None, customer="cus_1")]
    await fill(database, rows)
    mine = story(
        case_id="case_00002", processor="stripe", account="main", customer="cus_1", failed_at=MONDAY - DAY
    )
    async with database.begin() as session:
        session.add(attempt(1, "case_00001", "card_updated", attempts.SHADOW, None))
    async with database.read() as session:
        assert await attempts.of_another(session, mine, "a1") is None
