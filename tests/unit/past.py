"""What tests of what-if runs share: a small campaign, failures of the past, and a world to try them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from campaigns.document import Campaign
from campaigns.networks import NetworkLimits
from campaigns.past_failures import PastFailure
from campaigns.trial import World
from store.campaigns import network_limits
from tests.unit.test_declines import TABLE

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORLD = World(TABLE, NetworkLimits(network_limits()), default="plain")

# Two charges with their mails, a week in which access is limited, and an end after a fortnight.
PLAIN: dict[str, Any] = {
    "name": "plain",
    "steps": [
        {"id": "day-1", "after": "1 day", "retry": True, "message": "payment_failed"},
        {"id": "day-3", "after": "3 days", "retry": True, "message": "payment_failed"},
        {"id": "day-7", "after": "7 days", "access": "limited", "message": "access_limited"},
        {"id": "day-12", "after": "12 days", "message": "last_notice"},
    ],
    "end": {"after": "14 days", "action": "cancel_now", "message": "subscription_ended"},
}


def campaign(**changes: Any) -> Campaign:
    return Campaign.model_validate(PLAIN | changes)


def with_step(step_id: str, **changes: Any) -> Campaign:
    """The same with one step changed."""
    steps = [step | changes if step["id"] == step_id else step for step in PLAIN["steps"]]
    return campaign(steps=steps)


def failure(number: int = 1, **more: Any) -> PastFailure:
    known: dict[str, Any] = {
        "id": f"case_{number}",
        "failed_at": MONDAY,
        "decline": "insufficient_funds",
        "amount": 4900,
        "currency": "USD",
        "processor": "stripe",
        "customer": f"stripe/main/cus_{number}",
    }
    return PastFailure(**(known | more))


def days(number: float) -> timedelta:
    return timedelta(days=number)
