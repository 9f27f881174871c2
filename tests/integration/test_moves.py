"""Running cases moved to another version by a workflow: on a real server, with workers that pause, stop and die."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select
from temporalio.client import Client

import contract
import keys
import moves
from campaigns.effects import Change
from campaigns.moving import Moving, PastRule
from campaigns.reading import read_campaign
from campaigns.story import Outcome
from contract import Cancel, CardUpdated, FactName, MoveStatus, OpenCase, WishName
from errors import BadInput, Conflict, NotKnown, ServerUnavailable
from plugin import dunwell_plugin
from store import audit, campaigns, cases, engagement, switches
from store import moves as stored
from store.moves import Became, State
from store.studio_tables import MoveCaseRow
from tests.integration.web_side import WebSide, until
from web.desk import Desk
from web.intake import ask, open_case, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.studio_tables import MoveRow
    from store.tables import CaseRow

pytest_plugins = ["tests.integration.web_fixtures"]

CAMPAIGN = """\
name: {name}
messages: {{receipt: payment_received}}
steps:
  - {{id: day-1, after: {first}, message: payment_failed}}
  - {{id: day-3, after: {second}, retry: true, message: payment_failed}}
end: {{after: 20 days, action: cancel_now}}
"""
SAID: dict[str, Any] = {"by": "ada@example.com", "why": "the quicker one"}
HOUR = timedelta(hours=1)
TWO_DAYS = timedelta(days=2)
BATCH = 4


@dataclass
class Town:
    """A campaign of its own with running cases, each two days old; ``queue`` is where its moves are worked."""

    web: WebSide
    name: str
    desk: Desk
    rows: dict[str, CaseRow] = field(default_factory=dict)

    async def publish(self, first: str = "1 day", second: str = "3 days") -> int:
        """Publish a version, in which the steps come at these times."""
        document = CAMPAIGN.format(name=self.name, first=first, second=second)
        return await self.publish_document(document)

    async def publish_document(self, document: str) -> int:
        """Publish any document as the next version."""
        said: dict[str, Any] = {"file": "test.yaml", "author": "tests", "note": "", "now": datetime.now(UTC)}
        async with self.desk.tools.database.begin() as session:
            return await campaigns.publish(session, document, **said)

    async def fail(self, *names: str) -> None:
        """Let payments have failed two days ago, and wait until their cases are at rest."""
        await asyncio.gather(*(self._fail(name) for name in names))
        for name in names:
            self.rows[name] = await self._at_rest(name)

    async def _at_rest(self, name: str) -> CaseRow:
        async def look() -> CaseRow | None:
            row = await self.web.case(f"in_{self.name}_{name}")
            return row if row and row.next_step == "day-3.charge" else None

        return await until(look)

    async def _fail(self, name: str) -> None:
        customer, invoice = f"cus_{self.name}_{name}", f"in_{self.name}_{name}"
        await self.web.sandbox.add_customer(customer, f"{name}@example.com", name.title())
        await self.web.sandbox.add_card(customer, f"card_{self.name}_{name}", "insufficient_funds")
        await self.web.sandbox.add_invoice(invoice, customer, 4900)
        failed_at = datetime.now(UTC) - TWO_DAYS
        await self.web.sandbox.fail(invoice, failed_at, "insufficient_funds")
        order = OpenCase(processor="sandbox", invoice=invoice, failed_at=failed_at, campaign=self.name)
        await open_case(self.web.desk, order, f"evt_{invoice}")

    async def case(self, name: str) -> CaseRow:
        """Read a case."""
        async with self.desk.tools.database.read() as session:
            row = await cases.get(session, self.rows[name].id)
        assert row is not None
        return row

    async def begin(self, version: int, **how: Any) -> MoveRow:
        """Begin to move every case."""
        return await moves.begin_move(self.desk, self.name, version, **SAID, **how)

    async def progress(self, move: MoveRow) -> stored.Progress:
        """Read how far a move is."""
        async with self.desk.tools.database.read() as session:
            return await stored.progress(session, move.id)

    async def ended(self, move: MoveRow) -> stored.Progress:
        """Wait until a move has ended."""

        async def look() -> stored.Progress | None:
            found = await self.progress(move)
            return found if found.move.finished_at else None

        return await until(look, within=60)

    async def settled(self, move: MoveRow, count: int) -> stored.Progress:
        """Wait until a move has dealt with so many cases."""

        async def look() -> stored.Progress | None:
            found = await self.progress(move)
            return found if found.settled >= count else None

        return await until(look, within=60)

    async def outcomes(self, move: MoveRow) -> dict[str, tuple[str, str]]:
        """Give what became of each case, by name, with its answer."""
        async with self.desk.tools.database.read() as session:
            found = await stored.outcomes(session, move.id, limit=1000)
        names = {row.id: name for name, row in self.rows.items()}
        assert len({item.row.case_id for item in found}) == len(found), "a case stands there twice"
        return {names[item.row.case_id]: (item.row.state, item.row.answer) for item in found}

    async def wishes(self, name: str) -> list[str]:
        """Read what a case has written about wishes of moves."""
        lines = await self.web.journal(self.rows[name].id)
        return [line.text for line in lines if line.key.startswith("wish.move")]

    async def audited(self, move: MoveRow) -> list[tuple[str, str, str]]:
        """Read the audit log about a move, the first entry first."""
        async with self.desk.tools.database.read() as session:
            rows = await audit.listing(session, audit.of_move(move.id))
        return [(row.action, row.by, row.detail) for row in reversed(rows)]


@pytest.fixture
async def town(web: WebSide) -> Town:
    """Give a town with its first version published, whose moves go in batches of four without a rest."""
    settings = web.desk.settings.model_copy(
        update={"moves_batch": BATCH, "moves_at_once": 2, "moves_pause": 0}
    )
    made = Town(web, f"town-{time.time_ns()}", _desk(web, settings=settings))
    assert await made.publish() == 1
    return made


def _desk(web: WebSide, **more: Any) -> Desk:
    known: dict[str, Any] = {"tools": web.desk.tools, "temporal": web.desk.temporal, "links": web.desk.links}
    return Desk(**({"settings": web.desk.settings, "queue": web.desk.queue, **known} | more))


def named(count: int) -> list[str]:
    return [f"n{number:02}" for number in range(count)]


async def lengthen_pause(town: Town, seconds: float) -> None:
    town.desk = _desk(
        town.web,
        settings=town.desk.settings.model_copy(update={"moves_pause": seconds}),
        queue=town.desk.queue,
    )


# --- the whole of it -------------------------------------------------------------------------------


async def test_twenty_five_cases_in_batches_of_four_with_a_pause_one_closed_and_one_terminated(
    town: Town,
) -> None:
    names = named(25)
    await town.fail(*names)
    version = await town.publish(second="4 days")
    await lengthen_pause(town, 1)
    by_id = sorted(names, key=lambda name: town.rows[name].id)
    gone, over = by_id[-1], by_id[-2]
    await town.web.desk.temporal.get_workflow_handle(town.rows[gone].workflow_id).terminate()
    move = await town.begin(version)
    await town.settled(move, BATCH)
    paused = await moves.pause_move(town.desk, move.id, by="bob@example.com", why="a look first")
    assert paused.state == State.PAUSED
    before = await town.progress(move)
    assert BATCH <= before.settled < len(names)
    cancel = Cancel(event="evt_cancel", at=datetime.now(UTC), by="customer")
    await tell(town.web.desk, [town.rows[over]], FactName.CANCEL, cancel)
    await town.web.closed(f"in_{town.name}_{over}")
    with pytest.raises(Conflict, match="rests already"):
        await moves.pause_move(town.desk, move.id, by="bob@example.com", why="once more")
    assert (await town.progress(move)).settled == before.settled
    resumed = await moves.resume_move(town.desk, move.id, by="bob@example.com", why="it looks right")
    assert resumed.state == State.RUNNING
    found = await town.ended(move)
    # The case that closed is not among them: it had not been asked.
    assert (found.moved, found.refused, found.closed, found.left, found.total) == (23, 1, 0, 0, 24)
    outcomes = await town.outcomes(move)
    assert set(outcomes) == {*names} - {over}
    state, answer = outcomes.pop(gone)
    assert (state, "is gone from Temporal" in answer) == (Became.REFUSED, True)
    assert {state for state, _ in outcomes.values()} == {Became.MOVED}
    for name in outcomes:
        row = await town.case(name)
        assert (row.campaign_version, row.next_step) == (version, "day-3.charge")
        assert row.failed_at is not None
        assert row.next_step_at == row.failed_at + timedelta(days=4)
        assert len(await town.wishes(name)) == 1
    assert [alert.kind for alert in await town.web.alerts(town.rows[gone].id)] == ["case lost"]
    assert [(action, by) for action, by, _ in await town.audited(move)] == [
        ("move begun", "ada@example.com"),
        ("move paused", "bob@example.com"),
        ("move resumed", "bob@example.com"),
        ("move done", "dunwell"),
    ]


async def test_what_a_worker_asked_before_it_died_is_asked_again_under_the_same_id(town: Town) -> None:
    await town.fail("answered", "closed", "ended", "unasked", "later")
    version = await town.publish(second="4 days")
    move = await begun_by_a_worker_that_died(town, version, but="later")
    # Its answer was lost with the worker.
    wish = contract.MoveToVersion(**SAID, version=version, campaign=town.name)
    answered = town.rows["answered"]
    lost = await ask(town.web.desk, answered, WishName.MOVE_TO_VERSION, wish, keys.move_update_id(move.id))
    cancel = Cancel(event="evt_cancel", at=datetime.now(UTC), by="customer")
    await tell(town.web.desk, [town.rows["closed"]], FactName.CANCEL, cancel)
    await town.web.closed(f"in_{town.name}_closed")
    async with mails_stopped(town):
        # Paid, but its receipt cannot go out: the case has ended and is still open.
        await pay_by_new_card(town, "ended")
        await moves.resume_move(town.desk, move.id, by="bob@example.com", why="its workflow is gone")
        found = await town.ended(move)
    assert (found.moved, found.refused, found.closed, found.total) == (3, 1, 1, 5)
    assert await town.outcomes(move) == {
        "answered": (Became.MOVED, (await town.wishes("answered"))[0]),
        "closed": (
            Became.CLOSED,
            "the case is closed: cancelled by customer: the subscription was cancelled",
        ),
        "ended": (Became.REFUSED, "the case has ended: recovered"),
        "unasked": (Became.MOVED, _answer(town, "unasked", version)),
        "later": (Became.MOVED, _answer(town, "later", version)),
    }
    assert lost.sentence in (await town.wishes("answered"))[0]
    for name in ("answered", "unasked", "later"):
        assert len(await town.wishes(name)) == 1
        assert (await town.case(name)).campaign_version == version


async def begun_by_a_worker_that_died(town: Town, version: int, but: str) -> MoveRow:
    """Leave a move as a worker leaves it that dies once it has written down whom it asks."""
    now = datetime.now(UTC)
    wanted = stored.Wanted(town.name, version, **SAID, past=PastRule.SKIP, spread=timedelta(0))
    async with town.desk.tools.database.begin() as session:
        move = await stored.begin(session, f"move-{town.name}", wanted, now)
        claimed = await stored.claim(session, move, "", 10, now)
        assert [one.again for one in claimed] == [False] * 5
        [unasked] = (
            await session.exec(select(MoveCaseRow).where(MoveCaseRow.case_id == town.rows[but].id))
        ).all()
        await session.delete(unasked)
    return move


async def pay_by_new_card(town: Town, name: str) -> None:
    customer = f"cus_{town.name}_{name}"
    await town.web.sandbox.add_card(customer, f"new_{town.name}_{name}", "paid")
    said = CardUpdated(event="evt_card", at=datetime.now(UTC), method=f"new_{town.name}_{name}")
    await tell(town.web.desk, [town.rows[name]], FactName.CARD_UPDATED, said)

    async def paid() -> bool:
        return (await town.case(name)).outcome == Outcome.RECOVERED

    await until(paid)


@asynccontextmanager
async def mails_stopped(town: Town) -> AsyncIterator[None]:
    async def turn(*, stop: bool) -> None:
        said: dict[str, Any] = {"by": "ops@example.com", "why": "a test", "now": datetime.now(UTC)}
        async with town.desk.tools.database.begin() as session:
            await switches.turn(session, switches.MESSAGES, stop=stop, **said)

    await turn(stop=True)
    try:
        yield
    finally:
        await turn(stop=False)


def _answer(town: Town, name: str, version: int) -> str:
    failed_at = town.rows[name].failed_at
    assert failed_at is not None
    return (
        f"moved from {town.name} version 1 to {town.name} version {version};"
        f" next: charge on {failed_at + timedelta(days=4):%d %B %Y %H:%M} UTC"
    )


async def test_a_move_that_is_stopped_leaves_the_rest_where_it_is_and_another_may_begin(town: Town) -> None:
    names = named(3 * BATCH)
    await town.fail(*names)
    version = await town.publish(second="4 days")
    await lengthen_pause(town, 30)
    move = await town.begin(version)
    await town.settled(move, BATCH)
    with pytest.raises(Conflict, match="is running for campaign"):
        await town.begin(version)
    stopped = await moves.stop_move(town.desk, move.id, by="bob@example.com", why="not that one")
    assert (stopped.state, stopped.finished_at is not None) == (State.STOPPED, True)
    assert (
        await town.desk.temporal.get_workflow_handle(keys.move_workflow_id(move.id)).result()
        == "bob@example.com: not that one"
    )
    found = await town.progress(move)
    assert (found.moved, found.left, found.total) == (BATCH, 0, BATCH)
    for change in (moves.pause_move, moves.resume_move, moves.stop_move):
        with pytest.raises(Conflict, match="has ended: it is stopped"):
            await change(town.desk, move.id, by="bob@example.com", why="too late")
    async with town.desk.tools.database.read() as session:
        assert await stored.running_by_version(session, town.name) == {1: 2 * BATCH, version: BATCH}
    await lengthen_pause(town, 0)
    second = await town.ended(await town.begin(version))
    assert (second.move.total, second.moved, second.total) == (2 * BATCH, 2 * BATCH, 2 * BATCH)
    assert [(action, by) for action, by, _ in await town.audited(move)] == [
        ("move begun", "ada@example.com"),
        ("move stopped", "bob@example.com"),
    ]


async def test_what_becomes_due_at_once_is_spread_over_the_cases(town: Town) -> None:
    names = named(20)
    await town.fail(*names)
    version = await town.publish(second="1 day 12 hours")
    started = datetime.now(UTC)
    await town.ended(await town.begin(version, past=PastRule.ONCE, spread=timedelta(hours=2)))
    times = []
    for name in names:
        row = await town.case(name)
        assert (row.campaign_version, row.next_step) == (version, "day-3.charge")
        assert row.next_step_at is not None
        times.append(row.next_step_at - started)
        assert "spread over 2 hours" in row.sentence
    assert len(set(times)) == len(names)
    assert max(times) < timedelta(hours=2, minutes=2)
    hours = [sum(hour <= at / timedelta(hours=1) < hour + 1 for at in times) for hour in (0, 1)]
    assert min(hours) >= 3, hours
    charged = [charge.invoice for charge in await town.web.sandbox.charges()]
    assert not [invoice for invoice in charged if town.name in invoice]


async def test_cases_go_on_where_their_moves_workflow_was_terminated(town: Town) -> None:
    names = named(2 * BATCH)
    await town.fail(*names)
    version = await town.publish(second="4 days")
    await lengthen_pause(town, 30)
    move = await town.begin(version)
    await town.settled(move, BATCH)
    await town.desk.temporal.get_workflow_handle(keys.move_workflow_id(move.id)).terminate()
    await lengthen_pause(town, 0)
    await moves.resume_move(town.desk, move.id, by="bob@example.com", why="somebody terminated it")
    assert (await town.ended(move)).moved == len(names)


async def test_cancel_in_the_temporal_ui_stops_a_move(town: Town) -> None:
    await town.fail(*named(2 * BATCH))
    version = await town.publish(second="4 days")
    await lengthen_pause(town, 30)
    move = await town.begin(version)
    await town.settled(move, BATCH)
    handle = town.desk.temporal.get_workflow_handle(keys.move_workflow_id(move.id))
    told: MoveStatus = await handle.query(contract.PROGRESS, result_type=MoveStatus)
    assert (told.state, told.moved, told.refused) == ("running", BATCH, 0)
    await handle.cancel()
    found = await town.ended(move)
    assert (found.move.state, found.moved) == (State.STOPPED, BATCH)
    assert (await town.audited(move))[-1] == ("move stopped", "operator", "cancelled in Temporal")


# --- what cannot be begun --------------------------------------------------------------------------


async def test_a_move_needs_a_version_that_is_there_and_somebody_who_answers_for_it(town: Town) -> None:
    with pytest.raises(NotKnown, match="has no version 7"):
        await town.begin(7)
    with pytest.raises(NotKnown, match="'nowhere' has no version 1"):
        await moves.begin_move(town.desk, "nowhere", 1, **SAID)
    for by, why in (("ada", " "), ("", "because"), ("ada", "x" * 501)):
        with pytest.raises(BadInput, match="say who asks for this and why"):
            await moves.begin_move(town.desk, town.name, 1, by=by, why=why)
        with pytest.raises(BadInput, match="say who asks for this and why"):
            await moves.stop_move(town.desk, "move_7", by=by, why=why)
    with pytest.raises(BadInput, match="below zero"):
        await town.begin(1, spread=timedelta(hours=-1))
    with pytest.raises(NotKnown, match="no move is called 'move_7'"):
        await moves.pause_move(town.desk, "move_7", **SAID)
    async with town.desk.tools.database.read() as session:
        assert not await stored.listing(session, town.name)


async def test_where_temporal_is_away_a_move_is_not_begun_and_can_be_begun_later(town: Town) -> None:
    away = await Client.connect("127.0.0.1:1", lazy=True, plugins=[dunwell_plugin()])
    here, town.desk = town.desk, _desk(town.web, temporal=away)
    with pytest.raises(ServerUnavailable, match="begin it again later"):
        await town.begin(1)
    town.desk = here
    found = await town.ended(await town.begin(1))
    assert (found.move.state, found.total) == (State.DONE, 0)
    async with town.desk.tools.database.read() as session:
        states = [row.state for row in await stored.listing(session, town.name)]
    assert states == [State.DONE, State.STOPPED]


# --- before ----------------------------------------------------------------------------------------


async def test_the_effects_are_told_with_the_names_of_customers_and_nothing_is_written(town: Town) -> None:
    names = named(7)
    await town.fail(*names)
    document = CAMPAIGN.format(name=town.name, first="1 day", second="1 day 12 hours")
    draft = read_campaign(document, file="draft")
    now = datetime.now(UTC)
    looked_at: list[int] = []
    async with town.desk.tools.database.read() as session:
        target = Moving(draft, 2, PastRule.SKIP)
        found = await moves.effects_of(session, target, now, examples=3, told=looked_at.append)
    assert looked_at == [7]
    summary = found.summary
    assert (summary.total, summary.moving, summary.mails, summary.charges) == (7, 7, -7, -7)
    assert summary.counts == {Change.NEXT_GONE: 7, Change.FEWER_MAILS: 7, Change.FEWER_CHARGES: 7}
    examples = summary.examples[Change.NEXT_GONE]
    first = sorted(town.rows.items(), key=lambda item: item[1].id)[:3]
    assert [effect.case_id for effect in examples] == [row.id for _, row in first]
    assert [found.people[effect.case_id].name for effect in examples] == [name.title() for name, _ in first]
    async with town.desk.tools.database.read() as session:
        assert not await stored.listing(session, town.name)
    for name in names:
        assert (await town.case(name)).campaign_version == 1


async def test_a_condition_on_mails_is_judged_by_what_was_opened_also_where_only_the_draft_asks(
    town: Town,
) -> None:
    await town.fail("opener", "sleeper")
    row = town.rows["opener"]
    async with town.desk.tools.database.begin() as session:
        await engagement.record_opened(session, f"{row.id}.day-1.message", datetime.now(UTC) - HOUR)
    document = CAMPAIGN.format(name=town.name, first="1 day", second="2 days 12 hours")
    opened = document.replace("retry: true", "retry: true, only_if: {mail_opened: false}")
    async with town.desk.tools.database.read() as session:
        target = Moving(read_campaign(opened, file="draft"), 2)
        found = await moves.effects_of(session, target, datetime.now(UTC))
    assert found.summary.counts[Change.NEXT_EARLIER] == 1
    assert found.summary.counts[Change.NEXT_GONE] == 1
    [gone] = found.summary.examples[Change.NEXT_GONE]
    assert gone.case_id == row.id
    await town.ended(await town.begin(await town.publish_document(opened)))
    steps = {name: (await town.case(name)).next_step for name in town.rows}
    assert steps == {"opener": "end.action", "sleeper": "day-3.charge"}
