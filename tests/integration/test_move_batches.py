"""One batch of a move: whom it takes, what it makes of every answer, and what the database keeps."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

import activities.moving
import keys
from activities.moving import OPENING, PATIENCE, MoveActivities
from campaigns.moving import PastRule
from contract import MoveBatch, MoveBatchReport, MoveNote, MoveToVersion, WishAnswer
from errors import Conflict
from settings import load_settings
from store import audit, campaigns, cases, journal, moves
from store.moves import Became, State, Wanted
from store.tables import CaseRow, CustomerRow
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporalio.client import Client

    from activities.tools import Tools

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SAID: dict[str, Any] = {"by": "ada@example.com", "why": "the milder one"}
DOCUMENT = """\
name: c
steps: [{id: day-1, after: 1 day, message: payment_failed}]
end: {after: %s days, action: cancel_now}
"""
GRANTED = WishAnswer(granted=True, answer="moved from c version 1 to c version 2")


@dataclass
class Book:
    """A Temporal client that asks nobody: what each case answers stands in it, and what each was asked."""

    answers: dict[str, WishAnswer | BaseException] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    wishes: list[MoveToVersion] = field(default_factory=list)

    def get_workflow_handle(self, workflow: str) -> Handle:
        """Find a case's workflow."""
        return Handle(self, workflow)


@dataclass
class Handle:
    """One case's workflow."""

    book: Book
    workflow: str

    async def execute_update(self, _name: str, wish: MoveToVersion, *, id: str, **_how: object) -> WishAnswer:  # noqa: A002 -- the SDK's
        """Write the question down, and give the answer that stands in the book."""
        self.book.asked.append((self.workflow, id))
        self.book.wishes.append(wish)
        answer = self.book.answers.get(self.workflow, GRANTED)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Office:
    """A database with a campaign of two versions, and activities that work in it."""

    tools: Tools
    book: Book = field(default_factory=Book)

    async def add(self, *ids: str, version: int = 1, **more: Any) -> None:
        """Add running cases."""
        async with self.tools.database.begin() as session:
            for name in ids:
                known: dict[str, Any] = {
                    "workflow_id": f"w_{name}",
                    "processor": "sandbox",
                    "account": "main",
                    "invoice": f"in_{name}",
                    "customer": f"cus_{name}",
                    "status": "waiting",
                    "campaign": "c",
                    "campaign_version": version,
                    "reserved_at": NOW - timedelta(days=2),
                    "opened_at": NOW - timedelta(days=2),
                }
                session.add(CaseRow(id=name, **(known | more)))

    async def begin(self, version: int = 2, move: str = "move_1") -> None:
        """Begin a move of the campaign's cases."""
        wanted = Wanted("c", version, **SAID, past=PastRule.ONCE, spread=timedelta(hours=2))
        async with self.tools.database.begin() as session:
            await moves.begin(session, move, wanted, NOW)

    async def batch(
        self, after: str = "", limit: int = 3, now: datetime = NOW, move: str = "move_1"
    ) -> MoveBatchReport:
        """Work one batch, at a time of the server's clock."""
        environment = ActivityEnvironment(cast("Client", self.book))
        environment.info = dataclasses.replace(environment.info, current_attempt_scheduled_time=now)
        work = MoveActivities(self.tools)
        return await environment.run(
            work.move_batch, MoveBatch(move=move, after=after, limit=limit, at_once=2)
        )

    async def change(self, name: str, **values: Any) -> None:
        """Let something become of a case meanwhile."""
        async with self.tools.database.begin() as session:
            row = await cases.get(session, name)
            assert row is not None
            for column, value in values.items():
                setattr(row, column, value)
            session.add(row)

    async def found(self) -> dict[str, tuple[str, str]]:
        """Give what became of each case, with the answer."""
        async with self.tools.database.read() as session:
            outcomes = await moves.outcomes(session, "move_1")
        return {item.row.case_id: (item.row.state, item.row.answer) for item in outcomes}

    async def progress(self) -> moves.Progress:
        """Count."""
        async with self.tools.database.read() as session:
            return await moves.progress(session, "move_1")


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    settings = load_settings(
        database_url=database_url,
        sandbox_file=tmp_path / "sandbox.db",
        mail_folder=tmp_path,
        secret_key="a key for links that only tests sign",
    )
    async with open_tools(settings, NOW) as tools:
        async with tools.database.begin() as session:
            for days in ("14", "20"):
                said: dict[str, Any] = {"file": "c", "author": "tests", "note": "", "now": NOW}
                await campaigns.publish(session, DOCUMENT % days, **said)
        yield Office(tools)


