"""Claims of the budget ledger: on many cards, and on one that everybody wants at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ground import Options, say
from campaigns.budget import Result, Rules
from store import ledger, schema
from store.card_attempts import Attempt
from store.cards import Card
from store.database import Database
from store.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

TASKS = 8
CARDS, EACH = 300, 5
# Of one card, most are refused: the check is the same.
CROWD = 600
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


async def measure(options: Options) -> dict[str, Any]:
    """Time claims, and claims with their settlement, with eight tasks at once."""
    facts = read_facts()
    rules = Rules(facts.limits, facts.fees)
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'ledger.db'}"
        schema.upgrade(url)
        database = Database(url)
        try:
            many = [
                (_card(number), f"many/{number}/{attempt}")
                for attempt in range(EACH)
                for number in range(CARDS)
            ]
            one = [(_card(CARDS), f"one/{attempt}") for attempt in range(CROWD)]
            found = {
                "many_cards": await _timed(database, rules, many),
                "one_card": await _timed(database, rules, one),
            }
        finally:
            await database.close()
    for name, seen in found.items():
        say(f"  {name}: {seen['claims_per_second']} claims a second")
    return found


def _card(number: int) -> Card:
    return Card("stripe", "main", f"bench_{number}", "mastercard", "DE")


async def _timed(database: Database, rules: Rules, wanted: Sequence[tuple[Card, str]]) -> dict[str, Any]:
    left, granted = iter(wanted), []

    async def claim() -> None:
        for card, key in left:
            async with database.begin() as session:
                found = await ledger.claim(session, card, Attempt(key, 4900, "EUR"), rules, NOW)
            if found.granted:
                granted.append(key)

    begun = time.perf_counter()
    await asyncio.gather(*(claim() for _ in range(TASKS)))
    claimed = time.perf_counter() - begun
    begun = time.perf_counter()
    for key in granted:
        async with database.begin() as session:
            await ledger.settle(session, key, Result.DECLINED, rules, NOW, charge=f"ch/{key}")
    settled = time.perf_counter() - begun
    return {
        "claims": len(wanted),
        "granted": len(granted),
        "claims_per_second": round(len(wanted) / claimed),
        "settlements_per_second": round(len(granted) / settled),
    }
