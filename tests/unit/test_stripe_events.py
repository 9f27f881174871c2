"""What Stripe's events mean, told by events of old API versions and of today's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from errors import BadInput
from processors.protocol import ReportKind
from processors.stripe_events import MEANINGS, read_reports
from tests.stand_ins.stripe_event_bodies import FAILED_AT, JsonObject, event, kinds, only

INVOICE: JsonObject = {
    "id": "in_1",
    "object": "invoice",
    "amount_remaining": 4900,
    "amount_paid": 0,
    "currency": "usd",
    "customer": "cus_1",
    "billing_reason": "subscription_cycle",
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "status": "open",
}

# Before 2025-03-31 an invoice named its subscription, its payment and its charge itself.
OLD_INVOICE = INVOICE | {"subscription": "sub_1", "payment_intent": "pi_1", "charge": "ch_1", "paid": False}
# Since then the subscription stands under "parent", and payments come only where they are asked for.
NEW_INVOICE = INVOICE | {
    "parent": {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": {"subscription": "sub_1", "metadata": {}},
    }
}
BOTH = pytest.mark.parametrize("invoice", [OLD_INVOICE, NEW_INVOICE], ids=["old", "new"])


@BOTH
def test_a_failed_renewal_tells_whose_it_is_and_how_much(invoice: JsonObject) -> None:
    report = only(event("invoice.payment_failed", invoice))

    assert (report.event, report.type) == ("evt_1", "invoice.payment_failed")
    assert report.kind is ReportKind.PAYMENT_FAILED
    assert (report.invoice, report.subscription, report.customer) == ("in_1", "sub_1", "cus_1")
    assert (report.amount, report.currency, report.livemode) == (4900, "USD", True)
    assert report.at == datetime.fromtimestamp(FAILED_AT, tz=UTC)
    assert (report.account, report.ours) == ("main", False)
    assert (report.first_payment, report.sent_for_payment) == (False, False)
    assert (report.decline, report.advice) == (None, None)
    assert report.why == "a payment of invoice in_1 failed"


ERROR: JsonObject = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "advice_code": "try_again_later",
    "payment_method": {"id": "pm_1", "object": "payment_method"},
}


@pytest.mark.parametrize(
    "invoice",
    [
        OLD_INVOICE | {"payment_intent": {"id": "pi_1", "last_payment_error": ERROR}},
        NEW_INVOICE
        | {
            "payments": {
                "data": [
                    {
                        "is_default": True,
                        "status": "open",
                        "payment": {
                            "type": "payment_intent",
                            "payment_intent": {"id": "pi_1", "last_payment_error": ERROR},
                        },
                    }
                ]
            }
        },
    ],
    ids=["old", "new"],
)
def test_a_reason_is_told_where_the_payment_came_along(invoice: JsonObject) -> None:
    report = only(event("invoice.payment_failed", invoice))

    assert (report.decline, report.advice) == ("insufficient_funds", "try_again_later")
    assert (report.payment, report.method) == ("pi_1", "pm_1")
    assert report.why.endswith("insufficient_funds")


def test_the_oldest_invoices_tell_the_reason_by_their_charge() -> None:
    outcome = {"reason": "lost_card", "advice_code": "do_not_try_again", "network_decline_code": "41"}
    charge = {"id": "ch_1", "status": "failed", "failure_code": "card_declined", "outcome": outcome}
    report = only(event("invoice.payment_failed", OLD_INVOICE | {"charge": charge, "payment_intent": None}))

    assert (report.decline, report.advice, report.payment) == ("lost_card", "do_not_try_again", "ch_1")


def test_a_first_payment_and_an_invoice_sent_for_payment_are_told_apart() -> None:
    first = NEW_INVOICE | {"billing_reason": "subscription_create"}
    sent = NEW_INVOICE | {"collection_method": "send_invoice"}

    assert only(event("invoice.payment_failed", first)).first_payment
    assert only(event("invoice.payment_failed", sent)).sent_for_payment


def test_a_payment_that_the_bank_wants_confirmed_is_a_failure_of_that_name() -> None:
    report = only(event("invoice.payment_action_required", NEW_INVOICE))

    assert report.kind is ReportKind.PAYMENT_FAILED
    assert report.decline == "authentication_required"


def test_what_we_asked_for_ourselves_is_known_by_our_key() -> None:
    ours = {"id": "req_1", "idempotency_key": "dunwell/recovery/stripe/main/in_1/1/day-3/0"}
    theirs = {"id": "req_2", "idempotency_key": "billing-42"}

    assert only(event("invoice.payment_failed", NEW_INVOICE, request=ours)).ours
    assert not only(event("invoice.payment_failed", NEW_INVOICE, request=theirs)).ours
    assert not only(event("invoice.payment_failed", NEW_INVOICE, request=None)).ours
    # So it was before 2017.
    assert not only(event("invoice.payment_failed", NEW_INVOICE, request="req_3")).ours


def test_an_event_of_a_connected_account_names_it() -> None:
    assert only(event("invoice.paid", NEW_INVOICE, account="acct_1")).account == "acct_1"


# --- the invoice is settled or changes -----------------------------------------------------------


@BOTH
def test_a_paid_invoice_is_told_once(invoice: JsonObject) -> None:
    paid = invoice | {"status": "paid", "amount_paid": 4900, "amount_remaining": 0}

    report = only(event("invoice.paid", paid))
    assert report.kind is ReportKind.PAYMENT_SUCCEEDED
    assert (report.invoice, report.subscription, report.amount) == ("in_1", "sub_1", 4900)
    assert kinds(event("invoice.payment_succeeded", paid)) == [ReportKind.IGNORED]


@pytest.mark.parametrize(
    ("kind", "says"),
    [("invoice.voided", "voided"), ("invoice.marked_uncollectible", "marked uncollectible")],
)
def test_a_closed_invoice_is_a_change(kind: str, says: str) -> None:
    report = only(event(kind, NEW_INVOICE))

    assert (report.kind, report.invoice) == (ReportKind.INVOICE_CHANGED, "in_1")
    assert says in report.why


def test_an_invoice_that_became_smaller_is_a_change() -> None:
    report = only(event("invoice.updated", NEW_INVOICE, {"amount_due": 9900, "attempt_count": 1}))

    assert (report.kind, report.amount) == (ReportKind.INVOICE_CHANGED, 4900)
    assert report.why == "invoice in_1 changed: amount_due"


def test_an_invoice_whose_retries_were_counted_is_none() -> None:
    report = only(event("invoice.updated", NEW_INVOICE, {"attempt_count": 1, "next_payment_attempt": None}))

    assert report.kind is ReportKind.IGNORED
    assert report.why == "of invoice in_1 only attempt_count, next_payment_attempt changed"


# --- subscriptions -------------------------------------------------------------------------------

SUBSCRIPTION: JsonObject = {
    "id": "sub_1",
    "object": "subscription",
    "customer": "cus_1",
    "status": "past_due",
    "cancel_at_period_end": False,
    "default_payment_method": None,
}


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("cancellation_requested", "as was asked for"),
        ("payment_failed", "by Stripe itself, at the end of its own retries"),
        ("payment_disputed", "because a payment was disputed"),
        (None, "without a reason given"),
    ],
)
def test_a_cancellation_says_whose_it_was(reason: str | None, says: str) -> None:
    cancelled = SUBSCRIPTION | {"status": "canceled", "cancellation_details": {"reason": reason}}
    report = only(event("customer.subscription.deleted", cancelled))

    assert (report.kind, report.subscription) == (ReportKind.CANCELLED, "sub_1")
    assert (report.customer, report.invoice) == ("cus_1", None)
    assert says in report.why


def test_our_own_cancellation_is_known_as_ours() -> None:
    ours = {"id": "req_1", "idempotency_key": "dunwell/recovery/stripe/main/in_1/1/end/cancel_now"}
    report = only(event("customer.subscription.deleted", SUBSCRIPTION, request=ours))

    assert report.ours
    assert "a request of Dunwell's" in report.why


def test_a_subscription_that_is_to_end_is_read_again() -> None:
    ending = SUBSCRIPTION | {"cancel_at_period_end": True}
    report = only(event("customer.subscription.updated", ending, {"cancel_at_period_end": False}))

    assert (report.kind, report.subscription) == (ReportKind.INVOICE_CHANGED, "sub_1")
    assert report.why == "subscription sub_1 is to end at a set time"


def test_a_subscription_that_expired_at_sign_up_is_cancelled() -> None:
    expired = SUBSCRIPTION | {"status": "incomplete_expired"}
    report = only(event("customer.subscription.updated", expired, {"status": "incomplete"}))

    assert report.kind is ReportKind.CANCELLED


def test_a_new_card_of_a_subscription_comes_before_its_new_status() -> None:
    changed = SUBSCRIPTION | {"status": "active", "default_payment_method": "pm_2"}
    before = {"status": "past_due", "default_payment_method": "pm_1"}
    card, status = read_reports(event("customer.subscription.updated", changed, before))

    assert (card.kind, card.method, card.subscription) == (ReportKind.CARD_UPDATED, "pm_2", "sub_1")
    assert (status.kind, status.why) == (
        ReportKind.INVOICE_CHANGED,
        "subscription sub_1 went from past_due to active",
    )


def test_a_subscription_that_only_moved_on_is_ignored() -> None:
    body = event("customer.subscription.updated", SUBSCRIPTION, {"latest_invoice": "in_0"})
    assert kinds(body) == [ReportKind.IGNORED]


# --- what is no news at all ----------------------------------------------------------------------


def test_an_event_of_no_interest_is_ignored_with_the_reason() -> None:
    report = only(event("payout.paid", {"id": "po_1", "object": "payout"}))
    assert (report.kind, report.why) == (
        ReportKind.IGNORED,
        "payout.paid means nothing to a failed payment",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"event"',
        b'{"object": "event"}',
        b'{"object": "v2.core.event", "id": "evt_1", "type": "v1.invoice.paid"}',
        event("invoice.paid", INVOICE, created="yesterday"),
        event("invoice.paid", INVOICE, id=None),
        event("invoice.paid", INVOICE, data={"object": "in_1"}),
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        read_reports(body)


@pytest.mark.parametrize("kind", sorted(MEANINGS))
@pytest.mark.parametrize("thing", [{}, {"id": None}, {"id": 7, "customer": 7, "charge": [], "card": "x"}])
@pytest.mark.parametrize("before", [None, {}, {"status": None, "invoice_settings": None, "card": 3}])
def test_no_shape_of_a_known_event_breaks_the_reading(
    kind: str, thing: JsonObject, before: JsonObject | None
) -> None:
    assert read_reports(event(kind, thing, before))
