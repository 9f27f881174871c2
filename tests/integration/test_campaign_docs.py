"""The examples of docs/campaigns.md: each is a campaign that may be published, and does what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from campaigns.arms import assign, for_case
from campaigns.calendars import Calendar, Paydays, Window
from campaigns.checking import check
from campaigns.conditions import Conditions
from campaigns.document import Approval, Arm, Campaign, End, LatePayment, Messages, Promise, Step
from campaigns.durations import parse_duration
from campaigns.grammar import AmountRange, CountRange
from campaigns.segments import Takes
from campaigns.simulation import Customer, Happened, Sample, begin, simulate
from campaigns.story import Action
from tests.unit.test_declines import verdict_of
from wiring import known_anywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.grammar import Part

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text(encoding="utf-8")
KNOWN = known_anywhere(datetime(2026, 6, 1, tzinfo=UTC))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIRST_LINE = re.compile(r"failed (\d{4}-\d\d-\d\d \d\d:\d\d) (\S+) (\w+)(?: in (\w\w))?(?:; (.+))?\n")
# What a table's first line may say of the customer and the team.
DEEDS = {
    "a new card after": "new_card_after",
    "opens mails after": "opens_mail_after",
    "the team approves": "approves",
}


@dataclass(frozen=True)
class Example:
    """A block of the page: the campaign that it makes, and the tables that follow it."""

    heading: str
    document: str
    tables: tuple[str, ...]


def examples() -> Iterator[Example]:
    """Give every YAML block, a part put into the page's first campaign, with the tables up to the next one."""
    whole: dict[str, object] = {}
    made: list[tuple[str, str, list[str]]] = []
    for block in BLOCK.finditer(PAGE):
        heading = re.findall(r"^#+ (.+)$", PAGE[: block.start()], re.MULTILINE)[-1]
        if block[1] == "yaml":
            part = yaml.safe_load(block[2])
            whole = whole or part
            made.append((heading, yaml.safe_dump(whole | part, sort_keys=False), []))
        elif FIRST_LINE.match(block[2]):
            made[-1][2].append(block[2])
    for heading, document, tables in made:
        yield Example(heading, document, tuple(tables))


EXAMPLES = list(examples())
TABLES = [(example, table) for example in EXAMPLES for table in example.tables]


def spelled(happened: Happened) -> str:
    plan = happened.plan
    if plan is None:
        return f"customer {happened.event}"
    words = {
        Action.CHARGE: "charge",
        Action.MESSAGE: f"mail {plan.template}",
        Action.ACCESS: f"access {plan.access}",
        Action.ALERT: f"team {plan.note}",
        Action.END: f"end {plan.final_action}",
    }
    return words[plan.action]


def customer(words: str | None) -> Customer:
    """Read what the customer does: ``a new card after 3 days; opens mails after 2 hours``."""
    known: dict[str, Any] = {}
    for deed in (words or "").split("; "):
        for name, field in DEEDS.items():
            if deed.startswith(name):
                after = deed.removeprefix(name).strip()
                known[field] = parse_duration(after) if after else True
    assert len(known) == (words or "").count("; ") + bool(words), words
    return Customer(**known)


def campaign_of(example: Example) -> Campaign:
    checked = check(example.document, file="docs/campaigns.md", known=KNOWN)
    assert checked.campaign is not None, checked.faults
    return checked.campaign


def test_the_page_has_examples_and_tables() -> None:
    assert len(EXAMPLES) >= 12
    assert len(TABLES) >= 12
    assert EXAMPLES[0].document.startswith("name: gentle\n")


@pytest.mark.parametrize(
    "part",
    [
        *(Campaign, Takes, Calendar, Window, Paydays, Step, Conditions, Approval),
        *(End, LatePayment, Messages, Promise, Arm, AmountRange, CountRange),
    ],
)
def test_the_page_names_every_word_of_the_language(part: type[Part]) -> None:
    assert [name for name in part.model_fields if not re.search(rf"\b{name}\b", PAGE)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.heading)
def test_an_example_may_be_published(example: Example) -> None:
    checked = check(example.document, file="docs/campaigns.md", known=KNOWN)
    assert [str(fault) for fault in checked.faults if fault.severity == "error"] == []
    assert checked.campaign is not None


@pytest.mark.parametrize(("example", "table"), TABLES, ids=lambda value: getattr(value, "heading", ""))
def test_a_table_says_what_happens(example: Example, table: str) -> None:
    first = FIRST_LINE.match(table)
    assert first is not None
    zone = ZoneInfo(first[2])
    failed_at = datetime.fromisoformat(first[1]).replace(tzinfo=zone).astimezone(UTC)
    campaign = campaign_of(example)
    verdict, arm = verdict_of(first[3]), assign(campaign, "ada")
    sample = Sample(failed_at, verdict, timezone=first[2], country=first[4], arm=arm)
    story = begin(campaign, sample)
    found = [
        f"{item.at.astimezone(zone):%Y-%m-%d %H:%M} {spelled(item)}"
        for item in simulate(for_case(campaign, story, {}), story, failed_at, customer(first[5]))
    ]
    assert found == table.splitlines()[1:]
