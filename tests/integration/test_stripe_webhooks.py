"""Signed events of a Stripe with books of its own, read as the web side reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from errors import (
    BadSignature,
)
from processors.protocol import (
    ReportKind,
    SubscriptionChange,
)
from tests.stand_ins.loopback import Answer, LoopbackServer, Request
from tests.stand_ins.stripe_account import GOOD, StripeAccount
from tests.stand_ins.stripe_story import attempt, change, payable
from tests.stand_ins.stripe_webhooks import WEBHOOK_SECRET, WebhookBridge

if TYPE_CHECKING:
    from processors.protocol import Report
    from processors.stripe import StripeProcessor

pytest_plugins = ("tests.integration.stripe_stand_in",)


class Endpoint(LoopbackServer):
    """Takes webhooks as the web side does: verified first, then read."""

    def __init__(self, processor: StripeProcessor) -> None:
        super().__init__()
        self.reports: list[Report] = []
        self._processor = processor

    async def answer(self, request: Request) -> Answer:
        self._processor.verify(request.body, request.headers.get("stripe-signature"))
        self.reports += self._processor.reports(request.body)
        return Answer.of({})

    def told(self) -> list[tuple[ReportKind, Any]]:
        return [
            (report.kind, report.ours) for report in self.reports if report.kind is not ReportKind.IGNORED
        ]


async def test_a_case_is_told_by_signed_events_from_failure_to_payment(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    async with Endpoint(processor) as endpoint:
        bridge = WebhookBridge(account, endpoint.url, WEBHOOK_SECRET)
        failed = await account.failed_renewal()
        await bridge.deliver(frozenset({"invoice.payment_failed"}))
        assert endpoint.told() == [(ReportKind.PAYMENT_FAILED, False)]
        assert endpoint.reports[0].invoice == failed.invoice
        assert endpoint.reports[0].subscription == failed.subscription
        assert (endpoint.reports[0].amount, endpoint.reports[0].currency) == (4900, "USD")

        endpoint.reports.clear()
        await bridge.deliver()
        endpoint.reports.clear()
        await processor.charge(attempt(failed, "day-1/0"))
        await bridge.deliver()
        assert endpoint.told() == [(ReportKind.ATTEMPTED, True), (ReportKind.PAYMENT_FAILED, True)]

        endpoint.reports.clear()
        card = await account.change_card(failed.customer, GOOD)
        await bridge.deliver()
        assert [report.method for report in endpoint.reports if report.kind is ReportKind.CARD_UPDATED] == [
            card,
            card,
        ]

        endpoint.reports.clear()
        await processor.charge(attempt(failed, "card/0", method=card))
        await bridge.deliver()
        assert (ReportKind.PAYMENT_SUCCEEDED, True) in endpoint.told()

        endpoint.reports.clear()
        await change(processor, failed, SubscriptionChange.CANCEL_NOW)
        await bridge.deliver()
        assert [kind for kind, _ in endpoint.told()] == [ReportKind.CANCELLED]
        assert await bridge.deliver() == []


async def test_events_come_twice_and_in_any_order_and_mean_the_same(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    await processor.charge(attempt(failed))
    async with Endpoint(processor) as orderly, Endpoint(processor) as wild:
        await WebhookBridge(account, orderly.url, WEBHOOK_SECRET).deliver()
        sent = await WebhookBridge(account, wild.url, WEBHOOK_SECRET, seed=7).deliver()
    assert len(sent) > len(set(sent))
    assert {(report.event, report.kind) for report in wild.reports} == {
        (report.event, report.kind) for report in orderly.reports
    }


async def test_a_webhook_signed_with_another_secret_is_not_believed(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    await account.failed_renewal()
    refused: list[str] = []

    class Suspicious(Endpoint):
        async def answer(self, request: Request) -> Answer:
            try:
                return await super().answer(request)
            except BadSignature as error:
                refused.append(str(error))
                return Answer.of({}, 400)

    async with Suspicious(processor) as endpoint:
        delivered = await WebhookBridge(account, endpoint.url, "whsec_of_somebody_else").deliver()
    assert delivered == []
    assert refused
    assert not any(WEBHOOK_SECRET in text for text in refused)
