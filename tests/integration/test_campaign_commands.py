"""The command line for campaigns: check, publish, compare, go back, each as an owner or a CI types it."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import structlog
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import starter
import wiring
from messaging.rendering import Renderer
from store import campaigns
from store.database import Database
from tests.conftest import POSTGRESQL, SQLITE
from tests.integration.processes import ROOT, Ended, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Databases

LIBRARY = ROOT / "campaigns" / "library"
GENTLE = """\
name: gentle
steps:
  - {id: day-1, after: 1 day, retry: true, message: payment_failed}
  - {id: last, after: 12 days, message: last_notice}
end: {after: 14 days, action: cancel_now}
"""
SAID = ("--by", "ada@example.com", "--note", "a [longer] end")
# One for all commands: what there is to find in the templates is found once.
RENDERER = Renderer()


@dataclass
class Typed:
    """Types commands in a folder, in this process."""

    folder: Path

    def run(self, *arguments: str) -> Ended:
        result = CliRunner().invoke(starter.app, ["campaign", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def write(self, text: str, name: str = "gentle.yaml") -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Type where nothing is installed, as on the machine of a CI."""
    for name in [name for name in os.environ if name.startswith(("DUNWELL_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wiring, "Renderer", lambda: RENDERER)
    # A command sets the log up for its process; here that is everybody's.
    logs, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield Typed(tmp_path)
    structlog.configure(**logs)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def desk(
    ci: Typed, databases: Databases, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Typed:
    """Type where Dunwell is installed, with a database of each kind."""
    monkeypatch.setenv("DUNWELL_DATABASE_URL", databases.fresh(request.param))
    monkeypatch.setenv("DUNWELL_SECRET_KEY", "x" * 40)
    return ci


async def test_a_check_by_itself_is_fit_for_a_ci(tmp_path: Path) -> None:
    library = [str(path) for path in sorted(LIBRARY.glob("*.yaml"))]
    passed = await Terminal(tmp_path).run("campaign", "check", *library, "--strict", within=240)
    assert (passed.code, passed.out) == (0, ""), passed.err
    assert passed.err.strip().endswith(f"{len(library)} files: 0 errors, 0 warnings")


def test_a_check_tells_each_fault_in_a_line(ci: Typed) -> None:
    good, warned = ci.write(GENTLE), ci.write(GENTLE.replace("12 days", "4 days"), "warned.yaml")
    line = (
        "warned.yaml:5: warning: after a soft decline the subscription is cancelled 10 days after the last message"
        " that says so (say so again in the last 4 days 16 hours)\n"
    )
    lenient, strict = ci.run("check", good, warned), ci.run("check", good, warned, "--strict")
    assert (lenient.code, lenient.out) == (0, line)
    assert lenient.err.strip().endswith("2 files: 0 errors, 1 warning")
    assert (strict.code, strict.out) == (1, line)
    wrong = ci.write(GENTLE.replace("message: last_notice", "message: last_notise"), "wrong.yaml")
    told = ci.run("check", wrong, "--json")
    assert told.code == 1
    assert told.data == {
        "faults": [
            {
                "file": "wrong.yaml",
                "line": 4,
                "step": "last",
                "what": "there is no template 'last_notise'",
                "suggestion": "did you mean 'last_notice'?",
                "severity": "error",
                "arm": None,
            }
        ],
        "error": 1,
        "warning": 0,
    }
    missing = ci.run("check", "missing.yaml")
    assert (missing.code, "missing.yaml cannot be read" in missing.err) == (1, True)


def test_where_nothing_is_installed_files_can_still_be_compared(ci: Typed) -> None:
    mine = (LIBRARY / "standard.yaml").read_text(encoding="utf-8")
    file = ci.write(mine.replace("after: 3 days", "after: 4 days"))
    for alone in (("diff", "standard", file), ("diff", file)):
        compared = ci.run(*alone)
        assert compared.code == 0, compared.err
        assert compared.out.startswith(
            "standard as it ships → gentle.yaml\n• step second-try: moved from 3 days to 4 days after the failure\n"
        )
    nothing, published = ci.run("diff", "standard@2", file), ci.run("publish", file, *SAID)
    assert (nothing.code, "no campaign 'standard@2' ships" in nothing.err) == (1, True)
    assert (published.code, "run 'make up' in this folder first" in published.err) == (1, True)
    Draft202012Validator.check_schema(ci.run("schema").data)


def test_a_campaign_is_published_and_compared(desk: Typed) -> None:
    file = desk.write(GENTLE)
    tried, unknown = desk.run("publish", file, *SAID, "--dry-run"), desk.run("history", "gentle")
    assert (tried.code, tried.out) == (0, "This would be version 1 of gentle. Nothing was changed.\n"), (
        tried.err
    )
    assert unknown.code == 1
    assert "no campaign is called 'gentle': there are demo, standard" in unknown.err
    first = desk.run("publish", file, *SAID)
    assert (first.code, first.out) == (0, "Version 1 of gentle is published: new cases start with it.\n")

    desk.write(GENTLE.replace("14 days", "15 days"))
    assert desk.run("diff", file).out == (
        "gentle@1 → gentle.yaml\n"
        "• end: time after the failure: 14 days → 15 days\n"
        "…\n"
        "  steps:\n"
        "    - {id: day-1, after: 1 day, retry: true, message: payment_failed}\n"
        "    - {id: last, after: 12 days, message: last_notice}\n"
        "- end: {after: 14 days, action: cancel_now}\n"
        "+ end: {after: 15 days, action: cancel_now}\n"
    )
    change = {"part": "end", "text": "time after the failure: 14 days → 15 days", "change": "changed"}
    assert desk.run("publish", file, *SAID, "--json").data == {
        "name": "gentle",
        "version": 2,
        "is_new": True,
        "only_tried": False,
        "differences": [change],
        "warnings": [],
    }
    assert desk.run("publish", file, *SAID).out == "gentle says this already: it is version 2.\n"
    assert desk.run("show", "gentle@1").out == GENTLE
    for version, days in (("gentle@1", 14), ("gentle", 15)):
        result = CliRunner().invoke(starter.app, ["preview", version, "--json"])
        assert f"the campaign ends {days} days" in result.stdout
    shown = desk.run("show", "gentle", "--json").data
    assert (shown["version"], shown["document"]) == (2, GENTLE.replace("14 days", "15 days"))


def test_rolling_back_is_recorded_and_is_not_undone_by_the_next_run_of_a_ci(desk: Typed) -> None:
    for end in ("14 days", "15 days"):
        file = desk.write(GENTLE.replace("14 days", end))
        assert desk.run("publish", file, *SAID).code == 0
    back = desk.run("rollback", "gentle", "1", "--by", "bob", "--note", "too long", "--json")
    assert back.data == {"name": "gentle", "version": 3, "as_in": 1}
    last, since = desk.run("diff", "gentle", "--json").data, desk.run("diff", "gentle@1")
    assert (last["old"], last["new"]) == ("gentle@2", "gentle@3")
    assert [entry["text"] for entry in last["differences"]] == ["time after the failure: 15 days → 14 days"]
    assert [line["mark"] for line in last["lines"]] == ["…", " ", " ", " ", "-", "+"]
    assert since.out == "gentle@1 → gentle@3\nWhat they do is the same.\n"
    assert [
        (row["version"], row["author"], row["note"], row["origin"], row["current"])
        for row in desk.run("history", "gentle", "--json").data
    ] == [
        (3, "bob", "too long", "file", True),
        (2, "ada@example.com", "a [longer] end", "file", False),
        (1, "ada@example.com", "a [longer] end", "file", False),
    ]
    table = desk.run("history", "gentle").out
    assert "3 (new cases)" in table
    assert "a [longer] end" in table
    refused = desk.run("publish", file, *SAID)
    assert (refused.code, "which was rolled back to version 1" in refused.err) == (1, True)
    assert desk.run("publish", file, *SAID, "--replaces", "3", "--json").data["version"] == 4


def test_a_file_does_not_overwrite_what_the_studio_published(desk: Typed) -> None:
    assert desk.run("show", "standard").code == 0
    asyncio.run(publish_in_the_studio(os.environ["DUNWELL_DATABASE_URL"]))
    file = desk.write(GENTLE.replace("14 days", "15 days"))
    refused = desk.run("publish", file, *SAID)
    assert refused.code == 1
    assert (
        "last changed in the studio: version 1 by eve@example.com, 01 Jun 2026 00:00 UTC (tried)"
        in refused.err
    )
    assert "starter.py campaign show gentle@1" in refused.err
    assert "--replaces 1" in refused.err
    replaced = desk.run("publish", file, *SAID, "--replaces", "1", "--json")
    assert (replaced.code, replaced.data["version"]) == (0, 2), replaced.err


async def publish_in_the_studio(url: str) -> None:
    database = Database(url)
    async with database.begin() as session:
        await campaigns.publish(
            session,
            GENTLE,
            file="studio",
            author="eve@example.com",
            note="tried",
            now=datetime(2026, 6, 1, tzinfo=UTC),
            origin=campaigns.STUDIO,
        )
    await database.close()


def test_what_would_hurt_is_not_published_and_what_is_not_there_is_named(desk: Typed) -> None:
    wrong = desk.write(GENTLE.replace("12 days", "26 hours"))
    published = desk.run("publish", wrong, *SAID)
    assert published.code == 1
    assert "gentle.yaml:4: step last: its mail comes 2 hours after that of step day-1" in published.err
    answers = [
        desk.run("show", "standard@9"),
        desk.run("show", "standard@last"),
        desk.run("rollback", "standard", "1", *SAID),
        desk.run("diff", "standard"),
    ]
    assert [(answer.code, answer.err.strip()) for answer in answers] == [
        (1, "error: campaign 'standard' has no version 9"),
        (1, "error: 'standard@last' names no version: write it as in standard@3"),
        (1, "error: campaign 'standard' is as in version 1 already: that is version 1"),
        (1, "error: there is only one version of 'standard', so nothing was changed"),
    ]
