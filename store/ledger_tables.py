"""The tables of the budget ledger: cards, and every attempt that was made with them, by whomever."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from store.columns import counted, long_text_or_none, minor_amount, moment, moment_or_none


class CardRow(SQLModel, table=True):
    """A card or a mandate, shared by all cases that charge it; its row is locked while a claim is decided.

    ``card`` is the processor's fingerprint, or the payment method's id where none is known. ``forbidden_at`` is
    when a network or an issuer said that it is not to be tried again: until ``forbidden_until``, or for good.
    """

    __tablename__ = "cards"

    processor: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    card: str = Field(primary_key=True, index=True)
    network: str | None = None
    country: str | None = None
    rail: str = "card"
    forbidden_at: datetime | None = moment_or_none()
    forbidden_until: datetime | None = moment_or_none()
    forbidden_for_good: bool = False
    forbidden_why: str | None = long_text_or_none()
    seen_at: datetime = moment()


class CardAttemptRow(SQLModel, table=True):
    """One attempt with a card, from any source; ``key`` is unique whoever made it.

    ``state``: ``open`` (claimed; it may have been sent), ``approved``, ``declined``, ``given_back`` (proven not
    sent) or ``refused`` (never allowed); ``reason`` says why for the last two. ``charge`` is the processor's id
    of this one charge. ``fee`` is an estimate in minor units, where it was one too many.
    """

    __tablename__ = "card_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["processor", "account", "card"], ["cards.processor", "cards.account", "cards.card"]
        ),
        # A processor tells of one charge more than once, and of ours as well.
        UniqueConstraint("processor", "account", "charge", name="each_charge_once"),
        Index("attempts_of_a_card", "processor", "account", "card", "at"),
    )

    number: int | None = counted()
    processor: str
    account: str
    card: str
    key: str = Field(unique=True)
    case_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("cases.id"), nullable=True, index=True)
    )
    invoice: str | None = None
    charge: str | None = None
    source: str
    initiator: str
    amount: int = minor_amount()
    currency: str
    state: str
    reason: str | None = long_text_or_none()
    decline: str | None = None
    at: datetime = moment()
    settled_at: datetime | None = moment_or_none()
    fee: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    fee_currency: str | None = None
