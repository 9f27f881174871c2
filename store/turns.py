"""A customer's turn: at one moment only one of their cases charges them or writes to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, delete, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col

from store.columns import moment
from store.database import execute, touched

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlmodel.ext.asyncio.session import AsyncSession

# Longer than one try of an activity (90 seconds): whoever still acts has the turn.
LENGTH = timedelta(minutes=2)


class TurnRow(SQLModel, table=True):
    """Who has a customer's turn, and until when at the latest; no row where nobody has it."""

    __tablename__ = "customer_turns"

    processor: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    customer: str = Field(primary_key=True)
    owner: str
    until: datetime = moment()


class Whose(NamedTuple):
    """The customer whose turn it is about."""

    processor: str
    account: str
    customer: str


async def claim(session: AsyncSession, whose: Whose, owner: str, now: datetime) -> bool:
    """Take a customer's turn, or take it for longer; False while somebody else has it.

    ``owner`` is a case and its action, divided by a dot. A case may take its own turn for another action: it does
    one after the other, and an answer that was lost must not keep it from what it found since.

    One statement, so that of two who ask at the same moment one gets it. An owner that has stopped for good
    loses it by its end.
    """
    target = TurnRow.__table__  # type: ignore[attr-defined]
    sqlite_like = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert(target) if sqlite_like else postgresql.insert(target)
    taken = {"owner": owner, "until": now + LENGTH}
    statement = (
        insert.values(**whose._asdict(), **taken)
        .on_conflict_do_update(
            index_elements=["processor", "account", "customer"],
            set_=taken,
            where=or_(
                col(TurnRow.owner).startswith(f"{owner.partition('.')[0]}.", autoescape=True),
                col(TurnRow.until) <= now,
            ),
        )
        .returning(target.c.owner)
    )
    return await touched(session, statement) is not None


async def give_back(session: AsyncSession, whose: Whose, owner: str) -> None:
    """Let the next one act; a turn that somebody else has by now stays theirs."""
    await execute(session, delete(TurnRow).where(_of(whose), col(TurnRow.owner) == owner))


def _of(whose: Whose) -> ColumnElement[bool]:
    return and_(
        col(TurnRow.processor) == whose.processor,
        col(TurnRow.account) == whose.account,
        col(TurnRow.customer) == whose.customer,
    )
