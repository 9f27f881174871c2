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


def in_document(part: str) -> str:
    """Put something between the name and the rest; it stands on line 2."""
    return GOOD.replace("grace: 2 days\n", f"{part}\n")


def in_step(part: str) -> str:
    """Put something into the step day-3; it stands on line 14."""
    return GOOD.replace("    access: limited\n", f"    access: limited\n    {part}\n")


def in_end(part: str) -> str:
    """Put something into the end; it stands on line 17."""
    return f"{GOOD}  {part}\n"


WINDOW = "calendar: {{messages: {{{}}}}}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # Keys that mean nothing, in every part.
        (in_document("titel: x"), "2: 'titel' means nothing here (did you mean 'title'?)"),
        (in_document("late_grace: 1 day"), "2: 'late_grace' means nothing here (it belongs in 'end')"),
        (in_document("takes: {priorty: 1}"), "2: 'priorty' means nothing here (did you mean 'priority'?)"),
        (
            in_document("takes: {priority: 1, amount: {EUR: {at_lest: 1}}}"),
            "2: 'at_lest' means nothing here (did you mean 'at_least'?)",
        ),
        (in_document("calendar: {zone: UTC}"), "2: 'zone' means nothing here (did you mean 'timezone'?)"),
        (in_document(WINDOW.format("dayz: monday")), "2: 'dayz' means nothing here (did you mean 'days'?)"),
        (
            in_document("calendar: {paydays: {days: 1, withing: 1 day}}"),
            "2: 'withing' means nothing here (did you mean 'within'?)",
        ),
        (
            in_document("arms: [{name: a, wieght: 1}, {name: b, weight: 1}]"),
            "2: arm a: 'wieght' means nothing here (did you mean 'weight'?)",
        ),
        (
            in_document("arms: [{name: a, weight: 1, steps: [{id: q, afer: 1 day}]}]"),
            "2: arm a, step q: 'afer' means nothing here (did you mean 'after'?)",
        ),
        (
            in_document("arms: [{name: a, weight: 1, end: {aftr: 1 day}}]"),
            "2: arm a: 'aftr' means nothing here (did you mean 'after'?)",
        ),
        (
            in_step("only_if: {mail_opend: true}"),
            "14: step day-3: 'mail_opend' means nothing here (did you mean 'mail_opened'?)",
        ),
        (
            in_step("only_if: {attempts: {at_leats: 1}}"),
            "14: step day-3: 'at_leats' means nothing here (did you mean 'at_least'?)",
        ),
        (
            in_step("approval: {within: 1 day, otherwse: skip}"),
            "14: step day-3: 'otherwse' means nothing here (did you mean 'otherwise'?)",
        ),
        (in_end("late_payment: {thn: alert}"), "17: 'thn' means nothing here (did you mean 'then'?)"),
        (
            in_document("calendar: {paydays: {days: 1, colour: red}}"),
            "2: 'colour' means nothing here (one of: after, days, within)",
        ),
        # Words that are not among those there are.
        (
            in_document("takes: {priority: 1, decline_class: sofft}"),
            "2: takes.decline_class: 'sofft' is not known (did you mean 'soft'?)",
        ),
        (
            in_step("only_if: {decline_class: [soft, needs-custommer]}"),
            (
                "14: step day-3: steps.only_if.decline_class: 'needs-custommer' is not known"
                " (did you mean 'needs-customer-action'?)"
            ),
        ),
        (
            in_document(WINDOW.format("days: [Monday, tue]")),
            "2: calendar.messages.days: 'tue' is not known (did you mean 'tuesday'?)",
        ),
        (
            in_document(WINDOW.format("days: Weekdays")),
            "2: calendar.messages.days: 'Weekdays' is not known (did you mean 'weekdays'?)",
        ),
        (
            in_document("takes: {priority: 1, failure: frist}"),
            "2: takes.failure: 'frist' is not known (did you mean 'first'?)",
        ),
        (
            in_step("approval: {within: 1 day, otherwise: go}"),
            "14: step day-3: steps.approval.otherwise: 'go' is not known (did you mean 'go on'?)",
        ),
        (in_step("channel: sms"), "14: step day-3: steps.channel: 'sms' is not known (one of: email)"),
        (
            in_end("late_payment: {then: reinstat}"),
            "17: end.late_payment.then: 'reinstat' is not known (did you mean 'reinstate'?)",
        ),
        (
            in_document("takes: {priority: 1, country: [Germany]}"),
            "2: takes.country: 'Germany' is no country (did you mean 'DE'?)",
        ),
        (
            in_document("takes: {priority: 1, country: USA}"),
            "2: takes.country: 'USA' is no country (did you mean 'US'?)",
        ),
        (
            in_document("takes: {priority: 1, country: Middle Earth}"),
            "2: takes.country: 'Middle Earth' is no country (two letters, such as 'DE')",
        ),
        (
            in_document("takes: {priority: 1, currency: EURO}"),
            "2: takes.currency: 'EURO' is no currency (did you mean 'EUR'?)",
        ),
        (
            in_document("calendar: {timezone: Europe/Berln}"),
            "2: calendar.timezone: 'Europe/Berln' is no time zone (did you mean 'Europe/Berlin'?)",
        ),
        (
            in_document("calendar: {timezone: here}"),
            "2: calendar.timezone: 'here' is no time zone (write it as in 'Europe/Berlin')",
        ),
        # What YAML takes for something else, and what is of the wrong kind.
        (
            in_document("takes: {priority: 1, country: [SE, NO]}"),
            "2: takes.country: 'NO' is read as true or false, not as a word (in quotes: 'NO')",
        ),
        (
            in_document("takes: {priority: 1, plan: 7}"),
            "2: takes.plan: '7' is read as a number, not as a word (in quotes: '7')",
        ),
        (
            in_document("title: 2026-01-01"),
            "2: title: '2026-01-01' is read as a date, not as a word (in quotes: '2026-01-01')",
        ),
        (
            in_document(WINDOW.format("hours: 9 to 5")),
            ("2: calendar.messages.hours: '9 to 5' is no stretch of hours: write it as in '09:00 to 20:00'"),
        ),
        (
            in_document(WINDOW.format("quiet: 00:00 to 24:00")),
            "2: calendar.messages: no hour is left: the quiet hours cover all of them",
        ),
        (
            in_document("calendar: {paydays: {days: [1, 32, lst]}}"),
            "2: calendar.paydays.days: '32' is no day of the month (1 to 31, or 'last')",
        ),
        (
            in_document("calendar: {paydays: {days: []}}"),
            "2: calendar.paydays.days: is empty",
        ),
        (in_document("retries: 99"), "2: retries: '99' cannot be: the most is 20"),
        (in_document("retries: many"), "2: retries: 'many' is no whole number"),
        (in_document("spacing:"), "2: spacing: is empty"),
        (in_document("arms: 7"), "2: arms: '7' stands where a list is expected (begin each entry with '- ')"),
        (
            in_document("arms: [{name: a, weight: 1}, 7]"),
            (
                "2: arm 2: arms: '7' stands where a group of keys is expected"
                " (it holds: name, weight, holdout, steps, end, messages)"
            ),
        ),
        (
            in_document("arms: [{name: a, weight: -1}]"),
            "2: arm a: arms.weight: '-1' cannot be: the least is 0",
        ),
        (in_document("takes: [a]"), "2: takes: a list stands where a group of keys is expected"),
        (
            in_document("takes: {priority: 1, tags: {a: b}}"),
            "2: takes.tags: a group of keys stands where a word is expected",
        ),
        (
            in_document("takes: {priority: 1, plan: pro, first_payments: maybe}"),
            "2: takes.first_payments: 'maybe' is neither true nor false (true or false)",
        ),
        (in_document("takes: {plan: pro}"), "2: takes: a segment needs a priority"),
        (
            in_step("only_if: {attempts: 3}"),
            (
                "14: step day-3: steps.only_if.attempts: '3' stands where a group of keys is expected"
                " (it holds: at_least, at_most)"
            ),
        ),
        (in_step('alert: ""'), "14: step day-3: steps.alert: is empty"),
        (
            in_step(f"alert: {'x' * 501}"),
            "14: step day-3: steps.alert: has 501 letters: the most is 500 (shorten it)",
        ),
        (
            in_step("only_if: {amount: {EUR: {}}}"),
            "14: step day-3: steps.only_if.amount.EUR: needs at_least, below, or both",
        ),
        (in_step("1: 2"), "14: step day-3: steps: 1 is no key: keys are words"),
        # What only the whole can tell.
        (
            in_document("arms: [{name: a, weight: 1, end: {after: 2 days, action: leave}}]"),
            "2: arm a, step day-3: comes at 3 days, not before the end at 2 days",
        ),
        (
            in_document("arms: [{name: a, weight: 1}, {name: a, weight: 1}]"),
            "2: arm a: the arm 'a' stands twice",
        ),
        (in_document("arms: [{name: a, weight: 0}]"), "2: the weights are all 0"),
    ],
)
def test_every_part_of_the_language_is_read_closely(text: str, fault: str) -> None:
    found = faults(text)
    assert any(line.startswith(f"gentle.yaml:{fault}") for line in found), found
    assert not any("input" in line.lower() or "valid" in line for line in found)


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
        GOOD.replace("grace: 2 days", "grace: &a [*a]"),
        GOOD.replace("grace: 2 days", "grace: &a {b: *a}"),
        GOOD.replace("grace: 2 days", "grace: 2026-13-45"),
        GOOD.replace("grace: 2 days", f"grace: {'[' * 3000}"),
    ],
)
def test_even_a_strange_document_gives_faults_and_no_other_error(text: str) -> None:
    assert all(fault.startswith("gentle.yaml:") for fault in faults(text))
