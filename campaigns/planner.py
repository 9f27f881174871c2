"""What comes next in a case, when, and why: a pure function of campaign, story and time.

The order of precedence is that of the rules of money and mail: an outcome that has been reached, a
charge whose fate is unknown, news about the invoice, a charge that somebody just made possible, the
people who stopped the case, a promise, and only then the calendar.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.declines import Ask
from campaigns.document import ACCESS, ASK, CHARGE, MESSAGE
from campaigns.due import (
    ONE_OF_A_KIND,
    ORDER,
    end_is_to_be_announced,
    following_message_at,
    not_before_hold,
    to_come,
    to_do,
    why_no_charge,
)
from campaigns.durations import spell_duration
from campaigns.openings import charge_opens, mail_opens, opens, why_no_charge_at_all
from campaigns.schedule import ADVISED, CONFIRM_AGAIN, FAREWELL, FINAL, NOTICE, Due, end_at, parts, spell_time
from campaigns.story import Action, Lever, Outcome, Plan, Story, Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.document import Campaign

# A receipt or a farewell that could not be sent for so long is dropped, so that the case can close.
FAREWELL_PATIENCE = timedelta(days=2)
# What a customer did by hand, and so waits for an answer to; for so long: then it is back to other things, or to bed.
AWAKE = timedelta(hours=1)
BY_HAND = frozenset({Lever.CARD_UPDATE, Lever.CUSTOMER})


def plan(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due] | None = None) -> Plan:
    """Give the next action; the same campaign, story and time always give the same answer.

    ``every`` are the case's parts, where whoever asks has them at hand.
    """
    first = _after_the_end(campaign, story, now) or _at_once(campaign, story, now)
    if first is not None:
        return first
    notice = _card_notice(campaign, story, now)
    if notice and notice.at == not_before_hold(story, notice.id, now):
        return notice
    other = (
        _stopped(story, now)
        or _promised(campaign, story, now)
        or _another_card(campaign, story, now)
        or _on_the_calendar(campaign, story, now, every or parts(campaign, story))
    )
    # A notice that has to wait for its hours lets everything else that comes before it go on.
    if notice and notice.at and not (other.at and other.at < notice.at):
        other = notice
    look = _look_beside(campaign, story, now)
    return look if look and look.at and not (other.at and other.at <= look.at) else other


def template_for(campaign: Campaign, story: Story, template: str) -> str:
    """Give the template that fits what the customer has to do, in place of the ordinary notice.

    Whoever told the bank to stop is not dunned for a card but asked, also by a step that names that notice.
    """
    messages = campaign.messages
    if story.revoked and template in {messages.failed, messages.new_card, messages.confirm}:
        return messages.revoked
    if template != messages.failed:
        return template
    if story.ask is Ask.CONFIRM:
        return messages.confirm
    if story.ask is Ask.NEW_CARD or not story.has_card:
        return messages.new_card
    return template


def _after_the_end(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    if story.closed:
        return Plan(action=Action.CLOSE, id="close", at=now, why="the case is closed")
    if story.ending is None:
        return None
    farewell = None
    if story.ending.outcome is Outcome.RECOVERED:
        farewell = campaign.messages.receipt
    elif story.ending.outcome is Outcome.EXHAUSTED:
        farewell = campaign.end.message
    if farewell and FAREWELL not in story.done and FAREWELL not in story.passed:
        by_hand = story.ending.outcome is Outcome.RECOVERED and story.ending.lever in BY_HAND
        opened = _answer_opens if by_hand else mail_opens
        return Plan(
            action=Action.MESSAGE,
            id=FAREWELL,
            at=opened(campaign, story, not_before_hold(story, FAREWELL, now)),
            why=f"the last message of the case, which is {story.ending.outcome}",
            step="end",
            template=farewell,
            not_after=mail_opens(campaign, story, story.ending.at or now) + FAREWELL_PATIENCE,
        )
    return Plan(action=Action.CLOSE, id="close", at=now, why=story.ending.why)


def _at_once(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    if story.unsettled and not story.review:
        unsettled = story.unsettled
        return Plan(
            action=Action.CHARGE,
            id=unsettled.id,
            at=not_before_hold(story, unsettled.id, max(now, unsettled.until)),
            why="nobody knows yet whether the last charge went through: ask the processor again",
            trigger=unsettled.trigger,
            method=unsettled.method,
        )
    if story.look:
        at = not_before_hold(story, "look", now)
        return Plan(action=Action.LOOK, id="look", at=at, why=story.look)
    if story.under_way:
        why = "the bank has the payment, and answers in a few days: nothing else is charged or sent till then"
        at = not_before_hold(story, "look", max(now, story.under_way.until))
        return Plan(action=Action.LOOK, id="look", at=at, why=why)
    if story.unsettled:
        # A person has to look first: a second charge could be a second payment.
        return None
    if campaign.is_holdout:
        return None
    if story.pending:
        words = {
            Trigger.CARD_UPDATED: "the customer gave a new card: charge it at once",
            Trigger.BACKUP: "the card was declined for good: charge another that the customer agreed to",
            Trigger.OPERATOR: "a person asked for a charge now",
            Trigger.CUSTOMER: "the customer asked to pay now",
        }
        held = story.hold if story.hold and story.hold.action == story.pending.id else None
        at = not_before_hold(story, story.pending.id, now)
        return Plan(
            action=Action.CHARGE,
            id=story.pending.id,
            # Nobody waits for a charge of another stored card: it keeps to the hours of charges.
            at=charge_opens(campaign, story, at) if story.pending.trigger is Trigger.BACKUP else at,
            why=_with_budget(story, held.why if held else words.get(story.pending.trigger, "charge at once")),
            trigger=story.pending.trigger,
            method=story.pending.method,
        )
    return None


def wants_another_card(campaign: Campaign, story: Story) -> bool:
    """Whether another stored card is to be looked for: the one in force is done with, and not by the customer's word."""
    if not campaign.backup_card or campaign.is_holdout or story.revoked or story.ending or story.beside:
        return False
    return story.card_blocked and not story.pending and (story.method or "default") not in story.sought


