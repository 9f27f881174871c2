"""The sandbox's events: their format, their signature, and what they mean to a case.

An event is a JSON object::

    {"id": "evt_5f0c9a1e_000007", "type": "invoice.payment_failed", "created": 1767225600,
     "livemode": false, "request_key": "dunwell/…" or null, "data": {…}}

``created`` is in unix seconds; ``request_key`` is the idempotency key of the request that caused it,
null where none did. ``data`` names the ``account`` and, as far as they apply, ``invoice``,
``subscription``, ``customer``, ``payment``, ``method`` (a card), ``amount`` (minor units),
``currency``, ``decline``, ``advice``, ``network_code``, ``network_advice``, ``renewed``, ``paid_by``,
``first_payment``, ``sent_for_payment``. Where a card or an account was asked, ``charge`` is the id of that
one attempt, ``attempted`` is ``approved`` or ``declined``, ``initiator`` is ``merchant`` or ``customer``, and
``fingerprint``, ``network`` and ``rail`` are the card's.

It is signed as Stripe signs its own: ``t=SECONDS,v1=HMAC``, the HMAC-SHA256 of ``SECONDS.BODY``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import stripe

from errors import BadInput, BadSignature
from keys import OWN_ACCOUNT, is_ours
from processors.protocol import Attempted, AttemptResult, Initiator, Report, ReportKind

TOLERANCE_SECONDS = 300

NOT_CONFIRMED = "invoice.confirmation_expired"

# Type of event: what it means, and the same in words; {…} are fields of its data.
MEANINGS: dict[str, tuple[ReportKind, str]] = {
    "invoice.payment_failed": (ReportKind.PAYMENT_FAILED, "the payment was declined: {decline}"),
    "invoice.payment_action_required": (
        ReportKind.PAYMENT_FAILED,
        "the customer has to confirm the payment with the bank",
    ),
    "invoice.paid": (ReportKind.PAYMENT_SUCCEEDED, "the invoice was paid ({paid_by})"),
    "invoice.voided": (ReportKind.INVOICE_CHANGED, "the invoice was voided"),
    "invoice.marked_uncollectible": (ReportKind.INVOICE_CHANGED, "the invoice was given up as uncollectible"),
    "invoice.amount_changed": (ReportKind.INVOICE_CHANGED, "the invoice's amount changed to {amount}"),
    NOT_CONFIRMED: (
        ReportKind.INVOICE_CHANGED,
        "the customer did not confirm the payment with the bank",
    ),
    "invoice.refunded": (ReportKind.REFUNDED, "the payment was refunded"),
    "invoice.disputed": (ReportKind.DISPUTED, "the customer disputes the payment at the bank"),
    "invoice.dispute_closed": (ReportKind.DISPUTE_CLOSED, "the dispute was closed: {result}"),
    "card.attached": (ReportKind.CARD_UPDATED, "the customer gave a card"),
    "customer.default_card_changed": (ReportKind.CARD_UPDATED, "the customer has another default card"),
    "card.renewed": (ReportKind.CARD_UPDATED, "the card network renewed the card"),
    "card.removed": (ReportKind.CUSTOMER_CHANGED, "a card was removed"),
    "customer.changed": (ReportKind.CUSTOMER_CHANGED, "the customer's details changed"),
    "customer.deleted": (ReportKind.CUSTOMER_DELETED, "the customer was deleted"),
    "subscription.ended": (ReportKind.CANCELLED, "the subscription was cancelled"),
}


class _Words(dict[str, Any]):
    """An event's data as they stand in a sentence."""

    def __missing__(self, name: str) -> str:
        return "not said"

    def __getitem__(self, name: str) -> str:
        return str(super().__getitem__(name)).replace("_", " ")


def sign(body: bytes, secret: str, seconds: int) -> str:
    """Make the header that proves a body to come from whoever holds the secret, at that time."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def verify(body: bytes, signature: str | None, secret: str) -> None:
    """Check a signature and its age against the wall clock; raises BadSignature."""
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
    except stripe.SignatureVerificationError as error:
        raise BadSignature(f"the sandbox event is not to be trusted: {error}") from None
    except (UnicodeDecodeError, TypeError):
        # The library compares text, and stumbles where a body or a header holds anything else.
        raise BadSignature("the sandbox event is not to be trusted: it is not plain text") from None


def reports(body: bytes) -> tuple[Report, ...]:
    """Turn an event into its one report; raises BadInput where it is no event of the sandbox's."""
    try:
        event = json.loads(body)
        data: dict[str, Any] = event["data"]
        kind, why = _meaning(str(event["type"]), data)
        at = datetime.fromtimestamp(event["created"], UTC)
        report = Report(
            event=str(event["id"]),
            type=str(event["type"]),
            kind=kind,
            livemode=bool(event["livemode"]),
            at=at,
            account=data.get("account", OWN_ACCOUNT),
            why=why,
            invoice=data.get("invoice"),
            subscription=data.get("subscription"),
            customer=data.get("customer"),
            payment=data.get("payment"),
            amount=data.get("amount"),
            currency=data.get("currency"),
            method=data.get("method"),
            renewed=data.get("renewed"),
            decline=data.get("decline"),
            advice=data.get("advice"),
            first_payment=data.get("first_payment", False),
            sent_for_payment=data.get("sent_for_payment", False),
            ours=is_ours(event["request_key"]),
            network_code=data.get("network_code"),
            network_advice=data.get("network_advice"),
            attempted=_attempted(data, at),
            unconfirmed=event["type"] == NOT_CONFIRMED,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(
            "the body is no event of the sandbox's: expected a JSON object with id, type, created,"
            f" livemode, request_key and data ({type(error).__name__}: {error})"
        ) from None
    return (report,)


def _attempted(data: dict[str, Any], at: datetime) -> Attempted | None:
    if "charge" not in data:
        return None
    return Attempted(
        charge=data["charge"],
        result=AttemptResult(data["attempted"]),
        initiator=Initiator(data["initiator"]),
        at=at,
        amount=data["amount"],
        currency=data["currency"],
        method=data.get("method"),
        fingerprint=data.get("fingerprint"),
        network=data.get("network"),
        rail=data["rail"],
        decline=data.get("decline"),
        advice=data.get("advice"),
        network_code=data.get("network_code"),
        network_advice=data.get("network_advice"),
    )


def _meaning(kind: str, data: dict[str, Any]) -> tuple[ReportKind, str]:
    if kind not in MEANINGS:
        return ReportKind.IGNORED, f"an event of the type {kind} does not concern a failed payment"
    meaning, words = MEANINGS[kind]
    return meaning, words.format_map(_Words(data))
