"""Serve the stand-in for Stripe on loopback: ``python serve.py PORT``, by the interpreter prepared for it.

Each ``/worlds/<any name>`` is an account of its own. Added to what the package has:

- charging an invoice with ``payment_method`` and ``off_session``;
- ``auto_advance`` of an open invoice;
- ``payments`` of an invoice, as far as there is a charge;
- ``POST /_test/renew`` with ``subscription``: the next billing period begins now;
- ``POST /_test/confirm`` with ``invoice``: the customer confirms its payment with the bank;
- ``POST /_test/end_of_schedule`` with ``subscription``: Stripe's own retries are over.
"""

from __future__ import annotations

import json
import re
import sys
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent))

import newer_python  # type: ignore[import-not-found]

newer_python.install()

import seahaven.http  # type: ignore[import-not-found]  # noqa: E402
import uvicorn  # noqa: E402
from seahaven.http import HttpResponse  # noqa: E402
from seahaven_stripe_world import world  # type: ignore[import-not-found]  # noqa: E402
from seahaven_stripe_world.billing import (  # type: ignore[import-not-found]  # noqa: E402
    dunning,
    invoicing,
    subscription_lifecycle,
)
from seahaven_stripe_world.dispatch.params import Param  # type: ignore[import-not-found]  # noqa: E402
from seahaven_stripe_world.http_api import handle  # type: ignore[import-not-found]  # noqa: E402
from seahaven_stripe_world.resources import (  # type: ignore[import-not-found]  # noqa: E402
    disputes,
    invoices,
    payment_intents,
)

INVOICE = re.compile(r"/v1/invoices/(?P<id>in_\w+)(?P<pay>/pay)?")
# The payment method that the request at hand wants charged.
wanted: ContextVar[str | None] = ContextVar("wanted", default=None)
# Whether the customer is at the bank's page at this moment.
confirming: ContextVar[bool] = ContextVar("confirming", default=False)


def learn_to_pay() -> None:
    """Let ``pay`` take a payment method, keep the charge of an attempt that failed, and be disputed."""
    more = (Param(name="payment_method", kind="string"), Param(name="off_session", kind="boolean"))
    object.__setattr__(invoices.INVOICE_PAY, "body", (*invoices.INVOICE_PAY.body, *more))
    plain = invoicing.pay_invoice

    def pay_invoice(ctx: Any, invoice: str, *, sub_row: Any = None, pm_row: Any = None) -> Any:
        if method := wanted.get():
            pm_row = ctx.db.one("SELECT * FROM payment_methods WHERE id = ?", method)
        outcome = plain(ctx, invoice, sub_row=sub_row, pm_row=pm_row)
        if outcome["outcome"] == "failed":
            charge = outcome["error"]["error"]["charge"]
            ctx.db.execute("UPDATE invoices SET _charge = ? WHERE id = ?", charge, invoice)
        elif outcome["outcome"] == "paid":
            dispute(ctx, invoice)
        return outcome

    invoicing.pay_invoice = pay_invoice


def dispute(ctx: Any, invoice: str) -> None:
    """Dispute what an invoice was paid with, if that is a card of which Stripe disputes every payment."""
    charge = ctx.db.one(
        "SELECT charges.* FROM charges JOIN invoices ON invoices._charge = charges.id WHERE invoices.id = ?",
        invoice,
    )
    if charge is not None:
        method = ctx.db.one("SELECT * FROM payment_methods WHERE id = ?", charge["payment_method"])
        disputes.maybe_create_dispute(ctx, charge, method)


def learn_to_confirm() -> None:
    """Let a card that the bank wants confirmed pay where the customer does so."""
    plain = payment_intents._behavior_tags

    def behavior_tags(method: Any) -> Any:
        tags = plain(method)
        return {name: tags[name] for name in tags if name != "three_d_secure"} if confirming.get() else tags

    payment_intents._behavior_tags = behavior_tags


def confirm(ctx: Any, invoice: str) -> Any:
    """Let the payment that waits for the customer go through."""
    token = confirming.set(True)
    try:
        return HttpResponse.json({"outcome": invoicing.pay_invoice(ctx, invoice)["outcome"]})
    finally:
        confirming.reset(token)


