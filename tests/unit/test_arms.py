"""Variants of a campaign: who is in which, how steadily, and what each case then gets."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from campaigns.arms import asks_for_attributes, asks_for_engagement, assign, for_case, share_of
from campaigns.document import Campaign, End, FinalAction, Messages, Step
from campaigns.planner import plan
from campaigns.story import Action, Pending, Trigger
from tests.unit.planner_story import DAY_0, day, story
from tests.unit.played_case import PlayedCase, World

MANY = 20_000
CUSTOMERS = [f"stripe/main/cus_{number:05}" for number in range(MANY)]
STEPS = (
    Step(id="day-1", after=timedelta(days=1), retry=True, message="payment_failed"),
    Step(id="gold", after=timedelta(days=2), message="last_notice", only_if={"attributes": {"tier": "gold"}}),
    Step(
        id="pro", after=timedelta(days=3), message="last_notice", only_if={"plan": "pro", "currency": "EUR"}
    ),
)
END = End(after=timedelta(days=14), action=FinalAction.CANCEL_NOW, message="subscription_ended")


def campaign(name: str = "any", /, **weights: int) -> Campaign:
    arms = [{"name": arm, "weight": weight, "holdout": arm == "holdout"} for arm, weight in weights.items()]
    return Campaign(name=name, arms=arms, steps=STEPS, end=END)


def shares(course: Campaign) -> Counter[str]:
    return Counter(assign(course, customer) for customer in CUSTOMERS)


# --- who is in which ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 45, "b": 45, "holdout": 10},
        {"a": 1, "b": 1},
        {"a": 9, "b": 1},
        {"a": 5},
        {"a": 1, "b": 0, "c": 3},
    ],
)
def test_customers_are_shared_out_by_weight(weights: dict[str, int]) -> None:
    found, total = shares(campaign(**weights)), sum(weights.values())
    for arm, weight in weights.items():
        share = weight / total
        # Four times the standard deviation of a fair draw.
        assert abs(found[arm] - MANY * share) <= 4 * math.sqrt(MANY * share * (1 - share))


def test_a_customer_is_always_in_the_same_arm_whatever_the_order_of_arms() -> None:
    course, turned = campaign(a=2, b=3, c=5), campaign(c=5, b=3, a=2)
    for customer in CUSTOMERS[:500]:
        assert assign(course, customer) == assign(course, customer) == assign(turned, customer)


def test_campaigns_share_customers_out_independently() -> None:
    one, other = campaign("spring", a=1, b=1), campaign("autumn", a=1, b=1)
    alike = sum(assign(one, customer) == assign(other, customer) for customer in CUSTOMERS)
    assert abs(alike - MANY / 2) <= 4 * math.sqrt(MANY / 4)


def test_a_change_of_weights_moves_only_whom_it_has_to() -> None:
    before, after = campaign(a=50, b=50), campaign(a=60, b=40)
    moves = Counter((assign(before, customer), assign(after, customer)) for customer in CUSTOMERS)
    # A tenth of all has to go from b to a; nobody goes the other way.
    assert moves["a", "b"] == 0
    assert abs(moves["b", "a"] - MANY / 10) <= 4 * math.sqrt(MANY * 0.1 * 0.9)


def test_a_new_arm_takes_its_part_from_each_and_moves_nobody_between_the_others() -> None:
    before, after = campaign(a=1, b=1), campaign(a=1, b=1, c=1)
    moves = Counter((assign(before, customer), assign(after, customer)) for customer in CUSTOMERS)
    assert moves["a", "b"] == moves["b", "a"] == 0
    for arm in "ab":
        assert abs(moves[arm, "c"] - MANY / 6) <= 4 * math.sqrt(MANY / 6 * 5 / 6)


def test_the_arm_of_an_earlier_case_is_kept_where_it_is_still_there() -> None:
    course = campaign(a=1, b=0, holdout=99)
    assert assign(course, "cus_1", "b") == "b"
    assert assign(course, "cus_1", "gone") in {"a", "holdout"}
    assert assign(campaign(), "cus_1", "b") == ""


def test_a_running_case_is_never_put_into_a_holdout() -> None:
    course = campaign(a=1, holdout=999)
    assert {assign(course, customer, running=True) for customer in CUSTOMERS[:2000]} == {"a"}
    assert "holdout" in {assign(course, customer) for customer in CUSTOMERS[:50]}
    # Where nothing else is left, the case goes on with the campaign's own steps.
    assert assign(campaign(a=0, holdout=1), "cus_1", running=True) == ""


def test_shares_are_evenly_spread_and_never_the_whole() -> None:
    found = [share_of("case", customer) for customer in CUSTOMERS]
    assert min(found) > 0
    assert max(found) < 1
    tenths = Counter(int(share * 10) for share in found)
    assert all(abs(tenths[tenth] - MANY / 10) <= 4 * math.sqrt(MANY * 0.09) for tenth in range(10))
    assert len(set(found)) == MANY


# --- what a case gets --------------------------------------------------------------------------------


def fitting(
    arm: str = "", attributes: dict[str, Any] | None = None, course: Campaign | None = None, **known: Any
) -> Campaign:
    case = story(arm=arm, **{"plan": "basic", "currency": "EUR"} | known)
    return for_case(course or campaign(), case, attributes or {})


def steps_of(course: Campaign) -> list[str]:
    return [step.id for step in course.steps]


def test_steps_for_other_plans_currencies_and_customers_are_left_out() -> None:
    assert steps_of(fitting()) == ["day-1"]
    assert steps_of(fitting(attributes={"tier": "gold"})) == ["day-1", "gold"]
    assert steps_of(fitting(plan="pro")) == ["day-1", "pro"]
    assert steps_of(fitting(plan="pro", currency="usd")) == ["day-1"]
    assert steps_of(fitting(plan="pro", attributes={"tier": "gold"})) == ["day-1", "gold", "pro"]


def test_what_an_arm_leaves_out_is_the_campaigns() -> None:
    own = [{"id": "only", "after": "5 days", "message": "last_notice"}]
    sooner = {"after": "7 days", "action": "leave"}
    arms = [
        {"name": "all", "weight": 1},
        {"name": "steps", "weight": 1, "steps": own},
        {"name": "end", "weight": 1, "end": sooner, "messages": {"receipt": "payment_received"}},
    ]
    course = Campaign(name="any", arms=arms, steps=STEPS, end=END)
    known = {name: fitting(name, {"tier": "gold"}, course) for name in ("all", "steps", "end", "")}
    assert {name: steps_of(found) for name, found in known.items()} == {
        "all": ["day-1", "gold"],
        "steps": ["only"],
        "end": ["day-1", "gold"],
        "": ["day-1", "gold"],
    }
    assert [known[name].end.after.days for name in ("all", "steps", "end")] == [14, 14, 7]
    assert [known[name].messages.receipt for name in ("all", "end")] == [None, "payment_received"]
    assert not any(found.arms or found.is_holdout for found in known.values())


def test_the_campaign_that_a_case_follows_does_not_change_when_it_is_asked_again() -> None:
    once = fitting("b", {"tier": "gold"}, campaign(a=1, b=1))
    assert for_case(once, story(arm="b", plan="basic", currency="EUR"), {"tier": "gold"}) == once


def test_a_holdout_gets_nothing_and_leaves_the_subscription_as_it_is() -> None:
    course = campaign(a=1, holdout=1)
    held = fitting("holdout", course=course)
    assert held.is_holdout
    assert (held.steps, held.messages, held.retries) == ((), Messages(), 0)
    played = PlayedCase(World([course]), story(arm="holdout")).play()
    assert [(deed.at, deed.plan.id, deed.plan.final_action) for deed in played.deeds] == [
        (day(14), "end.action", FinalAction.LEAVE)
    ]
    # Not even a card that the customer gives is charged here: that would spoil the comparison.
    card = Pending(id="card.card_2", trigger=Trigger.CARD_UPDATED, method="card_2")
    assert plan(held, story(arm="holdout", pending=card), DAY_0).action is Action.END


def test_what_has_to_be_read_for_a_case_is_known_from_every_arm() -> None:
    assert asks_for_attributes(campaign(a=1))
    assert not asks_for_engagement(campaign(a=1))
    own = [{"id": "only", "after": "5 days", "message": "last_notice", "only_if": {"mail_opened": False}}]
    arms = [{"name": "a", "weight": 1, "steps": own}]
    course = Campaign(name="any", arms=arms, steps=STEPS[:1], end=END)
    assert (asks_for_engagement(course), asks_for_attributes(course)) == (True, False)
