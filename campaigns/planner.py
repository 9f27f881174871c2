"""What comes next in a case, when, and why: a pure function of campaign, story and time.

The order of precedence is that of the rules of money and mail: an outcome that has been reached, a
charge whose fate is unknown, news about the invoice, a charge that somebody just made possible, the
people who stopped the case, a promise, and only then the calendar.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING

from campaigns.declines import Ask
from campaigns.document import ACCESS, ALERT, ASK, CHARGE, MESSAGE
from campaigns.durations import spell_duration
from campaigns.schedule import (
    FAREWELL,
    FINAL,
    NOTICE,
    Due,
    end_at,
    mail_opens,
    opens,
    parts,
    planned_end,
    spell_time,
)
from campaigns.story import Action, Lever, Outcome, Plan, Story, Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.document import Campaign

# A final action that comes later than this after its time is announced once more before it is done.
LATE = timedelta(hours=1)
# A receipt or a farewell that could not be sent for so long is dropped, so that the case can close.
FAREWELL_PATIENCE = timedelta(days=2)
# What a customer did by hand, and so waits for an answer to; for so long: then it is back to other things, or to bed.
AWAKE = timedelta(hours=1)
BY_HAND = frozenset({Lever.CARD_UPDATE, Lever.CUSTOMER})
# Of a kind that is listed here only the latest that is due is done.
ONE_OF_A_KIND = frozenset({CHARGE, ACCESS, MESSAGE})


def plan(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due] | None = None) -> Plan:
    """Give the next action; the same campaign, story and time always give the same answer.

    ``every`` are the case's parts, where whoever asks has them at hand.
    """
    first = _after_the_end(campaign, story, now) or _at_once(campaign, story, now)
    if first is not None:
        return first
    notice = _card_notice(campaign, story, now)
    if notice and notice.at == _not_before_hold(story, notice.id, now):
        return notice
    other = (
        _stopped(story, now)
        or _promised(campaign, story, now)
        or _on_the_calendar(campaign, story, now, every or parts(campaign, story))
    )
    # A notice that has to wait for its hours lets everything else that comes before it go on.
    return notice if notice and notice.at and not (other.at and other.at < notice.at) else other


def overtaken(
    campaign: Campaign, story: Story, now: datetime, every: Sequence[Due] | None = None
) -> tuple[str, ...]:
    """List the due actions that will never be done: something later took their place, or they do not apply.

    ``every`` are the case's parts, where whoever asks has them at hand.
    """
    if story.ending or story.closed:
        return ()
    every = every or parts(campaign, story)
    due = [
        part for part in every if part.at <= now and part.id not in story.done and part.id not in story.passed
    ]
    if not due:
        return ()
    kept = _to_do(campaign, story, now, every)
    # Its outcome is still asked for, however late it gets.
    left = {part.id for part in kept} | ({story.unsettled.id} if story.unsettled else set())
    asking = {part.step.id for part in kept if part.kind == ASK}
    charging = min((part.at for part in kept if part.kind == CHARGE), default=now)
    gone: dict[str, None] = {}
    for part in due:
        if part.id in left or part.step.id in asking:
            continue
        if part.holds:
            gone[part.id] = None
        elif part.at <= charging:
            # Judged in order of time: not before a charge of an earlier step, on which it may depend. And a
            # step is judged as a whole when it begins: its mail must not go out without the rest of it.
            gone |= dict.fromkeys(other.id for other in every if other.step is part.step)
    return tuple(action for action in gone if action not in story.done and action not in story.passed)


def due_now(campaign: Campaign, story: Story, now: datetime) -> tuple[str, ...]:
    """List the actions that the campaign is ready to do now, or as soon as their hours allow, in order.

    That is, were it not for a hold, a pause, a promise or a person who has to look.
    """
    if story.ending or story.closed:
        return ()
    every = parts(campaign, story)
    found = [part.id for part in _to_do(campaign, story, now, every)]
    if _announce_late_end(campaign, story, now, every):
        found.append(NOTICE)
    elif end_at(campaign, story) <= now:
        found.append(FINAL)
    return tuple(found)


def why_no_charge(campaign: Campaign, story: Story) -> str | None:
    """Say why the card on file is not charged on schedule, or None when it is."""
    if campaign.is_holdout:
        return "the customer is in the holdout, which gets nothing but the processor's own retries"
    blocked = why_no_charge_at_all(story)
    if blocked is None and story.scheduled_charges >= campaign.retries:
        return f"the campaign's limit of {campaign.retries} scheduled charges is reached"
    return blocked


def why_no_charge_at_all(story: Story) -> str | None:
    """Say why the card on file cannot be charged, whoever asks for it, or None when it can."""
    if not story.has_card:
        return "the customer has no card on file"
    if story.ask is Ask.CONFIRM:
        return "the customer has to confirm the payment with the bank"
    if story.card_blocked:
        return f"the card was declined for good ({(story.decline or 'declined').replace('_', ' ')})"
    return None


def template_for(campaign: Campaign, story: Story, template: str) -> str:
    """Give the template that fits what the customer has to do, in place of the ordinary notice."""
    if template != campaign.messages.failed:
        return template
    if story.ask is Ask.CONFIRM:
        return campaign.messages.confirm
    if story.ask is Ask.NEW_CARD or not story.has_card:
        return campaign.messages.new_card
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
            at=opened(campaign, story, _not_before_hold(story, FAREWELL, now)),
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
            at=_not_before_hold(story, unsettled.id, max(now, unsettled.until)),
            why="nobody knows yet whether the last charge went through: ask the processor again",
            trigger=unsettled.trigger,
            method=unsettled.method,
        )
    if story.look:
        at = _not_before_hold(story, "look", now)
        return Plan(action=Action.LOOK, id="look", at=at, why=story.look)
    if story.unsettled:
        # A person has to look first: a second charge could be a second payment.
        return None
    if campaign.is_holdout:
        return None
    if story.pending:
        words = {
            Trigger.CARD_UPDATED: "the customer gave a new card: charge it at once",
            Trigger.OPERATOR: "a person asked for a charge now",
            Trigger.CUSTOMER: "the customer asked to pay now",
        }
        held = story.hold if story.hold and story.hold.action == story.pending.id else None
        return Plan(
            action=Action.CHARGE,
            id=story.pending.id,
            at=_not_before_hold(story, story.pending.id, now),
            why=held.why if held else words.get(story.pending.trigger, "charge at once"),
            trigger=story.pending.trigger,
            method=story.pending.method,
        )
    return None


def _card_notice(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    """Tell of a new card that was declined: at once, whatever the hour, while the customer waits for it."""
    if story.card_notice is None or story.unsettled or campaign.is_holdout:
        return None
    template = campaign.messages.confirm if story.ask is Ask.CONFIRM else campaign.messages.card_declined
    return Plan(
        action=Action.MESSAGE,
        id=story.card_notice,
        at=_answer_opens(campaign, story, _not_before_hold(story, story.card_notice, now)),
        why="tell the customer that the new card did not settle the payment",
        template=template,
        not_after=_following(campaign, story, now, parts(campaign, story)),
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
        at=_not_before_hold(story, f"promise.{story.promise_at:%Y-%m-%dT%H%M}", max(now, story.promise_at)),
        why=f"the customer promised to pay on {story.promise_at:%d %B %Y}",
        trigger=Trigger.CUSTOMER,
        method=story.method,
    )


def _to_do(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> list[Due]:
    """Keep what is due and still to be done: of charges, access changes and messages only the latest.

    A worker that was away past several steps so does one charge and one message, not all of them.
    A charge made since a step's time, for whatever reason, has taken that step's place.
    """
    latest: dict[str, Due] = {}
    ends = planned_end(campaign, story)
    for part in every:
        if part.step.approval and part.kind != ASK and f"{part.step.id}.{ASK}" not in story.done:
            # However late it is: nobody has been asked yet.
            continue
        # What the calendar puts past the end is never done: the end itself speaks then. What a move left
        # behind must not take the place of what was waiting already.
        if part.at <= now and part.holds and part.at < ends and part.id not in story.put_past:
            latest[part.kind if part.kind in ONE_OF_A_KIND else part.id] = part
    kept = [part for part in latest.values() if _is_to_do(campaign, story, now, every, part)]
    return sorted(kept, key=lambda part: (ASK, CHARGE, ACCESS, MESSAGE, ALERT).index(part.kind))


def _is_to_do(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due], part: Due) -> bool:
    if part.id in story.done or part.id in story.passed:
        return False
    if part.kind == CHARGE:
        return not why_no_charge(campaign, story) and not (
            story.last_charge_at and story.last_charge_at >= part.at
        )
    if part.kind == ACCESS:
        return part.step.access is not story.access
    if part.kind == MESSAGE:
        return not _announce_late_end(campaign, story, now, every) and not _told_since(story, part.at)
    return True


def _told_since(story: Story, moment: datetime) -> bool:
    """Whether the customer was told of a new card's decline since then: one mail for one return is enough."""
    return any(
        action.startswith("card.") and action.endswith(f".{MESSAGE}") and at >= moment
        for action, at in story.done.items()
    )


