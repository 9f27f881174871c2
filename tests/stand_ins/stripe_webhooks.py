"""Delivers the stand-in's events as Stripe would: signed, at least once, in any order."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.stand_ins.stripe_account import StripeAccount

# What the fixtures' processors are made with.
WEBHOOK_SECRET = "whsec_of_the_tests"


def signature(body: bytes, secret: str, at: int | None = None) -> str:
    """Sign a body as https://docs.stripe.com/webhooks#verify-manually describes it."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hexdigest()}"


class WebhookBridge:
    """Hands an account's events to one endpoint; what was answered with success is not sent again.

    ``seed`` makes deliveries come out of order and some of them twice, the same way each time.
    """

    def __init__(self, account: StripeAccount, url: str, secret: str, *, seed: int | None = None) -> None:
        self._account = account
        self._url = url
        self._secret = secret
        self._delivered: set[str] = set()
        self._random = None if seed is None else random.Random(seed)

    async def deliver(self, types: frozenset[str] | None = None) -> list[str]:
        """Deliver what is new and give back its ids in the order of delivery."""
        waiting = [
            event
            for event in await self._account.events()
            if event["id"] not in self._delivered and (types is None or event["type"] in types)
        ]
        if self._random is not None:
            waiting += [event for event in waiting if self._random.random() < 0.3]
            self._random.shuffle(waiting)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            return [event["id"] for event in waiting if await self._send(client, event)]

    async def _send(self, client: httpx.AsyncClient, event: dict[str, Any]) -> bool:
        body = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._secret),
        }
        answered = await client.post(self._url, content=body, headers=headers)
        if answered.is_success:
            self._delivered.add(event["id"])
        return answered.is_success
