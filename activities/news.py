"""What the facts that arrived mean for the story of a case: pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from activities.findings import nothing_pending
from activities.turn import flagged
from campaigns.advice import learn_from_decline, new_card
from campaigns.declines import Ask, Said
from campaigns.due import following_message_at
from campaigns.openings import why_no_charge_at_all
from campaigns.planner import AWAKE
from campaigns.promises import charged_at, why_not
from campaigns.schedule import CONFIRM_AGAIN, end_at, parts
from campaigns.story import Ending, Outcome, Pending, Story, Trigger
from contract import (
    Cancel,
    CardUpdated,
    Fact,
    InvoiceChanged,
    PaymentFailed,
    PaymentSucceeded,
    PromiseToPay,
)

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.declines import DeclineTable
    from campaigns.document import Campaign


BILLING_SERVICE = Cancel.model_fields["by"].default


@dataclass(frozen=True)
class Taken:
    """A story with a fact taken in: what to tell ops, and what a person has to know.

    ``spared`` is why a charge of the processor's would not have been made by a case in shadow.
    """

    story: Story
    lines: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    recorded: tuple[PaymentFailed, ...] = field(default=())
    spared: str | None = None


def take_fact(story: Story, fact: Fact, campaign: Campaign, declines: DeclineTable, now: datetime) -> Taken:
    """Take one fact in; a fact that is known already changes nothing."""
    key = fact_key(fact)
    if key in story.seen:
        return Taken(story)
    story = story.model_copy(update={"seen": (*story.seen, key)} | _awake(fact, now))
    match fact:
        case Cancel():
            return _cancelled(story, fact, now)
        case PaymentSucceeded():
            return Taken(
                story.model_copy(update={"look": "a payment was reported"}), ("a payment was reported",)
            )
        case InvoiceChanged():
            if story.charged_back:
                return Taken(story, (fact.what,), (fact.what,))
            changes: dict[str, object] = {"look": fact.what}
            if fact.unconfirmed and _asks_again(campaign, story, now):
                changes["card_notice"] = CONFIRM_AGAIN
            return Taken(story.model_copy(update=changes), (fact.what,))
        case CardUpdated():
            return _card_updated(story, fact)
        case PaymentFailed():
            return _failed_again(story, fact, declines, now)
        case PromiseToPay():
            return _promised(story, fact, campaign, now)
    return Taken(story)


def _asks_again(campaign: Campaign, story: Story, now: datetime) -> bool:
    """Whether the bank's confirmation is asked for in a mail of its own: once, and only where no step's mail does."""
    asked = CONFIRM_AGAIN in story.done or CONFIRM_AGAIN in story.passed or story.card_notice is not None
    rests = story.paused or story.review or story.promise_at or story.ending
    if story.ask is not Ask.CONFIRM or asked or rests:
        return False
    return following_message_at(campaign, story, now, parts(campaign, story)) >= end_at(campaign, story)


def _awake(fact: Fact, now: datetime) -> dict[str, object]:
    """Say how long the customer waits for an answer, where it may be the customer who did this, just now.

    A card that the network renewed was no deed of theirs: they may be asleep.
    """
    if isinstance(fact, PaymentSucceeded) or (isinstance(fact, CardUpdated) and not fact.renewed):
        return {"awake_until": min(fact.at or now, now) + AWAKE}
    return {}


def fact_key(fact: Fact) -> str:
    """Give that by which a repetition is known: a card by the card, anything else by its event."""
    if isinstance(fact, CardUpdated) and (fact.method or fact.renewed):
        return f"card:{fact.method or ''}:{fact.renewed or ''}"
    return fact.event


def _cancelled(story: Story, fact: Cancel, now: datetime) -> Taken:
    if story.charged_back and fact.by == BILLING_SERVICE:
        # A billing service may cancel because of the dispute, which is not settled by that.
        return Taken(story, ("the subscription was cancelled; the dispute is still to be decided on",))
    alerts: tuple[str, ...] = ()
    if story.unsettled:
        story = flagged(story, "cancelled with a charge unsettled")
        alerts = (f"cancelled while nobody knows whether the charge {story.unsettled.id} went through",)  # type: ignore[union-attr]
    ending = Ending(outcome=Outcome.CANCELLED, by=fact.by, why=fact.why, at=now)
    return Taken(story.model_copy(update={**nothing_pending(), "ending": ending}), (), alerts)


def _card_updated(story: Story, fact: CardUpdated) -> Taken:
    if story.charged_back:
        return Taken(story, ("a card was given: nothing is charged for a payment that was charged back",))
    if fact.method and fact.method == story.method and not fact.renewed:
        return Taken(story, ("the card on file was named again; it is the one already known",))
    if fact.method in story.blocked and not fact.renewed:
        # Charging it again costs a network's fee and cannot work, whoever puts it back.
        return Taken(story, ("a card was given that had been declined for good: it is not charged again",))
    attempt = f"card.{fact.method or fact.event}" + (f".{fact.renewed}" if fact.renewed else "")
    card = fact.method or "default"
    changes: dict[str, object] = {
        **new_card(fact.method),
        "blocked": tuple(blocked for blocked in story.blocked if blocked != card),
        "pending": Pending(id=attempt, trigger=fact.by, method=fact.method),
        "card_notice": None,
    }
    words = "the network renewed the card" if fact.renewed else "the customer gave a new card"
    return Taken(story.model_copy(update=changes), (words,))


def _failed_again(story: Story, fact: PaymentFailed, declines: DeclineTable, now: datetime) -> Taken:
    if story.under_way:
        # The answer that was waited for, as a rule: the invoice tells which charge it was of.
        return Taken(story.model_copy(update={"look": "the bank's answer was reported"}))
    said = Said(fact.decline, fact.advice, story.network, fact.network_code, fact.network_advice)
    verdict = declines.judge(said, now.date())
    changes: dict[str, object] = {"charges": story.charges + 1}
    # Today's Stripe events do not say why; a reason that is not given must not replace one that was.
    if fact.decline and fact.method in {None, story.method}:
        changes |= learn_from_decline(story, verdict, min(fact.at or now, now))
    if changes.get("revoked") and story.pending and story.pending.trigger is Trigger.BACKUP:
        # It waits for the hours of charges, and what the customer agreed to is taken back.
        changes["pending"] = None
    lines = [f"a charge made by the {fact.by} was declined: {verdict.words}"]
    spared = _spared(story, fact, now)
    if spared:
        lines.append(f"shadow: Dunwell would not have made that charge: {spared}")
    if story.beside:
        # It tells when it charges again, or that it has given up.
        changes["look"] = "the processor's own retry was declined"
    return Taken(story.model_copy(update=changes), tuple(lines), recorded=(fact,), spared=spared)


def _spared(story: Story, fact: PaymentFailed, now: datetime) -> str | None:
    """Say why a case in shadow would have kept the processor from a charge, or None where it would not."""
    if not story.shadow or fact.by is not Trigger.PROCESSOR:
        return None
    if blocked := why_no_charge_at_all(story):
        return blocked
    waits = story.advised
    return waits.why if waits and waits.exact and min(fact.at or now, now) < waits.at else None


def _promised(story: Story, fact: PromiseToPay, campaign: Campaign, now: datetime) -> Taken:
    if refused := why_not(campaign, story, fact.on, now):
        return Taken(story, (f"a promise to pay on {fact.on:%d %B %Y} was not taken: {refused}",))
    at = charged_at(campaign, story, fact.on)
    line = f"the customer promised to pay on {at:%d %B %Y}: messages rest until then"
    return Taken(story.model_copy(update={"promise_at": at, "promises": story.promises + 1}), (line,))
