"""What a case can be found by, and what counts as a change of it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from temporalio.common import SearchAttributeIndexedValueType as ValueType

import search
from campaigns.story import Status
from contract import Attributes

FAILED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

FULL = Attributes(
    status=Status.CHARGING,
    customer="cus_1",
    invoice="in_1",
    campaign="standard",
    arm="b",
    decline="insufficient_funds",
    currency="EUR",
    plan="pro",
    country="DE",
    network="visa",
    amount=1900,
    campaign_version=3,
    attempts=2,
    failed_at=FAILED,
    next_step_at=FAILED,
    flags=("high value", "hard decline"),
)


def _written(old: Attributes | None, new: Attributes) -> dict[str, object]:
    return {update.key.name: update.value for update in search.changes(old, new)}


def test_every_field_of_the_contract_has_an_attribute() -> None:
    assert len(search.pairs(FULL)) == len(Attributes.model_fields) == len(search.KEYS)


def test_the_namespace_has_room_for_them() -> None:
    room = {ValueType.KEYWORD: 10}
    for kind, count in Counter(key.indexed_value_type for key in search.KEYS).items():
        assert count <= room.get(kind, 3), kind


def test_names_are_plain_and_unique() -> None:
    names = [key.name for key in search.KEYS]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name[0].isupper() for name in names)


def test_pairs_hold_what_is_known_and_no_more() -> None:
    attributes = Attributes(customer="cus_1", failed_at=FAILED)
    assert {pair.key.name: pair.value for pair in search.pairs(attributes)} == {
        "CaseStatus": "waiting",
        "Customer": "cus_1",
        "Attempts": 0,
        "FailedAt": FAILED,
    }


def test_values_have_their_attributes_types() -> None:
    for pair in search.pairs(FULL):
        assert isinstance(pair.value, pair.key.origin_value_type) or pair.key is search.FLAGS
    assert search.pairs(FULL)[search.FLAGS] == ["hard decline", "high value"]


def test_no_change_writes_nothing() -> None:
    assert search.changes(FULL, FULL) == []
    assert search.changes(FULL, FULL.model_copy(update={"flags": FULL.flags[::-1]})) == []


def test_only_what_changed_is_written() -> None:
    new = FULL.model_copy(update={"status": Status.WAITING, "attempts": 3})
    assert _written(FULL, new) == {"CaseStatus": "waiting", "Attempts": 3}


def test_what_is_emptied_is_unset() -> None:
    new = FULL.model_copy(update={"status": Status.CLOSED, "next_step_at": None, "flags": (), "decline": ""})
    assert _written(FULL, new) == {
        "CaseStatus": "closed",
        "NextStepAt": None,
        "Flags": None,
        "Decline": None,
    }


def test_the_first_write_holds_everything_known() -> None:
    assert _written(None, FULL) == {pair.key.name: pair.value for pair in search.pairs(FULL)}


def test_changes_come_in_one_order_whatever_changed() -> None:
    """A replay has to issue the very command that is in history."""
    names = [update.key.name for update in search.changes(None, FULL)]
    assert names == [key.name for key in search.KEYS]


@pytest.mark.parametrize("field", ["plan", "decline", "customer"])
def test_a_keyword_fits_its_column(field: str) -> None:
    attributes = Attributes(**{field: "x" * 400})
    assert max(len(str(pair.value)) for pair in search.pairs(attributes)) == 255
