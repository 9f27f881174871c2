"""Who may use the studio: accounts, what they may do, and the pause after wrong passwords.

Every function that changes an account writes the audit log in the same transaction, so that no caller can forget it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, select

from errors import BadInput, Conflict, NotAllowed, NotKnown
from store import audit, sessions
from store.database import insert_once, one_at_a_time
from store.journal import plain
from store.studio_tables import AccountRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

# Names the lock under which the last administrator is counted.
ADMINISTRATORS = 7105313
LONGEST_NAME = 100
# The first wrong passwords cost nothing: people mistype. Then each doubles the pause before the next is looked at.
FREE_TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)


class Role(StrEnum):
    """What a person may do; each role may do what those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Its place in the order, 0 being the least."""
        return list(Role).index(self)

    def allows(self, needed: Role) -> bool:
        """Whether who has this role may do what needs that one."""
        return self.rank >= needed.rank

    @property
    def meaning(self) -> str:
        """What it lets a person do, in a few words."""
        return {
            Role.VIEWER: "looks at everything",
            Role.EDITOR: "edits and previews campaigns, and publishes them for new cases",
            Role.OPERATOR: "also moves running cases, and pauses and resumes moves",
            Role.ADMIN: "also manages who may use the studio",
        }[self]


class State(StrEnum):
    """Whether a person can sign in just now."""

    ACTIVE = "active"
    MUST_CHANGE = "has to change the password"
    RESTS = "rests after wrong passwords"
    DISABLED = "disabled"


def state_of(row: AccountRow, now: datetime) -> State:
    """Give the state of an account, the one that hinders most first."""
    if not row.active:
        return State.DISABLED
    if row.locked_until is not None and row.locked_until > now:
        return State.RESTS
    return State.MUST_CHANGE if row.must_change else State.ACTIVE


def pause_after(failures: int) -> timedelta | None:
    """How long the next try is not looked at, after so many wrong passwords in a row."""
    beyond = failures - FREE_TRIES
    if beyond < 0:
        return None
    # Bounded before it is doubled: after a night of tries the number would be beyond any duration.
    pause: timedelta = FIRST_PAUSE * 2 ** min(beyond, 10)
    return min(pause, LONGEST_PAUSE)


# --- finding ---------------------------------------------------------------------------------------


async def get(session: AsyncSession, account_id: str, *, locked: bool = False) -> AccountRow:
    """Find an account, and with ``locked`` let nobody else change it in this time; raises NotKnown."""
    row = await session.get(AccountRow, plain(account_id), with_for_update=locked or None)
    if row is None:
        raise NotKnown(f"there is no account '{account_id}': see who is listed among the people")
    return row


async def by_email(session: AsyncSession, email: str) -> AccountRow:
    """Find an account by the address that a person signs in with; raises NotKnown."""
    row = await find(session, email)
    if row is None:
        raise NotKnown(f"nobody has an account with the e-mail address {email}")
    return row


async def find(session: AsyncSession, email: str, *, locked: bool = False) -> AccountRow | None:
    """Find an account by its address, if there is one."""
    wanted = select(AccountRow).where(AccountRow.email == email)
    return (await session.exec(wanted.with_for_update() if locked else wanted)).first()


async def listing(session: AsyncSession) -> Sequence[AccountRow]:
    """List all accounts, by e-mail address."""
    return (await session.exec(select(AccountRow).order_by(AccountRow.email))).all()


async def exist(session: AsyncSession) -> bool:
    """Whether there is any account."""
    return (await session.exec(select(AccountRow.id).limit(1))).first() is not None


# --- changing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewAccount:
    """An account to be made; ``must_change`` where somebody else than its owner knows the password."""

    email: str
    name: str
    role: Role
    password_hash: str
    must_change: bool


async def add(session: AsyncSession, new: NewAccount, by: str, now: datetime) -> AccountRow:
    """Add an account; raises Conflict when the e-mail address has one, disabled or not."""
    name = _readable_name(new.name)
    account_id = await insert_once(
        session,
        AccountRow,
        id=f"account_{secrets.token_hex(8)}",
        email=new.email,
        name=name,
        role=new.role,
        password_hash=new.password_hash,
        must_change=new.must_change,
        created_at=now,
        created_by=by,
    )
    if account_id is None:
        raise Conflict(
            f"{new.email} has an account already: change its role, enable it, or give it a new password"
        )
    detail = f"as {new.role}" + (f", called {name}" if name else "")
    await audit.write(session, now, by, "account added", audit.of_account(new.email), detail)
    return await get(session, account_id)


async def change_role(session: AsyncSession, account_id: str, role: Role, by: str, now: datetime) -> bool:
    """Give an account another role, and end its sessions; True when that changed anything.

    Raises NotAllowed when nobody would be left to manage the accounts.
    """
    row = await get(session, account_id, locked=True)
    if row.role == role:
        return False
    await _keep_an_administrator(session, row)
    detail = f"from {row.role} to {role}"
    row.role = role
    session.add(row)
    await sessions.end_all(session, row.id)
    await audit.write(session, now, by, "role changed", audit.of_account(row.email), detail)
    return True


async def disable(session: AsyncSession, account_id: str, by: str, now: datetime) -> bool:
    """Let nobody use an account, and end its sessions; True when that changed anything.

    Raises NotAllowed when nobody would be left to manage the accounts.
    """
    row = await get(session, account_id, locked=True)
    if not row.active:
        return False
    await _keep_an_administrator(session, row)
    row.active = False
    session.add(row)
    await sessions.end_all(session, row.id)
    await audit.write(session, now, by, "account disabled", audit.of_account(row.email))
    return True


async def enable(session: AsyncSession, account_id: str, by: str, now: datetime) -> bool:
    """Let an account be used again, and forget its wrong passwords; True when that changed anything."""
    row = await get(session, account_id, locked=True)
    if row.active:
        return False
    row.active, row.failures, row.locked_until = True, 0, None
    session.add(row)
    await audit.write(session, now, by, "account enabled", audit.of_account(row.email))
    return True


async def give_password(
    session: AsyncSession, account_id: str, password_hash: str, by: str, now: datetime, *, must_change: bool
) -> AccountRow:
    """Give an account a password that its owner did not ask the studio for, and end its sessions.

    Its wrong passwords are forgotten: this is also how an account that rests is opened again.
    """
    row = await get(session, account_id, locked=True)
    row.password_hash, row.must_change = password_hash, must_change
    row.failures, row.locked_until = 0, None
    session.add(row)
    await sessions.end_all(session, row.id)
    detail = "to be changed at the next sign-in" if must_change else ""
    await audit.write(session, now, by, "password reset", audit.of_account(row.email), detail)
    return row


async def _keep_an_administrator(session: AsyncSession, row: AccountRow) -> None:
    """Refuse to take the last administrator away; two at once, each taking the other's, wait here."""
    if row.role != Role.ADMIN or not row.active:
        return
    await one_at_a_time(session, ADMINISTRATORS)
    others = select(AccountRow.id).where(
        AccountRow.role == Role.ADMIN, col(AccountRow.active).is_(True), AccountRow.id != row.id
    )
    if (await session.exec(others.limit(1))).first() is None:
        raise NotAllowed(
            f"{row.email} is the last administrator: make somebody else one first, or nobody could manage accounts"
        )


