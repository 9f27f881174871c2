"""What Stripe's events of cards, customers, refunds and disputes mean."""

from __future__ import annotations

import pytest

from processors.protocol import ReportKind
from tests.stand_ins.stripe_event_bodies import JsonObject, event, kinds, only

# --- cards and customers -------------------------------------------------------------------------

CUSTOMER: JsonObject = {
    "id": "cus_1",
    "object": "customer",
    "default_source": None,
    "invoice_settings": {"default_payment_method": "pm_2"},
}
CARD: JsonObject = {
    "id": "pm_1",
    "object": "payment_method",
    "type": "card",
    "customer": "cus_1",
    "card": {"brand": "visa", "exp_month": 4, "exp_year": 2031, "last4": "4242", "fingerprint": "Xt5E"},
}


def test_a_card_that_a_customer_adds_can_be_charged() -> None:
    report = only(event("payment_method.attached", CARD))

    assert (report.kind, report.customer, report.method) == (ReportKind.CARD_UPDATED, "cus_1", "pm_1")
    assert report.renewed is None


def test_a_card_that_its_network_renewed_differs_by_its_contents() -> None:
    renewed = only(event("payment_method.automatically_updated", CARD, {"card": {"exp_year": 2026}}))
    once_more = CARD | {"card": CARD["card"] | {"exp_year": 2034}}
    again = only(event("payment_method.automatically_updated", once_more, {"card": {"exp_year": 2031}}))

    assert (renewed.kind, renewed.method) == (ReportKind.CARD_UPDATED, "pm_1")
    assert renewed.renewed == "2031-4-4242-Xt5E"
    assert again.renewed != renewed.renewed


def test_a_card_whose_date_the_customer_mended_is_renewed_and_one_whose_name_is_not() -> None:
    mended = only(event("payment_method.updated", CARD, {"card": {"exp_month": 1}}))
    renamed = only(event("payment_method.updated", CARD, {"billing_details": {"name": "Ann"}}))

    assert (mended.kind, mended.renewed) == (ReportKind.CARD_UPDATED, "2031-4-4242-Xt5E")
    assert renamed.kind is ReportKind.IGNORED


def test_the_oldest_cards_are_sources_and_count_too() -> None:
    source = {"id": "card_1", "object": "card", "customer": "cus_1", "exp_month": 4, "exp_year": 2031}
    added = only(event("customer.source.created", source))
    renewed = only(event("customer.source.updated", source, {"exp_year": 2026}))

    assert (added.method, added.renewed) == ("card_1", None)
    assert (renewed.method, renewed.renewed) == ("card_1", "2031-4--")


def test_a_card_that_belongs_to_nobody_is_ignored() -> None:
    assert kinds(event("payment_method.attached", CARD | {"customer": None})) == [ReportKind.IGNORED]


@pytest.mark.parametrize(
    ("customer", "before", "method"),
    [
        (CUSTOMER, {"invoice_settings": {"default_payment_method": None}}, "pm_2"),
        (CUSTOMER | {"default_source": "card_2"}, {"default_source": "card_1"}, "card_2"),
    ],
)
def test_another_default_is_a_new_card(customer: JsonObject, before: JsonObject, method: str) -> None:
    report = only(event("customer.updated", customer, before))

    assert (report.kind, report.customer, report.method) == (ReportKind.CARD_UPDATED, "cus_1", method)


def test_a_new_card_and_a_new_address_are_two_reports() -> None:
    before = {"invoice_settings": {"default_payment_method": "pm_1"}, "email": "old@example.com"}
    assert kinds(event("customer.updated", CUSTOMER, before)) == [
        ReportKind.CARD_UPDATED,
        ReportKind.CUSTOMER_CHANGED,
    ]


def test_a_card_that_was_taken_away_is_a_change_of_the_customer() -> None:
    without = CUSTOMER | {"invoice_settings": {"default_payment_method": None}}
    report = only(
        event("customer.updated", without, {"invoice_settings": {"default_payment_method": "pm_1"}})
    )

    assert (report.kind, report.method) == (ReportKind.CUSTOMER_CHANGED, None)
    assert "taken away" in report.why


def test_stripes_bookkeeping_of_a_customer_is_ignored() -> None:
    body = event("customer.updated", CUSTOMER, {"delinquent": False, "next_invoice_sequence": 3})
    assert kinds(body) == [ReportKind.IGNORED]


def test_a_deleted_customer_is_told() -> None:
    report = only(event("customer.deleted", {"id": "cus_1", "object": "customer"}))
    assert (report.kind, report.customer) == (ReportKind.CUSTOMER_DELETED, "cus_1")


# --- refunds and disputes ------------------------------------------------------------------------

CHARGE: JsonObject = {
    "id": "ch_1",
    "object": "charge",
    "amount": 4900,
    "amount_refunded": 1000,
    "currency": "usd",
    "customer": "cus_1",
    "payment_intent": "pi_1",
    "refunded": False,
}


def test_a_refund_finds_its_invoice_in_old_shapes_and_its_payment_in_new_ones() -> None:
    old = only(event("charge.refunded", CHARGE | {"invoice": "in_1"}))
    new = only(event("charge.refunded", CHARGE))

    assert (old.kind, old.invoice, old.amount) == (ReportKind.REFUNDED, "in_1", 1000)
    assert (new.invoice, new.payment, new.customer) == (None, "pi_1", "cus_1")
    assert new.why == "payment pi_1 was refunded in part: 1000 of 4900"


DISPUTE: JsonObject = {
    "id": "dp_1",
    "object": "dispute",
    "amount": 4900,
    "currency": "usd",
    "charge": "ch_1",
    "payment_intent": "pi_1",
    "reason": "fraudulent",
    "status": "needs_response",
}


def test_a_dispute_names_the_payment_and_the_invoice_where_it_can() -> None:
    plain = only(event("charge.dispute.created", DISPUTE))
    whole = only(event("charge.dispute.created", DISPUTE | {"charge": CHARGE | {"invoice": "in_1"}}))
    oldest = only(event("charge.dispute.created", DISPUTE | {"payment_intent": None}))

    assert (plain.kind, plain.payment, plain.invoice) == (ReportKind.DISPUTED, "pi_1", None)
    assert (plain.amount, plain.currency, plain.why) == (4900, "USD", "payment pi_1 is disputed: fraudulent")
    assert (whole.invoice, whole.customer) == ("in_1", "cus_1")
    assert oldest.payment == "ch_1"


def test_a_dispute_that_is_over_says_how_it_went() -> None:
    report = only(event("charge.dispute.closed", DISPUTE | {"status": "won"}))
    assert (report.kind, report.why) == (
        ReportKind.DISPUTE_CLOSED,
        "the dispute of payment pi_1 was closed: won",
    )
