"""The tables of the studio: who may do what, what they did, drafts, moves of running cases, what-if runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from store.columns import counted, long_text, long_text_or_none, moment, moment_or_none


class AccountRow(SQLModel, table=True):
    """A person who may sign in; ``email`` is kept in small letters.

    ``failures`` counts wrong passwords since the last right one, and ``locked_until`` is when the next
    try is looked at again. ``must_change`` says that somebody else knows the password: until the person has
    chosen another, nothing but that can be done.
    """

    __tablename__ = "accounts"

    id: str = Field(primary_key=True)
    email: str = Field(unique=True)
    name: str = ""
    role: str
    password_hash: str
    must_change: bool = False
    active: bool = True
    failures: int = 0
    locked_until: datetime | None = moment_or_none()
    created_at: datetime = moment()
    created_by: str
    signed_in_at: datetime | None = moment_or_none()


class SessionRow(SQLModel, table=True):
    """A person signed in with one browser; the cookie's value is kept as a digest only."""

    __tablename__ = "sessions"

    digest: str = Field(primary_key=True)
    account_id: str = Field(
        sa_column=Column(ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    csrf: str
    created_at: datetime = moment()
    seen_at: datetime = moment()
    expires_at: datetime = moment(index=True)


class AuditRow(SQLModel, table=True):
    """One thing that a person changed: who, when, what, and the details that are worth keeping."""

    __tablename__ = "audit"

    number: int | None = counted()
    at: datetime = moment(index=True)
    by: str = Field(index=True)
    action: str
    subject: str = Field(index=True)
    detail: str = long_text()


class DraftRow(SQLModel, table=True):
    """What a person is changing in a campaign and has not published.

    ``base_version`` is the version that it began from, None for a campaign that is not there yet. ``document``
    is the text as it was left, faults and all; ``readable`` the last text that could be read as a campaign.
    ``before`` is the text before the latest change, which ``change`` says in words.
    """

    __tablename__ = "drafts"

    campaign: str = Field(primary_key=True)
    account_id: str = Field(sa_column=Column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True))
    document: str = long_text()
    readable: str = long_text()
    before: str | None = long_text_or_none()
    change: str = ""
    base_version: int | None = None
    updated_at: datetime = moment()


class MoveRow(SQLModel, table=True):
    """One operation that moves running cases to a version; the workflow of the same id carries it out.

    ``state``: ``running``, ``paused``, ``stopped`` (by a person) or ``done``. ``past`` is the rule for steps that
    the edit has put into the past. ``spread_seconds`` is the time over which what is due at once is spread.
    """

    __tablename__ = "moves"
    __table_args__ = (
        # Two at once would move the same cases to and fro.
        Index(
            "one_move_a_campaign",
            "campaign",
            unique=True,
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    campaign: str = Field(index=True)
    version: int
    by: str
    why: str = long_text()
    past: str
    spread_seconds: int = 0
    state: str
    total: int = 0
    started_at: datetime = moment()
    finished_at: datetime | None = moment_or_none()


class MoveCaseRow(SQLModel, table=True):
    """What became of one case in a move, with the case's own answer.

    ``state``: ``asked`` until it has answered, then ``moved``, ``refused``, ``closed`` (it had ended), or
    ``unanswered`` where nobody waits any longer. ``at`` is when it was asked, then when it answered.
    """

    __tablename__ = "move_cases"
    __table_args__ = (UniqueConstraint("move_id", "case_id", name="each_case_once_a_move"),)

    number: int | None = counted()
    move_id: str = Field(sa_column=Column(ForeignKey("moves.id"), nullable=False, index=True))
    case_id: str = Field(sa_column=Column(ForeignKey("cases.id"), nullable=False))
    from_version: int
    state: str
    answer: str = long_text()
    at: datetime = moment()


class WhatIfRow(SQLModel, table=True):
    """One run of a draft over past failures, with how far it has come and what it found.

    ``state``: ``running``, ``done``, ``failed`` (``why`` says it) or ``cancelled``. ``against`` is the published
    version that the draft is compared with, None where there is none. ``seen_at`` is when the run last wrote.
    """

    __tablename__ = "what_ifs"

    id: str = Field(primary_key=True)
    campaign: str = Field(index=True)
    by: str
    source: str
    document: str = long_text()
    state: str
    why: str = ""
    done: int = 0
    total: int = 0
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    against: int | None = None
    started_at: datetime = moment()
    seen_at: datetime = moment()
    finished_at: datetime | None = moment_or_none()
