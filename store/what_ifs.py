"""Runs of drafts over past failures: who began one, how far it is, what it found."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, func, select, update

from campaigns.comparison import Comparison
from errors import Conflict, NotKnown
from store.database import one_at_a_time, touched
from store.journal import plain
from store.studio_tables import WhatIfRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Executable
    from sqlmodel.ext.asyncio.session import AsyncSession

# Each takes a core for itself, which the web side and the worker need as well.
MOST_AT_ONCE = 2
# A run writes twice a second, and waits half a minute at most for a busy database.
SILENCE = timedelta(minutes=1)
BEGINNING = 7105314


class State(StrEnum):
    """Where a run stands; ``lost`` is one that says it is running and has fallen silent."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


def state_of(row: WhatIfRow, now: datetime) -> State:
    """Say where a run stands: one whose process died does not go on running for ever."""
    if row.state == State.RUNNING and now - row.seen_at > SILENCE:
        return State.LOST
    return State(row.state)


def comparison_of(row: WhatIfRow) -> Comparison | None:
    """Give what a run has found, once it is done."""
    return Comparison.model_validate(row.result) if row.result is not None else None


async def begin(session: AsyncSession, row: WhatIfRow, now: datetime) -> None:
    """Write a run down before it begins; raises Conflict where too many go on already."""
    await one_at_a_time(session, BEGINNING)
    going_on = await session.exec(
        select(func.count())
        .select_from(WhatIfRow)
        .where(WhatIfRow.state == State.RUNNING, col(WhatIfRow.seen_at) > now - SILENCE)
    )
    if going_on.one() >= MOST_AT_ONCE:
        raise Conflict(f"{MOST_AT_ONCE} what-if runs go on already: wait for one to end, or cancel it")
    row.state, row.started_at, row.seen_at = State.RUNNING, now, now
    row.by, row.source = plain(row.by), plain(row.source)
    session.add(row)
    await session.flush()


async def get(session: AsyncSession, run: str) -> WhatIfRow:
    """Find a run; raises NotKnown."""
    row = await session.get(WhatIfRow, run)
    if row is None:
        raise NotKnown(f"there is no what-if run '{run}'")
    return row


async def listing(session: AsyncSession, campaign: str | None = None, limit: int = 20) -> Sequence[WhatIfRow]:
    """List runs, the latest first, of one campaign or of all."""
    wanted = select(WhatIfRow).order_by(col(WhatIfRow.started_at).desc(), col(WhatIfRow.id)).limit(limit)
    if campaign is not None:
        wanted = wanted.where(WhatIfRow.campaign == campaign)
    return (await session.exec(wanted)).all()


async def tell_progress(session: AsyncSession, run: str, done: int, total: int, now: datetime) -> bool:
    """Write down how far a run is; False where it is to stop, since it goes on no more."""
    return await _while_running(session, run, done=done, total=total, seen_at=now)


async def finish(session: AsyncSession, run: str, found: Comparison, now: datetime) -> bool:
    """Write down what a run has found; False where it goes on no more."""
    result = found.model_dump(mode="json")
    done = {"done": found.failures, "total": found.failures}
    return await _while_running(
        session, run, state=State.DONE, result=result, finished_at=now, seen_at=now, **done
    )


async def fail(session: AsyncSession, run: str, why: str, now: datetime) -> bool:
    """Write down why a run came to nothing; False where it goes on no more."""
    return await _while_running(session, run, state=State.FAILED, why=plain(why), finished_at=now)


async def cancel(session: AsyncSession, run: str, by: str, now: datetime) -> bool:
    """Let a run end without a result, which its process sees within a second; False where it has ended."""
    why = f"cancelled by {plain(by)}"
    return await _while_running(session, run, state=State.CANCELLED, why=why, finished_at=now)


async def _while_running(session: AsyncSession, run: str, **changes: object) -> bool:
    """Change a run that goes on: of two who end it the first one counts."""
    statement: Executable = (
        update(WhatIfRow)
        .where(col(WhatIfRow.id) == run, col(WhatIfRow.state) == State.RUNNING)
        .values(**changes)
        .returning(col(WhatIfRow.id))
    )
    return await touched(session, statement) is not None
