"""The command line's part about accounts: who may sign in to the campaign studio, and as what."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import console
import credentials
from commands import command_settings, play
from errors import BadInput
from store import accounts
from store.accounts import NewAccount, Role, State
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from local import Services
    from store.database import Database
    from store.studio_tables import AccountRow

app = typer.Typer(help="Say who may use the campaign studio, and as what.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The e-mail address that the person signs in with.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Generate = Annotated[
    bool,
    typer.Option(
        "--generate", help="Make a password and print it once; it has to be changed at the next sign-in."
    ),
]
STYLES = {State.ACTIVE: "green", State.MUST_CHANGE: "cyan", State.RESTS: "yellow", State.DISABLED: "red"}


@app.command()
def add(
    email: Email,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.VIEWER,
    name: Annotated[str, typer.Option(help="How the studio calls the person.")] = "",
    password_stdin: FromStdin = False,  # noqa: FBT002 - Typer makes a flag of it
    generate: Generate = False,  # noqa: FBT002 - likewise
) -> None:
    """Add an account; its password is asked for twice, unless an option says where it comes from."""

    async def run() -> None:
        address = credentials.read_email(email)
        async with _opened() as database:
            if not generate:
                # Before a password is asked for: nobody should type one for nothing.
                await _check_free(database, address)
            password = _password(address, from_stdin=password_stdin, generate=generate)
            hashed = await credentials.hash_password(password)
            new = NewAccount(address, name, role, hashed, must_change=generate)
            async with database.begin() as session:
                await accounts.add(session, new, _who(), datetime.now(UTC))
        console.screen.print(f"{escape(address)} may sign in as {role}: {role.meaning}.", soft_wrap=True)
        _show_made(password, generate=generate)

    play(run)


@app.command("list")
def list_accounts(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """List who may use the studio."""

    async def run() -> None:
        now = datetime.now(UTC)
        async with _opened() as database, database.read() as session:
            rows = await accounts.listing(session)
        if as_json:
            shown = {"email", "name", "role", "created_at", "created_by", "signed_in_at"}
            console.print_json(
                [
                    {**row.model_dump(mode="json", include=shown), "state": accounts.state_of(row, now)}
                    for row in rows
                ]
            )
        elif rows:
            console.screen.print(_table(rows, now))
        else:
            console.screen.print("Nobody has an account yet.")

    play(run)


@app.command("role")
def change_role(
    email: Email, role: Annotated[Role, typer.Argument(help="What the person may do from now on.")]
) -> None:
    """Give a person another role; wherever they are signed in, they have to sign in again."""

    async def run() -> None:
        async with _opened() as database, database.begin() as session:
            row = await accounts.by_email(session, credentials.read_email(email))
            changed = await accounts.change_role(session, row.id, role, _who(), datetime.now(UTC))
        said = f"has the role {role} from now on" if changed else f"has the role {role} already"
        console.screen.print(f"{escape(row.email)} {said}.", soft_wrap=True)

    play(run)


@app.command()
def password(
    email: Email,
    password_stdin: FromStdin = False,  # noqa: FBT002 - Typer makes a flag of it
    generate: Generate = False,  # noqa: FBT002 - likewise
) -> None:
    """Give a person a new password, and sign them out everywhere; also opens an account that rests."""

    async def run() -> None:
        address = credentials.read_email(email)
        async with _opened() as database:
            async with database.read() as session:
                row = await accounts.by_email(session, address)
            chosen = _password(address, from_stdin=password_stdin, generate=generate)
            hashed = await credentials.hash_password(chosen)
            async with database.begin() as session:
                await accounts.give_password(
                    session, row.id, hashed, _who(), datetime.now(UTC), must_change=generate
                )
        console.screen.print(f"{escape(address)} has a new password.", soft_wrap=True)
        _show_made(chosen, generate=generate)

    play(run)


@app.command()
def disable(email: Email) -> None:
    """Let a person in no more, from this moment; what they did stays recorded."""

    async def run() -> None:
        async with _opened() as database, database.begin() as session:
            row = await accounts.by_email(session, credentials.read_email(email))
            changed = await accounts.disable(session, row.id, _who(), datetime.now(UTC))
        said = "is disabled and signed out" if changed else "was disabled already"
        console.screen.print(f"{escape(row.email)} {said}.", soft_wrap=True)

    play(run)


@app.command()
def enable(email: Email) -> None:
    """Let a person in again, with the password they had."""

    async def run() -> None:
        async with _opened() as database, database.begin() as session:
            row = await accounts.by_email(session, credentials.read_email(email))
            changed = await accounts.enable(session, row.id, _who(), datetime.now(UTC))
        said = "may sign in again" if changed else "was enabled already"
        console.screen.print(f"{escape(row.email)} {said}.", soft_wrap=True)

    play(run)


async def print_studio(services: Services) -> None:
    """Say where the studio is, and how the first person gets in."""
    console.screen.print(f"[bold]studio[/]       {services.web_url}/studio")
    async with services.tools.database.read() as session:
        anybody = await accounts.exist(session)
    if not anybody:
        console.screen.print(
            "             nobody has an account yet: starter.py user add you@example.com --role admin"
        )


# --- what the commands share -----------------------------------------------------------------------


@asynccontextmanager
async def _opened() -> AsyncIterator[Database]:
    async with open_tools(command_settings(), datetime.now(UTC)) as tools:
        yield tools.database


def _who() -> str:
    """Name who types, for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # In a container there may be no name for the number under which it runs.
        user = str(os.getuid())
    return f"command line ({user})"


async def _check_free(database: Database, email: str) -> None:
    async with database.read() as session:
        if await accounts.find(session, email):
            raise BadInput(f"{email} has an account already: see 'starter.py user list'")


def _password(email: str, *, from_stdin: bool, generate: bool) -> str:
    """Get a password: made, read, or asked for; raises BadInput where it cannot be had or could be guessed."""
    if from_stdin and generate:
        raise BadInput("--password-stdin and --generate exclude each other: give one")
    if generate:
        return credentials.make_password()
    if from_stdin:
        found = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        found = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise BadInput("there is no terminal to ask for a password at: give --password-stdin or --generate")
    credentials.check_password(found, email)
    return found


def _show_made(password: str, *, generate: bool) -> None:
    if generate:
        console.screen.print(
            f"Password, shown this once: [bold]{password}[/]", highlight=False, soft_wrap=True
        )
        console.screen.print("It has to be changed at the next sign-in.")


def _table(rows: Iterable[AccountRow], now: datetime) -> Table:
    table = Table(expand=True)
    for heading in ("e-mail", "name", "role", "state", "last signed in (UTC)"):
        table.add_column(heading)
    for row in rows:
        state = accounts.state_of(row, now)
        seen = f"{row.signed_in_at:%d %b %Y %H:%M}" if row.signed_in_at else "never"
        table.add_row(Text(row.email), Text(row.name), row.role, Text(state, style=STYLES[state]), seen)
    return table
