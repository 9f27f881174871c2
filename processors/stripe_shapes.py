"""Where Stripe keeps things in its JSON, in the shapes of old API versions and of today's.

Since API version 2025-03-31 an invoice has no ``payment_intent``, ``charge``, ``subscription`` or
``paid_out_of_band``: its payments are a list of their own and its subscription stands under
``parent`` (https://docs.stripe.com/changelog/basil).  A webhook comes in the version that its endpoint
was registered with, so both are read everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Body = Mapping[str, Any]

NOTHING: Body = {}
# Stripe's word for a card that was declined without a reason; the table of declines calls it so too.
NO_REASON = "generic_decline"
# The customer did not confirm, or not in time (https://docs.stripe.com/error-codes), and what that comes to:
# they are asked once more.
NOT_CONFIRMED, CONFIRM = "payment_intent_authentication_failure", "authentication_required"
PLAIN = {"card_declined": NO_REASON, NOT_CONFIRMED: CONFIRM}
# The code that banks return a debit with, for Stripe's word of it, where Stripe does not pass the bank's
# own on (https://docs.stripe.com/declines/network-codes; of several, the one that promises least).
BANK_CODES = {
    "us_bank_account": {
        "account_closed": "R02",
        "bank_account_closed": "R02",
        "bank_account_frozen": "R16",
        "bank_account_invalid_details": "R03",
        "debit_not_authorized": "R10",
        "insufficient_funds": "R01",
        "no_account": "R03",
        "recipient_deceased": "R15",
    },
    "sepa_debit": {
        "account_closed": "AC04",
        "bank_account_closed": "AC04",
        "bank_account_frozen": "AC06",
        "bank_account_invalid_details": "AC01",
        "debit_not_authorized": "MD01",
        "insufficient_funds": "AM04",
        "no_account": "AC01",
        "recipient_deceased": "MD07",
    },
}
DEBITS = frozenset({*BANK_CODES, "bacs_debit"})


@dataclass(frozen=True)
class Payment:
    """One payment of an invoice: ``kind`` is the field that names it, ``value`` its id or its body."""

    kind: str
    status: str
    value: object

    @property
    def id(self) -> str | None:
        """The processor's id of it."""
        return identifier(self.value)


@dataclass(frozen=True)
class Decline:
    """Why a payment failed, in the words of the issuer and of the card network."""

    code: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    method: str | None = None
    payment: str | None = None
    charge: str | None = None


def identifier(value: object) -> str | None:
    """Give the id of a reference, whether it came expanded or not."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def expanded(value: object) -> Body:
    """Give the body of a reference, empty where it came as a mere id."""
    return value if isinstance(value, Mapping) else NOTHING


def rows(value: object) -> list[Body]:
    """Give the members of a list, plain or in Stripe's ``{"object": "list", "data": […]}``."""
    if isinstance(value, Mapping):
        value = value.get("data")
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def moment(seconds: object) -> datetime | None:
    """Read Stripe's unix seconds as an aware time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        return None
    return datetime.fromtimestamp(seconds, tz=UTC)


def text(value: object) -> str | None:
    """Give a text, or None for anything else and for an empty one."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> int | None:
    """Give a whole number, or None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def currency_of(thing: Body) -> str | None:
    """Give a currency as ISO 4217 writes it; Stripe writes it small."""
    code = text(thing.get("currency"))
    return code.upper() if code else None


def subscription_of(invoice: Body) -> object:
    """Give an invoice's subscription, as an id or expanded."""
    details = expanded(expanded(invoice.get("parent")).get("subscription_details"))
    return details.get("subscription") or invoice.get("subscription")


def payments_of(invoice: Body) -> list[Payment]:
    """List an invoice's payments, the one that counts most first: paid, then default, then the rest."""
    found: list[tuple[bool, bool, Payment]] = []
    for row in rows(invoice.get("payments")):
        part = expanded(row.get("payment"))
        kind = text(part.get("type")) or "payment_intent"
        payment = Payment(kind, text(row.get("status")) or "open", part.get(kind))
        found.append((payment.status != "paid", not row.get("is_default"), payment))
    found.sort(key=lambda item: item[:2])
    if found:
        return [payment for _, _, payment in found]
    status = "paid" if invoice.get("status") == "paid" else "open"
    return [
        Payment(kind, status, invoice[kind]) for kind in ("payment_intent", "charge") if invoice.get(kind)
    ]


def payments_are_known(invoice: Body) -> bool:
    """Whether the payments were part of the answer at all, so that none means none."""
    return "payments" in invoice or "payment_intent" in invoice or "charge" in invoice


def payment_of(invoice: Body) -> str | None:
    """Give the id of the payment that paid an invoice, or of the one by which it is to be paid."""
    return next((payment.id for payment in payments_of(invoice) if payment.id), None)


def charge_of(invoice: Body) -> object:
    """Give the charge that was tried last for an invoice, as an id or expanded."""
    for payment in payments_of(invoice):
        if payment.kind == "charge":
            return payment.value
        if charge := expanded(payment.value).get("latest_charge"):
            return charge
    return invoice.get("charge")


def decline_in(error: Body) -> Decline:
    """Read a payment error: of an answer, or a payment's ``last_payment_error``."""
    code = text(error.get("decline_code")) or text(error.get("code"))
    network_code = text(error.get("network_decline_code"))
    kind = expanded(error.get("payment_method")).get("type") or error.get("payment_method_type")
    return Decline(
        code=_of_the_bank(text(kind), PLAIN.get(code or "", code), network_code),
        advice=text(error.get("advice_code")),
        network_code=network_code,
        network_advice=text(error.get("network_advice_code")),
        method=identifier(error.get("payment_method") or error.get("source")),
        payment=identifier(error.get("payment_intent")) or text(error.get("charge")),
        charge=text(error.get("charge")),
    )


def decline_of(invoice: Body, charge: Body = NOTHING) -> Decline | None:
    """Say why the last payment of an invoice failed; None where it did not, or cannot be told."""
    for payment in payments_of(invoice):
        error = expanded(expanded(payment.value).get("last_payment_error"))
        if error:
            return decline_in(error)
    charge = charge or expanded(charge_of(invoice))
    return decline_by(charge) if charge.get("status") == "failed" else None


def decline_by(charge: Body) -> Decline:
    """Say why a charge failed."""
    outcome = expanded(charge.get("outcome"))
    reason = text(outcome.get("reason"))
    code = text(charge.get("failure_code"))
    network_code = text(outcome.get("network_decline_code"))
    kind = text(expanded(charge.get("payment_method_details")).get("type"))
    # A charge keeps the issuer's reason in its outcome, and the plain "card_declined" as its code.
    plain = (reason or NO_REASON) if code in ("card_declined", None) else code
    return Decline(
        code=_of_the_bank(kind, plain, network_code),
        advice=text(outcome.get("advice_code")),
        network_code=network_code,
        network_advice=text(outcome.get("network_advice_code")),
        method=identifier(charge.get("payment_method")),
        payment=identifier(charge.get("payment_intent")) or identifier(charge),
        charge=identifier(charge),
    )


def _of_the_bank(kind: str | None, code: str | None, network_code: str | None) -> str | None:
    """Give the bank's own code of a debit that came back, and of anything else Stripe's."""
    if kind not in DEBITS:
        return code
    return network_code.upper() if network_code else BANK_CODES.get(kind, {}).get(code or "", code)
