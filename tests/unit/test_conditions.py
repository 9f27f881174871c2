"""Which cases a step is for: each condition by itself, several together, and what the customer may yet do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns.conditions import Conditions
from campaigns.declines import DeclineClass
from tests.unit import as_written
from tests.unit.any_campaign import ATTRIBUTES, Document, conditions, failures
from tests.unit.planner_story import story

if TYPE_CHECKING:
    from campaigns.story import Story

DUE = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
BEFORE, AFTER = DUE - timedelta(seconds=1), DUE + timedelta(seconds=1)
KNOWN: dict[str, Any] = {
    "plan": "pro",
    "currency": "EUR",
    "amount": 4900,
    "decline": "insufficient_funds",
    "decline_class": "soft",
    "charges": 2,
}
GOLD = {"tier": "gold", "seats": 12}


def holds(wanted: Document, attributes: Document = GOLD, **more: Any) -> bool:
    found, case = Conditions.model_validate(wanted), story(**KNOWN | more)
    return found.fit(case, attributes) and found.why_not(case, DUE) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"decline_class": "soft"}, True),
        ({"decline_class": ["hard", "fraud"]}, False),
        ({"decline": "insufficient_funds"}, True),
        ({"decline": ["do_not_honor", "stolen_card"]}, False),
        ({"currency": "eur"}, True),
        ({"currency": ["USD", "GBP"]}, False),
        ({"amount": {"EUR": {"at_least": "49.00"}}}, True),
        ({"amount": {"EUR": {"at_least": 49.01}}}, False),
        ({"amount": {"EUR": {"below": 49}}}, False),
        ({"amount": {"EUR": {"at_least": 20, "below": "49.01"}}}, True),
        ({"amount": {"USD": {"at_least": 1}}}, False),  # a currency that is not named does not hold
        ({"amount": {"USD": {"at_least": 1}, "eur": {"at_least": 1}}}, True),
        ({"plan": ["basic", "pro"]}, True),
        ({"plan": "basic"}, False),
        ({"attributes": {"tier": ["gold", "silver"]}}, True),
        ({"attributes": {"tier": "silver"}}, False),
        ({"attributes": {"seats": "12"}}, True),
        ({"attributes": {"tier": "gold", "region": "north"}}, False),
        ({"attempts": {"at_least": 2}}, True),
        ({"attempts": {"at_least": 3}}, False),
        ({"attempts": {"at_most": 2}}, True),
        ({"attempts": {"at_most": 1}}, False),
        ({"attempts": {"at_least": 1, "at_most": 3}}, True),
        ({"decline_class": "soft", "plan": "pro", "attempts": {"at_least": 1}}, True),
        ({"decline_class": "soft", "plan": "basic", "attempts": {"at_least": 1}}, False),
    ],
)
def test_all_that_are_written_have_to_hold_and_of_a_list_one(wanted: Document, *, expected: bool) -> None:
    assert holds(wanted) is expected


def test_what_is_not_known_of_a_case_does_not_hold() -> None:
    assert not holds({"plan": "pro"}, plan=None)
    assert not holds({"decline": "insufficient_funds"}, decline=None, decline_class=None)
    assert not holds(
        {"decline_class": [str(kind) for kind in DeclineClass]}, decline=None, decline_class=None
    )
    assert not holds({"attributes": {"tier": "gold"}}, attributes={})


@pytest.mark.parametrize(("opened", "expected"), [(None, False), (BEFORE, True), (DUE, True), (AFTER, False)])
def test_what_the_customer_did_by_the_time_of_the_step_counts(
    opened: datetime | None, *, expected: bool
) -> None:
    assert holds({"mail_opened": True}, opened_at=opened) is expected
    assert holds({"mail_opened": False}, opened_at=opened) is not expected
    assert holds({"link_clicked": True}, opened_at=DUE, clicked_at=opened) is expected
    assert (
        holds({"mail_opened": True, "link_clicked": False}, opened_at=DUE, clicked_at=opened) is not expected
    )


@pytest.mark.parametrize(
    ("wanted", "opened", "clicked", "expected"),
    [
        ({"mail_opened": True}, None, None, True),
        ({"mail_opened": True}, AFTER, None, True),
        ({"mail_opened": False}, None, None, True),
        ({"mail_opened": False}, BEFORE, None, False),
        ({"link_clicked": False}, BEFORE, BEFORE, False),
        ({"link_clicked": True}, BEFORE, None, True),
        ({"mail_opened": True, "decline_class": "hard"}, BEFORE, None, False),
        ({"decline_class": "hard"}, None, None, False),
        ({"decline_class": "soft"}, None, None, True),
    ],
)
def test_a_mail_may_yet_be_opened_and_once_opened_stays_so(
    wanted: Document, opened: datetime | None, clicked: datetime | None, *, expected: bool
) -> None:
    case = story(**KNOWN, opened_at=opened, clicked_at=clicked)
    assert Conditions.model_validate(wanted).may_hold(case, DUE) is expected


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"decline_class": "hard"}, "the decline is soft"),
        ({"decline": "stolen_card"}, "the decline is insufficient funds"),
        ({"amount": {"EUR": {"below": 10}}}, "the amount is not one that this step is for"),
        ({"attempts": {"at_most": 1}}, "2 charges were made so far"),
        ({"mail_opened": True}, "no mail was opened"),
        ({"link_clicked": True}, "no link was used"),
    ],
)
def test_a_reason_is_given_for_what_does_not_hold(wanted: Document, why: str) -> None:
    assert Conditions.model_validate(wanted).why_not(story(**KNOWN), DUE) == why


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"amount": {"JPY": {"at_least": "1.50"}}}, "1.50 JPY is not an amount of that currency"),
        ({"amount": {"EUR": {"below": 1.505}}}, "1.505 EUR is not an amount of that currency"),
        ({"amount": {"EUR": {}}}, "needs at_least, below, or both"),
        ({"amount": {"EUR": {"at_least": "many"}}}, "'many' is not an amount"),
        ({"decline_class": "softish"}, "Input should be"),
        ({"attempts": {"at_least": -1}}, "greater than or equal to 0"),
        ({"weather": "fine"}, "Extra inputs are not permitted"),
    ],
)
def test_what_could_never_be_looked_at_is_refused_at_once(wanted: Document, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Conditions.model_validate(wanted)


def test_three_decimal_places_are_kept_where_a_currency_has_them() -> None:
    found = Conditions.model_validate({"amount": {"KWD": {"at_least": 1.505, "below": 20}}}).amount["KWD"]
    assert (found.at_least, found.below) == ("1.505", "20")
    assert [found.holds(amount, "kwd") for amount in (1504, 1505, 19999, 20000)] == [False, True, True, False]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(wanted=conditions(), case=failures(), attributes=ATTRIBUTES, data=st.data())
def test_conditions_hold_when_their_document_says_so(
    wanted: Document, case: Story, attributes: Document, data: st.DataObject
) -> None:
    moment = st.none() | st.sampled_from([BEFORE, DUE, AFTER])
    known = {
        "opened_at": data.draw(moment),
        "clicked_at": data.draw(moment),
        "charges": data.draw(st.integers(0, 3)),
    }
    case, found = case.model_copy(update=known), Conditions.model_validate(wanted)
    held = found.fit(case, attributes) and found.why_not(case, DUE) is None
    assert held is as_written.holds(wanted, case, attributes, DUE)
    if held:
        assert found.may_hold(case, DUE)
