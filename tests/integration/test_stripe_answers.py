"""What the stateful stand-in never answers: issuers' advice, bank debits, the portal, today's payments.

Every request and every answer here is checked against Stripe's own description of its API.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from errors import AnswerLost, NotKnown, ProcessorRefused
from keys import OWN_ACCOUNT
from processors.protocol import ChargeAnswer, ChargeRequest, ChargeResult, InvoiceState, PaidBy
from tests.stand_ins.stripe_bodies import (
    FAILED_AT,
    account,
    charge,
    customer,
    event_page,
    intent,
    invoice,
    method,
    paid_event,
    portal_session,
)

if TYPE_CHECKING:
    from processors.stripe import StripeProcessor
    from tests.stand_ins.scripted_stripe import ScriptedStripe
    from tests.stand_ins.stripe_description import StripeDescription

pytest_plugins = ("tests.integration.stripe_stand_in",)

PAY = "/v1/invoices/in_1/pay"
INVOICE = "/v1/invoices/in_1"
CHARGE = "/v1/charges/ch_1"
EVENTS = "/v1/events"
PORTAL = "/v1/billing_portal/sessions"
KEY = "dunwell/case/day-3/0"


async def charged(processor: StripeProcessor, by: str | None = None) -> ChargeAnswer:
    return await processor.charge(ChargeRequest(OWN_ACCOUNT, "in_1", KEY, datetime.now(UTC), by))


# --- declines ------------------------------------------------------------------------------------


async def test_a_decline_tells_all_that_issuer_and_network_said(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail(
        "POST",
        PAY,
        402,
        type="card_error",
        code="card_declined",
        decline_code="do_not_honor",
        advice_code="do_not_try_again",
        network_decline_code="05",
        network_advice_code="03",
        message="Your card was declined.",
        charge="ch_1",
        payment_intent=intent("requires_payment_method"),
        payment_method=method(),
    )

    assert await charged(scripted_processor) == ChargeAnswer(
        ChargeResult.DECLINED,
        payment="pi_1",
        decline="do_not_honor",
        advice="do_not_try_again",
        network_code="05",
        network_advice="03",
        method="pm_1",
        charge="ch_1",
    )


async def test_a_decline_without_a_reason_is_the_generic_one(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 402, type="card_error", code="card_declined", message="Declined.")

    assert (await charged(scripted_processor)).decline == "generic_decline"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "authentication_required", "decline_code": "authentication_required"},
        {"code": "card_declined", "decline_code": "authentication_required"},
        {"code": "invoice_payment_intent_requires_action"},
    ],
    ids=["refused off-session", "declined by the issuer", "left half-way"],
)
async def test_a_payment_to_be_confirmed_leads_to_the_page_for_it(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor, error: dict[str, Any]
) -> None:
    scripted.will_fail("POST", PAY, 402, type="card_error", payment_intent=intent("requires_action"), **error)
    scripted.will_answer("GET", INVOICE, invoice(payment=intent("requires_action")))

    answer = await charged(scripted_processor)

    assert (answer.result, answer.payment) == (ChargeResult.NEEDS_CUSTOMER, "pi_1")
    assert answer.decline == "authentication_required"
    assert answer.confirm_url == "https://invoice.stripe.com/i/in_1"


async def test_the_answer_stands_where_the_page_cannot_be_read(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 402, type="card_error", code="authentication_required")

    answer = await charged(scripted_processor)

    assert (answer.result, answer.confirm_url) == (ChargeResult.NEEDS_CUSTOMER, None)


async def test_a_customer_without_a_card_is_declined_for_that(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 400, type="invalid_request_error", message="No attached payment source.")
    scripted.will_answer("GET", INVOICE, invoice())

    answer = await charged(scripted_processor)

    assert (answer.result, answer.decline) == (ChargeResult.DECLINED, "no_payment_method")


async def test_a_card_that_was_taken_away_is_declined_for_that(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    error = {"code": "resource_missing", "param": "payment_method", "message": "No such PaymentMethod."}
    scripted.will_fail("POST", PAY, 400, type="invalid_request_error", **error)
    scripted.will_answer("GET", INVOICE, invoice(default_payment_method=method("pm_2")))

    answer = await charged(scripted_processor, by="pm_1")

    assert (answer.decline, answer.method) == ("no_payment_method", "pm_1")


async def test_any_other_refusal_goes_to_a_person_with_the_requests_id(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 400, type="invalid_request_error", message="The amount is too small.")
    scripted.will_answer("GET", INVOICE, invoice(default_payment_method=method()))

    with pytest.raises(ProcessorRefused, match=r"invoice in_1 .*req_scripted.*too small"):
        await charged(scripted_processor)


async def test_a_connected_account_that_left_holds_nobody_else(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 403, type="invalid_request_error", code="account_invalid")

    with pytest.raises(ProcessorRefused, match="connect again"):
        await charged(scripted_processor)


# --- payments under way --------------------------------------------------------------------------


async def test_a_bank_debit_is_pending_and_known_by_its_charge(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    started = invoice(payment=intent("processing", charge="ch_1"))
    scripted.will_answer("POST", PAY, started)
    scripted.will_answer("GET", INVOICE, started)
    scripted.will_answer("GET", CHARGE, charge("pending"))

    answer = await charged(scripted_processor)

    assert answer == ChargeAnswer(ChargeResult.PENDING, payment="pi_1", method="pm_1", charge="ch_1")
    found = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")
    assert (found.state, found.pending, found.failed_charge) == (InvoiceState.OPEN, True, None)


async def test_a_debit_that_came_back_is_read_by_its_banks_code(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    error = {
        "type": "card_error",
        "code": "insufficient_funds",
        "network_decline_code": "R01",
        "payment_method": account("pm_2", "us_bank_account"),
        "charge": "ch_1",
    }
    returned = intent("requires_payment_method", error, charge="ch_1")
    scripted.will_answer("GET", INVOICE, invoice(payment=returned))
    scripted.will_answer("GET", CHARGE, charge("failed", failure_code="insufficient_funds"))

    found = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")

    assert (found.decline, found.network_code) == ("R01", "R01")
    assert (found.pending, found.failed_charge) == (False, "ch_1")


async def test_a_charge_refused_because_of_a_debit_under_way_waits_for_it(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_fail("POST", PAY, 400, type="invalid_request_error", message="A payment is processing.")
    scripted.will_answer("GET", INVOICE, invoice(payment=intent("processing")))

    with pytest.raises(AnswerLost, match="has been started"):
        await charged(scripted_processor)


async def test_a_paid_answer_names_its_payment(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_answer("POST", PAY, invoice("paid", intent("succeeded", charge="ch_1")))

    answer = await charged(scripted_processor)

    assert (answer.result, answer.payment, answer.method) == (ChargeResult.PAID, "pi_1", "pm_1")
    assert answer.charge == "ch_1"
    request = scripted.requests[0]
    assert request.headers["idempotency-key"] == KEY
    assert "off_session=true" in request.parameters


async def test_a_source_is_charged_as_a_source(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor, description: StripeDescription
) -> None:
    scripted.will_answer("POST", PAY, invoice("paid", intent("succeeded")))

    await charged(scripted_processor, by="card_1")

    sent = description.check_request("POST", PAY, scripted.requests[0].parameters)
    assert sent["source"] == "card_1"
    assert "payment_method" not in sent


# --- reading -------------------------------------------------------------------------------------


async def test_the_last_failure_is_read_with_its_time(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    error = {"type": "card_error", "code": "expired_card", "decline_code": "expired_card", "charge": "ch_1"}
    scripted.will_answer("GET", INVOICE, invoice(payment=intent("requires_payment_method", error, "ch_1")))
    scripted.will_answer("GET", CHARGE, charge("failed"))

    found = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")

    assert (found.decline, found.failed_at) == ("expired_card", datetime.fromtimestamp(FAILED_AT, tz=UTC))
    assert found.payment is None


CHALLENGED = {
    "type": "card",
    "card": {
        "brand": "visa",
        "country": "US",
        "exp_month": 4,
        "exp_year": 2031,
        "funding": "credit",
        "last4": "4242",
        "three_d_secure": {"authentication_flow": "challenge", "result": "authenticated"},
    },
}


@pytest.mark.parametrize(
    ("event", "details", "by"),
    [
        (paid_event("req_1", KEY), None, PaidBy.REQUEST),
        (paid_event("req_1", "billing-7"), None, PaidBy.REQUEST),
        (paid_event(None), None, PaidBy.PROCESSOR),
        (paid_event("req_1", "page-1"), CHALLENGED, PaidBy.CUSTOMER),
        (paid_event(None, about="in_other"), None, None),
    ],
    ids=["ours", "the billing system's", "stripe's own", "the customer's", "not to be found"],
)
async def test_who_paid_is_told_as_far_as_it_is_known(
    scripted: ScriptedStripe,
    scripted_processor: StripeProcessor,
    event: dict[str, Any],
    details: dict[str, Any] | None,
    by: PaidBy | None,
) -> None:
    scripted.will_answer("GET", INVOICE, invoice("paid", intent("succeeded", charge="ch_1")))
    scripted.will_answer("GET", CHARGE, charge("succeeded", payment_method_details=details))
    scripted.will_answer("GET", EVENTS, event_page(paid_event("req_9", about="in_0"), event))

    found = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")

    assert (found.state, found.paid_by, found.payment) == (InvoiceState.PAID, by, "pi_1")


async def test_money_from_elsewhere_is_told_without_asking_for_events(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_answer("GET", INVOICE, invoice("paid", amount_paid_off_stripe=4900))

    found = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")

    assert found.paid_by is PaidBy.ELSEWHERE
    assert [request.path for request in scripted.requests] == [INVOICE]


async def test_a_disputed_payment_is_seen(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_answer("GET", INVOICE, invoice("paid", intent("succeeded", charge="ch_1")))
    scripted.will_answer("GET", CHARGE, charge("succeeded", disputed=True))
    scripted.will_answer("GET", EVENTS, event_page())

    assert (await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")).disputed


async def test_the_customers_own_card_comes_last(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    settings = {
        "custom_fields": None,
        "default_payment_method": method("pm_3", "4444", "mastercard"),
        "footer": None,
        "rendering_options": None,
    }
    whole = invoice(customer=customer(invoice_settings=settings))
    scripted.will_answer("GET", INVOICE, whole, whole | {"default_payment_method": method("pm_2", "0005")})

    last = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")
    first = await scripted_processor.read_invoice(OWN_ACCOUNT, "in_1")

    assert last.card is not None
    assert (last.card.id, last.card.network, last.card.last4) == ("pm_3", "mastercard", "4444")
    assert first.card is not None
    assert (first.card.id, first.card.last4) == ("pm_2", "0005")


# --- the portal ----------------------------------------------------------------------------------


async def test_a_card_page_leads_to_the_change_of_the_card_and_back(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor, description: StripeDescription
) -> None:
    scripted.will_answer("POST", PORTAL, portal_session("https://billing.stripe.com/p/session/1"))

    page = await scripted_processor.card_page(OWN_ACCOUNT, "cus_1", "https://shop.example.com/account")

    assert page == "https://billing.stripe.com/p/session/1"
    sent = description.check_request("POST", PORTAL, scripted.requests[0].parameters)
    assert sent["customer"] == "cus_1"
    assert sent["return_url"] == "https://shop.example.com/account"
    assert sent["flow_data"]["type"] == "payment_method_update"


async def test_no_page_is_made_for_a_customer_that_is_gone(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    error = {"code": "resource_missing", "param": "customer", "message": "No such customer: 'cus_1'"}
    scripted.will_fail("POST", PORTAL, 400, type="invalid_request_error", **error)

    with pytest.raises(NotKnown, match="customer cus_1"):
        await scripted_processor.card_page(OWN_ACCOUNT, "cus_1", "https://shop.example.com/account")


# --- the check itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        (PAY, "off_sesion=true"),
        (PAY, "off_session=perhaps"),
        (PAY, "expand[0]=payments.data.payment.payment_intent.latest_charge"),
        (PAY, "expand[0]=payment_intent"),
        (PORTAL, "customer=cus_1&flow_data[type]=payment_method_update&flow_data[kind]=x"),
        ("/v1/subscriptions/sub_1", "pause_collection[behavior]=sleep"),
        ("/v1/invoices/in_1/charge", ""),
    ],
)
def test_what_stripe_would_refuse_is_caught(
    description: StripeDescription, path: str, parameters: str
) -> None:
    with pytest.raises(AssertionError):
        description.check_request("POST", path, parameters)


def test_an_answer_that_stripe_would_not_give_is_caught(description: StripeDescription) -> None:
    with pytest.raises(AssertionError, match="status"):
        description.check_answer("POST", PAY, invoice("settled"))
    with pytest.raises(AssertionError, match="payments"):
        description.check_answer("POST", PAY, invoice(payment={"id": "pi_1"}))
