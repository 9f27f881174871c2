"""Turn what Stripe stores of a customer's payment methods into Dunwell's words; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processors.protocol import ACH, BACS, CARD_RAIL, SEPA, Card
from processors.stripe_shapes import NOTHING, Body, expanded, identifier, text

if TYPE_CHECKING:
    from collections.abc import Iterable

# What of a customer has to be expanded to tell what is charged by default.
CUSTOMER_EXPANSIONS = ("default_source", "invoice_settings.default_payment_method")

# A card kept as a source carries the network's name in full, a payment method a code.
SOURCE_NETWORKS = {"american express": "amex", "diners club": "diners"}
# A bank account kept as a source can be American only (https://docs.stripe.com/api/customer_bank_accounts).
RAILS = {
    "card": CARD_RAIL,
    "us_bank_account": ACH,
    "bank_account": ACH,
    "ach_debit": ACH,
    "sepa_debit": SEPA,
    "bacs_debit": BACS,
}
# Stored for other purposes than a charge without the customer: https://docs.stripe.com/payments/payment-methods
NOT_OFF_SESSION = frozenset({"card_present", "interac_present", "customer_balance", "custom"})

# The entry of a payment method's or a customer's metadata that records consent. Stripe keeps no such
# thing itself: ``allow_redisplay`` says that a method may be *shown* again in a checkout, where the
# customer then chooses it, and not that it may be charged in place of another
# (https://docs.stripe.com/api/payment_methods/object#payment_method_object-allow_redisplay). So it is
# for the owner, who knows what their customers agreed to, to write it down.
BACKUP, GIVEN = "dunwell_backup", frozenset({"yes", "true", "1"})


def read_method(reference: object, customer: Body = NOTHING) -> Card | None:
    """Read a payment method or a source; no more than its id where it did not come expanded."""
    method = identifier(reference)
    if method is None:
        return None
    body = expanded(reference)
    kind = kind_of(body)
    # A payment method keeps its contents under the name of its type; a source is its contents.
    contents = expanded(body.get(kind)) or body
    return Card(
        id=method,
        network=network_of(contents),
        last4=text(contents.get("last4")),
        country=text(contents.get("country")),
        fingerprint=text(contents.get("fingerprint")),
        rail=rail_of(kind),
        consent=_consents(body) or _consents(customer),
    )


def default_of(customer: Body) -> object:
    """Give what is charged of a customer where nothing is named: a payment method before a source."""
    chosen = expanded(customer.get("invoice_settings")).get("default_payment_method")
    return chosen if identifier(chosen) else customer.get("default_source")


def usable(customer: Body, stored: Iterable[Body]) -> list[Card]:
    """List what can be charged without the customer, the default first, each once."""
    found = [default_of(customer), *(body for body in stored if _is_usable(body))]
    cards = [card for card in (read_method(body, customer) for body in found) if card]
    return list({card.id: card for card in cards}.values())


def kind_of(body: Body) -> str:
    """Give Stripe's name of the type of a payment method, or of a source, whose ``object`` it is."""
    return text(body.get("type")) or text(body.get("object")) or ""


def rail_of(kind: str) -> str:
    """Give our name of a type, or Stripe's own where we have none."""
    return RAILS.get(kind, kind or CARD_RAIL)


def network_of(contents: Body) -> str | None:
    """Give a card's network by the code that payment methods use."""
    brand = text(contents.get("brand"))
    return SOURCE_NETWORKS.get(brand.lower(), brand.lower()) if brand else None


def _is_usable(body: Body) -> bool:
    account = expanded(body.get("us_bank_account"))
    blocked = expanded(account.get("status_details")).get("blocked")
    return kind_of(body) not in NOT_OFF_SESSION and not blocked


def _consents(body: Body) -> bool:
    said = text(expanded(body.get("metadata")).get(BACKUP)) or ""
    return said.strip().lower() in GIVEN
