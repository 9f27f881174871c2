"""The tables of the circuit breakers: what charges were answered, minute by minute, and what is held."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from store.columns import UTCDateTime, long_text, moment, moment_or_none


class AnswerCountRow(SQLModel, table=True):
    """How charges were answered in one minute; ``network`` and ``country`` are empty where no card is known.

    ``away`` of them the processor did not answer; of ``issuer_away`` others it said that the issuer did not. The
    counts of a minute are spread over several rows (``shard``), so that workers do not wait for each other.
    """

    __tablename__ = "answer_counts"

    minute: datetime = Field(sa_column=Column(UTCDateTime(), primary_key=True))
    processor: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    network: str = Field(primary_key=True)
    country: str = Field(primary_key=True)
    shard: int = Field(primary_key=True)
    answers: int = 0
    away: int = 0
    issuer_away: int = 0


class BreakerRow(SQLModel, table=True):
    """One processor's account or issuer range that is, or once was, held.

    ``open`` until it is closed at ``changed_at``; the rest is as in ``campaigns.breaker.Open``, the resting time
    in seconds.
    """

    __tablename__ = "breakers"

    name: str = Field(primary_key=True)
    open: bool = False
    since: datetime = moment()
    until: datetime = moment()
    rest: float = 0.0
    step: int = 0
    lent: int = 0
    good: int = 0
    lent_at: datetime | None = moment_or_none()
    by: str
    why: str = long_text()
    changed_at: datetime = moment()
