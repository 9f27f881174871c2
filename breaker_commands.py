"""The command that lists what does not answer and is held, and opens or closes a breaker by hand."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

import console
from activities.breaking import tell_closed
from campaigns import breaker
from campaigns.durations import spell_moment
from commands import command_settings, play
from errors import BadInput, NotKnown
from store import audit, breakers
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.tools import Tools
    from store.breaker_tables import BreakerRow

NAMES = "processor:NAME:ACCOUNT, or issuer:NETWORK:COUNTRY as in issuer:visa:DE"


def held(
    close: Annotated[str | None, typer.Option(help="Let charges go on at once; give --by and --why.")] = None,
    open_: Annotated[
        str | None, typer.Option("--open", help=f"Hold scheduled charges: {NAMES}; give --by and --why.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who asks for this; it is recorded.")] = "",
    why: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """List the processors and issuer ranges that do not answer, or hold or release one by hand."""

    async def run() -> None:
        if (close or open_) and not (by.strip() and why.strip()):
            raise BadInput("say who asks for this and why: --by and --why are recorded")
        if close and open_:
            raise BadInput("give either --close or --open")
        now = datetime.now(UTC)
        async with open_tools(command_settings(), now) as tools:
            async with tools.database.begin() as session:
                if close:
                    await _close(session, close, by, why, now)
                if open_:
                    await _open(session, tools, open_, by, why, now)
            async with tools.database.read() as session:
                rows = await breakers.open_ones(session)
        if as_json:
            console.print_json(
                [{"name": row.name, "why": row.why, "by": row.by, **_state(row)} for row in rows]
            )
        else:
            console.screen.print(_table(rows) if rows else "Everything answers: no charge is held.")

    play(run)


async def _close(session: AsyncSession, name: str, by: str, why: str, now: datetime) -> None:
    row = await breakers.hold(session, name)
    if row is None:
        known = ", ".join(row.name for row in await breakers.open_ones(session)) or "none"
        raise NotKnown(f"'{name}' is not held: held are {known}")
    breakers.close(session, row, by=by, why=why, now=now)
    await audit.write(session, now, by, "closed", audit.of_breaker(name), why)
    await tell_closed(session, row, now)


async def _open(session: AsyncSession, tools: Tools, name: str, by: str, why: str, now: datetime) -> None:
    if tools.breaker is None:
        raise BadInput("breakers are switched off (DUNWELL_BREAKER): 'stop charges' holds every charge")
    kind, _, rest = name.partition(":")
    one, _, other = rest.partition(":")
    if kind not in {breakers.PROCESSOR, breakers.ISSUER} or not one or not other:
        raise BadInput(f"'{name}' names nothing that can be held (expected: {NAMES})")
    if kind == breakers.PROCESSOR:
        tools.processor(one)
    gate = breaker.opened(tools.breaker, now)
    if not await breakers.open_one(session, name, gate, by=by, why=f"held by {by}: {why}", now=now):
        raise BadInput(f"{name} is held already")
    await audit.write(session, now, by, "opened", audit.of_breaker(name), why)


def _state(row: BreakerRow) -> dict[str, object]:
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in asdict(breakers.gate_of(row)).items()
        if key in {"since", "until", "step", "lent", "good"}
    }


def _table(rows: Sequence[BreakerRow]) -> Table:
    table = Table(title="Scheduled charges are held")
    for heading in ("name", "since", "gently from", "let through", "why"):
        table.add_column(heading)
    for row in rows:
        let = f"{row.good} of {2**row.step} answered" if row.until <= datetime.now(UTC) else "none yet"
        table.add_row(
            escape(row.name), spell_moment(row.since), spell_moment(row.until), let, escape(row.why)
        )
    return table
