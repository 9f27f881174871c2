"""What came of a charge at Stripe; pure, so that every answer can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errors import AnswerLost
from processors.protocol import ChargeAnswer, ChargeRequest, ChargeResult, Invoice, InvoiceState
from processors.stripe_errors import code_of, details_of
from processors.stripe_invoice import is_pending
from processors.stripe_shapes import (
    CONFIRM,
    Body,
    Decline,
    charge_of,
    decline_in,
    decline_of,
    expanded,
    identifier,
    payment_of,
    payments_of,
    text,
)

if TYPE_CHECKING:
    import stripe

# What the answer to a charge has to contain beyond the invoice, to tell its payment and its state.
PAY_EXPANSIONS = ("payments.data.payment.payment_intent",)

# The bank wants the card's holder to confirm: as an issuer's decline, or as a payment left half-way.
# https://docs.stripe.com/billing/subscriptions/overview#requires-action
HALF_WAY = frozenset(
    {
        "invoice_payment_intent_requires_action",
        "subscription_payment_intent_requires_action",
        "payment_intent_action_required",
    }
)
CONFIRM_DECLINES = frozenset({CONFIRM, "authentication_not_handled"})
CLOSED = frozenset({InvoiceState.PAID, InvoiceState.VOID, InvoiceState.UNCOLLECTIBLE})
# Ours, for a customer without a card: Stripe refuses the request instead of declining a card.
NO_METHOD = "no_payment_method"


def judge_answer(body: Body, request: ChargeRequest) -> ChargeAnswer:
    """Read the invoice that Stripe answered a charge with."""
    payment, charge = payment_of(body), identifier(charge_of(body))
    method = request.method or _method_of(body)
    if body.get("status") == "paid":
        return ChargeAnswer(ChargeResult.PAID, payment=payment, charge=charge, method=method)
    if is_pending(body):
        return ChargeAnswer(ChargeResult.PENDING, payment=payment, charge=charge, method=method)
    statuses = {expanded(item.value).get("status") for item in payments_of(body)}
    decline = decline_of(body)
    if decline and "requires_action" not in statuses:
        return _declined(decline, method)
    return ChargeAnswer(
        ChargeResult.NEEDS_CUSTOMER,
        payment=payment,
        decline=CONFIRM,
        confirm_url=text(body.get("hosted_invoice_url")),
        method=method,
        charge=charge,
    )


def judge_decline(error: stripe.CardError, request: ChargeRequest) -> ChargeAnswer:
    """Read a 402: the card was declined, or its holder has to confirm (then without the page's address)."""
    decline = decline_in(details_of(error))
    if code_of(error) in HALF_WAY:
        return ChargeAnswer(
            ChargeResult.NEEDS_CUSTOMER,
            payment=decline.payment,
            decline=CONFIRM,
            method=request.method or decline.method,
            charge=decline.charge,
        )
    return _declined(decline, request.method)


def judge_refusal(
    error: stripe.InvalidRequestError, found: Invoice, request: ChargeRequest
) -> ChargeAnswer | None:
    """Read a 400 by the invoice as it is now; None where the request itself is wrong.

    An invoice that is closed has nothing to pay. A card that is gone, or was never there, is a decline
    that only a new card can mend. Raises AnswerLost where another payment of it is still under way.
    """
    if found.state in CLOSED:
        return ChargeAnswer(ChargeResult.NOTHING_TO_PAY, payment=found.payment)
    if found.pending:
        raise _under_way(request)
    gone = code_of(error) == "resource_missing" and error.param in ("payment_method", "source")
    if gone or (request.method is None and found.card is None):
        return ChargeAnswer(ChargeResult.DECLINED, decline=NO_METHOD, method=request.method)
    return None


def _under_way(request: ChargeRequest) -> AnswerLost:
    return AnswerLost(
        f"charging invoice {request.invoice}: a payment of it has been started and will be settled by the"
        " bank later; read the invoice to learn what became of it",
        replayed_for_key=True,
    )


def _declined(decline: Decline, method: str | None) -> ChargeAnswer:
    confirm = decline.code in CONFIRM_DECLINES
    return ChargeAnswer(
        ChargeResult.NEEDS_CUSTOMER if confirm else ChargeResult.DECLINED,
        payment=decline.payment,
        decline=decline.code,
        advice=decline.advice,
        network_code=decline.network_code,
        network_advice=decline.network_advice,
        method=method or decline.method,
        charge=decline.charge,
    )


def _method_of(body: Body) -> str | None:
    for payment in payments_of(body):
        if method := identifier(expanded(payment.value).get("payment_method")):
            return method
    return identifier(body.get("default_payment_method"))
