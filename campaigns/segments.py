"""Which campaign takes a failed payment: the first, in order of priority, whose segment it is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from campaigns.declines import DeclineClass
from campaigns.grammar import (
    AmountRange,
    Country,
    Currency,
    Part,
    Several,
    Word,
    amounts_hold,
    attributes_hold,
    refuse_wrong_amounts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from campaigns.document import Campaign


class Takes(Part):
    """Which failures a campaign takes; all that is written has to hold.

    A campaign without any criterion takes nothing by itself: it is the default, or is named.
    """

    priority: int | None = Field(
        default=None, ge=1, le=9999, description="Who is asked first: 1 before 2. Needed with any criterion."
    )
    plan: Several[Word] = Field(default=(), description="Plans of the subscription.")
    interval: Several[Word] = Field(default=(), description="How often it is billed: month, year, week, day.")
    currency: Several[Currency] = ()
    amount: dict[Currency, AmountRange] = Field(
        default={}, description="What is owed, by currency; a currency not named is not taken."
    )
    country: Several[Country] = Field(default=(), description="Countries, by their two letters.")
    processor: Several[Word] = ()
    decline_class: Several[DeclineClass] = ()
    decline: Several[Word] = ()
    attributes: dict[Word, Several[Word]] = Field(
        default={}, description="Attributes of the customer, as the processor keeps them."
    )
    tags: Several[Word] = Field(default=(), description="Any of these tags of customer or subscription.")
    failure: Literal["first", "repeated"] | None = Field(
        default=None, description="The customer's first failed payment, or one of a customer who had others."
    )
    first_payments: bool = Field(default=False, description="Payments that fail at sign-up, too.")
    sent_invoices: bool = Field(default=False, description="Invoices that are sent for payment, too.")

    @model_validator(mode="after")
    def _has_its_place(self) -> Self:
        refuse_wrong_amounts({code: (part.at_least, part.below) for code, part in self.amount.items()})
        if self.is_segment and self.priority is None:
            message = "a segment needs a priority, so that it is plain who is asked first: 'priority: 10'"
            raise ValueError(message)
        if self.priority is not None and not self.is_segment:
            message = "a priority without a criterion would take every failure: say which ones are taken"
            raise ValueError(message)
        return self

    @property
    def is_segment(self) -> bool:
        """Whether anything is asked of a failure, so that the campaign may take it by itself."""
        return any(getattr(self, name) for name in CRITERIA)

    def why_not(self, failure: Failure) -> str | None:
        """Say why a failure is not taken, or None when it is."""
        listed = (
            ("plan", self.plan, failure.plan),
            ("interval", self.interval, failure.interval),
            ("currency", self.currency, failure.currency.upper()),
            ("country", self.country, (failure.country or "").upper() or None),
            ("processor", self.processor, failure.processor),
            ("decline class", self.decline_class, failure.decline_class),
            ("decline", self.decline, failure.decline),
        )
        for name, wanted, found in listed:
            if wanted and found not in wanted:
                return f"{name} is {found or 'not known'}"
        if not amounts_hold(self.amount, failure.amount, failure.currency):
            return "the amount is not in the range"
        if not attributes_hold(self.attributes, failure.attributes):
            return "the customer's attributes are others"
        if self.tags and not set(self.tags) & set(failure.tags):
            return "no tag of these"
        if self.failure and (self.failure == "repeated") is not failure.repeated:
            return "a repeated failure" if failure.repeated else "the customer's first failure"
        return self.why_left_alone(failure)

    def why_left_alone(self, failure: Failure) -> str | None:
        """Say why a failure of a kind that has to be asked for is not worked, or None."""
        if failure.first_payment and not self.first_payments:
            return "a first payment at sign-up; the campaign does not take those"
        if failure.sent_invoice and not self.sent_invoices:
            return "an invoice sent for payment; the campaign does not take those"
        return None


CRITERIA = tuple(
    name for name in Takes.model_fields if name not in {"priority", "first_payments", "sent_invoices"}
)


class ChosenBy(StrEnum):
    """How a case came to its campaign."""

    SEGMENT = "segment"
    DEFAULT = "default"
    NAMED = "named"


@dataclass(frozen=True)
class Failure:
    """What is known of a failed payment when a campaign is chosen for it; ``amount`` in minor units."""

    processor: str = ""
    plan: str | None = None
    interval: str | None = None
    amount: int = 0
    currency: str = ""
    country: str | None = None
    decline: str | None = None
    decline_class: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    repeated: bool = False
    first_payment: bool = False
    sent_invoice: bool = False


@dataclass(frozen=True)
class Choice:
    """The campaign that takes a failure, and why; ``others`` says of each that was asked before why not."""

    name: str
    by: ChosenBy
    why: str
    others: tuple[tuple[str, str], ...] = ()


def choose(candidates: Iterable[Campaign], failure: Failure, default: str) -> Choice:
    """Ask every campaign with a segment in order of priority, then of name; nothing taken goes to the default."""
    asked = sorted(
        (campaign for campaign in candidates if campaign.takes.is_segment),
        key=lambda campaign: (campaign.takes.priority or 0, campaign.name),
    )
    others: list[tuple[str, str]] = []
    for campaign in asked:
        reason = campaign.takes.why_not(failure)
        if reason is None:
            why = f"the segment of {campaign.name} (priority {campaign.takes.priority}) takes it"
            return Choice(campaign.name, ChosenBy.SEGMENT, why, tuple(others))
        others.append((campaign.name, reason))
    why = (
        f"none of {len(asked)} segments takes it, so it goes to the default campaign, {default}"
        if asked
        else f"no campaign has a segment, so it goes to the default campaign, {default}"
    )
    return Choice(default, ChosenBy.DEFAULT, why, tuple(others))
