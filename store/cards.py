"""Cards and mandates: one row each, held while an attempt is decided, with the word that forbids it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from campaigns.durations import spell_moment
from campaigns.networks import CARD
from store.database import insert_once
from store.ledger_tables import CardAttemptRow, CardRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass(frozen=True)
class Card:
    """A card or a mandate by its name, with what is known of it.

    ``card`` is the processor's fingerprint, or the payment method's id where none is known.
    """

    processor: str
    account: str
    card: str
    network: str | None = None
    country: str | None = None
    rail: str = CARD


async def hold(session: AsyncSession, card: Card, now: datetime) -> CardRow:
    """Find the card's row, made if need be, and hold it until the transaction ends."""
    row = await hold_again(session, card.processor, card.account, card.card)
    if row is None:
        # Another transaction may do so in the same moment: whoever comes second waits for the first.
        await insert_once(session, CardRow, seen_at=now, **vars(card))
        row = await hold_again(session, card.processor, card.account, card.card)
        assert row is not None
    for name in ("network", "country"):
        if (told := getattr(card, name)) and told != getattr(row, name):
            setattr(row, name, told)
    if card.rail not in {row.rail, CARD}:
        row.rail = card.rail
    session.add(row)
    await session.flush()
    return row


async def hold_again(session: AsyncSession, processor: str, account: str, card: str) -> CardRow | None:
    """Hold the row of a card that may be there already."""
    found = await session.exec(
        select(CardRow)
        .where(CardRow.processor == processor, CardRow.account == account, CardRow.card == card)
        # SQLite lets one transaction write at a time, and needs no lock.
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.first()


def forbidden(row: CardRow, at: datetime) -> str | None:
    """Say why a card may not be tried at a moment; None where nothing forbids it."""
    if row.forbidden_for_good:
        return f"this card is not to be tried again: {row.forbidden_why}"
    if row.forbidden_until and at < row.forbidden_until:
        return f"this card is not to be tried before {spell_moment(row.forbidden_until)}: {row.forbidden_why}"
    return None


async def called(session: AsyncSession, name: str) -> Sequence[CardRow]:
    """Find cards by fingerprint or payment method, at whatever processor and account."""
    found = await session.exec(select(CardRow).where(CardRow.card == name).order_by(col(CardRow.account)))
    return found.all()


async def of_case(session: AsyncSession, case_id: str) -> Sequence[CardRow]:
    """List the cards with which attempts were made for a case, the latest tried first."""
    latest = (
        select(
            CardAttemptRow.processor,
            CardAttemptRow.account,
            CardAttemptRow.card,
            func.max(CardAttemptRow.at).label("at"),
        )
        .where(CardAttemptRow.case_id == case_id)
        .group_by(col(CardAttemptRow.processor), col(CardAttemptRow.account), col(CardAttemptRow.card))
        .subquery()
    )
    found = await session.exec(
        select(CardRow)
        .join(
            latest,
            (col(CardRow.processor) == latest.c.processor)
            & (col(CardRow.account) == latest.c.account)
            & (col(CardRow.card) == latest.c.card),
        )
        .order_by(latest.c.at.desc())
    )
    return found.all()


async def of_attempt(session: AsyncSession, key: str) -> Card | None:
    """Find the card that an attempt was claimed with; None where nothing was claimed under the key."""
    found = await session.exec(
        select(CardRow)
        .join(
            CardAttemptRow,
            (col(CardRow.processor) == col(CardAttemptRow.processor))
            & (col(CardRow.account) == col(CardAttemptRow.account))
            & (col(CardRow.card) == col(CardAttemptRow.card)),
        )
        .where(CardAttemptRow.key == key)
    )
    row = found.first()
    return named(row) if row else None


def named(row: CardRow) -> Card:
    """Give a stored card as the name by which the ledger is asked."""
    return Card(row.processor, row.account, row.card, row.network, row.country, row.rail)
