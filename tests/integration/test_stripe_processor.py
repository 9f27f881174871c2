"""The Stripe processor against a Stripe with books of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from errors import (
    NotKnown,
    ProcessorRefused,
)
from keys import OWN_ACCOUNT
from processors.protocol import (
    ChangeResult,
    ChargeRequest,
    ChargeResult,
    InvoiceState,
    PaidBy,
    ReinstateResult,
    SubscriptionChange,
)
from tests.stand_ins.stripe_account import ASKING_THE_BANK, DECLINES, GOOD, Failed, StripeAccount
from tests.stand_ins.stripe_story import attempt, change, reinstate

if TYPE_CHECKING:
    from processors.stripe import StripeProcessor
    from tests.stand_ins.fault_proxy import FaultProxy

pytest_plugins = ("tests.integration.stripe_stand_in",)

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
    request = ChargeRequest(OWN_ACCOUNT, "in_1nothing", "dunwell/case/day-1/0", datetime.now(UTC))
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


async def test_there_is_nothing_to_take_over_of_what_was_paid_meanwhile(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await account.post(f"/v1/invoices/{failed.invoice}/pay", {"paid_out_of_band": "true"})

    await processor.take_over_retries(OWN_ACCOUNT, failed.invoice, "dunwell/case/take-over")

    assert (await account.get(f"/v1/invoices/{failed.invoice}"))["status"] == "paid"


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


# --- what is undone after a late payment ---------------------------------------------------------


@pytest.mark.parametrize("what", [SubscriptionChange.PAUSE, SubscriptionChange.MARK_UNPAID])
async def test_collection_is_resumed_once(
    account: StripeAccount, processor: StripeProcessor, what: SubscriptionChange
) -> None:
    failed = await account.failed_renewal()
    await change(processor, failed, what)
    await account.change_card(failed.customer, GOOD)
    await account.post(f"/v1/invoices/{failed.invoice}/pay", {"paid_out_of_band": "true"})

    assert await reinstate(processor, failed, what) is ReinstateResult.DONE
    assert await reinstate(processor, failed, what) is ReinstateResult.ALREADY_SO

    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    assert (body["status"], body["pause_collection"]) == ("active", None)
    renewed = await account.post("/_test/renew", {"subscription": failed.subscription})
    following = await account.get(f"/v1/invoices/{renewed['latest_invoice']}")
    assert following["status"] == "paid"


async def test_a_cancellation_at_the_periods_end_is_taken_back(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await change(processor, failed, SubscriptionChange.CANCEL_AT_PERIOD_END)

    ending = SubscriptionChange.CANCEL_AT_PERIOD_END
    assert await reinstate(processor, failed, ending) is ReinstateResult.DONE
    assert await reinstate(processor, failed, ending) is ReinstateResult.ALREADY_SO

    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    assert body["cancel_at_period_end"] is False


@pytest.mark.parametrize("what", SubscriptionChange)
async def test_a_cancelled_subscription_can_never_be_taken_up_again(
    account: StripeAccount, processor: StripeProcessor, proxy: FaultProxy, what: SubscriptionChange
) -> None:
    failed = await account.failed_renewal()
    await change(processor, failed, SubscriptionChange.CANCEL_NOW)
    asked = len(proxy.calls)

    assert await reinstate(processor, failed, what) is ReinstateResult.IMPOSSIBLE

    assert [call.request.method for call in proxy.calls[asked:]] == ["GET"]
    body = await account.get(f"/v1/subscriptions/{failed.subscription}")
    assert body["status"] == "canceled"
    assert len((await account.get("/v1/subscriptions", customer=failed.customer, status="all"))["data"]) == 1


async def test_a_subscription_that_is_gone_cannot_be_taken_up_again(processor: StripeProcessor) -> None:
    gone = Failed("in_1nothing", "sub_1nothing", "cus_1nothing", "pm_1nothing")
    for what in SubscriptionChange:
        assert await reinstate(processor, gone, what) is ReinstateResult.IMPOSSIBLE
