"""The command line's part about moving running cases to another version of their campaign."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import console
import moves
from campaigns.durations import parse_duration, spell_duration
from campaigns.effects import spell_effect
from campaigns.moving import Moving, PastRule
from commands import command_settings, open_desk, play
from errors import BadInput
from store import campaigns
from store import moves as stored
from store.moves import Became, State
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.effects import Effect
    from moves import Effects
    from store.database import Database
    from store.moves import Outcome
    from web.desk import Desk

app = typer.Typer()

By = Annotated[str, typer.Option(help="Who asks for this; it is recorded.")]
Why = Annotated[str, typer.Option(help="Why; it is recorded.")]
MoveId = Annotated[str, typer.Argument(help="The move's id, as 'moves' lists it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
STYLES = {State.RUNNING: "cyan", State.PAUSED: "magenta", State.STOPPED: "yellow", State.DONE: "green"}
LOOK_EVERY = 0.5


class Past(StrEnum):
    """The rule for steps in the past, as one types it."""

    SKIP = "skip"
    ONCE = "once"


RULES = {Past.SKIP: PastRule.SKIP, Past.ONCE: PastRule.ONCE}


@app.command("move")
def move_cases(  # noqa: PLR0913, PLR0917 - each is an option of the command
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    version: Annotated[int | None, typer.Argument(help="Left out, the version for new cases.")] = None,
    by: By = "",
    why: Why = "",
    past: Annotated[
        Past, typer.Option(help="Steps that the version puts into the past of a case.")
    ] = Past.SKIP,
    spread: Annotated[str, typer.Option(help="Time over which what becomes due at once is spread.")] = "0h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the effects, and move nothing.")] = False,  # noqa: FBT002 - Typer makes a flag of it
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - likewise
    follow: Annotated[bool, typer.Option("--follow", help="Show how far it is, until it has ended.")] = False,  # noqa: FBT002 - likewise
    as_json: AsJson = False,  # noqa: FBT002 - likewise
) -> None:
    """Move a campaign's running cases to a version of it, after a look at what that does to them."""

    async def run() -> None:
        over = _duration(spread)
        if not dry_run and not (by.strip() and why.strip()):
            raise BadInput(
                "say who asks for this and why, with --by and --why; or look first, with --dry-run"
            )
        if not dry_run and not yes and (as_json or not sys.stdin.isatty()):
            raise BadInput("there is nobody here to ask: give --yes, or look first, with --dry-run")
        now = datetime.now(UTC)
        async with open_tools(command_settings(), now) as tools:
            target = await _target(tools.database, campaign, version, RULES[past], over)
            effects = await _effects(tools.database, target, now)
        if not as_json:
            _print_effects(effects, target)
        elif dry_run:
            console.print_json(_as_json(effects))
        if dry_run or not (yes or typer.confirm(f"Move {effects.summary.moving} cases?")):
            return
        async with open_desk() as desk:
            row = await moves.begin_move(desk, campaign, target.version, by, why, target.past, over)
            if as_json:
                console.print_json(row.model_dump(mode="json"))
            else:
                console.screen.print(f"Move [bold]{row.id}[/] has begun.", soft_wrap=True)
            if follow:
                await _follow(desk, row.id)

    play(run)


