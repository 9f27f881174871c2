"""The command that tries a draft on past failures: ``starter.py what-if``."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import console
from campaigns.reading import read_campaign
from campaigns.what_if import WhatIf
from commands import command_settings, is_installed, play, read_text
from errors import BadInput, NotKnown
from store import campaigns
from store.facts import Facts, read_facts
from what_if import PastCases, PastFile, try_all, world_of
from wiring import open_tools

if TYPE_CHECKING:
    from campaigns.comparison import Comparison, Figure
    from campaigns.document import Campaign
    from store.database import Database

YAML = {".yaml", ".yml"}


def what_if(
    draft: Annotated[Path, typer.Argument(help="The draft, a file.")],
    against: Annotated[
        str | None,
        typer.Option(
            help="NAME, NAME@VERSION or a file; left out, the published version of the draft's name."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Failures to try it on, in place of the cases here.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only cases whose payment failed on this day or later: 2026-01-31.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Try a draft on past failures: what it does to them, beside the published version."""

    async def run() -> None:
        if csv is not None and since is not None:
            raise BadInput("--since chooses among the cases here; a file is taken as it is")
        text = await asyncio.to_thread(read_text, draft)
        tried = read_campaign(text, file=str(draft))
        async with AsyncExitStack() as stack:
            database, default, facts = None, tried.name, read_facts()
            if is_installed():
                tools = await stack.enter_async_context(open_tools(command_settings(), datetime.now(UTC)))
                database, default = tools.database, tools.default_campaign
                facts = Facts(tools.declines, tools.limits, tools.fees)
            named, published = await _published(database, tried, against)
            world = await world_of(database, default, facts)
            if csv is not None:
                source: PastCases | PastFile = PastFile(csv, str(csv), world.declines)
            elif database is not None:
                source = PastCases(database, _day(since))
            else:
                raise BadInput("nothing is installed here, so there are no past cases: give --csv FILE")
            found = await _tried(WhatIf(tried, published, world), source)
        if as_json:
            console.print_json({"document": str(draft), "against": named, **as_data(found)})
        else:
            _show(found, str(draft), named)

    play(run)


def as_data(found: Comparison) -> dict[str, object]:
    """Give a comparison as a program reads it, with the rows of its table."""
    rows = [
        {"what": row.what, "published": row.published, "draft": row.draft, "difference": row.difference}
        for row in found.figures()
    ]
    return found.model_dump(mode="json") | {"figures": rows}


async def _tried(trying: WhatIf, source: PastCases | PastFile) -> Comparison:
    """Try all failures with a bar that shows how far it is, and how long it will still take."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console.errors.is_terminal
    with Progress(*columns, console=console.errors, transient=True, disable=not shown) as bar:
        task = bar.add_task("counting failures", total=None)
        total = await source.count()
        bar.update(task, description="trying the draft", total=total)

        async def told(done: int) -> bool:
            bar.update(task, completed=done)
            return True

        found = await try_all(trying, source, told)
    assert found is not None
    return found


async def _published(
    database: Database | None, tried: Campaign, against: str | None
) -> tuple[str | None, Campaign | None]:
    """Give what the draft is compared with, and how it is called; nothing where it was never published."""
    if against is not None and Path(against).suffix in YAML:
        text = await asyncio.to_thread(read_text, Path(against))
        return against, read_campaign(text, file=against)
    name, _, number = (against or tried.name).partition("@")
    if number and not number.isdigit():
        raise BadInput(f"--against {against}: a version is a number, as in {name}@3")
    if database is None:
        return await _shipped(name, number, asked_for=against is not None)
    async with database.read() as session:
        try:
            found, version = await campaigns.version(session, name, int(number) if number else None)
        except NotKnown:
            if against is not None:
                raise
            return None, None
    return f"{name}@{version}", found


async def _shipped(name: str, number: str, *, asked_for: bool) -> tuple[str | None, Campaign | None]:
    """Give a campaign that ships with Dunwell, where nothing is installed."""
    path = campaigns.LIBRARY / f"{name}.yaml"
    if number or not path.exists():
        if asked_for:
            raise NotKnown(f"nothing is installed here, so there is no published '{name}': name a file")
        return None, None
    text = await asyncio.to_thread(read_text, path)
    return f"{name}, as it ships", read_campaign(text, file=path.name)


def _day(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput(f"--since {text}: write it as in 2026-01-31") from None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


# --- how it looks ------------------------------------------------------------------------------------


def _show(found: Comparison, draft: str, against: str | None) -> None:
    console.screen.print(_table(found, draft, against))
    if against is not None:
        console.screen.print(f"{found.changed:,} of {found.failures:,} failures would go another way.")
    for example in found.examples:
        console.screen.print(f"  {escape(example.id)}: {escape('; '.join(example.changes))}", soft_wrap=True)
    if not found.draft.taken:
        console.screen.print(
            "[bold yellow]The draft takes none of them:[/] it needs a segment, or to be the default."
        )
    if found.unknown_declines:
        codes = ", ".join(f"{code} ({count:,})" for code, count in found.unknown_declines.items())
        console.screen.print(f"Codes that are not known count as soft: {escape(codes)}", soft_wrap=True)
    console.screen.print("[bold]What this cannot know[/]")
    for sentence in found.unknown:
        console.screen.print(f"  {sentence}", soft_wrap=True)


def _table(found: Comparison, draft: str, against: str | None) -> Table:
    table = Table(title=Text(f"{draft} tried on {found.failures:,} failures"))
    table.add_column("")
    headings = ("draft",) if against is None else (against, "draft", "difference")
    for heading in headings:
        table.add_column(Text(heading), justify="right")
    for figure in found.figures():
        table.add_row(Text(figure.what.replace("_", " ")), *_cells(figure))
    return table


def _cells(figure: Figure) -> tuple[Text, ...]:
    if figure.published is None or figure.difference is None:
        return (Text(_spell(figure.draft)),)
    difference = _spell(figure.difference)
    sign = "+" if figure.difference > 0 and difference != "0" else ""
    style = "bold" if figure.difference else "dim"
    return (
        Text(_spell(figure.published)),
        Text(_spell(figure.draft)),
        Text(f"{sign}{difference}", style=style),
    )


def _spell(number: float) -> str:
    """Write a count, or days to a tenth."""
    rounded = round(number, 1)
    return f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.1f}"
