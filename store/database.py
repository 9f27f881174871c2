"""The way into the database: one engine, read sessions, and write transactions."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection, Executable
    from sqlalchemy.engine import URL
    from sqlalchemy.sql.schema import Table

BUSY_SECONDS = 30


def async_url(url: str) -> URL:
    """Give an owner's address its driver: aiosqlite, or psycopg 3 for PostgreSQL."""
    parsed = make_url(url)
    driver = "sqlite+aiosqlite" if parsed.drivername.startswith("sqlite") else "postgresql+psycopg"
    return parsed.set(drivername=driver)


class Database:
    """One database for all rooms; made once, closed at the end.

    ``begin`` is a write transaction (on SQLite it takes the write lock at once, so that two writers
    queue instead of failing at the commit); ``read`` sees one consistent state and writes nothing.
    """

    def __init__(self, url: str) -> None:
        self.url = async_url(url)
        self.is_sqlite = self.url.drivername.startswith("sqlite")
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if self.is_sqlite else {}
        if not self.is_sqlite:
            options["pool_pre_ping"] = True
        self.engine = create_async_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        # SQLite lets one write at a time and makes the others sleep and look again; in one process they
        # had better queue.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._writing = self.engine.execution_options(writes=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Open a write transaction, committed at the end of the block and rolled back by an error."""
        async with (
            self._turn,
            AsyncSession(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading only."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling would begin late and break BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The write-ahead log was turned on by ``schema.upgrade``, and stays on.
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def insert_once(session: AsyncSession, table: Any, **values: object) -> Any:
    """Insert a row unless a constraint says that it is there.

    Gives the first column of its primary key when this call inserted it, and None when it did not.
    """
    target: Table = table.__table__
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(target) if dialect == "sqlite" else postgresql.insert(target)
    key = next(iter(target.primary_key.columns))
    statement = insert.values(**_with_defaults(table, values)).on_conflict_do_nothing().returning(key)
    return await touched(session, statement)


async def touched(session: AsyncSession, statement: Executable) -> Any:
    """Carry out a statement that returns a column; gives its value in the first row touched, or None.

    A count of rows would not do: psycopg answers -1 for an insert that may find a conflict.
    """
    await session.flush()
    result = await (await session.connection()).execute(statement)
    return result.scalar()


async def execute(session: AsyncSession, statement: Executable) -> None:
    """Carry out a statement that gives nothing back."""
    await session.flush()
    await (await session.connection()).execute(statement)


async def one_at_a_time(session: AsyncSession, what: int) -> None:
    """Let only one process do something until its transaction ends; ``what`` names the thing.

    On SQLite a write transaction is alone anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        await execute(session, text("SELECT pg_advisory_xact_lock(:what)").bindparams(what=what))


def _with_defaults(table: Any, values: dict[str, object]) -> dict[str, object]:
    given = table(**values)
    columns = {column.key for column in table.__table__.columns}
    filled = {name: getattr(given, name) for name in columns}
    # A number that the database gives must not be sent as NULL.
    return {name: value for name, value in filled.items() if value is not None or name in values}
