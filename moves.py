"""Moving running cases to another version: what it would do to them, and to begin, pause, resume or stop it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

import contract
import keys
from campaigns.arms import asks_for_engagement
from campaigns.document import NO_TIME
from campaigns.effects import Effect, EffectSummary, Tally, effect_of
from campaigns.moving import Moving, PastRule
from campaigns.story import Story
from contract import MoveOrder, MoveRequest
from errors import BadInput, Conflict, ServerUnavailable
from store import campaigns, engagement
from store import moves as stored
from store.journal import plain
from store.moves import Running, State, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.studio_tables import MoveRow
    from web.desk import Desk

log = structlog.get_logger()

# A connection that is made at its first use fails with the latter two.
UNREACHABLE = (RPCError, OSError, RuntimeError)
# Cases looked at together: few enough that the machine gets to other work in between.
PAGE = 100


@dataclass(frozen=True)
class Effects:
    """What a move would do to all running cases, and who the customers of the examples are, by case."""

    summary: EffectSummary
    people: Mapping[str, Running]


# --- before ----------------------------------------------------------------------------------------


async def effects_of(
    session: AsyncSession,
    target: Moving,
    now: datetime,
    *,
    examples: int = 5,
    most: int | None = None,
    told: Callable[[int], None] | None = None,
) -> Effects:
    """Say what moving a campaign's running cases to a document would do; nothing is written.

    The document of ``target`` may be a draft, and its version is the number that it has or would get. The
    cases are read a page at a time; ``told`` is called with how many have been looked at. No page is begun once
    ``most`` have been: their ids tell nothing of them, so that those stand for all.
    """
    tally = Tally(examples)
    people: dict[str, Running] = {}
    after, seen = "", 0
    while page := await stored.running_page(
        session, target.campaign.name, but=target.version, after=after, limit=PAGE
    ):
        found = await _effects_of_page(session, page, target, now)
        for running, effect in zip(page, found, strict=True):
            if tally.add(effect):
                people[running.case.id] = running
        after, seen = page[-1].case.id, seen + len(page)
        if told is not None:
            told(seen)
        if most is not None and seen >= most:
            break
    return Effects(tally.summary(), people)


async def _effects_of_page(
    session: AsyncSession, page: Sequence[Running], target: Moving, now: datetime
) -> list[Effect]:
    looked_at = []
    for running in page:
        story = Story.model_validate(running.case.story)
        document, _ = await campaigns.version(session, story.campaign, story.version)
        if asks_for_engagement(document) or asks_for_engagement(target.campaign):
            found = await engagement.of_case(session, story.case_id)
            story = story.model_copy(update={"opened_at": found.opened_at, "clicked_at": found.clicked_at})
        looked_at.append((story, document, running.customer.attributes if running.customer else {}))
    # Arithmetic alone: it must not keep everything else in this process waiting.
    return await asyncio.to_thread(
        lambda: [
            effect_of(story, document, target, attributes, now) for story, document, attributes in looked_at
        ]
    )


# --- doing it --------------------------------------------------------------------------------------


async def begin_move(
    desk: Desk,
    campaign: str,
    version: int,
    by: str,
    why: str,
    past: PastRule = PastRule.SKIP,
    spread: timedelta = NO_TIME,
) -> MoveRow:
    """Begin to move every running case of a campaign to a version of it.

    Raises NotKnown for a campaign or version that is not there, BadInput where nobody says who or why, and
    Conflict where another move of this campaign has not ended.
    """
    move_id = f"move_{uuid.uuid4().hex[:12]}"
    asked = _said(by, why)
    wanted = Wanted(campaign, version, asked.by, asked.why, past, spread)
    async with desk.tools.database.begin() as session:
        row = await stored.begin(session, move_id, wanted, desk.now())
    try:
        await _start(desk, row)
    except UNREACHABLE as error:
        async with desk.tools.database.begin() as session:
            said = "Temporal could not be reached to carry it out"
            await stored.turn(session, move_id, State.STOPPED, desk.now(), by="dunwell", why=said)
        raise ServerUnavailable(
            f"move {move_id} was not begun, since Temporal does not answer: begin it again later ({error})"
        ) from error
    log.info("move.begun", move=move_id, campaign=campaign, version=version, cases=row.total, by=by)
    return row


async def pause_move(desk: Desk, move_id: str, by: str, why: str) -> MoveRow:
    """Let a move rest after the cases that it is asking now; raises NotKnown and Conflict."""
    return await _ask(desk, move_id, contract.PAUSE_MOVE, State.PAUSED, by, why)


async def resume_move(desk: Desk, move_id: str, by: str, why: str) -> MoveRow:
    """Let a move go on that rests, or whose workflow was terminated in Temporal; raises NotKnown and Conflict."""
    return await _ask(desk, move_id, contract.RESUME_MOVE, State.RUNNING, by, why)


async def stop_move(desk: Desk, move_id: str, by: str, why: str) -> MoveRow:
    """End a move for good; the cases that were moved stay moved. Raises NotKnown and Conflict."""
    return await _ask(desk, move_id, contract.STOP_MOVE, State.STOPPED, by, why)


def _said(by: str, why: str) -> MoveRequest:
    """Read who asks and why, as every case will write it into its journal; raises BadInput."""
    try:
        return MoveRequest(by=plain(by), why=plain(why))
    except ValidationError:
        raise BadInput(
            "say who asks for this and why, each in no more than 500 letters: every case that moves records it"
        ) from None


async def _ask(desk: Desk, move_id: str, name: str, state: State, by: str, why: str) -> MoveRow:
    """Ask the move's workflow, which writes down what it does; one that is gone is dealt with here."""
    request = _said(by, why)
    async with desk.tools.database.read() as session:
        row = await stored.get(session, move_id)
    if row.finished_at is not None:
        raise Conflict(f"move {move_id} has ended: it is {row.state}")
    handle = desk.temporal.get_workflow_handle(keys.move_workflow_id(move_id))
    try:
        await handle.execute_update(name, request, id=uuid.uuid4().hex, result_type=str)
    except WorkflowUpdateFailedError as error:
        said = error.cause.message if isinstance(error.cause, ApplicationError) else error.cause
        raise Conflict(f"move {move_id}: {said}") from error
    except UNREACHABLE as error:
        if not (isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND):
            raise ServerUnavailable(
                f"move {move_id} could not be told, since Temporal does not answer: try again ({error})"
            ) from error
        await _without_workflow(desk, row, state, request)
    async with desk.tools.database.read() as session:
        return await stored.get(session, move_id)


async def _without_workflow(desk: Desk, row: MoveRow, state: State, request: MoveRequest) -> None:
    """Do what is asked of a move whose workflow was terminated: it is all in the database."""
    async with desk.tools.database.begin() as session:
        await stored.turn(session, row.id, state, desk.now(), by=request.by, why=request.why)
    if state is State.RUNNING:
        await _start(desk, row)


async def _start(desk: Desk, row: MoveRow) -> None:
    """Start the workflow of a move, or leave it as it is where it runs."""
    order = MoveOrder(
        move=row.id,
        batch=desk.settings.moves_batch,
        at_once=desk.settings.moves_at_once,
        pause=timedelta(seconds=desk.settings.moves_pause),
    )
    await desk.temporal.start_workflow(
        contract.MOVE_CASES,
        order,
        id=keys.move_workflow_id(row.id),
        task_queue=desk.queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"Cases of campaign {row.campaign} to version {row.version}",
    )
