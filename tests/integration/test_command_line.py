"""The command line against everything that ``up`` runs, and after a stop and a second start."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

import embedded
from local import free_port
from processors.sandbox import SandboxProcessor
from tests.integration.processes import ROOT, Terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")

SAID = ("--by", "ada", "--why", "a [quiet] call")


async def owe(sandbox: SandboxProcessor, name: str, script: str) -> None:
    await sandbox.add_customer(f"cus_{name}", f"{name}@example.com", name)
    await sandbox.add_card(f"cus_{name}", f"card_{name}", script)
    await sandbox.add_invoice(f"in_{name}", f"cus_{name}", 4900)
    await sandbox.fail(f"in_{name}", datetime.now(UTC), "insufficient_funds")


async def listed(terminal: Terminal, *more: str, count: int) -> list[dict[str, Any]]:
    """List cases until there are so many: the postman takes a moment."""
    for _ in range(20):
        ended = await terminal.run("list", "--json", *more)
        assert ended.code == 0, ended.err
        if len(ended.data) == count and all(row["opened_at"] for row in ended.data):
            break
        await asyncio.sleep(0.3)
    rows: list[dict[str, Any]] = ended.data
    assert len(rows) == count
    return rows


async def kept_for(address: str) -> timedelta:
    client = await Client.connect(address)
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_a_day_at_the_command_line(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {"DUNWELL_PORT": str(free_port())})
    async with terminal.up() as running:
        web = running.address("web side")
        assert web.endswith(terminal.variables["DUNWELL_PORT"])
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{web}/health")).json()["status"] == "ok"
            assert (await client.get(running.address("Temporal UI"))).status_code == 200
            studio = running.address("studio")
            assert (await client.get(f"{studio}/sign-in")).status_code == 200
        assert "nobody has an account yet: starter.py user add you@example.com --role admin" in running.said
        address = json.loads((tmp_path / ".dunwell" / "running.json").read_text(encoding="utf-8"))
        assert await kept_for(address["TEMPORAL_ADDRESS"]) == timedelta(days=30)
        sandbox = SandboxProcessor(tmp_path / ".dunwell" / "sandbox.db", "whsec_sandbox")
        await owe(sandbox, "ada", "insufficient_funds")
        await owe(sandbox, "bob", "insufficient_funds")
        rows = await listed(terminal, count=2)
        assert {row["invoice"] for row in rows} == {"in_ada", "in_bob"}
        assert all("story" not in row for row in rows)
        await work_the_cases(terminal)
        await sandbox.close()
        tried = await terminal.run("try", "--answers", "paid", "--json")
        assert tried.code == 0, tried.err
        assert tried.data["invoice"] in {row["invoice"] for row in await listed(terminal, count=3)}
        stopped = await running.stop()
        assert stopped.code == 0, stopped.err
        assert "Stopped. Nothing is lost." in stopped.out
        assert "Traceback" not in stopped.out + stopped.err
    assert not (tmp_path / ".dunwell" / "running.json").exists()
    away = await terminal.run("status", "in_ada")
    assert (away.code, "make up" in away.err) == (1, True)

    added = await terminal.run("user", "add", "ada@example.com", "--role", "admin", "--generate")
    assert added.code == 0, added.err
    async with terminal.up() as again:
        assert "studio" in again.said
        assert "nobody has an account" not in again.said
        found, closed = await asyncio.gather(
            terminal.run("status", "in_ada", "--json"), terminal.run("status", "in_bob", "--json")
        )
        assert found.code == 0, found.err
        assert (found.data["status"], found.data["outcome"]) == ("paused", None)
        assert any("granted" in line["text"] for line in found.data["timeline"])
        assert (closed.data["status"], closed.data["outcome"]) == ("closed", "cancelled")
        assert (await again.stop()).code == 0


async def work_the_cases(terminal: Terminal) -> None:
    paused, cancelled = await asyncio.gather(
        terminal.run("signal", "in_ada", "pause", *SAID, "--json"),
        terminal.run("signal", "in_bob", "cancel", "--data", '{"by": "customer"}', "--json"),
    )
    assert (paused.code, paused.data["became"]) == (0, "granted"), paused.err
    assert (cancelled.code, cancelled.data["became"]) == (0, "delivered"), cancelled.err
    story, shown, again, refused, table = await asyncio.gather(
        terminal.run("status", "in_ada", "--json"),
        terminal.run("status", "in_ada"),
        terminal.run("start", "in_ada", "--processor", "sandbox", "--json"),
        terminal.run("signal", "in_bob", "retry_now", *SAID, "--json"),
        terminal.run("list"),
    )
    assert (story.data["status"], story.data["next_step"]["id"]) == ("paused", "paused")
    assert "paused by ada: a [quiet] call" in shown.out
    assert (again.code, again.data["became"]) == (0, "already open"), again.err
    assert (refused.code, refused.data["became"]) == (0, "closed"), refused.err
    assert "in_ada" in table.out
    assert "$49.00" in table.out


@pytest.fixture(scope="module")
async def idle(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Give a terminal in a folder in which everything has run once, and nothing runs now."""
    folder = tmp_path_factory.mktemp("idle")
    (folder / ".dunwell").mkdir()
    return Terminal(folder)


