"""Moves running cases to another version of their campaign, batch by batch, until none is left.

What is to be moved, and what became of each case, stands in the database; this keeps only where it is, so
that a move of any size can be paused, resumed and stopped, and outlives every worker.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import contract
    from contract import MoveBatch, MoveBatchReport, MoveNote, MoveOrder, MoveRequest, MoveStatus

Result = TypeVar("Result")

RUNNING, PAUSED, STOPPED, DONE = "running", "paused", "stopped", "done"
ENDED = frozenset({STOPPED, DONE})
OVER = "it has ended: nothing can be changed any more"

# A batch of the largest size, none of whose cases answers.
ONE_BATCH = timedelta(minutes=15)
HEARTBEAT_TIMEOUT = timedelta(seconds=15)
# Trouble with the database passes: a move waits for it as long as it takes.
RETRIES = RetryPolicy(maximum_interval=timedelta(minutes=1))
# Between two passes, when some cases have not answered: longer each time, up to a limit.
FIRST_LOOK = timedelta(seconds=15)
LONGEST_LOOK = timedelta(minutes=15)


@workflow.defn(name=contract.MOVE_CASES)
class MoveCases:
    """One move of the running cases of one campaign to one version of it."""

    @workflow.init
    def __init__(self, order: MoveOrder) -> None:
        """Make all state before the first request is handled."""
        self._at = order.carried or MoveStatus(move=order.move)
        # What was asked for last; ``_at.state`` follows once it is written down.
        self._wanted = self._at.state
        self._requests: list[MoveNote] = []
        self._noted = 0
        self._received = 0

    @workflow.run
    async def run(self, order: MoveOrder) -> str:
        """Ask every case, and give the sentence that sums up what became of them."""
        while self._at.state not in ENDED:
            if self._requests:
                await self._note(self._requests[0])
            elif self._at.state == PAUSED:
                await self._wait(None, f"Paused: {self._at.sentence}")
            elif workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished():
                workflow.continue_as_new(order.model_copy(update={"carried": self._at}))
            else:
                await self._ask_a_batch(order)
        if self._at.state == DONE:
            sentence = await self._keep_at(
                contract.FINISH_MOVE, order.move, str, "Write down what became of all"
            )
            self._at = self._at.model_copy(update={"sentence": sentence})
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._at.sentence

    @workflow.query(name=contract.PROGRESS, description="How far the move is.")
    def progress(self) -> MoveStatus:
        """Tell how far the move is."""
        return self._at

    # --- the turns of the loop -------------------------------------------------------------------

    async def _ask_a_batch(self, order: MoveOrder) -> None:
        batch = MoveBatch(move=order.move, after=self._at.after, limit=order.batch, at_once=order.at_once)
        summary = f"Ask the next {order.batch} cases" + (f" after {batch.after}" if batch.after else "")
        report = await self._keep_at(contract.MOVE_BATCH, batch, MoveBatchReport, summary)
        self._at = self._at.model_copy(
            update={
                "after": report.after,
                "moved": self._at.moved + report.moved,
                "refused": self._at.refused + report.refused,
                "closed": self._at.closed + report.closed,
                "unanswered": self._at.unanswered + report.unanswered,
                "passes": self._at.passes + (not report.after),
            }
        )
        self._tell()
        if report.over:
            self._at = self._at.model_copy(
                update={"state": STOPPED, "sentence": "it was ended in the database"}
            )
        elif report.after:
            await self._wait(order.pause, "Between two batches")
        elif report.left or report.opening:
            why = f"{report.left} cases have not answered" if report.left else "cases are being opened"
            length = min(FIRST_LOOK * 2 ** min(self._at.passes - 1, 10), LONGEST_LOOK)
            await self._wait(length, f"Look again: {why}")
        else:
            self._at = self._at.model_copy(update={"state": DONE})

    async def _note(self, note: MoveNote) -> None:
        """Write a person's request down before it is answered, so that every page tells the same."""
        await self._keep_at(contract.NOTE_MOVE, note, None, f"{note.state}: {note.by}, {note.why}")
        self._requests.pop(0)
        self._noted += 1
        self._at = self._at.model_copy(update={"state": note.state, "sentence": f"{note.by}: {note.why}"})
        self._tell()

    async def _keep_at(
        self, name: str, argument: MoveBatch | MoveNote | str, result: type[Result] | None, summary: str
    ) -> Result:
        """Wait for an activity even through the UI's Cancel, which stops the move once it has ended."""
        handle = workflow.start_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=ONE_BATCH,
            heartbeat_timeout=HEARTBEAT_TIMEOUT if name == contract.MOVE_BATCH else None,
            retry_policy=RETRIES,
            summary=summary[:200],
        )
        while True:
            try:
                found: Result = await asyncio.shield(handle)
            except asyncio.CancelledError:
                self._cancelled_by_operator()
            else:
                return found

    async def _wait(self, length: timedelta | None, summary: str) -> None:
        """Sleep until a time, or until somebody asks for something."""
        if length == timedelta(0):
            return
        try:
            await workflow.wait_condition(
                lambda: bool(self._requests), timeout=length, timeout_summary=summary[:200]
            )
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._cancelled_by_operator()

    def _cancelled_by_operator(self) -> None:
        """Take the Temporal UI's own Cancel for a stop."""
        why = workflow.cancellation_reason() or "cancelled in Temporal"
        self._receive(STOPPED, MoveRequest(by="operator", why=why))

    def _tell(self) -> None:
        at = self._at
        workflow.set_current_details(
            f"**{at.state}** {at.sentence}\n\n{at.moved} moved, {at.refused} refused, {at.closed} closed"
            f" meanwhile, {at.unanswered} without an answer"
        )

    # --- what people ask for ---------------------------------------------------------------------

    def _receive(self, state: str, request: MoveRequest) -> int:
        self._wanted = state
        self._received += 1
        self._requests.append(MoveNote(move=self._at.move, state=state, by=request.by, why=request.why))
        return self._received

    async def _answer(self, state: str, request: MoveRequest) -> str:
        """Put a request to the loop, and answer when it is written down."""
        number = self._receive(state, request)
        await workflow.wait_condition(lambda: self._noted >= number or self._at.state in ENDED)
        if self._noted < number:
            raise ApplicationError(OVER, type="MoveEnded")
        return state

    @workflow.update(name=contract.PAUSE_MOVE, description="Let the move rest. Say who and why.")
    async def pause(self, request: MoveRequest) -> str:
        """Rest after the batch that is being asked."""
        return await self._answer(PAUSED, request)

    @workflow.update(name=contract.RESUME_MOVE, description="Let the move go on.")
    async def resume(self, request: MoveRequest) -> str:
        """Go on after a pause."""
        return await self._answer(RUNNING, request)

    @workflow.update(name=contract.STOP_MOVE, description="End the move; what was moved stays moved.")
    async def stop(self, request: MoveRequest) -> str:
        """End after the batch that is being asked."""
        return await self._answer(STOPPED, request)

    @pause.validator
    def _may_pause(self, request: MoveRequest) -> None:  # noqa: ARG002 -- as the update has it
        self._refuse_unless(RUNNING, "rests already")

    @resume.validator
    def _may_resume(self, request: MoveRequest) -> None:  # noqa: ARG002 -- likewise
        self._refuse_unless(PAUSED, "is not paused")

    @stop.validator
    def _may_stop(self, request: MoveRequest) -> None:  # noqa: ARG002 -- likewise
        self._refuse_unless(None, "")

    def _refuse_unless(self, state: str | None, otherwise: str) -> None:
        if self._at.state in ENDED or self._wanted in ENDED:
            raise ApplicationError(OVER, type="MoveEnded")
        if state is not None and self._wanted != state:
            raise ApplicationError(f"it {otherwise}", type="MoveNotSo")
