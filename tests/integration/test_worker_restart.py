"""A worker that is killed while cases wait: another one goes on, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import embedded
from campaigns.story import Lever, Outcome
from contract import Cancel, CardUpdated, FactName, OpenCase
from processors.sandbox import SandboxProcessor
from registration import register
from settings import load_settings
from store import attempts, campaigns, cases, messages
from tests.integration.processes import Terminal
from tests.integration.web_side import until
from web.desk import Desk
from web.intake import open_case, tell
from wiring import connect, make_links, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.tables import CaseRow

pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")

QUICK = """\
name: quick
steps:
  - {id: first, after: 2 seconds, retry: true, message: payment_failed}
  - {id: second, after: 8 seconds, retry: true, message: payment_failed}
end: {after: 12 seconds, action: cancel_now, message: subscription_ended, late_grace: 1 second}
"""
SECRET = "a key for links that only tests sign"
DECLINED = ("ada", "bob", "cyd")
TOLD = [["second.message", "end.message"], ["end.notice", "end.message"]]
EVERYBODY = (*DECLINED, "dan", "eve")


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

    async def case(self, name: str) -> CaseRow:
        """Give a customer's case."""
        async with self.desk.tools.database.read() as session:
            row = await cases.latest(session, "sandbox", "main", f"in_{name}")
        assert row is not None
        return row

    async def fail(self, name: str, script: str) -> None:
        """Let a customer's payment fail, and open the case."""
        await self.sandbox.add_customer(f"cus_{name}", f"{name}@example.com", name)
        await self.sandbox.add_card(f"cus_{name}", f"card_{name}", script)
        await self.sandbox.add_invoice(f"in_{name}", f"cus_{name}", 4900)
        now = datetime.now(UTC)
        await self.sandbox.fail(f"in_{name}", now, "insufficient_funds")
        order = OpenCase(processor="sandbox", invoice=f"in_{name}", failed_at=now, campaign="quick")
        await open_case(self.desk, order, f"evt_{name}")


@asynccontextmanager
async def street(folder: Path) -> AsyncIterator[Street]:
    settings = load_settings(
        database_url=f"sqlite:///{folder}/dunwell.db",
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        secret_key=SECRET,
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
        async with tools.database.begin() as session:
            await campaigns.publish(
                session, QUICK, file="quick.yaml", author="tests", note="", now=datetime.now(UTC)
            )
        sandbox = tools.processors["sandbox"]
        assert isinstance(sandbox, SandboxProcessor)
        terminal = Terminal(folder, variables | {"TEMPORAL_ADDRESS": server.address})
        yield Street(Desk(settings, tools, client, make_links(settings)), sandbox, terminal)


async def test_a_worker_killed_while_cases_wait_is_replaced_and_nothing_is_done_twice(tmp_path: Path) -> None:
    async with street(tmp_path) as town:
        killed = await town.start_worker()
        for name in DECLINED:
            await town.fail(name, "insufficient_funds")
        await town.fail("dan", "insufficient_funds")
        await town.fail("eve", "insufficient_funds")
        await until(lambda: _all_wait_for_the_second_step(town), within=60)
        killed.kill()
        await killed.communicate()
        # What happens meanwhile is kept by the server.
        await town.sandbox.add_card("cus_dan", "card_new", "paid")
        at = datetime.now(UTC)
        await tell(
            town.desk,
            [await town.case("dan")],
            FactName.CARD_UPDATED,
            CardUpdated(event="evt_c", at=at, method="card_new"),
        )
        await tell(
            town.desk, [await town.case("eve")], FactName.CANCEL, Cancel(event="evt_e", at=at, by="customer")
        )
        assert [charge.invoice for charge in await town.sandbox.charges()].count("in_dan") == 1
        other = await town.start_worker()
        try:
            await until(lambda: _all_closed(town), within=90)
        finally:
            other.terminate()
            _, log = await other.communicate()
        assert other.returncode == 0, log.decode()
        await the_books_agree(town)


async def _all_wait_for_the_second_step(town: Street) -> bool:
    rows = [await town.case(name) for name in EVERYBODY]
    return all(row.next_step == "second.charge" for row in rows)


async def _all_closed(town: Street) -> bool:
    rows = [await town.case(name) for name in EVERYBODY]
    return all(row.closed_at for row in rows)


async def the_books_agree(town: Street) -> None:
    """Compare what was charged and mailed with what should have been, and with what we believe."""
    charges, calls = await town.sandbox.charges(), await town.sandbox.subscription_calls()
    assert len({charge.key for charge in charges}) == len(charges)
    folder = town.desk.settings.mail_folder
    mails = await asyncio.to_thread(lambda: [path.name.removesuffix(".eml") for path in folder.glob("*.eml")])
    assert max(Counter(mails).values()) == 1
    expected = {
        **dict.fromkeys(DECLINED, (["first.charge", "second.charge"], Outcome.EXHAUSTED, None)),
        "dan": (["first.charge", "card.card_new"], Outcome.RECOVERED, Lever.CARD_UPDATE),
        "eve": (["first.charge"], Outcome.CANCELLED, None),
    }
    for name, (attempted, outcome, lever) in expected.items():
        case = await town.case(name)
        async with town.desk.tools.database.read() as session:
            made = await attempts.all_of(session, case.id)
            sent = await messages.all_of(session, case.id)
        assert (case.outcome, case.lever) == (outcome, lever), name
        assert [row.attempt for row in made] == attempted, name
        assert [row.key for row in made] == [c.key for c in charges if c.invoice == f"in_{name}"]
        assert {row.id for row in sent} == {mail for mail in mails if mail.startswith(f"{case.id}.")}
        told = [row.action for row in sent]
        assert told[0] == "first.message"
        # The mail of the second step, or the last notice where the new worker came only after the end.
        assert told[1:] in (TOLD if name in DECLINED else [[]]), name
        assert all(row.state == messages.SENT for row in sent)
        assert await town.sandbox.paid_total(f"in_{name}") == (4900 if name == "dan" else 0)
    assert sorted(call.subscription for call in calls) == [f"sub_in_{name}" for name in DECLINED]
