"""Which campaign takes a failed payment: criterion by criterion, in order of priority, and the default last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from campaigns.document import Campaign
from campaigns.reading import read_campaign
from campaigns.segments import CRITERIA, Choice, ChosenBy, Failure, Takes, choose
from errors import BadCampaign

KNOWN = Failure(
    processor="stripe",
    plan="pro-monthly",
    interval="month",
    amount=4900,
    currency="eur",
    country="de",
    decline="insufficient_funds",
    decline_class="soft",
    attributes={"tier": "gold"},
    tags=("vip", "beta"),
)
NOTHING_KNOWN = Failure()


def taking(name: str, **takes: Any) -> Campaign:
    steps = [{"id": "day-1", "after": "1 day", "retry": True}]
    end = {"after": "14 days", "action": "leave"}
    return Campaign.model_validate({"name": name, "takes": takes, "steps": steps, "end": end})


CRITERION: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"plan": ["basic", "pro-monthly"]}, {"plan": "basic"}, "plan is pro-monthly"),
    ({"interval": "month"}, {"interval": ["year", "week"]}, "interval is month"),
    ({"currency": ["usd", "EUR"]}, {"currency": "USD"}, "currency is EUR"),
    ({"country": ["AT", "de"]}, {"country": "FR"}, "country is DE"),
    ({"processor": "stripe"}, {"processor": "sandbox"}, "processor is stripe"),
    ({"decline_class": ["hard", "soft"]}, {"decline_class": "fraud"}, "decline class is soft"),
    ({"decline": "insufficient_funds"}, {"decline": "stolen_card"}, "decline is insufficient_funds"),
    (
        {"amount": {"EUR": {"at_least": "49"}}},
        {"amount": {"EUR": {"below": 49}}},
        "the amount is not in the range",
    ),
    (
        {"attributes": {"tier": ["gold"]}},
        {"attributes": {"tier": "silver"}},
        "the customer's attributes are others",
    ),
    ({"tags": ["vip", "other"]}, {"tags": "other"}, "no tag of these"),
    ({"failure": "first"}, {"failure": "repeated"}, "the customer's first failure"),
]


@pytest.mark.parametrize(
    ("taken", "left", "why"), CRITERION, ids=lambda item: "+".join(item) if isinstance(item, dict) else ""
)
def test_each_criterion_takes_what_it_names_and_nothing_else(
    taken: dict[str, Any], left: dict[str, Any], why: str
) -> None:
    assert Takes(priority=1, **taken).why_not(KNOWN) is None
    assert Takes(priority=1, **left).why_not(KNOWN) == why
    if "failure" not in taken:
        # What is not known is not taken, whatever is asked.
        assert Takes(priority=1, **taken).why_not(NOTHING_KNOWN) is not None


def test_every_criterion_is_among_those_that_were_tried() -> None:
    assert {name for taken, _, _ in CRITERION for name in taken} == set(CRITERIA)


def test_all_criteria_together_have_to_hold() -> None:
    every = {name: value for taken, _, _ in CRITERION for name, value in taken.items()}
    assert Takes(priority=1, **every).why_not(KNOWN) is None
    for _, left, why in CRITERION:
        assert Takes(priority=1, **every | left).why_not(KNOWN) == why


def test_amounts_go_by_currency_and_one_that_is_not_named_is_not_taken() -> None:
    ranges = {"EUR": {"at_least": "100.00", "below": "500.00"}, "JPY": {"at_least": 10000}}
    takes = Takes(priority=1, amount=ranges)
    owed = [
        ("EUR", 9999),
        ("EUR", 10000),
        ("EUR", 49999),
        ("EUR", 50000),
        ("JPY", 9999),
        ("JPY", 10000),
        ("USD", 20000),
    ]
    taken = [takes.why_not(replace(KNOWN, currency=code, amount=amount)) is None for code, amount in owed]
    assert taken == [False, True, True, False, False, True, False]


def test_a_repeated_failure_is_that_of_a_customer_who_had_others() -> None:
    again = replace(KNOWN, repeated=True)
    assert Takes(priority=1, failure="repeated").why_not(again) is None
    assert Takes(priority=1, failure="first").why_not(again) == "a repeated failure"


@pytest.mark.parametrize(
    ("kind", "wanted"), [("first_payment", "first_payments"), ("sent_invoice", "sent_invoices")]
)
def test_what_has_to_be_asked_for_is_left_alone_otherwise(kind: str, wanted: str) -> None:
    flag: dict[str, Any] = {kind: True}
    failure = replace(KNOWN, **flag)
    for takes in (Takes(), Takes(priority=1, plan="pro-monthly")):
        assert "does not take those" in str(takes.why_not(failure))
    assert Takes(**{wanted: True}).why_left_alone(failure) is None
    # It is no criterion: it lets more in, and takes nothing by itself.
    assert not Takes(**{wanted: True}).is_segment


# --- choosing ----------------------------------------------------------------------------------------


def chosen(*campaigns: Campaign, failure: Failure = KNOWN) -> Choice:
    return choose(campaigns, failure, "standard")


def test_the_first_in_order_of_priority_takes_it() -> None:
    early, late = (
        taking("late-name", priority=1, plan="pro-monthly"),
        taking("a-name", priority=2, country="DE"),
    )
    for order in ((early, late), (late, early)):
        choice = chosen(*order, taking("standard"))
        assert choice == Choice(
            "late-name", ChosenBy.SEGMENT, "the segment of late-name (priority 1) takes it"
        )


def test_names_decide_between_campaigns_of_the_same_priority() -> None:
    one, other = taking("b", priority=5, country="DE"), taking("a", priority=5, plan="pro-monthly")
    assert chosen(one, other).name == chosen(other, one).name == "a"


def test_what_was_asked_before_says_why_not() -> None:
    choice = chosen(taking("basic", priority=1, plan="basic"), taking("vip", priority=3, tags="vip"))
    assert (choice.name, choice.others) == ("vip", (("basic", "plan is pro-monthly"),))


def test_what_no_segment_takes_goes_to_the_default_and_says_so() -> None:
    basic, year = taking("basic", priority=1, plan="basic"), taking("year", priority=2, interval="year")
    choice = chosen(basic, year, taking("standard"), taking("spare"))
    assert (choice.name, choice.by) == ("standard", ChosenBy.DEFAULT)
    assert choice.why == "none of 2 segments takes it, so it goes to the default campaign, standard"
    assert choice.others == (("basic", "plan is pro-monthly"), ("year", "interval is month"))


def test_a_campaign_without_a_criterion_takes_nothing_by_itself() -> None:
    choice = chosen(taking("spare"), taking("standard", first_payments=True))
    assert (choice.name, choice.others) == ("standard", ())
    assert choice.why == "no campaign has a segment, so it goes to the default campaign, standard"


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "fault"),
    [
        ({"plan": "pro"}, "a segment needs a priority"),
        ({"priority": 3}, "a priority without a criterion would take every failure"),
        ({"priority": 3, "first_payments": True}, "a priority without a criterion"),
        ({"priority": 0, "plan": "pro"}, "greater than or equal to 1"),
        ({"priority": 1, "amount": {"JPY": {"below": "1.5"}}}, "1.5 JPY is not an amount of that currency"),
        ({"priority": 1, "country": "Germany"}, "should match pattern"),
        ({"priority": 1, "failure": "second"}, "Input should be 'first' or 'repeated'"),
    ],
)
def test_a_segment_that_could_not_mean_what_it_says_is_refused(takes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Takes.model_validate(takes)


def test_norway_is_not_a_no() -> None:
    text = "name: north\ntakes: {priority: 1, country: [NO]}\nsteps: [{id: a, after: 1 day, retry: true}]\nend: {after: 2 days, action: leave}\n"
    with pytest.raises(BadCampaign) as caught:
        read_campaign(text, file="north.yaml")
    assert "north.yaml:2" in str(caught.value)
    assert read_campaign(text.replace("NO", '"NO"'), file="north.yaml").takes.country == ("NO",)
