"""How often a card has been tried under each rule of its network, and when it may be tried again.

Pure: what was tried comes from the ledger (``store/ledger.py``), the rules from ``campaigns/networks.py``.
An attempt counts from the moment at which it is claimed until it is known to be approved; one whose fate is not
known counts like a declined one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from campaigns.durations import spell_duration
from campaigns.networks import CALENDAR_MONTH, CARD, FROM_THE_FIRST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaigns.network_fees import NetworkFees
    from campaigns.networks import Limit, NetworkLimits

# Later than any campaign, and still a time that every zone can write: when nothing is allowed any more.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
DECEMBER = 12


class Initiator(StrEnum):
    """Who began an attempt, as networks tell them apart: the customer, there and then, or anybody else."""

    MERCHANT = "merchant"
    CUSTOMER = "customer"


class Result(StrEnum):
    """What is known of an attempt; a debit that was collected and came back is declined."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True)
class Charge:
    """What one more attempt would be: minor units, and the invoice where it is known."""

    amount: int
    currency: str
    initiator: Initiator = Initiator.MERCHANT
    invoice: str | None = None


@dataclass(frozen=True)
class Tried:
    """One attempt that was made with the card; ``at`` is when it was claimed, or seen to be made."""

    at: datetime
    amount: int
    currency: str
    initiator: Initiator = Initiator.MERCHANT
    result: Result = Result.DECLINED
    invoice: str | None = None

    @property
    def charge(self) -> Charge:
        """The attempt without its time and result."""
        return Charge(self.amount, self.currency, self.initiator, self.invoice)


@dataclass(frozen=True)
class Rules:
    """What a budget is reckoned with: the networks' limits and fees, and the owner's margin.

    ``margin`` is how many attempts under a card network's limit are left unused, for those that nobody told us
    of. ``home`` is the merchant's country, for the fees.
    """

    limits: NetworkLimits
    fees: NetworkFees
    margin: int = 1
    home: str | None = None


@dataclass(frozen=True)
class Use:
    """How much of a limit is used; ``allowed`` is the limit less the margin.

    ``free_at`` is the earliest moment at which one more attempt is allowed: None where it is now, ``NEVER``
    where no time will bring it.
    """

    limit: Limit
    used: int
    allowed: int
    free_at: datetime | None

    @property
    def left(self) -> int:
        """How many more are allowed now."""
        return 0 if self.free_at else self.allowed - self.used

    @property
    def margin(self) -> int:
        """How many are left unused under the network's limit."""
        return self.limit.limit - self.allowed

    def said(self) -> str:
        """Say it in a few words: ``3 of 20 attempts used in 30 days``."""
        window = self.limit.window
        span = f"a {CALENDAR_MONTH}" if window is None else spell_duration(window)
        rolls = FROM_THE_FIRST if self.limit.from_first else ""
        return f"{self.used} of {self.limit.limit} attempts used in {span}{rolls}"

    def refusal(self) -> str:
        """Say why there may be no more: ``Visa allows 20 attempts … in 30 days; 19 used, margin 1``."""
        margin = f", margin {self.margin}" if self.margin else ""
        return f"{self.limit.said()}; {self.used} used{margin}"


def uses(
    limits: Iterable[Limit], tried: Sequence[Tried], charge: Charge, at: datetime, margin: int = 0
) -> tuple[Use, ...]:
    """Reckon every limit for one more attempt at a moment, the tightest first.

    An attempt later than ``at`` counts as well: clocks differ, and an order of attempts must not matter.
    """
    found = (_use(limit, _counted(limit, tried, charge), at, margin) for limit in limits)
    return tuple(sorted(found, key=_tightness))


def tightest(
    limits: Iterable[Limit], tried: Sequence[Tried], at: datetime, margin: int = 0
) -> tuple[Use, ...]:
    """Reckon every limit as it stands for the kind of attempt that has used most of it, the tightest first."""
    charges = {one.charge for one in tried} or {Charge(0, "")}
    found = (
        min(
            (_use(limit, _counted(limit, tried, charge), at, margin) for charge in charges),
            key=_tightness,
        )
        for limit in limits
    )
    return tuple(sorted(found, key=_tightness))


def free_at(found: Iterable[Use]) -> datetime | None:
    """Give the moment at which all limits allow one more; None where they do now, ``NEVER`` where none will."""
    return max((use.free_at for use in found if use.free_at), default=None)


def exceeded(limits: Iterable[Limit], tried: Sequence[Tried], one: Tried) -> tuple[Limit, ...]:
    """Give the limits under which an attempt was one too many, by what was tried before it."""
    before = [earlier for earlier in tried if earlier.at <= one.at]
    return tuple(use.limit for use in uses(limits, before, one.charge, one.at) if use.free_at)


def _tightness(use: Use) -> tuple[float, int, str]:
    waits = use.free_at.timestamp() if use.free_at else 0.0
    return -waits, use.left, use.limit.rule


def _counted(limit: Limit, tried: Sequence[Tried], charge: Charge) -> list[datetime]:
    """List when attempts were made that count toward a limit together with a charge, in order of time."""
    alike = [one for one in tried if _is_alike(limit, one, charge)]
    since = None
    if limit.resets_after_approval:
        since = max((one.at for one in alike if one.result is Result.APPROVED), default=None)
    return sorted(
        one.at
        for one in alike
        # What is open may be declined after the approval, whenever it began.
        if one.result is Result.OPEN or (one.result is Result.DECLINED and (since is None or one.at >= since))
    )


def _is_alike(limit: Limit, one: Tried, charge: Charge) -> bool:
    if limit.by_amount and (one.amount, one.currency) != (charge.amount, charge.currency):
        return False
    if limit.by_initiator and one.initiator is not charge.initiator:
        return False
    # Of an attempt whose invoice nobody knows it may be this one's.
    return not limit.by_invoice or None in {one.invoice, charge.invoice} or one.invoice == charge.invoice


def _use(limit: Limit, counted: list[datetime], at: datetime, margin: int) -> Use:
    # The margin is for attempts that nobody told us of: of a direct debit there are none.
    allowed = max(limit.limit - margin, 1) if limit.rail == CARD else limit.limit
    if limit.from_first:
        assert limit.window is not None
        over = len(counted) >= allowed or (bool(counted) and at >= counted[0] + limit.window)
        return Use(limit, len(counted), allowed, NEVER if over else None)
    near = [earlier for earlier in counted if _still_counts(limit, earlier, at)]
    if len(near) < allowed:
        return Use(limit, len(near), allowed, None)
    return Use(limit, len(near), allowed, _falls_out(limit, near[len(near) - allowed]))


def _still_counts(limit: Limit, earlier: datetime, at: datetime) -> bool:
    if limit.window is None:
        return _month(earlier) >= _month(at)
    return at - earlier < limit.window


def _falls_out(limit: Limit, earlier: datetime) -> datetime:
    if limit.window is not None:
        return earlier + limit.window
    year, month = _month(earlier)
    return datetime(year + month // DECEMBER, month % DECEMBER + 1, 1, tzinfo=UTC)


def _month(at: datetime) -> tuple[int, int]:
    utc = at.astimezone(UTC)
    return utc.year, utc.month
