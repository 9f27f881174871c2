"""What every command of the command line needs: settings, a desk, and errors that are sentences."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.markup import escape
from temporalio.service import RPCError

import console
from campaigns.reading import read_campaign
from errors import BadInput, DunwellError, NotKnown
from logs import configure_logs, forward_temporal_lines
from settings import Settings, load_settings, local_settings, secrets_of
from store import campaigns, cases
from web.desk import Desk
from wiring import connect, is_cluster_configured, leave_temporal, make_links, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from campaigns.document import Campaign
    from store.tables import CaseRow
    from web.intake import Delivery

Result = TypeVar("Result")
FOLDER = Path(".dunwell")


def play(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command; an error that Dunwell knows ends it with a sentence, not a traceback."""
    try:
        return asyncio.run(work())
    except (DunwellError, RPCError) as error:
        where = "Temporal: " if isinstance(error, RPCError) else ""
        console.errors.print(
            f"[bold red]error:[/] {where}{escape(str(error))}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from None


def is_installed(folder: Path = FOLDER) -> bool:
    """Whether there is anything to work with: a folder of ``up``, or a database in the environment."""
    return folder.exists() or "DUNWELL_DATABASE_URL" in os.environ


def command_settings(folder: Path = FOLDER) -> Settings:
    """Give the settings for a command: those of the environment, else those of what runs in the folder."""
    running = folder / "running.json"
    if running.exists():
        for name, value in json.loads(running.read_text(encoding="utf-8")).items():
            os.environ.setdefault(name, value)
    if not is_installed(folder):
        raise BadInput(
            f"nothing is installed here: run 'make up' in this folder first (there is no {folder}), or set"
            " DUNWELL_DATABASE_URL and the other settings of your installation"
        )
    settings = local_settings(folder) if folder.exists() else load_settings()
    configure_logs(level="WARNING", style=settings.log_format, secrets=secrets_of(settings))
    return settings


def configure(settings: Settings) -> None:
    """Set the log up for a command that runs on."""
    configure_logs(level=settings.log_level, style=settings.log_format, secrets=secrets_of(settings))
    forward_temporal_lines()


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """Give what the web side works with, for one command."""
    settings = command_settings()
    if not is_cluster_configured():
        raise BadInput("no Temporal server is known: run 'make up' in this folder, or set TEMPORAL_ADDRESS")
    async with open_tools(settings, datetime.now(UTC)) as tools:
        try:
            yield Desk(settings, tools, await connect(), make_links(settings))
        finally:
            await leave_temporal()


async def find_case(desk: Desk, name: str) -> CaseRow:
    """Find a case by what a person has at hand; raises NotKnown."""
    async with desk.tools.database.read() as session:
        row = await cases.named(session, name)
    if row is None:
        raise NotKnown(f"no case, workflow or invoice is called '{name}': see 'starter.py list'")
    return row


async def named_campaign(name: str) -> Campaign:
    """Give the campaign of a file, else a published one, or one version of it, else one that ships."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        name, number = version_in(name)
        if is_installed():
            settings, now = command_settings(), datetime.now(UTC)
            async with open_tools(settings, now) as tools, tools.database.read() as session:
                return (await campaigns.version(session, name, number))[0]
        path = campaigns.LIBRARY / f"{name}.yaml"
        shipped = sorted(file.stem for file in campaigns.LIBRARY.glob("*.yaml"))
        if name not in shipped or number is not None:
            raise NotKnown(f"no campaign is called '{name}': there are {', '.join(shipped)}; or name a file")
    text = await asyncio.to_thread(read_text, path)
    return read_campaign(text, file=str(path))


def version_in(named: str) -> tuple[str, int | None]:
    """Take ``standard@3`` apart, a campaign's name and one of its versions; raises BadInput."""
    name, at, number = named.partition("@")
    if at and not number.isdecimal():
        raise BadInput(f"'{named}' names no version: write it as in {name}@3")
    return name, int(number) if at else None


def faults_of(error: ValueError) -> str:
    """Say what is wrong with details that a person gave: one short sentence, without pydantic's own."""
    if not isinstance(error, ValidationError):
        return str(error)
    said = []
    for item in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in item["loc"])
        how = f"--{name}" if name in {"by", "why"} else f"'{name}' in --data"
        said.append(f"{how}: {item['msg'][0].lower()}{item['msg'][1:]}")
    return "; ".join(said)


def read_text(path: Path) -> str:
    """Read a file that a person named; raises BadInput where it cannot be read as text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


def json_object(text: str) -> dict[str, Any]:
    """Read the details that a person gave as JSON; raises BadInput."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"--data is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInput('--data is not a JSON object: write it as in \'{"method": "pm_1"}\'')
    return found


def tell_person(delivery: Delivery, *, as_json: bool) -> None:
    """Say what became of a request, to a person or to a program."""
    if as_json:
        console.print_json(vars(delivery))
    else:
        console.screen.print(f"[bold]{delivery.became}[/]: {escape(delivery.sentence)}", soft_wrap=True)
