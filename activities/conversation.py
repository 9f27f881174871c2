"""What every word with a payment processor has in common: reading first, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import structlog

from activities import claims, retriers
from activities.findings import (
    learn_from_invoice,
)
from activities.standing import Stand, StepActivities, hold_everybody, release
from activities.tools import (
    SETTLING_PATIENCE,
    STOPPED_HOLD,
    UNAVAILABLE_HOLD,
    give_up,
    is_last_try,
    try_again,
)
from activities.turn import conclude, flagged
from campaigns.declines import NO_CARD
from campaigns.story import Outcome, Story, Trigger, Unsettled
from errors import AnswerLost, NotKnown, ProcessorKeyRejected, ProcessorRefused, ProcessorUnavailable
from processors.protocol import (
    ChargeAnswer,
    ChargeResult,
    Invoice,
)
from store import attempts, journal, switches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.declines import Verdict
    from campaigns.story import Plan
    from contract import Report
    from store.cards import Card
    from store.tables import AttemptRow
log = structlog.get_logger()
Answer = TypeVar("Answer")


def reading(story: Story) -> str:
    """Name the stop of everything at the case's account."""
    return switches.reading(story.processor, story.account)


def acting(story: Story) -> str:
    """Name the stop of charges and final actions at the case's account."""
    return switches.acting(story.processor, story.account)


def network_of(card: Card | None, story: Story) -> str | None:
    """Name the network whose words were said of a charge."""
    return card.network if card else story.network


class Conversation(StepActivities):
    """One conversation with a payment processor at a time."""

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
        if at.campaign.is_holdout:
            story = learn_from_invoice(at.story, invoice, rows, at.now)
        else:
            story = await retriers.beside(self._tools, at.story, invoice, rows, at.now)
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