async def test_a_campaign_is_previewed_day_by_day(idle: Terminal) -> None:
    campaign = ROOT / "campaigns" / "library" / "demo.yaml"
    await asyncio.to_thread(shutil.copy, campaign, idle.folder / "mine.yaml")
    previews = await asyncio.gather(
        idle.run("preview", "standard", "--json"),
        idle.run("preview", "standard", "--decline", "stolen_card", "--json"),
        idle.run("preview", "standard", "--no-card"),
        idle.run("preview", "mine.yaml", "--json"),
    )
    assert [ended.code for ended in previews] == [0] * 4, [ended.err for ended in previews]
    found, hard, shown, mine = previews
    assert [step["id"] for step in found.data][:2] == ["first-notice.charge", "first-notice.message"]
    assert found.data[-2]["final_action"] == "cancel_now"
    assert [step for step in hard.data if step["action"] == "charge"] == []
    assert "first-notice" in shown.out
    assert len(mine.data) > 1


async def test_everybody_is_stopped_and_released(idle: Terminal) -> None:
    stopped = await idle.run("stop", "charges", *SAID)
    assert stopped.code == 0, stopped.err
    assert "STOPPED" in stopped.out
    assert "a [quiet] call" in stopped.out
    released = await idle.run("release", "charges", *SAID)
    assert (released.code, "STOPPED" in released.out, "running" in released.out) == (0, False, True)


ERRORS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("list", "--limit", "many"), "--limit"),
    (("status", "in_1"), "make up"),
    (("start", "in_1", "--processor", "sandbox"), "TEMPORAL_ADDRESS"),
    (("signal", "in_1", "dance"), "retry_now"),
    (("signal", "in_1", "cancel", "--data", "{"), "JSON"),
    (("preview", "nothing"), "no campaign is called 'nothing'"),
    (("preview", "nothing.yaml"), "nothing.yaml"),
    (("preview", "bad.yaml"), "bad.yaml:1: "),
    (("stop", "everything", *SAID), "there are charges and messages"),
    (("stop", "charges"), "--by"),
)


async def test_an_error_says_what_to_do(idle: Terminal) -> None:
    await asyncio.to_thread((idle.folder / "bad.yaml").write_text, "steps: []\n", encoding="utf-8")
    # All at once: most of the time goes into starting them.
    found = await asyncio.gather(*(idle.run(*arguments) for arguments, _ in ERRORS))
    for ended, (arguments, words) in zip(found, ERRORS, strict=True):
        # 2 is Typer's own code for a wrong use of a command.
        assert ended.code in {1, 2}, arguments
        assert "Traceback" not in ended.err, arguments
        assert words in ended.err, arguments
        assert ended.out == "", arguments


async def test_a_wrong_setting_stops_the_start(tmp_path: Path) -> None:
    ended = await Terminal(tmp_path, {"DUNWELL_PORT": "web"}).run("up")
    assert ended.code == 1
    assert "DUNWELL_PORT: " in ended.err
    assert "Traceback" not in ended.err


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        ended = await Terminal(tmp_path, {"DUNWELL_PORT": str(port)}).run("up")
    assert ended.code == 1
    assert "Traceback" not in ended.out + ended.err
    assert str(port) in ended.err
    assert "DUNWELL_PORT" in ended.err
