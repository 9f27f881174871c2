"""What a final action asks of a Stripe subscription and what undoes it; pure, so that every state can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from processors.protocol import ReinstateResult, SubscriptionChange
from processors.stripe_invoice import ENDED
from processors.stripe_shapes import Body, expanded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe.params import SubscriptionUpdateParams

# How either pause treats the invoices to come (https://docs.stripe.com/billing/subscriptions/pause-payment).
PAUSES: Mapping[SubscriptionChange, Literal["keep_as_draft", "void"]] = {
    SubscriptionChange.MARK_UNPAID: "keep_as_draft",
    SubscriptionChange.PAUSE: "void",
}


def update_for(change: SubscriptionChange) -> SubscriptionUpdateParams | None:
    """Give the update that carries out a change; None for the one that is a cancellation."""
    if change is SubscriptionChange.CANCEL_NOW:
        return None
    if change is SubscriptionChange.CANCEL_AT_PERIOD_END:
        return {"cancel_at_period_end": True}
    return {"pause_collection": {"behavior": PAUSES[change]}}


def update_to_undo(change: SubscriptionChange) -> SubscriptionUpdateParams:
    """Give the update that undoes a change; there is none for a cancellation at once."""
    if change is SubscriptionChange.CANCEL_AT_PERIOD_END:
        return {"cancel_at_period_end": False}
    # Stripe unsets a field that is sent empty.
    return {"pause_collection": ""}


def is_so(subscription: Body, change: SubscriptionChange) -> bool:
    """Whether a subscription is as the change would leave it, or has ended."""
    if subscription.get("status") in ENDED:
        return True
    if change is SubscriptionChange.CANCEL_AT_PERIOD_END:
        return bool(subscription.get("cancel_at_period_end"))
    if change is SubscriptionChange.CANCEL_NOW:
        return False
    if change is SubscriptionChange.MARK_UNPAID and subscription.get("status") == "unpaid":
        return True
    return _pause_of(subscription) == PAUSES[change]


def judge_undoing(subscription: Body, change: SubscriptionChange) -> ReinstateResult | None:
    """Say what cannot or need not be undone; None where ``update_to_undo`` is to be sent.

    A cancelled subscription never lives again at Stripe. One that Stripe itself made ``unpaid`` is active
    again only once its latest invoice is paid. A pause of the other kind, or a date of its end, is
    somebody else's doing.
    """
    status, pause = subscription.get("status"), _pause_of(subscription)
    ends_with_period = bool(subscription.get("cancel_at_period_end"))
    # Stripe gives the date of the end in either case.
    ends = ends_with_period or subscription.get("cancel_at") is not None
    if status in ENDED or status == "unpaid":
        return ReinstateResult.IMPOSSIBLE
    if not ends and pause is None:
        return ReinstateResult.ALREADY_SO
    if change is SubscriptionChange.CANCEL_AT_PERIOD_END:
        is_ours = ends_with_period and pause is None
    else:
        is_ours = not ends and pause == PAUSES.get(change)
    return None if is_ours else ReinstateResult.IMPOSSIBLE


def _pause_of(subscription: Body) -> object:
    return expanded(subscription.get("pause_collection")).get("behavior")
