"""Attempts on cards and accounts that Stripe's events tell of, whoever asked for them.

They are what card networks count: Stripe's own retries, the customer's payments on a page, and those of
any other system of the owner's are among them, for a network does not tell these apart from ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processors.protocol import Attempted, AttemptResult, Initiator, Report, ReportKind
from processors.stripe_methods import kind_of, network_of, rail_of
from processors.stripe_shapes import (
    NOT_CONFIRMED,
    NOTHING,
    Body,
    Decline,
    currency_of,
    decline_by,
    decline_in,
    expanded,
    identifier,
    moment,
    number,
    subscription_of,
    text,
)

if TYPE_CHECKING:
    from datetime import datetime

    from processors.stripe_event import Event

# https://docs.stripe.com/api/charges/object#charge_object-status
RESULTS = {
    "succeeded": AttemptResult.APPROVED,
    "failed": AttemptResult.DECLINED,
    "pending": AttemptResult.OPEN,
}
# Stripe itself stopped it, so that no network has counted it:
# https://docs.stripe.com/api/charges/object#charge_object-outcome-network_status
NOT_SENT = "not_sent_to_network"


def charge_told(event: Event) -> list[Report]:
    """Read ``charge.succeeded``, ``charge.failed`` and ``charge.pending``."""
    charge = event.thing
    result = RESULTS.get(text(charge.get("status")) or "")
    name = identifier(charge)
    if name is None or result is None:
        return event.ignored(f"charge {name} does not say what became of it")
    outcome = expanded(charge.get("outcome"))
    if outcome.get("network_status") == NOT_SENT:
        return event.ignored(f"charge {name} was stopped by Stripe itself: no network has seen it")
    attempted = _of_charge(name, charge, result, moment(charge.get("created")) or event.at)
    return [_report(event, attempted, charge, _paid_with(charge))]


def payment_failed(event: Event) -> list[Report]:
    """Read ``payment_intent.payment_failed``: an attempt, a confirmation that never came, or both."""
    intent = event.thing
    error = expanded(intent.get("last_payment_error"))
    attempted = _of_error(intent, error, event.at)
    reports = []
    if error.get("code") == NOT_CONFIRMED:
        why = f"the customer did not confirm payment {identifier(intent)} with the bank"
        facts = _facts(intent, identifier(intent))
        reports.append(event.report(ReportKind.INVOICE_CHANGED, why, unconfirmed=True, **facts))
    if attempted:
        reports.append(_report(event, attempted, intent, identifier(intent)))
    return reports or event.ignored(f"payment {identifier(intent)} failed before any network was asked")


def payment_cancelled(event: Event) -> list[Report]:
    """Read ``payment_intent.canceled``: nobody can confirm this payment any more."""
    intent = event.thing
    reason = text(intent.get("cancellation_reason")) or "no reason given"
    why = f"payment {identifier(intent)} was given up: {reason}"
    return [event.report(ReportKind.INVOICE_CHANGED, why, **_facts(intent, identifier(intent)))]


def _of_charge(name: str, charge: Body, result: AttemptResult, at: datetime) -> Attempted:
    details = expanded(charge.get("payment_method_details"))
    # Charges of before 2018 have a source in place of the details.
    kind = kind_of(details or expanded(charge.get("source")))
    contents = expanded(details.get(kind)) or expanded(charge.get("source"))
    secured = expanded(contents.get("three_d_secure")).get("authentication_flow")
    declined = decline_by(charge) if result is AttemptResult.DECLINED else Decline()
    return Attempted(
        charge=name,
        result=result,
        # Stripe does not say who asked. A challenge was answered by a customer; whatever else may have
        # been the merchant's counts as the merchant's, since that can only leave a retry too few.
        initiator=Initiator.CUSTOMER if secured == "challenge" else Initiator.MERCHANT,
        at=at,
        amount=number(charge.get("amount")) or 0,
        currency=currency_of(charge) or "",
        method=identifier(charge.get("payment_method")) or identifier(charge.get("source")),
        fingerprint=text(contents.get("fingerprint")),
        network=network_of(contents),
        rail=rail_of(kind),
        decline=declined.code,
        advice=declined.advice,
        network_code=declined.network_code,
        network_advice=declined.network_advice,
    )


def _of_error(intent: Body, error: Body, at: datetime) -> Attempted | None:
    decline = decline_in(error)
    if decline.charge is None:
        return None
    method = expanded(error.get("payment_method") or error.get("source"))
    kind = kind_of(method)
    contents = expanded(method.get(kind)) or method
    return Attempted(
        charge=decline.charge,
        result=AttemptResult.DECLINED,
        initiator=Initiator.MERCHANT,
        at=at,
        amount=number(intent.get("amount")) or 0,
        currency=currency_of(intent) or "",
        method=decline.method,
        fingerprint=text(contents.get("fingerprint")),
        network=network_of(contents),
        rail=rail_of(kind),
        decline=decline.code,
        advice=decline.advice,
        network_code=decline.network_code,
        network_advice=decline.network_advice,
    )


def _report(event: Event, attempted: Attempted, thing: Body, payment: str | None) -> Report:
    said = f" ({attempted.decline})" if attempted.decline else ""
    why = f"charge {attempted.charge} of payment {payment}: {attempted.result}{said}"
    return event.report(
        ReportKind.ATTEMPTED,
        why,
        attempted=attempted,
        amount=attempted.amount,
        method=attempted.method,
        decline=attempted.decline,
        advice=attempted.advice,
        network_code=attempted.network_code,
        network_advice=attempted.network_advice,
        **_facts(thing, payment),
    )


def _facts(thing: Body, payment: str | None) -> dict[str, Any]:
    # Only in shapes of before 2025-03-31 do a payment and a charge name their invoice.
    invoice = thing.get("invoice")
    return {
        "invoice": identifier(invoice),
        "subscription": identifier(subscription_of(expanded(invoice) or NOTHING)),
        "customer": identifier(thing.get("customer")),
        "payment": payment,
        "currency": currency_of(thing),
    }


def _paid_with(charge: Body) -> str | None:
    return identifier(charge.get("payment_intent")) or identifier(charge)
