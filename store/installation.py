"""Which kind of installation a database belongs to: live or test, decided once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errors import BadSettings
from store.database import insert_once
from store.tables import InstallationRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


async def claim_installation(session: AsyncSession, livemode: bool, now: datetime) -> None:  # noqa: FBT001
    """Mark a new database as live or test, and refuse one of the other kind.

    A copy of the live database restored elsewhere, where LIVEMODE is not set, must not act on it.
    """
    await insert_once(session, InstallationRow, id=1, livemode=livemode, created_at=now)
    row = await session.get(InstallationRow, 1)
    assert row is not None
    if row.livemode != livemode:
        kind, here = ("live", "false") if row.livemode else ("test", "true")
        raise BadSettings(
            f"DUNWELL_LIVEMODE is {here}, but the database is that of a {kind} installation:"
            " use its own database, or the setting that goes with it"
        )
