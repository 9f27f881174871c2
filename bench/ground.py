"""What every benchmark stands on: a server as ``make up`` runs it, a database, and the sandbox's books."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.client import Client

from embedded import EmbeddedServer, run_server
from plugin import dunwell_plugin
from processors.sandbox import SandboxProcessor
from registration import register
from settings import Settings, load_settings
from store import schema
from store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEBHOOK_SECRET = "whsec_benchmarks"


@dataclass(frozen=True)
class Options:
    """What the command line says; the defaults keep a whole run to minutes."""

    database: str | None = None
    cases: int = 150
    rounds: int = 3
    open: int = 2000
    samples: int = 100
    past: int = 100_000


@dataclass(frozen=True)
class Ground:
    """A running server with its namespace set up, and the books and the database that children share."""

    server: EmbeddedServer
    client: Client
    folder: Path
    settings: Settings
    database: Database
    sandbox: SandboxProcessor
    token: str


def settings_in(folder: Path, database_url: str | None) -> Settings:
    """Give the settings of an installation in a folder; everything that is not said is the default."""
    return load_settings(
        database_url=database_url or f"sqlite:///{folder}/dunwell.db",
        sandbox_file=folder / "sandbox.db",
        sandbox_webhook_secret=WEBHOOK_SECRET,
        mail_folder=folder / "mails",
        secret_key="a key for links that nobody follows",
        port=0,
    )


@asynccontextmanager
async def prepared(options: Options) -> AsyncIterator[Ground]:
    """Start the server in a folder of its own, and take everything away at the end."""
    with tempfile.TemporaryDirectory(prefix="dunwell-bench-") as name:
        folder = Path(name)
        settings = settings_in(folder, options.database)
        schema.upgrade(settings.database_url)
        database = Database(settings.database_url)
        sandbox = SandboxProcessor(folder / "sandbox.db", WEBHOOK_SECRET)
        async with run_server(folder / "temporal", ui=False) as server:
            client = await Client.connect(server.address, plugins=[dunwell_plugin()])
            await register(client)
            # A database may be used by several runs: invoices of each are told apart.
            token = f"{time.time_ns() // 1_000_000:x}"
            try:
                yield Ground(server, client, folder, settings, database, sandbox, token)
            finally:
                await sandbox.close()
                await database.close()


def say(text: str) -> None:
    """Tell whoever watches how far it is; standard output is for the result alone."""
    print(text, file=sys.stderr, flush=True)
