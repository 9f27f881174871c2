"""Circuit breakers that all workers share: the counts on which they open, and which are open."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, func, select

from campaigns.breaker import Counts, Open
from store.breaker_tables import AnswerCountRow, BreakerRow
from store.database import execute, insert_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.breaker import BreakerRule

MINUTE = timedelta(minutes=1)
SHARDS = 4
# One count in so many clears away what is too old to be asked for.
CLEARING = 256
PROCESSOR, ISSUER = "processor", "issuer"


@dataclass(frozen=True)
class Route:
    """The way of one charge: the processor's account, and the card's network and country where they are known."""

    processor: str
    account: str
    network: str | None = None
    country: str | None = None

    @property
    def of_processor(self) -> str:
        """Name the breaker of the processor's account."""
        return f"{PROCESSOR}:{self.processor}:{self.account}"

    @property
    def of_issuer(self) -> str | None:
        """Name the breaker of the issuer range: a network's cards of one country. None where it is not known."""
        return f"{ISSUER}:{self.network}:{self.country}" if self.network and self.country else None

    @property
    def names(self) -> tuple[str, ...]:
        """Name every breaker on this way, always in one order."""
        return (self.of_processor, *([self.of_issuer] if self.of_issuer else []))


def subject(name: str) -> str:
    """Say in words who does not answer: ``stripe (main)``, ``issuers of visa cards of DE``."""
    kind, one, other = name.split(":", 2)
    return f"issuers of {one} cards of {other}" if kind == ISSUER else f"{one} ({other})"


async def count(
    session: AsyncSession, route: Route, by: str, now: datetime, *, away: bool, issuer_away: bool = False
) -> None:
    """Count one answer to a charge; ``by`` is whoever made it, and decides where it is written."""
    number = zlib.crc32(by.encode())
    added = {"answers": 1, "away": int(away), "issuer_away": int(issuer_away)}
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    table = AnswerCountRow.__table__  # type: ignore[attr-defined]
    statement = insert(table).values(
        minute=_minute(now),
        processor=route.processor,
        account=route.account,
        network=route.network or "",
        country=route.country or "",
        shard=number % SHARDS,
        **added,
    )
    more = {name: table.c[name] + value for name, value in added.items()}
    await execute(session, statement.on_conflict_do_update(index_elements=table.primary_key, set_=more))
    if (number ^ int(now.timestamp())) % CLEARING == 0:
        await clear(session, now - timedelta(days=2))


async def clear(session: AsyncSession, before: datetime) -> None:
    """Forget the counts of long ago."""
    await execute(session, delete(AnswerCountRow).where(col(AnswerCountRow.minute) < before))


async def counted(session: AsyncSession, name: str, since: datetime, before: datetime) -> Counts:
    """Add up what was answered in a stretch of time; an issuer was asked only where the processor answered."""
    kind, one, other = name.split(":", 2)
    table = AnswerCountRow
    if kind == ISSUER:
        sums = (func.sum(table.answers - table.away), func.sum(table.issuer_away))
        wanted = (col(table.network) == one, col(table.country) == other)
    else:
        sums = (func.sum(table.answers), func.sum(table.away))
        wanted = (col(table.processor) == one, col(table.account) == other)
    found = await session.exec(
        select(*sums).where(*wanted, col(table.minute) >= since, col(table.minute) < before)
    )
    answers, away = found.one()
    return Counts(int(answers or 0), int(away or 0))


async def recent(session: AsyncSession, name: str, rule: BreakerRule, now: datetime) -> tuple[Counts, Counts]:
    """Give the counts of the window, and those of the day before where the former are enough to judge by.

    Nothing counts in the window that was answered before the breaker was closed the last time.
    """
    row = await session.get(BreakerRow, name, populate_existing=True)
    begin = _minute(now - rule.window)
    if row is not None and not row.open:
        begin = max(begin, _minute(row.changed_at) + MINUTE)
    found = await counted(session, name, begin, now + MINUTE)
    if found.answers < rule.at_least:
        return found, Counts()
    return found, await counted(session, name, begin - rule.usual, begin)


async def open_ones(session: AsyncSession, *names: str) -> Sequence[BreakerRow]:
    """List those of these breakers that are open; without names, all that are."""
    wanted = select(BreakerRow).where(col(BreakerRow.open).is_(True)).order_by(col(BreakerRow.name))
    if names:
        wanted = wanted.where(col(BreakerRow.name).in_(names))
    return (await session.exec(wanted)).all()


async def hold(session: AsyncSession, name: str) -> BreakerRow | None:
    """Find an open breaker and hold its row until the transaction ends."""
    found = await session.exec(
        select(BreakerRow)
        .where(BreakerRow.name == name, col(BreakerRow.open).is_(True))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.first()


async def open_one(session: AsyncSession, name: str, gate: Open, *, by: str, why: str, now: datetime) -> bool:
    """Open a breaker; False where it was open already, and then nothing is changed."""
    await insert_once(
        session, BreakerRow, name=name, open=False, since=now, until=now, by=by, why=why, changed_at=now
    )
    row = await session.get(BreakerRow, name, with_for_update=True, populate_existing=True)
    assert row is not None
    if row.open:
        return False
    row.open, row.by, row.why, row.changed_at = True, by, why, now
    keep(session, row, gate)
    return True


def close(session: AsyncSession, row: BreakerRow, *, by: str, why: str, now: datetime) -> None:
    """Close a breaker."""
    row.open, row.by, row.why, row.changed_at = False, by, why, now
    session.add(row)


def keep(session: AsyncSession, row: BreakerRow, gate: Open) -> None:
    """Write down how far an open breaker is."""
    row.since, row.until, row.rest = gate.since, gate.until, gate.rest.total_seconds()
    row.step, row.lent, row.good, row.lent_at = gate.step, gate.lent, gate.good, gate.lent_at
    session.add(row)


def gate_of(row: BreakerRow) -> Open:
    """Give an open breaker as the rule knows it."""
    return Open(row.since, row.until, timedelta(seconds=row.rest), row.step, row.lent, row.good, row.lent_at)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