def _another_card(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    if not wants_another_card(campaign, story):
        return None
    why = "the card was declined for good: is there another that the customer agreed to?"
    return Plan(action=Action.LOOK, id="look", at=not_before_hold(story, "look", now), why=why)


def _look_beside(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    """Ask whether the processor still charges by itself: what is left to it is not left undone by both."""
    if story.beside is None or story.review or campaign.is_holdout:
        return None
    why = (
        "the processor's own retries were to be switched off: try again"
        if story.beside.refused
        else ("see whether the processor's own retries go on")
    )
    at = not_before_hold(story, "look", max(now, story.beside.look_at))
    return Plan(action=Action.LOOK, id="look", at=at, why=why)


def _card_notice(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    """Tell of a new card that was declined: at once, whatever the hour, while the customer waits for it."""
    if story.card_notice is None or story.unsettled or campaign.is_holdout:
        return None
    template = campaign.messages.confirm if story.ask is Ask.CONFIRM else campaign.messages.card_declined
    return Plan(
        action=Action.MESSAGE,
        id=story.card_notice,
        at=_answer_opens(campaign, story, not_before_hold(story, story.card_notice, now)),
        why=(
            "the confirmation did not come: ask the customer for it once more"
            if story.card_notice == CONFIRM_AGAIN
            else "tell the customer that the new card did not settle the payment"
        ),
        template=template,
        not_after=following_message_at(campaign, story, now, parts(campaign, story)),
    )


def _answer_opens(campaign: Campaign, story: Story, at: datetime) -> datetime:
    """When a mail may be sent that answers what the customer has just done: at any hour, but not hours later."""
    waiting = story.awake_until is not None and at < story.awake_until
    return at if waiting else mail_opens(campaign, story, at)


def _stopped(story: Story, now: datetime) -> Plan | None:
    if story.review:
        return Plan(action=Action.WAIT, id="review", at=None, why=f"a person has to look: {story.review}")
    if story.paused and (story.paused.until is None or now < story.paused.until):
        why = f"paused by {story.paused.by}: {story.paused.why}"
        return Plan(action=Action.WAIT, id="paused", at=story.paused.until, why=why)
    return None


def _promised(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    if story.promise_at is None or campaign.is_holdout:
        return None
    blocked = why_no_charge_at_all(story)
    if blocked and now >= story.promise_at:
        return None
    return Plan(
        action=Action.WAIT if blocked else Action.CHARGE,
        id=f"promise.{story.promise_at:%Y-%m-%dT%H%M}",
        at=not_before_hold(story, f"promise.{story.promise_at:%Y-%m-%dT%H%M}", max(now, story.promise_at)),
        why=f"the customer promised to pay on {story.promise_at:%d %B %Y}",
        trigger=Trigger.CUSTOMER,
        method=story.method,
    )


def _on_the_calendar(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> Plan:
    """Plan whatever comes first: what is due, as soon as its hours allow, what is to come, or the end.

    Of what is due the charge goes first, so that a message never says what is no longer so: what holds the
    charge holds the others. Where the charge has to wait for its hours only, they go on.
    """
    found: list[tuple[datetime, Due]] = []
    wait = now
    for part in to_do(campaign, story, now, every):
        free = not_before_hold(story, part.id, wait)
        if part.kind == CHARGE:
            wait = free
        found.append((opens(campaign, story, part, free), part))
    found += [(part.at, part) for part in to_come(campaign, story, now, every)]
    first, ends = _first(found), _final_at(campaign, story, now)
    told = not end_is_to_be_announced(campaign, story, now, every)
    if told and (first is None or ends < first[0]):
        # Nothing comes before the end, so that how it will come is known already.
        if not end_is_to_be_announced(campaign, story, ends, every):
            return _final_action(campaign, story, now)
        told = False
        now = max(now, ends)
    if not told:
        notice = _late_notice(campaign, story, now)
        if first is None or (notice.at is not None and notice.at < first[0]):
            return notice
    assert first is not None
    return _step_plan(campaign, story, first[1], first[0], every)


def _first(found: Sequence[tuple[datetime, Due]]) -> tuple[datetime, Due] | None:
    """Give what comes first; where hours bring several alike to one moment, the one that will then be done."""
    first = min(found, key=lambda choice: (choice[0], ORDER.index(choice[1].kind)), default=None)
    if first is None or first[1].kind not in ONE_OF_A_KIND:
        return first
    alike = [choice for choice in found if choice[0] == first[0] and choice[1].kind == first[1].kind]
    return next((choice for choice in reversed(alike) if choice[1].holds), first)


def _late_notice(campaign: Campaign, story: Story, now: datetime) -> Plan:
    at = mail_opens(campaign, story, not_before_hold(story, NOTICE, now))
    come = "was brought forward" if story.short_notice else "has come"
    return Plan(
        action=Action.MESSAGE,
        id=NOTICE,
        at=at,
        why=(
            f"the end {come} without a word to the customer: the customer is told, and has"
            f" {spell_duration(campaign.end.late_grace)} before the final action"
        ),
        step="end",
        template=campaign.messages.last_notice,
        not_after=at + campaign.end.late_grace,
    )


def _final_at(campaign: Campaign, story: Story, now: datetime) -> datetime:
    return not_before_hold(story, FINAL, max(now, end_at(campaign, story)))


def _final_action(campaign: Campaign, story: Story, now: datetime) -> Plan:
    ends = end_at(campaign, story)
    return Plan(
        action=Action.END,
        id=FINAL,
        at=_final_at(campaign, story, now),
        why=f"the campaign ends {spell_duration(ends - story.failed_at)} after the failed payment",
        step="end",
        final_action=campaign.end.action,
    )


def _step_plan(campaign: Campaign, story: Story, part: Due, at: datetime, every: Sequence[Due]) -> Plan:
    step = part.step
    if step is ADVISED:
        return _advised_plan(story, part, at)
    why = f"step {step.id}: {spell_time(campaign, story, part, at)}"
    if story.hold and story.hold.covers(part.id) and at >= story.hold.until:
        why = story.hold.why
    elif part.kind == MESSAGE and step.retry and (blocked := why_no_charge(campaign, story)):
        why = f"{why}; no charge: {blocked}"
    if not part.holds:
        why = f"{why}; only if the customer has opened a mail or used a link by then"
    common = {"id": part.id, "at": at, "why": why, "step": step.id}
    if part.kind == CHARGE:
        common["why"] = _with_budget(story, why)
        return Plan(action=Action.CHARGE, trigger=Trigger.SCHEDULE, method=story.method, **common)
    if part.kind == ACCESS:
        return Plan(action=Action.ACCESS, access=step.access, **common)
    if part.kind == MESSAGE:
        return Plan(
            action=Action.MESSAGE,
            template=template_for(campaign, story, step.message or ""),
            not_after=following_message_at(campaign, story, part.at, every),
            **common,
        )
    return Plan(action=Action.ALERT, note=_question(part) if part.kind == ASK else step.alert, **common)


def _advised_plan(story: Story, part: Due, at: datetime) -> Plan:
    assert story.advised is not None
    held = story.hold if story.hold and story.hold.covers(part.id) and at >= story.hold.until else None
    return Plan(
        action=Action.CHARGE,
        id=part.id,
        at=at,
        why=_with_budget(story, held.why if held else story.advised.why),
        trigger=Trigger.SCHEDULE,
        method=story.method,
    )


def _with_budget(story: Story, why: str) -> str:
    """Add how often the card has been tried, as far as its network limits that."""
    return f"{why}; {story.budget}" if story.budget else why


def _question(part: Due) -> str:
    """Word what a person is asked to approve, and what happens when nobody answers."""
    approval = part.step.approval
    assert approval is not None
    doing = ", ".join(part.step.kinds)
    silence = "it goes on" if approval.otherwise == "go on" else "it is skipped"
    return (
        f"step {part.step.id} ({doing}) waits for an approval;"
        f" without an answer within {spell_duration(approval.within)} {silence}"
    )
