"""What of a campaign is due in a case, what is to come, and what never will be done any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.document import ACCESS, ALERT, ASK, CHARGE, MESSAGE
from campaigns.openings import opens, planned_end, why_no_charge_at_all
from campaigns.schedule import FINAL, NOTICE, Due, end_at, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.document import Campaign
    from campaigns.story import Story

# A final action that comes later than this after its time is announced once more before it is done.
LATE = timedelta(hours=1)
# What is done first of all that is due at one moment: a mail must not say what is no longer so.
ORDER = (ASK, CHARGE, ACCESS, MESSAGE, ALERT)
# Of a kind that is listed here only the latest that is due is done.
ONE_OF_A_KIND = frozenset({CHARGE, ACCESS, MESSAGE})


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
    kept = to_do(campaign, story, now, every)
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
    found = [part.id for part in to_do(campaign, story, now, every)]
    if end_is_to_be_announced(campaign, story, now, every):
        found.append(NOTICE)
    elif end_at(campaign, story) <= now:
        found.append(FINAL)
    return tuple(found)


def to_do(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> list[Due]:
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
    return sorted(kept, key=lambda part: ORDER.index(part.kind))


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
        return not end_is_to_be_announced(campaign, story, now, every) and not _told_since(story, part.at)
    return True


def _told_since(story: Story, moment: datetime) -> bool:
    """Whether the customer was told of a new card's decline since then: one mail for one return is enough."""
    return any(
        action.startswith("card.") and action.endswith(f".{MESSAGE}") and at >= moment
        for action, at in story.done.items()
    )


def to_come(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> list[Due]:
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


def end_is_to_be_announced(campaign: Campaign, story: Story, now: datetime, every: Sequence[Due]) -> bool:
    """Whether the end has come, or was brought near, without the customer having been told in time."""
    planned = end_at(campaign, story)
    if NOTICE in story.done or NOTICE in story.passed or campaign.is_holdout:
        return False
    if story.short_notice and planned < now + campaign.end.late_grace:
        return True
    if now < planned:
        return False
    telling = [part for part in every if part.kind == MESSAGE and (part.holds or part.id in story.done)]
    return (bool(telling) and not _was_told(story, telling[-1])) or now - planned > LATE


def _was_told(story: Story, last: Due) -> bool:
    """Whether the customer had the last mail before the end, or another in its place."""
    suffix = f".{MESSAGE}"
    return last.id in story.done or any(
        at >= last.at for action, at in story.done.items() if action.endswith(suffix)
    )


def following_message_at(
    campaign: Campaign, story: Story, moment: datetime, every: Sequence[Due]
) -> datetime:
    """When the message after this moment is due, or the end: what was to be said is stale by then."""
    ends = max(end_at(campaign, story), moment)
    later = [part.at for part in every if part.kind == MESSAGE and part.may and moment < part.at]
    return min([*later, ends])


def not_before_hold(story: Story, action: str, at: datetime) -> datetime:
    """Give a time, or when the hold on an action is over, whichever is later."""
    if story.hold and story.hold.covers(action):
        return max(at, story.hold.until)
    return at


def next_charge_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When the card on file will next be charged on schedule, by whomever, or None if it will not be."""
    if story.beside:
        return story.beside.until if story.beside.until > now else None
    every = parts(campaign, story)
    waiting = [
        opens(campaign, story, part, now)
        for part in to_do(campaign, story, now, every)
        if part.kind == CHARGE
    ]
    coming = [part.at for part in to_come(campaign, story, now, every) if part.kind == CHARGE]
    return min((at for at in (*waiting, *coming) if at > now), default=None)


def access_changes_at(campaign: Campaign, story: Story, now: datetime) -> datetime | None:
    """When access will next be taken away, or None if it will not be before the end."""
    times = [
        part.at
        for part in to_come(campaign, story, now, parts(campaign, story))
        if part.step.access and part.kind == ACCESS and part.step.access.strictness > story.access.strictness
    ]
    return min(times, default=None)


def why_no_charge(campaign: Campaign, story: Story) -> str | None:
    """Say why the card on file is not charged on schedule, or None when it is."""
    if campaign.is_holdout:
        return "the customer is in the holdout, which gets nothing but the processor's own retries"
    blocked = why_no_charge_at_all(story)
    if blocked is None and story.scheduled_charges >= campaign.retries:
        return f"the campaign's limit of {campaign.retries} scheduled charges is reached"
    if blocked is None and story.few_until is not None and story.scheduled_charges >= story.few_until:
        return f"the decline code {story.decline} is not known, and a few retries of it were made"
    return blocked
