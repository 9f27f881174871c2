"""Charges, and every other word with a payment processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import structlog
from temporalio import activity

import contract
import keys
from activities import claims
from activities.findings import (
    BANK_ANSWERS,
    ENDED_THERE,
    learn_from_charge,
    learn_from_invoice,
    learn_from_return,
    said_of,
    with_bank,
    without_attempt,
)
from activities.standing import Stand, StepActivities, hold_everybody, release, stand
from activities.tools import (
    SETTLING_PATIENCE,
    STOPPED_HOLD,
    UNAVAILABLE_HOLD,
    give_up,
    is_last_try,
    try_again,
)
from activities.turn import conclude, flagged, ids, money
from campaigns.declines import NO_CARD
from campaigns.document import FinalAction
from campaigns.story import Action, Ending, Outcome, Story, Trigger, UnderWay, Unsettled
from contract import Order, Report
from errors import AnswerLost, NotKnown, ProcessorKeyRejected, ProcessorRefused, ProcessorUnavailable
from processors.protocol import (
    ChangeResult,
    ChargeAnswer,
    ChargeRequest,
    ChargeResult,
    Invoice,
    SubscriptionChange,
)
from store import attempts, cases, journal, switches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.declines import Verdict
    from campaigns.story import Plan
    from store.cards import Card
    from store.ledger import Claim
    from store.tables import AttemptRow

log = structlog.get_logger()
Answer = TypeVar("Answer")
# Ends the journal's line of a final action that was none of our doing.
SO_BEFORE = "it was so already"


def reading(story: Story) -> str:
    """Name the stop of everything at the case's account."""
    return switches.reading(story.processor, story.account)


def acting(story: Story) -> str:
    """Name the stop of charges and final actions at the case's account."""
    return switches.acting(story.processor, story.account)


