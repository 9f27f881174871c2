"""Running cases moved from the command line: a look first, then the move, and what became of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import embedded
from local import free_port
from processors.sandbox import SandboxProcessor
from store import campaigns
from store.database import Database
from tests.integration.processes import Terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")

SAID = ("--by", "ada", "--why", "a [milder] one")
NAMES = ("ada", "bob", "cyd")


async def publish_a_milder_one(folder: Path) -> None:
    """Publish the campaign that ships, with its first step a day later."""
    text = await asyncio.to_thread((campaigns.LIBRARY / "standard.yaml").read_text, encoding="utf-8")
    assert "after: 1 day\n" in text
    database = Database(f"sqlite:///{folder}/dunwell.db")
    said: dict[str, Any] = {"file": "test", "author": "tests", "note": "", "now": datetime.now(UTC)}
    async with database.begin() as session:
        assert (
            await campaigns.publish(session, text.replace("after: 1 day\n", "after: 2 days\n", 1), **said)
            == 2
        )
    await database.close()


async def open_cases(terminal: Terminal) -> None:
    sandbox = SandboxProcessor(terminal.folder / ".dunwell" / "sandbox.db", "whsec_sandbox")
    for name in NAMES:
        await sandbox.add_customer(f"cus_{name}", f"{name}@example.com", f"{name.title()} [B]")
        await sandbox.add_card(f"cus_{name}", f"card_{name}", "insufficient_funds")
        await sandbox.add_invoice(f"in_{name}", f"cus_{name}", 4900)
        await sandbox.fail(f"in_{name}", datetime.now(UTC), "insufficient_funds")
    await sandbox.close()
    for _ in range(40):
        ended = await terminal.run("list", "--json")
        if len([row for row in ended.data if row["next_step"] == "first-notice.charge"]) == len(NAMES):
            return
        await asyncio.sleep(0.3)
    pytest.fail(f"the cases were not opened: {ended.out}")


async def test_a_team_looks_at_the_effects_moves_and_sees_what_became_of_it(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {"DUNWELL_PORT": str(free_port())})
    async with terminal.up():
        await open_cases(terminal)
        nothing = await terminal.run("move", "standard", "--dry-run")
        assert (nothing.code, nothing.out) == (0, "No case of standard runs on another version than 1.\n")
        none_yet = await terminal.run("moves")
        assert none_yet.out == "No running cases were ever moved.\n"
        await publish_a_milder_one(tmp_path / ".dunwell")
        shown, data, unanswered = await asyncio.gather(
            terminal.run("move", "standard", "2", "--dry-run", "--spread", "2 hours"),
            terminal.run("move", "standard", "--dry-run", "--json"),
            terminal.run("move", "standard", "2", *SAID),
        )
        assert "3 running cases of standard to version 2" in shown.out
        assert "next step later" in shown.out
        assert "Ada [B] (in_ada): next charge (first-notice) on" in shown.out
        assert "spread over 2 hours" in shown.out
        assert data.data["counts"] == {"next step later": 3}
        assert (data.data["moving"], data.data["mails"], data.data["charges"]) == (3, 0, 0)
        assert (unanswered.code, "give --yes" in unanswered.err) == (1, True)
        assert (await terminal.run("moves", "--json")).data == []
        moved = await terminal.run("move", "standard", "2", *SAID, "--yes", "--follow")
        assert moved.code == 0, moved.err
        [move] = (await terminal.run("moves", "--json")).data
        counts = ("total", "moved", "refused", "closed", "unanswered", "left")
        assert [move[name] for name in counts] == [3, 3, 0, 0, 0, 0]
        assert (move["state"], move["by"], move["why"], move["past"]) == (
            "done",
            "ada",
            "a [milder] one",
            "skip",
        )
        assert f"Move {move['id']} has begun." in moved.out
        cases = (await terminal.run("list", "--json")).data
        assert {row["campaign_version"] for row in cases} == {2}
        late, table = await asyncio.gather(
            terminal.run("move-stop", move["id"], *SAID), terminal.run("moves", move["id"])
        )
        assert (late.code, "has ended: it is done" in late.err) == (1, True)
        assert "3 cases: 3 moved" in table.out
        assert "a [milder] one" in table.out


ERRORS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("move", "nothing", "--dry-run"), "no campaign is called 'nothing'"),
    (("move", "standard", "7", "--dry-run"), "campaign 'standard' has no version 7"),
    (("move", "standard", "1", "--yes"), "--by and --why"),
    (("move", "standard", "1", "--yes", "--by", "ada"), "--by and --why"),
    (("move", "standard", "--dry-run", "--spread", "soon"), "--spread: 'soon' is not a length of time"),
    (("move", "standard", "--dry-run", "--past", "twice"), "--past"),
    (("moves", "move_7"), "no move is called 'move_7'"),
    (("move-pause", "move_7"), "--by"),
    (("move-stop", "move_7", *SAID), "TEMPORAL_ADDRESS"),
)


async def test_an_error_says_what_to_do(tmp_path: Path) -> None:
    idle = Terminal(tmp_path)
    await asyncio.to_thread((tmp_path / ".dunwell").mkdir)
    assert (await idle.run("moves")).code == 0
    # One after the other: each starts an interpreter of its own.
    found = [await idle.run(*arguments) for arguments, _ in ERRORS]
    for ended, (arguments, words) in zip(found, ERRORS, strict=True):
        assert ended.code in {1, 2}, arguments
        assert "Traceback" not in ended.err, (arguments, ended.err)
        assert words in ended.err, (arguments, ended.err)
        assert ended.out == "", arguments
