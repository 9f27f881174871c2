"""How an invoice of Stripe's is read, in the shapes of old API versions and of today's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from processors.protocol import InvoiceState, PaidBy
from processors.stripe_invoice import needs_request, read_card, read_customer, read_invoice_body
from processors.stripe_shapes import Decline, decline_of, payments_of
from tests.stand_ins.stripe_bodies import FAILED_AT, charge, customer, intent, invoice, method, payments

Json = dict[str, Any]


def old(**more: Any) -> Json:
    """Make an invoice as it was before 2025-03-31, all its parts expanded."""
    body = invoice()
    del body["parent"]
    subscription = {"id": "sub_1", "object": "subscription", "status": "past_due"}
    return body | {"subscription": subscription, "payment_intent": None, "charge": None} | more


# --- which card ----------------------------------------------------------------------------------


def with_cards(*places: str) -> Json:
    """Put a card of its own at each of these places."""
    cards = {place: method(f"pm_{place}") for place in places}
    subscription = {
        "id": "sub_1",
        "default_payment_method": cards.get("subscription"),
        "default_source": {"id": "card_subscription"} if "subscription source" in places else None,
    }
    owner = customer(
        invoice_settings={"default_payment_method": cards.get("customer")},
        default_source={"id": "card_customer"} if "customer source" in places else None,
    )
    parent = {"type": "subscription_details", "subscription_details": {"subscription": subscription}}
    return invoice(customer=owner, parent=parent, default_payment_method=cards.get("invoice"))


@pytest.mark.parametrize(
    ("places", "chosen"),
    [
        (("invoice", "subscription", "customer"), "pm_invoice"),
        (("subscription", "subscription source", "customer", "customer source"), "pm_subscription"),
        (("subscription source", "customer", "customer source"), "card_subscription"),
        (("customer", "customer source"), "pm_customer"),
        (("customer source",), "card_customer"),
        ((), None),
    ],
)
def test_the_card_is_the_one_that_stripe_would_charge(places: tuple[str, ...], chosen: str | None) -> None:
    card = read_card(with_cards(*places))
    assert (card.id if card else None) == chosen


def test_a_source_and_a_payment_method_name_their_network_alike() -> None:
    source = {"id": "card_1", "object": "card", "brand": "American Express", "last4": "0005", "country": "GB"}
    old_card = read_card(invoice(default_source=source))
    new_card = read_card(invoice(default_payment_method=method("pm_1", "0005", "amex")))

    assert old_card is not None
    assert new_card is not None
    assert (old_card.network, old_card.last4, old_card.country) == ("amex", "0005", "GB")
    assert new_card.network == "amex"


def test_a_bank_account_has_no_card_network() -> None:
    debit = {"id": "pm_1", "type": "sepa_debit", "sepa_debit": {"last4": "3000", "country": "DE"}}
    card = read_card(invoice(default_payment_method=debit))

    assert card is not None
    assert (card.network, card.last4, card.country) == (None, "3000", "DE")


def test_a_card_that_was_not_expanded_is_known_by_its_id_alone() -> None:
    card = read_card(invoice(default_payment_method="pm_1"))

    assert card is not None
    assert (card.id, card.network, card.last4) == ("pm_1", None, None)


# --- whose it is ---------------------------------------------------------------------------------


def test_a_customer_without_name_and_address_has_those_of_the_invoice() -> None:
    bare = customer(email=None, name=None, preferred_locales=["de-AT", "en"])
    body = invoice(customer=bare, customer_email="billing@example.com", customer_address={"country": "AT"})

    details = read_customer(body)

    assert (details.email, details.name) == ("billing@example.com", None)
    assert (details.locale, details.country, details.timezone) == ("de-AT", "AT", None)


def test_a_deleted_customer_is_not_written_to() -> None:
    gone = {"id": "cus_1", "object": "customer", "deleted": True}
    details = read_customer(invoice(customer=gone, customer_email="ann@example.com"))

    assert (details.id, details.email) == ("cus_1", None)


@pytest.mark.parametrize(
    ("price", "plan"),
    [
        ({"id": "price_1", "lookup_key": "team", "nickname": "Team"}, "team"),
        ({"id": "price_1", "lookup_key": None, "nickname": "Team"}, "Team"),
        ({"id": "price_1", "lookup_key": None, "nickname": None}, "price_1"),
    ],
)
def test_a_plan_is_called_what_its_owner_calls_it(price: Json, plan: str) -> None:
    subscription = {"id": "sub_1", "items": {"data": [{"price": price}]}}
    assert read_invoice_body(old(subscription=subscription)).plan == plan


@pytest.mark.parametrize(
    ("items", "interval"),
    [
        ([{"price": {"id": "price_1", "recurring": {"interval": "year", "interval_count": 1}}}], "year"),
        ([{"plan": {"id": "plan_1", "interval": "week"}}], "week"),
        (
            [{"price": {"id": "price_1", "recurring": None}}, {"plan": {"id": "plan_1", "interval": "day"}}],
            "day",
        ),
        ([{"price": {"id": "price_1", "recurring": None}}], None),
        ([], None),
    ],
)
def test_how_often_it_is_billed_is_read_from_prices_and_plans(
    items: list[Json], interval: str | None
) -> None:
    subscription = {"id": "sub_1", "items": {"data": items}}
    parent = {"type": "subscription_details", "subscription_details": {"subscription": subscription}}

    assert read_invoice_body(old(subscription=subscription)).interval == interval
    assert read_invoice_body(invoice(parent=parent)).interval == interval


def test_tags_of_customer_subscription_and_invoice_are_united_in_order() -> None:
    body = old(
        customer=customer(metadata={"tags": "vip, annual deal", "tier": "gold"}),
        subscription={"id": "sub_1", "metadata": {"tags": " pilot ,vip"}},
        metadata={"tags": "manual,, pilot"},
    )
    assert read_invoice_body(body).tags == ("vip", "annual deal", "pilot", "manual")


def test_what_has_no_tags_and_what_was_not_expanded_is_untagged() -> None:
    body = old(customer="cus_1", subscription="sub_1", metadata=None)
    assert read_invoice_body(body).tags == ()


@pytest.mark.parametrize(
    ("status", "ended"),
    [("past_due", False), ("unpaid", False), ("canceled", True), ("incomplete_expired", True)],
)
def test_a_subscription_that_is_over_is_known(status: str, ended: bool) -> None:  # noqa: FBT001
    body = old(subscription={"id": "sub_1", "status": status})
    assert read_invoice_body(body).subscription_ended is ended


# --- what became of its payments -----------------------------------------------------------------

ERROR = {"code": "card_declined", "decline_code": "insufficient_funds", "advice_code": "try_again_later"}


def test_a_failure_reads_the_same_from_old_and_new_places() -> None:
    failed = charge("failed", failure_code="card_declined")
    declined = intent("requires_payment_method", ERROR) | {"latest_charge": failed}
    before = read_invoice_body(old(payment_intent=declined, charge=failed))
    today = read_invoice_body(invoice(payment=declined))

    for found in (before, today):
        assert (found.state, found.decline) == (InvoiceState.OPEN, "insufficient_funds")
        assert found.advice == "try_again_later"
        assert found.failed_at == datetime.fromtimestamp(FAILED_AT, tz=UTC)
        assert (found.paid_by, found.payment, found.pending) == (None, None, False)


def test_a_confirmation_that_never_came_is_asked_for_once_more() -> None:
    expired = {"type": "card_error", "code": "payment_intent_authentication_failure"}
    found = read_invoice_body(invoice(payment=intent("requires_payment_method", expired)))
    assert found.decline == "authentication_required"
    assert found.confirm_url == "https://invoice.stripe.com/i/in_1"


def test_a_charge_alone_tells_its_reason_by_its_outcome() -> None:
    outcome = {"type": "issuer_declined", "reason": "stolen_card", "advice_code": "do_not_try_again"}
    failed = charge("failed", failure_code="card_declined", outcome=outcome)
    assert decline_of(old(), failed) == Decline(
        code="stolen_card", advice="do_not_try_again", payment="pi_1", charge="ch_1"
    )
    expired = charge("failed", failure_code="expired_card", outcome={"reason": "generic_decline"})
    assert decline_of(old(), expired) == Decline(code="expired_card", payment="pi_1", charge="ch_1")


def test_what_was_declined_before_it_was_paid_is_no_decline_any_more() -> None:
    body = invoice("paid", intent("succeeded", ERROR))
    assert read_invoice_body(body, charge("succeeded")).decline is None


def test_the_payment_that_paid_comes_before_the_one_that_was_tried_first() -> None:
    tried = payments("open", {"type": "payment_intent", "payment_intent": "pi_tried"})
    paid = payments("paid", {"type": "payment_intent", "payment_intent": "pi_paid"})
    paid["data"][0]["is_default"] = False
    body = invoice("paid") | {"payments": {"data": tried["data"] + paid["data"]}}

    assert [payment.id for payment in payments_of(body)] == ["pi_paid", "pi_tried"]


@pytest.mark.parametrize(
    "body", [old(payment_intent=intent("processing")), invoice(payment=intent("processing"))]
)
def test_a_payment_under_way_is_pending(body: Json) -> None:
    assert read_invoice_body(body).pending


def test_a_charge_under_way_is_pending() -> None:
    assert read_invoice_body(old(), charge("pending")).pending


# --- who paid ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        old(status="paid", paid_out_of_band=True),
        invoice("paid", amount_paid_off_stripe=4900),
        invoice("paid", payments=payments("paid", {"type": "payment_record", "payment_record": "pr_1"})),
        invoice("paid", payments={"data": []}),
    ],
    ids=["marked by hand, old", "marked by hand", "a record of a payment", "from the credit balance"],
)
def test_money_that_stripe_did_not_move_is_from_elsewhere(body: Json) -> None:
    assert not needs_request(body)
    assert read_invoice_body(body, request={"id": "req_1"}).paid_by is PaidBy.ELSEWHERE


def test_our_own_request_is_ours_even_where_the_holder_had_once_confirmed() -> None:
    details = {"card": {"three_d_secure": {"authentication_flow": "challenge"}}}
    body = invoice("paid", intent("succeeded"))
    request = {"id": "req_1", "idempotency_key": "dunwell/case/day-3/0"}

    paid = read_invoice_body(body, charge("succeeded", payment_method_details=details), request)

    assert paid.paid_by is PaidBy.REQUEST


def test_a_confirmation_that_asked_nothing_of_the_customer_is_stripes_doing() -> None:
    details = {"card": {"three_d_secure": {"authentication_flow": "frictionless"}}}
    body = invoice("paid", intent("succeeded"))

    paid = read_invoice_body(body, charge("succeeded", payment_method_details=details), {"id": None})

    assert paid.paid_by is PaidBy.PROCESSOR


# --- what comes next -----------------------------------------------------------------------------


def test_stripe_retries_only_what_it_advances_itself() -> None:
    left = invoice(auto_advance=True, next_payment_attempt=FAILED_AT)
    taken = invoice(auto_advance=False, next_payment_attempt=FAILED_AT)

    assert read_invoice_body(left).processor_retries_at == datetime.fromtimestamp(FAILED_AT, tz=UTC)
    assert read_invoice_body(taken).processor_retries_at is None


def test_a_first_payment_and_one_sent_for_payment_are_told_apart() -> None:
    first = read_invoice_body(invoice(billing_reason="subscription_create"))
    sent = read_invoice_body(invoice(collection_method="send_invoice"))

    assert (first.first_payment, first.sent_for_payment) == (True, False)
    assert (sent.first_payment, sent.sent_for_payment) == (False, True)
