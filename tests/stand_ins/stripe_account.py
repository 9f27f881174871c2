"""One account at the stateful stand-in for Stripe, as its owner and its customers drive it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from typing import Self

GOOD = "4242424242424242"
# Can be kept for a customer, and then declines every charge.
DECLINING = "4000000000000341"
ASKING_THE_BANK = "4000002500003155"
# Pays, and the payment is disputed at once.
DISPUTED = "4000000000000259"

# What each test card answers: https://docs.stripe.com/testing#declined-payments
DECLINES = {
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4000000000006975": "card_velocity_exceeded",
}


@dataclass(frozen=True)
class Failed:
    """A renewal that failed, and whom it belongs to."""

    invoice: str
    subscription: str
    customer: str
    card: str


class StripeAccount:
    """A fresh account; ``path`` is where it stands below the address of the stand-in."""

    def __init__(self, server: str) -> None:
        self.path = f"/worlds/{uuid.uuid4().hex}"
        self._client = httpx.AsyncClient(
            base_url=server + self.path,
            headers={"Authorization": "Bearer sk_test_owner"},
            timeout=30,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.delete("")
        await self._client.aclose()

    async def get(self, path: str, **parameters: Any) -> Any:
        return _body(await self._client.get(path, params=parameters))

    async def post(self, path: str, parameters: dict[str, Any] | None = None) -> Any:
        return _body(await self._client.post(path, data=parameters or {}))

    async def delete(self, path: str) -> Any:
        return _body(await self._client.delete(path))

    # --- what customers do ---

    async def card(self, number: str) -> str:
        """Make a payment method that belongs to nobody yet."""
        card = {"card[number]": number, "card[exp_month]": 12, "card[exp_year]": 2040, "card[cvc]": "123"}
        return str((await self.post("/v1/payment_methods", {"type": "card", **card}))["id"])

    async def change_card(self, customer: str, number: str) -> str:
        """Do what Stripe's portal does for a customer: keep the new card and make it the default."""
        card = await self.card(number)
        await self.post(f"/v1/payment_methods/{card}/attach", {"customer": customer})
        await self.post(f"/v1/customers/{customer}", {"invoice_settings[default_payment_method]": card})
        return card

    async def keep_card(self, customer: str, number: str, *, consent: bool = False) -> str:
        """Keep a card for a customer beside the default one; ``consent`` as the account's owner notes it."""
        card = await self.card(number)
        await self.post(f"/v1/payment_methods/{card}/attach", {"customer": customer})
        if consent:
            await self.post(f"/v1/payment_methods/{card}", {"metadata[dunwell_backup]": "yes"})
        return card

    async def confirm(self, invoice: str) -> None:
        """Do what a customer does on the bank's page for a payment that waits for it."""
        confirmed = await self.post("/_test/confirm", {"invoice": invoice})
        assert confirmed["outcome"] == "paid"

    async def failed_renewal(self, number: str = DECLINING, amount: int = 4900) -> Failed:
        """Let a customer subscribe with a good card, and the renewal fail with another."""
        customer = await self.post("/v1/customers", {"email": "ann@example.com", "name": "Ann Lee"})
        await self.change_card(customer["id"], GOOD)
        product = await self.post("/v1/products", {"name": "Team"})
        price = await self.post(
            "/v1/prices",
            {
                "product": product["id"],
                "currency": "usd",
                "unit_amount": amount,
                "recurring[interval]": "month",
                "lookup_key": "team-monthly",
            },
        )
        subscription = await self.post(
            "/v1/subscriptions", {"customer": customer["id"], "items[0][price]": price["id"]}
        )
        card = await self.change_card(customer["id"], number)
        renewed = await self.post("/_test/renew", {"subscription": subscription["id"]})
        assert renewed["status"] == "past_due"
        return Failed(renewed["latest_invoice"], subscription["id"], customer["id"], card)

    # --- what the account's own books say ---

    async def charges(self, customer: str) -> list[dict[str, Any]]:
        """List what was tried with a customer's cards for renewals, the oldest first."""
        page = await self.get("/v1/charges", limit=100)
        mine = [charge for charge in page["data"] if charge["customer"] == customer]
        return [charge for charge in reversed(mine) if charge["description"] != "Subscription creation"]

    async def money_moved(self, customer: str) -> list[int]:
        """List the amounts that were really taken for renewals."""
        return [charge["amount"] for charge in await self.charges(customer) if charge["paid"]]

    async def events(self) -> list[dict[str, Any]]:
        """List everything that Stripe would announce, the oldest first."""
        page = await self.get("/v1/events", limit=100)
        assert not page["has_more"], "a test that makes so many events has to page through them"
        return list(reversed(page["data"]))

    async def announced(self) -> list[tuple[str, bytes]]:
        """Give every event's id, and its body as a webhook has it, the oldest first."""
        return [(event["id"], json.dumps(event).encode()) for event in await self.events()]


def _body(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return answer.json()
