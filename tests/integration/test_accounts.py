"""Accounts and sessions in the database, of both kinds: what holds when two do something at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from errors import BadInput, Conflict, NotAllowed, NotKnown
from store import accounts, audit, sessions
from store.accounts import FREE_TRIES, NewAccount, Role
from store.database import Database
from store.studio_tables import AccountRow, SessionRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HASH = "a hash that is not looked at here"
SECOND = timedelta(seconds=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def added(database: Database, email: str, role: Role = Role.VIEWER, **more: Any) -> AccountRow:
    new = NewAccount(email, more.pop("name", ""), role, HASH, must_change=False)
    async with database.begin() as session:
        return await accounts.add(session, new, "cli", NOW)


async def begun(database: Database, account: AccountRow, now: datetime = NOW) -> str:
    async with database.begin() as session:
        return await sessions.begin(session, account.id, now)


async def found(database: Database, token: str, now: datetime = NOW) -> sessions.SignedIn | None:
    async with database.read() as session:
        return await sessions.find(session, token, now)


async def again(database: Database, account: AccountRow) -> AccountRow:
    async with database.read() as session:
        return await accounts.get(session, account.id)


async def log(database: Database, **filters: Any) -> list[tuple[str, str, str, str]]:
    async with database.read() as session:
        rows = await audit.listing(session, **filters)
    return [(row.by, row.action, row.subject, row.detail) for row in reversed(rows)]


# --- accounts --------------------------------------------------------------------------------------


async def test_an_address_has_one_account_however_many_add_it_at_once(database: Database) -> None:
    answers = await asyncio.gather(
        *(added(database, "ada@example.com", name=f"Ada {number}") for number in range(5)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(refused) == 4
    assert "has an account already" in str(refused[0])
    assert [entry[1] for entry in await log(database)] == ["account added"]
    async with database.read() as session:
        assert [row.email for row in await accounts.listing(session)] == ["ada@example.com"]


async def test_a_name_is_one_short_line(database: Database) -> None:
    row = await added(database, "ada@example.com", name=" Ada \n\x00 Byron ")
    assert row.name == "Ada Byron"
    with pytest.raises(BadInput, match="name is too long"):
        await added(database, "bob@example.com", name="b" * 101)


async def test_nobody_is_found_where_there_is_nobody(database: Database) -> None:
    async with database.begin() as session:
        assert not await accounts.exist(session)
        for work in (
            accounts.by_email(session, "ada@example.com"),
            accounts.get(session, "account_\x00"),
            accounts.change_role(session, "account_1", Role.ADMIN, "cli", NOW),
            accounts.disable(session, "account_1", "cli", NOW),
            accounts.enable(session, "account_1", "cli", NOW),
            accounts.give_password(session, "account_1", HASH, "cli", NOW, must_change=True),
        ):
            with pytest.raises(NotKnown):
                await work
    assert await log(database) == []


async def test_two_administrators_cannot_take_the_studio_from_each_other(database: Database) -> None:
    ada, bob = [await added(database, f"{name}@example.com", Role.ADMIN) for name in ("ada", "bob")]

    async def demote(whom: AccountRow, by: AccountRow) -> bool:
        async with database.begin() as session:
            return await accounts.change_role(session, whom.id, Role.VIEWER, by.email, NOW)

    answers = await asyncio.gather(demote(ada, bob), demote(bob, ada), return_exceptions=True)
    assert sorted(isinstance(answer, NotAllowed) for answer in answers) == [False, True]
    roles = sorted([(await again(database, row)).role for row in (ada, bob)])
    assert roles == ["admin", "viewer"]


async def test_the_last_administrator_stays(database: Database) -> None:
    ada = await added(database, "ada@example.com", Role.ADMIN)
    gone = await added(database, "gone@example.com", Role.ADMIN)
    async with database.begin() as session:
        assert await accounts.disable(session, gone.id, "ada@example.com", NOW)
    before = await log(database)
    async with database.begin() as session:
        with pytest.raises(NotAllowed, match="the last administrator"):
            await accounts.disable(session, ada.id, "cli", NOW)
        with pytest.raises(NotAllowed, match="make somebody else one first"):
            await accounts.change_role(session, ada.id, Role.OPERATOR, "cli", NOW)
    kept = await again(database, ada)
    assert (kept.active, kept.role) == (True, "admin")
    async with database.begin() as session:
        # Who is disabled administers nothing, and may be demoted.
        assert await accounts.change_role(session, gone.id, Role.VIEWER, "cli", NOW)
    assert [entry[1] for entry in (await log(database))[len(before) :]] == ["role changed"]


async def test_what_changes_nothing_is_not_recorded(database: Database) -> None:
    ada = await added(database, "ada@example.com", Role.ADMIN)
    token = await begun(database, ada)
    async with database.begin() as session:
        assert not await accounts.change_role(session, ada.id, Role.ADMIN, "cli", NOW)
        assert not await accounts.enable(session, ada.id, "cli", NOW)
    assert [entry[1] for entry in await log(database)] == ["account added"]
    assert await found(database, token) is not None


# --- wrong passwords -------------------------------------------------------------------------------


async def begin_try(database: Database, now: datetime, email: str = "ada@example.com") -> AccountRow | None:
    async with database.begin() as session:
        return await accounts.begin_try(session, email, now)


async def test_of_many_tries_at_once_no_more_are_looked_at_than_one_after_the_other(
    database: Database,
) -> None:
    await added(database, "ada@example.com")
    looked_at = await asyncio.gather(*(begin_try(database, NOW) for _ in range(4 * FREE_TRIES)))
    assert len([row for row in looked_at if row]) == FREE_TRIES


async def test_each_wrong_password_makes_the_account_rest_longer(database: Database) -> None:
    ada = await added(database, "ada@example.com")
    now, pauses = NOW, []
    for _ in range(FREE_TRIES + 4):
        tried = await begin_try(database, now)
        assert tried is not None
        async with database.begin() as session:
            await accounts.note_wrong(session, tried, "192.0.2.1", now)
        if tried.locked_until:
            pauses.append((tried.locked_until - now).total_seconds())
            assert await begin_try(database, tried.locked_until - SECOND) is None
            now = tried.locked_until
    assert pauses == [30, 60, 120, 240, 480]
    assert (await again(database, ada)).failures == FREE_TRIES + 4
    rests = [entry for entry in await log(database) if entry[1] == "account rests"]
    assert [entry[:3] for entry in rests] == [
        ("the sign-in page", "account rests", "account ada@example.com")
    ] * 5
    assert rests[0][3] == (
        "5 wrong passwords in a row, the last from 192.0.2.1; the next is looked at from 02 Mar 2026 09:00:30 UTC"
    )


async def test_a_right_password_forgets_the_wrong_ones(database: Database) -> None:
    ada = await added(database, "ada@example.com")
    for _ in range(FREE_TRIES):
        tried = await begin_try(database, NOW)
    assert tried is not None
    async with database.begin() as session:
        assert await accounts.sign_in(session, tried, NOW)
    row = await again(database, ada)
    assert (row.failures, row.locked_until, row.signed_in_at) == (0, None, NOW)


@pytest.mark.parametrize("change", ["disabled", "another password"])
async def test_who_was_changed_while_the_hash_was_worked_out_is_not_let_in(
    database: Database, change: str
) -> None:
    ada = await added(database, "ada@example.com")
    tried = await begin_try(database, NOW)
    assert tried is not None
    async with database.begin() as session:
        if change == "disabled":
            await accounts.disable(session, ada.id, "cli", NOW)
        else:
            await accounts.give_password(session, ada.id, "another hash", "cli", NOW, must_change=True)
    before = await log(database)
    async with database.begin() as session:
        assert await accounts.sign_in(session, tried, NOW) is None
        assert await accounts.change_password(session, tried, "the thief's", NOW) is None
    assert await log(database) == before
    async with database.read() as session:
        assert (await session.exec(select(SessionRow))).all() == []


# --- sessions --------------------------------------------------------------------------------------


async def test_of_a_session_only_a_digest_is_kept(database: Database) -> None:
    ada = await added(database, "ada@example.com")
    token, other = await begun(database, ada), await begun(database, ada)
    assert token != other
    assert len(token) >= 43
    async with database.read() as session:
        rows = (await session.exec(select(SessionRow))).all()
    assert token not in str(rows)
    assert {row.digest for row in rows} == {sessions.digest_of(token), sessions.digest_of(other)}
    assert len({row.csrf for row in rows}) == 2
    assert await found(database, sessions.digest_of(token)) is None


async def test_a_session_that_nobody_uses_ends_after_twelve_hours(database: Database) -> None:
    token = await begun(database, await added(database, "ada@example.com"))
    idle = timedelta(hours=12)
    signed_in = await found(database, token, NOW + idle - SECOND)
    assert signed_in is not None
    assert sessions.is_to_be_seen(signed_in.session, NOW + idle - SECOND)
    assert not sessions.is_to_be_seen(signed_in.session, NOW + 59 * SECOND)
    assert await found(database, token, NOW + idle) is None
    async with database.begin() as session:
        await sessions.seen(session, signed_in.session.digest, NOW + idle - SECOND)
    assert await found(database, token, NOW + idle) is not None


async def test_a_session_in_use_ends_after_a_week(database: Database) -> None:
    token = await begun(database, await added(database, "ada@example.com"))
    end = NOW + timedelta(days=7)
    async with database.begin() as session:
        await sessions.seen(session, sessions.digest_of(token), end - SECOND)
    assert await found(database, token, end - SECOND) is not None
    assert await found(database, token, end) is None


async def test_a_sign_in_clears_away_what_is_over(database: Database) -> None:
    ada = await added(database, "ada@example.com")
    bob = await added(database, "bob@example.com")
    unused, used = await begun(database, ada), await begun(database, ada)
    fresh = await begun(database, bob, NOW + timedelta(hours=6))
    old = await begun(database, bob, NOW - timedelta(days=7) + timedelta(hours=13))
    late = NOW + timedelta(hours=13)
    async with database.begin() as session:
        for token in (used, old):
            await sessions.seen(session, sessions.digest_of(token), NOW + timedelta(hours=12))
    tried = await begin_try(database, late)
    assert tried is not None
    async with database.begin() as session:
        new = await accounts.sign_in(session, tried, late)
    assert new is not None
    async with database.read() as session:
        left = {row.digest for row in (await session.exec(select(SessionRow))).all()}
    assert left == {sessions.digest_of(token) for token in (used, fresh, new)}
    assert sessions.digest_of(unused) not in left


@pytest.mark.parametrize("change", ["role", "disable", "password"])
async def test_a_change_of_an_account_ends_its_sessions_and_no_others(
    database: Database, change: str
) -> None:
    ada, bob = [await added(database, f"{name}@example.com") for name in ("ada", "bob")]
    tokens = [await begun(database, ada), await begun(database, ada)]
    others = await begun(database, bob)
    async with database.begin() as session:
        if change == "role":
            await accounts.change_role(session, ada.id, Role.EDITOR, "cli", NOW)
        elif change == "disable":
            await accounts.disable(session, ada.id, "cli", NOW)
        else:
            await accounts.give_password(session, ada.id, "another hash", "cli", NOW, must_change=True)
    assert [await found(database, token) for token in tokens] == [None, None]
    assert await found(database, others) is not None


async def test_an_account_that_was_disabled_in_the_database_itself_is_out_as_well(database: Database) -> None:
    ada = await added(database, "ada@example.com")
    token = await begun(database, ada)
    async with database.begin() as session:
        row = await accounts.get(session, ada.id, locked=True)
        row.active = False
        session.add(row)
    assert await found(database, token) is None


# --- the audit log ---------------------------------------------------------------------------------


async def test_the_log_is_read_by_person_by_subject_and_page_by_page(database: Database) -> None:
    async with database.begin() as session:
        for number in range(5):
            await audit.write(session, NOW, "ada", "published", audit.of_campaign("premium"), f"v{number}")
            await audit.write(session, NOW, "bob", "moved", audit.of_move(f"m{number}"))
    async with database.read() as session:
        first = await audit.listing(session, limit=4)
        second = await audit.listing(session, limit=4, before=first[-1].number)
        assert await audit.authors(session) == ["ada", "bob"]
    numbers = [row.number for row in (*first, *second) if row.number]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 8
    assert await log(database, by="bob", limit=2) == [
        ("bob", "moved", "move m3", ""),
        ("bob", "moved", "move m4", ""),
    ]
    assert [entry[3] for entry in await log(database, subject="campaign premium")] == [
        "v0",
        "v1",
        "v2",
        "v3",
        "v4",
    ]
    assert await log(database, subject="campaign premium", by="bob") == []


async def test_an_entry_and_its_change_are_there_together_or_not_at_all(database: Database) -> None:
    ada = await added(database, "ada@example.com")

    async def interrupted() -> None:
        async with database.begin() as session:
            await accounts.change_role(session, ada.id, Role.EDITOR, "cli", NOW)
            raise ConnectionError("the line is cut")

    with pytest.raises(ConnectionError):
        await interrupted()
    assert (await again(database, ada)).role == "viewer"
    assert [entry[1] for entry in await log(database)] == ["account added"]
