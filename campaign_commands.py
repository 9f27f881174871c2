"""The command line's part about campaigns: check files, publish them, compare versions, and go back to one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import console
from campaigns.checking import check
from campaigns.differences import Change, differences, line_diff
from campaigns.reading import read_campaign
from campaigns.schema import campaign_schema
from commands import command_settings, is_installed, play, read_text, version_in
from errors import BadInput, NotKnown
from store import campaigns
from wiring import known_anywhere, known_of, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.tools import Tools
    from campaigns.differences import Difference, Line
    from campaigns.document import Campaign
    from errors import Fault
    from store.tables import CampaignVersionRow

app = typer.Typer(help="Check campaigns, publish them, compare their versions.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
Strict = Annotated[bool, typer.Option("--strict", help="Let a warning count as an error.")]
By = Annotated[str, typer.Option(help="Who asks for this; it is recorded.")]
Note = Annotated[str, typer.Option(help="What this changes, and why; it is recorded.")]
Named = Annotated[str, typer.Argument(help="A campaign's name, or one version of it: standard, standard@3.")]
SUFFIXES = {".yaml", ".yml"}
STYLES = {Change.ADDED: "green", Change.REMOVED: "red", Change.CHANGED: "yellow"}
MARKS = {"+": "green", "-": "red", " ": "", "…": "dim"}


@app.command()
def schema() -> None:
    """Print the JSON Schema of campaigns, for editors that complete and check YAML."""
    console.print_json(campaign_schema())


@app.command("check")
def check_files(
    files: Annotated[list[Path], typer.Argument(help="Campaigns, as YAML.")],
    strict: Strict = False,  # noqa: FBT002 - Typer makes a flag of it
    as_json: AsJson = False,  # noqa: FBT002 - likewise
) -> None:
    """Find what would hurt, one line for each fault; ends with 1 where there is an error."""

    async def run() -> tuple[Fault, ...]:
        known = known_anywhere(datetime.now(UTC))
        with console.errors.status("Checking …"):
            found = [
                await asyncio.to_thread(check, read_text(file), file=str(file), known=known) for file in files
            ]
        return tuple(fault for checked in found for fault in checked.faults)

    _end_with(play(run), len(files), strict=strict, as_json=as_json)


def _end_with(faults: Sequence[Fault], files: int, *, strict: bool, as_json: bool) -> None:
    """Tell what a check found, and end as a program that calls this expects."""
    counted = {kind: sum(fault.severity == kind for fault in faults) for kind in ("error", "warning")}
    if as_json:
        console.print_json({"faults": [asdict(fault) for fault in faults], **counted})
    else:
        console.print_lines(faults)
        said = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counted.items())
        console.errors.print(f"{files} file{'' if files == 1 else 's'}: {said}", highlight=False)
    if counted["error"] or (strict and counted["warning"]):
        raise typer.Exit(1)


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(help="A campaign, as YAML.")],
    by: By,
    note: Note,
    replaces: Annotated[
        int | None,
        typer.Option(help="The version that this replaces knowingly, though it was written elsewhere."),
    ] = None,
    dry_run: DryRun = False,  # noqa: FBT002 - Typer makes a flag of it
    as_json: AsJson = False,  # noqa: FBT002 - likewise
) -> None:
    """Publish a file as the version that new cases start with; running cases keep theirs."""

    async def run() -> None:
        text, now = await asyncio.to_thread(read_text, file), datetime.now(UTC)
        campaign = read_campaign(text, file=str(file))
        async with _opened() as tools:
            known = known_of(tools, now)
            with console.errors.status("Checking …"):
                checked = await asyncio.to_thread(check, text, file=str(file), known=known)
            async with tools.database.begin() as session:
                before = await _current(session, campaign.name)
                version = await campaigns.publish(
                    session,
                    text,
                    file=str(file),
                    author=by,
                    note=note,
                    now=now,
                    replaces=replaces,
                    known=known,
                )
                if dry_run:
                    await session.rollback()
        found = differences(before.campaign, campaign) if before else []
        is_new = before is None or version != before.version
        result = Published(campaign.name, version, is_new, dry_run, tuple(found), checked.warnings)
        _tell(result, as_json=as_json)

    play(run)


@dataclass(frozen=True)
class Published:
    """What came of publishing a file, or would."""

    name: str
    version: int
    is_new: bool
    only_tried: bool
    differences: tuple[Difference, ...]
    warnings: tuple[Fault, ...]


def _tell(result: Published, *, as_json: bool) -> None:
    if as_json:
        console.print_json(asdict(result))
        return
    console.print_lines(result.warnings)
    _print_words(result.differences)
    name, version = result.name, result.version
    if not result.is_new:
        said = f"{name} says this already: it is version {version}."
    elif result.only_tried:
        said = f"This would be version {version} of {name}. Nothing was changed."
    else:
        said = f"Version {version} of {name} is published: new cases start with it."
    console.screen.print(escape(said), soft_wrap=True, highlight=False)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A name, a version such as standard@3, or a file.")],
    new: Annotated[str | None, typer.Argument(help="What to compare it with; left out, see above.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Say what changed, in words and line by line.

    With one file: what publishing it would change. With one name: what was changed last. With one version:
    what was changed since.
    """

    async def run() -> None:
        first, second = await _two(old, new)
        found = differences(first.campaign, second.campaign)
        lines = line_diff(first.text, second.text)
        if as_json:
            shown = [{**asdict(line), "mark": line.mark} for line in lines]
            told = [asdict(difference) for difference in found]
            console.print_json({"old": first.name, "new": second.name, "differences": told, "lines": shown})
            return
        console.screen.print(escape(f"{first.name} → {second.name}"), style="bold", soft_wrap=True)
        _print_words(found)
        if not found:
            console.screen.print("What they do is the same.")
        _print_lines(lines)

    play(run)


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="A campaign's name.")],
    as_json: AsJson = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """List the versions of a campaign, the latest first: who published each, when, from where, and why."""

    async def run() -> None:
        async with _opened() as tools, tools.database.read() as session:
            current = (await campaigns.document(session, name)).version
            rows = await campaigns.history(session, name)
        if as_json:
            console.print_json([_told(row, current) for row in rows])
            return
        table = Table(expand=True)
        for heading in ("version", "published (UTC)", "by", "from", "note"):
            table.add_column(heading)
        for row in rows:
            number = f"{row.version} (new cases)" if row.version == current else str(row.version)
            when = f"{row.published_at:%d %b %Y %H:%M}"
            table.add_row(number, when, Text(row.author), row.origin, Text(row.note))
        console.screen.print(table)

    play(run)


