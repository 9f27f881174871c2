"""Turn Stripe's events into Dunwell's words, from the raw JSON and nothing else.

What each event means: https://docs.stripe.com/api/events/types and
https://docs.stripe.com/billing/subscriptions/webhooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processors.protocol import Report, ReportKind
from processors.stripe_attempts import charge_told, payment_cancelled, payment_failed
from processors.stripe_event import Event, open_event
from processors.stripe_invoice import ENDED
from processors.stripe_shapes import (
    CONFIRM,
    NOTHING,
    Body,
    Decline,
    currency_of,
    decline_of,
    expanded,
    identifier,
    number,
    payment_of,
    subscription_of,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def read_reports(body: bytes) -> list[Report]:
    """Say what an event means, in order; an event of no interest is one report of kind ``IGNORED``.

    Raises BadInput where the body is no event: not JSON, or one of Stripe's "thin" events, which carry
    no contents and are sent only to endpoints that were registered for them.
    """
    event = open_event(body)
    meaning = MEANINGS.get(event.type)
    if meaning is None:
        return event.ignored(f"{event.type} means nothing to a failed payment")
    return meaning(event)


# --- invoices ------------------------------------------------------------------------------------


def _invoice_facts(invoice: Body) -> dict[str, Any]:
    return {
        "invoice": identifier(invoice),
        "subscription": identifier(subscription_of(invoice)),
        "customer": identifier(invoice.get("customer")),
        "payment": payment_of(invoice),
        "amount": number(invoice.get("amount_remaining")),
        "currency": currency_of(invoice),
        "first_payment": invoice.get("billing_reason") == "subscription_create",
        "sent_for_payment": invoice.get("collection_method") == "send_invoice",
    }


def _payment_failed(event: Event) -> list[Report]:
    invoice = event.thing
    # Today's invoices carry no reason: it is in the payment, which an event does not expand.
    decline = decline_of(invoice) or Decline()
    reason = f": {decline.code}" if decline.code else ""
    return [
        event.report(
            ReportKind.PAYMENT_FAILED,
            f"a payment of invoice {identifier(invoice)} failed{reason}",
            decline=decline.code,
            advice=decline.advice,
            network_code=decline.network_code,
            network_advice=decline.network_advice,
            method=decline.method or identifier(invoice.get("default_payment_method")),
            **_invoice_facts(invoice),
        )
    ]


def _action_required(event: Event) -> list[Report]:
    invoice = event.thing
    return [
        event.report(
            ReportKind.PAYMENT_FAILED,
            f"the bank asks the customer to confirm a payment of invoice {identifier(invoice)}",
            decline=CONFIRM,
            method=identifier(invoice.get("default_payment_method")),
            **_invoice_facts(invoice),
        )
    ]


def _paid(event: Event) -> list[Report]:
    facts = _invoice_facts(event.thing)
    facts["amount"] = number(event.thing.get("amount_paid"))
    why = f"invoice {facts['invoice']} is paid"
    return [event.report(ReportKind.PAYMENT_SUCCEEDED, why, **facts)]


def _closed(event: Event) -> list[Report]:
    facts = _invoice_facts(event.thing)
    what = "voided" if event.type == "invoice.voided" else "marked uncollectible"
    why = f"invoice {facts['invoice']} was {what}"
    return [event.report(ReportKind.INVOICE_CHANGED, why, **facts)]


# A change of any of these may change what a case is to do; attempts and dates of retries are told by
# events of their own.
INVOICE_FIELDS = (
    "amount_due",
    "amount_remaining",
    "auto_advance",
    "collection_method",
    "default_payment_method",
    "default_source",
    "due_date",
    "status",
    "total",
)


def _invoice_updated(event: Event) -> list[Report]:
    changed = [field for field in INVOICE_FIELDS if field in event.before]
    facts = _invoice_facts(event.thing)
    if event.has_before and not changed:
        return event.ignored(f"of invoice {facts['invoice']} only {_list(event.before)} changed")
    why = f"invoice {facts['invoice']} changed: {_list(changed)}"
    return [event.report(ReportKind.INVOICE_CHANGED, why, **facts)]


# --- subscriptions -------------------------------------------------------------------------------

# https://docs.stripe.com/api/subscriptions/object#subscription_object-cancellation_details-reason
REASONS = {
    "cancellation_requested": "as was asked for",
    "payment_failed": "by Stripe itself, at the end of its own retries",
    "payment_disputed": "by Stripe itself, because a payment was disputed",
    "canceled_by_retention_policy": "by Stripe itself, by the account's retention policy",
}


def _subscription_facts(event: Event) -> dict[str, Any]:
    return {
        "subscription": identifier(event.thing),
        "customer": identifier(event.thing.get("customer")),
    }


def _cancelled(event: Event) -> list[Report]:
    facts = _subscription_facts(event)
    reason = text(expanded(event.thing.get("cancellation_details")).get("reason"))
    how = REASONS.get(reason or "", "without a reason given")
    by = "by a request of Dunwell's" if event.ours else how
    why = f"subscription {facts['subscription']} was cancelled {by}"
    return [event.report(ReportKind.CANCELLED, why, **facts)]


def _subscription_updated(event: Event) -> list[Report]:
    facts = _subscription_facts(event)
    subscription, before = event.thing, event.before
    reports: list[Report] = []
    method = _new_default(subscription, before)
    if method:
        why = f"subscription {facts['subscription']} is to be paid with another card"
        reports.append(event.report(ReportKind.CARD_UPDATED, why, method=method, **facts))
    status = text(subscription.get("status"))
    if "status" in before and status in ENDED:
        why = f"subscription {facts['subscription']} has ended: it went from {before['status']} to {status}"
        reports.append(event.report(ReportKind.CANCELLED, why, **facts))
        return reports
    said = []
    if "status" in before:
        said.append(f"went from {before['status']} to {status}")
    if "cancel_at_period_end" in before or "cancel_at" in before:
        ends = subscription.get("cancel_at_period_end") or subscription.get("cancel_at")
        said.append("is to end at a set time" if ends else "is not to end any more")
    if "pause_collection" in before:
        said.append("is paused" if subscription.get("pause_collection") else "is paused no more")
    if said:
        why = f"subscription {facts['subscription']} {' and '.join(said)}"
        reports.append(event.report(ReportKind.INVOICE_CHANGED, why, **facts))
    return reports or event.ignored(f"of subscription {facts['subscription']} only {_list(before)} changed")


# --- customers and cards -------------------------------------------------------------------------

# Stripe keeps these itself, and Dunwell keeps none of them.
BOOKKEEPING = frozenset(
    {
        "balance",
        "cash_balance",
        "currency",
        "delinquent",
        "discount",
        "invoice_credit_balance",
        "invoice_prefix",
        "next_invoice_sequence",
        "subscriptions",
        "sources",
        "default_source",
        "invoice_settings",
    }
)


def _customer_updated(event: Event) -> list[Report]:
    customer = identifier(event.thing)
    before = event.before
    reports: list[Report] = []
    settings = expanded(before.get("invoice_settings"))
    method = _new_default(expanded(event.thing.get("invoice_settings")), settings)
    source = identifier(event.thing.get("default_source")) if "default_source" in before else None
    for card in (method, source):
        if card:
            why = f"customer {customer} is to be charged by another card"
            reports.append(event.report(ReportKind.CARD_UPDATED, why, customer=customer, method=card))
            break
    changed = [field for field in before if field not in BOOKKEEPING]
    removed = not reports and ("default_payment_method" in settings or "default_source" in before)
    if changed or removed or not event.has_before:
        what = _list(changed) if changed else "the card was taken away" if removed else "it is not said what"
        why = f"customer {customer} changed: {what}"
        reports.append(event.report(ReportKind.CUSTOMER_CHANGED, why, customer=customer))
    return reports or event.ignored(f"of customer {customer} only {_list(before)} changed")


def _customer_deleted(event: Event) -> list[Report]:
    customer = identifier(event.thing)
    why = f"customer {customer} was deleted at Stripe"
    return [event.report(ReportKind.CUSTOMER_DELETED, why, customer=customer)]


def _card_added(event: Event) -> list[Report]:
    customer, method = identifier(event.thing.get("customer")), identifier(event.thing)
    if customer is None:
        return event.ignored(f"card {method} belongs to no customer")
    why = f"customer {customer} has a new card"
    return [event.report(ReportKind.CARD_UPDATED, why, customer=customer, method=method)]


def _set_up(event: Event) -> list[Report]:
    setup = event.thing
    customer, method = identifier(setup.get("customer")), identifier(setup.get("payment_method"))
    if customer is None or method is None:
        return event.ignored(f"{identifier(setup)} set up no card for a customer")
    why = f"customer {customer} has confirmed a card for later payments"
    return [event.report(ReportKind.CARD_UPDATED, why, customer=customer, method=method)]


def _checked_out(event: Event) -> list[Report]:
    # The session names no card; a case that took it for news would charge whatever is the default.
    return event.ignored(
        f"what {identifier(event.thing)} brought is told by payment_method.attached, setup_intent.succeeded"
        " and invoice.paid"
    )


CARD_FIELDS = frozenset({"exp_month", "exp_year", "last4", "fingerprint"})


def _card_renewed(event: Event) -> list[Report]:
    customer, method = identifier(event.thing.get("customer")), identifier(event.thing)
    card = _contents(event.thing)
    automatic = event.type == "payment_method.automatically_updated"
    changed = CARD_FIELDS & _contents(event.before).keys()
    if not automatic and not changed:
        return event.ignored(f"of card {method} only {_list(event.before)} changed")
    if customer is None:
        return event.ignored(f"card {method} belongs to no customer")
    renewed = "-".join(
        str(card.get(field) or "") for field in ("exp_year", "exp_month", "last4", "fingerprint")
    )
    by = "its network" if automatic else "a request"
    why = f"card {method} of customer {customer} was renewed by {by}"
    return [event.report(ReportKind.CARD_UPDATED, why, customer=customer, method=method, renewed=renewed)]


# --- refunds and disputes ------------------------------------------------------------------------


def _refunded(event: Event) -> list[Report]:
    charge = event.thing
    amount, whole = number(charge.get("amount_refunded")), number(charge.get("amount"))
    part = "in full" if charge.get("refunded") or amount == whole else "in part"
    why = f"payment {_paid_with(charge)} was refunded {part}: {amount} of {whole}"
    return [event.report(ReportKind.REFUNDED, why, **_charge_facts(charge) | {"amount": amount})]


def _disputed(event: Event) -> list[Report]:
    dispute = event.thing
    charge = expanded(dispute.get("charge"))
    facts = _charge_facts(charge)
    # Today's disputes name a payment and no invoice: whoever stored the payment knows the case.
    facts["payment"] = identifier(dispute.get("payment_intent")) or identifier(dispute.get("charge"))
    facts["amount"] = number(dispute.get("amount"))
    facts["currency"] = currency_of(dispute)
    reason, status = text(dispute.get("reason")), text(dispute.get("status"))
    if event.type == "charge.dispute.closed":
        why = f"the dispute of payment {facts['payment']} was closed: {status}"
        return [event.report(ReportKind.DISPUTE_CLOSED, why, **facts)]
    why = f"payment {facts['payment']} is disputed: {reason}"
    return [event.report(ReportKind.DISPUTED, why, **facts)]


def _charge_facts(charge: Body) -> dict[str, Any]:
    invoice = charge.get("invoice")
    return {
        "invoice": identifier(invoice),
        "subscription": identifier(subscription_of(expanded(invoice))),
        "customer": identifier(charge.get("customer")),
        "payment": _paid_with(charge),
        "currency": currency_of(charge),
        "method": identifier(charge.get("payment_method")),
    }


def _paid_with(charge: Body) -> str | None:
    return identifier(charge.get("payment_intent")) or identifier(charge)


# --- common --------------------------------------------------------------------------------------


def _new_default(now: Body, before: Body) -> str | None:
    for field in ("default_payment_method", "default_source"):
        if field in before and (method := identifier(now.get(field))):
            return method
    return None


def _contents(method: Body) -> Body:
    # A payment method keeps its contents under "card", a source is its contents.
    return expanded(method.get("card")) or (NOTHING if method.get("object") == "payment_method" else method)


def _list(fields: Any) -> str:
    return ", ".join(sorted(fields)) or "nothing that is told"


def _told_by_paid(event: Event) -> list[Report]:
    return event.ignored("invoice.paid says the same, also of invoices paid outside Stripe")


MEANINGS: dict[str, Callable[[Event], list[Report]]] = {
    "invoice.payment_failed": _payment_failed,
    "invoice.payment_action_required": _action_required,
    "invoice.paid": _paid,
    "invoice.payment_succeeded": _told_by_paid,
    "invoice.voided": _closed,
    "invoice.marked_uncollectible": _closed,
    "invoice.updated": _invoice_updated,
    "customer.subscription.updated": _subscription_updated,
    "customer.subscription.deleted": _cancelled,
    "customer.updated": _customer_updated,
    "customer.deleted": _customer_deleted,
    "customer.source.created": _card_added,
    "customer.source.updated": _card_renewed,
    "payment_method.attached": _card_added,
    "payment_method.automatically_updated": _card_renewed,
    "payment_method.updated": _card_renewed,
    "setup_intent.succeeded": _set_up,
    "checkout.session.completed": _checked_out,
    "payment_intent.payment_failed": payment_failed,
    "payment_intent.canceled": payment_cancelled,
    "charge.succeeded": charge_told,
    "charge.failed": charge_told,
    "charge.pending": charge_told,
    "charge.refunded": _refunded,
    "charge.dispute.created": _disputed,
    "charge.dispute.closed": _disputed,
}