@app.command("moves")
def list_moves(
    move: Annotated[str | None, typer.Argument(help="A move's id: what became of its cases.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign's.")] = None,
    limit: int = 20,
    as_json: AsJson = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """List moves of running cases and how far they are; of one, what was refused and why."""

    async def run() -> None:
        async with (
            open_tools(command_settings(), datetime.now(UTC)) as tools,
            tools.database.read() as session,
        ):
            rows = (
                [await stored.get(session, move)]
                if move
                else await stored.listing(session, campaign, limit=limit)
            )
            found = [await stored.progress(session, row.id) for row in rows]
            refused = []
            if move:
                for became in (Became.REFUSED, Became.UNANSWERED):
                    refused += await stored.outcomes(session, move, became, limit=limit)
        if as_json:
            console.print_json([_progress_as_json(progress) for progress in found])
        elif found:
            console.screen.print(_moves_table(found))
            if refused:
                console.screen.print(_refusals_table(refused))
        else:
            console.screen.print("No running cases were ever moved.")

    play(run)


@app.command("move-pause")
def pause(move: MoveId, by: By, why: Why) -> None:
    """Let a move rest after the cases that it is asking now."""
    play(lambda: _turn(moves.pause_move, move, by, why))


@app.command("move-resume")
def resume(
    move: MoveId,
    by: By,
    why: Why,
    follow: Annotated[bool, typer.Option("--follow", help="Show how far it is, until it has ended.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Let a move go on that rests, or whose workflow was terminated in Temporal."""
    play(lambda: _turn(moves.resume_move, move, by, why, follow=follow))


@app.command("move-stop")
def stop(move: MoveId, by: By, why: Why) -> None:
    """End a move for good; the cases that were moved stay moved."""
    play(lambda: _turn(moves.stop_move, move, by, why))


async def _turn(change: Callable[..., object], move: str, by: str, why: str, *, follow: bool = False) -> None:
    async with open_desk() as desk:
        await change(desk, move, by, why)  # type: ignore[misc]
        async with desk.tools.database.read() as session:
            progress = await stored.progress(session, move)
        console.screen.print(_moves_table([progress]))
        if follow:
            await _follow(desk, move)


async def _target(
    database: Database, campaign: str, version: int | None, past: PastRule, spread: timedelta
) -> Moving:
    async with database.read() as session:
        document, number = await campaigns.version(session, campaign, version)
    return Moving(document, number, past, spread)


async def _effects(database: Database, target: Moving, now: datetime) -> Effects:
    """Look at every running case, with a bar where there are many."""
    async with database.read() as session:
        total = await stored.count_running(session, target.campaign.name, but=target.version)
        with _bar(transient=True) as bar:
            task = bar.add_task("looking at running cases", total=total)
            return await moves.effects_of(
                session, target, now, told=lambda seen: bar.update(task, completed=seen)
            )


async def _follow(desk: Desk, move: str) -> None:
    """Show a move's progress until it has ended; Ctrl-C ends only the looking."""
    with _bar(transient=False) as bar:
        task = bar.add_task("moving", total=None)
        while True:
            async with desk.tools.database.read() as session:
                progress = await stored.progress(session, move)
            bar.update(
                task,
                total=progress.total,
                completed=progress.settled,
                description=f"{progress.move.state}: {stored.spell_progress(progress)}",
            )
            if progress.move.finished_at is not None:
                return
            await asyncio.sleep(LOOK_EVERY)


def _bar(*, transient: bool) -> Progress:
    # On standard error, so that what is printed stays what was asked for.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console.errors,
        transient=transient,
        disable=not console.errors.is_terminal,
    )


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadInput(f"--spread: {error}") from None


# --- how it looks ----------------------------------------------------------------------------------


def _print_effects(effects: Effects, target: Moving) -> None:
    summary = effects.summary
    name, version = target.campaign.name, target.version
    if not summary.total:
        console.screen.print(escape(f"No case of {name} runs on another version than {version}."))
        return
    table = Table(title=Text(f"{summary.total} running cases of {name} to version {version}"), expand=True)
    table.add_column("what changes", no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("for example", ratio=1)
    for change, count in summary.counts.items():
        shown = summary.examples.get(change, ())[:2]
        # Text, not markup: names come from outside, and may hold brackets.
        table.add_row(str(change), str(count), Text("\n".join(_example(effects, one) for one in shown)))
    console.screen.print(table)
    spread = (
        f"; what becomes due at once is spread over {spell_duration(target.spread)}" if target.spread else ""
    )
    console.screen.print(
        f"Nothing but the version changes for {summary.unchanged}. All together: {summary.mails:+d} mails,"
        f" {summary.charges:+d} charges at most. Steps in the past: {target.past}{spread}.",
        highlight=False,
        soft_wrap=True,
    )


def _example(effects: Effects, effect: Effect) -> str:
    running = effects.people[effect.case_id]
    return f"{running.name} ({running.case.invoice}): {spell_effect(effect)}"


def _moves_table(found: Iterable[stored.Progress]) -> Table:
    table = Table(expand=True)
    for heading in ("move", "campaign", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("begun (UTC)", "by", "why", "how far"):
        table.add_column(heading)
    for progress in found:
        row = progress.move
        table.add_row(
            row.id,
            Text(f"{row.campaign} → {row.version}"),
            Text(row.state, style=STYLES[State(row.state)]),
            f"{row.started_at:%d %b %Y %H:%M}",
            Text(row.by),
            Text(row.why),
            stored.spell_progress(progress),
        )
    return table


def _refusals_table(found: Sequence[Outcome]) -> Table:
    table = Table(title="Not moved", expand=True)
    for heading in ("customer", "invoice", "case", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", ratio=1)
    for outcome in found:
        case, row = outcome.running.case, outcome.row
        table.add_row(
            *(Text(part) for part in (outcome.running.name, case.invoice, case.id, row.state, row.answer))
        )
    return table


def _as_json(effects: Effects) -> dict[str, object]:
    summary = effects.summary
    return {
        "total": summary.total,
        "moving": summary.moving,
        "unchanged": summary.unchanged,
        "mails": summary.mails,
        "charges": summary.charges,
        "counts": {str(change): count for change, count in summary.counts.items()},
        "examples": {
            str(change): [
                {
                    "case": effect.case_id,
                    "customer": effects.people[effect.case_id].name,
                    "effect": spell_effect(effect),
                }
                for effect in found
            ]
            for change, found in summary.examples.items()
        },
    }


def _progress_as_json(progress: stored.Progress) -> dict[str, object]:
    counts = {name: getattr(progress, name) for name in ("moved", "refused", "closed", "unanswered", "left")}
    return {**progress.move.model_dump(mode="json"), **counts, "total": progress.total}
