"""When one part of a step may be done: what an issuer asked for, paydays, and the hours of mails and charges."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from campaigns.arms import share_of
from campaigns.declines import Ask
from campaigns.document import ACCESS, CHARGE, END, KINDS, MESSAGE, NO_TIME, AccessLevel
from campaigns.durations import spell_moment

if TYPE_CHECKING:
    from campaigns.calendars import Window
    from campaigns.document import Campaign, Step
    from campaigns.schedule import Due
    from campaigns.story import Story

# A mail waits for the charge of its step where the issuer puts that off for no longer than this: it would tell of
# what the same day may change.
SOON = timedelta(hours=12)


def planned_end(campaign: Campaign, story: Story) -> datetime:
    """When the campaign runs out, unless a late notice puts the end off."""
    return story.moved.get(END, story.failed_at + campaign.end.after)


def why_no_charge_at_all(story: Story) -> str | None:
    """Say why the card on file cannot be charged, whoever asks for it, or None when it can."""
    if story.beside:
        return f"the processor's own retries go on, next on {spell_moment(story.beside.until)}"
    if not story.has_card:
        return "the customer has no card on file"
    if story.ask is Ask.CONFIRM:
        return "the customer has to confirm the payment with the bank"
    if story.card_blocked:
        return f"the card was declined for good ({(story.decline or 'declined').replace('_', ' ')})"
    return None


def part_at(campaign: Campaign, story: Story, step: Step, kind: str, at: datetime) -> datetime:
    """When one part of a step is due, given when the step is: at the next moment that the calendar allows.

    What a step does besides its charge waits for the hours of charges too, so that no mail tells of what a
    charge in the coming night may change, and for the hours that an issuer asks for; but not for days, be it a payday
    or an issuer's wait, which the mail can name, and not where the card is not charged at all. A change of access waits for the mail that announces it. A time that a person
    gave a step stands for its charge; a mail keeps to the hours of mails all the same.
    """
    calendar, by_person = campaign.calendar, is_put(story, step)
    if not by_person and (kind == CHARGE or is_to_charge(story, step)):
        advised = as_advised(story, step, at)
        if kind == CHARGE or advised - at <= SOON:
            at = advised
    if kind == CHARGE and by_person and story.advised and story.advised.firm:
        at = as_advised(story, step, at)
    if kind == CHARGE and not by_person:
        payday = payday_of(campaign, story, at)
        put_off = payday and opening_of(campaign, story, payday, calendar.charges)
        if put_off and put_off < planned_end(campaign, story):
            return put_off
    if not by_person and (kind == CHARGE or is_to_charge(story, step)):
        at = opening_of(campaign, story, at, calendar.charges)
    if kind == MESSAGE or (kind == ACCESS and step.message):
        at = opening_of(campaign, story, at, calendar.messages)
    if kind == ACCESS and step.access is not AccessLevel.FULL and step.id not in story.moved:
        # Also where a person brought the end forward, and with it what is counted from it; but a step that a
        # person put into the grace is done there, all of it.
        return max(at, story.failed_at + campaign.grace)
    return at


def as_advised(story: Story, step: Step, at: datetime) -> datetime:
    """Put a charge off until the time that the issuer named: before it, the network may ask a fee for it."""
    advised = story.advised
    if advised is None or not advised.exact or f"{step.id}.{CHARGE}" in story.done:
        return at
    return max(at, advised.at)


def is_to_charge(story: Story, step: Step) -> bool:
    """Whether a step charges the card, or has done so: the rest of it comes after that."""
    return step.retry and (why_no_charge_at_all(story) is None or f"{step.id}.{CHARGE}" in story.done)


def is_put(story: Story, step: Step) -> bool:
    """Whether a person gave the step its time; a move keeps the time of one that was begun."""
    return step.id in story.moved and not is_begun(story, step)


def is_begun(story: Story, step: Step) -> bool:
    """Whether anything of a step was done."""
    return not story.done.keys().isdisjoint(actions_of(step.id))


@lru_cache(maxsize=1024)
def actions_of(step_id: str) -> tuple[str, ...]:
    """Name all that a step can do."""
    return tuple(f"{step_id}.{kind}" for kind in KINDS)


def payday_of(campaign: Campaign, story: Story, at: datetime) -> datetime | None:
    """Give the payday for which a charge waits, or None where there is none to wait for."""
    paydays = campaign.calendar.paydays
    if paydays is None or story.decline not in paydays.after:
        return None
    later = paydays.next_payday(at, campaign.calendar.zone(story.timezone), story.country)
    return later if later > at else None


def opening_of(campaign: Campaign, story: Story, at: datetime, window: Window) -> datetime:
    """Give the first moment at which a part of a step may go out, by its window.

    Everything that had to wait would go out as the window opens: there each case is later by its share of
    the campaign's longest jitter, as far as the window stays open. The share is the same for every step, so that
    steps which their hours bring to one morning still come to one moment, and only the latest is done.
    """
    if window.is_always_open:
        return at
    zone = campaign.calendar.zone(story.timezone)
    opening = window.next_open(at, zone, story.country)
    longest = max((step.jitter for step in campaign.steps), default=NO_TIME)
    if opening == at or longest <= NO_TIME:
        return opening
    late = timedelta(seconds=int(share_of(story.case_id, "hours") * longest.total_seconds()))
    while late and not window.is_open(opening + late, zone, story.country):
        late = timedelta(seconds=int(late.total_seconds()) // 2)
    return opening + late


def mail_opens(campaign: Campaign, story: Story, at: datetime) -> datetime:
    """Give the first moment, not before another one, at which a mail may be sent to the case's customer."""
    window = campaign.calendar.messages
    if window.is_always_open:
        return at
    return window.next_open(at, campaign.calendar.zone(story.timezone), story.country)


def charge_opens(campaign: Campaign, story: Story, at: datetime) -> datetime:
    """Give the first moment, not before another one, at which the case's card may be charged on schedule."""
    window = campaign.calendar.charges
    if window.is_always_open:
        return at
    return window.next_open(at, campaign.calendar.zone(story.timezone), story.country)


def opens(campaign: Campaign, story: Story, part: Due, now: datetime) -> datetime:
    """When a part that is due can be done: now, unless the hours for it are over for today."""
    if part.kind == CHARGE and not is_put(story, part.step):
        return charge_opens(campaign, story, now)
    if part.kind == MESSAGE or (part.kind == ACCESS and part.step.message):
        return mail_opens(campaign, story, now)
    return now


def was_closed(campaign: Campaign, story: Story, window: Window, moment: datetime) -> bool:
    """Whether a window opens at this very moment."""
    zone = campaign.calendar.zone(story.timezone)
    return not window.is_open(moment - timedelta(seconds=1), zone, story.country)
