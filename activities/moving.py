"""Moving running cases to another version: each is asked by its own workflow's update, and its answer kept."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

import contract
import keys
from activities.tools import give_up, virtual_now
from campaigns.moving import PastRule
from contract import MoveBatch, MoveBatchReport, MoveNote, MoveToVersion, WishAnswer, WishName
from errors import NotKnown
from store import cases, journal, moves
from store.moves import Became, Claimed, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.tools import Tools
    from store.studio_tables import MoveRow
    from store.tables import CaseRow

log = structlog.get_logger()

# A case that is busy with its processor answers later; the others are not kept waiting for it.
ONE_ANSWER = timedelta(seconds=10)
HEARTBEAT = timedelta(seconds=3)
# A case that cannot answer for so long is left behind; it still moves when it can.
PATIENCE = timedelta(hours=24)
# Longer than one try to open a case: one that chose the version before is there by then.
OPENING = timedelta(seconds=100)
# How the server, or the case's run, says that an update came too late for the workflow.
ENDED_MEANWHILE = frozenset({"CaseClosed", "AcceptedUpdateCompletedWorkflow"})


@dataclass(frozen=True)
class Answer:
    """What a case answered; ``lost`` says that its workflow is gone although the case is open."""

    became: Became
    text: str
    lost: bool = False


class MoveActivities:
    """What a move does outside: it asks cases, and writes down what they answer."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    @activity.defn(name=contract.MOVE_BATCH)
    async def move_batch(self, batch: MoveBatch) -> MoveBatchReport:
        """Ask the next cases, a few at a time, and write down what each answers.

        Whatever becomes of this try, a case is asked under one id only, and what it answered first stays.
        """
        now = virtual_now()
        async with self._tools.database.begin() as session:
            move = await _known(session, batch.move)
            if move.finished_at is not None:
                return MoveBatchReport(after="", over=True)
            found = await moves.claim(session, move, batch.after, batch.limit, now)
        async with _heartbeats():
            answers = await self._ask_all(move, found, batch.at_once, now)
        counts = {became: sum(answer is became for answer in answers) for became in Became}
        report = MoveBatchReport(
            after=found[-1].case.id if len(found) == batch.limit else "",
            moved=counts[Became.MOVED],
            refused=counts[Became.REFUSED],
            closed=counts[Became.CLOSED],
            unanswered=counts[Became.UNANSWERED],
        )
        log.info("move.batch", move=move.id, cases=len(found), **{str(k): n for k, n in counts.items() if n})
        if report.after:
            return report
        async with self._tools.database.read() as session:
            left = (await moves.progress(session, move.id)).left
            opening = now < move.started_at + OPENING and await moves.being_opened(session)
        return report.model_copy(update={"left": left, "opening": opening})

    @activity.defn(name=contract.NOTE_MOVE)
    async def note_move(self, note: MoveNote) -> None:
        """Write down that a move rests, goes on, or was stopped, by whom and why."""
        async with self._tools.database.begin() as session:
            await moves.turn(session, note.move, State(note.state), virtual_now(), by=note.by, why=note.why)
        log.info("move.turned", move=note.move, state=note.state, by=note.by, why=note.why)

    @activity.defn(name=contract.FINISH_MOVE)
    async def finish_move(self, move_id: str) -> str:
        """Write down that a move has come to its end; gives the sentence that sums it up."""
        async with self._tools.database.begin() as session:
            progress = await moves.progress(session, move_id)
            sentence = moves.spell_progress(progress)
            await moves.turn(session, move_id, State.DONE, virtual_now(), by="dunwell", why=sentence)
        log.info("move.done", move=move_id, text=sentence)
        return sentence

    async def _ask_all(
        self, move: MoveRow, found: Sequence[Claimed], at_once: int, now: datetime
    ) -> list[Became]:
        room = asyncio.Semaphore(at_once)

        async def one(claimed: Claimed) -> Became:
            async with room:
                return await self._ask_and_keep(move, claimed, now)

        return await asyncio.gather(*(one(claimed) for claimed in found))

    async def _ask_and_keep(self, move: MoveRow, claimed: Claimed, now: datetime) -> Became:
        case = claimed.case
        answer = await self._answered_already(move, case) if claimed.again else None
        answer = answer or await self._ask(move, case)
        if answer is None and now - claimed.asked_at >= PATIENCE:
            text = "it was busy with its processor all the time; it still moves when it can"
            answer = Answer(Became.UNANSWERED, text)
        if answer is None:
            return Became.ASKED
        async with self._tools.database.begin() as session:
            await moves.settle(session, move.id, case.id, answer.became, answer.text, now)
            if answer.lost:
                await journal.alert(session, f"{case.id}.lost", "case lost", answer.text, now, case.id)
        return answer.became

    async def _answered_already(self, move: MoveRow, case: CaseRow) -> Answer | None:
        """Find the answer of a case that was asked by a worker that died before it could write it down."""
        async with self._tools.database.read() as session:
            row = await cases.get(session, case.id)
            said = await moves.answer_of(session, case.id, keys.move_update_id(move.id))
        assert row is not None
        if row.closed_at is not None:
            return Answer(Became.CLOSED, f"the case is closed: {row.sentence}")
        if (row.campaign, row.campaign_version) == (move.campaign, move.version):
            return Answer(Became.MOVED, said or f"the case runs on version {move.version} already")
        return None

    async def _ask(self, move: MoveRow, case: CaseRow) -> Answer | None:
        """Put the wish to a case; None where no answer came in time, or Temporal was in trouble."""
        wish = MoveToVersion(
            by=move.by,
            why=move.why,
            version=move.version,
            campaign=move.campaign,
            past=PastRule(move.past),
            spread=timedelta(seconds=move.spread_seconds),
        )
        handle = activity.client().get_workflow_handle(case.workflow_id)
        try:
            async with asyncio.timeout(ONE_ANSWER.total_seconds()):
                said: WishAnswer = await handle.execute_update(
                    WishName.MOVE_TO_VERSION, wish, id=keys.move_update_id(move.id), result_type=WishAnswer
                )
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            return None
        except WorkflowUpdateFailedError as error:
            return await self._after_failure(case, error)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return await self._gone(case)
            log.warning("move.trouble", move=move.id, case=case.id, error=str(error))
            return None
        return Answer(Became.MOVED if said.granted else Became.REFUSED, said.answer)

    async def _after_failure(self, case: CaseRow, error: WorkflowUpdateFailedError) -> Answer:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type in ENDED_MEANWHILE:
            return await self._gone(case)
        said = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
        return Answer(Became.REFUSED, said)

    async def _gone(self, case: CaseRow) -> Answer:
        """Say why a case's workflow takes no wish: it has closed, or somebody terminated it."""
        async with self._tools.database.read() as session:
            row = await cases.get(session, case.id)
        assert row is not None
        if row.closed_at is not None:
            return Answer(Became.CLOSED, f"the case is closed: {row.sentence}")
        text = f"case {case.id} is open in the database, but its workflow {case.workflow_id} is gone from Temporal"
        return Answer(Became.REFUSED, text, lost=True)


async def _known(session: AsyncSession, move_id: str) -> MoveRow:
    try:
        return await moves.get(session, move_id)
    except NotKnown as error:
        raise give_up(error) from error


@contextlib.asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Let the server know, while cases are asked, that this worker lives."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT.total_seconds())

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
