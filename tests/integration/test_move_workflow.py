"""The workflow of a move by itself: what it asks for and when, with activities that keep a book of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio import activity
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

import contract
import embedded
import registration
from contract import MoveBatch, MoveBatchReport, MoveNote, MoveOrder, MoveRequest, MoveStatus
from plugin import dunwell_plugin, sandbox_runner
from tests.conftest import TIME_SKIPPING
from tests.replay import recording
from workflows.moving import MoveCases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Move = WorkflowHandle[MoveCases, str]
Keep = Callable[[str, Move], Awaitable[None]]
REQUEST = MoveRequest(by="ada@example.com", why="a look first")
SHORT_HISTORY = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


@dataclass
class Book:
    """What the workflow asked its activities for; ``reports`` are answered in turn, the last one ever after."""

    reports: list[MoveBatchReport]
    batches: list[MoveBatch] = field(default_factory=list)
    notes: list[MoveNote] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    @activity.defn(name=contract.MOVE_BATCH)
    async def move_batch(self, batch: MoveBatch) -> MoveBatchReport:
        """Answer with the next report."""
        self.batches.append(batch)
        self.busy.set()
        await self.may_answer.wait()
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]

    @activity.defn(name=contract.NOTE_MOVE)
    async def note_move(self, note: MoveNote) -> None:
        """Write it down."""
        self.notes.append(note)

    @activity.defn(name=contract.FINISH_MOVE)
    async def finish_move(self, move: str) -> str:
        """Write it down."""
        self.finished.append(move)
        return "all are moved"


@asynccontextmanager
async def started(environment: WorkflowEnvironment, book: Book, **order: object) -> AsyncIterator[Move]:
    """Start a move with a worker of its own; no workflow is cached, so that every task replays it."""
    name = uuid.uuid4().hex
    worker = Worker(
        environment.client,
        task_queue=name,
        workflows=[MoveCases],
        activities=[book.move_batch, book.note_move, book.finish_move],
        max_cached_workflows=0,
        workflow_runner=sandbox_runner(),
    )
    async with worker:
        yield await environment.client.start_workflow(
            MoveCases.run,
            MoveOrder.model_validate({"move": name, "pause": timedelta(0), **order}),
            id=f"move/{name}",
            task_queue=name,
        )


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Keep:
    """Give what keeps a move's history to be replayed ever after, where this run is to record."""

    async def keep(name: str, handle: Move) -> None:
        if request.config.getoption("--record"):
            recording.keep(f"move.{name}", (await handle.fetch_history()).to_json())

    return keep


async def said_of(handle: Move) -> MoveStatus:
    return await handle.query(MoveCases.progress)


def after(case: str, **more: object) -> MoveBatchReport:
    return MoveBatchReport.model_validate({"after": case, **more})


async def test_batches_follow_each_other_until_nothing_is_left(skipping: WorkflowEnvironment) -> None:
    book = Book([after("case_b", moved=2), after("case_d", moved=1, refused=1), after("", moved=1, closed=1)])
    async with started(skipping, book, batch=2, at_once=1) as handle:
        assert await handle.result() == "all are moved"
        assert [(batch.after, batch.limit, batch.at_once) for batch in book.batches] == [
            ("", 2, 1),
            ("case_b", 2, 1),
            ("case_d", 2, 1),
        ]
        assert book.finished == [handle.id.removeprefix("move/")]
        told = await said_of(handle)
        assert (told.state, told.moved, told.refused, told.closed, told.passes) == ("done", 4, 1, 1, 1)


async def test_a_move_rests_between_batches_and_looks_again_later_and_later(
    skipping: WorkflowEnvironment,
    kept: Keep,
) -> None:
    left = [after("", left=1) for _ in range(8)]
    book = Book([after("case_b"), *left, after("", opening=True), after("")])
    async with started(skipping, book, pause=timedelta(hours=1)) as handle:
        waits = [timedelta(hours=1)]
        waits += [min(timedelta(seconds=15) * 2**number, timedelta(minutes=15)) for number in range(9)]
        for number, wait in enumerate(waits, start=1):
            await at_rest(handle, book, number)
            await skipping.fast_forward(handle, wait)
        assert await handle.result() == "all are moved"
        assert [batch.after for batch in book.batches] == ["", "case_b", *[""] * 9]
        assert await timers(handle) == waits
        await kept("looked-again", handle)


async def timers(handle: Move) -> list[timedelta]:
    """Read how long a move has rested each time."""
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in (await handle.fetch_history()).events
        if event.HasField("timer_started_event_attributes")
    ]


async def at_rest(handle: Move, book: Book, batches: int) -> None:
    """Wait until so many batches were asked and the move has nothing under way."""
    while True:
        raw = (await handle.describe()).raw_description
        busy = raw.pending_activities or raw.HasField("pending_workflow_task")
        if len(book.batches) >= batches and not busy:
            return
        await asyncio.sleep(0.02)


