"""How long a window can keep something waiting, whatever the day on which a payment failed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from campaigns.calendars import WEEKDAYS
from campaigns.holidays import holiday

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from campaigns.calendars import Window

# Without holidays every week is like every other.
WEEKS = timedelta(weeks=3)
YEARS = timedelta(days=2 * 366)
# Whose holidays are looked at where a campaign does not say which countries it takes.
LIKELY_COUNTRIES = ("US", "GB", "DE", "FR", "JP")


@dataclass(frozen=True)
class Gap:
    """A time in which a window is closed, by the wall clock of ``country``."""

    closes: datetime
    opens: datetime
    country: str | None

    @property
    def length(self) -> timedelta:
        """How long whatever comes when it closes has to wait."""
        return self.opens - self.closes

    def spelled(self) -> str:
        """Say when it is, such as ``from Thursday 2 April 2026 20:00 in DE``; a usual week needs no date."""
        if self.country is None:
            return f"from {self.closes:%A %H:%M}"
        return f"from {self.closes:%A} {self.closes.day} {self.closes:%B %Y %H:%M} in {self.country}"


@dataclass(frozen=True)
class Waits:
    """A window's closed times, in one country."""

    gaps: tuple[Gap, ...]

    def next_open(self, moment: datetime) -> datetime:
        """Give the first open moment that is not before another one."""
        place = bisect_right(self.gaps, moment, key=lambda gap: gap.closes) - 1
        return max(moment, self.gaps[place].opens) if place >= 0 else moment

    def distances(self, apart: timedelta) -> Iterator[tuple[timedelta, Gap]]:
        """Give how far two things lie apart that were meant ``apart``, the first kept waiting by each gap."""
        for gap in self.gaps:
            yield self.next_open(gap.closes + apart) - gap.opens, gap


def waits_of(window: Window, countries: Iterable[str], year: int) -> tuple[Waits, ...]:
    """Give the closed times of a window, in each country whose holidays matter; ``year`` and the next."""
    if window.holidays:
        return (_waits(window, None, year),)
    return tuple(_waits(window, country, year) for country in tuple(countries) or LIKELY_COUNTRIES)


@lru_cache(maxsize=256)
def _waits(window: Window, country: str | None, year: int) -> Waits:
    first = datetime(year, 1, 1, tzinfo=UTC)
    gaps: list[Gap] = []
    closes: datetime | None = None
    for start, end in _open_times(window, country, first):
        if closes is not None and closes < start:
            gaps.append(Gap(closes, start, country))
        closes = end
    return Waits(tuple(gaps))


def _open_times(window: Window, country: str | None, first: datetime) -> Iterator[tuple[datetime, datetime]]:
    for number in range((WEEKS if country is None else YEARS).days):
        midnight = first + timedelta(days=number)
        if window.days and WEEKDAYS[midnight.weekday()] not in window.days:
            continue
        if not window.holidays and holiday(midnight.date(), country):
            continue
        for start, end in window.spans():
            yield midnight + timedelta(minutes=start), midnight + timedelta(minutes=end)
