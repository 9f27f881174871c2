"""The command that tries a draft on past failures, as an owner or a CI types it."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog
from typer.testing import CliRunner

import starter
from campaigns.comparison import UNKNOWN
from campaigns.story import Outcome
from store.database import Database
from store.past_cases import NOT_KEPT
from tests.conftest import POSTGRESQL, SQLITE
from tests.integration.past_cases import LATER, PLAIN, case, fill
from tests.integration.processes import Ended, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Databases

PAST = "id,failed_at,amount,currency\nin_7,2026-03-02T09:00:00Z,49.00,USD\n"


@dataclass
class Typed:
    """Types the command in a folder, in this process, about a draft that is there."""

    folder: Path

    def run(self, *arguments: str) -> Ended:
        result = CliRunner().invoke(starter.app, ["what-if", "draft.yaml", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Type where nothing is installed, as on the machine of a CI."""
    for name in [name for name in os.environ if name.startswith(("DUNWELL_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # A command sets the log up for its process; here that is everybody's.
    logs, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    typed = Typed(tmp_path)
    typed.write("draft.yaml", LATER)
    yield typed
    structlog.configure(**logs)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def desk(
    ci: Typed, databases: Databases, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Typed:
    """Type where Dunwell is installed and two cases have ended, with a database of each kind."""
    url = databases.fresh(request.param)
    asyncio.run(_fill(url))
    monkeypatch.setenv("DUNWELL_DATABASE_URL", url)
    monkeypatch.setenv("DUNWELL_SECRET_KEY", "x" * 40)
    return ci


async def _fill(url: str) -> None:
    database = Database(url)
    await fill(database, [case(1), case(2, Outcome.CANCELLED, after=timedelta(days=2))])
    await database.close()


def test_a_draft_is_tried_on_the_cases_here(desk: Typed) -> None:
    told = desk.run("--json")
    assert told.code == 0, told.err
    assert (told.data["document"], told.data["against"]) == ("draft.yaml", "standard@1")
    assert (told.data["failures"], told.data["changed"]) == (2, 1)
    assert told.data["unknown"] == [*UNKNOWN, *NOT_KEPT]
    [days] = [row for row in told.data["figures"] if row["what"].startswith("days until the end")]
    # One goes to the end, on day 14 or 10; the other was cancelled on day 2.
    assert days == {
        "what": "days until the end, on average",
        "published": 8.0,
        "draft": 6.0,
        "difference": -2.0,
    }
    assert desk.run("--since", "2026-03-02", "--against", "standard@1", "--json").data == told.data
    assert desk.run("--since", "2026-03-03", "--json").data["failures"] == 0


async def test_a_person_gets_a_table_examples_and_what_nobody_can_know(tmp_path: Path) -> None:
    ci = Typed(tmp_path)
    ci.write("draft.yaml", LATER)
    ci.write("main.yaml", PLAIN)
    more = "in_8,2026-03-02T09:00:00Z,49.00,USD,odd_code\n"
    ci.write("past.csv", PAST.replace("currency\n", "currency,decline\n").replace("USD\n", "USD,\n") + more)
    told = await Terminal(tmp_path).run(
        "what-if", "draft.yaml", "--csv", "past.csv", "--against", "main.yaml"
    )
    assert told.code == 0, told.err
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert "draft.yaml tried on 2 failures" in lines
    assert "┃ ┃ main.yaml ┃ draft ┃ difference ┃" in lines
    assert "│ charges │ 4 │ 4 │ 0 │" in lines
    assert "│ days with full access │ 28 │ 20 │ -8 │" in lines
    changes = (
        "ends 10 days after the failure instead of 14 days; charge 2 after 4 days instead of 3 days;"
        " mail 2 after 4 days instead of 3 days"
    )
    assert lines[lines.index("2 of 2 failures would go another way.") :] == [
        "2 of 2 failures would go another way.",
        f"in_7: {changes}",
        f"in_8: {changes}",
        "Codes that are not known count as soft: odd_code (1)",
        "What this cannot know",
        *UNKNOWN,
    ]


def test_a_draft_is_tried_on_a_file_where_nothing_is_installed(ci: Typed) -> None:
    past = ci.write("past.csv", PAST)
    ci.write("main.yaml", PLAIN)
    told = ci.run("--csv", "past.csv", "--against", "main.yaml", "--json")
    assert told.code == 0, told.err
    assert (told.data["against"], told.data["published"]["days"], told.data["draft"]["days"]) == (
        "main.yaml",
        14,
        10,
    )
    shipped = ci.run("--csv", "past.csv", "--json")
    assert (shipped.data["against"], shipped.data["published"]["days"]) == ("standard, as it ships", 28)
    # The file is its owner's, and stays.
    assert past.exists()


def test_a_campaign_that_was_never_published_is_shown_alone(ci: Typed) -> None:
    ci.write("past.csv", PAST)
    ci.write("draft.yaml", LATER.replace("name: standard", "name: new"))
    told = ci.run("--csv", "past.csv", "--json")
    assert (told.data["against"], told.data["published"], told.data["draft"]["taken"]) == (None, None, 1)
    shown = ci.run("--csv", "past.csv")
    assert "would go another way" not in shown.out


def test_a_draft_that_takes_nothing_is_told_what_it_lacks(desk: Typed) -> None:
    desk.write("draft.yaml", LATER.replace("name: standard", "name: new"))
    assert "it needs a segment, or to be the default" in " ".join(desk.run().out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "other"), "no campaign is called 'other': there are"),
        (("--against", "standard@9"), "campaign 'standard' has no version 9"),
        (("--against", "standard@new"), "a version is a number, as in standard@3"),
        (("--since", "May"), "--since May: write it as in 2026-01-31"),
        (("--since", "2026-01-31", "--csv", "draft.yaml"), "a file is taken as it is"),
        (("--csv", "draft.yaml"), "draft.yaml:1: the column 'failed_at' is missing"),
        (("--csv", "none.csv"), "none.csv cannot be read"),
    ],
)
@pytest.mark.parametrize("desk", [SQLITE], indirect=True)
def test_what_cannot_be_done_is_said(desk: Typed, arguments: tuple[str, ...], said: str) -> None:
    told = desk.run(*arguments)
    assert (told.code, told.out) == (1, "")
    assert said in " ".join(told.err.split())


def test_where_nothing_is_installed_failures_have_to_come_from_a_file(ci: Typed) -> None:
    told = ci.run()
    assert (told.code, "give --csv FILE" in told.err) == (1, True)
    ci.write("past.csv", PAST)
    told = ci.run("--csv", "past.csv", "--against", "premium")
    assert (told.code, "name a file" in told.err) == (1, True)
