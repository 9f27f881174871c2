"""What comes next in a case, when, and why: a pure function of campaign, story and time.

The order of precedence is that of the rules of money and mail: an outcome that has been reached, a
charge whose fate is unknown, news about the invoice, a charge that somebody just made possible, the
people who stopped the case, a promise, and only then the calendar.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.declines import Ask
from campaigns.durations import spell_duration
from campaigns.story import Action, Outcome, Plan, Story, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.document import Campaign, Step

# A final action that comes later than this after its time is announced once more before it is done.
LATE = timedelta(hours=1)
# A receipt or a farewell that could not be sent for so long is dropped, so that the case can close.
FAREWELL_PATIENCE = timedelta(days=2)
CHARGE, MESSAGE, ACCESS = "charge", "message", "access"
NOTICE, FINAL, FAREWELL = "end.notice", "end.action", "end.message"


def plan(campaign: Campaign, story: Story, now: datetime) -> Plan:
    """Give the next action; the same campaign, story and time always give the same answer."""
    return (
        _after_the_end(campaign, story, now)
        or _at_once(campaign, story, now)
        or _stopped(story, now)
        or _promised(story, now)
        or _due(campaign, story, now)
        or _next(campaign, story, now)
    )


def end_at(campaign: Campaign, story: Story) -> datetime:
    """When the final action is due: never sooner than the late notice allows."""
    planned = story.moved.get("end", story.failed_at + campaign.end.after)
    notified = story.done.get(NOTICE)
    return max(planned, notified + campaign.end.late_grace) if notified else planned


def step_at(story: Story, step: Step) -> datetime:
    """When a step is due: anchored at the failed attempt unless a person moved it."""
    return story.moved.get(step.id, story.failed_at + step.after)


def overtaken(campaign: Campaign, story: Story, now: datetime) -> tuple[str, ...]:
    """List the due actions that will never be done, because something later took their place."""
    if story.ending or story.closed:
        return ()
    due = list(_due_actions(campaign, story, now))
    kept = {action for action, _ in _latest(campaign, story, now)}
    settled = {*story.done, *story.passed, *kept}
    if story.unsettled:
        # Its outcome is still asked for, however late it gets.
        settled.add(story.unsettled.id)
    return tuple(action for action, _ in due if action not in settled)


def why_no_charge(campaign: Campaign, story: Story) -> str | None:
    """Say why the card on file is not charged on schedule, or None when it is."""
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
        return Plan(
            action=Action.MESSAGE,
            id=FAREWELL,
            at=_not_before_hold(story, FAREWELL, now),
            why=f"the last message of the case, which is {story.ending.outcome}",
            step="end",
            template=farewell,
            not_after=(story.ending.at or now) + FAREWELL_PATIENCE,
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
    if story.card_notice:
        template = campaign.messages.confirm if story.ask is Ask.CONFIRM else campaign.messages.card_declined
        return Plan(
            action=Action.MESSAGE,
            id=story.card_notice,
            at=_not_before_hold(story, story.card_notice, now),
            why="tell the customer that the new card did not settle the payment",
            template=template,
            not_after=_following(campaign, story, now),
        )
    return None


def _stopped(story: Story, now: datetime) -> Plan | None:
    if story.review:
        return Plan(action=Action.WAIT, id="review", at=None, why=f"a person has to look: {story.review}")
    if story.paused and (story.paused.until is None or now < story.paused.until):
        why = f"paused by {story.paused.by}: {story.paused.why}"
        return Plan(action=Action.WAIT, id="paused", at=story.paused.until, why=why)
    return None


def _promised(story: Story, now: datetime) -> Plan | None:
    if story.promise_at is None:
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


def _due_actions(campaign: Campaign, story: Story, now: datetime) -> Iterator[tuple[str, Step]]:
    """Yield every action whose time has come, done or not, in order of time."""
    for step in sorted(campaign.steps, key=lambda step: step_at(story, step)):
        if step_at(story, step) > now:
            break
        if step.retry:
            yield f"{step.id}.{CHARGE}", step
        if step.access:
            yield f"{step.id}.{ACCESS}", step
        if step.message:
            yield f"{step.id}.{MESSAGE}", step


def _latest(campaign: Campaign, story: Story, now: datetime) -> list[tuple[str, Step]]:
    """Keep the latest due action of each kind, if it is still to be done: charge, access, message.

    A worker that was away past several steps so does one charge and one message, not all of them.
    A charge made since a step's time, for whatever reason, has taken that step's place.
    """
    latest = {
        action.rpartition(".")[2]: (action, step) for action, step in _due_actions(campaign, story, now)
    }
    kept = []
    for kind in (CHARGE, ACCESS, MESSAGE):
        if kind not in latest:
            continue
        action, step = latest[kind]
        if action in story.done or action in story.passed:
            continue
        if kind == CHARGE and (
            why_no_charge(campaign, story)
            or (story.last_charge_at and story.last_charge_at >= step_at(story, step))
        ):
            continue
        if kind == ACCESS and step.access is story.access:
            continue
        if kind == MESSAGE and (
            _announce_late_end(campaign, story, now) or _told_since(story, step_at(story, step))
        ):
            continue
        kept.append(latest[kind])
    return kept


def _told_since(story: Story, moment: datetime) -> bool:
    """Whether the customer was told of a new card's decline since then: one mail for one return is enough."""
    return any(
        action.startswith("card.") and action.endswith(f".{MESSAGE}") and at >= moment
        for action, at in story.done.items()
    )


