"""Attempts with cards, from every source: how they are found, counted and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, select

from campaigns.budget import Initiator, Result, Tried
from campaigns.networks import LONGEST_MONTH
from store.ledger_tables import CardAttemptRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.networks import Limit
    from store.cards import Card
    from store.ledger_tables import CardRow


class Source(StrEnum):
    """Who made an attempt."""

    OURS = "ours"
    PROCESSOR = "processor"
    CHECKOUT = "checkout"


class State(StrEnum):
    """Where an attempt stands; the first three count, as what they are."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    GIVEN_BACK = "given_back"
    REFUSED = "refused"


COUNTING = (State.OPEN, State.APPROVED, State.DECLINED)


@dataclass(frozen=True)
class Attempt:
    """One attempt with a card.

    ``key`` names it for good: ours by its idempotency key, another's by what the processor calls it. ``charge`` is
    the processor's id of this one charge (Stripe: ``ch_…``), never that of a payment intent, which many share.
    """

    key: str
    amount: int
    currency: str
    source: Source = Source.OURS
    initiator: Initiator = Initiator.MERCHANT
    invoice: str | None = None
    case_id: str | None = None
    charge: str | None = None


async def of_key(session: AsyncSession, key: str) -> CardAttemptRow | None:
    """Find an attempt by its key; nothing is held by looking."""
    found = await session.exec(select(CardAttemptRow).where(CardAttemptRow.key == key))
    return found.first()


async def held(session: AsyncSession, key: str) -> CardAttemptRow | None:
    """Find an attempt by its key and hold it until the transaction ends; its card is to be held before."""
    return await _held(session, CardAttemptRow.key == key)


async def held_charge(
    session: AsyncSession, processor: str, account: str, charge: str
) -> CardAttemptRow | None:
    """Find an attempt by the processor's id of the charge and hold it; its card is to be held before."""
    return await _held(
        session,
        CardAttemptRow.processor == processor,
        CardAttemptRow.account == account,
        CardAttemptRow.charge == charge,
    )


async def _held(session: AsyncSession, *conditions: bool) -> CardAttemptRow | None:
    found = await session.exec(
        select(CardAttemptRow).where(*conditions).with_for_update().execution_options(populate_existing=True)
    )
    return found.first()


async def tried(
    session: AsyncSession, row: CardRow, limits: Sequence[Limit], at: datetime, but: str | None = None
) -> list[Tried]:
    """List what was tried with a card and may count toward limits at a moment, but the attempt of one key."""
    # A row that this session read before the card was held may have changed since.
    wanted = (
        select(CardAttemptRow)
        .where(*of_card(row), col(CardAttemptRow.state).in_([str(state) for state in COUNTING]))
        .execution_options(populate_existing=True)
    )
    if not any(limit.from_first for limit in limits):
        longest = max((limit.window or LONGEST_MONTH for limit in limits), default=timedelta())
        wanted = wanted.where(col(CardAttemptRow.at) > at - longest)
    if but is not None:
        wanted = wanted.where(CardAttemptRow.key != but)
    return [
        Tried(one.at, one.amount, one.currency, Initiator(one.initiator), Result(one.state), one.invoice)
        for one in (await session.exec(wanted)).all()
    ]


async def all_with(session: AsyncSession, card: Card) -> Sequence[CardAttemptRow]:
    """List a card's attempts in order of time, those that were refused or given back among them."""
    found = await session.exec(
        select(CardAttemptRow)
        .where(*of_card(card))
        .order_by(col(CardAttemptRow.at), col(CardAttemptRow.number))
    )
    return found.all()


def of_card(card: Card | CardRow) -> tuple[bool, ...]:
    """Give the conditions that pick a card's attempts."""
    return (
        CardAttemptRow.processor == card.processor,
        CardAttemptRow.account == card.account,
        CardAttemptRow.card == card.card,
    )
