"""The recovery of one failed payment: wait until the next step is due or something happens, do it, repeat.

This is an interpreter of plans and knows no campaign. What comes next, when and why is worked out
behind activities and may change on any day; this file may not, without a patch and a replay of the
stored histories.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.exceptions import TimeoutError as TemporalTimeout

with workflow.unsafe.imports_passed_through():
    import contract
    import search
    from campaigns.story import Action, Outcome, Plan, Trigger
    from contract import (
        Attributes,
        Carried,
        CaseResult,
        CaseStatus,
        FactName,
        Line,
        News,
        OpenCase,
        Order,
        Report,
        Trouble,
    )
    from workflows import reading
    from workflows.handlers import Handlers

if TYPE_CHECKING:
    from collections.abc import Callable

# Longer than any HTTP call of an activity, so that only a dead worker lets it pass.
ONE_TRY = timedelta(seconds=90)
ACTIVITIES = {
    Action.CHARGE: contract.RETRY_PAYMENT,
    Action.MESSAGE: contract.SEND_MESSAGE,
    Action.ACCESS: contract.SET_ACCESS,
    Action.ALERT: contract.ALERT_TEAM,
    Action.END: contract.END_SUBSCRIPTION,
    Action.LOOK: contract.CHECK_INVOICE,
}
# A charge that the customer is waiting for goes before those of the schedule.
HURRY = {Trigger.CARD_UPDATED, Trigger.CUSTOMER, Trigger.OPERATOR}
RETRIES = RetryPolicy(
    initial_interval=contract.FIRST_RETRY,
    backoff_coefficient=2.0,
    maximum_interval=contract.LONGEST_RETRY,
    maximum_attempts=contract.TECHNICAL_TRIES,
)
LOCAL_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4)


@workflow.defn(name=contract.RECOVER_PAYMENT)
class RecoverPayment(Handlers):
    """One episode of one failed invoice, from the failure to its outcome."""

    @workflow.init
    def __init__(self, order: OpenCase) -> None:
        """Make all state before the first signal is handled."""
        super().__init__()
        self._order = order
        self._report: Report | None = None
        self._timeline: list[Line] = []
        self._trouble: str | None = None
        started_with = workflow.info().typed_search_attributes
        self._attributes: Attributes | None = search.first_attributes(order) if len(started_with) else None
        if order.carried:
            self._report = order.carried.report
            self._attributes = order.carried.report.attributes
            self._timeline = list(order.carried.timeline)
            self._inbox = list(order.carried.inbox)

    @workflow.run
    async def run(self, order: OpenCase) -> CaseResult:
        """Work the case until it is closed, and settle what arrived in the meantime."""
        while not self._over():
            if workflow.info().is_continue_as_new_suggested():
                self._continue_as_new(order)
            if self._report is None:
                await self._open()
            elif self._inbox or self._is_over(self._report.plan):
                await self._take_news()
            elif self._is_due(self._report.plan):
                await self._carry_out(self._report.plan)
            else:
                await self._rest(self._report.plan)
        while self._inbox:
            await self._take_news()
        self._show()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result()

    @workflow.query(
        name=contract.STATUS, description="Where the case stands, what happened and what is next."
    )
    def status(self) -> CaseStatus:
        """Tell the whole story as data."""
        return reading.status(self._order, self._report, self._timeline, self._trouble)

    # --- the turns of the loop -------------------------------------------------------------------

    async def _open(self) -> None:
        order = self._order.model_copy(update={"waiting": tuple(self._inbox)}) if self._inbox else self._order
        report = await self._do(contract.OPEN_CASE, order, summary="Open the case: read the invoice")
        if report is None:
            # Nothing can be planned before the invoice was read once; a cancel is taken all the same.
            await self._wait(contract.TROUBLE_HOLD, "The case could not be opened: try again", only_more=True)

    async def _take_news(self) -> None:
        """Hand over what has arrived, cancellations first, and take the new plan."""
        assert self._report is not None
        news = tuple(self._inbox)
        order = Order(story=self._report.story, news=news, now=workflow.now())
        try:
            report = await self._keep_at(
                lambda: workflow.start_local_activity(
                    contract.PLAN_NEXT_STEP,
                    order,
                    result_type=Report,
                    start_to_close_timeout=ONE_TRY,
                    retry_policy=LOCAL_RETRIES,
                    summary=", ".join(item.name for item in news)[:200] or "the wait is over",
                )
            )
        except ActivityError as error:
            if not _passes(error):
                await self._ask_for_review("planning", error)
            # What cannot be planned stays in the inbox: a mended worker takes it up.
            pause = timedelta(minutes=1) if _passes(error) else contract.TROUBLE_HOLD
            await self._wait(pause, "It could not be planned: try again", only_more=True)
            return
        self._inbox = self._inbox[len(news) :]
        self._take(report)

    async def _carry_out(self, plan: Plan) -> None:
        assert self._report is not None
        charge = plan.action is Action.CHARGE
        await self._do(
            ACTIVITIES[plan.action],
            Order(story=self._report.story, plan=plan),
            summary=reading.summary(self._report, plan),
            queue=contract.charge_queue(workflow.info().task_queue) if charge else None,
            hurry=plan.trigger in HURRY,
            until_cancelled=True,
        )

    async def _rest(self, plan: Plan) -> None:
        self._show()
        length = None if plan.at is None else plan.at - workflow.now()
        await self._wait(length, reading.resting(plan))

    # --- parts -----------------------------------------------------------------------------------

    async def _do(
        self,
        name: str,
        argument: OpenCase | Order,
        *,
        summary: str,
        queue: str | None = None,
        hurry: bool = False,
        until_cancelled: bool = False,
    ) -> Report | None:
        """Carry out one activity; trouble that does not pass by itself goes to a person."""
        try:
            report: Report = await self._keep_at(
                lambda: workflow.start_activity(
                    name,
                    argument,
                    result_type=Report,
                    task_queue=queue,
                    start_to_close_timeout=ONE_TRY,
                    retry_policy=RETRIES,
                    summary=summary,
                    priority=Priority(priority_key=1 if hurry else 3),
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                ),
                until_cancelled=until_cancelled,
            )
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                return None
            self._trouble = str(error.cause or error)
            if _passes(error):
                self._put_off(summary)
            else:
                await self._ask_for_review(name, error)
            return None
        self._take(report)
        return report

    async def _keep_at(
        self, start: Callable[[], workflow.ActivityHandle[Report]], *, until_cancelled: bool = False
    ) -> Report:
        """Wait for an activity even through the UI's Cancel: a charge under way is not walked away from.

        ``until_cancelled`` gives up between two technical tries once a cancel has arrived: it beats any
        timer, and so the back-off too. A try that is being made is not told, and its result counts.
        """
        handle = start()
        while True:
            try:
                if until_cancelled:
                    await workflow.wait_condition(lambda: handle.done() or self._has_cancel())
                    if not handle.done():
                        handle.cancel()
                return await asyncio.shield(handle)
            except asyncio.CancelledError:
                if handle.cancelled():
                    raise
                self._cancelled_by_operator()

    def _has_cancel(self) -> bool:
        return any(news.name == FactName.CANCEL for news in self._inbox)

    async def _wait(self, length: timedelta | None, summary: str, *, only_more: bool = False) -> None:
        """Sleep until a time, or until something arrives."""
        before = len(self._inbox) if only_more else 0
        try:
            await workflow.wait_condition(
                lambda: len(self._inbox) > before, timeout=length, timeout_summary=summary[:200]
            )
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._cancelled_by_operator()

    def _cancelled_by_operator(self) -> None:
        """Take the Temporal UI's own Cancel for an operator's cancel, with the reason if one was given."""
        fact = {
            "event": f"cancel-request.{workflow.info().run_id}",
            "by": "operator",
            "why": workflow.cancellation_reason() or "cancelled in Temporal",
        }
        self._inbox.append(
            News(id=fact["event"], name=FactName.CANCEL, body=json.dumps(fact), at=workflow.now())
        )

    async def _ask_for_review(self, where: str, error: ActivityError) -> None:
        """Leave the case open for a person; a bug never ends one."""
        trouble = Trouble(
            workflow_id=workflow.info().workflow_id,
            where=where,
            what=str(error.cause or error),
            story=self._report.story if self._report else None,
        )
        try:
            report = await self._keep_at(
                lambda: workflow.start_activity(
                    contract.ASK_FOR_REVIEW,
                    trouble,
                    result_type=Report | None,  # type: ignore[arg-type]
                    start_to_close_timeout=ONE_TRY,
                    retry_policy=RETRIES,
                    summary=f"Tell a person: {where} failed",
                )
            )
        except ActivityError:
            self._put_off(where)
            return
        if report is not None:
            self._take(report)

    def _put_off(self, what: str) -> None:
        """Try the same again later; used where not even the database could be told."""
        if self._report is None:
            return
        plan = self._report.plan.model_copy(
            update={"at": workflow.now() + contract.TROUBLE_HOLD, "why": f"trouble with: {what}; tried again"}
        )
        self._report = self._report.model_copy(update={"plan": plan})

    def _take(self, report: Report) -> None:
        """Make a report the state of the case."""
        self._report = report
        self._timeline += report.lines
        self._answers |= report.answers
        workflow.set_current_details(reading.details(report, self._timeline))

    def _show(self) -> None:
        """Make the case findable by what is so now: only at rest, since each upsert is an event."""
        if self._report is None:
            return
        changes = search.changes(self._attributes, self._report.attributes)
        if changes:
            workflow.upsert_search_attributes(changes)
        self._attributes = self._report.attributes

    def _is_due(self, plan: Plan) -> bool:
        return plan.action in ACTIVITIES and plan.at is not None and plan.at <= workflow.now()

    def _is_over(self, plan: Plan) -> bool:
        """Whether a pause or a promise has come to its time, so that the planner has to be asked again."""
        return plan.action is Action.WAIT and plan.at is not None and plan.at <= workflow.now()

    def _over(self) -> bool:
        return self._report is not None and self._report.story.closed

    def _is_the_start(self, _name: str, _body: str) -> bool:
        if _name != FactName.PAYMENT_FAILED or not self._order.event:
            return False
        return f'"{self._order.event}"' in _body

    def _continue_as_new(self, order: OpenCase) -> None:
        """Go on as a new run before history grows too long; nothing is forgotten.

        Not while a wish waits for its answer: it has to be given by this run.
        """
        if self._report is None or not workflow.all_handlers_finished():
            return
        carried = Carried(
            report=self._report, timeline=tuple(self._timeline[-100:]), inbox=tuple(self._inbox)
        )
        workflow.continue_as_new(order.model_copy(update={"carried": carried}))

    def _result(self) -> CaseResult:
        assert self._report is not None
        story = self._report.story
        outcome = story.ending.outcome if story.ending else Outcome.EXCLUDED
        return CaseResult(case_id=story.case_id, outcome=outcome, sentence=self._report.sentence)


def _passes(error: ActivityError) -> bool:
    """Whether the trouble goes away by itself: an outage, or a worker that stopped."""
    cause = error.cause
    if isinstance(cause, TemporalTimeout):
        return True
    return isinstance(cause, ApplicationError) and cause.type in contract.PASSING_TROUBLE
