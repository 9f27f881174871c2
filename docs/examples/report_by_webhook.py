"""What Stripe does by itself once its webhooks are set up: a signed event for a failed payment and a new card."""

import hashlib
import hmac
import json
import os
import time
import urllib.request

DUNWELL, SECRET = os.environ["DUNWELL"], os.environ["DUNWELL_STRIPE_WEBHOOK_SECRET"]
INVOICE, CUSTOMER, METHOD = os.environ["INVOICE"], os.environ["CUSTOMER"], os.environ["METHOD"]


def post(event: dict[str, object]) -> None:
    body, now = json.dumps(event).encode(), int(time.time())
    signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{DUNWELL}/webhooks/stripe", body, headers)
    ) as answer:
        print(answer.read().decode())


def event(kind: str, thing: dict[str, object]) -> dict[str, object]:
    return {
        "id": f"evt_{kind}_{INVOICE}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": thing},
    }


invoice: dict[str, object] = {
    "id": INVOICE,
    "object": "invoice",
    "customer": CUSTOMER,
    "amount_remaining": 4900,
    "currency": "usd",
}
post(event("invoice.payment_failed", invoice))
post(event("payment_method.attached", {"id": METHOD, "object": "payment_method", "customer": CUSTOMER}))
