"""How often a card network lets one card be tried: its limits as data, and how attempts count toward them.

Here are the limits on attempts with one card in a span of time. What a network forbids after one answer
(Visa's category 1, Mastercard's advice 03 and 21) is the decline table's: such a card is not charged again.
Limits on all of a merchant's declines together are not a campaign's to keep. For American Express,
Discover and the others no published limit was found.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.durations import parse_duration, spell_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERYWHERE = "everywhere"
BUT = f"{EVERYWHERE} but "
CALENDAR_MONTH = "calendar month"
LONGEST_MONTH = timedelta(days=31)
COUNTRIES = re.compile(r"^[A-Z]{2}( [A-Z]{2})*$")
COLUMNS = (
    "rule",
    "network",
    "region",
    "scope",
    "window",
    "limit",
    "effective_from",
    "source",
    "confidence",
)
# As people write them; what is not here is capitalised.
NAMES = {"amex": "American Express", "unionpay": "UnionPay", "jcb": "JCB"}


@dataclass(frozen=True)
class Limit:
    """Most attempts that a network allows with one card in a window; ``window`` None is a calendar month.

    The failed attempt counts as one. Some sources count only what follows it; the careful reading
    keeps to both.
    """

    rule: str
    network: str
    region: str
    scope: str
    window: timedelta | None
    limit: int
    effective_from: date
    source: str
    confidence: str

    def holds_in(self, country: str | None) -> bool:
        """Whether it binds cards of a country; of one that is not known, only what holds nearly everywhere."""
        if self.region.startswith(EVERYWHERE):
            return (country or "").upper() not in self.region.removeprefix(BUT).split()
        return (country or "").upper() in self.region.split()

    def whenever(self) -> Limit:
        """Give the limit as it binds a schedule that may begin on any date: a calendar month is any 31 days."""
        return replace(self, window=LONGEST_MONTH) if self.window is None else self

    def busiest(self, times: Iterable[datetime]) -> tuple[datetime, ...]:
        """Give the most of these attempts that lie in one window, in order of time."""
        return max(self._windows(times), key=len, default=())

    def excess(self, times: Iterable[datetime]) -> tuple[datetime, ...]:
        """Give each attempt that is one too many in the window that ends with it; those count on, too."""
        return tuple(window[-1] for window in self._windows(times) if len(window) > self.limit)

    def _windows(self, times: Iterable[datetime]) -> list[tuple[datetime, ...]]:
        """List for each attempt those of its window so far, itself the last."""
        found: list[tuple[datetime, ...]] = []
        reached: tuple[datetime, ...] = ()
        for at in sorted(times):
            reached = (*(earlier for earlier in reached if self._is_near(earlier, at)), at)
            found.append(reached)
        return found

    def _is_near(self, earlier: datetime, at: datetime) -> bool:
        if self.window is None:
            return (earlier.year, earlier.month) == (at.year, at.month)
        return at - earlier < self.window

    def spelled(self) -> str:
        """Say the limit with its source: ``Visa allows 20 attempts with one card … in 30 days (source)``."""
        name = NAMES.get(self.network, self.network.capitalize())
        where = "" if self.region == EVERYWHERE else f" in {self.region.replace(EVERYWHERE, 'all countries')}"
        window = f"a {CALENDAR_MONTH}" if self.window is None else spell_duration(self.window)
        return f"{name} allows {self.limit} attempts on {self.scope} in {window}{where} ({self.source})"


class NetworkLimits:
    """The limits of every network with the dates from which they hold."""

    def __init__(self, text: str) -> None:
        """Read the CSV text of ``campaigns/data/network_retry_limits.csv``; raises ValueError with the line."""
        rows = csv.DictReader(io.StringIO(text))
        if tuple(rows.fieldnames or ()) != COLUMNS:
            message = f"the columns of the network limits are {', '.join(COLUMNS)}"
            raise ValueError(message)
        self._limits = tuple(_read(row, f"network limits, line {rows.line_num}") for row in rows)
        keys = [(limit.rule, limit.effective_from) for limit in self._limits]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice:
            message = f"network limits: {twice[0]} stands twice for {twice[1]}"
            raise ValueError(message)

    def in_force(self, on: date) -> tuple[Limit, ...]:
        """Give every limit that holds on a day; a rule's later row takes the place of an earlier one."""
        latest: dict[str, Limit] = {}
        for limit in sorted(self._limits, key=lambda limit: limit.effective_from):
            if limit.effective_from <= on:
                latest[limit.rule] = limit
        return tuple(latest.values())

    def limits_for(self, network: str | None, on: date, country: str | None = None) -> tuple[Limit, ...]:
        """Give a network's limits on a day for cards of a country; none where no limit is known.

        The customer's country is the nearest that is known to the one where the card was issued.
        """
        name = (network or "").lower()
        return tuple(
            limit for limit in self.in_force(on) if limit.network == name and limit.holds_in(country)
        )


def _read(row: dict[str, str], place: str) -> Limit:
    try:
        region = row["region"]
        if region != EVERYWHERE and not COUNTRIES.match(region.removeprefix(BUT)):
            message = f"{region!r} is no region: 'everywhere', 'everywhere but BR' or 'BR'"
            raise ValueError(message)  # noqa: TRY301 - one place words them all
        limit = Limit(
            rule=row["rule"],
            network=row["network"].lower(),
            region=region,
            scope=row["scope"],
            window=None if row["window"] == CALENDAR_MONTH else parse_duration(row["window"]),
            limit=int(row["limit"]),
            effective_from=date.fromisoformat(row["effective_from"]),
            source=row["source"],
            confidence=row["confidence"],
        )
    except (ValueError, TypeError, AttributeError) as error:
        message = f"{place}: {error}"
        raise ValueError(message) from None
    lacking = [
        name for name in ("rule", "network", "scope", "source", "confidence") if not getattr(limit, name)
    ]
    if lacking or limit.limit < 1:
        message = f"{place}: {'needs ' + lacking[0] if lacking else 'a limit is 1 or more'}"
        raise ValueError(message)
    return limit