def _announce_late_end(campaign: Campaign, story: Story, now: datetime) -> bool:
    """Whether the end has come without the customer having been told in time."""
    planned = end_at(campaign, story)
    if now < planned or NOTICE in story.done or NOTICE in story.passed:
        return False
    telling = [step for step in campaign.steps if step.message and f"{step.id}.{MESSAGE}" not in story.done]
    last = max(
        (step for step in campaign.steps if step.message), key=lambda s: step_at(story, s), default=None
    )
    return (last is not None and last in telling) or now - planned > LATE


def _due(campaign: Campaign, story: Story, now: datetime) -> Plan | None:
    """Plan what is due now: the charge first, so that a message never says what is no longer so."""
    for action, step in _latest(campaign, story, now):
        kind = action.rpartition(".")[2]
        at = _not_before_hold(story, action, now)
        if at > now:
            at = min([at, *(step_at(story, s) for s in campaign.steps if step_at(story, s) > now)])
        return _step_plan(campaign, story, step, kind, at, held=at > now)
    if _announce_late_end(campaign, story, now):
        return Plan(
            action=Action.MESSAGE,
            id=NOTICE,
            at=_not_before_hold(story, NOTICE, now),
            why=(
                "the end has passed while the case was stopped: the customer is told, and has"
                f" {spell_duration(campaign.end.late_grace)} before the final action"
            ),
            step="end",
            template=campaign.messages.last_notice,
            not_after=now + campaign.end.late_grace,
        )
    return None


def _next(campaign: Campaign, story: Story, now: datetime) -> Plan:
    """Plan the first thing to come on the calendar, the end included."""
    ends = end_at(campaign, story)
    for step in sorted(campaign.steps, key=lambda step: step_at(story, step)):
        at = step_at(story, step)
        if at <= now or at >= ends:
            continue
        blocked = why_no_charge(campaign, story)
        for kind in (CHARGE, ACCESS, MESSAGE):
            wanted = {
                CHARGE: step.retry and not blocked,
                ACCESS: bool(step.access),
                MESSAGE: bool(step.message),
            }
            if wanted[kind] and f"{step.id}.{kind}" not in story.passed:
                return _step_plan(campaign, story, step, kind, at, held=False)
    at = _not_before_hold(story, FINAL, max(now, ends))
    return Plan(
        action=Action.END,
        id=FINAL,
        at=at,
        why=f"the campaign ends {spell_duration(ends - story.failed_at)} after the failed payment",
        step="end",
        final_action=campaign.end.action,
    )


def _step_plan(campaign: Campaign, story: Story, step: Step, kind: str, at: datetime, *, held: bool) -> Plan:
    offset = spell_duration(step_at(story, step) - story.failed_at)
    moved = ", moved by a person" if step.id in story.moved else ""
    why = f"step {step.id}: {offset} after the failed payment{moved}"
    if held and story.hold:
        why = story.hold.why
    elif kind == MESSAGE and step.retry and (blocked := why_no_charge(campaign, story)):
        why = f"{why}; no charge: {blocked}"
    if kind == CHARGE:
        return Plan(
            action=Action.CHARGE,
            id=f"{step.id}.{CHARGE}",
            at=at,
            why=why,
            step=step.id,
            trigger=Trigger.SCHEDULE,
            method=story.method,
        )
    if kind == ACCESS:
        return Plan(
            action=Action.ACCESS, id=f"{step.id}.{ACCESS}", at=at, why=why, step=step.id, access=step.access
        )
    return Plan(
        action=Action.MESSAGE,
        id=f"{step.id}.{MESSAGE}",
        at=at,
        why=why,
        step=step.id,
        template=template_for(campaign, story, step.message or ""),
        not_after=_following(campaign, story, step_at(story, step)),
    )


def _following(campaign: Campaign, story: Story, moment: datetime) -> datetime:
    """When the message after this moment is due, or the end: what was to be said is stale by then."""
    later = [step_at(story, s) for s in campaign.steps if s.message and step_at(story, s) > moment]
    return min([*later, max(end_at(campaign, story), moment)])


def _not_before_hold(story: Story, action: str, at: datetime) -> datetime:
    if story.hold and story.hold.action == action:
        return max(at, story.hold.until)
    return at


__all__ = ["end_at", "overtaken", "plan", "step_at", "template_for", "why_no_charge"]


def next_charge_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When the card on file will next be charged on schedule, or None if it will not be."""
    if why_no_charge(campaign, story):
        return None
    times = [step_at(story, step) for step in campaign.steps if step.retry]
    return min((at for at in times if at > now), default=None)


def access_changes_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When access will next be taken away, or None if it will not be before the end."""
    times = [
        step_at(story, step)
        for step in campaign.steps
        if step.access and step.access.strictness > story.access.strictness
    ]
    return min((at for at in times if at > now), default=None)
