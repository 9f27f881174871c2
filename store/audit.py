"""The audit log: who changed what in the studio, or through the command line, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from store.journal import plain
from store.studio_tables import AuditRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


def of_account(email: str) -> str:
    """Name a person's account as the subject of an entry."""
    return f"account {email}"


def of_campaign(name: str) -> str:
    """Name a campaign as the subject of an entry."""
    return f"campaign {name}"


def of_breaker(name: str) -> str:
    """Name a processor's account or an issuer range whose charges are held as the subject of an entry."""
    return f"breaker {name}"


def of_move(move: str) -> str:
    """Name an operation that moves running cases as the subject of an entry."""
    return f"move {move}"


async def write(
    session: AsyncSession, at: datetime, by: str, action: str, subject: str, detail: str = ""
) -> None:
    """Write one entry, in the transaction of the change itself: neither is there without the other."""
    session.add(AuditRow(at=at, by=plain(by), action=action, subject=plain(subject), detail=plain(detail)))
    await session.flush()


async def listing(
    session: AsyncSession,
    subject: str | None = None,
    by: str | None = None,
    *,
    limit: int = 50,
    before: int | None = None,
) -> Sequence[AuditRow]:
    """List entries, the latest first; ``before`` is the number of the last entry of the page before."""
    wanted = select(AuditRow).order_by(col(AuditRow.number).desc()).limit(limit)
    if subject is not None:
        wanted = wanted.where(AuditRow.subject == subject)
    if by is not None:
        wanted = wanted.where(AuditRow.by == by)
    if before is not None:
        wanted = wanted.where(col(AuditRow.number) < before)
    return (await session.exec(wanted)).all()


async def authors(session: AsyncSession) -> Sequence[str]:
    """List everybody who ever changed anything, for choosing one."""
    return (await session.exec(select(AuditRow.by).distinct().order_by(AuditRow.by))).all()