async def test_batches_walk_through_the_cases_by_id_and_ask_each_under_the_moves_id(office: Office) -> None:
    await office.add("a", "b", "c", "d", "e")
    await office.begin()
    first = await office.batch()
    assert first == MoveBatchReport(after="c", moved=3)
    assert await office.batch(first.after) == MoveBatchReport(after="", moved=2)
    assert office.book.asked == [(f"w_{name}", keys.move_update_id("move_1")) for name in "abcde"]
    expected = MoveToVersion(**SAID, version=2, campaign="c", past=PastRule.ONCE, spread=timedelta(hours=2))
    assert office.book.wishes == [expected] * 5
    assert await office.found() == dict.fromkeys("abcde", (Became.MOVED, GRANTED.answer))
    # Their rows say version 1 still, since nobody moved them here: none is asked again all the same.
    assert await office.batch() == MoveBatchReport(after="")
    assert len(office.book.asked) == 5


@pytest.mark.parametrize(
    ("answer", "became", "text"),
    [
        (WishAnswer(granted=False, answer="the case has ended"), Became.REFUSED, "the case has ended"),
        (
            WorkflowUpdateFailedError(ApplicationError("nothing to see", type="Odd")),
            Became.REFUSED,
            "nothing to see",
        ),
        (TimeoutError(), Became.ASKED, ""),
        (WorkflowUpdateRPCTimeoutOrCancelledError(), Became.ASKED, ""),
        (RPCError("away", RPCStatusCode.UNAVAILABLE, b""), Became.ASKED, ""),
        (RPCError("broken", RPCStatusCode.INTERNAL, b""), Became.ASKED, ""),
    ],
    ids=["refused", "failed", "busy", "cut off", "Temporal away", "Temporal in trouble"],
)
async def test_an_answer_is_written_down_and_trouble_of_one_case_stops_no_other(
    office: Office, answer: WishAnswer | BaseException, became: Became, text: str
) -> None:
    await office.add("a", "b", "c")
    await office.begin()
    office.book.answers["w_b"] = answer
    report = await office.batch(limit=10)
    left = int(became is Became.ASKED)
    assert report == MoveBatchReport(after="", moved=2, refused=1 - left, left=left)
    assert await office.found() == {
        "a": (Became.MOVED, GRANTED.answer),
        "b": (became, text),
        "c": (Became.MOVED, GRANTED.answer),
    }


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "lost"])
@pytest.mark.parametrize(
    "error",
    [
        RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b""),
        WorkflowUpdateFailedError(ApplicationError("closed", type="CaseClosed")),
        WorkflowUpdateFailedError(ApplicationError("too late", type="AcceptedUpdateCompletedWorkflow")),
    ],
    ids=["gone", "over", "ended meanwhile"],
)
async def test_a_case_whose_workflow_has_closed_is_recorded_as_that_or_told_to_a_person_as_lost(
    office: Office, error: BaseException, *, is_closed: bool
) -> None:
    await office.add("a", "b")
    await office.begin()
    office.book.answers["w_a"] = error
    async with office.tools.database.begin() as session:
        await moves.claim(session, await moves.get(session, "move_1"), "", 10, NOW)
    if is_closed:
        await office.change("a", closed_at=NOW, sentence="cancelled by customer")
    report = await office.batch(now=NOW + timedelta(minutes=1))
    assert (report.moved, report.closed, report.refused) == (1, int(is_closed), int(not is_closed))
    lost = "case a is open in the database, but its workflow w_a is gone from Temporal"
    assert (await office.found())["a"] == (
        (Became.CLOSED, "the case is closed: cancelled by customer") if is_closed else (Became.REFUSED, lost)
    )
    async with office.tools.database.read() as session:
        alerts = [(alert.kind, alert.text) for alert in await journal.alerts(session)]
    assert alerts == ([] if is_closed else [("case lost", lost)])


