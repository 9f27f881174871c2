"""Bodies as Stripe answers them today, as small as its description allows."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

FAILED_AT = 1772442000
PAID_AT = 1772528400


def method(name: str = "pm_1", last4: str = "4242", network: str = "visa", **more: Any) -> Json:
    body: Json = {
        "id": name,
        "object": "payment_method",
        "type": "card",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "card": {
            "brand": network,
            "country": "US",
            "exp_month": 4,
            "exp_year": 2031,
            "fingerprint": f"Print{last4}",
            "funding": "credit",
            "last4": last4,
        },
        "created": FAILED_AT,
        "livemode": False,
    }
    return body | more


def account(name: str, kind: str, **more: Any) -> Json:
    """Make a bank account of a type of Stripe's, such as ``us_bank_account``."""
    contents = {"last4": "6789", "fingerprint": "PrintBank"} | more
    body = method(name) | {"type": kind, kind: contents}
    del body["card"]
    return body


def page(path: str, *things: Json) -> Json:
    return {"object": "list", "data": list(things), "has_more": False, "url": path}


def intent(status: str, error: Json | None = None, charge: str | None = None) -> Json:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "created": FAILED_AT,
        "livemode": False,
        "status": status,
        "last_payment_error": error,
        "latest_charge": charge,
        "payment_method": "pm_1",
    }


def charge(status: str, **more: Any) -> Json:
    body = {
        "id": "ch_1",
        "object": "charge",
        "amount": 4900,
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "captured": status == "succeeded",
        "created": FAILED_AT,
        "currency": "usd",
        "disputed": False,
        "livemode": False,
        "metadata": {},
        "paid": status == "succeeded",
        "payment_intent": "pi_1",
        "refunded": False,
        "status": status,
    }
    return body | more


def customer(**more: Any) -> Json:
    body = {"id": "cus_1", "object": "customer", "created": 1, "livemode": False, "metadata": {}}
    return body | {"email": "ann@example.com", "name": "Ann Lee"} | more


def payments(status: str, payment: Json) -> Json:
    line = {
        "id": "inpay_1",
        "object": "invoice_payment",
        "amount_paid": 4900 if status == "paid" else None,
        "amount_requested": 4900,
        "created": FAILED_AT,
        "currency": "usd",
        "invoice": "in_1",
        "is_default": True,
        "livemode": False,
        "payment": payment,
        "status": status,
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    return {"object": "list", "data": [line], "has_more": False, "url": "/v1/invoice_payments"}


# Amounts that every invoice has and none of ours uses.
NO_AMOUNTS = dict.fromkeys(
    (
        "amount_overpaid",
        "amount_paid_off_stripe",
        "amount_shipping",
        "post_payment_credit_notes_amount",
        "pre_payment_credit_notes_amount",
        "starting_balance",
    ),
    0,
)


def invoice(status: str = "open", payment: Json | None = None, **more: Any) -> Json:
    """Make an invoice; ``payment`` is its payment intent, expanded."""
    paid = status == "paid"
    body: Json = NO_AMOUNTS | {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 4900,
        "amount_paid": 4900 if paid else 0,
        "amount_remaining": 0 if paid else 4900,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "status": None},
        "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically",
        "created": FAILED_AT,
        "currency": "usd",
        "customer": customer(),
        "default_tax_rates": [],
        "discounts": [],
        "hosted_invoice_url": "https://invoice.stripe.com/i/in_1",
        "issuer": {"type": "self"},
        "lines": {"object": "list", "data": [], "has_more": False, "url": "/v1/invoices/in_1/lines"},
        "livemode": False,
        "parent": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": FAILED_AT,
        "period_start": FAILED_AT,
        "status": status,
        "status_transitions": {
            "finalized_at": FAILED_AT,
            "marked_uncollectible_at": None,
            "paid_at": PAID_AT if paid else None,
            "voided_at": None,
        },
        "subtotal": 4900,
        "total": 4900,
    }
    if payment is not None:
        part = {"type": "payment_intent", "payment_intent": payment}
        body["payments"] = payments("paid" if paid else "open", part)
    return body | more


def event_page(*events: Json) -> Json:
    return {"object": "list", "data": list(events), "has_more": False, "url": "/v1/events"}


def paid_event(request: str | None, key: str | None = None, about: str = "in_1") -> Json:
    """Make the event that announces a payment."""
    return {
        "id": f"evt_{about}",
        "object": "event",
        "created": PAID_AT,
        "data": {"object": {"id": about, "object": "invoice"}},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request, "idempotency_key": key},
        "type": "invoice.paid",
    }


def portal_session(url: str) -> Json:
    return {
        "id": "bps_1",
        "object": "billing_portal.session",
        "configuration": "bpc_1",
        "created": FAILED_AT,
        "customer": "cus_1",
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": "https://shop.example.com/account",
        "url": url,
    }
