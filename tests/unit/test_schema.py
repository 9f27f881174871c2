"""The JSON Schema of campaigns: it lets pass what can be read, and marks what an editor can see to be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft202012Validator

from campaigns.document import Campaign
from campaigns.schema import campaign_schema
from store.campaigns import LIBRARY
from tests.unit.any_campaign import documents
from tests.unit.test_campaign_reading import GOOD, WINDOW, in_document, in_end, in_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = campaign_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def marks(text: str) -> list[str]:
    return [
        ".".join(str(part) for part in error.absolute_path)
        for error in VALIDATOR.iter_errors(yaml.safe_load(text))
    ]


def properties(schema: dict[str, Any] = SCHEMA) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"Campaign": schema, **schema["$defs"]}.items():
        for key, told in part.get("properties", {}).items():
            yield f"{name}.{key}", told


def test_it_is_a_schema_and_travels_as_json() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_explained_and_no_other_is_allowed() -> None:
    assert [name for name, told in properties() if not told.get("description")] == []
    assert [name for name, told in properties() if "``" in told["description"]] == []
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    assert [
        part["title"] for part in parts if part["type"] == "object" and part["additionalProperties"]
    ] == []
    # Whatever can be left out is not shown as something that may be empty.
    assert "null" not in json.dumps(SCHEMA)


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_campaigns_that_ship_pass(path: Path) -> None:
    assert marks(path.read_text(encoding="utf-8")) == []


@given(documents())
def test_whatever_can_be_read_passes(document: dict[str, Any]) -> None:
    Campaign.model_validate(document)
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    "text",
    [
        in_document(
            "takes: {priority: 1, plan: pro, country: [DE, AT], amount: {EUR: {at_least: 10, below: '20.5'}}}"
        ),
        in_document(WINDOW.format("hours: [08:00 to 12:00, 13:00-20:00], days: weekdays, holidays: false")),
        in_document(
            "calendar: {timezone: Europe/Berlin, paydays: {days: [1, last], after: insufficient_funds}}"
        ),
        in_document("promise: {within: 10 days, times: 2}"),
        in_document("arms: [{name: a, weight: 1}, {name: out, weight: 1, holdout: true}]"),
        in_step("only_if: {attempts: {at_most: 3}, mail_opened: true, attributes: {tier: [gold]}}"),
        in_step("approval: {within: 36h, otherwise: go on}"),
        in_end("late_payment: {within: 60d, then: reinstate}"),
    ],
)
def test_the_short_ways_of_writing_pass(text: str) -> None:
    Campaign.model_validate(yaml.safe_load(text))
    assert marks(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (in_document("titel: x"), ""),
        (in_document("grace: 3 moons"), "grace"),
        (in_document("grace: 3"), "grace"),
        (in_document("retries: 99"), "retries"),
        (in_document("promise: {times: 9}"), "promise.times"),
        (in_document("takes: {priority: 1, country: Germany}"), "takes.country"),
        (in_document("takes: {priority: 1, amount: {EURO: {below: 1}}}"), "takes.amount"),
        (in_document("takes: {priority: 1, decline_class: [sofft]}"), "takes.decline_class"),
        (in_document(WINDOW.format("hours: 9 to 5")), "calendar.messages.hours"),
        (in_document(WINDOW.format("days: [mon]")), "calendar.messages.days"),
        (in_document("calendar: {paydays: {days: 32}}"), "calendar.paydays.days"),
        (in_document("arms: [{name: a, wieght: 1}]"), "arms.0"),
        (in_step("only_if: {mail_opend: true}"), "steps.1.only_if"),
        (in_step("only_if: {attempts: 3}"), "steps.1.only_if.attempts"),
        (in_step("before_end: 1 day"), "steps.1"),
        (in_step("channel: sms"), "steps.1.channel"),
        (GOOD.replace("    access: limited\n", ""), "steps.1"),
        (GOOD.replace("    after: 3 days\n", ""), "steps.1"),
        (in_end("late_payment: {then: x}"), "end.late_payment.then"),
        (GOOD.replace("  action: cancel_now\n", ""), "end"),
        (GOOD.replace("name: gentle\n", ""), ""),
    ],
)
def test_what_is_wrong_is_marked_where_it_stands(text: str, place: str) -> None:
    assert place in marks(text)
