"""Charges: claimed before they are sent, within the budget of their card, and settled after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities import breaking, claims, together
from activities.conversation import acting, network_of, reading
from activities.findings import (
    learn_from_charge,
    left_to_processor,
    said_of,
    with_bank,
    without_attempt,
)
from activities.imagining import Imagining
from activities.retriers import standing_aside
from activities.standing import Stand, stand
from activities.tools import (
    SETTLING_PATIENCE,
    UNAVAILABLE_HOLD,
)
from activities.turn import conclude, flagged, ids, money
from campaigns.story import Action, Story, Trigger
from contract import Order, Report
from errors import AnswerLost, ProcessorKeyRejected, ProcessorUnavailable
from processors.protocol import (
    ChargeAnswer,
    ChargeRequest,
    ChargeResult,
)
from store import attempts, cases, switches

if TYPE_CHECKING:
    from activities.together import Unsaid
    from campaigns.story import Plan
    from store.cards import Card
    from store.ledger import Claim
    from store.tables import AttemptRow
log = structlog.get_logger()


class ChargeActivities(Imagining):
    """The one activity of the queue of charges."""

    @activity.defn(name=contract.RETRY_PAYMENT)
    async def retry_payment(self, order: Order) -> Report:
        """Charge the invoice once for this attempt, whatever happened to earlier tries of it."""
        assert order.plan is not None
        at = await stand(self._tools, order, switches.CHARGES, reading(order.story), acting(order.story))
        step = at.next
        if step.action is not Action.CHARGE or step.id != order.plan.id or (step.at and step.at > at.now):
            return await self._conclude(at, at.story)
        if at.story.shadow:
            return await self._speak(at, step.id, UNAVAILABLE_HOLD, lambda: self._imagined_charge(at, step))
        return await self._speak(at, step.id, UNAVAILABLE_HOLD, lambda: self._heard(at, step), doubt=step)

    async def _heard(self, at: Stand, step: Plan) -> Report:
        """Charge, unless the processor has not answered others for a while; and count it if it does not now."""
        held = await breaking.held(self._tools, at, step, breaking.route_of(at.story).of_processor)
        if held:
            return await self._held(at, step.id, held.until - at.now, held.why)
        try:
            return await self._charge_once(at, step)
        except (ProcessorUnavailable, AnswerLost):
            await breaking.note_away(self._tools, at)
            raise

    async def _charge_once(self, at: Stand, step: Plan) -> Report:
        invoice = await self._read(at)
        story = await self._learn(at, invoice)
        if story.ending:
            return await self._conclude(at, story)
        if story.beside and not await self._in_doubt(at, step):
            # Also a new card's charge: the processor takes that card by itself, and two would charge it.
            line = f"charge {step.id} is not made: {standing_aside(story)}"
            return await self._conclude(at, left_to_processor(story, step.id), line)
        if invoice.pending:
            return await self._held(at, step.id, UNAVAILABLE_HOLD, "another payment of it is being processed")
        if step.trigger is Trigger.CARD_UPDATED and not await self._in_doubt(at, step):
            async with self._tools.database.read() as session:
                unsaid = await together.why_not_charged(session, at, story, step)
            if unsaid is not None:
                return await self._left(at, story, step, unsaid)
        card = await claims.card_of(self._tools, story, invoice, step.method)
        held = await breaking.held(self._tools, at, step, breaking.route_of(story, card).of_issuer)
        if held:
            return await self._held(replace(at, story=story), step.id, held.until - at.now, held.why)
        claimed = await self._claim(at, story, step, card)
        if claimed is None:
            if await self._in_doubt(at, step):
                return await self._unsettled(at, step, together.TAKEN)
            return await self._held(at, step.id, together.a_moment(story), together.TAKEN)
        attempt, decision = claimed
        if not decision.granted:
            return await self._refused(at, story, step, decision)
        if not decision.fresh:
            card = await claims.charged_with(self._tools, attempt, card)
        answer = await self._charge(at, attempt)
        if answer.result is ChargeResult.PENDING:
            return await self._under_way(at, story, attempt, answer, card)
        return await self._settled(at, story, attempt, answer, card)

    async def _claim(
        self, at: Stand, story: Story, step: Plan, card: Card | None
    ) -> tuple[AttemptRow, Claim] | None:
        """Claim the attempt; one that is in doubt is settled by what the read has just shown.

        The customer's turn is taken, and the budget of the card looked at and used up, in the same
        transaction; None where another case of the customer has the turn.

        After a stored server error the processor would repeat that error for the same key. The read
        shows no payment, so it is proven that nothing was charged, and the key's suffix is raised. The
        same holds for a key that the processor may have forgotten.
        """
        trigger = step.trigger or Trigger.SCHEDULE
        async with self._tools.database.begin() as session:
            if not await together.take_turn(session, story, step.id):
                return None
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
                await together.give_turn_back(session, story, step.id)
                return row, claims.UNLIMITED
            decision = await claims.claim(session, story, row, card, self._tools.rules, at.now)
            if decision.granted:
                await cases.mark_charging(session, story.case_id)
            else:
                row.state, row.doubt = attempts.NOT_MADE, attempts.NOT_SENT
                session.add(row)
                await together.give_turn_back(session, story, step.id)
        return row, decision

    async def _left(self, at: Stand, story: Story, step: Plan, unsaid: Unsaid) -> Report:
        """Leave a charge of a new card to another case of the customer: for a moment, or for good."""
        if unsaid.wait is not None:
            return await self._held(at, step.id, unsaid.wait, unsaid.why)
        changes = {"pending": None, "passed": (*story.passed, step.id), "hold": None, "unsettled": None}
        return await self._conclude(at, story.model_copy(update=changes), unsaid.why)

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
                    await together.give_turn_back(session, story, row.attempt)
                    row.state, row.doubt = attempts.NOT_MADE, attempts.NOT_SENT
                    session.add(row)
                    await claims.give_back(session, row, "it never left us", at.now)
            raise
        except AnswerLost as error:
            async with self._tools.database.begin() as session:
                row.doubt = "stored" if error.replayed_for_key else "lost"
                session.add(row)
            raise

    async def _under_way(
        self, at: Stand, story: Story, row: AttemptRow, answer: ChargeAnswer, card: Card | None
    ) -> Report:
        """Rest until the bank has answered, which takes days; the invoice tells what it says."""
        line = f"charge {row.attempt} is with the bank, which answers in a few days"
        async with self._tools.database.begin() as session:
            await together.give_turn_back(session, story, row.attempt)
            row.state, row.doubt, row.payment = attempts.PENDING, None, answer.payment
            session.add(row)
            await claims.settle(session, row, answer, self._tools.rules, at.now)
            await breaking.note_answer(session, self._tools, at, card, None)
            return await conclude(session, at.campaign, with_bank(story, row, at.now), at.now, [line])

    async def _settled(
        self, at: Stand, story: Story, row: AttemptRow, answer: ChargeAnswer, card: Card | None
    ) -> Report:
        if answer.result is ChargeResult.NOTHING_TO_PAY:
            # Paid between the read and the charge: the next turn reads again and finds by whom.
            async with self._tools.database.begin() as session:
                await together.give_turn_back(session, story, row.attempt)
                row.state, row.settled_at = attempts.NOT_MADE, at.now
                session.add(row)
                await claims.give_back(session, row, "there was nothing to pay", at.now)
            return await self._conclude(at, without_attempt(story, row.attempt))
        verdict = None
        if answer.result is ChargeResult.DECLINED:
            verdict = self._tools.declines.judge(said_of(answer, network_of(card, story)), at.now.date())
        trigger = Trigger(row.trigger)
        story = learn_from_charge(story, row, answer, verdict, at.now)
        words = {
            ChargeResult.PAID: "paid",
            ChargeResult.NEEDS_CUSTOMER: "needs the customer to confirm with the bank",
        }.get(answer.result, f"declined: {verdict.words if verdict else 'no reason given'}")
        line = f"charge {story.charges} of {money(story)} ({trigger}): {words}"
        async with self._tools.database.begin() as session:
            await together.give_turn_back(session, story, row.attempt)
            await self._write_down(session, at, row, answer, verdict, card)
            await breaking.note_answer(session, self._tools, at, card, verdict)
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
