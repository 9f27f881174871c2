"""Stops that hold for every worker at once, looked at before each charge and each message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select, update

from store.database import insert_once, touched
from store.tables import SwitchRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

CHARGES, MESSAGES = "charges", "messages"


def reading(processor: str, account: str) -> str:
    """Name the stop of everything at one account of a processor: our key was rejected when reading."""
    return f"processor:{processor}:{account}"


def acting(processor: str, account: str) -> str:
    """Name the stop of charges and final actions there: a key may be allowed to read and no more."""
    return f"processor:{processor}:{account}:acting"


def of_sender(sender: str) -> str:
    """Name the stop of one mail sender."""
    return f"sender:{sender}"


async def stopped(session: AsyncSession, *names: str) -> Sequence[SwitchRow]:
    """List those of these stops that are on."""
    found = await session.exec(
        select(SwitchRow).where(col(SwitchRow.name).in_(names), col(SwitchRow.stopped).is_(True))
    )
    return found.all()


async def turn(
    session: AsyncSession,
    name: str,
    *,
    stop: bool,
    by: str,
    why: str,
    now: datetime,
    probe_at: datetime | None = None,
) -> bool:
    """Stop or release; True when that changed anything."""
    await insert_once(session, SwitchRow, name=name, stopped=False, by=by, why=why, at=now)
    row = await session.get(SwitchRow, name, with_for_update=True)
    assert row is not None
    changed = row.stopped != stop
    row.stopped, row.probe_at = stop, probe_at
    if changed:
        row.by, row.why, row.at = by, why, now
    session.add(row)
    return changed


async def may_probe(session: AsyncSession, name: str, now: datetime, next_probe: datetime) -> bool:
    """Claim the right to try a stopped processor once; everybody else keeps waiting."""
    name_of_row = await touched(
        session,
        update(SwitchRow)
        .where(col(SwitchRow.name) == name, col(SwitchRow.stopped).is_(True), col(SwitchRow.probe_at) <= now)
        .values(probe_at=next_probe)
        .returning(col(SwitchRow.name)),
    )
    return name_of_row is not None


async def all_switches(session: AsyncSession) -> Sequence[SwitchRow]:
    """List every stop that was ever set."""
    return (await session.exec(select(SwitchRow).order_by(col(SwitchRow.name)))).all()
