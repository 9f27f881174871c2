"""When mails and charges may go out: hours of the customer's day, weekdays, public holidays, paydays.

Everything is reckoned in the wall time of a zone and given back in UTC, so that an hour of the day stays
that hour when clocks change.
"""

from __future__ import annotations

import calendar as months
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from campaigns.durations import Duration
from campaigns.grammar import Part, Several, Word
from campaigns.holidays import holiday, is_working_day

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_WORDS = {"weekdays": WEEKDAYS[:5], "weekends": WEEKDAYS[5:], "every day": WEEKDAYS}
HOURS = re.compile(r"^(\d{1,2}):(\d{2})\s*(?:to|-)\s*(\d{1,2}):(\d{2})$")
MINUTES_A_DAY = 24 * 60
# No calendar of one country is closed for so long; one that is has no open day at all.
LONGEST_SEARCH = 60

Span = tuple[int, int]


def _spans(value: object) -> object:
    """Read ``09:00 to 20:00``, or a list of such; hours past midnight are two spans of minutes."""
    texts = value if isinstance(value, list | tuple) else [value]
    found: list[Span] = []
    for text in texts:
        if isinstance(text, tuple):
            # Read before: a span of a window that is made from another.
            found.append(text)
            continue
        match = HOURS.match(str(text).strip())
        numbers = [int(part) for part in match.groups()] if match else []
        if not match or numbers[1] > 59 or numbers[3] > 59 or max(numbers[0], numbers[2]) > 24:  # noqa: PLR2004
            message = f"{text!r} is no stretch of hours: write it as in '09:00 to 20:00'"
            raise ValueError(message)
        start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
        # Midnight is the beginning of a day, too.
        start %= MINUTES_A_DAY
        if max(start, end) > MINUTES_A_DAY or start == end:
            message = f"{text!r} holds no time: write it as in '09:00 to 20:00'"
            raise ValueError(message)
        found += [(start, end)] if start < end else [(start, MINUTES_A_DAY), *([(0, end)] if end else [])]
    return tuple(sorted(found))


def _spell_spans(spans: tuple[Span, ...]) -> list[str]:
    return [f"{start // 60:02}:{start % 60:02} to {end // 60:02}:{end % 60:02}" for start, end in spans]


def _days(value: object) -> object:
    if isinstance(value, str) and value in DAY_WORDS:
        return DAY_WORDS[value]
    return value


def _known_zone(name: str) -> str:
    if zone_named(name) is None:
        message = f"{name!r} is no time zone: write it as in 'Europe/Berlin'"
        raise ValueError(message)
    return name


@lru_cache(maxsize=1024)
def zone_named(name: str | None) -> ZoneInfo | None:
    """Find a time zone by its name in the IANA database, or None."""
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, LookupError):
        return None


Hours = Annotated[
    tuple[Span, ...],
    BeforeValidator(_spans, json_schema_input_type=str | list[str]),
    PlainSerializer(_spell_spans, return_type=list[str]),
]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Days = Annotated[
    Several[Weekday],
    BeforeValidator(
        _days,
        json_schema_input_type=Literal["weekdays", "weekends", "every day"] | Weekday | list[Weekday],
    ),
]
Zone = Annotated[str, AfterValidator(_known_zone)]
PayDay = Annotated[int, Field(ge=1, le=31)] | Literal["last"]


class Window(Part):
    """When something may go out, by the wall clock of the customer's time zone."""

    hours: Hours = Field(default=(), description="Only within these, such as '09:00 to 20:00'.")
    quiet: Hours = Field(default=(), description="Never within these, such as '22:00 to 07:00'.")
    days: Days = Field(default=(), description="Only on these days: names, 'weekdays' or 'weekends'.")
    holidays: bool = Field(default=True, description="Whether also on public holidays of the country.")

    @property
    def is_always_open(self) -> bool:
        """Whether nothing is ever kept waiting."""
        return not (self.hours or self.quiet or self.days) and self.holidays

    def spans(self) -> tuple[Span, ...]:
        """Give the open stretches of an open day, in minutes since midnight; empty if there are none."""
        return _open_spans(self.hours, self.quiet)

    def is_open(self, moment: datetime, zone: ZoneInfo, country: str | None) -> bool:
        """Whether something may go out at a moment."""
        return self.is_always_open or self._is_open_at(moment.astimezone(zone), country)

    def next_open(self, moment: datetime, zone: ZoneInfo, country: str | None) -> datetime:
        """Give the first open moment that is not before another one; that one itself where none ever is.

        A window without an open hour is refused when a campaign is checked, so it is never met here.
        """
        if self.is_always_open:
            return moment
        local = moment.astimezone(zone)
        if self._is_open_at(local, country):
            return moment
        first = local.date()
        for number in range(LONGEST_SEARCH):
            day = first + timedelta(days=number)
            if not self._takes_day(day, country):
                continue
            for at in _beginnings(day, self.spans(), zone):
                if at >= moment and self.is_open(at, zone, country):
                    return at
        return moment

    def spelled(self) -> str:
        """Say when the window is open, as a sentence goes on: ``09:00 to 20:00 on weekdays``."""
        spans = self.spans() if self.hours or self.quiet else ()
        return _spell_window(spans, self.days, self.holidays)

    def _is_open_at(self, local: datetime, country: str | None) -> bool:
        minutes = local.hour * 60 + local.minute
        for start, end in self.spans():
            if start <= minutes < end:
                return self._takes_day(local.date(), country)
        return False

    def _takes_day(self, day: date, country: str | None) -> bool:
        if self.days and WEEKDAYS[day.weekday()] not in self.days:
            return False
        return self.holidays or holiday(day, country) is None