@app.command()
def show(
    name: Named,
    as_json: AsJson = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Print a campaign as it was published."""

    async def run() -> None:
        wanted, number = version_in(name)
        async with _opened() as tools, tools.database.read() as session:
            row = await campaigns.document(session, wanted, number)
            current = (await campaigns.document(session, wanted)).version
        if as_json:
            console.print_json({**_told(row, current), "document": row.document})
        else:
            console.print_lines([row.document.removesuffix("\n")])

    play(run)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="A campaign's name.")],
    version: Annotated[int, typer.Argument(help="The version to go back to.")],
    by: By,
    note: Note,
    as_json: AsJson = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Publish an earlier version anew; running cases keep theirs."""

    async def run() -> None:
        async with _opened() as tools, tools.database.begin() as session:
            made = await campaigns.rollback(session, name, version, by, note, datetime.now(UTC))
        if as_json:
            console.print_json({"name": name, "version": made, "as_in": version})
            return
        said = f"Version {made} of {name} is version {version} again: new cases start with it."
        console.screen.print(escape(said), soft_wrap=True, highlight=False)

    play(run)


# --- what the commands share -----------------------------------------------------------------------


@asynccontextmanager
async def _opened() -> AsyncIterator[Tools]:
    async with open_tools(command_settings(), datetime.now(UTC)) as tools:
        yield tools


@dataclass(frozen=True)
class Side:
    """One of two campaigns that are compared."""

    name: str
    text: str
    version: int = 0

    @property
    def campaign(self) -> Campaign:
        """The campaign as it is read; raises BadCampaign."""
        return read_campaign(self.text, file=self.name)


async def _two(old: str, new: str | None) -> tuple[Side, Side]:
    """Find the two sides that were named, or meant."""
    if new is not None:
        return await _side(old), await _side(new)
    given = await _side(old)
    if Path(old).suffix in SUFFIXES:
        return await _side(given.campaign.name), given
    name, number = version_in(old)
    if number is not None:
        return given, await _side(name)
    if given.version < 2:  # noqa: PLR2004 - the first has none before it
        raise BadInput(f"there is only one version of '{name}', so nothing was changed")
    return await _side(f"{name}@{given.version - 1}"), given


async def _side(named: str) -> Side:
    """Give the campaign of a file, else the published one, else the one that ships with Dunwell."""
    path = Path(named)
    if path.suffix in SUFFIXES:
        return Side(named, await asyncio.to_thread(read_text, path))
    name, number = version_in(named)
    if is_installed():
        async with _opened() as tools, tools.database.read() as session:
            return _side_of(await campaigns.document(session, name, number))
    shipped = campaigns.LIBRARY / f"{name}.yaml"
    if number is not None or not shipped.is_file():
        raise NotKnown(f"nothing is installed here, and no campaign '{named}' ships: name a file")
    return Side(f"{name} as it ships", await asyncio.to_thread(read_text, shipped))


def _side_of(row: CampaignVersionRow) -> Side:
    return Side(f"{row.name}@{row.version}", row.document, row.version)


async def _current(session: AsyncSession, name: str) -> Side | None:
    return (
        _side_of(await campaigns.document(session, name)) if name in await campaigns.names(session) else None
    )


def _told(row: CampaignVersionRow, current: int) -> dict[str, object]:
    shown = row.model_dump(mode="json", exclude={"document", "digest"})
    return {**shown, "current": row.version == current}


def _print_words(found: Iterable[Difference]) -> None:
    for difference in found:
        console.screen.print(Text(f"• {difference}", style=STYLES[difference.change]), soft_wrap=True)


def _print_lines(lines: Iterable[Line]) -> None:
    for line in lines:
        console.screen.print(
            Text(f"{line.mark} {line.text}".rstrip(), style=MARKS[line.mark]), soft_wrap=True
        )
