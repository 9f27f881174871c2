"""How long windows can keep something waiting, and bring it near to something else, on whatever day a payment failed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from campaigns.calendars import WEEKDAYS
from campaigns.document import NO_TIME
from campaigns.holidays import holiday

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.calendars import Window

# Without holidays every week is like every other; of one of these, enough is known before and after.
WEEK, WEEKS = timedelta(weeks=1), timedelta(weeks=6)
YEARS = timedelta(days=2 * 366)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Gap:
    """A time in which the window of a kind is closed, by the wall clock; ``country`` is whose holiday does it, None where any week has it."""

    kind: str
    closes: datetime
    opens: datetime
    country: str | None


@dataclass(frozen=True)
class Wait:
    """How something that came at one moment is kept until another: by the ``gaps`` it meets, one after the other."""

    since: datetime
    until: datetime
    gaps: tuple[Gap, ...] = ()

    @property
    def length(self) -> timedelta:
        """How long it waits."""
        return self.until - self.since

    @property
    def is_spread(self) -> bool:
        """Whether it comes later than the window opens, by its share of the longest jitter."""
        return bool(self.gaps) and self.until > self.gaps[-1].opens

    def spelled(self) -> str:
        """Say from when it is, such as ``from Thursday 2 April 2026 20:00 in DE``; a usual week needs no date."""
        country = next((gap.country for gap in self.gaps if gap.country), None)
        if country is None:
            return f"from {self.since:%A %H:%M}"
        return f"from {self.since:%A} {self.since.day} {self.since:%B %Y %H:%M} in {country}"


@dataclass(frozen=True, eq=False)
class Waits:
    """A window's closed times, in one country."""

    gaps: tuple[Gap, ...]

    def gap_at(self, moment: datetime) -> Gap | None:
        """Give the gap that a moment is in; None where the window is open."""
        place = bisect_right(self.gaps, moment, key=lambda gap: gap.closes) - 1
        return self.gaps[place] if place >= 0 and moment < self.gaps[place].opens else None

    def changes(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Give the moments of a stretch of time at which the window opens or closes."""
        first = max(bisect_right(self.gaps, after, key=lambda gap: gap.closes) - 1, 0)
        for gap in self.gaps[first:]:
            if gap.closes > until:
                return
            yield from (moment for moment in (gap.closes, gap.opens) if after < moment <= until)


@dataclass(frozen=True, eq=False)
class Course:
    """The windows for which something waits, one after the other, in one country.

    Where it had to wait, it is later than the opening by the case's share of ``spread``, the longest jitter, as
    in ``schedule.py``.
    """

    windows: tuple[Waits, ...]
    country: str | None
    spread: timedelta

    def wait(self, since: datetime, share: timedelta) -> Wait:
        """Say how long something waits in a case with a share of the spread."""
        until, gaps = since, []
        for window in self.windows:
            gap = window.gap_at(until)
            if gap is None:
                continue
            late = min(share, self.spread)
            while late and window.gap_at(gap.opens + late):
                late = timedelta(seconds=int(late.total_seconds()) // 2)
            until = gap.opens + late
            gaps.append(gap)
        return Wait(since, until, tuple(gaps))

    @cached_property
    def beginnings(self) -> tuple[tuple[datetime, timedelta], ...]:
        """When waits begin, each with how long it is at most, the longest first; in a country, those of its holidays."""
        closings = sorted({gap.closes for window in self.windows for gap in window.gaps})
        if self.country:
            closings = [at for at in closings if any(gap.country for gap in self.wait(at, NO_TIME).gaps)]
        found = ((since, self.longest_from(since)) for since in closings)
        return tuple(sorted(found, key=lambda beginning: beginning[1], reverse=True))

    def longest_from(self, since: datetime) -> timedelta:
        """Say how long something waits at most that comes at a moment, whatever the case's share."""
        return max(self.wait(since, share).length for share in self.shares(since))

    def shares(self, since: datetime) -> set[timedelta]:
        """Give the shares that make a difference to how late something comes."""
        if not self.spread:
            return {NO_TIME}
        found = {NO_TIME, self.spread}
        for gap in {gap for share in tuple(found) for gap in self.wait(since, share).gaps}:
            for window in self.windows:
                for moment in window.changes(gap.opens, gap.opens + self.spread):
                    # A share that is too late is halved until it is not.
                    edge = moment - gap.opens
                    while edge < self.spread:
                        found |= {edge, edge - SECOND}
                        edge *= 2
        return found

    def openings(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Give the first opening of each window that comes in a stretch of time."""
        for window in self.windows:
            at = (moment for moment in window.changes(after, until) if not window.gap_at(moment))
            yield from (moment for moment in [next(at, None)] if moment)


class Apart(NamedTuple):
    """How far apart two things are meant to be, at least and at most, and what is too near for them."""

    least: timedelta
    most: timedelta
    near: timedelta = NO_TIME


@dataclass(frozen=True)
class Meeting:
    """How two things wait that come too near to each other."""

    first: Wait
    second: Wait

    @property
    def distance(self) -> timedelta:
        """How long the second comes after the first; below nothing, it comes before it."""
        return self.second.until - self.first.until


def nearest(first: Course, second: Course, apart: Apart) -> Meeting | None:
    """Give where two things come nearest to each other, if that is too near; or where one overtakes the other.

    The first comes later all at once where one of its windows closes. The second comes earlier all at once where
    one of its windows opens: what comes then need not wait, nor for its share of the spread.
    """
    found = None
    for since, longest in _beginnings(first, second, apart):
        if apart.least - longest >= apart.near:
            continue
        for meeting in _meetings_from(since, first, second, apart):
            if meeting.distance < apart.near:
                found, apart = meeting, apart._replace(near=meeting.distance)
        if apart.near <= NO_TIME:
            break
    return found


def _beginnings(first: Course, second: Course, apart: Apart) -> Iterator[tuple[datetime, timedelta]]:
    """Give when the first may have come, of all that lies alike in another week only one; with its longest wait."""
    windows = (*first.windows, *second.windows)
    if not first.windows:
        return
    # Before and after, nobody knows of some window whether it is open.
    start = max(window.gaps[0].closes for window in windows)
    over = min(window.gaps[-1].closes for window in windows) - apart.least
    if first.country is None:
        over = min(over, start + WEEK)
    yield from (beginning for beginning in first.beginnings if start <= beginning[0] < over)
    if second.spread and first.country is None:
        opens = {gap.opens for window in second.windows for gap in window.gaps}
        times = {moment - length for moment in opens for length in (apart.least, apart.most)}
        yield from ((since, first.longest_from(since)) for since in sorted(times) if start <= since < over)


def _meetings_from(since: datetime, first: Course, second: Course, apart: Apart) -> Iterator[Meeting]:
    times = [since + apart.least]
    if second.spread:
        times += second.openings(since + apart.least, since + apart.most)
    for share in sorted(first.shares(since) | second.shares(since + apart.least)):
        wait = first.wait(since, share)
        if wait.gaps:
            yield from (Meeting(wait, second.wait(ready, share)) for ready in times)


@lru_cache(maxsize=64)
def course_of(
    windows: tuple[tuple[str, Window], ...], country: str | None, year: int, spread: timedelta
) -> Course:
    """Give the course of windows with the holidays of a country, in ``year`` and the next; None where none matter."""
    found = (_waits(kind, window, country, year) for kind, window in windows)
    return Course(tuple(waits for waits in found if waits.gaps), country, spread)


@lru_cache(maxsize=256)
def _waits(kind: str, window: Window, country: str | None, year: int) -> Waits:
    first = datetime(year, 1, 1, tzinfo=UTC)
    gaps: list[Gap] = []
    closes: datetime | None = None
    for start, end in _open_times(window, country, first):
        if closes is not None and closes < start:
            gaps.append(Gap(kind, closes, start, _kept_by(window, country, closes, start)))
        # Hours that are listed may lie within others.
        closes = max(closes or end, end)
    return Waits(tuple(gaps))


def _kept_by(window: Window, country: str | None, closes: datetime, opens: datetime) -> str | None:
    """Give the country whose holidays keep a window closed, or None where any week does."""
    days = (
        closes.date() + timedelta(days=number) for number in range((opens.date() - closes.date()).days + 1)
    )
    return country if not window.holidays and any(holiday(day, country) for day in days) else None


def _open_times(window: Window, country: str | None, first: datetime) -> Iterator[tuple[datetime, datetime]]:
    for number in range((WEEKS if country is None else YEARS).days):
        midnight = first + timedelta(days=number)
        if window.days and WEEKDAYS[midnight.weekday()] not in window.days:
            continue
        if not window.holidays and holiday(midnight.date(), country):
            continue
        for start, end in window.spans():
            yield midnight + timedelta(minutes=start), midnight + timedelta(minutes=end)
