"""What a campaign's document says, read without any of the code under test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import holidays

if TYPE_CHECKING:
    from campaigns.story import Story
    from tests.unit.any_campaign import Document

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
GROUPS = {"weekdays": DAYS[:5], "weekends": DAYS[5:]}
ALMANACS = {
    country: holidays.country_holidays(country, years=range(2025, 2028))
    for country in ("DE", "US", "FR", "AU", "IN")
}
UNITS = {"days": 24 * 60, "hours": 60, "minutes": 1}


def length(text: str) -> timedelta:
    number, unit = text.split()
    return timedelta(minutes=int(number) * UNITS[unit])


def zone_of(document: Document, story: Story) -> ZoneInfo:
    return ZoneInfo(story.timezone or document["calendar"]["timezone"])


def within(hours: str | list[str], minute: float) -> bool:
    """Whether a minute of the day lies in hours as they are written; those past midnight go round."""
    for text in [hours] if isinstance(hours, str) else hours:
        start, end = (
            int(clock[:2]) * 60 + int(clock[3:]) for clock in (part.strip() for part in text.split("to"))
        )
        start %= 1440
        if start <= minute < end if start < end else minute >= start or minute < end:
            return True
    return False


def is_open(window: Document, at: datetime, zone: ZoneInfo, country: str | None) -> bool:
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute + local.second / 60
    days = window.get("days", DAYS)
    return (
        ("hours" not in window or within(window["hours"], minute))
        and ("quiet" not in window or not within(window["quiet"], minute))
        and DAYS[local.weekday()] in (GROUPS.get(days, (days,)) if isinstance(days, str) else days)
        and (window.get("holidays", True) or local.date() not in ALMANACS.get(country or "", ()))
    )


def may_go(document: Document, what: str, at: datetime, story: Story) -> bool:
    """Whether ``messages`` or ``charges`` may go out at a moment."""
    window = document["calendar"].get(what, {})
    return is_open(window, at, zone_of(document, story), story.country)


def course(document: Document, arm: str) -> Document:
    """Give the document as it is for an arm."""
    found: Document = next((item for item in document.get("arms", ()) if item["name"] == arm), {})
    return document | {key: found[key] for key in ("steps", "end") if key in found}


def is_holdout(document: Document, arm: str) -> bool:
    return any(item["name"] == arm and item.get("holdout", False) for item in document.get("arms", ()))


def step_of(document: Document, arm: str, step: str) -> Document:
    return next(item for item in course(document, arm)["steps"] if item["id"] == step)


def anchor(document: Document, story: Story, step: Document) -> datetime:
    """When a step is due by itself: after the failure, before the end, or where a person put it."""
    if step["id"] in story.moved:
        return story.moved[step["id"]]
    if "after" in step:
        return story.failed_at + length(step["after"])
    end = story.moved.get("end", story.failed_at + length(course(document, story.arm)["end"]["after"]))
    return max(end - length(step["before_end"]), story.failed_at)


def holds(conditions: Document, story: Story, attributes: Any, by: datetime) -> bool:
    """Whether everything that is asked of a case holds; what the customer did after ``by`` does not count."""
    facts = {
        "decline_class": story.decline_class,
        "decline": story.decline,
        "currency": story.currency,
        "plan": story.plan,
        "mail_opened": story.opened_at is not None and story.opened_at <= by,
        "link_clicked": story.clicked_at is not None and story.clicked_at <= by,
    }
    for name, wanted in conditions.items():
        if name == "amount":
            limits = wanted.get(story.currency)
            lowest, above = (
                (float(limits.get(key, other)) for key, other in (("at_least", 0), ("below", 1e9)))
                if limits
                else (1, 0)
            )
            if not lowest <= story.amount / 100 < above:
                return False
        elif name == "attributes":
            if any(attributes.get(key) != value for key, value in wanted.items()):
                return False
        elif name == "attempts":
            if not wanted.get("at_least", 0) <= story.charges <= wanted.get("at_most", 99):
                return False
        elif facts[name] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def next_open(document: Document, what: str, at: datetime, story: Story) -> datetime:
    """Look at every quarter of an hour after a moment; hours of these tests begin on one."""
    while not may_go(document, what, at, story):
        at = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0) + timedelta(minutes=15)
    return at


def put_off(document: Document, at: datetime, story: Story) -> datetime | None:
    """Give the same hour of the payday that a charge waits for, where it waits for one."""
    paydays = document["calendar"].get("paydays")
    if paydays is None or story.decline not in paydays.get("after", ["insufficient_funds"]):
        return None
    zone, days_off = zone_of(document, story), ALMANACS.get(story.country or "", ())
    local = at.astimezone(zone)

    def works(day: date) -> bool:
        return day.weekday() < 5 and day not in days_off

    def named(day: date) -> bool:
        last = (day + timedelta(days=1)).month != day.month
        return day.day in paydays["days"] or (last and bool({31, "last"} & set(paydays["days"])))

    for number in range(8):
        day = local.date() + timedelta(days=number)
        following = [day + timedelta(days=more) for more in range(1, 8)]
        free = following[: next(place for place, later in enumerate(following) if works(later))]
        if works(day) and (named(day) or any(named(later) for later in free)):
            there = datetime.combine(day, local.time(), tzinfo=zone)
            # An hour that is left out on that day is the moment of the change.
            waited = there.astimezone(UTC) - at
            return at + waited if number and waited <= length(paydays["within"]) else None
    return None