@lru_cache(maxsize=512)
def _spell_window(spans: tuple[Span, ...], days: tuple[Weekday, ...], holidays: bool) -> str:  # noqa: FBT001 - a window's own words
    parts = [" and ".join(_spell_spans(spans))] if spans else []
    if days:
        words = [word for word, named in DAY_WORDS.items() if set(named) == set(days)]
        parts.append(f"on {words[0] if words else ', '.join(days)}")
    if not holidays:
        parts.append("not on public holidays")
    return " ".join(parts) or "at any time"


@lru_cache(maxsize=512)
def _open_spans(hours: tuple[Span, ...], quiet: tuple[Span, ...]) -> tuple[Span, ...]:
    spans = list(hours) or [(0, MINUTES_A_DAY)]
    for begins, ends in quiet:
        spans = [
            piece
            for start, end in spans
            for piece in ((start, min(end, begins)), (max(start, ends), end))
            if piece[0] < piece[1]
        ]
    return tuple(sorted(spans))


@lru_cache(maxsize=32768)
def at_wall_time(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Give the moment at which a zone's clocks show a time of day; 24:00 is the next day's midnight.

    A time that is shown twice is the first of both; one that is left out is the moment of the change.
    """
    day += timedelta(days=minutes // MINUTES_A_DAY)
    shown = datetime.combine(day, time(minutes % MINUTES_A_DAY // 60, minutes % 60), tzinfo=zone)
    at = shown.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
        return at
    return _change_between(shown.replace(fold=1).astimezone(UTC), at, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the moment between two at which a zone's clocks are changed."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


@lru_cache(maxsize=32768)
def _beginnings(day: date, spans: tuple[Span, ...], zone: ZoneInfo) -> tuple[datetime, ...]:
    """List the moments of a day at which a stretch of hours may begin, in order.

    Where clocks are set back, hours that are shown twice begin twice, and may begin with the change itself.
    """
    found = {at_wall_time(day, start, zone) for start, _ in spans}
    midnight, next_midnight = at_wall_time(day, 0, zone), at_wall_time(day, MINUTES_A_DAY, zone)
    offsets = [moment.astimezone(zone).utcoffset() or timedelta(0) for moment in (midnight, next_midnight)]
    back = offsets[0] - offsets[1]
    if back > timedelta(0):
        change = _change_between(midnight, next_midnight, zone)
        found |= {at + back for at in found if change - back <= at < change}
        found.add(change)
    return tuple(sorted(found))


class Paydays(Part):
    """Days on which wages arrive: a charge that failed for want of money waits for one that is near."""

    days: Several[PayDay] = Field(
        min_length=1,
        description="Days of the month; 'last' is the last. On a day off: the working day before.",
    )
    after: Several[Word] = Field(default=("insufficient_funds",), description="Codes of the latest decline.")
    within: Duration = Field(default=timedelta(days=3), description="How long a charge waits at most.")

    def next_payday(self, moment: datetime, zone: ZoneInfo, country: str | None) -> datetime:
        """Give the same hour on the next payday, or the moment itself where that is today or too far."""
        local = moment.astimezone(zone)
        minutes = local.hour * 60 + local.minute
        for number in range(self.within.days + 2):
            day = local.date() + timedelta(days=number)
            if not self.is_payday(day, country):
                continue
            if number == 0:
                return moment
            at = at_wall_time(day, minutes, zone) + timedelta(seconds=local.second)
            return at if at - moment <= self.within else moment
        return moment

    def is_payday(self, day: date, country: str | None) -> bool:
        """Whether wages arrive on a day: it is named, or is the last working day before named days off."""
        if not is_working_day(day, country):
            return False
        while True:
            if self._is_named(day):
                return True
            day += timedelta(days=1)
            if is_working_day(day, country):
                return False

    def _is_named(self, day: date) -> bool:
        last = months.monthrange(day.year, day.month)[1]
        return day.day in self.days or (
            day.day == last and any(named == "last" or named > last for named in self.days)
        )


class Calendar(Part):
    """When a campaign may write and charge; left out, at any time.

    The time zone is the customer's own where it is known, else the only one of the customer's country,
    else ``timezone``.
    """

    timezone: Zone = Field(default="UTC", description="The zone of customers whose own is not known.")
    messages: Window = Field(default=Window(), description="When mails may be sent.")
    charges: Window = Field(default=Window(), description="When cards may be charged on schedule.")
    paydays: Paydays | None = Field(default=None, description="Days for which a scheduled charge waits.")

    def zone(self, customers: str | None) -> ZoneInfo:
        """Give the zone to reckon in: the customer's where it is known."""
        found = zone_named(customers) or zone_named(self.timezone)
        assert found is not None
        return found

    @model_validator(mode="after")
    def _holds_an_hour(self) -> Self:
        for name, window in (("messages", self.messages), ("charges", self.charges)):
            if not window.spans():
                message = f"{name}: no hour is left: the quiet hours cover all of them"
                raise ValueError(message)
        return self
