"""Who is signed in to the studio, with which browser: sessions, of which only a digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, delete, or_, select, update

from store.database import execute
from store.studio_tables import AccountRow, SessionRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

# A browser that nobody uses is forgotten, and one that somebody uses all week signs in anew.
IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
# A page is no reason to write each time it is looked at.
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SignedIn:
    """A session that holds, and whose it is."""

    account: AccountRow
    session: SessionRow


def digest_of(token: str) -> str:
    """Give what is kept of a cookie's value: it cannot be turned back into the cookie."""
    return hashlib.sha256(token.encode()).hexdigest()


async def begin(session: AsyncSession, account_id: str, now: datetime) -> str:
    """Begin a session; gives the value of its cookie, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    session.add(
        SessionRow(
            digest=digest_of(token),
            account_id=account_id,
            csrf=secrets.token_urlsafe(32),
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
        )
    )
    await session.flush()
    return token


async def find(session: AsyncSession, token: str, now: datetime) -> SignedIn | None:
    """Find the session of a cookie, unless it is over or its account is disabled."""
    found = await session.exec(
        select(SessionRow, AccountRow)
        .join(AccountRow, col(AccountRow.id) == col(SessionRow.account_id))
        .where(
            SessionRow.digest == digest_of(token),
            col(SessionRow.expires_at) > now,
            col(SessionRow.seen_at) > now - IDLE,
            col(AccountRow.active).is_(True),
        )
    )
    row = found.first()
    return SignedIn(account=row[1], session=row[0]) if row else None


def is_to_be_seen(row: SessionRow, now: datetime) -> bool:
    """Whether it is worth writing down that a session is in use."""
    return now - row.seen_at >= SEEN_EVERY


async def seen(session: AsyncSession, digest: str, now: datetime) -> None:
    """Write down that a session is in use."""
    await execute(session, update(SessionRow).where(col(SessionRow.digest) == digest).values(seen_at=now))


async def end(session: AsyncSession, digest: str) -> None:
    """End one session; harmless when it is gone."""
    await execute(session, delete(SessionRow).where(col(SessionRow.digest) == digest))


async def end_all(session: AsyncSession, account_id: str) -> None:
    """End every session of an account: what it allowed, it allows no more."""
    await execute(session, delete(SessionRow).where(col(SessionRow.account_id) == account_id))


async def remove_expired(session: AsyncSession, now: datetime) -> None:
    """Remove the sessions that are over, by either limit."""
    over = or_(col(SessionRow.expires_at) <= now, col(SessionRow.seen_at) <= now - IDLE)
    await execute(session, delete(SessionRow).where(over))
