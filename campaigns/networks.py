"""How often a network lets one card, mandate or invoice be tried: its limits as data, and how attempts count.

What a network forbids after one answer (Visa's category 1, Mastercard's advice 03 and 21) is the decline
table's: such a card is not charged again. Limits on all of a merchant's declines together are not a
campaign's to keep. For American Express, Discover and the others no published limit was found.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from campaigns.durations import parse_duration, spell_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

Row = TypeVar("Row")
EVERYWHERE = "everywhere"
BUT = f"{EVERYWHERE} but "
CALENDAR_MONTH = "calendar month"
FROM_THE_FIRST = " from the first"
LONGEST_MONTH = timedelta(days=31)
CARD = "card"
RAILS = (CARD, "ach", "sepa", "bacs")
COUNTRIES = re.compile(r"^[A-Z]{2}( [A-Z]{2})*$")
# What may be counted apart: attempts of one amount and currency, of one initiator, for one invoice.
AMOUNT, INITIATOR, INVOICE = "amount", "initiator", "invoice"
APART = (AMOUNT, INITIATOR, INVOICE)
APPROVAL = "approval"
COLUMNS = (
    "rule",
    "rail",
    "network",
    "region",
    "scope",
    "window",
    "limit",
    "apart",
    "reset_by",
    "effective_from",
    "source",
    "confidence",
)
NAME, OWNERS_NAME = "network limits", "the owner's network limits"
# As people write them; what is not here is capitalised.
NAMES = {"amex": "American Express", "unionpay": "UnionPay", "jcb": "JCB"}


@dataclass(frozen=True)
class Limit:
    """Most attempts that a network allows in a window; ``window`` None is a calendar month.

    The failed attempt counts as one. Some sources count only what follows it; the careful reading
    keeps to both. Approved attempts do not count.

    Counted apart are attempts of each amount and currency (``by_amount``), of each initiator
    (``by_initiator``), for each invoice (``by_invoice``). With ``from_first`` the window does not roll: it
    begins with the first attempt, and nothing is allowed after its end.
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
    rail: str = CARD
    by_amount: bool = False
    by_initiator: bool = False
    by_invoice: bool = False
    resets_after_approval: bool = False
    from_first: bool = False

    def holds_in(self, country: str | None) -> bool:
        """Whether it binds cards of a country; of one that is not known, only what holds nearly everywhere."""
        return region_holds(self.region, country)

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

    @property
    def name(self) -> str:
        """The network's name as people write it."""
        return NAMES.get(self.network, self.network.capitalize())

    def spelled(self) -> str:
        """Say the limit with its source: ``Visa allows 20 attempts on one card … in 30 days (source)``."""
        where = "" if self.region == EVERYWHERE else f" in {self.region.replace(EVERYWHERE, 'all countries')}"
        return f"{self.said()}{where} ({self.source})"

    def said(self) -> str:
        """Say the limit alone: ``Visa allows 20 attempts on one card … in 30 days``."""
        window = f"a {CALENDAR_MONTH}" if self.window is None else spell_duration(self.window)
        rolls = FROM_THE_FIRST if self.from_first else ""
        return f"{self.name} allows {self.limit} attempts on {self.scope} in {window}{rolls}"


class NetworkLimits:
    """The limits of every network with the dates from which they hold, the owner's own rows among them."""

    def __init__(self, text: str, overrides: str = "") -> None:
        """Read the CSV text of ``campaigns/data/network_retry_limits.csv``, and the owner's own rows.

        The owner's have the same columns. From its date on, a row of theirs takes the place of ours of the
        same rule, later ones of ours too; a rule of another name is added. Raises ValueError with the line.
        """
        self._ours = read_rows(text, NAME, COLUMNS, _read, _key)
        self._owners = read_rows(overrides, OWNERS_NAME, COLUMNS, _read, _key)

    def in_force(self, on: date, rail: str = CARD) -> tuple[Limit, ...]:
        """Give every limit of a rail that holds on a day; a rule's later row takes an earlier one's place."""
        latest: dict[str, Limit] = {}
        for rows in (self._ours, self._owners):
            for limit in sorted(rows, key=lambda limit: limit.effective_from):
                if limit.effective_from <= on:
                    latest[limit.rule] = limit
        return tuple(limit for limit in latest.values() if limit.rail == rail)

    def limits_for(
        self, network: str | None, on: date, country: str | None = None, rail: str = CARD
    ) -> tuple[Limit, ...]:
        """Give a network's limits on a day for cards of a country; none where no limit is known.

        The customer's country is the nearest that is known to the one where the card was issued. A rail of
        direct debits has one rule book, and ``network`` does not matter for it.
        """
        name = (network or "").lower()
        return tuple(
            limit
            for limit in self.in_force(on, rail)
            if (rail != CARD or limit.network == name) and limit.holds_in(country)
        )


