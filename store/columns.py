"""Columns that every table is made of: aware UTC times, JSON, amounts of minor units, long texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Integer, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time in every database; SQLite, which knows no zones, holds it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it could be any zone's."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a time without a zone was about to be stored: {value!r}"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give every time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    """Make a column of an aware UTC time."""
    return Field(sa_column=Column(UTCDateTime(), nullable=nullable, index=index))


def moment_or_none(*, index: bool = False) -> Any:
    """Make a column of an aware UTC time that may be missing."""
    return Field(default=None, sa_column=Column(UTCDateTime(), nullable=True, index=index))


def json_value(default: type[dict[str, Any] | list[Any]]) -> Any:
    """Make a column of a JSON object or list, empty unless given."""
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))


def counted() -> Any:
    """Make a primary key that the database counts up."""
    # SQLite counts rows by itself only in a column that is INTEGER to the letter.
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Field(default=None, sa_column=Column(kind, primary_key=True))


def minor_amount(default: int = 0) -> Any:
    """Make a column of an amount in minor units."""
    # Minor units of a currency such as IDR pass the largest 32-bit number in everyday invoices.
    return Field(default=default, sa_column=Column(BigInteger, nullable=False))


def long_text() -> Any:
    """Make a column of text of any length."""
    return Field(sa_column=Column(Text, nullable=False))


def long_text_or_none() -> Any:
    """Make a column of text of any length that may be missing."""
    return Field(default=None, sa_column=Column(Text, nullable=True))


def of_case() -> Any:
    """Make a column that refers to a case."""
    return Field(sa_column=Column(ForeignKey("cases.id"), nullable=False, index=True))
