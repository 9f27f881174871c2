"""The tables: what was done, by whom, and what came of it.

Uniqueness that money or mail depends on is a constraint here, never only a check in code.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from store.columns import (
    UTCDateTime,
    counted,
    json_value,
    long_text,
    long_text_or_none,
    minor_amount,
    moment,
    moment_or_none,
    of_case,
)

__all__ = ["UTCDateTime"]


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
    attributes: dict[str, Any] = json_value(dict)
    excluded_by: str | None = None
    excluded_why: str | None = None
    refused_address: str | None = None
    refused_why: str | None = None
    updated_at: datetime = moment()


class CaseRow(SQLModel, table=True):
    """One episode of one failed invoice; ``story`` is the case's state, from which it can be rebuilt.

    ``chosen_by`` says how the case came to its campaign: ``segment``, ``default`` (no segment took it) or
    ``named`` (whoever reported the failure named one). ``arm`` is empty where the campaign has no arms. In
    ``shadow`` everything was only imagined, and ``access`` with it.
    """

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
        Index("cases_of_a_campaign", "campaign", "closed_at", "id"),
        # Holds all that store/reports.py sums up: the rows themselves, with their stories, are large.
        Index(
            "cases_for_reports",
            "campaign",
            "arm",
            "currency",
            "chosen_by",
            "outcome",
            "closed_at",
            "amount",
            "shadow",
        ),
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
    amount: int = minor_amount()
    currency: str = ""
    campaign: str = ""
    campaign_version: int = 0
    arm: str = Field(default="", sa_column_kwargs={"server_default": ""})
    chosen_by: str = Field(default="", sa_column_kwargs={"server_default": ""})
    shadow: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    decline: str | None = None
    access: str = "full"
    next_step: str | None = None
    next_step_at: datetime | None = moment_or_none()
    failed_at: datetime | None = moment_or_none()
    reserved_at: datetime = moment(index=True)
    opened_at: datetime | None = moment_or_none()
    closed_at: datetime | None = moment_or_none(index=True)
    story: dict[str, Any] = json_value(dict)


class AttemptRow(SQLModel, table=True):
    """One charge, claimed before it is sent and settled after.

    ``state``: ``sending`` until an answer came, then ``paid``, ``declined``, ``needs_customer``, or
    ``not_made`` when it is proven that nothing happened; ``shadow`` is one that was only imagined. ``doubt`` says why it is not known (``lost``,
    ``stored``) or why it was not made (``not sent``).
    """

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("case_id", "attempt", name="one_row_an_attempt"),)

    number: int | None = counted()
    case_id: str = of_case()
    attempt: str
    key: str = Field(unique=True)
    suffix: int = 0
    trigger: str
    method: str | None = None
    amount: int = minor_amount()
    currency: str
    state: str
    doubt: str | None = None
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    payment: str | None = Field(default=None, index=True)
    claimed_at: datetime = moment()
    settled_at: datetime | None = moment_or_none()


class MessageRow(SQLModel, table=True):
    """One mail in the outbox, claimed before it is sent and settled after.

    ``state``: ``sending``, then ``sent``, ``failed`` (never will be), ``dropped`` (no longer true) or
    ``unknown`` (the answer was lost: not sent again); ``shadow`` was written and handed to nobody. ``detail``
    says why in words. ``opened_at`` and ``clicked_at`` are the first time that the provider, or our own link, saw
    the customer do so. ``level`` is its place among the messages of its campaign's steps.
    """

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("case_id", "action", name="one_row_a_message"),)

    id: str = Field(primary_key=True)
    case_id: str = of_case()
    action: str
    template: str
    level: int | None = None
    locale: str | None = None
    address: str | None = None
    subject: str | None = None
    state: str = Field(index=True)
    detail: str | None = None
    sender: str | None = None
    reference: str | None = None
    claimed_at: datetime = moment()
    settled_at: datetime | None = moment_or_none()
    opened_at: datetime | None = moment_or_none()
    clicked_at: datetime | None = moment_or_none()


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

    number: int | None = counted()
    source: str
    event: str
    type: str
    body: str = long_text()
    state: str
    why: str | None = long_text_or_none()
    case_id: str | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    tries: int = 0
    try_at: datetime = moment()
    received_at: datetime = moment()
    settled_at: datetime | None = moment_or_none()


class CampaignRow(SQLModel, table=True):
    """A campaign by name, with the version that new cases start with."""

    __tablename__ = "campaigns"

    name: str = Field(primary_key=True)
    current_version: int


class CampaignVersionRow(SQLModel, table=True):
    """One published version of a campaign, never changed afterwards.

    ``origin`` says where it was written: ``library`` (ships with Dunwell), ``file`` or ``studio``.
    """

    __tablename__ = "campaign_versions"
    __table_args__ = (UniqueConstraint("name", "digest", "version", name="one_row_a_version"),)

    name: str = Field(primary_key=True, foreign_key="campaigns.name")
    version: int = Field(primary_key=True)
    document: str = long_text()
    digest: str
    author: str
    note: str = ""
    origin: str = Field(default="file", sa_column_kwargs={"server_default": "file"})
    published_at: datetime = moment()


class SwitchRow(SQLModel, table=True):
    """A stop for everybody: ``charges``, ``messages``, or a processor whose key was rejected.

    ``probe_at`` is when one worker may try again; None waits for a person.
    """

    __tablename__ = "switches"

    name: str = Field(primary_key=True)
    stopped: bool
    by: str
    why: str
    at: datetime = moment()
    probe_at: datetime | None = moment_or_none()


class EntryRow(SQLModel, table=True):
    """One line of a case's journal: facts, wishes with who and why, access changes, final actions."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("case_id", "key", name="each_entry_once"),)

    number: int | None = counted()
    case_id: str = of_case()
    key: str
    kind: str
    text: str = long_text()
    by: str | None = None
    why: str | None = None
    at: datetime = moment()


class AlertRow(SQLModel, table=True):
    """Something that a person has to know, once for each ``key``; ``told_at`` is when it was passed on."""

    __tablename__ = "alerts"

    key: str = Field(primary_key=True)
    case_id: str | None = Field(default=None, index=True)
    kind: str
    text: str = long_text()
    at: datetime = moment(index=True)
    told_at: datetime | None = moment_or_none(index=True)


class InstallationRow(SQLModel, table=True):
    """What this database belongs to: a live installation or a test one, never both in its life."""

    __tablename__ = "installation"

    id: int = Field(default=1, primary_key=True)
    livemode: bool
    created_at: datetime = moment()
