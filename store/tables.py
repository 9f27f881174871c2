"""The tables: what was done, by whom, and what came of it.

Uniqueness that money or mail depends on is a constraint here, never only a check in code.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

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


def _moment(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(sa_column=Column(UTCDateTime(), nullable=nullable, index=index))


def _moment_or_none(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UTCDateTime(), nullable=True, index=index))


def _json(default: type[dict[str, Any] | list[Any]]) -> Any:
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))


def _number() -> Any:
    # SQLite counts rows by itself only in a column that is INTEGER to the letter.
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Field(default=None, sa_column=Column(kind, primary_key=True))


def _amount(default: int = 0) -> Any:
    # Minor units of a currency such as IDR pass the largest 32-bit number in everyday invoices.
    return Field(default=default, sa_column=Column(BigInteger, nullable=False))


def _text() -> Any:
    return Field(sa_column=Column(Text, nullable=False))


class CustomerRow(SQLModel, table=True):
    """A customer as last read from the processor, and what we were told about them.

    ``refused_address`` is an address that a mail provider will not deliver to: nothing more is tried
    while it is still the customer's.
    """

    __tablename__ = "customers"

    processor: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    email: str | None = None
    name: str | None = None
    locale: str | None = None
    country: str | None = None
    timezone: str | None = None
    attributes: dict[str, Any] = _json(dict)
    excluded_by: str | None = None
    excluded_why: str | None = None
    refused_address: str | None = None
    refused_why: str | None = None
    updated_at: datetime = _moment()


class CaseRow(SQLModel, table=True):
    """One episode of one failed invoice; ``story`` is the case's state, from which it can be rebuilt."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("processor", "account", "invoice", "episode", name="one_case_an_episode"),
        # A second open case of one invoice would charge it twice.
        Index(
            "one_open_case_an_invoice",
            "processor",
            "account",
            "invoice",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("cases_of_a_customer", "processor", "account", "customer"),
        Index("cases_of_a_subscription", "processor", "account", "subscription"),
    )

    id: str = Field(primary_key=True)
    workflow_id: str = Field(unique=True)
    processor: str
    account: str
    invoice: str
    episode: int = 1
    livemode: bool = False
    customer: str = ""
    subscription: str | None = None
    status: str = Field(index=True)
    outcome: str | None = Field(default=None, index=True)
    lever: str | None = None
    ended_by: str | None = None
    final_action: str | None = None
    sentence: str = Field(default="", sa_column=Column(Text, nullable=False))
    amount: int = _amount()
    currency: str = ""
    campaign: str = ""
    campaign_version: int = 0
    decline: str | None = None
    access: str = "full"
    next_step: str | None = None
    next_step_at: datetime | None = _moment_or_none()
    failed_at: datetime | None = _moment_or_none()
    reserved_at: datetime = _moment(index=True)
    opened_at: datetime | None = _moment_or_none()
    closed_at: datetime | None = _moment_or_none(index=True)
    story: dict[str, Any] = _json(dict)


def _of_case() -> Any:
    return Field(sa_column=Column(ForeignKey("cases.id"), nullable=False, index=True))


class AttemptRow(SQLModel, table=True):
    """One charge, claimed before it is sent and settled after.

    ``state``: ``sending`` until an answer came, then ``paid``, ``declined``, ``needs_customer``, or
    ``not_made`` when it is proven that nothing happened. ``doubt`` says why it is not known (``lost``,
    ``stored``) or why it was not made (``not sent``).
    """

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("case_id", "attempt", name="one_row_an_attempt"),)

    number: int | None = _number()
    case_id: str = _of_case()
    attempt: str
    key: str = Field(unique=True)
    suffix: int = 0
    trigger: str
    method: str | None = None
    amount: int = _amount()
    currency: str
    state: str
    doubt: str | None = None
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    payment: str | None = Field(default=None, index=True)
    claimed_at: datetime = _moment()
    settled_at: datetime | None = _moment_or_none()


class MessageRow(SQLModel, table=True):
    """One mail in the outbox, claimed before it is sent and settled after.

    ``state``: ``sending``, then ``sent``, ``failed`` (never will be), ``dropped`` (no longer true) or
    ``unknown`` (the answer was lost: not sent again). ``detail`` says why in words.
    """

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("case_id", "action", name="one_row_a_message"),)

    id: str = Field(primary_key=True)
    case_id: str = _of_case()
    action: str
    template: str
    locale: str | None = None
    address: str | None = None
    subject: str | None = None
    state: str = Field(index=True)
    detail: str | None = None
    sender: str | None = None
    reference: str | None = None
    claimed_at: datetime = _moment()
    settled_at: datetime | None = _moment_or_none()


class EventRow(SQLModel, table=True):
    """One event from outside, stored before it is answered.

    ``state``: ``pending`` until it is handed on, then ``handed_on``, ``ignored`` or ``failed``; a wish is
    ``asked`` until it is answered.
    """

    __tablename__ = "inbound_events"
    __table_args__ = (
        UniqueConstraint("source", "event", name="each_event_once"),
        Index("events_to_hand_on", "state", "try_at"),
    )

    number: int | None = _number()
    source: str
    event: str
    type: str
    body: str = _text()
    state: str
    why: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    case_id: str | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    tries: int = 0
    try_at: datetime = _moment()
    received_at: datetime = _moment()
    settled_at: datetime | None = _moment_or_none()


class CampaignRow(SQLModel, table=True):
    """A campaign by name, with the version that new cases start with."""

    __tablename__ = "campaigns"

    name: str = Field(primary_key=True)
    current_version: int


class CampaignVersionRow(SQLModel, table=True):
    """One published version of a campaign, never changed afterwards."""

    __tablename__ = "campaign_versions"
    __table_args__ = (UniqueConstraint("name", "digest", "version", name="one_row_a_version"),)

    name: str = Field(primary_key=True, foreign_key="campaigns.name")
    version: int = Field(primary_key=True)
    document: str = _text()
    digest: str
    author: str
    note: str = ""
    published_at: datetime = _moment()


class SwitchRow(SQLModel, table=True):
    """A stop for everybody: ``charges``, ``messages``, or a processor whose key was rejected.

    ``probe_at`` is when one worker may try again; None waits for a person.
    """

    __tablename__ = "switches"

    name: str = Field(primary_key=True)
    stopped: bool
    by: str
    why: str
    at: datetime = _moment()
    probe_at: datetime | None = _moment_or_none()


class EntryRow(SQLModel, table=True):
    """One line of a case's journal: facts, wishes with who and why, access changes, final actions."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("case_id", "key", name="each_entry_once"),)

    number: int | None = _number()
    case_id: str = _of_case()
    key: str
    kind: str
    text: str = _text()
    by: str | None = None
    why: str | None = None
    at: datetime = _moment()


class AlertRow(SQLModel, table=True):
    """Something that a person has to know, once for each ``key``; ``told_at`` is when it was passed on."""

    __tablename__ = "alerts"

    key: str = Field(primary_key=True)
    case_id: str | None = Field(default=None, index=True)
    kind: str
    text: str = _text()
    at: datetime = _moment(index=True)
    told_at: datetime | None = _moment_or_none(index=True)


class InstallationRow(SQLModel, table=True):
    """What this database belongs to: a live installation or a test one, never both in its life."""

    __tablename__ = "installation"

    id: int = Field(default=1, primary_key=True)
    livemode: bool
    created_at: datetime = _moment()
