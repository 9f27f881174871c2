"""The inbox: events are stored before they are answered, and handed on until somebody took them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func
from sqlmodel import col, select, update

from store.database import execute, insert_once
from store.tables import EventRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

PENDING, HANDED_ON, IGNORED, FAILED = "pending", "handed_on", "ignored", "failed"
# A person's wish: answered while the person waits, and never handed on later.
ASKED = "asked"
# While somebody hands an event on, nobody else does; a crash in between costs this much delay.
CLAIM = timedelta(seconds=30)
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(minutes=5)


async def keep(
    session: AsyncSession, source: str, event: str, kind: str, body: str, now: datetime, state: str = PENDING
) -> tuple[EventRow, bool]:
    """Store an event once; gives its row and whether it is new. It is claimed for whoever stored it."""
    known: dict[str, Any] = {
        "source": source,
        "event": event,
        "type": kind,
        "body": body,
        "state": state,
        "try_at": now + CLAIM,
        "received_at": now,
    }
    number = await insert_once(session, EventRow, **known)
    if number is not None:
        return EventRow(number=int(number), **known), True
    row = await get(session, source, event)
    assert row is not None
    return row, False


async def get(session: AsyncSession, source: str, event: str) -> EventRow | None:
    """Find an event by its source and the id it came with."""
    found = await session.exec(select(EventRow).where(EventRow.source == source, EventRow.event == event))
    return found.first()


async def claim_due(session: AsyncSession, now: datetime, limit: int = 50) -> Sequence[EventRow]:
    """Take the oldest events that wait to be handed on, for this caller alone."""
    wanted = (
        select(EventRow)
        .where(EventRow.state == PENDING, col(EventRow.try_at) <= now)
        .order_by(col(EventRow.number))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.exec(wanted)).all()
    if rows:
        numbers = [row.number for row in rows]
        await execute(
            session, update(EventRow).where(col(EventRow.number).in_(numbers)).values(try_at=now + CLAIM)
        )
    return rows


async def settle(
    session: AsyncSession,
    number: int,
    state: str,
    now: datetime,
    *,
    why: str | None = None,
    case_id: str | None = None,
    answer: dict[str, Any] | None = None,
) -> None:
    """Write down what became of an event."""
    await execute(
        session,
        update(EventRow)
        .where(col(EventRow.number) == number)
        .values(state=state, why=why, case_id=case_id, answer=answer, settled_at=now),
    )


async def postpone(session: AsyncSession, number: int, tries: int, why: str, now: datetime) -> None:
    """Try an event again later, each time after a longer wait."""
    delay = min(FIRST_DELAY * 2**tries, LONGEST_DELAY)
    await execute(
        session,
        update(EventRow)
        .where(col(EventRow.number) == number)
        .values(tries=tries + 1, why=why, try_at=now + delay),
    )


async def waiting(session: AsyncSession) -> int:
    """Count the events that still have to be handed on."""
    found = await session.exec(select(func.count()).select_from(EventRow).where(EventRow.state == PENDING))
    return found.one()
