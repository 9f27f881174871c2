"""Where Alembic meets our tables; run through ``store.schema``, never from an ini file."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from store import breaker_tables, ledger_tables, studio_tables, tables, turns

for table in (
    tables.CaseRow,
    studio_tables.AccountRow,
    ledger_tables.CardRow,
    breaker_tables.BreakerRow,
    turns.TurnRow,
):
    assert table.metadata is SQLModel.metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    # SQLite alters a table by copying it.
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