def answer(ctx: Any, request: Any) -> Any:
    """Answer one request: what is added here, or the package itself."""
    form = dict(parse_qsl(request.body.decode()))
    if request.path == "/_test/renew":
        row = subscription_lifecycle.advance_cycle(ctx, form["subscription"])
        return HttpResponse.json({"status": row["status"], "latest_invoice": row["latest_invoice"]})
    if request.path == "/_test/confirm":
        return confirm(ctx, form["invoice"])
    if request.path == "/_test/end_of_schedule":
        row = dunning.apply_end_of_schedule(ctx, form["subscription"])
        return HttpResponse.json({"status": row["status"]})
    found = INVOICE.fullmatch(request.path)
    if not found:
        return handle(ctx, request)
    request, with_payments = without_payments(request)
    if request.method == "POST" and not found["pay"] and "auto_advance" in form:
        request = set_auto_advance(ctx, found["id"], request, form)
    token = wanted.set(form.get("payment_method") if found["pay"] else None)
    try:
        answered = handle(ctx, request)
    finally:
        wanted.reset(token)
    return add_payments(ctx, answered) if with_payments and answered.status == 200 else answered


def without_payments(request: Any) -> tuple[Any, bool]:
    """Take the expansion of payments out of a request, for the package has no payments."""
    found = False

    def strip(encoded: str) -> str:
        nonlocal found
        pairs = parse_qsl(encoded, keep_blank_values=True)
        kept = [
            ("expand[]" if key.startswith("expand[") else key, value)
            for key, value in pairs
            if not (key.startswith("expand[") and value.partition(".")[0] == "payments")
        ]
        found = found or len(kept) < len(pairs)
        return urlencode(kept)

    changed = replace(request, query=strip(request.query), body=strip(request.body.decode()).encode())
    return changed, found


def set_auto_advance(ctx: Any, invoice: str, request: Any, form: dict[str, str]) -> Any:
    """Do what the package refuses for an open invoice, and turn the request into a reading of it."""
    row = ctx.db.one("SELECT status FROM invoices WHERE id = ?", invoice)
    if row is None or row["status"] != "open":
        return request
    advance = form["auto_advance"] == "true"
    ctx.db.execute("UPDATE invoices SET auto_advance = ? WHERE id = ?", int(advance), invoice)
    if not advance:
        ctx.db.execute("UPDATE invoices SET next_payment_attempt = NULL WHERE id = ?", invoice)
    return replace(request, method="GET", body=b"")


def add_payments(ctx: Any, answered: Any) -> Any:
    """Add the list of payments to an invoice: its charge, or the record of money from elsewhere."""
    body = json.loads(answered.body)
    row = ctx.db.one("SELECT _charge FROM invoices WHERE id = ?", body["id"])
    paid = body["status"] == "paid"
    payment: dict[str, str] | None = None
    if row["_charge"]:
        payment = {"type": "charge", "charge": row["_charge"]}
    elif paid and not body["attempted"]:
        payment = {"type": "payment_record", "payment_record": f"pr_{body['id']}"}
    line = {
        "id": f"inpay_{body['id']}",
        "object": "invoice_payment",
        "amount_paid": body["amount_paid"] if paid else None,
        "amount_requested": body["amount_due"],
        "created": body["created"],
        "currency": body["currency"],
        "invoice": body["id"],
        "is_default": True,
        "livemode": body["livemode"],
        "payment": payment,
        "status": "paid" if paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    body["payments"] = {
        "object": "list",
        "data": [line] if payment else [],
        "has_more": False,
        "url": f"/v1/invoice_payments?invoice={body['id']}",
    }
    return replace(answered, body=json.dumps(body))


if __name__ == "__main__":
    learn_to_pay()
    learn_to_confirm()
    application = seahaven.http.app(
        world.world if hasattr(world, "world") else world,
        answer,
        reset_options={"startup": {"livemode": False}},
        max_instances=0,
    )
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), workers=1, log_level="warning")