def _readable_name(name: str) -> str:
    name = " ".join(plain(name).split())
    if len(name) > LONGEST_NAME:
        raise BadInput(f"the name is too long: take {LONGEST_NAME} characters or fewer")
    return name


# --- signing in ------------------------------------------------------------------------------------


async def begin_try(session: AsyncSession, email: str, now: datetime) -> AccountRow | None:
    """Count a try to sign in, before its password is looked at; None where none will be.

    That is where there is no such account, or it is disabled, or rests after wrong passwords. Counted
    afterwards, a hundred tries at once would all be looked at before the first was counted.
    """
    row = await find(session, email, locked=True)
    if row is None or not row.active or (row.locked_until is not None and row.locked_until > now):
        return None
    row.failures += 1
    pause = pause_after(row.failures)
    row.locked_until = now + pause if pause else None
    session.add(row)
    return row


async def note_wrong(session: AsyncSession, tried: AccountRow, where_from: str, now: datetime) -> None:
    """Write down that an account rests from now on, if it does."""
    if tried.locked_until is not None:
        detail = (
            f"{tried.failures} wrong passwords in a row, the last from {where_from};"
            f" the next is looked at from {tried.locked_until:%d %b %Y %H:%M:%S} UTC"
        )
        subject = audit.of_account(tried.email)
        await audit.write(session, now, "the sign-in page", "account rests", subject, detail)


async def sign_in(
    session: AsyncSession, tried: AccountRow, now: datetime, *, new_hash: str | None = None
) -> str | None:
    """Begin a session after a right password; gives its token, or None if the account has changed meanwhile.

    ``new_hash`` takes the place of one that was made with outdated parameters.
    """
    row = await _unchanged(session, tried)
    if row is None:
        return None
    row.failures, row.locked_until, row.signed_in_at = 0, None, now
    row.password_hash = new_hash or row.password_hash
    session.add(row)
    await sessions.remove_expired(session, now)
    await audit.write(session, now, row.email, "signed in", audit.of_account(row.email))
    return await sessions.begin(session, row.id, now)


async def change_password(
    session: AsyncSession, tried: AccountRow, password_hash: str, now: datetime
) -> str | None:
    """Keep a password that its owner chose, after the right old one; ends every session and begins a new one.

    Gives the new session's token, or None if the account has changed meanwhile.
    """
    row = await _unchanged(session, tried)
    if row is None:
        return None
    row.failures, row.locked_until = 0, None
    row.password_hash, row.must_change = password_hash, False
    session.add(row)
    await sessions.end_all(session, row.id)
    await audit.write(session, now, row.email, "password changed", audit.of_account(row.email))
    return await sessions.begin(session, row.id, now)


async def sign_out(session: AsyncSession, who: sessions.SignedIn, now: datetime) -> None:
    """End a session that its owner has had enough of."""
    await sessions.end(session, who.session.digest)
    email = who.account.email
    await audit.write(session, now, email, "signed out", audit.of_account(email))


async def _unchanged(session: AsyncSession, tried: AccountRow) -> AccountRow | None:
    """Find an account again whose password was looked at outside of a transaction, if it is still the same."""
    row = await get(session, tried.id, locked=True)
    return row if row.active and row.password_hash == tried.password_hash else None
