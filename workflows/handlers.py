"""What can be said to a running case: signals for facts, updates (and signals) for wishes.

Handlers only put what arrives into the inbox; the one loop in ``recovery.py`` decides. Signals are
taken as they came, so that a malformed one is recorded by the case and not dropped by the SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contract import (
        Approve,
        FactName,
        MoveToVersion,
        News,
        PauseCase,
        Reschedule,
        ResumeCase,
        RetryNow,
        SkipStep,
        Wish,
        WishAnswer,
        WishName,
    )

# The default of every signal's argument: a signal sent by hand without one must not stop the case.
NOTHING = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{}"))
PATIENCE = timedelta(minutes=10)


class Handlers:
    """The doors of a case; ``RecoverPayment`` inherits them."""

    def __init__(self) -> None:
        self._inbox: list[News] = []
        self._answers: dict[str, WishAnswer] = {}
        self._received = 0

    def _receive(self, name: str, value: RawValue) -> None:
        """Put a signal into the inbox as its JSON text, whatever it holds."""
        body = value.payload.data.decode(errors="replace") or "{}"
        if self._is_the_start(name, body):
            return
        self._received += 1
        news_id = f"{workflow.info().run_id}.{self._received}"
        self._inbox.append(News(id=news_id, name=name, body=body, at=workflow.now()))

    async def _ask(self, name: WishName, wish: Wish) -> WishAnswer:
        """Put a wish into the inbox and wait until the loop has answered it."""
        update = workflow.current_update_info()
        assert update is not None
        body = wish.model_dump_json(exclude_unset=True)
        self._inbox.append(News(id=update.id, name=name, body=body, at=workflow.now()))
        await workflow.wait_condition(lambda: update.id in self._answers)
        return self._answers[update.id]

    def _refuse_if_over(self, _wish: Wish) -> None:
        """Refuse a wish at once where no answer of the loop is needed."""
        if self._over():
            message = "the case is closed: a wish can change nothing any more"
            raise ApplicationError(message, type="CaseClosed")

    def _over(self) -> bool:
        raise AssertionError

    def _is_the_start(self, _name: str, _body: str) -> bool:
        """Whether a signal is the very report that started the case."""
        raise AssertionError

    # --- facts -----------------------------------------------------------------------------------

    @workflow.signal(name=FactName.PAYMENT_FAILED, description="Another charge of the invoice failed.")
    def payment_failed(self, fact: RawValue = NOTHING) -> None:
        """Take the report of a failed charge."""
        self._receive(FactName.PAYMENT_FAILED, fact)

    @workflow.signal(name=FactName.PAYMENT_SUCCEEDED, description="The invoice is said to be paid.")
    def payment_succeeded(self, fact: RawValue = NOTHING) -> None:
        """Take the report of a payment."""
        self._receive(FactName.PAYMENT_SUCCEEDED, fact)

    @workflow.signal(name=FactName.CARD_UPDATED, description="The customer gave a card: charge it now.")
    def card_updated(self, fact: RawValue = NOTHING) -> None:
        """Take the report of a new card."""
        self._receive(FactName.CARD_UPDATED, fact)

    @workflow.signal(name=FactName.CANCEL, description="The subscription was cancelled; say by whom and why.")
    def cancel(self, fact: RawValue = NOTHING) -> None:
        """Take the report of a cancellation."""
        self._receive(FactName.CANCEL, fact)

    @workflow.signal(name=FactName.INVOICE_CHANGED, description="The invoice changed: read it again.")
    def invoice_changed(self, fact: RawValue = NOTHING) -> None:
        """Take the report of a change."""
        self._receive(FactName.INVOICE_CHANGED, fact)

    @workflow.signal(name=FactName.PROMISE_TO_PAY, description="The customer named a day to be charged on.")
    def promise_to_pay(self, fact: RawValue = NOTHING) -> None:
        """Take a promise."""
        self._receive(FactName.PROMISE_TO_PAY, fact)

    @workflow.signal(dynamic=True)
    def any_other(self, name: str, values: Sequence[RawValue]) -> None:
        """Take a signal of any other name: a wish sent in bulk, or one that is recorded as not understood."""
        self._receive(name, values[0] if values else NOTHING)

    # --- wishes ----------------------------------------------------------------------------------

    @workflow.update(name=WishName.RETRY_NOW, description="Charge the card on file now. Say who and why.")
    async def retry_now(self, wish: RetryNow) -> WishAnswer:
        """Charge now."""
        return await self._ask(WishName.RETRY_NOW, wish)

    @workflow.update(name=WishName.SKIP_STEP, description="Leave out one step of the campaign.")
    async def skip_step(self, wish: SkipStep) -> WishAnswer:
        """Skip a step."""
        return await self._ask(WishName.SKIP_STEP, wish)

    @workflow.update(name=WishName.PAUSE, description="Stop everything scheduled, until a time or a resume.")
    async def pause(self, wish: PauseCase) -> WishAnswer:
        """Pause."""
        return await self._ask(WishName.PAUSE, wish)

    @workflow.update(name=WishName.RESUME, description="Go on after a pause.")
    async def resume(self, wish: ResumeCase) -> WishAnswer:
        """Resume."""
        return await self._ask(WishName.RESUME, wish)

    @workflow.update(name=WishName.RESCHEDULE, description="Move one step, or the end, to another time.")
    async def reschedule(self, wish: Reschedule) -> WishAnswer:
        """Move a step."""
        return await self._ask(WishName.RESCHEDULE, wish)

    @workflow.update(name=WishName.APPROVE, description="Let a case go on that waits for a person.")
    async def approve(self, wish: Approve) -> WishAnswer:
        """Approve."""
        return await self._ask(WishName.APPROVE, wish)

    @workflow.update(name=WishName.MOVE_TO_VERSION, description="Go on with another version of a campaign.")
    async def move_to_version(self, wish: MoveToVersion) -> WishAnswer:
        """Move to another version."""
        return await self._ask(WishName.MOVE_TO_VERSION, wish)

    @retry_now.validator
    def _may_retry(self, wish: RetryNow) -> None:
        self._refuse_if_over(wish)

    @skip_step.validator
    def _may_skip(self, wish: SkipStep) -> None:
        self._refuse_if_over(wish)

    @pause.validator
    def _may_pause(self, wish: PauseCase) -> None:
        self._refuse_if_over(wish)

    @resume.validator
    def _may_resume(self, wish: ResumeCase) -> None:
        self._refuse_if_over(wish)

    @reschedule.validator
    def _may_reschedule(self, wish: Reschedule) -> None:
        self._refuse_if_over(wish)

    @approve.validator
    def _may_approve(self, wish: Approve) -> None:
        self._refuse_if_over(wish)

    @move_to_version.validator
    def _may_move(self, wish: MoveToVersion) -> None:
        self._refuse_if_over(wish)
