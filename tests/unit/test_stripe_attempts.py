"""What Stripe's events tell of attempts on cards and accounts, whoever asked for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from processors.protocol import Attempted, AttemptResult, Initiator, ReportKind
from processors.stripe_events import read_reports
from tests.stand_ins.stripe_event_bodies import FAILED_AT, JsonObject, event, kinds, only

THEN = datetime.fromtimestamp(FAILED_AT - 60, tz=UTC)
CARD: JsonObject = {"brand": "Mastercard", "last4": "4444", "fingerprint": "Xt5E", "three_d_secure": None}
OUTCOME: JsonObject = {
    "type": "issuer_declined",
    "network_status": "declined_by_network",
    "reason": "insufficient_funds",
    "advice_code": "try_again_later",
    "network_decline_code": "51",
    "network_advice_code": "27",
}
CHARGE: JsonObject = {
    "id": "ch_1",
    "object": "charge",
    "amount": 4900,
    "created": FAILED_AT - 60,
    "currency": "usd",
    "customer": "cus_1",
    "payment_intent": "pi_1",
    "payment_method": "pm_1",
    "payment_method_details": {"type": "card", "card": CARD},
    "status": "failed",
    "failure_code": "card_declined",
    "outcome": OUTCOME,
}
DECLINED = Attempted(
    charge="ch_1",
    result=AttemptResult.DECLINED,
    initiator=Initiator.MERCHANT,
    at=THEN,
    amount=4900,
    currency="USD",
    method="pm_1",
    fingerprint="Xt5E",
    network="mastercard",
    decline="insufficient_funds",
    advice="try_again_later",
    network_code="51",
    network_advice="27",
)
OURS = {"id": "req_1", "idempotency_key": "dunwell/recovery/stripe/main/in_1/1/day-3/0"}


def debit(kind: str, **more: Any) -> JsonObject:
    details = {"type": kind, kind: {"last4": "6789", "fingerprint": "Bank1"}}
    return CHARGE | {"payment_method_details": details, "outcome": {}} | more


# --- charges -------------------------------------------------------------------------------------


def test_one_of_stripes_own_retries_tells_which_card_it_was_and_all_that_was_said() -> None:
    report = only(event("charge.failed", CHARGE))

    assert report.kind is ReportKind.ATTEMPTED
    assert report.attempted == DECLINED
    assert (report.customer, report.payment, report.method) == ("cus_1", "pi_1", "pm_1")
    assert (report.amount, report.currency) == (4900, "USD")
    assert (report.decline, report.network_code, report.network_advice) == ("insufficient_funds", "51", "27")
    assert (report.ours, report.invoice) == (False, None)
    assert report.why == "charge ch_1 of payment pi_1: declined (insufficient_funds)"


def test_an_attempt_of_ours_is_known_as_ours() -> None:
    report = only(event("charge.failed", CHARGE, request=OURS))
    assert (report.ours, report.attempted) == (True, DECLINED)


def test_an_approved_attempt_is_one_too() -> None:
    approved = CHARGE | {"status": "succeeded", "failure_code": None, "outcome": {"reason": None}}
    report = only(event("charge.succeeded", approved))

    assert report.attempted is not None
    assert (report.attempted.result, report.attempted.decline) == (AttemptResult.APPROVED, None)


def test_who_answered_the_banks_challenge_was_the_customer() -> None:
    secured = CARD | {"three_d_secure": {"authentication_flow": "challenge"}}
    details = {"type": "card", "card": secured}
    report = only(event("charge.failed", CHARGE | {"payment_method_details": details}))

    assert report.attempted is not None
    assert report.attempted.initiator is Initiator.CUSTOMER


def test_what_stripe_stopped_itself_was_no_attempt() -> None:
    stopped = CHARGE | {"outcome": OUTCOME | {"network_status": "not_sent_to_network"}}
    report = only(event("charge.failed", stopped))

    assert (report.kind, report.attempted) == (ReportKind.IGNORED, None)
    assert "stopped by Stripe itself" in report.why


def test_the_oldest_charges_have_a_source() -> None:
    source = {"id": "card_1", "object": "card", "brand": "American Express", "fingerprint": "Old1"}
    old = CHARGE | {"payment_method": None, "payment_method_details": None, "payment_intent": None}
    report = only(event("charge.failed", old | {"source": source, "invoice": "in_1"}))

    assert (report.invoice, report.payment) == ("in_1", "ch_1")
    assert report.attempted is not None
    assert (report.attempted.method, report.attempted.network) == ("card_1", "amex")
    assert (report.attempted.fingerprint, report.attempted.rail) == ("Old1", "card")


# --- debits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "rail", "stripe", "network", "code"),
    [
        ("us_bank_account", "ach", "insufficient_funds", "R09", "R09"),
        ("us_bank_account", "ach", "debit_not_authorized", None, "R10"),
        ("us_bank_account", "ach", "something_new", None, "something_new"),
        ("sepa_debit", "sepa", "insufficient_funds", "am04", "AM04"),
        ("sepa_debit", "sepa", "account_closed", None, "AC04"),
        ("bacs_debit", "bacs", "account_closed", None, "account_closed"),
    ],
)
def test_a_debit_that_came_back_is_told_by_the_banks_own_code(
    kind: str, rail: str, stripe: str, network: str | None, code: str
) -> None:
    returned = debit(kind, failure_code=stripe, outcome={"network_decline_code": network})
    report = only(event("charge.failed", returned))

    assert report.attempted is not None
    assert (report.attempted.rail, report.attempted.decline) == (rail, code)
    assert (report.attempted.fingerprint, report.attempted.network) == ("Bank1", None)


def test_a_debit_is_open_until_its_bank_answers_under_the_same_name() -> None:
    begun = only(event("charge.pending", debit("us_bank_account", status="pending", failure_code=None)))
    ended = only(event("charge.succeeded", debit("us_bank_account", status="succeeded", failure_code=None)))

    assert begun.attempted is not None
    assert ended.attempted is not None
    assert (begun.attempted.result, begun.attempted.decline) == (AttemptResult.OPEN, None)
    assert ended.attempted.result is AttemptResult.APPROVED
    assert begun.attempted.charge == ended.attempted.charge


# --- payments ------------------------------------------------------------------------------------

ERROR: JsonObject = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "advice_code": "try_again_later",
    "network_decline_code": "51",
    "network_advice_code": "27",
    "charge": "ch_1",
    "payment_method": {"id": "pm_1", "object": "payment_method", "type": "card", "card": CARD},
}
INTENT: JsonObject = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 4900,
    "currency": "usd",
    "customer": "cus_1",
    "status": "requires_payment_method",
    "last_payment_error": ERROR,
}


def test_a_payment_that_failed_names_the_same_charge_so_that_it_counts_once() -> None:
    report = only(event("payment_intent.payment_failed", INTENT, created=FAILED_AT - 60))

    assert report.kind is ReportKind.ATTEMPTED
    assert report.attempted == DECLINED
    assert report.payment == "pi_1"


def test_a_payment_that_the_customer_did_not_confirm_in_time_is_a_change_and_no_attempt() -> None:
    error = {"type": "card_error", "code": "payment_intent_authentication_failure"}
    report = only(event("payment_intent.payment_failed", INTENT | {"last_payment_error": error}))

    assert (report.kind, report.payment, report.attempted) == (ReportKind.INVOICE_CHANGED, "pi_1", None)
    assert report.why == "the customer did not confirm payment pi_1 with the bank"
    assert report.unconfirmed


def test_one_that_the_bank_declined_besides_is_both() -> None:
    error = ERROR | {"code": "payment_intent_authentication_failure"}
    body = event("payment_intent.payment_failed", INTENT | {"last_payment_error": error})
    assert kinds(body) == [ReportKind.INVOICE_CHANGED, ReportKind.ATTEMPTED]


def test_a_payment_that_was_given_up_says_why() -> None:
    cancelled = INTENT | {"status": "canceled", "cancellation_reason": "automatic", "invoice": "in_1"}
    report = only(event("payment_intent.canceled", cancelled))

    assert (report.kind, report.payment, report.invoice) == (ReportKind.INVOICE_CHANGED, "pi_1", "in_1")
    assert report.why == "payment pi_1 was given up: automatic"


def test_a_payment_that_reached_no_network_is_ignored() -> None:
    body = event("payment_intent.payment_failed", INTENT | {"last_payment_error": {"code": "api_error"}})
    assert kinds(body) == [ReportKind.IGNORED]


# --- a card that the customer just gave ------------------------------------------------------------


def test_everything_that_tells_of_a_card_names_the_same_one() -> None:
    method = {"id": "pm_2", "object": "payment_method", "customer": "cus_1"}
    customer = {"id": "cus_1", "invoice_settings": {"default_payment_method": "pm_2"}}
    before = {"invoice_settings": {"default_payment_method": "pm_1"}}
    setup = {"id": "seti_1", "object": "setup_intent", "customer": "cus_1", "payment_method": "pm_2"}
    session = {"id": "cs_1", "object": "checkout.session", "customer": "cus_1", "setup_intent": "seti_1"}
    told = [
        report
        for body in (
            event("payment_method.attached", method),
            event("setup_intent.succeeded", setup),
            event("checkout.session.completed", session),
            event("customer.updated", customer, before),
        )
        for report in read_reports(body)
    ]

    assert [(report.kind, report.method) for report in told] == [
        (ReportKind.CARD_UPDATED, "pm_2"),
        (ReportKind.CARD_UPDATED, "pm_2"),
        (ReportKind.IGNORED, None),
        (ReportKind.CARD_UPDATED, "pm_2"),
    ]
    assert all(report.customer == "cus_1" for report in told if report.kind is ReportKind.CARD_UPDATED)


@pytest.mark.parametrize("missing", ["customer", "payment_method"])
def test_a_setup_for_nobody_or_of_nothing_is_ignored(missing: str) -> None:
    setup = {"id": "seti_1", "customer": "cus_1", "payment_method": "pm_2"} | {missing: None}
    assert kinds(event("setup_intent.succeeded", setup)) == [ReportKind.IGNORED]
