"""What is undone at a Stripe subscription, and what is left alone because somebody else did it or it is too late."""

from __future__ import annotations

from typing import Any

import pytest

from processors.protocol import ReinstateResult, SubscriptionChange
from processors.stripe_subscription import is_so, judge_undoing, update_for, update_to_undo

Json = dict[str, Any]

CANCEL_NOW, ENDING = SubscriptionChange.CANCEL_NOW, SubscriptionChange.CANCEL_AT_PERIOD_END
UNPAID, PAUSE = SubscriptionChange.MARK_UNPAID, SubscriptionChange.PAUSE
ALREADY_SO, IMPOSSIBLE = ReinstateResult.ALREADY_SO, ReinstateResult.IMPOSSIBLE

RUNNING: Json = {
    "status": "active",
    "pause_collection": None,
    "cancel_at_period_end": False,
    "cancel_at": None,
}
ENDS = {"cancel_at_period_end": True, "cancel_at": 1775120400}
VOIDING = {"pause_collection": {"behavior": "void", "resumes_at": None}}
DRAFTING = {"pause_collection": {"behavior": "keep_as_draft", "resumes_at": None}}
LEFT_BY: dict[SubscriptionChange, Json] = {
    CANCEL_NOW: {"status": "canceled"},
    ENDING: ENDS,
    UNPAID: DRAFTING,
    PAUSE: VOIDING,
}


@pytest.mark.parametrize("change", SubscriptionChange)
def test_what_a_change_leaves_is_so(change: SubscriptionChange) -> None:
    assert not is_so(RUNNING, change)
    assert is_so(RUNNING | LEFT_BY[change], change)


@pytest.mark.parametrize("change", [ENDING, UNPAID, PAUSE])
def test_what_a_change_left_is_undone_by_unsetting_the_same_field(change: SubscriptionChange) -> None:
    assert judge_undoing(RUNNING | LEFT_BY[change], change) is None
    asked = update_for(change)
    assert asked is not None
    assert update_to_undo(change).keys() == asked.keys()


@pytest.mark.parametrize("change", SubscriptionChange)
@pytest.mark.parametrize("status", ["active", "past_due", "trialing"])
def test_a_subscription_that_runs_needs_nothing(status: str, change: SubscriptionChange) -> None:
    assert judge_undoing(RUNNING | {"status": status}, change) is ALREADY_SO


@pytest.mark.parametrize("change", SubscriptionChange)
@pytest.mark.parametrize("status", ["canceled", "incomplete_expired", "unpaid"])
def test_what_is_over_or_was_made_unpaid_by_stripe_cannot_be_undone(
    status: str, change: SubscriptionChange
) -> None:
    assert judge_undoing(RUNNING | LEFT_BY[change] | {"status": status}, change) is IMPOSSIBLE


@pytest.mark.parametrize(
    ("found", "change"),
    [
        (DRAFTING, PAUSE),
        (VOIDING, UNPAID),
        ({"pause_collection": {"behavior": "mark_uncollectible"}}, PAUSE),
        (VOIDING | ENDS, PAUSE),
        (VOIDING | ENDS, ENDING),
        ({"cancel_at": 1775120400}, ENDING),
        ({"cancel_at": 1775120400}, UNPAID),
        (VOIDING, CANCEL_NOW),
        (ENDS, CANCEL_NOW),
    ],
)
def test_what_somebody_else_did_is_left_for_a_person(found: Json, change: SubscriptionChange) -> None:
    assert judge_undoing(RUNNING | found, change) is IMPOSSIBLE
