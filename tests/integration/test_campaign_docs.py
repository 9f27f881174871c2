"""The examples of docs/campaigns.md: each is a campaign that may be published, and does what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import yaml

from campaigns.arms import assign, for_case
from campaigns.checking import check
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Action, Plan
from tests.unit.test_declines import TABLE
from wiring import known_anywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.document import Campaign

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text(encoding="utf-8")
KNOWN = known_anywhere(datetime(2026, 6, 1, tzinfo=UTC))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIRST_LINE = re.compile(r"failed (\d{4}-\d\d-\d\d \d\d:\d\d) (\S+) (\w+)\n")


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


def spelled(plan: Plan) -> str:
    words = {
        Action.CHARGE: "charge",
        Action.MESSAGE: f"mail {plan.template}",
        Action.ACCESS: f"access {plan.access}",
        Action.ALERT: f"team {plan.note}",
        Action.END: f"end {plan.final_action}",
    }
    return words[plan.action]


def campaign_of(example: Example) -> Campaign:
    checked = check(example.document, file="docs/campaigns.md", known=KNOWN)
    assert checked.campaign is not None, checked.faults
    return checked.campaign


def test_the_page_has_examples_and_tables() -> None:
    assert len(EXAMPLES) >= 12
    assert len(TABLES) >= 7
    assert EXAMPLES[0].document.startswith("name: gentle\n")


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
    sample = Sample(failed_at, TABLE.judge(first[3]), timezone=first[2], arm=assign(campaign, "ada"))
    story = begin(campaign, sample)
    found = [
        f"{item.at.astimezone(zone):%Y-%m-%d %H:%M} {spelled(item.plan)}"
        for item in simulate(for_case(campaign, story, {}), story, failed_at)
        if item.plan
    ]
    assert found == table.splitlines()[1:]
