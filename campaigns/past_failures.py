"""Failed payments of the past, as a what-if run takes them, and how they are read from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, NoReturn

from campaigns.calendars import zone_named
from campaigns.money import minor_units
from campaigns.suggestions import (
    CURRENCIES,
    countries,
    country_meant,
    currency_meant,
    nearest,
    nearest_or_all,
    time_zones,
)
from campaigns.zones import zone_of
from errors import BadInput, Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

# What a file may hold: a year of a large company, and little enough to be read twice.
MOST_ROWS = 500_000
LARGEST_FILE = 100 * 1024 * 1024
MOST_FAULTS = 20
LONGEST_FIELD = 200
# Times of other centuries are a wrong column.
FIRST_YEAR, LAST_YEAR = 2000, 2100

COLUMNS = {
    "id": "what the failure is called in examples; left out, its line",
    "failed_at": "when the payment failed, as in 2026-03-02T09:00:00Z",
    "settled_at": "when something from outside ended it: paid, new card, cancelled; empty where nothing did",
    "decline": "the processor's decline code",
    "amount": "what is owed, as in 49.00",
    "amount_minor": "the same in minor units, as in 4900, in place of amount",
    "currency": "three letters",
    "plan": "the subscription's plan",
    "interval": "day, week, month or year",
    "country": "two letters",
    "timezone": "the customer's, as in Europe/Berlin",
    "network": "of the card, as in visa",
    "processor": "as in stripe",
    "customer": "whose arm is chosen by it; left out, each failure is another customer's",
    "tags": "divided by commas",
    "failure": "first or repeated",
    "first_payment": "yes where the payment failed at sign-up",
    "sent_invoice": "yes where the invoice was sent for payment",
    "has_card": "no where there was no card to charge",
    "campaign": "the campaign that whoever reported it had named",
}
ATTRIBUTE = "attribute."
NEEDED = ("failed_at", "currency")
INTERVALS = ("day", "week", "month", "year")
NETWORKS = ("visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay", "elo", "cartes_bancaires")
ANSWERS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class PastFailure:
    """One failed payment of the past, and what became of it apart from any campaign's timing.

    ``amount`` is in minor units. ``customer`` names the customer fully: arms are assigned by it. ``campaign``
    is the one that whoever reported the failure had named. ``settled_after`` is how long after the failure
    something from outside ended it: the customer paid or gave a new card, the subscription was cancelled. It is
    None where nothing did.
    """

    id: str
    failed_at: datetime
    decline: str | None
    amount: int
    currency: str
    processor: str = ""
    customer: str = ""
    plan: str | None = None
    interval: str | None = None
    country: str | None = None
    timezone: str | None = None
    network: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    repeated: bool = False
    first_payment: bool = False
    sent_invoice: bool = False
    has_card: bool = True
    campaign: str | None = None
    settled_after: timedelta | None = None


def read_failures(lines: Iterable[str], file: str, declines: Collection[str]) -> Iterator[PastFailure]:
    """Yield the failures of a CSV file with a heading; ``declines`` are the codes that are known.

    Raises BadInput with every fault that was found, up to ``MOST_FAULTS``: of the heading at once, of rows once
    all are read. A row with a fault is not given, and none after it.
    """
    lines = iter(lines)
    heading = next(lines, "").removeprefix("\ufeff")
    rows = csv.reader(chain([heading], lines), delimiter=max(",;\t", key=heading.count), strict=True)
    faults: list[Fault] = []
    try:
        columns = _columns(next(rows, []), file)
        for number, row in enumerate(rows, start=1):
            if number > MOST_ROWS:
                faults.append(
                    Fault(file, rows.line_num, None, f"more than {MOST_ROWS:,} rows", "divide the file")
                )
                break
            if not any(row):
                continue
            try:
                found = _Row(columns, row, rows.line_num, declines).failure()
            except ValueError as error:
                faults.append(Fault(file, rows.line_num, None, str(error)))
                if len(faults) == MOST_FAULTS:
                    break
                continue
            if not faults:
                yield found
    except csv.Error as error:
        faults.append(Fault(file, rows.line_num, None, f"not CSV: {error}"))
    if faults:
        _refuse(faults)


def count_failures(lines: Iterable[str], file: str, declines: Collection[str]) -> int:
    """Count the failures of a CSV file; raises BadInput where any of them cannot be read."""
    return sum(1 for _ in read_failures(lines, file, declines))


def _refuse(faults: Sequence[Fault]) -> NoReturn:
    more = f"\nand perhaps more: {MOST_FAULTS} are shown" if len(faults) >= MOST_FAULTS else ""
    raise BadInput("\n".join(str(fault) for fault in faults) + more)


def _columns(heading: Sequence[str], file: str) -> tuple[str, ...]:
    """Read the heading; raises BadInput with all that is wrong with it."""
    names = tuple(name.strip() for name in heading)
    names = tuple(name if name.startswith(ATTRIBUTE) else name.lower() for name in names)
    faults = []
    for place, name in enumerate(names):
        if name in names[:place]:
            faults.append(Fault(file, 1, None, f"the column '{name}' stands twice", "keep one of them"))
        elif name not in COLUMNS and not (name.startswith(ATTRIBUTE) and name != ATTRIBUTE):
            what = f"the column '{name}' means nothing here" if name else f"column {place + 1} has no name"
            faults.append(Fault(file, 1, None, what, _column_meant(name)))
    faults += [
        Fault(file, 1, None, f"the column '{name}' is missing", COLUMNS[name])
        for name in NEEDED
        if name not in names
    ]
    if ("amount" in names) is ("amount_minor" in names):
        found = "both are there" if "amount" in names else "neither is there"
        faults.append(Fault(file, 1, None, f"one column is needed of amount and amount_minor: {found}"))
    if faults:
        _refuse(faults)
    return names


def _column_meant(name: str) -> str:
    return nearest(name, COLUMNS) or f"leave it out, or call it '{ATTRIBUTE}{name or 'NAME'}'"


class _Row:
    """One row by its columns; every part that cannot be read raises ValueError with the column's name."""

    def __init__(
        self, columns: tuple[str, ...], row: Sequence[str], line: int, declines: Collection[str]
    ) -> None:
        if len(row) != len(columns):
            message = f"has {len(row)} fields, and the heading has {len(columns)}"
            raise ValueError(message)
        self._fields = {name: text.strip() for name, text in zip(columns, row, strict=True)}
        self._line = line
        self._declines = declines
        for name, text in self._fields.items():
            if len(text) > LONGEST_FIELD:
                message = f"{name}: longer than {LONGEST_FIELD} characters"
                raise ValueError(message)

    def failure(self) -> PastFailure:
        failed_at, settled_at = self._time("failed_at"), self._time("settled_at")
        if failed_at is None:
            message = "failed_at: is empty"
            raise ValueError(message)
        if settled_at is not None and settled_at < failed_at:
            message = "settled_at: is before failed_at"
            raise ValueError(message)
        currency, country = self._currency(), self._country()
        processor, customer = self._text("processor"), self._text("customer")
        return PastFailure(
            id=self._text("id") or f"line {self._line}",
            failed_at=failed_at,
            decline=self._near("decline", self._declines),
            amount=self._amount(currency),
            currency=currency,
            processor=processor,
            customer=f"{processor}/{customer}" if customer else "",
            plan=self._text("plan") or None,
            interval=self._one_of("interval", INTERVALS),
            country=country,
            timezone=zone_of(self._zone(), country),
            network=self._near("network", NETWORKS),
            attributes=self._attributes(),
            tags=tuple(tag.strip() for tag in self._text("tags").split(",") if tag.strip()),
            repeated=self._one_of("failure", ("first", "repeated")) == "repeated",
            first_payment=self._answer("first_payment", left_out=False),
            sent_invoice=self._answer("sent_invoice", left_out=False),
            has_card=self._answer("has_card", left_out=True),
            campaign=self._text("campaign") or None,
            settled_after=settled_at - failed_at if settled_at is not None else None,
        )

    def _text(self, column: str) -> str:
        return self._fields.get(column, "")

    def _time(self, column: str) -> datetime | None:
        text = self._text(column)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
            message = f"{column}: {text!r} is no time: write it as in 2026-03-02T09:00:00Z"
            raise ValueError(message)
        if found.tzinfo is None:
            message = f"{column}: {text!r} does not say in which zone: write Z at its end for UTC, or +01:00"
            raise ValueError(message)
        return found.astimezone(UTC)

    def _currency(self) -> str:
        text = self._text("currency").upper()
        if text not in CURRENCIES:
            message = f"currency: {text!r} is no currency: {currency_meant(text) or 'three letters'}"
            raise ValueError(message)
        return text

    def _amount(self, currency: str) -> int:
        minor, major = self._text("amount_minor"), self._text("amount")
        if "amount_minor" in self._fields:
            if not (minor.isascii() and minor.isdigit()):
                message = f"amount_minor: {minor!r} is no whole number: write it as in 4900"
                raise ValueError(message)
            return int(minor)
        try:
            return minor_units(major, currency)
        except BadInput as error:
            message = f"amount: {error}"
            raise ValueError(message) from None

    def _country(self) -> str | None:
        text = self._text("country").upper()
        if text and text not in countries():
            message = f"country: {text!r} is no country: {country_meant(text) or 'two letters'}"
            raise ValueError(message)
        return text or None

    def _zone(self) -> str | None:
        text = self._text("timezone")
        if text and zone_named(text) is None:
            message = f"timezone: {text!r} is no time zone: {nearest(text, time_zones()) or 'Europe/Berlin'}"
            raise ValueError(message)
        return text or None

    def _near(self, column: str, known: Collection[str]) -> str | None:
        """Read a word that may be a new one, unless one that is known is so near that it must be meant."""
        text = self._text(column).lower()
        meant = nearest(text, known) if text and text not in known else None
        if meant:
            message = f"{column}: {text!r} is not known: {meant}"
            raise ValueError(message)
        return text or None

    def _one_of(self, column: str, known: Sequence[str]) -> str | None:
        text = self._text(column).lower()
        if text and text not in known:
            message = f"{column}: {text!r} is not known: {nearest_or_all(text, known)}"
            raise ValueError(message)
        return text or None

    def _answer(self, column: str, *, left_out: bool) -> bool:
        text = self._text(column).lower()
        if text and text not in ANSWERS:
            message = f"{column}: {text!r} is neither yes nor no"
            raise ValueError(message)
        return ANSWERS[text] if text else left_out

    def _attributes(self) -> dict[str, object]:
        return {
            name.removeprefix(ATTRIBUTE): text
            for name, text in self._fields.items()
            if name.startswith(ATTRIBUTE) and text
        }
