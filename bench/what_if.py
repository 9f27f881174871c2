"""A what-if run over a hundred thousand past cases: its time, and the memory that it takes at most."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, insert

from bench.ground import Options, say
from bench.plans import COUNTRIES, DECLINES, RICH
from bench.processes import ROOT
from campaigns.declines import DeclineTable, Said
from campaigns.reading import read_campaign
from campaigns.simulation import Sample, begin
from campaigns.story import Ending, Lever, Outcome
from campaigns.zones import zone_of
from store import campaigns, schema, what_ifs
from store.database import Database
from store.studio_tables import WhatIfRow
from store.tables import CaseRow, CustomerRow
from what_if import Orders

if TYPE_CHECKING:
    from campaigns.story import Story

FIRST_FAILURE = datetime(2025, 6, 2, tzinfo=UTC)
SPREAD = timedelta(days=365)
BATCH = 2000
NETWORKS = ("visa", "mastercard", "amex")
# How cases ended, and how often.
ENDINGS = {
    (Outcome.RECOVERED, Lever.SCHEDULED_RETRY): 40,
    (Outcome.RECOVERED, Lever.CARD_UPDATE): 20,
    (Outcome.RECOVERED_ELSEWHERE, None): 5,
    (Outcome.CANCELLED, None): 5,
    (Outcome.EXHAUSTED, None): 30,
}
# An edit of the kind that is made most often: a day here, a day there, and one mail less.
LATER = (
    (campaigns.LIBRARY / "standard.yaml")
    .read_text(encoding="utf-8")
    .replace("after: 3 days", "after: 4 days")
)
DRAFTS = {
    "another_timing": LATER,
    "calendar_paydays_and_conditions": RICH.replace("name: rich", "name: standard"),
}


async def measure(options: Options) -> dict[str, Any]:
    """Make up the cases once, then try a draft of each kind on all of them."""
    with tempfile.TemporaryDirectory(prefix="dunwell-bench-") as name:
        url = f"sqlite:///{name}/dunwell.db"
        schema.upgrade(url)
        begun = time.perf_counter()
        await asyncio.to_thread(_fill, url, options.past)
        say(f"  {options.past} past cases made up in {time.perf_counter() - begun:.0f} s")
        database = Database(url)
        try:
            async with database.begin() as session:
                await campaigns.publish_library(session, datetime.now(UTC))
            found = {name: await _try(database, url, draft, name) for name, draft in DRAFTS.items()}
        finally:
            await database.close()
    return {"cases": options.past, **found}


async def _try(database: Database, url: str, draft: str, name: str) -> dict[str, Any]:
    """Let a process of its own try a draft, as the studio does."""
    now = datetime.now(UTC)
    row = WhatIfRow(
        id=name,
        campaign="standard",
        by="bench",
        source="all cases",
        document=draft,
        state="",
        against=1,
        started_at=now,
        seen_at=now,
    )
    async with database.begin() as session:
        await what_ifs.begin(session, row, now)
    orders = Orders(name, url, "standard", None, None, "")
    begun = time.perf_counter()
    seconds, peak = await asyncio.to_thread(_run, json.dumps(asdict(orders)))
    wall = time.perf_counter() - begun
    async with database.read() as session:
        row = await what_ifs.get(session, name)
    found = what_ifs.comparison_of(row)
    assert found is not None, row.why
    assert found.published is not None
    say(f"  {name}: {wall:.0f} s, {seconds:.0f} s of processor, {peak:.0f} MB")
    return {
        "seconds": round(wall, 1),
        "processor_seconds": round(seconds, 1),
        "processor_microseconds_each": round(seconds * 1e6 / found.failures),
        "peak_megabytes": round(peak, 1),
        "changed": found.changed,
        "charges": [found.published.charges, found.draft.charges],
        "mails": [sum(found.published.mails.values()), sum(found.draft.mails.values())],
    }


def _run(orders: str) -> tuple[float, float]:
    """Carry orders out; gives the processor time in seconds and the largest memory in megabytes."""
    process = subprocess.Popen([sys.executable, "what_if.py"], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(f"{orders}\n")
    process.stdin.flush()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdin.close()
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


# --- made-up cases -----------------------------------------------------------------------------------


def _fill(url: str, count: int) -> None:
    chance = random.Random(7)
    table = DeclineTable(campaigns.decline_codes())
    standard = read_campaign(LATER, file="standard")
    engine = create_engine(url)
    with engine.begin() as connection:
        for first in range(0, count, BATCH):
            rows = [
                _case(chance, table, standard, number) for number in range(first, min(first + BATCH, count))
            ]
            connection.execute(insert(CaseRow), rows)
            connection.execute(insert(CustomerRow), [_customer(row) for row in rows])
    engine.dispose()


def _customer(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "processor": "stripe",
        "account": "main",
        "id": row["customer"],
        "attributes": {"tier": "gold" if row["amount"] > 5000 else "silver"},
        "updated_at": row["closed_at"],
    }


def _case(chance: random.Random, table: DeclineTable, standard: Any, number: int) -> dict[str, Any]:
    country = chance.choice(COUNTRIES)
    sample = Sample(
        failed_at=FIRST_FAILURE + timedelta(seconds=chance.randrange(int(SPREAD.total_seconds()))),
        verdict=table.judge(Said(chance.choice(DECLINES)), FIRST_FAILURE.date()),
        # As real ids: in no order of time.
        case_id=f"case_{chance.getrandbits(64):016x}{number}",
        amount=chance.randrange(50, 20000),
        currency="EUR" if number % 3 else "USD",
        plan=chance.choice(("basic", "pro", None)),
        country=country,
        timezone=zone_of(None, country),
        network=chance.choice(NETWORKS),
    )
    (outcome, lever) = chance.choices([*ENDINGS], [*ENDINGS.values()])[0]
    lasted = (
        timedelta(days=28) if outcome is Outcome.EXHAUSTED else timedelta(minutes=chance.randrange(28 * 1440))
    )
    ending = Ending(outcome=outcome, lever=lever, at=sample.failed_at + lasted)
    story = begin(standard, sample).model_copy(
        update={"customer": f"cus_{number}", "ending": ending, "closed": True, "interval": "month"}
    )
    return _row(story, ending, number)


def _row(story: Story, ending: Ending, number: int) -> dict[str, Any]:
    return {
        "id": story.case_id,
        "workflow_id": f"recover/stripe/main/in_{number}/1",
        "processor": "stripe",
        "account": "main",
        "invoice": f"in_{number}",
        "customer": story.customer,
        "status": "closed",
        "outcome": ending.outcome,
        "lever": ending.lever,
        "sentence": "",
        "amount": story.amount,
        "currency": story.currency,
        "campaign": "standard",
        "campaign_version": 1,
        "arm": "",
        "chosen_by": "default",
        "decline": story.decline,
        "access": "full",
        "episode": 1,
        "livemode": False,
        "failed_at": story.failed_at,
        "reserved_at": story.failed_at,
        "opened_at": story.failed_at,
        "closed_at": ending.at,
        "story": story.model_dump(mode="json", exclude_unset=True),
    }