async def test_a_case_that_moved_while_nobody_heard_its_answer_is_not_asked_again(office: Office) -> None:
    await office.add("a", "b")
    await office.begin()
    office.book.answers |= {"w_a": TimeoutError(), "w_b": TimeoutError()}
    assert (await office.batch()).left == 2
    await office.change("a", campaign_version=2)
    await office.change("b", campaign_version=2)
    async with office.tools.database.begin() as session:
        key = f"wish.{keys.move_update_id('move_1')}"
        await journal.enter(session, "a", key, journal.WISH, "granted: moved; next: charge", NOW)
    assert await office.batch(now=NOW + timedelta(minutes=1)) == MoveBatchReport(after="", moved=2)
    assert len(office.book.asked) == 2
    assert await office.found() == {
        "a": (Became.MOVED, "granted: moved; next: charge"),
        "b": (Became.MOVED, "the case runs on version 2 already"),
    }


async def test_a_case_that_never_answers_is_left_behind_after_a_day(office: Office) -> None:
    await office.add("a", "b")
    await office.begin()
    office.book.answers["w_a"] = TimeoutError()
    almost = NOW + PATIENCE - timedelta(seconds=1)
    assert await office.batch() == MoveBatchReport(after="", moved=1, left=1)
    assert await office.batch(now=almost) == MoveBatchReport(after="", left=1)
    assert await office.batch(now=NOW + PATIENCE) == MoveBatchReport(after="", unanswered=1)
    assert (await office.found())["a"][0] == Became.UNANSWERED
    assert len(office.book.asked) == 4


async def test_what_was_written_down_first_stays(office: Office) -> None:
    await office.add("a")
    await office.begin()
    await office.batch()
    async with office.tools.database.begin() as session:
        await moves.settle(session, "move_1", "a", Became.REFUSED, "once more", NOW)
    assert await office.found() == {"a": (Became.MOVED, GRANTED.answer)}


# --- which cases -----------------------------------------------------------------------------------


async def test_only_running_cases_of_the_campaign_that_are_not_on_the_version_are_asked(
    office: Office,
) -> None:
    await office.add("a")
    await office.add("moved", version=2)
    await office.add("closed", closed_at=NOW, outcome="recovered")
    await office.add("ended", outcome="exhausted")
    await office.add("other", campaign="another")
    await office.begin()
    assert (await office.progress()).total == 1
    assert await office.batch(limit=10) == MoveBatchReport(after="", moved=1)
    assert list(await office.found()) == ["a"]


async def test_a_case_that_opened_on_the_old_version_while_the_move_ran_is_found(office: Office) -> None:
    await office.add("b")
    await office.begin()
    await office.add("unopened", campaign="", opened_at=None, reserved_at=NOW)
    first = await office.batch()
    assert (first.moved, first.left, first.opening) == (1, 0, True)
    # It had read the version that was current before, and stands before the one that was asked.
    await office.change("unopened", campaign="c", campaign_version=1, opened_at=NOW)
    await office.add("a", reserved_at=NOW + timedelta(seconds=5))
    second = await office.batch(now=NOW + timedelta(seconds=15))
    assert second == MoveBatchReport(after="", moved=2)
    assert set(await office.found()) == {"a", "b", "unopened"}


async def test_a_case_that_nobody_can_open_keeps_no_move_from_its_end(office: Office) -> None:
    await office.begin()
    await office.add("unopened", campaign="", opened_at=None)
    assert (await office.batch()).opening
    assert not (await office.batch(now=NOW + OPENING)).opening


async def test_cases_that_opened_later_on_a_later_version_are_left_there(office: Office) -> None:
    await office.add("early", "earlier", version=2)
    await office.add("old")
    await office.begin(version=1)
    await office.add("late", version=2, reserved_at=NOW + timedelta(minutes=1))
    assert (await office.batch(limit=10)).moved == 2
    assert set(await office.found()) == {"early", "earlier"}


# --- the move itself -------------------------------------------------------------------------------


