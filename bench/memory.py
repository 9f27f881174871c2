"""The memory that open cases take in a worker, which keeps a bounded number of them at hand."""

from __future__ import annotations

import asyncio
from typing import Any

from bench import bare, load
from bench.child import Role
from bench.ground import Ground, Options, prepared, say
from bench.processes import MEGABYTE, Child, child, resident_bytes

# What a worker needs anyway has been loaded by then.
WARMED_UP = 50
# Below the thousand that a worker keeps at hand by default, in two steps that should cost the same.
STEPS = (300, 600)
SETTLE_SECONDS = 1.0


async def measure(options: Options) -> dict[str, Any]:
    """Open cases in steps and look at the worker after each; the same with bare workflows."""
    async with prepared(options) as ground:
        async with child(ground, Role.WORKER) as worker:
            cases = await _grow_cases(ground, worker)
        async with child(ground, Role.BARE) as worker:
            bares = await _grow_bare(ground, worker)
    return {"case": _summary(cases), "bare_workflow": _summary(bares)}


async def _grow_cases(ground: Ground, worker: Child) -> dict[int, float]:
    seen = {}
    before = -WARMED_UP
    for step in (0, *STEPS):
        batch, count = f"m{step}", step - before
        failures = await load.make_failures(ground, batch, count)
        await load.start_directly(ground, failures)
        await load.until_waiting(ground, batch, count)
        seen[step] = await _look(worker)
        say(f"  {step} cases: {seen[step]:.0f} MB")
        before = step
    return seen


async def _grow_bare(ground: Ground, worker: Child) -> dict[int, float]:
    seen = {}
    before = -WARMED_UP
    for step in (0, *STEPS):
        names = [f"bare/m{step}/{number}" for number in range(step - before)]
        await load.start_bare(ground, names, bare.OneTimer.run)
        await load.until(lambda: load.bare_waiting(worker), step + WARMED_UP)
        seen[step] = await _look(worker)
        before = step
    return seen


async def _look(worker: Child) -> float:
    await asyncio.sleep(SETTLE_SECONDS)
    return resident_bytes(worker.process_id) / MEGABYTE


def _summary(seen: dict[int, float]) -> dict[str, Any]:
    first, last = STEPS
    return {
        "megabytes_at_start": round(seen[0], 1),
        "megabytes_per_thousand": round((seen[last] - seen[0]) * 1000 / last, 1),
        "megabytes_per_thousand_each_step": [
            round((seen[first] - seen[0]) * 1000 / first, 1),
            round((seen[last] - seen[first]) * 1000 / (last - first), 1),
        ],
    }