# --- reading: what the limits and the fees share -------------------------------------------------------


def region_holds(region: str, country: str | None) -> bool:
    """Whether ``everywhere``, ``everywhere but BR`` or ``BR AR`` takes in a country; None may be any."""
    named = (country or "").upper()
    if region.startswith(EVERYWHERE):
        return named not in region.removeprefix(BUT).split()
    return named in region.split()


def read_region(text: str) -> str:
    """Read a region; raises ValueError where it is none."""
    if text != EVERYWHERE and not COUNTRIES.match(text.removeprefix(BUT)):
        message = f"{text!r} is no region: 'everywhere', 'everywhere but BR' or 'BR'"
        raise ValueError(message)
    return text


def read_rows(
    text: str,
    name: str,
    columns: Sequence[str],
    read: Callable[[dict[str, str]], Row],
    key: Callable[[Row], tuple[Hashable, ...]],
) -> tuple[Row, ...]:
    """Read CSV text with a heading, row by row; none from an empty text.

    Raises ValueError, with the line, for a row that cannot be used or that says again what ``key`` tells apart.
    """
    if not text.strip():
        return ()
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != tuple(columns):
        message = f"the columns of {name} are {', '.join(columns)}"
        raise ValueError(message)
    found: dict[tuple[Hashable, ...], Row] = {}
    for row in rows:
        try:
            if None in row or None in row.values():
                message = f"has not as many fields as the heading, which has {len(columns)}"
                raise ValueError(message)  # noqa: TRY301 - one place words them all
            one = read(row)
            if key(one) in found:
                message = f"{' '.join(str(part) for part in key(one) if part)} stands twice"
                raise ValueError(message)  # noqa: TRY301 - likewise
        except ValueError as error:
            message = f"{name}, line {rows.line_num}: {error}"
            raise ValueError(message) from None
        found[key(one)] = one
    return tuple(found.values())


def needed(row: dict[str, str], *columns: str) -> None:
    """Look that these columns are not empty; raises ValueError with the first that is."""
    lacking = next((column for column in columns if not row[column].strip()), None)
    if lacking:
        message = f"needs {lacking}"
        raise ValueError(message)


def _key(limit: Limit) -> tuple[Hashable, ...]:
    return limit.rule, limit.effective_from


def _read(row: dict[str, str]) -> Limit:
    needed(row, "rule", "rail", "network", "scope", "source", "confidence")
    apart = row["apart"].split()
    unknown = next((word for word in apart if word not in APART), None)
    if unknown:
        message = f"{unknown!r} is nothing to count apart: {', '.join(APART)}"
        raise ValueError(message)
    if row["reset_by"] not in {"", APPROVAL}:
        message = f"{row['reset_by']!r} resets nothing: {APPROVAL!r}, or leave it empty"
        raise ValueError(message)
    if row["rail"] not in RAILS:
        message = f"{row['rail']!r} is no rail: {', '.join(RAILS)}"
        raise ValueError(message)
    window, from_first = row["window"].removesuffix(FROM_THE_FIRST), row["window"].endswith(FROM_THE_FIRST)
    limit = Limit(
        rule=row["rule"],
        network=row["network"].lower(),
        region=read_region(row["region"]),
        scope=row["scope"],
        window=None if window == CALENDAR_MONTH else parse_duration(window),
        limit=int(row["limit"]),
        effective_from=date.fromisoformat(row["effective_from"]),
        source=row["source"],
        confidence=row["confidence"],
        rail=row["rail"],
        by_amount=AMOUNT in apart,
        by_initiator=INITIATOR in apart,
        by_invoice=INVOICE in apart,
        resets_after_approval=row["reset_by"] == APPROVAL,
        from_first=from_first,
    )
    if limit.limit < 1:
        message = "a limit is 1 or more"
        raise ValueError(message)
    if from_first and limit.window is None:
        message = f"a {CALENDAR_MONTH} does not begin with the first attempt"
        raise ValueError(message)
    if limit.window is not None and limit.window <= timedelta():
        message = "a window is longer than nothing"
        raise ValueError(message)
    return limit
