"""What else is said to a payment processor: reads, and the final action."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities import claims
from activities.conversation import acting, network_of, reading
from activities.findings import (
    BANK_ANSWERS,
    ENDED_THERE,
    learn_from_return,
    said_of,
    with_another_card,
)
from activities.imagining import Imagining
from activities.standing import Stand, stand
from activities.tools import (
    STOPPED_HOLD,
    UNAVAILABLE_HOLD,
)
from activities.turn import conclude, ids, money
from campaigns.document import FinalAction
from campaigns.planner import wants_another_card
from campaigns.story import Action, Ending, Outcome, Story, UnderWay
from contract import Order, Report
from processors.protocol import (
    ChangeResult,
    ChargeAnswer,
    ChargeResult,
    Invoice,
    SubscriptionChange,
)
from store import attempts, journal

if TYPE_CHECKING:
    from campaigns.story import Plan
log = structlog.get_logger()
# Ends the journal's line of a final action that was none of our doing.
SO_BEFORE = "it was so already"


class PaymentActivities(Imagining):
    """Reads of the invoice, the bank's answers to debits, and the end of a subscription."""

    @activity.defn(name=contract.CHECK_INVOICE)
    async def check_invoice(self, order: Order) -> Report:
        """Read the invoice, because somebody said that it changed, and believe only what is read."""
        at = await stand(self._tools, order, reading(order.story))
        if at.next.action is not Action.LOOK:
            return await self._conclude(at, at.story)
        return await self._speak(at, "look", STOPPED_HOLD, lambda: self._look(at))

    @activity.defn(name=contract.END_SUBSCRIPTION)
    async def end_subscription(self, order: Order) -> Report:
        """Carry out the final action, unless a last read shows that there is no need."""
        at = await stand(self._tools, order, reading(order.story), acting(order.story))
        step = at.next
        if step.action is not Action.END or (step.at and step.at > at.now):
            return await self._conclude(at, at.story)
        end = self._imagined_end if at.story.shadow else self._end
        return await self._speak(at, step.id, UNAVAILABLE_HOLD, lambda: end(at, step))

    async def _look(self, at: Stand) -> Report:
        invoice = await self._read(at)
        story = (await self._learn(at, invoice)).model_copy(update={"look": None})
        if story.under_way is None or story.ending:
            return await self._conclude(at, *await self._with_another_card(at, story))
        if invoice.pending:
            waits = story.under_way.model_copy(update={"until": at.now + BANK_ANSWERS})
            return await self._conclude(at, story.model_copy(update={"under_way": waits}))
        return await self._returned(at, story, story.under_way, invoice)

    async def _with_another_card(self, at: Stand, story: Story) -> tuple[Story, str] | tuple[Story]:
        """Look for another stored card where that is what was planned, and say what was found."""
        if not wants_another_card(at.campaign, story):
            return (story,)
        stored = self._tools.processor(story.processor).read_methods(story.account, story.customer)
        found = with_another_card(story, await self._with_key(at, reading(story), stored))
        if found.pending:
            return (
                found,
                "the card was declined for good; another stored one is charged, as the customer agreed",
            )
        return found, "the card was declined for good, and there is no other that the customer agreed to"

    async def _returned(self, at: Stand, story: Story, gone: UnderWay, invoice: Invoice) -> Report:
        """Take in that the bank has sent a charge of ours back; why, the invoice tells."""
        answer = ChargeAnswer(
            ChargeResult.DECLINED,
            decline=invoice.decline,
            advice=invoice.advice,
            network_code=invoice.network_code,
            network_advice=invoice.network_advice,
            charge=invoice.failed_charge,
        )
        card = await claims.card_of(self._tools, story, invoice, gone.method)
        async with self._tools.database.read() as session:
            row = await attempts.get(session, story.case_id, gone.id)
        if row is not None:
            card = await claims.charged_with(self._tools, row, card)
        verdict = self._tools.declines.judge(said_of(answer, network_of(card, story)), at.now.date())
        story = learn_from_return(story, verdict, at.now)
        line = f"charge {gone.id} of {money(story)} came back from the bank: {verdict.words}"
        async with self._tools.database.begin() as session:
            row = await attempts.get(session, story.case_id, gone.id)
            if row is not None:
                answer = replace(answer, payment=row.payment)
                await self._write_down(session, at, row, answer, verdict, card)
            story = await claims.with_budget(session, story, card, self._tools.rules, at.now)
            return await conclude(session, at.campaign, story, at.now, [line])

    async def _end(self, at: Stand, step: Plan) -> Report:
        story = await self._learn(at, await self._read(at))
        begun = f"{step.id}.begun"
        async with self._tools.database.read() as session:
            ours = await journal.has(session, story.case_id, begun)
        if story.ending and story.ending.by == ENDED_THERE and ours:
            # The subscription ended by an earlier try of this very action, whose answer was lost.
            story = story.model_copy(update={"ending": None})
        if story.ending or story.pending:
            return await self._conclude(at, story)
        async with self._tools.database.begin() as session:
            text = "the final action is asked of the processor"
            await journal.enter(session, story.case_id, begun, journal.SUBSCRIPTION_ASKED, text, at.now)
        line = await self._change_subscription(at, story, at.campaign.end.action)
        ending = Ending(outcome=Outcome.EXHAUSTED, final_action=at.campaign.end.action, at=at.now)
        done = {**story.done, step.id: at.now}
        story = story.model_copy(update={"ending": ending, "done": done, "hold": None})
        async with self._tools.database.begin() as session:
            await journal.enter(session, story.case_id, step.id, journal.SUBSCRIPTION, line, at.now)
            log.info("subscription.ended", **ids(story), action=str(at.campaign.end.action), text=line)
            return await conclude(session, at.campaign, story, at.now, [line])

    async def _change_subscription(self, at: Stand, story: Story, action: FinalAction) -> str:
        words = str(action).replace("_", " ")
        if action is FinalAction.LEAVE or story.subscription is None:
            return f"final action {words}: nothing was asked of the processor"
        change = self._tools.processor(story.processor).change_subscription(
            story.account,
            story.subscription,
            story.invoice,
            SubscriptionChange(str(action)),
            keys.subscription_key(story.workflow_id, action),
        )
        result = await self._with_key(at, acting(story), change)
        return f"final action {words}: {SO_BEFORE if result is ChangeResult.ALREADY_SO else 'done'}"
