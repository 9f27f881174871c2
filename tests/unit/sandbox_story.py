"""How the tests of the sandbox begin: Ada owes 49.00 and has one card that follows a script."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from processors.protocol import ChargeRequest, ChargeResult
from processors.sandbox import SandboxProcessor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processors.protocol import Report

ROOT = Path(__file__).parents[2]
SECRET = "whsec_sandbox"
DAY_0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAID, DECLINED = ChargeResult.PAID, ChargeResult.DECLINED
NEEDS_CUSTOMER, NOTHING_TO_PAY = ChargeResult.NEEDS_CUSTOMER, ChargeResult.NOTHING_TO_PAY


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def request(key: str, at: float = 1, *, invoice: str = "in_1", method: str | None = None) -> ChargeRequest:
    return ChargeRequest("main", invoice, f"dunwell/{key}", day(at), method)


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[SandboxProcessor]:
    processor = SandboxProcessor(file, SECRET, public_url="https://pay.example/")
    try:
        yield processor
    finally:
        await processor.close()


async def owe(sandbox: SandboxProcessor, script: str, *, card: bool = True) -> SandboxProcessor:
    """Let Ada owe 49.00 on ``in_1`` since day 0, with one card that follows the script."""
    await sandbox.add_customer("cus_1", "ada@example.com", "Ada", locale="pt-BR", country="BR")
    if card:
        await sandbox.add_card("cus_1", "card_1", script, "mastercard", "4444", at=day(-30))
    await sandbox.add_invoice("in_1", "cus_1", 4900, "usd", plan="team", number="A-1")
    await sandbox.fail("in_1", DAY_0, "insufficient_funds")
    return sandbox


async def results(sandbox: SandboxProcessor) -> list[tuple[str, str, str | None]]:
    return [(entry.key, entry.result, entry.decline) for entry in await sandbox.charges()]


async def told(sandbox: SandboxProcessor, after: int = 0) -> list[Report]:
    return [report for event in await sandbox.events(after) for report in sandbox.reports(event.body)]


async def last_event(sandbox: SandboxProcessor) -> int:
    return max((event.number for event in await sandbox.events()), default=0)