class PaymentActivities(StepActivities):
    """Everything that speaks to a payment processor after the case is open."""

    @activity.defn(name=contract.RETRY_PAYMENT)
    async def retry_payment(self, order: Order) -> Report:
        """Charge the invoice once for this attempt, whatever happened to earlier tries of it."""
        assert order.plan is not None
        at = await stand(self._tools, order, switches.CHARGES, reading(order.story), acting(order.story))
        step = at.next
        if step.action is not Action.CHARGE or step.id != order.plan.id or (step.at and step.at > at.now):
            return await self._conclude(at, at.story)
        return await self._speak(
            at, step.id, UNAVAILABLE_HOLD, lambda: self._charge_once(at, step), doubt=step
        )

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
        return await self._speak(at, step.id, UNAVAILABLE_HOLD, lambda: self._end(at, step))

    # --- the conversations -----------------------------------------------------------------------

    async def _speak(
        self,
        at: Stand,
        action: str,
        wait: timedelta,
        conversation: Callable[[], Awaitable[Report]],
        doubt: Plan | None = None,
    ) -> Report:
        """Hold one conversation with the processor; what goes wrong becomes a later try or a person's matter.

        ``doubt`` is given where a lost answer may mean that money was taken.
        """
        if at.stop:
            return await self._held(at, action, STOPPED_HOLD, at.stop)
        try:
            return await conversation()
        except ProcessorKeyRejected as error:
            return await self._held(at, action, STOPPED_HOLD, f"the processor rejected our key: {error}")
        except (ProcessorUnavailable, AnswerLost) as error:
            if not is_last_try():
                raise try_again(error) from error
            if doubt is not None and (isinstance(error, AnswerLost) or await self._in_doubt(at, doubt)):
                return await self._unsettled(at, doubt, str(error))
            return await self._held(at, action, wait, f"the processor was not to be reached: {error}")
        except (NotKnown, ProcessorRefused) as error:
            raise give_up(error) from error

    async def _in_doubt(self, at: Stand, step: Plan) -> bool:
        """Whether an earlier try of this charge was sent and never answered."""
        async with self._tools.database.read() as session:
            return await attempts.in_doubt(session, at.story.case_id, step.id)

    async def _charge_once(self, at: Stand, step: Plan) -> Report:
        invoice = await self._read(at)
        story = await self._learn(at, invoice)
        if story.ending:
            return await self._conclude(at, story)
        if invoice.pending:
            return await self._held(at, step.id, UNAVAILABLE_HOLD, "another payment of it is being processed")
        card = await claims.card_of(self._tools, story, invoice, step.method)
        attempt, decision = await self._claim(at, story, step, card)
        if not decision.granted:
            return await self._refused(at, story, step, decision)
        answer = await self._charge(at, attempt)
        if answer.result is ChargeResult.PENDING:
            return await self._under_way(at, story, attempt, answer)
        return await self._settled(at, story, attempt, answer, card)

    async def _look(self, at: Stand) -> Report:
        invoice = await self._read(at)
        story = (await self._learn(at, invoice)).model_copy(update={"look": None})
        if story.under_way is None or story.ending:
            return await self._conclude(at, story)
        if invoice.pending:
            waits = story.under_way.model_copy(update={"until": at.now + BANK_ANSWERS})
            return await self._conclude(at, story.model_copy(update={"under_way": waits}))
        return await self._returned(at, story, story.under_way, invoice)

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

    # --- parts -----------------------------------------------------------------------------------

    async def _read(self, at: Stand) -> Invoice:
        """Read before acting."""
        story = at.story
        processor = self._tools.processor(story.processor)
        return await self._with_key(at, reading(story), processor.read_invoice(story.account, story.invoice))

    async def _with_key(self, at: Stand, switch: str, request: Awaitable[Answer]) -> Answer:
        """Make a request; a rejected key holds everybody, and one that works again releases them."""
        try:
            answer = await request
        except ProcessorKeyRejected as error:
            await hold_everybody(self._tools, switch, str(error), at.now)
            raise
        except AnswerLost:
            # Whatever became of it, the key was let in; and the next try of this very attempt must not wait.
            await release(self._tools, at, switch)
            raise
        await release(self._tools, at, switch)
        return answer

    async def _learn(self, at: Stand, invoice: Invoice) -> Story:
        """Take in a read; a charge whose answer was lost is settled by it once the invoice is paid."""
        async with self._tools.database.read() as session:
            rows = await attempts.all_of(session, at.story.case_id)
        story = learn_from_invoice(at.story, invoice, rows, at.now)
        doubtful = [row for row in rows if row.state in {attempts.SENDING, attempts.PENDING}]
        if story.ending is None or not doubtful:
            return story
        if invoice.pending and story.ending.outcome is not Outcome.RECOVERED:
            return await self._ended_in_doubt(at, story)
        paid = story.ending.outcome is Outcome.RECOVERED
        uncounted = paid and any(row.state == attempts.SENDING for row in doubtful)
        async with self._tools.database.begin() as session:
            for row in doubtful:
                row.state, row.settled_at = "paid" if paid else attempts.NOT_MADE, at.now
                row.payment = invoice.payment if paid else None
                session.add(row)
                if paid:
                    made = ChargeAnswer(ChargeResult.PAID, payment=invoice.payment)
                    await claims.settle(session, row, made, self._tools.rules, at.now)
        return story.model_copy(update={"charges": story.charges + uncounted})

    async def _ended_in_doubt(self, at: Stand, story: Story) -> Story:
        """Tell a person that a case ends while a charge of ours may still go through."""
        text = f"{story.case_id} ended while a payment of its invoice is still being processed"
        async with self._tools.database.begin() as session:
            key = f"{story.case_id}.ended in doubt"
            await journal.alert(session, key, "charge unsettled", text, at.now, story.case_id)
        return flagged(story, "ended with a charge unsettled")

    async def _claim(
        self, at: Stand, story: Story, step: Plan, card: Card | None
    ) -> tuple[AttemptRow, Claim]:
        """Claim the attempt; one that is in doubt is settled by what the read has just shown.

        The budget of the card is looked at, and used up, in the same transaction.

        After a stored server error the processor would repeat that error for the same key. The read
        shows no payment, so it is proven that nothing was charged, and the key's suffix is raised. The
        same holds for a key that the processor may have forgotten.
        """
        trigger = step.trigger or Trigger.SCHEDULE
        async with self._tools.database.begin() as session:
            row = await attempts.claim(session, story, step.id, trigger, step.method, at.now)
            if row.state == attempts.NOT_MADE and row.doubt == attempts.NOT_SENT:
                row.state, row.doubt, row.claimed_at = attempts.SENDING, None, at.now
                session.add(row)
            forgotten = at.now - row.claimed_at > SETTLING_PATIENCE
            if row.state == attempts.SENDING and (row.doubt == "stored" or forgotten):
                row.suffix += 1
                row.key = keys.charge_key(story.workflow_id, step.id, row.suffix)
                row.doubt, row.claimed_at = None, at.now
                session.add(row)
            if row.state != attempts.SENDING:
                return row, claims.UNLIMITED
            decision = await claims.claim(session, story, row, card, self._tools.rules, at.now)
            if decision.granted:
                await cases.mark_charging(session, story.case_id)
            else:
                row.state, row.doubt = attempts.NOT_MADE, attempts.NOT_SENT
                session.add(row)
        return row, decision

    async def _refused(self, at: Stand, story: Story, step: Plan, decision: Claim) -> Report:
        """Leave a charge out that a network's limit or word forbids; the ledger has it with its reason."""
        log.info("payment.refused", **ids(story), attempt=step.id, rule=decision.rule, why=decision.reason)
        story = flagged(claims.refused(story, step, decision, at.now), "charge refused")
        return await self._conclude(at, story, f"charge {step.id} is not made: {decision.reason}")

    async def _charge(self, at: Stand, row: AttemptRow) -> ChargeAnswer:
        """Send the charge, or give the answer that was written down before."""
        if row.state == attempts.NOT_MADE:
            return ChargeAnswer(ChargeResult.NOTHING_TO_PAY)
        if row.state != attempts.SENDING:
            return ChargeAnswer(
                ChargeResult(row.state), payment=row.payment, decline=row.decline, advice=row.advice
            )
        story = at.story
        request = ChargeRequest(story.account, story.invoice, row.key, at.now, row.method)
        try:
            charge = self._tools.processor(story.processor).charge(request)
            return await self._with_key(at, acting(story), charge)
        except (ProcessorUnavailable, ProcessorKeyRejected):
            # Proven not sent, unless an earlier try of this attempt was never answered.
            if row.doubt is None and row.claimed_at == at.now:
                async with self._tools.database.begin() as session:
                    row.state, row.doubt = attempts.NOT_MADE, attempts.NOT_SENT
                    session.add(row)
                    await claims.give_back(session, row, "it never left us", at.now)
            raise
        except AnswerLost as error:
            async with self._tools.database.begin() as session:
                row.doubt = "stored" if error.replayed_for_key else "lost"
                session.add(row)
            raise

    async def _under_way(self, at: Stand, story: Story, row: AttemptRow, answer: ChargeAnswer) -> Report:
        """Rest until the bank has answered, which takes days; the invoice tells what it says."""
        line = f"charge {row.attempt} is with the bank, which answers in a few days"
        async with self._tools.database.begin() as session:
            row.state, row.doubt, row.payment = attempts.PENDING, None, answer.payment
            session.add(row)
            await claims.settle(session, row, answer, self._tools.rules, at.now)
            return await conclude(session, at.campaign, with_bank(story, row, at.now), at.now, [line])

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
        verdict = self._tools.declines.judge(said_of(answer, _network(card, story)), at.now.date())
        story = learn_from_return(story, verdict, at.now)
        line = f"charge {gone.id} of {money(story)} came back from the bank: {verdict.words}"
        async with self._tools.database.begin() as session:
            row = await attempts.get(session, story.case_id, gone.id)
            if row is not None:
                await self._write_down(session, at, row, answer, verdict, card)
            story = await claims.with_budget(session, story, card, self._tools.rules, at.now)
            return await conclude(session, at.campaign, story, at.now, [line])

    async def _write_down(
        self,
        session: AsyncSession,
        at: Stand,
        row: AttemptRow,
        answer: ChargeAnswer,
        verdict: Verdict | None,
        card: Card | None,
    ) -> None:
        """Settle an attempt, in the case's books and in the ledger."""
        row.state, row.doubt, row.settled_at = answer.result, None, at.now
        row.decline, row.advice, row.payment = answer.decline, answer.advice, answer.payment
        row.network_code, row.network_advice = answer.network_code, answer.network_advice
        session.add(row)
        if answer.decline == NO_CARD:
            await claims.give_back(session, row, "there was no card to charge", at.now)
        else:
            await claims.settle(session, row, answer, self._tools.rules, at.now)
        await claims.obey(session, card, verdict, at.now)
        if verdict and not verdict.known and verdict.code != "declined":
            text = f"the decline code '{verdict.code}' is not in the table: it is treated as soft, with few retries"
            await journal.alert(session, f"unknown decline {verdict.code}", "unknown decline", text, at.now)

    async def _settled(
        self, at: Stand, story: Story, row: AttemptRow, answer: ChargeAnswer, card: Card | None
    ) -> Report:
        if answer.result is ChargeResult.NOTHING_TO_PAY:
            # Paid between the read and the charge: the next turn reads again and finds by whom.
            async with self._tools.database.begin() as session:
                row.state, row.settled_at = attempts.NOT_MADE, at.now
                session.add(row)
                await claims.give_back(session, row, "there was nothing to pay", at.now)
            return await self._conclude(at, without_attempt(story, row.attempt))
        verdict = None
        if answer.result is ChargeResult.DECLINED:
            verdict = self._tools.declines.judge(said_of(answer, _network(card, story)), at.now.date())
        trigger = Trigger(row.trigger)
        story = learn_from_charge(story, row, answer, verdict, at.now)
        words = {
            ChargeResult.PAID: "paid",
            ChargeResult.NEEDS_CUSTOMER: "needs the customer to confirm with the bank",
        }.get(answer.result, f"declined: {verdict.words if verdict else 'no reason given'}")
        line = f"charge {story.charges} of {money(story)} ({trigger}): {words}"
        async with self._tools.database.begin() as session:
            await self._write_down(session, at, row, answer, verdict, card)
            story = await claims.with_budget(session, story, card, self._tools.rules, at.now)
            report = await conclude(session, at.campaign, story, at.now, [line])
        log.info(
            "payment.charged",
            **ids(story),
            attempt=row.attempt,
            trigger=row.trigger,
            result=str(answer.result),
            decline=answer.decline,
        )
        return report

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

    async def _unsettled(self, at: Stand, step: Plan, why: str) -> Report:
        """Keep asking what became of a charge, and hand it to a person when patience ends."""
        since = at.story.unsettled.since if at.story.unsettled else at.now
        doubt = Unsettled(
            id=step.id,
            trigger=step.trigger or Trigger.SCHEDULE,
            method=step.method,
            since=since,
            until=at.now + UNAVAILABLE_HOLD,
        )
        story = at.story.model_copy(update={"unsettled": doubt})
        line = f"nobody knows whether charge {step.id} went through: {why}"
        if at.now - since < SETTLING_PATIENCE:
            return await self._conclude(at, story, line)
        story = flagged(
            story.model_copy(update={"review": f"{line}; look at the processor, then approve"}),
            "charge unsettled",
        )
        async with self._tools.database.begin() as session:
            key = f"{story.case_id}.unsettled.{step.id}"
            await journal.alert(
                session, key, "charge unsettled", f"{story.case_id}: {line}", at.now, story.case_id
            )
            return await conclude(session, at.campaign, story, at.now, [line])


def _network(card: Card | None, story: Story) -> str | None:
    return card.network if card else story.network
