"""Bringing a database to the tables that this release needs, forward and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from store import breaker_tables, ledger_tables, studio_tables, tables, turns
from store.database import BUSY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

FOLDER = Path(__file__).resolve().parent / "migrations"
for table in (
    tables.CaseRow,
    studio_tables.AccountRow,
    ledger_tables.CardRow,
    breaker_tables.BreakerRow,
    turns.TurnRow,
):
    assert table.metadata is SQLModel.metadata


def _plain_url(url: str) -> URL:
    parsed = make_url(url)
    return parsed.set(drivername="sqlite" if parsed.drivername.startswith("sqlite") else "postgresql+psycopg")


def _with_config(url: str, work: Callable[[Config, Connection], Any]) -> Any:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    plain = _plain_url(url)
    options = {"timeout": BUSY_SECONDS} if plain.drivername == "sqlite" else {}
    engine = create_engine(plain, connect_args=options)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            result = work(config, connection)
            connection.commit()
            return result
    finally:
        engine.dispose()


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every migration that the database lacks; harmless when there is none.

    Several processes may start at once: one migrates, and the others wait and find it done.
    """

    def work(config: Config, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7105311)")
        else:
            _keep_a_log(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(config, revision)

    _with_config(url, work)


def _keep_a_log(connection: Connection) -> None:
    """Turn SQLite's write-ahead log on, for good, so that nobody who reads waits for somebody who writes.

    SQLite does not wait for other processes here, as it does everywhere else, so we do.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def downgrade(url: str, revision: str) -> None:
    """Take migrations back, down to a revision or to ``base``."""
    _with_config(url, lambda config, _: command.downgrade(config, revision))


def differences(url: str) -> list[Any]:
    """List where the database's tables differ from the models: empty when they agree."""
    return _with_config(  # type: ignore[no-any-return]
        url,
        lambda _, connection: compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata
        ),
    )


def write_migration(url: str, message: str, name: str) -> None:
    """Draft a migration from the difference between a database and the models, for a person to read."""
    _with_config(
        url, lambda config, _: command.revision(config, message=message, rev_id=name, autogenerate=True)
    )
