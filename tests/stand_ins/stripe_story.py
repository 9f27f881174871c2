"""What tests of the Stripe processor do again and again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from keys import OWN_ACCOUNT
from processors.protocol import ChangeResult, ChargeRequest, ReinstateResult, SubscriptionChange
from tests.stand_ins.stripe_account import GOOD, Failed, StripeAccount

if TYPE_CHECKING:
    from processors.stripe import StripeProcessor

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def attempt(failed: Failed, key: str = "day-3/0", method: str | None = None) -> ChargeRequest:
    return ChargeRequest(
        account=OWN_ACCOUNT, invoice=failed.invoice, key=f"dunwell/case/{key}", at=NOW, method=method
    )


async def change(processor: StripeProcessor, failed: Failed, what: SubscriptionChange) -> ChangeResult:
    key = f"dunwell/case/end/{what}"
    return await processor.change_subscription(OWN_ACCOUNT, failed.subscription, failed.invoice, what, key)


async def reinstate(processor: StripeProcessor, failed: Failed, what: SubscriptionChange) -> ReinstateResult:
    return await processor.reinstate(
        OWN_ACCOUNT, failed.subscription, failed.invoice, what, "dunwell/case/reinstate"
    )


async def payable(account: StripeAccount) -> Failed:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)
    return failed