def _announce_late_end(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> bool:
    """Whether the end has come, or was brought near, without the customer having been told in time."""
    planned = end_at(campaign, story)
    if NOTICE in story.done or NOTICE in story.passed or campaign.is_holdout:
        return False
    if story.short_notice and planned < now + campaign.end.late_grace:
        return True
    if now < planned:
        return False
    telling = [part for part in every if part.kind == MESSAGE and (part.holds or part.id in story.done)]
    return (bool(telling) and telling[-1].id not in story.done) or now - planned > LATE


def _on_the_calendar(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> Plan:
    """Plan whatever comes first: what is due, as soon as its hours allow, what is to come, or the end.

    Of what is due the charge goes first, so that a message never says what is no longer so: what holds the
    charge holds the others. Where the charge has to wait for its hours only, they go on.
    """
    found: list[tuple[datetime, Due]] = []
    wait = now
    for part in _to_do(campaign, story, now, every):
        free = _not_before_hold(story, part.id, wait)
        if part.kind == CHARGE:
            wait = free
        found.append((opens(campaign, story, part, free), part))
    found += [(part.at, part) for part in _to_come(campaign, story, now, every)]
    first = min(found, key=itemgetter(0), default=None)
    if _announce_late_end(campaign, story, now, every):
        last = _late_notice(campaign, story, now)
        if first is None or (last.at is not None and last.at < first[0]):
            return last
    elif first is None or _final_at(campaign, story, now) < first[0]:
        return _final_action(campaign, story, now)
    return _step_plan(campaign, story, first[1], first[0], every)


def _to_come(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> list[Due]:
    """List what is still to come before the end, as far as it can be foreseen."""
    ends = planned_end(campaign, story)
    blocked = why_no_charge(campaign, story)
    return [
        part
        for part in every
        if now < part.at < ends
        and part.may
        and part.id not in story.passed
        and part.id not in story.done
        and not (part.kind == CHARGE and blocked)
        and not (part.kind == ACCESS and part.step.access is story.access)
    ]


def _late_notice(campaign: Campaign, story: Story, now: datetime) -> Plan:
    at = mail_opens(campaign, story, _not_before_hold(story, NOTICE, now))
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
    return _not_before_hold(story, FINAL, max(now, end_at(campaign, story)))


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
    why = f"step {step.id}: {spell_time(campaign, story, part, at)}"
    if story.hold and story.hold.covers(part.id) and at >= story.hold.until:
        why = story.hold.why
    elif part.kind == MESSAGE and step.retry and (blocked := why_no_charge(campaign, story)):
        why = f"{why}; no charge: {blocked}"
    if not part.holds:
        why = f"{why}; only if the customer has opened a mail or used a link by then"
    common = {"id": part.id, "at": at, "why": why, "step": step.id}
    if part.kind == CHARGE:
        return Plan(action=Action.CHARGE, trigger=Trigger.SCHEDULE, method=story.method, **common)
    if part.kind == ACCESS:
        return Plan(action=Action.ACCESS, access=step.access, **common)
    if part.kind == MESSAGE:
        return Plan(
            action=Action.MESSAGE,
            template=template_for(campaign, story, step.message or ""),
            not_after=_following(campaign, story, part.at, every),
            **common,
        )
    return Plan(action=Action.ALERT, note=_question(part) if part.kind == ASK else step.alert, **common)


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


def _following(campaign: Campaign, story: Story, moment: datetime, every: Sequence[Due]) -> datetime:
    """When the message after this moment is due, or the end: what was to be said is stale by then."""
    ends = max(end_at(campaign, story), moment)
    later = [part.at for part in every if part.kind == MESSAGE and part.may and moment < part.at]
    return min([*later, ends])


def _not_before_hold(story: Story, action: str, at: datetime) -> datetime:
    if story.hold and story.hold.covers(action):
        return max(at, story.hold.until)
    return at


def next_charge_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When the card on file will next be charged on schedule, or None if it will not be."""
    every = parts(campaign, story)
    waiting = [
        opens(campaign, story, part, now)
        for part in _to_do(campaign, story, now, every)
        if part.kind == CHARGE
    ]
    coming = [part.at for part in _to_come(campaign, story, now, every) if part.kind == CHARGE]
    return min((at for at in (*waiting, *coming) if at > now), default=None)


def access_changes_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When access will next be taken away, or None if it will not be before the end."""
    times = [
        part.at
        for part in _to_come(campaign, story, now, parts(campaign, story))
        if part.step.access and part.kind == ACCESS and part.step.access.strictness > story.access.strictness
    ]
    return min(times, default=None)
