"""Campaign documents: every fault at once, each with its file, line, step and a way out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.document import AccessLevel, FinalAction
from campaigns.reading import read_campaign
from errors import BadCampaign
from store.campaigns import LIBRARY

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: gentle
grace: 2 days
minimum: {EUR: 1.00, JPY: "100"}
messages:
  receipt: payment_received
steps:
  - id: day-1
    after: 1 day
    retry: true
    message: payment_failed
  - id: day-3
    after: 3 days
    access: limited
end:
  after: 14 days
  action: cancel_now
"""


def faults(text: str) -> list[str]:
    with pytest.raises(BadCampaign) as caught:
        read_campaign(text, file="gentle.yaml")
    assert str(caught.value) == "\n".join(str(fault) for fault in caught.value.faults)
    return [str(fault) for fault in caught.value.faults]


def test_a_document_is_read_as_it_is_meant() -> None:
    campaign = read_campaign(GOOD, file="gentle.yaml")
    assert [(step.id, step.after, step.retry) for step in campaign.steps] == [
        ("day-1", timedelta(days=1), True),
        ("day-3", timedelta(days=3), False),
    ]
    assert campaign.steps[1].access is AccessLevel.LIMITED
    assert (campaign.end.after, campaign.end.action) == (timedelta(days=14), FinalAction.CANCEL_NOW)
    assert (campaign.smallest("eur"), campaign.smallest("JPY"), campaign.smallest("USD")) == (100, 100, 0)
    assert campaign.templates() >= {"payment_failed", "payment_received", "last_notice", "card_declined"}


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_campaigns_that_ship_are_faultless(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    campaign = read_campaign(text, file=path.name)
    assert campaign.name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "retry: true",
            "retrys: true",
            "gentle.yaml:9: step day-1: 'retrys' means nothing here (did you mean 'retry'?)",
        ),
        ("name: gentle\n", "", "gentle.yaml:1: 'name' is missing"),
        (
            "name: gentle",
            "name: Very Gentle",
            "gentle.yaml:1: name: 'Very Gentle' is not a name (small letters, digits, '-' and '_')",
        ),
        (
            "after: 3 days",
            "after: 3 moons",
            (
                "gentle.yaml:12: step day-3: steps.after: '3 moons' is not a length of time:"
                " write it as in '3 days' or '36h'"
            ),
        ),
        (
            "access: limited",
            "access: limitted",
            "gentle.yaml:13: step day-3: steps.access: 'limitted' is not known (did you mean 'limited'?)",
        ),
        (
            "action: cancel_now",
            "action: explode",
            (
                "gentle.yaml:16: end.action: 'explode' is not known"
                " (one of: cancel_now, cancel_at_period_end, mark_unpaid, pause, leave)"
            ),
        ),
        (
            "access: limited",
            "retry: false",
            "gentle.yaml:11: step day-3: steps: does nothing: give it a retry, a message, an access level or an alert",
        ),
        ("id: day-3", "id: day-1", "gentle.yaml:11: step day-1: the id 'day-1' is used twice"),
        ("id: day-3", "id: end", "gentle.yaml:11: step end: the id 'end' is used twice"),
        (
            "after: 3 days",
            "after: 12 hours",
            "gentle.yaml:11: step day-3: does not come after the step before it: order steps by time",
        ),
        (
            "after: 3 days",
            "after: 20 days",
            "gentle.yaml:11: step day-3: comes at 20 days, not before the end at 14 days",
        ),
        (
            "grace: 2 days",
            "grace: 5 days",
            "gentle.yaml:11: step day-3: takes access away at 3 days, inside the grace period of 5 days",
        ),
        (
            "grace: 2 days",
            "retries: 0",
            "gentle.yaml:2: the steps charge more often than the limit of 0 allows",
        ),
        (
            'JPY: "100"',
            'JPY: "1.50"',
            (
                "gentle.yaml:3: minimum: 1.50 JPY is not an amount of that currency: it has 0 decimal places"
                " and is not negative"
            ),
        ),
        (
            "receipt: payment_received",
            "reciept: payment_received",
            "gentle.yaml:5: 'reciept' means nothing here (did you mean 'receipt'?)",
        ),
    ],
)
def test_a_fault_is_told_with_its_place_and_a_way_out(old: str, new: str, fault: str) -> None:
    assert GOOD.count(old) >= 1
    found = faults(GOOD.replace(old, new, 1))
    assert fault in found


def test_all_faults_are_told_at_once_in_order_of_lines() -> None:
    text = (
        GOOD.replace("retry: true", "retrys: true").replace("limited", "limitted").replace("cancel_now", "x")
    )
    found = faults(text)
    assert [fault.split(":")[1] for fault in found] == ["9", "13", "16"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: [", "gentle.yaml:1: not YAML"),
        ("name: gentle\n\tsteps: 1", "gentle.yaml:2: not YAML"),
        ("", "gentle.yaml:1: a campaign is a mapping that starts with 'name:'"),
        ("- a\n- b\n", "gentle.yaml:1: a campaign is a mapping that starts with 'name:'"),
        ("just text", "gentle.yaml:1: a campaign is a mapping that starts with 'name:'"),
        ("name: !!python/object/apply:os.getcwd []", "gentle.yaml:1: not YAML"),
        ("name: a\x00b", "gentle.yaml:1: not YAML"),
        ("name: one\n---\nname: two\n", "gentle.yaml:2: not YAML"),
    ],
)
def test_what_is_no_campaign_at_all_is_told_too(text: str, fault: str) -> None:
    assert faults(text)[0].startswith(fault)


def test_a_key_that_stands_twice_is_a_fault() -> None:
    # YAML would quietly take the last of them, and the author would read the first.
    found = faults(GOOD.replace("    access: limited\n", "    access: limited\n    after: 9 days\n"))
    assert any(fault.startswith("gentle.yaml:14: step day-3:") for fault in found)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("steps:\n", "steps: day-1\nunused:\n"),
        GOOD.replace("end:\n", "end: never\nunused:\n"),
        GOOD.replace("grace: 2 days", "1: one\n[a, b]: two"),
        GOOD.replace('minimum: {EUR: 1.00, JPY: "100"}', "minimum: {1: 2}"),
        GOOD.replace("  - id: day-1", "  - 7\n  - id: day-1"),
    ],
)
def test_even_a_strange_document_gives_faults_and_no_other_error(text: str) -> None:
    assert all(fault.startswith("gentle.yaml:") for fault in faults(text))
