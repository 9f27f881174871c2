"""What tests of the ledger share: its rules, cards and attempts, and a model of it in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from campaigns import budget
from campaigns.budget import Charge, Result, Rules, Tried
from campaigns.network_fees import NetworkFees
from campaigns.networks import Limit, NetworkLimits
from store.campaigns import network_fees, network_limits
from store.card_attempts import Attempt, Source
from store.cards import Card

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = Rules(NetworkLimits(network_limits()), NetworkFees(network_fees()), margin=1, home="US")
VISA = Card("stripe", "main", "fp_visa", "visa", "US")
MASTERCARD = Card("stripe", "main", "fp_mc", "mastercard", "DE")
# Limits that are reached soon, so that few steps tell much.
SMALL = replace(
    RULES,
    limits=NetworkLimits(
        "rule,rail,network,region,scope,window,limit,apart,reset_by,effective_from,source,confidence\n"
        "v,card,visa,everywhere,a card,3 days,4,amount initiator,approval,2021-01-01,x,high\n"
        "w,card,visa,everywhere,a card,1 day,5,,,2021-01-01,x,high\n"
    ),
)


def attempt(key: str, amount: int = 4900, **more: Any) -> Attempt:
    """Give an attempt of ours, with what is to be different about it."""
    return replace(Attempt(key, amount, "USD"), **more)


def theirs(key: str, **more: Any) -> Attempt:
    """Give an attempt of the processor's own."""
    return attempt(key, source=Source.PROCESSOR, **more)


@dataclass
class Book:
    """The ledger of one card as a person would keep it: what counts, by key."""

    rules: Rules
    card: Card
    counts: dict[str, Tried] = field(default_factory=dict)

    def limits(self, now: datetime) -> tuple[Limit, ...]:
        """Give the limits of the card's network."""
        return self.rules.limits.limits_for(self.card.network, now.date(), self.card.country)

    def may(self, one: Attempt, now: datetime) -> bool:
        """Whether one more is allowed by every limit, less the margin."""
        charge = Charge(one.amount, one.currency, one.initiator, one.invoice)
        found = budget.uses(self.limits(now), list(self.counts.values()), charge, now, self.rules.margin)
        return all(use.free_at is None for use in found)

    def made(self, one: Attempt, at: datetime, result: Result) -> None:
        """Write an attempt down."""
        self.counts[one.key] = Tried(at, one.amount, one.currency, one.initiator, result, one.invoice)
