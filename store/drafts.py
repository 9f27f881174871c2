"""Drafts: what somebody is changing in a campaign and has not published, one for each person and campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from store import audit
from store.database import insert_once
from store.journal import plain
from store.studio_tables import AccountRow, DraftRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass(frozen=True)
class Drafted:
    """Who has a draft of a campaign, from which version it began, and when it was last changed."""

    campaign: str
    account_id: str
    person: str
    base_version: int | None
    updated_at: datetime


@dataclass(frozen=True)
class Text:
    """A draft's new text; ``readable`` says whether it is a campaign, ``change`` what is new in it."""

    document: str
    readable: bool
    change: str


# --- finding ---------------------------------------------------------------------------------------


async def get(
    session: AsyncSession, campaign: str, account_id: str, *, locked: bool = False
) -> DraftRow | None:
    """Find a person's draft of a campaign; with ``locked`` nobody else changes it in this time."""
    return await session.get(DraftRow, (plain(campaign), account_id), with_for_update=locked or None)


async def listing(session: AsyncSession, campaign: str | None = None) -> Sequence[Drafted]:
    """List who has drafts, of one campaign or of all, those changed last first."""
    wanted = (
        select(DraftRow, AccountRow)
        .join(AccountRow, col(AccountRow.id) == col(DraftRow.account_id))
        .order_by(col(DraftRow.updated_at).desc(), col(DraftRow.campaign), col(AccountRow.email))
    )
    if campaign is not None:
        wanted = wanted.where(DraftRow.campaign == campaign)
    return [
        Drafted(row.campaign, row.account_id, account.name or account.email, row.base_version, row.updated_at)
        for row, account in (await session.exec(wanted)).all()
    ]


# --- changing --------------------------------------------------------------------------------------


async def begin(
    session: AsyncSession,
    campaign: str,
    account_id: str,
    by: str,
    now: datetime,
    document: str,
    base_version: int | None,
) -> DraftRow:
    """Begin a draft with a text that can be read as a campaign; where there is one already, give that."""
    begun = await insert_once(
        session,
        DraftRow,
        campaign=campaign,
        account_id=account_id,
        document=document,
        readable=document,
        base_version=base_version,
        updated_at=now,
    )
    if begun is not None:
        base = f"from version {base_version}" if base_version is not None else "of a new campaign"
        await audit.write(session, now, by, "draft begun", audit.of_campaign(campaign), base)
    row = await get(session, campaign, account_id, locked=True)
    assert row is not None
    return row


async def keep(session: AsyncSession, row: DraftRow, text: Text, now: datetime) -> None:
    """Give a draft a new text; the one before it is kept, so that the change can be undone."""
    document = plain(text.document)
    if document == row.document:
        return
    row.before, row.document, row.change = row.document, document, text.change
    if text.readable:
        row.readable = document
    row.updated_at = now
    session.add(row)
    await session.flush()


async def rebase(session: AsyncSession, row: DraftRow, text: Text, base_version: int, now: datetime) -> None:
    """Let a draft go on from another version than the one that it began from."""
    row.base_version = base_version
    session.add(row)
    await keep(session, row, text, now)


async def discard(session: AsyncSession, row: DraftRow, by: str, now: datetime) -> None:
    """Throw a draft away; what is published stays as it is."""
    await session.delete(row)
    await audit.write(session, now, by, "draft discarded", audit.of_campaign(row.campaign))


async def publish(session: AsyncSession, row: DraftRow) -> None:
    """Let a draft go that has become a version; whoever publishes it writes that into the audit log."""
    await session.delete(row)
