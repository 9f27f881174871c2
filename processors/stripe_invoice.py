"""Turn what Stripe says of an invoice into Dunwell's words; pure, so that every shape can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keys import is_ours
from processors.protocol import CustomerDetails, Invoice, InvoiceState, PaidBy
from processors.stripe_methods import read_method
from processors.stripe_shapes import (
    NOTHING,
    Body,
    charge_of,
    currency_of,
    decline_of,
    expanded,
    identifier,
    moment,
    payment_of,
    payments_are_known,
    payments_of,
    rows,
    subscription_of,
    text,
)

if TYPE_CHECKING:
    from datetime import datetime

    from processors.protocol import Card

# Today's places only: Stripe refuses a whole request for one path that its version does not know, and
# goes four levels deep at most (https://docs.stripe.com/expand).
EXPANSIONS = (
    "customer.default_source",
    "customer.invoice_settings.default_payment_method",
    "default_payment_method",
    "default_source",
    "parent.subscription_details.subscription.default_payment_method",
    "parent.subscription_details.subscription.default_source",
    "payments.data.payment.payment_intent",
)

# Neither state is ever left again (https://docs.stripe.com/billing/subscriptions/overview).
ENDED = frozenset({"canceled", "incomplete_expired"})


def read_invoice_body(body: Body, charge: Body = NOTHING, request: Body | None = None) -> Invoice:
    """Read an invoice fetched with ``EXPANSIONS``.

    ``charge`` is its latest charge, where it has one. ``request`` is the ``request`` of the event by
    which Stripe announced that it was paid; None where that event was not found.
    """
    subscription = subscription_of(body)
    state = InvoiceState(body.get("status") or "draft")
    charge = charge or expanded(charge_of(body))
    decline = None if state is InvoiceState.PAID else decline_of(body, charge)
    return Invoice(
        id=body["id"],
        state=state,
        amount=body.get("amount_remaining") or 0,
        currency=currency_of(body) or "",
        livemode=bool(body.get("livemode")),
        customer=read_customer(body),
        subscription=identifier(subscription),
        subscription_ended=expanded(subscription).get("status") in ENDED,
        first_payment=body.get("billing_reason") == "subscription_create",
        sent_for_payment=body.get("collection_method") == "send_invoice",
        disputed=bool(charge.get("disputed")),
        pending=is_pending(body, charge),
        paid_by=_paid_by(body, charge, request) if state is InvoiceState.PAID else None,
        payment=payment_of(body) if state is InvoiceState.PAID else None,
        paid_key=text(request.get("idempotency_key")) if request and state is InvoiceState.PAID else None,
        card=read_card(body),
        plan=_plan(body),
        interval=_interval(body),
        tags=read_tags(body),
        number=text(body.get("number")),
        decline=decline.code if decline else None,
        advice=decline.advice if decline else None,
        network_code=decline.network_code if decline else None,
        network_advice=decline.network_advice if decline else None,
        failed_at=_failed_at(charge),
        failed_charge=identifier(charge) if charge.get("status") == "failed" else None,
        processor_retries_at=_processor_retries_at(body),
        confirm_url=text(body.get("hosted_invoice_url")),
    )


def read_customer(invoice: Body) -> CustomerDetails:
    """Read who owes an invoice.

    Stripe knows no time zone of a customer: the metadata entry ``timezone`` is taken for it. Name and
    address are those of the invoice where the customer has none; a deleted customer has neither.
    """
    reference = invoice.get("customer")
    customer = expanded(reference)
    if customer.get("deleted"):
        return CustomerDetails(id=identifier(reference) or "")
    metadata = {str(key): str(value) for key, value in expanded(customer.get("metadata")).items()}
    locales = customer.get("preferred_locales") or [None]
    addresses = (
        customer.get("address"),
        invoice.get("customer_address"),
        expanded(customer.get("shipping")).get("address"),
    )
    countries = (text(expanded(address).get("country")) for address in addresses)
    return CustomerDetails(
        id=identifier(reference) or "",
        email=text(customer.get("email")) or text(invoice.get("customer_email")),
        name=text(customer.get("name")) or text(invoice.get("customer_name")),
        locale=text(locales[0]),
        country=next((country for country in countries if country), None),
        timezone=metadata.get("timezone"),
        attributes=metadata,
    )


def read_tags(invoice: Body) -> tuple[str, ...]:
    """Read the metadata entry ``tags`` of the customer, the subscription and the invoice, each tag once.

    Stripe has no tags: they stand there divided by commas, ``vip, annual deal``.
    """
    places = (invoice.get("customer"), subscription_of(invoice), invoice)
    entries = (text(expanded(expanded(place).get("metadata")).get("tags")) or "" for place in places)
    tags = (tag.strip() for entry in entries for tag in entry.split(","))
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def read_card(invoice: Body) -> Card | None:
    """Find what Stripe would charge, in the order in which it looks itself.

    The invoice's own default comes first, then the subscription's, then the customer's; at each a
    payment method before a source (the fields' descriptions in https://docs.stripe.com/api).
    """
    subscription = expanded(subscription_of(invoice))
    customer = expanded(invoice.get("customer"))
    places = (
        invoice.get("default_payment_method"),
        invoice.get("default_source"),
        subscription.get("default_payment_method"),
        subscription.get("default_source"),
        expanded(customer.get("invoice_settings")).get("default_payment_method"),
        customer.get("default_source"),
    )
    chosen = next((place for place in places if identifier(place)), None)
    return read_method(chosen, customer)


def is_pending(invoice: Body, charge: Body = NOTHING) -> bool:
    """Whether a payment of the invoice is under way, as bank debits are for days."""
    intents = (expanded(payment.value) for payment in payments_of(invoice))
    return charge.get("status") == "pending" or any(body.get("status") == "processing" for body in intents)


def needs_request(invoice: Body) -> bool:
    """Whether it is worth asking which request paid the invoice."""
    return invoice.get("status") == "paid" and not _paid_elsewhere(invoice)


def paid_at(invoice: Body) -> int | None:
    """When the invoice was paid, in unix seconds."""
    seconds = expanded(invoice.get("status_transitions")).get("paid_at")
    return seconds if isinstance(seconds, int) else None


def _paid_elsewhere(invoice: Body) -> bool:
    if invoice.get("paid_out_of_band") or (invoice.get("amount_paid_off_stripe") or 0) > 0:
        return True
    paid = [payment for payment in payments_of(invoice) if payment.status == "paid"]
    if any(payment.kind == "payment_record" for payment in paid):
        return True
    # Settled from the customer's credit balance, or by a credit note: nobody was charged.
    return payments_are_known(invoice) and not paid


def _paid_by(invoice: Body, charge: Body, request: Body | None) -> PaidBy | None:
    """Say who paid, as far as it can be told.

    Certain: money that Stripe did not move; a card whose holder answered the bank's challenge; a
    request with our key; and Stripe's own doing, for which the event names no request
    (https://docs.stripe.com/api/events/object). A request that is not ours is the billing system's or
    the page's on which the customer pays: Stripe does not tell them apart, and it counts as a request.
    """
    if _paid_elsewhere(invoice):
        return PaidBy.ELSEWHERE
    if request is not None and is_ours(text(request.get("idempotency_key"))):
        return PaidBy.REQUEST
    details = expanded(expanded(charge.get("payment_method_details")).get("card"))
    if expanded(details.get("three_d_secure")).get("authentication_flow") == "challenge":
        return PaidBy.CUSTOMER
    if request is None:
        return None
    return PaidBy.REQUEST if text(request.get("id")) else PaidBy.PROCESSOR


def _prices(invoice: Body) -> list[Body]:
    """List what the subscription's items are billed by: prices, or plans as Stripe once had them."""
    items = rows(expanded(subscription_of(invoice)).get("items"))
    found = (expanded(item.get("price")) or expanded(item.get("plan")) for item in items)
    return [price for price in found if price]


def _plan(invoice: Body) -> str | None:
    for price in _prices(invoice):
        return text(price.get("lookup_key")) or text(price.get("nickname")) or identifier(price)
    return None


def _interval(invoice: Body) -> str | None:
    """Say how often the subscription is billed: a price keeps it under ``recurring``, a plan did by itself."""
    intervals = (
        expanded(price.get("recurring")).get("interval") or price.get("interval")
        for price in _prices(invoice)
    )
    return next((interval for interval in map(text, intervals) if interval), None)


def _failed_at(charge: Body) -> datetime | None:
    return moment(charge.get("created")) if charge.get("status") == "failed" else None


def _processor_retries_at(invoice: Body) -> datetime | None:
    # With auto_advance off Stripe leaves the invoice alone, whatever date it still shows.
    if invoice.get("auto_advance") is False:
        return None
    return moment(invoice.get("next_payment_attempt"))
