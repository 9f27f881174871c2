"""The command that compares a campaign in shadow with the processor's own retries: ``starter.py shadow``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import console
from commands import command_settings, play
from errors import NotKnown
from shadow_report import UNKNOWN, as_data, rows_of, sentences
from store.shadow import compared
from wiring import open_tools


def shadow(
    campaign: Annotated[
        str | None, typer.Argument(help="One campaign; left out, all that have cases in shadow.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Compare what campaigns in shadow would have done with what the processor did."""

    async def run() -> None:
        now = datetime.now(UTC)
        async with open_tools(command_settings(), now) as tools:
            async with tools.database.read() as session:
                found = await compared(session, campaign)
            if campaign and not found:
                raise NotKnown(
                    f"no case of a campaign '{campaign}' was in shadow: publish it with 'mode: shadow' first"
                )
            today = now.date()
            if as_json:
                parts = sorted(found.items())
                console.print_json({name: as_data(part, tools.declines, today) for name, part in parts})
                return
            for name, part in sorted(found.items()):
                table = Table(title=Text(name))
                for heading in ("", "Dunwell would have", "the processor did"):
                    table.add_column(heading, justify="right" if heading else "left")
                for row in rows_of(part, tools.declines, today):
                    table.add_row(row.what, row.dunwell, row.processor)
                console.screen.print(table)
                for sentence in sentences(part):
                    console.screen.print(f"  {escape(sentence)}", soft_wrap=True)
            if not found:
                console.screen.print("No case was in shadow: publish a campaign with 'mode: shadow'.")
                return
            console.screen.print("[bold]What this cannot know[/]")
            for sentence in UNKNOWN:
                console.screen.print(f"  {sentence}", soft_wrap=True)

    play(run)
