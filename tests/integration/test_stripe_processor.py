"""The Stripe processor against a Stripe with books of its own, with and without faults on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import processors.stripe
from errors import (
    AnswerLost,
    BadSignature,
    NotKnown,
    ProcessorError,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from keys import OWN_ACCOUNT
from processors.protocol import (
    ChangeResult,
    ChargeRequest,
    ChargeResult,
    InvoiceState,
    PaidBy,
    ReportKind,
    SubscriptionChange,
)
from processors.stripe import StripeProcessor
from tests.stand_ins.fault_proxy import Fault, FaultProxy
from tests.stand_ins.loopback import Answer, LoopbackServer, Request
from tests.stand_ins.stripe_account import ASKING_THE_BANK, DECLINES, GOOD, Failed, StripeAccount
from tests.stand_ins.stripe_webhooks import WEBHOOK_SECRET, WebhookBridge

if TYPE_CHECKING:
    from processors.protocol import Report

pytest_plugins = ("tests.integration.stripe_stand_in",)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def attempt(failed: Failed, key: str = "day-3/0", method: str | None = None) -> ChargeRequest:
    return ChargeRequest(
        account=OWN_ACCOUNT, invoice=failed.invoice, key=f"dunwell/case/{key}", at=NOW, method=method
    )


# --- what is read --------------------------------------------------------------------------------


async def test_a_failed_renewal_is_read_with_all_that_a_campaign_needs(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal(amount=4900)
    await account.post(
        f"/v1/customers/{failed.customer}",
        {
            "preferred_locales[0]": "pt-BR",
            "address[country]": "BR",
            "metadata[tier]": "gold",
            "metadata[timezone]": "America/Sao_Paulo",
        },
    )

    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)

    assert invoice.state is InvoiceState.OPEN
    assert (invoice.amount, invoice.currency, invoice.plan) == (4900, "USD", "team-monthly")
    assert (invoice.subscription, invoice.subscription_ended) == (failed.subscription, False)
    assert (invoice.first_payment, invoice.sent_for_payment, invoice.livemode) == (False, False, False)
    assert (invoice.disputed, invoice.pending, invoice.paid_by, invoice.payment) == (False, False, None, None)
    assert invoice.customer.email == "ann@example.com"
    assert (invoice.customer.locale, invoice.customer.country) == ("pt-BR", "BR")
    assert invoice.customer.timezone == "America/Sao_Paulo"
    assert invoice.customer.attributes["tier"] == "gold"
    assert invoice.card is not None
    assert (invoice.card.id, invoice.card.network, invoice.card.last4) == (failed.card, "visa", "0341")
    assert invoice.decline == "generic_decline"
    assert invoice.confirm_url
    assert invoice.number
    charges = await account.charges(failed.customer)
    assert invoice.failed_at == datetime.fromtimestamp(charges[-1]["created"], tz=UTC)
    assert invoice.processor_retries_at is not None


async def test_a_first_payment_that_fails_is_known_as_one(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    price = (await account.get("/v1/prices"))["data"][0]["id"]
    second = await account.post(
        "/v1/subscriptions",
        {
            "customer": failed.customer,
            "items[0][price]": price,
            "payment_behavior": "default_incomplete",
        },
    )

    invoice = await processor.read_invoice(OWN_ACCOUNT, second["latest_invoice"])

    assert invoice.first_payment


async def test_an_invoice_that_does_not_exist_is_not_known(processor: StripeProcessor) -> None:
    with pytest.raises(NotKnown, match="reading invoice in_1nothing"):
        await processor.read_invoice(OWN_ACCOUNT, "in_1nothing")


# --- what a charge comes to ----------------------------------------------------------------------


async def test_a_good_card_pays(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)

    answer = await processor.charge(attempt(failed))

    assert answer.result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]
    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (invoice.state, invoice.amount) == (InvoiceState.PAID, 0)
    assert (invoice.paid_by, invoice.payment) == (PaidBy.REQUEST, answer.payment)
    assert (invoice.decline, invoice.failed_at) == (None, None)


@pytest.mark.parametrize(("number", "decline"), DECLINES.items())
async def test_a_bad_card_is_declined_by_its_reason(
    account: StripeAccount, processor: StripeProcessor, number: str, decline: str
) -> None:
    failed = await account.failed_renewal()

    answer = await processor.charge(attempt(failed, method=await account.card(number)))

    assert (answer.result, answer.decline) == (ChargeResult.DECLINED, decline)
    assert await account.money_moved(failed.customer) == []
    read = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert read.decline == decline


async def test_a_card_that_the_bank_wants_confirmed_needs_the_customer(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal(ASKING_THE_BANK)

    answer = await processor.charge(attempt(failed))

    assert (answer.result, answer.decline) == (ChargeResult.NEEDS_CUSTOMER, "authentication_required")
    assert answer.confirm_url
    assert answer.confirm_url.startswith("https://pay.stripe.com/")
    assert await account.money_moved(failed.customer) == []


async def test_the_same_key_is_the_same_charge(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    declined = await processor.charge(attempt(failed, "day-3/0"))
    await account.change_card(failed.customer, GOOD)

    assert await processor.charge(attempt(failed, "day-3/0")) == declined
    assert await account.money_moved(failed.customer) == []

    assert (await processor.charge(attempt(failed, "day-5/0"))).result is ChargeResult.PAID
    assert (await processor.charge(attempt(failed, "day-5/0"))).result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]


async def test_a_key_cannot_be_used_for_another_charge(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await processor.charge(attempt(failed, "day-3/0"))
    other = await account.card(GOOD)

    with pytest.raises(ProcessorRefused, match=r"charging invoice in_\w+ failed: .*\(request req_"):
        await processor.charge(attempt(failed, "day-3/0", method=other))
    assert await account.money_moved(failed.customer) == []


async def test_a_new_card_is_charged_by_its_id(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    assert (await processor.charge(attempt(failed, "day-1/0"))).result is ChargeResult.DECLINED
    card = await account.change_card(failed.customer, GOOD)

    answer = await processor.charge(attempt(failed, "card/0", method=card))

    assert (answer.result, answer.method) == (ChargeResult.PAID, card)
    charges = await account.charges(failed.customer)
    assert [charge["payment_method"] for charge in charges if charge["paid"]] == [card]


async def test_what_was_paid_outside_stripe_is_not_charged_again(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await account.post(f"/v1/invoices/{failed.invoice}/pay", {"paid_out_of_band": "true"})
    await account.change_card(failed.customer, GOOD)

    assert (await processor.charge(attempt(failed))).result is ChargeResult.NOTHING_TO_PAY
    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert invoice.state is InvoiceState.PAID
    assert await account.money_moved(failed.customer) == []


async def test_another_request_that_paid_is_told_as_a_request(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)
    await account.post(f"/v1/invoices/{failed.invoice}/pay")

    assert (await processor.charge(attempt(failed))).result is ChargeResult.NOTHING_TO_PAY
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).paid_by is PaidBy.REQUEST
    assert await account.money_moved(failed.customer) == [4900]


async def test_a_void_invoice_has_nothing_to_pay(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)
    await account.post(f"/v1/invoices/{failed.invoice}/void")

    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).state is InvoiceState.VOID
    assert (await processor.charge(attempt(failed))).result is ChargeResult.NOTHING_TO_PAY
    assert await account.money_moved(failed.customer) == []


async def test_charging_an_invoice_that_does_not_exist(processor: StripeProcessor) -> None:
    request = ChargeRequest(OWN_ACCOUNT, "in_1nothing", "dunwell/case/day-1/0", NOW)
    with pytest.raises(NotKnown):
        await processor.charge(request)


# --- retries and subscriptions -------------------------------------------------------------------


async def test_stripe_stops_retrying_what_is_taken_over(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await processor.take_over_retries(OWN_ACCOUNT, failed.invoice, "dunwell/case/take-over")

    body = await account.get(f"/v1/invoices/{failed.invoice}")
    assert body["auto_advance"] is False
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).processor_retries_at is None


async def change(processor: StripeProcessor, failed: Failed, what: SubscriptionChange) -> ChangeResult:
    key = f"dunwell/case/end/{what}"
    return await processor.change_subscription(OWN_ACCOUNT, failed.subscription, failed.invoice, what, key)


async def test_a_subscription_is_cancelled_once(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()

    assert await change(processor, failed, SubscriptionChange.CANCEL_NOW) is ChangeResult.DONE
    assert await change(processor, failed, SubscriptionChange.CANCEL_NOW) is ChangeResult.ALREADY_SO
    assert await change(processor, failed, SubscriptionChange.CANCEL_AT_PERIOD_END) is ChangeResult.ALREADY_SO

    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    assert body["status"] == "canceled"
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).subscription_ended
    announced = [event["type"] for event in await account.events()]
    assert announced.count("customer.subscription.deleted") == 1


async def test_a_subscription_ends_with_its_period(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()

    assert await change(processor, failed, SubscriptionChange.CANCEL_AT_PERIOD_END) is ChangeResult.DONE
    assert await change(processor, failed, SubscriptionChange.CANCEL_AT_PERIOD_END) is ChangeResult.ALREADY_SO

    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    assert (body["status"], body["cancel_at_period_end"]) == ("past_due", True)


async def test_marking_unpaid_keeps_the_debt_and_stops_new_charges(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()

    assert await change(processor, failed, SubscriptionChange.MARK_UNPAID) is ChangeResult.DONE
    assert await change(processor, failed, SubscriptionChange.MARK_UNPAID) is ChangeResult.ALREADY_SO

    invoice = await account.get(f"/v1/invoices/{failed.invoice}")
    assert (invoice["status"], invoice["auto_advance"]) == ("open", False)
    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    # Not "active": to mark the invoice uncollectible would have given access back.
    assert (body["status"], body["pause_collection"]["behavior"]) == ("past_due", "keep_as_draft")
    renewed = await account.post("/_test/renew", {"subscription": failed.subscription})
    following = await account.get(f"/v1/invoices/{renewed['latest_invoice']}")
    assert following["status"] == "draft"


async def test_a_pause_voids_what_comes(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()

    assert await change(processor, failed, SubscriptionChange.PAUSE) is ChangeResult.DONE
    assert await change(processor, failed, SubscriptionChange.PAUSE) is ChangeResult.ALREADY_SO

    renewed = await account.post("/_test/renew", {"subscription": failed.subscription})
    assert (await account.get(f"/v1/invoices/{renewed['latest_invoice']}"))["status"] == "void"


async def test_a_subscription_that_is_gone_needs_no_change(processor: StripeProcessor) -> None:
    gone = Failed("in_1nothing", "sub_1nothing", "cus_1nothing", "pm_1nothing")
    for what in SubscriptionChange:
        assert await change(processor, gone, what) is ChangeResult.ALREADY_SO


# --- faults on the way ---------------------------------------------------------------------------


async def payable(account: StripeAccount) -> Failed:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)
    return failed


async def test_a_lost_answer_is_found_again_by_the_same_key(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_LOST, path="/pay")

    with pytest.raises(AnswerLost, match=failed.invoice) as lost:
        await processor.charge(attempt(failed))

    assert not lost.value.replayed_for_key
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]
    sent = [call.request.headers["idempotency-key"] for call in proxy.calls if call.request.method == "POST"]
    assert sent == ["dunwell/case/day-3/0"] * 2


async def test_a_request_that_may_have_been_lost_counts_as_an_answer_lost(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.REQUEST_LOST, path="/pay")

    with pytest.raises(AnswerLost):
        await processor.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == []
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]


async def test_a_hanging_answer_is_waited_for_so_long_and_no_longer(
    account: StripeAccount, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert processors.stripe.TIMEOUT.read is not None
    assert processors.stripe.TIMEOUT.read < 60
    monkeypatch.setattr(processors.stripe, "TIMEOUT", httpx.Timeout(1.0))
    impatient = StripeProcessor(api_key="sk_test_1234567890", api_base=proxy.url + account.path)
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_HANGS, path="/pay")

    with pytest.raises(AnswerLost, match="ReadTimeout"):
        await impatient.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == [4900]
    await impatient.close()


async def test_a_server_error_is_settled_by_a_reading(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.SERVER_ERROR, path="/pay")

    with pytest.raises(AnswerLost, match="req_from_the_proxy") as lost:
        await processor.charge(attempt(failed))

    assert lost.value.replayed_for_key
    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (invoice.state, invoice.paid_by) == (InvoiceState.PAID, PaidBy.REQUEST)
    assert await account.money_moved(failed.customer) == [4900]


async def test_an_answer_that_is_no_json_is_an_answer_lost(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_BROKEN, path="/pay")

    with pytest.raises(AnswerLost):
        await processor.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == [4900]


async def test_nothing_is_done_where_no_connection_is_made(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    await proxy.stop_listening()

    with pytest.raises(ProcessorUnavailable, match="nothing was sent"):
        await processor.charge(attempt(failed))
    assert await account.money_moved(failed.customer) == []

    await proxy.listen()
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID


@pytest.mark.parametrize(
    ("fault", "expected", "says"),
    [
        (Fault.BUSY, ProcessorUnavailable, "429"),
        (Fault.KEY_IN_USE, AnswerLost, "same key is in use"),
        (Fault.KEY_REJECTED, ProcessorKeyRejected, "DUNWELL_STRIPE_API_KEY"),
        (Fault.NOT_ALLOWED, ProcessorKeyRejected, "permissions"),
    ],
)
async def test_a_refusal_to_work_moves_no_money_and_names_no_secret(
    account: StripeAccount,
    proxy: FaultProxy,
    processor: StripeProcessor,
    fault: Fault,
    expected: type[ProcessorError],
    says: str,
) -> None:
    failed = await payable(account)
    proxy.spoil(fault, path="/pay")

    with pytest.raises(expected, match=says) as refused:
        await processor.charge(attempt(failed))

    text = str(refused.value)
    assert failed.invoice in text
    assert "req_from_the_proxy" in text
    assert "1234" not in text
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    if isinstance(refused.value, ProcessorUnavailable):
        assert refused.value.retry_after == timedelta(seconds=7)
    if isinstance(refused.value, AnswerLost):
        assert not refused.value.replayed_for_key
    assert await account.money_moved(failed.customer) == []
    assert len(proxy.calls) == 1, "nothing is tried again behind the caller's back"


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SERVER_ERROR, Fault.BUSY, Fault.KEY_IN_USE])
async def test_a_reading_that_fails_is_simply_made_again(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor, fault: Fault
) -> None:
    failed = await account.failed_renewal()
    proxy.spoil(fault)

    with pytest.raises(ProcessorUnavailable):
        await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).state is InvoiceState.OPEN


async def test_a_cancellation_whose_answer_was_lost_is_found_done(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    proxy.spoil(Fault.ANSWER_LOST, method="DELETE")

    with pytest.raises(AnswerLost, match=failed.subscription):
        await change(processor, failed, SubscriptionChange.CANCEL_NOW)
    assert await change(processor, failed, SubscriptionChange.CANCEL_NOW) is ChangeResult.ALREADY_SO

    announced = [event["type"] for event in await account.events()]
    assert announced.count("customer.subscription.deleted") == 1


async def test_who_paid_stays_open_where_events_may_not_be_read(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    await processor.charge(attempt(failed))
    proxy.spoil(Fault.NOT_ALLOWED, path="/v1/events")

    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)

    assert (invoice.state, invoice.paid_by) == (InvoiceState.PAID, None)


async def test_a_connected_account_is_named_with_each_request(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()

    await processor.read_invoice("acct_1shop", failed.invoice)
    await processor.read_invoice(OWN_ACCOUNT, failed.invoice)

    named = [call.request.headers.get("stripe-account") for call in proxy.calls]
    assert named == ["acct_1shop", "acct_1shop", None, None]
    assert not any("x-stripe-client-telemetry" in call.request.headers for call in proxy.calls)


async def test_many_readings_share_one_processor(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    readings = [processor.read_invoice(OWN_ACCOUNT, failed.invoice) for _ in range(8)]
    assert {invoice.id for invoice in await asyncio.gather(*readings)} == {failed.invoice}


# --- webhooks ------------------------------------------------------------------------------------


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
        assert endpoint.told() == [(ReportKind.PAYMENT_FAILED, True)]

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
