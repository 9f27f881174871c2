"""Delivers the sandbox's events as a processor would: signed, over HTTP, again until they are taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import structlog

if TYPE_CHECKING:
    from processors.sandbox import SandboxProcessor

log = structlog.get_logger()
ROUND_SECONDS = 0.3


async def run_postman(sandbox: SandboxProcessor, address: str, after: int = 0) -> None:
    """Post every event of the books to ``address``, in order, until cancelled.

    After a restart everything is posted once more; the inbox knows each event by its id.
    """
    async with httpx.AsyncClient(timeout=10) as client:
        while True:
            for event in await sandbox.events(after):
                headers = {"Stripe-Signature": sandbox.sign(event.body), "Content-Type": "application/json"}
                try:
                    answer = await client.post(address, content=event.body, headers=headers)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    log.warning("postman.postponed", sandbox_event=event.id, error=str(error))
                    break
                after = event.number
            await asyncio.sleep(ROUND_SECONDS)
