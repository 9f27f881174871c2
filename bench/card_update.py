"""The delay from a ``card_updated`` signal to the closed case, with many cases open."""

from __future__ import annotations

import asyncio
import random
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from bench import bare, load
from bench.child import Role
from bench.ground import Ground, Options, prepared, say
from bench.processes import MEGABYTE, child, resident_bytes
from contract import CardUpdated, CaseResult, FactName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.load import Failure

# Between two samples, so that each is measured alone.
PAUSE_SECONDS = 0.05
# As many cases as a worker keeps in memory; what was opened before them is replayed from its history.
CACHED = 1000


async def measure(options: Options) -> dict[str, Any]:
    """Open as many cases as bare workflows, then tell one of each in turns."""
    async with (
        prepared(options) as ground,
        child(ground, Role.WORKER) as worker,
        child(ground, Role.BARE) as bare_child,
    ):
        failures = await load.make_failures(ground, "open", options.open)
        say(f"  opening {options.open} cases")
        await load.start_directly(ground, failures)
        await load.until_waiting(ground, "open", options.open)
        names = [f"bare/open/{number}" for number in range(options.open)]
        say(f"  opening {options.open} bare workflows")
        await load.start_bare(ground, names, bare.OneSignal.run)
        await load.until(lambda: load.bare_waiting(bare_child), options.open)
        say("  sampling")
        found = await _sample(ground, failures, names, options)
        # No more than a worker keeps at hand: beside the figures of memory, this shows that it is bounded.
        found["worker_megabytes"] = round(resident_bytes(worker.process_id) / MEGABYTE)
        return found


async def _sample(
    ground: Ground, failures: Sequence[Failure], names: Sequence[str], options: Options
) -> dict[str, Any]:
    # Not for secrets: the same places in every run.
    chosen = random.Random(1).sample(range(options.open), min(options.samples, options.open))
    cases: dict[int, float] = {}
    bares: list[float] = []
    for place in chosen:
        bares.append(await _tell_bare(ground, names[place]))
        cases[place] = await _tell_case(ground, failures[place])
    kept = [delay for place, delay in cases.items() if place >= options.open - CACHED]
    replayed = [delay for place, delay in cases.items() if place < options.open - CACHED]
    return {
        "open": options.open,
        "case": {
            **_summary(list(cases.values())),
            "in_the_worker's_cache": _summary(kept),
            "replayed_first": _summary(replayed),
        },
        "bare_workflow": _summary(bares),
        "ratio_p50": round(median(cases.values()) / median(bares), 2),
    }


async def _tell_bare(ground: Ground, name: str) -> float:
    handle = ground.client.get_workflow_handle_for(bare.OneSignal.run, name)
    begun = time.perf_counter()
    await handle.signal(bare.OneSignal.tell, "card")
    await handle.result()
    delay = time.perf_counter() - begun
    await asyncio.sleep(PAUSE_SECONDS)
    return delay


async def _tell_case(ground: Ground, failure: Failure) -> float:
    """Give the customer a card that works, tell the case, and wait for its end."""
    card = f"{failure.card}_new"
    await ground.sandbox.add_card(failure.customer, card, "paid")
    fact = CardUpdated(event=f"evt_{card}", method=card)
    handle = ground.client.get_workflow_handle(failure.workflow_id, result_type=CaseResult)
    begun = time.perf_counter()
    await handle.signal(FactName.CARD_UPDATED, fact)
    result = await handle.result()
    delay = time.perf_counter() - begun
    if result.outcome != "recovered":
        raise RuntimeError(f"{failure.workflow_id} should have been recovered: {result.sentence}")
    await asyncio.sleep(PAUSE_SECONDS)
    return delay


def _summary(delays: list[float]) -> dict[str, Any]:
    if len(delays) < 2:
        return {"samples": len(delays)}
    cuts = quantiles(delays, n=100, method="inclusive")
    return {
        "samples": len(delays),
        "p50_milliseconds": round(cuts[49] * 1000, 1),
        "p99_milliseconds": round(cuts[98] * 1000, 1),
    }
