"""What a card network bills for an attempt too many: its fees as data, for an estimate only.

An acquirer passes them on with its own mark-up or none, and some are billed only where a whole merchant
stands out. They are here to say what a rule costs, not to foretell an invoice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from campaigns.networks import EVERYWHERE, needed, read_region, read_rows, region_holds

if TYPE_CHECKING:
    from collections.abc import Hashable

DOMESTIC, CROSS_BORDER, ANY = "domestic", "cross-border", "any"
REACHES = (DOMESTIC, CROSS_BORDER, ANY)
# The rule by which a network bills any attempt after its word that the card is not to be tried again.
NEVER = "{network}-never"
COLUMNS = (
    "rule",
    "region",
    "reach",
    "amount_minor",
    "currency",
    "effective_from",
    "source",
    "confidence",
)
NAME, OWNERS_NAME = "network fees", "the owner's network fees"


@dataclass(frozen=True)
class Fee:
    """What one attempt too many under a rule costs, in minor units.

    ``region`` is that of the card's country; ``reach`` says whether the card is of the merchant's country.
    """

    rule: str
    region: str
    reach: str
    amount: int
    currency: str
    effective_from: date
    source: str
    confidence: str


class NetworkFees:
    """The fees of every rule with the dates from which they hold, the owner's own rows among them."""

    def __init__(self, text: str, overrides: str = "") -> None:
        """Read the CSV text of ``campaigns/data/network_fees.csv``, and the owner's own rows of the same shape.

        From its date on, a row of the owner's takes the place of ours of the same rule, region and reach.
        Raises ValueError with the line.
        """
        self._ours = read_rows(text, NAME, COLUMNS, _read, _key)
        self._owners = read_rows(overrides, OWNERS_NAME, COLUMNS, _read, _key)

    def in_force(self, on: date) -> tuple[Fee, ...]:
        """Give every fee that holds on a day; a later row takes the place of an earlier one."""
        latest: dict[tuple[str, str, str], Fee] = {}
        for rows in (self._ours, self._owners):
            for fee in sorted(rows, key=lambda fee: fee.effective_from):
                if fee.effective_from <= on:
                    latest[fee.rule, fee.region, fee.reach] = fee
        return tuple(latest.values())

    def of(self, rule: str, on: date, country: str | None = None, home: str | None = None) -> Fee | None:
        """Give what one attempt too many costs under a rule on a day; None where no fee is known.

        ``country`` is the card's, ``home`` the merchant's. What names a country goes before what holds
        everywhere; where it is not known whether a border is crossed, the dearer is meant.
        """
        reaches: tuple[str, ...] = REACHES
        if country and home:
            reaches = (DOMESTIC if country.upper() == home.upper() else CROSS_BORDER, ANY)
        found = [
            fee
            for fee in self.in_force(on)
            if fee.rule == rule and fee.reach in reaches and region_holds(fee.region, country)
        ]
        named = [fee for fee in found if not fee.region.startswith(EVERYWHERE)]
        return max(named or found, key=lambda fee: fee.amount, default=None)


def _key(fee: Fee) -> tuple[Hashable, ...]:
    return fee.rule, fee.region, fee.reach, fee.effective_from


def _read(row: dict[str, str]) -> Fee:
    needed(row, "rule", "source", "confidence")
    if row["reach"] not in REACHES:
        message = f"{row['reach']!r} is no reach: {', '.join(REACHES)}"
        raise ValueError(message)
    if not (len(row["currency"]) == 3 and row["currency"].isascii() and row["currency"].isupper()):  # noqa: PLR2004
        message = f"{row['currency']!r} is no currency: three capital letters"
        raise ValueError(message)
    amount = int(row["amount_minor"])
    if amount < 0:
        message = "a fee is not less than nothing"
        raise ValueError(message)
    return Fee(
        rule=row["rule"],
        region=read_region(row["region"]),
        reach=row["reach"],
        amount=amount,
        currency=row["currency"],
        effective_from=date.fromisoformat(row["effective_from"]),
        source=row["source"],
        confidence=row["confidence"],
    )
