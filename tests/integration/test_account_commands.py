"""The commands about accounts: as a person types them, and as a script calls them."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import pty
import select
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from typer.testing import CliRunner

import credentials
from starter import app
from store import accounts, audit
from store.accounts import Role
from store.database import Database
from tests.integration.processes import ROOT, Ended, Terminal
from tests.integration.studio_side import CHEAP, PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from store.studio_tables import AccountRow
    from tests.conftest import Databases

ADA, BOB = "ada@example.com", "bob@example.com"
BY = f"command line ({getpass.getuser()})"


@dataclass
class Shell:
    """A folder in which commands are typed, and the database that they work on."""

    database_url: str

    async def user(self, *arguments: str, given: str = "") -> Ended:
        """Run a command about accounts; what is given is its standard input."""
        # In a thread of its own, since a command brings its own loop.
        result = await asyncio.to_thread(CliRunner().invoke, app, ["user", *arguments], given)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Ended(result.exit_code, result.stdout, result.stderr)

    async def account(self, email: str) -> AccountRow:
        """Find an account in the database itself."""
        async with opened(self.database_url) as database, database.read() as session:
            return await accounts.by_email(session, email)

    async def log(self) -> list[tuple[str, str, str, str]]:
        """Read what the audit log says about accounts, oldest first."""
        async with opened(self.database_url) as database, database.read() as session:
            rows = await audit.listing(session)
        entries = [(row.by, row.action, row.subject, row.detail) for row in reversed(rows)]
        return [entry for entry in entries if entry[2].startswith("account ")]


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Give a folder with a database of its own, in which nobody has an account; the log stays as it was."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("DUNWELL_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    for name, value in variables(database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(credentials, "hasher", CHEAP)
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    yield Shell(database_url)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def variables(database_url: str) -> dict[str, str]:
    return {"DUNWELL_DATABASE_URL": database_url, "DUNWELL_SECRET_KEY": "x" * 40, "COLUMNS": "200"}


async def test_the_first_account_is_made_and_listed(shell: Shell) -> None:
    nobody = await shell.user("list")
    assert (nobody.code, nobody.out) == (0, "Nobody has an account yet.\n"), nobody.err
    added = await shell.user(
        "add",
        "Ada@Example.com",
        "--role",
        "admin",
        "--name",
        "Ada [1]",
        "--password-stdin",
        given=PASSWORD + "\n",
    )
    assert added.code == 0, added.err
    assert added.out == "ada@example.com may sign in as admin: also manages who may use the studio.\n"
    row = await shell.account(ADA)
    assert (row.role, row.name, row.must_change, row.created_by) == ("admin", "Ada [1]", False, BY)
    assert await credentials.is_password(PASSWORD, row.password_hash)
    listed, shown = await shell.user("list", "--json"), await shell.user("list")
    [entry] = listed.data
    assert set(entry) == {"email", "name", "role", "state", "created_at", "created_by", "signed_in_at"}
    assert (entry["email"], entry["role"], entry["state"], entry["signed_in_at"]) == (
        ADA,
        "admin",
        "active",
        None,
    )
    assert all(words in shown.out for words in (ADA, "Ada [1]", "admin", "active", "never"))
    assert await shell.log() == [(BY, "account added", "account ada@example.com", "as admin, called Ada [1]")]


async def test_a_made_password_is_printed_once_and_has_to_be_changed(shell: Shell) -> None:
    added = await shell.user("add", ADA, "--generate")
    assert added.code == 0, added.err
    lines = added.out.splitlines()
    assert lines[0] == "ada@example.com may sign in as viewer: looks at everything."
    assert lines[1].startswith("Password, shown this once: ")
    assert lines[2] == "It has to be changed at the next sign-in."
    row = await shell.account(ADA)
    assert row.must_change
    assert await credentials.is_password(lines[1].rpartition(" ")[2], row.password_hash)


async def test_a_password_is_asked_for_twice_and_not_shown(databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh("sqlite")
    typing = [PASSWORD, "mistyped", PASSWORD, PASSWORD]
    terminal = Terminal(tmp_path, variables(url))
    code, shown = await asyncio.to_thread(typed, terminal, ["add", ADA], typing)
    assert code == 0, shown
    assert "do not match" in shown
    assert PASSWORD not in shown
    assert "mistyped" not in shown
    row = await Shell(url).account(ADA)
    assert await credentials.is_password(PASSWORD, row.password_hash)
    assert not row.must_change


def typed(terminal: Terminal, arguments: list[str], lines: list[str]) -> tuple[int, str]:
    """Run a command at a terminal of its own, and type a line at each question; gives all that was shown."""
    screen, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "starter.py"), "user", *arguments]
    process = subprocess.Popen(
        command,
        cwd=terminal.folder,
        env=terminal.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # Without this machine's own terminal, at which a person may sit who runs the tests.
        start_new_session=True,
    )
    os.close(theirs)
    shown, answered = b"", 0
    while part := _read(screen):
        shown += part
        # The blank comes from whoever hides what is typed, once it is hidden; before, it would be thrown away.
        if lines and shown[answered:].endswith(b": "):
            answered = len(shown)
            os.write(screen, lines.pop(0).encode() + b"\n")
    os.close(screen)
    try:
        return process.wait(60), shown.decode()
    finally:
        process.kill()


def _read(screen: int) -> bytes:
    """Read what is shown next; nothing when the program has ended, or has nothing more to say."""
    if not select.select([screen], [], [], 60)[0]:
        return b""
    try:
        return os.read(screen, 1024)
    except OSError:
        # On Linux this is how the other end's leaving shows.
        return b""


async def test_an_account_is_changed_step_by_step_and_each_step_is_logged(shell: Shell) -> None:
    await shell.user("add", ADA, "--role", "admin", "--generate")
    await shell.user("add", BOB, "--generate")
    new = "bobs new handful of words"
    said = [
        await shell.user("role", BOB, "operator"),
        await shell.user("role", BOB, "operator"),
        await shell.user("password", BOB, "--password-stdin", given=new),
        await shell.user("disable", BOB),
        await shell.user("disable", BOB),
        await shell.user("enable", BOB),
        await shell.user("enable", BOB),
    ]
    assert [(ended.code, ended.out) for ended in said] == [
        (0, "bob@example.com has the role operator from now on.\n"),
        (0, "bob@example.com has the role operator already.\n"),
        (0, "bob@example.com has a new password.\n"),
        (0, "bob@example.com is disabled and signed out.\n"),
        (0, "bob@example.com was disabled already.\n"),
        (0, "bob@example.com may sign in again.\n"),
        (0, "bob@example.com was enabled already.\n"),
    ]
    row = await shell.account(BOB)
    assert (row.role, row.active, row.must_change) == (Role.OPERATOR, True, False)
    assert await credentials.is_password(new, row.password_hash)
    subject = "account bob@example.com"
    assert [entry for entry in await shell.log() if entry[2] == subject] == [
        (BY, "account added", subject, "as viewer"),
        (BY, "role changed", subject, "from viewer to operator"),
        (BY, "password reset", subject, ""),
        (BY, "account disabled", subject, ""),
        (BY, "account enabled", subject, ""),
    ]


ERRORS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("add", "ada"), "", "is not an e-mail address"),
    (("add", ADA, "--generate"), "", "has an account already"),
    (("add", ADA), "", "has an account already"),
    (("add", "new@example.com"), "", "give --password-stdin or --generate"),
    (("add", "new@example.com", "--generate", "--password-stdin"), PASSWORD, "exclude each other"),
    (("add", "new@example.com", "--password-stdin"), "short\n", "too short"),
    (("add", "new@example.com", "--password-stdin"), "", "too short"),
    (("add", "new@example.com", "--role", "owner", "--generate"), "", "owner"),
    (("role", BOB, "viewer"), "", "nobody has an account"),
    (("role", ADA, "viewer"), "", "is the last administrator"),
    (("disable", ADA), "", "is the last administrator"),
    (("password", BOB, "--generate"), "", "nobody has an account"),
    (("password", ADA), "", "give --password-stdin or --generate"),
    (("enable", "nobody"), "", "is not an e-mail address"),
)


async def test_an_error_says_what_to_do_and_changes_nothing(shell: Shell) -> None:
    assert (await shell.user("add", ADA, "--role", "admin", "--generate")).code == 0
    before: Any = (await shell.log(), await shell.account(ADA))
    for arguments, given, words in ERRORS:
        ended = await shell.user(*arguments, given=given)
        assert ended.code in {1, 2}, arguments
        assert words in " ".join(ended.err.split()), arguments
        assert ended.out == "", arguments
    assert (await shell.log(), await shell.account(ADA)) == before


async def test_where_nothing_is_installed_that_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUNWELL_DATABASE_URL")
    ended = await shell.user("list")
    assert ended.code == 1
    assert "make up" in ended.err