async def test_a_campaign_has_one_move_at_a_time_whoever_begins_another(office: Office) -> None:
    await office.begin()
    with pytest.raises(Conflict, match="move move_1 to version 2 is running for campaign 'c'"):
        await office.begin(version=1, move="move_2")
    async with office.tools.database.begin() as session:
        assert await moves.turn(session, "move_1", State.STOPPED, NOW, **SAID)
    await office.begin(version=1, move="move_2")
    async with office.tools.database.read() as session:
        assert {row.id: row.state for row in await moves.listing(session, "c")} == {
            "move_1": State.STOPPED,
            "move_2": State.RUNNING,
        }
        going = await moves.going_on(session, "c")
    assert going is not None
    assert going.id == "move_2"


async def test_a_change_is_written_to_the_audit_log_once_however_often_the_activity_is_tried(
    office: Office,
) -> None:
    await office.begin()
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, current_attempt_scheduled_time=NOW)
    work = MoveActivities(office.tools)
    for state in ("paused", "paused", "running", "stopped", "running", "stopped"):
        await environment.run(work.note_move, MoveNote(move="move_1", state=state, **SAID))
    sentence = await environment.run(work.finish_move, "move_1")
    assert sentence == "there was no case to move"
    async with office.tools.database.read() as session:
        entries = await audit.listing(session, audit.of_move("move_1"))
        move = await moves.get(session, "move_1")
    assert [entry.action for entry in reversed(entries)] == [
        "move begun",
        "move paused",
        "move resumed",
        "move stopped",
    ]
    assert (move.state, move.finished_at) == (State.STOPPED, NOW)


async def test_a_move_that_has_ended_asks_nobody(office: Office) -> None:
    await office.add("a")
    await office.begin()
    async with office.tools.database.begin() as session:
        await moves.turn(session, "move_1", State.STOPPED, NOW, **SAID)
    assert await office.batch() == MoveBatchReport(after="", over=True)
    assert office.book.asked == []
    with pytest.raises(ApplicationError, match="no move is called 'move_2'") as refused:
        await office.batch(move="move_2")
    assert refused.value.non_retryable


async def test_progress_is_told_in_numbers_and_in_a_sentence(office: Office) -> None:
    await office.add("a", "b", "c", "d")
    await office.begin()
    office.book.answers |= {"w_b": WishAnswer(granted=False, answer="no"), "w_c": TimeoutError()}
    await office.batch()
    found = await office.progress()
    assert (found.moved, found.refused, found.left, found.settled, found.total) == (1, 1, 2, 2, 4)
    assert moves.spell_progress(found) == "4 cases: 1 moved, 1 refused, 2 to come"


async def test_outcomes_come_by_page_and_kind_and_with_names(office: Office) -> None:
    await office.add("a", "b", "c")
    async with office.tools.database.begin() as session:
        key: dict[str, Any] = {"processor": "sandbox", "account": "main", "updated_at": NOW}
        session.add(CustomerRow(id="cus_a", name="Ada Byron", email="ada@example.com", **key))
        session.add(CustomerRow(id="cus_b", email="bob@example.com", **key))
    await office.begin()
    office.book.answers["w_c"] = WishAnswer(granted=False, answer="no")
    await office.batch()
    async with office.tools.database.read() as session:
        page = await moves.outcomes(session, "move_1", limit=2)
        rest = await moves.outcomes(session, "move_1", limit=2, after=page[-1].row.number or 0)
        refusals = await moves.outcomes(session, "move_1", Became.REFUSED)
    assert [item.running.name for item in page] == ["Ada Byron", "bob@example.com"]
    assert [item.running.name for item in rest] == ["cus_c"]
    assert [(item.row.case_id, item.row.answer, item.row.from_version) for item in refusals] == [
        ("c", "no", 1)
    ]


async def test_no_answer_within_the_time_counts_as_none(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.add("a")
    await office.begin()

    class Silent(Handle):
        async def execute_update(self, *_: Any, **__: Any) -> WishAnswer:
            await asyncio.Event().wait()
            return GRANTED

    monkeypatch.setattr(activities.moving, "ONE_ANSWER", timedelta(milliseconds=20))
    monkeypatch.setattr(office.book, "get_workflow_handle", lambda workflow: Silent(office.book, workflow))
    assert (await office.batch()).left == 1
