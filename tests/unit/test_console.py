"""How cases look on a terminal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

import console
from campaigns.story import Action, Lever, Outcome, Plan, Status
from contract import CaseStatus, Line
from store.tables import CaseRow, SwitchRow

if TYPE_CHECKING:
    from rich.console import RenderableType

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def drawn(what: RenderableType) -> str:
    page = Console(file=io.StringIO(), width=200, no_color=True)
    page.print(what)
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


def case(**more: Any) -> CaseRow:
    values: dict[str, Any] = {
        "id": "case_1",
        "workflow_id": "w",
        "processor": "p",
        "account": "main",
        "invoice": "in_1",
        "status": Status.WAITING,
        "reserved_at": NOW,
        "customer": "cus_1",
        "amount": 4900,
    }
    return CaseRow(**(values | more))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "waiting"),
        ({"status": Status.NEEDS_REVIEW}, "needs review"),
        (
            {"status": Status.CLOSED, "outcome": Outcome.RECOVERED, "lever": Lever.CARD_UPDATE},
            "recovered · card update",
        ),
        (
            {"status": Status.CLOSED, "outcome": Outcome.CANCELLED, "ended_by": "customer"},
            "cancelled · customer",
        ),
        (
            {"status": Status.CLOSED, "outcome": Outcome.EXHAUSTED, "final_action": "cancel_now"},
            "exhausted · cancel now",
        ),
        ({"status": Status.CLOSED, "outcome": Outcome.VOIDED}, "voided"),
    ],
)
def test_a_case_says_where_it_stands_or_how_it_ended(row: dict[str, Any], words: str) -> None:
    assert console.state_of(case(**row)).plain == words


def test_every_status_and_outcome_can_be_drawn() -> None:
    rows = [case(id=f"case_{status}", status=status) for status in Status]
    rows += [case(id=f"case_{outcome}", status=Status.CLOSED, outcome=outcome) for outcome in Outcome]
    text = drawn(console.cases_table(rows))
    assert all(row.id in text for row in rows)


def test_a_table_of_cases_shows_what_a_person_looks_for() -> None:
    row = case(currency="EUR", decline="insufficient_funds", sentence="next charge on Monday")
    text = drawn(console.cases_table([row, case(id="case_2")]))
    for words in (
        "case_1",
        "in_1",
        "cus_1",
        "€49.00",
        "insufficient funds",
        "next charge on Monday",
        "case_2",
    ):
        assert words in text


def test_a_story_ends_with_what_comes_next() -> None:
    step = Plan(action=Action.CHARGE, id="day-1.charge", at=NOW + timedelta(days=1), why="step day-1")
    status = CaseStatus(
        case_id="case_1",
        workflow_id="w",
        status=Status.WAITING,
        sentence="next: charge",
        next_step=step,
        timeline=(Line(at=NOW, text="$49.00 failed"),),
    )
    lines = drawn(console.case_story(status)).splitlines()
    assert "case_1 · waiting · next: charge" in lines[0]
    first = next(place for place, line in enumerate(lines) if "02 Mar 2026 09:00:00" in line)
    assert "$49.00 failed" in lines[first]
    assert "03 Mar 2026 09:00:00" in lines[first + 1]
    assert "next: charge" in lines[first + 1]


def test_a_preview_counts_from_the_failure() -> None:
    step = Plan(
        action=Action.MESSAGE, id="m", at=NOW + timedelta(days=3), why="step day-3", template="payment_failed"
    )
    text = drawn(console.preview_table([step], NOW, "gentle"))
    for words in ("gentle", "+3 days", "message payment failed", "step day-3"):
        assert words in text


def test_a_stop_that_holds_for_everybody_cannot_be_overlooked() -> None:
    stopped = SwitchRow(name="charges", stopped=True, by="ada", why="duplicate charges", at=NOW)
    running = SwitchRow(name="messages", stopped=False, by="ada", why="all is well", at=NOW)
    text = drawn(console.switches_table([stopped, running]))
    assert "STOPPED" in text
    assert "running" in text
    assert "duplicate charges" in text


def test_what_comes_from_outside_is_shown_as_it_is() -> None:
    # rich reads [...] as markup: an id or a reason in brackets must not vanish or break the table.
    row = case(sentence="paused by ops: [bold]see [/x] ticket [123]", invoice="in_[red]")
    text = drawn(console.cases_table([row]))
    assert "[123]" in text
    assert "[/x]" in text
    assert "in_[red]" in text


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json([{"at": NOW, "text": "x" * 500}])
    assert json.loads(capsys.readouterr().out) == [{"at": str(NOW), "text": "x" * 500}]
