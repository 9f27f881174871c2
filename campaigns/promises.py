"""Promises to pay: the days that a customer may choose from, and which promise is taken."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from campaigns.calendars import at_wall_time
from campaigns.durations import spell_duration
from campaigns.openings import why_no_charge_at_all
from campaigns.schedule import end_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.document import Campaign
    from campaigns.story import Story

# Where the campaign's hours allow it: wages and transfers of the night have arrived, and the customer is awake.
MORNING = 9 * 60


class PayDay(NamedTuple):
    """A day that may be promised, by the customer's clocks, and the moment of its charge."""

    day: date
    at: datetime


def days_to_choose(campaign: Campaign, story: Story, now: datetime) -> tuple[PayDay, ...]:
    """List the days that the customer may choose from; none where no promise would be taken or kept."""
    limits = campaign.promise
    if limits is None or campaign.is_holdout or story.promises >= limits.times:
        return ()
    stopped = (
        story.ending or story.closed or story.review or story.paused or story.unsettled or story.under_way
    )
    if stopped or why_no_charge_at_all(story):
        return ()
    return tuple(
        choice
        for choice in _days(campaign, story, now, limits.within)
        if now < choice.at < end_at(campaign, story)
    )


def _days(campaign: Campaign, story: Story, now: datetime, within: timedelta) -> Iterator[PayDay]:
    zone, window = campaign.calendar.zone(story.timezone), campaign.calendar.charges
    day, last = now.astimezone(zone).date(), (now + within).astimezone(zone).date()
    while day < last:
        day += timedelta(days=1)
        at = at_wall_time(day, MORNING, zone)
        if not window.is_open(at, zone, story.country):
            at = window.next_open(at_wall_time(day, 0, zone), zone, story.country)
        if at.astimezone(zone).date() == day:
            yield PayDay(day, at.astimezone(UTC))


def charged_at(campaign: Campaign, story: Story, on: datetime) -> datetime:
    """When a promise of a moment is charged: at that moment, or as the hours of charges begin after it."""
    return campaign.calendar.charges.next_open(on, campaign.calendar.zone(story.timezone), story.country)


def why_not(campaign: Campaign, story: Story, on: datetime, now: datetime) -> str | None:
    """Say why a promise is not taken, or None where it is.

    Without limits of the campaign's own it only has to be kept before the end.
    """
    if not (now < on and charged_at(campaign, story, on) < end_at(campaign, story)):
        return "it is not before the campaign's end"
    limits = campaign.promise
    if limits is None:
        return None
    if story.promises >= limits.times:
        return f"the campaign takes {limits.times} in one case"
    zone = campaign.calendar.zone(story.timezone)
    if on.astimezone(zone).date() > (now + limits.within).astimezone(zone).date():
        return f"it is more than {spell_duration(limits.within)} away"
    return None
