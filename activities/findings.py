"""What an answer of the processor means for the story of a case: pure, and the same at every repetition."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.advice import learn_from_decline, new_card
from campaigns.declines import Ask, Said
from campaigns.story import LEVERS, Beside, Ending, Lever, Outcome, Pending, Story, Trigger, UnderWay
from processors.protocol import ChargeAnswer, ChargeResult, Invoice, InvoiceState, PaidBy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from campaigns.declines import Verdict
    from processors.protocol import Card
    from store.tables import AttemptRow


# A bank that has not been heard of for so long is asked; a return takes two to five working days.
BANK_ANSWERS = timedelta(days=2)
# After the time of the processor's own retry, its answer is waited for.
RETRIES_ANSWER = timedelta(hours=1)
# Who is said to have cancelled a subscription that the processor shows as ended.
ENDED_THERE = "billing service"


def learn_from_invoice(
    story: Story, invoice: Invoice, attempts: Sequence[AttemptRow], now: datetime
) -> Story:
    """Take in what a fresh read shows; an invoice that is no longer owed gives the story its ending."""
    changes: dict[str, object] = {
        "currency": invoice.currency,
        "customer": invoice.customer.id,
        "subscription": invoice.subscription,
        "plan": invoice.plan or story.plan,
        "country": invoice.customer_country or story.country,
        "network": (invoice.card and invoice.card.network) or story.network,
        "beside": _beside(story, invoice, now),
    }
    if invoice.amount:
        changes["amount"] = invoice.amount
    ending = _ending(story, invoice, attempts, now)
    if (
        invoice.card
        and not (story.has_card or story.charged_back or ending)
        and invoice.card.id not in story.blocked
    ):
        # The first card, seen before its webhook: charged at once, and the webhook then changes nothing.
        card = invoice.card.id
        changes |= {
            **new_card(card),
            "pending": Pending(id=f"card.{card}", trigger=Trigger.CARD_UPDATED, method=card),
            "seen": (*story.seen, f"card:{card}:"),
        }
    if ending and not story.ending:
        changes |= {"ending": ending, **nothing_pending()}
    return story.model_copy(update=changes)


def _beside(story: Story, invoice: Invoice, now: datetime) -> Beside | None:
    """Say whether the processor still charges by itself; in shadow that is what is compared with, and hinders nothing."""
    until = invoice.processor_retries_at
    if until is None or story.shadow:
        return None
    if story.beside and story.beside.until == until:
        # Not every read is a look: a mail's must not put off the one that is due.
        return story.beside
    refused = story.beside is not None and story.beside.refused
    return Beside(until=until, look_at=max(until, now) + RETRIES_ANSWER, refused=refused)


def looked_beside(story: Story, now: datetime) -> Story:
    """Take in that it was looked whether the processor still charges: the next look comes after its next charge.

    A charge of the processor's that is late is asked for hour by hour, and after a day once a day.
    """
    beside = story.beside
    if beside is None or beside.look_at > now:
        return story
    late = timedelta(days=1) if now - beside.until > timedelta(days=1) else RETRIES_ANSWER
    return story.model_copy(
        update={"beside": beside.model_copy(update={"look_at": max(beside.until, now) + late})}
    )


def nothing_pending() -> dict[str, object]:
    """Everything that an ending makes void."""
    return {
        "pending": None,
        "look": None,
        "card_notice": None,
        "promise_at": None,
        "hold": None,
        "unsettled": None,
        "under_way": None,
        "beside": None,
        "paused": None,
        "review": None,
    }


def is_paid(invoice: Invoice) -> bool:
    """Whether nothing is owed any more because it was paid or credited."""
    return invoice.state is InvoiceState.PAID or (invoice.state is InvoiceState.OPEN and invoice.amount == 0)


def _ending(story: Story, invoice: Invoice, attempts: Sequence[AttemptRow], now: datetime) -> Ending | None:
    if story.charged_back:
        # Its invoice stays paid, and a charge counts as disputed also after the dispute was won: a person decides.
        return None
    if is_paid(invoice):
        return _paid(story, invoice, attempts, now)
    if invoice.disputed:
        return Ending(outcome=Outcome.DISPUTED, at=now, why="the payment is disputed")
    if invoice.state is InvoiceState.VOID:
        return Ending(outcome=Outcome.VOIDED, at=now, why="the invoice was voided at the processor")
    if invoice.state is InvoiceState.UNCOLLECTIBLE:
        return Ending(outcome=Outcome.UNCOLLECTIBLE, at=now, why="the invoice was written off")
    if invoice.subscription_ended:
        why = "the subscription has ended at the processor"
        return Ending(outcome=Outcome.CANCELLED, by=ENDED_THERE, at=now, why=why)
    return None


def _paid(story: Story, invoice: Invoice, attempts: Sequence[AttemptRow], now: datetime) -> Ending:
    """Say who recovered the payment: our own attempt, even if its answer was lost, before anybody else."""
    ours = next((attempt for attempt in attempts if _paid_it(attempt, invoice)), None)
    if ours is not None:
        return Ending(outcome=Outcome.RECOVERED, lever=LEVERS[Trigger(ours.trigger)], at=now)
    if invoice.paid_by is PaidBy.PROCESSOR:
        return Ending(outcome=Outcome.RECOVERED, lever=Lever.PROCESSOR, at=now)
    if invoice.paid_by is PaidBy.CUSTOMER or (invoice.paid_by is None and story.ask is Ask.CONFIRM):
        return Ending(outcome=Outcome.RECOVERED, lever=Lever.CUSTOMER, at=now)
    return Ending(outcome=Outcome.RECOVERED_ELSEWHERE, at=now, why="the invoice was paid by other means")


def _paid_it(attempt: AttemptRow, invoice: Invoice) -> bool:
    """Whether an attempt of ours is what paid the invoice, by the best evidence there is."""
    if attempt.trigger == Trigger.PROCESSOR:
        return False
    if attempt.state not in {"sending", "pending"}:
        return attempt.state == "paid"
    if invoice.paid_key is not None:
        # Without the suffix: an earlier try of the same attempt may be the one that went through.
        return invoice.paid_key.rpartition("/")[0] == attempt.key.rpartition("/")[0]
    return invoice.paid_by in {PaidBy.REQUEST, None}


def learn_from_charge(
    story: Story, row: AttemptRow, answer: ChargeAnswer, verdict: Verdict | None, now: datetime
) -> Story:
    """Take in what came of one charge of ours; a decline is an answer like any other.

    The card may have changed since the charge was claimed: what it was declined for is said of the card
    that was charged, and not of the new one.
    """
    attempt, trigger, same_card = row.attempt, Trigger(row.trigger), row.method == story.method
    changes = _spent(story, attempt, trigger, now) | {"charges": story.charges + 1, "unsettled": None}
    if answer.result is ChargeResult.PAID:
        changes |= nothing_pending()
        changes["ending"] = Ending(outcome=Outcome.RECOVERED, lever=LEVERS[trigger], at=now)
        return story.model_copy(update=changes)
    if answer.result is ChargeResult.NEEDS_CUSTOMER and same_card:
        changes |= {"ask": Ask.CONFIRM, "decline": answer.decline or "authentication_required"}
        changes["decline_class"] = "needs-customer-action"
    elif verdict is not None and same_card:
        changes |= learn_from_decline(story.model_copy(update=changes), verdict, now)
    if trigger is Trigger.CARD_UPDATED:
        changes["card_notice"] = f"{attempt}.message"
    if trigger is Trigger.BACKUP:
        # There may be yet another.
        changes["sought"] = ()
    return story.model_copy(update=changes)


def _spent(story: Story, attempt: str, trigger: Trigger, now: datetime) -> dict[str, object]:
    """Give the changes that any charge makes whose time has come, whatever it brings, if only in the imagination."""
    changes: dict[str, object] = {
        "done": {**story.done, attempt: now},
        "advised": None,
        "scheduled_charges": story.scheduled_charges + (trigger is Trigger.SCHEDULE),
        "last_charge_at": now,
        "hold": None,
    }
    if story.pending and story.pending.id == attempt:
        changes["pending"] = None
    if trigger is Trigger.CUSTOMER:
        changes["promise_at"] = None
    return changes


def with_another_card(story: Story, stored: Sequence[Card]) -> Story:
    """Have the first stored card charged that the customer agreed to and that was not tried, if there is one."""
    in_force = story.method or "default"
    for card in stored:
        attempt = f"{Trigger.BACKUP}.{card.id}"
        tried = attempt in story.done or attempt in story.passed or card.id in story.blocked
        if card.consent and card.id != in_force and not tried:
            pending = Pending(id=attempt, trigger=Trigger.BACKUP, method=card.id)
            return story.model_copy(update={"pending": pending})
    return story.model_copy(update={"sought": (*story.sought, in_force)})


def learn_from_imagined(
    story: Story, attempt: str, trigger: Trigger, verdict: Verdict | None, now: datetime
) -> Story:
    """Take in a charge that was only imagined: as declined, like the last real one, since nobody answered it.

    A new card was never asked, and so nothing is said of it.
    """
    changes = _spent(story, attempt, trigger, now)
    if verdict is not None and trigger is not Trigger.CARD_UPDATED:
        changes |= learn_from_decline(story.model_copy(update=changes), verdict, now)
    return story.model_copy(update=changes)


def left_to_processor(story: Story, attempt: str) -> Story:
    """Take in that a charge is not made because the processor still charges by itself."""
    changes: dict[str, object] = {"hold": None, "promise_at": None, "unsettled": None}
    if story.pending and story.pending.id == attempt:
        changes["pending"] = None
    else:
        changes["passed"] = (*story.passed, attempt)
    return story.model_copy(update=changes)


def with_bank(story: Story, row: AttemptRow, now: datetime) -> Story:
    """Take in that the bank has a charge of ours, and answers in days: until then nothing else is done."""
    trigger = Trigger(row.trigger)
    changes = _spent(story, row.attempt, trigger, now) | {
        "charges": story.charges + 1,
        "unsettled": None,
        "promise_at": None,
        "under_way": UnderWay(
            id=row.attempt, trigger=trigger, method=row.method, since=now, until=now + BANK_ANSWERS
        ),
    }
    return story.model_copy(update=changes)


def learn_from_return(story: Story, verdict: Verdict, now: datetime) -> Story:
    """Take in that the bank has sent a charge back; what came due meanwhile is not charged on top of it."""
    assert story.under_way is not None
    gone = story.under_way
    changes: dict[str, object] = {"under_way": None, "last_charge_at": now}
    if gone.method == story.method:
        changes |= learn_from_decline(story, verdict, now)
    if gone.trigger is Trigger.CARD_UPDATED:
        changes["card_notice"] = f"{gone.id}.message"
    return story.model_copy(update=changes)


def said_of(answer: ChargeAnswer, network: str | None) -> Said:
    """Gather all that was said of a declined charge."""
    return Said(answer.decline, answer.advice, network, answer.network_code, answer.network_advice)


def without_attempt(story: Story, attempt: str) -> Story:
    """Take in that the processor had nothing to charge: the attempt is over, and the invoice is read again."""
    changes: dict[str, object] = {
        "look": "the processor had nothing to charge",
        "passed": (*story.passed, attempt),
        "hold": None,
        "unsettled": None,
        "promise_at": None,
    }
    if story.pending and story.pending.id == attempt:
        changes["pending"] = None
    return story.model_copy(update=changes)
