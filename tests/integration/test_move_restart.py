"""A worker that is killed in the middle of a move: another goes on, and no case is moved twice or forgotten."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import embedded
import keys
import moves
from contract import OpenCase
from processors.sandbox import SandboxProcessor
from registration import register
from settings import load_settings
from store import campaigns, cases, journal
from store import moves as stored
from store.moves import Became, State
from tests.integration.processes import Terminal
from tests.integration.web_side import until
from web.desk import Desk
from web.intake import open_case
from wiring import connect, make_links, open_tools

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.studio_tables import MoveRow
    from store.tables import CaseRow

pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")

DOCUMENT = """\
name: patient
steps:
  - {id: day-3, after: %s, retry: true, message: payment_failed}
end: {after: 20 days, action: cancel_now}
"""
SECRET = "a key for links that only tests sign"
NAMES = [f"n{number:02}" for number in range(24)]


@dataclass
class Street:
    """Everything but the workers, which are processes of their own."""

    desk: Desk
    sandbox: SandboxProcessor
    terminal: Terminal

    async def start_worker(self) -> asyncio.subprocess.Process:
        """Start a worker, wait until it takes work, and leave it running."""
        process = await self.terminal.start("worker.py")
        assert process.stderr is not None
        while b"worker.started" not in (line := await process.stderr.readline()):
            assert line, "the worker ended before it took any work"
        return process

    async def publish(self, after: str) -> int:
        """Publish a version in which the step comes then."""
        said: dict[str, Any] = {"file": "patient", "author": "tests", "note": "", "now": datetime.now(UTC)}
        async with self.desk.tools.database.begin() as session:
            return await campaigns.publish(session, DOCUMENT % after, **said)

    async def fail(self, name: str) -> None:
        """Let a customer's payment fail, and open the case."""
        await self.sandbox.add_customer(f"cus_{name}", f"{name}@example.com", name)
        await self.sandbox.add_card(f"cus_{name}", f"card_{name}", "insufficient_funds")
        await self.sandbox.add_invoice(f"in_{name}", f"cus_{name}", 4900)
        now = datetime.now(UTC)
        await self.sandbox.fail(f"in_{name}", now, "insufficient_funds")
        order = OpenCase(processor="sandbox", invoice=f"in_{name}", failed_at=now, campaign="patient")
        await open_case(self.desk, order, f"evt_{name}")

    async def case(self, name: str) -> CaseRow:
        """Give a customer's case."""
        async with self.desk.tools.database.read() as session:
            row = await cases.latest(session, "sandbox", "main", f"in_{name}")
        assert row is not None
        return row

    async def all_opened(self) -> bool:
        """Whether every case waits for its step."""
        return all([(await self.case(name)).next_step == "day-3.charge" for name in NAMES])

    async def progress(self, move: MoveRow) -> stored.Progress:
        """Read how far the move is."""
        async with self.desk.tools.database.read() as session:
            return await stored.progress(session, move.id)


@asynccontextmanager
async def street(folder: Path, database_url: str) -> AsyncIterator[Street]:
    settings = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        secret_key=SECRET,
        moves_batch=3,
        moves_at_once=1,
        moves_pause=0,
    )
    variables = {
        "DUNWELL_DATABASE_URL": settings.database_url,
        "DUNWELL_SANDBOX_FILE": str(settings.sandbox_file),
        "DUNWELL_MAIL_FOLDER": str(settings.mail_folder),
        "DUNWELL_SECRET_KEY": SECRET,
    }
    async with (
        embedded.run_server(folder / "temporal", ui=False) as server,
        open_tools(settings, datetime.now(UTC)) as tools,
    ):
        client = await connect(server.address)
        await register(client)
        sandbox = tools.processors["sandbox"]
        assert isinstance(sandbox, SandboxProcessor)
        terminal = Terminal(folder, variables | {"TEMPORAL_ADDRESS": server.address})
        yield Street(Desk(settings, tools, client, make_links(settings)), sandbox, terminal)


async def test_a_worker_killed_in_the_middle_of_a_move_is_replaced_and_every_case_moves_once(
    tmp_path: Path, database_url: str
) -> None:
    async with street(tmp_path, database_url) as town:
        assert await town.publish("3 days") == 1
        killed = await town.start_worker()
        for name in NAMES:
            await town.fail(name)
        await until(town.all_opened, within=60)
        version = await town.publish("4 days")
        move = await moves.begin_move(
            town.desk, "patient", version, by="ada@example.com", why="the milder one"
        )
        await until(lambda: _settled(town, move, 4), within=60)
        killed.kill()
        await killed.communicate()
        before = await town.progress(move)
        assert before.move.state == State.RUNNING
        assert before.left, "it was over before the worker was killed"
        other = await town.start_worker()
        try:
            await until(lambda: _ended(town, move), within=90)
        finally:
            other.terminate()
            _, log = await other.communicate()
        assert other.returncode == 0, log.decode()
        found = await town.progress(move)
        assert (found.move.state, found.moved, found.total) == (State.DONE, len(NAMES), len(NAMES))
        await every_case_moved_once(town, move, version)


async def _settled(town: Street, move: MoveRow, count: int) -> bool:
    return (await town.progress(move)).settled >= count


async def _ended(town: Street, move: MoveRow) -> bool:
    return (await town.progress(move)).move.finished_at is not None


async def every_case_moved_once(town: Street, move: MoveRow, version: int) -> None:
    async with town.desk.tools.database.read() as session:
        outcomes = await stored.outcomes(session, move.id, limit=1000)
        wishes = {name: await journal.entries(session, (await town.case(name)).id) for name in NAMES}
    assert sorted(item.running.case.invoice for item in outcomes) == [f"in_{name}" for name in NAMES]
    assert {(item.row.state, item.row.from_version) for item in outcomes} == {(Became.MOVED, 1)}
    for name in NAMES:
        row = await town.case(name)
        assert row.failed_at is not None
        assert (row.campaign_version, row.next_step_at) == (version, row.failed_at + timedelta(days=4))
        keys_of_wishes = [line.key for line in wishes[name] if line.key.startswith("wish.")]
        assert keys_of_wishes == [f"wish.{keys.move_update_id(move.id)}"]
