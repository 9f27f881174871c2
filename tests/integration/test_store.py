"""The database, of both kinds: its migrations, and the constraints that money depends on."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError, StatementError

from campaigns.story import Story, Trigger
from errors import BadSettings
from store import attempts, campaigns, cases, customers, events, journal, messages, schema, switches
from store.database import Database
from store.installation import claim_installation
from store.tables import AttemptRow, CaseRow, EventRow, MessageRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlmodel.ext.asyncio.session import AsyncSession

ROOT = schema.FOLDER.parents[1]
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def reserved(database: Database, invoice: str = "in_1") -> CaseRow:
    async with database.begin() as session:
        return (await cases.reserve(session, "sandbox", "main", invoice, NOW, customer="cus_1")).case


def story(case: CaseRow) -> Story:
    return Story(
        case_id=case.id,
        workflow_id=case.workflow_id,
        processor="sandbox",
        account="main",
        invoice=case.invoice,
        amount=4900,
        currency="USD",
        failed_at=NOW,
    )


def case_row(number: int, **more: Any) -> CaseRow:
    values: dict[str, Any] = {
        "id": f"case_{number}",
        "workflow_id": f"w_{number}",
        "processor": "sandbox",
        "account": "main",
        "invoice": "in_1",
        "episode": number,
        "status": "waiting",
        "reserved_at": NOW,
    }
    return CaseRow(**(values | more))


# --- migrations --------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_means(database_url: str) -> None:
    assert schema.differences(database_url) == []
    schema.upgrade(database_url)
    assert schema.differences(database_url) == []


async def test_the_migrations_go_back_and_forth(database_url: str) -> None:
    schema.downgrade(database_url, "base")
    database = Database(database_url)
    async with database.engine.connect() as connection:
        left = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    await database.close()
    assert left <= {"alembic_version"}
    schema.upgrade(database_url)
    assert schema.differences(database_url) == []


async def test_several_processes_may_start_at_once(database_url: str) -> None:
    schema.downgrade(database_url, "base")
    program = f"from store import schema; schema.upgrade({database_url!r})"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, ended
    assert schema.differences(database_url) == []


# --- constraints -------------------------------------------------------------------------------------


async def refused(database: Database, *rows: Any) -> str:
    async def write() -> None:
        async with database.begin() as session:
            for row in rows:
                session.add(row)
                await session.flush()

    with pytest.raises(IntegrityError) as caught:
        await write()
    return str(caught.value.orig)


async def test_an_invoice_has_one_open_case(database: Database) -> None:
    await refused(database, case_row(1), case_row(2))
    async with database.begin() as session:
        session.add(case_row(1, closed_at=NOW))
        session.add(case_row(2, closed_at=NOW))
        session.add(case_row(3))
    await refused(database, case_row(4))
    async with database.begin() as session:
        session.add(case_row(5, account="acct_2"))
        session.add(case_row(6, invoice="in_2"))


async def test_an_episode_a_workflow_and_a_case_exist_once(database: Database) -> None:
    async with database.begin() as session:
        session.add(case_row(1, closed_at=NOW))
    await refused(database, case_row(2, episode=1))
    await refused(database, case_row(2, workflow_id="w_1"))
    await refused(database, case_row(2, id="case_1"))


async def test_an_attempt_a_key_a_message_and_an_event_exist_once(database: Database) -> None:
    case = await reserved(database)
    shared: dict[str, Any] = {"case_id": case.id, "claimed_at": NOW}
    charge: dict[str, Any] = {**shared, "trigger": "schedule", "currency": "USD", "state": "sending"}
    mail: dict[str, Any] = {**shared, "template": "payment_failed", "state": "sending"}
    event: dict[str, Any] = {
        "source": "sandbox",
        "type": "x",
        "body": "{}",
        "state": "pending",
        "try_at": NOW,
        "received_at": NOW,
    }
    async with database.begin() as session:
        session.add(AttemptRow(attempt="day-1.charge", key="k1", **charge))
        session.add(MessageRow(id="m1", action="day-1.message", **mail))
        session.add(EventRow(event="evt_1", **event))
    await refused(database, AttemptRow(attempt="day-1.charge", key="k2", **charge))
    await refused(database, AttemptRow(attempt="day-3.charge", key="k1", **charge))
    await refused(database, MessageRow(id="m2", action="day-1.message", **mail))
    await refused(database, MessageRow(id="m1", action="day-3.message", **mail))
    await refused(database, EventRow(event="evt_1", **event))
    async with database.begin() as session:
        session.add(EventRow(event="evt_1", **{**event, "source": "stripe"}))


async def test_nothing_is_written_for_a_case_that_does_not_exist(database: Database) -> None:
    row = AttemptRow(
        case_id="nobody",
        attempt="a",
        key="k",
        trigger="schedule",
        currency="USD",
        state="sending",
        claimed_at=NOW,
    )
    await refused(database, row)


async def at_once(database: Database, work: Callable[[AsyncSession], Awaitable[object]]) -> list[object]:
    """Do the same in six transactions that overlap."""
    together = asyncio.Barrier(6)

    async def one() -> object:
        await together.wait()
        async with database.begin() as session:
            return await work(session)

    return await asyncio.gather(*(one() for _ in range(6)))


async def test_of_reports_in_the_same_moment_one_makes_the_case(database: Database) -> None:
    found = await at_once(database, lambda session: cases.reserve(session, "sandbox", "main", "in_9", NOW))
    reservations = [item for item in found if isinstance(item, cases.Reservation)]
    assert [item.fresh for item in reservations].count(True) == 1
    assert len({item.case.id for item in reservations}) == 1


async def test_of_claims_in_the_same_moment_one_is_the_first(database: Database) -> None:
    case = await reserved(database)
    told = story(case)

    claimed = await at_once(
        database,
        lambda session: attempts.claim(session, told, "day-1.charge", Trigger.SCHEDULE, "card_1", NOW),
    )
    assert len({row.number for row in claimed if isinstance(row, AttemptRow)}) == 1
    for work in (
        lambda session: messages.claim(session, case.id, "day-1.message", "payment_failed", NOW),
        lambda session: journal.enter(session, case.id, "opened", journal.CASE, "opened", NOW),
        lambda session: journal.alert(session, "alert-1", "needs review", "look", NOW),
        lambda session: switches.turn(session, "charges", stop=True, by="ada", why="trouble", now=NOW),
    ):
        assert sorted(map(bool, await at_once(database, work))) == [False] * 5 + [True]


async def test_of_deliveries_in_the_same_moment_one_is_new(database: Database) -> None:
    kept = await at_once(database, lambda session: events.keep(session, "sandbox", "evt_1", "x", "{}", NOW))
    answers = [answer for answer in kept if isinstance(answer, tuple)]
    assert sorted(fresh for _, fresh in answers) == [False] * 5 + [True]
    assert len({row.number for row, _ in answers}) == 1


async def test_a_customer_is_kept_by_several_at_once(database: Database) -> None:
    await at_once(
        database,
        lambda session: customers.keep(session, "sandbox", "main", "cus_1", NOW, email="a@example.com"),
    )
    async with database.read() as session:
        kept = await customers.get(session, "sandbox", "main", "cus_1")
    assert kept is not None
    assert kept.email == "a@example.com"


# --- what the rows hold ------------------------------------------------------------------------------


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="a time without a zone"):
        async with database.begin() as session:
            await cases.reserve(session, "sandbox", "main", "in_1", naive)
    async with database.read() as session:
        assert await cases.listing(session) == []


async def test_a_time_comes_back_as_the_moment_that_it_was(database: Database) -> None:
    elsewhere = datetime.fromisoformat("2026-03-29T01:30:00.123456-08:00")
    async with database.begin() as session:
        await cases.reserve(session, "sandbox", "main", "in_1", elsewhere)
    async with database.read() as session:
        row = await cases.latest(session, "sandbox", "main", "in_1")
    assert row is not None
    assert row.reserved_at == elsewhere
    assert row.reserved_at.utcoffset() == timedelta(0)


async def test_large_amounts_and_long_texts_fit(database: Database) -> None:
    async with database.begin() as session:
        session.add(case_row(1, amount=10**15, sentence="x" * 100_000, story={"done": {"a": "b"}}))
    async with database.read() as session:
        row = await cases.get(session, "case_1")
    assert row is not None
    assert (row.amount, len(row.sentence), row.story) == (10**15, 100_000, {"done": {"a": "b"}})


async def test_an_error_takes_everything_back(database: Database) -> None:
    async def write() -> None:
        async with database.begin() as session:
            await cases.reserve(session, "sandbox", "main", "in_1", NOW)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        await write()
    async with database.read() as session:
        assert await cases.listing(session) == []


# --- the inbox ---------------------------------------------------------------------------------------


async def test_two_relays_share_the_inbox_and_no_event(database: Database) -> None:
    async with database.begin() as session:
        for number in range(40):
            await events.keep(session, "sandbox", f"evt_{number:02}", "x", "{}", NOW)
    later = NOW + events.CLAIM

    async def relay() -> list[str]:
        async with database.begin() as session:
            found = await events.claim_due(session, later, limit=15)
            await asyncio.sleep(0.05)
            return [row.event for row in found]

    early = await asyncio.gather(*(_claim(database, NOW) for _ in range(2)))
    assert early == [[], []]
    rounds = [await asyncio.gather(relay(), relay()) for _ in range(3)]
    claimed = [event for pair in rounds for events_of_one in pair for event in events_of_one]
    assert sorted(claimed) == [f"evt_{number:02}" for number in range(40)]


async def _claim(database: Database, now: datetime) -> list[str]:
    async with database.begin() as session:
        return [row.event for row in await events.claim_due(session, now)]


async def test_an_event_waits_longer_each_time_it_could_not_be_handed_on(database: Database) -> None:
    async with database.begin() as session:
        await events.keep(session, "sandbox", "evt_1", "x", "{}", NOW)
        row = await events.get(session, "sandbox", "evt_1")
        assert row is not None
    waits = []
    for tries in range(12):
        async with database.begin() as session:
            await events.postpone(session, row.number or 0, tries, "away", NOW)
        async with database.read() as session:
            found = await events.get(session, "sandbox", "evt_1")
        assert found is not None
        assert found.tries == tries + 1
        waits.append(found.try_at - NOW)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (events.FIRST_DELAY, events.LONGEST_DELAY)
    async with database.begin() as session:
        await events.settle(session, row.number or 0, events.HANDED_ON, NOW, why="done")
        assert await events.waiting(session) == 0


# --- installation and campaigns ----------------------------------------------------------------------


@pytest.mark.parametrize("livemode", [True, False])
async def test_a_database_belongs_to_one_kind_of_installation(database: Database, *, livemode: bool) -> None:
    for _ in range(2):
        async with database.begin() as session:
            await claim_installation(session, livemode, NOW)
    with pytest.raises(BadSettings, match="DUNWELL_LIVEMODE is"):
        async with database.begin() as session:
            await claim_installation(session, not livemode, NOW)
    async with database.begin() as session:
        await claim_installation(session, livemode, NOW)


async def test_a_published_version_stays_as_it_was(database: Database) -> None:
    text_1 = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8")
    text_2 = text_1.replace("28 days", "30 days")
    said: dict[str, Any] = {"file": "standard.yaml", "author": "ada", "note": "", "now": NOW}
    async with database.begin() as session:
        published = [
            await campaigns.publish(session, text, **said) for text in (text_1, text_1, text_2, text_1)
        ]
    assert published == [1, 1, 2, 3]
    async with database.begin() as session:
        # What an owner has published under a name is not overwritten by what ships.
        await campaigns.publish_library(session, NOW)
    async with database.read() as session:
        first, _ = await campaigns.version(session, "standard", 1)
        second, _ = await campaigns.version(session, "standard", 2)
        _, current = await campaigns.version(session, "standard")
    assert (first.end.after, second.end.after, current) == (timedelta(days=28), timedelta(days=30), 3)


async def test_what_is_written_meanwhile_is_seen_by_the_next_reader(database: Database) -> None:
    async with database.read() as reader:
        assert await cases.listing(reader) == []
        await reserved(database)
    async with database.read() as session:
        assert len(await cases.listing(session)) == 1