async def test_a_pause_takes_effect_after_the_batch_that_is_asked_and_is_written_down_first(
    skipping: WorkflowEnvironment,
    kept: Keep,
) -> None:
    book = Book([after("case_b", moved=2), after("", moved=1)])
    book.may_answer.clear()
    async with started(skipping, book) as handle:
        await book.busy.wait()
        pausing = await accepted(handle, contract.PAUSE_MOVE)
        assert book.notes == [], "it was written down before the batch was over"
        book.may_answer.set()
        assert await pausing.result() == "paused"
        move = handle.id.removeprefix("move/")
        assert book.notes == [MoveNote(move=move, state="paused", by=REQUEST.by, why=REQUEST.why)]
        await skipping.fast_forward(handle, timedelta(days=3))
        assert len(book.batches) == 1
        assert (await said_of(handle)).sentence == "ada@example.com: a look first"
        assert await asked(handle, contract.RESUME_MOVE) == "running"
        assert await handle.result() == "all are moved"
        await kept("paused", handle)
        assert [note.state for note in book.notes] == ["paused", "running"]
        assert [batch.after for batch in book.batches] == ["", "case_b"]


async def test_what_makes_no_sense_is_refused_with_the_reason(
    skipping: WorkflowEnvironment, kept: Keep
) -> None:
    book = Book([after("case_b")])
    async with started(skipping, book, pause=timedelta(days=1)) as handle:
        await at_rest(handle, book, 1)
        await refused(handle, contract.RESUME_MOVE, "it is not paused")
        await asked(handle, contract.PAUSE_MOVE)
        await refused(handle, contract.PAUSE_MOVE, "it rests already")
        assert await asked(handle, contract.STOP_MOVE) == "stopped"
        assert await handle.result() == "ada@example.com: a look first"
        await kept("stopped", handle)
    assert [note.state for note in book.notes] == ["paused", "stopped"]
    assert book.finished == []


async def accepted(handle: Move, update: str) -> WorkflowUpdateHandle[str]:
    """Ask, and wait no longer than until the workflow has taken it."""
    return await handle.start_update(
        update, REQUEST, wait_for_stage=WorkflowUpdateStage.ACCEPTED, result_type=str
    )


async def asked(handle: Move, update: str) -> str:
    answer: str = await handle.execute_update(update, REQUEST, result_type=str)
    return answer


async def refused(handle: Move, update: str, why: str) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await asked(handle, update)
    assert isinstance(refusal.value.cause, ApplicationError)
    assert refusal.value.cause.message == why


async def test_whoever_asks_while_the_last_batch_is_asked_is_answered(skipping: WorkflowEnvironment) -> None:
    book = Book([after("", moved=1)])
    book.may_answer.clear()
    async with started(skipping, book) as handle:
        await book.busy.wait()
        stopping = await accepted(handle, contract.STOP_MOVE)
        await refused(handle, contract.PAUSE_MOVE, "it has ended: nothing can be changed any more")
        book.may_answer.set()
        with pytest.raises(WorkflowUpdateFailedError, match="failed"):
            await stopping.result()
        assert await handle.result() == "all are moved"
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert book.notes == []


async def test_cancel_stops_a_move_once_its_batch_is_over(skipping: WorkflowEnvironment, kept: Keep) -> None:
    book = Book([after("case_b", moved=2)])
    book.may_answer.clear()
    async with started(skipping, book) as handle:
        await book.busy.wait()
        await handle.cancel()
        book.may_answer.set()
        assert await handle.result() == "operator: cancelled in Temporal"
        await kept("cancelled", handle)
        assert [(note.state, note.by) for note in book.notes] == [("stopped", "operator")]
        assert (await said_of(handle)).moved == 2


async def test_a_move_that_was_ended_in_the_database_ends_here_too(skipping: WorkflowEnvironment) -> None:
    book = Book([after("case_b", moved=2), after("", over=True)])
    async with started(skipping, book) as handle:
        assert await handle.result() == "it was ended in the database"
        assert (await said_of(handle)).state == "stopped"
    assert (book.finished, book.notes) == ([], [])


@pytest.fixture(scope="module")
async def forgetful() -> AsyncIterator[WorkflowEnvironment]:
    """Give a server that asks for a new run after a few events."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(embedded.find_binary()),
        dev_server_extra_args=[*TIME_SKIPPING, *SHORT_HISTORY],
        dev_server_log_level="error",
        plugins=[dunwell_plugin()],
    )
    async with environment:
        await registration.register(environment.client)
        with environment.with_time_skipping_disabled():
            yield environment
    await asyncio.sleep(0.3)


async def test_a_long_move_goes_on_as_a_new_run_and_neither_forgets_nor_asks_twice(
    forgetful: WorkflowEnvironment,
) -> None:
    names = [f"case_{number:02}" for number in range(30)]
    book = Book([*(after(name, moved=3, refused=1) for name in names), after("", moved=2)])
    async with started(forgetful, book) as handle:
        assert await handle.result() == "all are moved"
        assert [batch.after for batch in book.batches] == ["", *names]
        told = await said_of(forgetful.client.get_workflow_handle_for(MoveCases.run, handle.id))
        assert (told.moved, told.refused, told.state) == (92, 30, "done")
        runs = [run async for run in forgetful.client.list_workflows(f"WorkflowId = '{handle.id}'")]
        assert len(runs) > 2
        last = await forgetful.client.get_workflow_handle(handle.id).fetch_history()
    replayer = Replayer(workflows=[MoveCases], plugins=[dunwell_plugin()])
    await replayer.replay_workflow(last)
