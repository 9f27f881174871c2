"""What else was done and said in a case, and what people were told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from store.database import insert_once
from store.tables import AlertRow, EntryRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

ACCESS, SUBSCRIPTION, WISH, FACT, CASE = "access", "subscription", "wish", "fact", "case"
SUBSCRIPTION_ASKED = "subscription asked"
# What a case in shadow would have done; a charge that its card's budget would have kept it from; and one of the
# processor's that it would not have made.
SHADOW, WITHHELD, SPARED = "shadow", "withheld", "spared"


def plain(text: str) -> str:
    """Leave out the one character that PostgreSQL keeps in no text: it must not block a case's inbox."""
    return text.replace("\x00", "")


async def enter(
    session: AsyncSession, case_id: str, key: str, kind: str, text: str, at: datetime, **said: str | None
) -> bool:
    """Write one line, once for its key; ``said`` is ``by`` and ``why`` where a person is behind it."""
    return (
        await insert_once(
            session,
            EntryRow,
            case_id=case_id,
            key=plain(key),
            kind=kind,
            text=plain(text),
            at=at,
            **{name: plain(value or "") or None for name, value in said.items()},
        )
        is not None
    )


async def has(session: AsyncSession, case_id: str, key: str) -> bool:
    """Whether a line of this key was written."""
    wanted = select(EntryRow.number).where(EntryRow.case_id == case_id, EntryRow.key == key).limit(1)
    return (await session.exec(wanted)).first() is not None


async def entries(session: AsyncSession, case_id: str, kind: str | None = None) -> Sequence[EntryRow]:
    """List a case's journal in order."""
    wanted = select(EntryRow).where(EntryRow.case_id == case_id).order_by(col(EntryRow.number))
    if kind:
        wanted = wanted.where(EntryRow.kind == kind)
    return (await session.exec(wanted)).all()


async def alert(
    session: AsyncSession, key: str, kind: str, text: str, at: datetime, case_id: str | None = None
) -> bool:
    """Record what a person has to know, once for its key; True when it is new."""
    return (
        await insert_once(
            session, AlertRow, key=plain(key), kind=kind, text=plain(text), at=at, case_id=case_id
        )
        is not None
    )


async def alerts(session: AsyncSession, case_id: str | None = None) -> Sequence[AlertRow]:
    """List alerts in order of time, of one case or of all."""
    wanted = select(AlertRow).order_by(col(AlertRow.at))
    if case_id:
        wanted = wanted.where(AlertRow.case_id == case_id)
    return (await session.exec(wanted)).all()


async def claim_untold(session: AsyncSession, now: datetime, limit: int = 50) -> Sequence[AlertRow]:
    """Take the alerts that nobody was told yet, for this caller alone."""
    wanted = (
        select(AlertRow)
        .where(col(AlertRow.told_at).is_(None))
        .order_by(col(AlertRow.at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.exec(wanted)).all()
    for row in rows:
        row.told_at = now
        session.add(row)
    return rows


async def untell(session: AsyncSession, key: str) -> None:
    """Put an alert back that could not be passed on."""
    row = await session.get(AlertRow, key)
    if row is not None:
        row.told_at = None
        session.add(row)
