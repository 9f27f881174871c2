"""What the workflow sandbox costs: with every module loaded anew, with ours passed through, and without it."""

from __future__ import annotations

import time
from typing import Any

from bench import load
from bench.child import Role
from bench.ground import Ground, Options, prepared, say
from bench.processes import child, cpu_seconds, resident_bytes
from bench.runners import Isolation

WARMED_UP = 10
CASES = {
    # Half a second each: fewer tell as much.
    Isolation.ALL_ANEW: 30,
    Isolation.BY_IMPORTS: 100,
    Isolation.PASSED_THROUGH: 100,
    Isolation.NONE: 100,
}


async def measure(options: Options) -> dict[str, Any]:
    """Open cases with a worker of each kind, one after the other on the same server."""
    async with prepared(options) as ground:
        found = {isolation: await _open(ground, isolation) for isolation in Isolation}
    return {str(isolation): figures for isolation, figures in found.items()}


async def _open(ground: Ground, isolation: Isolation) -> dict[str, Any]:
    count = CASES[isolation]
    async with child(ground, Role.WORKER, isolation) as worker:
        warm, failures = f"w{isolation[:2]}", await load.make_failures(ground, f"s{isolation[:2]}", count)
        await load.start_directly(ground, await load.make_failures(ground, warm, WARMED_UP))
        await load.until_waiting(ground, warm, WARMED_UP)
        counted, cpu = await worker.counters(), cpu_seconds(worker.process_id)
        memory, begun = resident_bytes(worker.process_id), time.perf_counter()
        await load.start_directly(ground, failures)
        await load.until_waiting(ground, f"s{isolation[:2]}", count)
        seconds = time.perf_counter() - begun
        after = await worker.counters()
        made = after["instances"] - counted["instances"]
        figures = {
            "cases": count,
            "worker_processor_milliseconds_a_case": round(
                (cpu_seconds(worker.process_id) - cpu) * 1000 / count, 2
            ),
            "milliseconds_to_make_an_instance": round(
                (after["microseconds"] - counted["microseconds"]) / 1000 / made, 3
            ),
            "kilobytes_a_case": round((resident_bytes(worker.process_id) - memory) / 1024 / count),
            "cases_a_second": round(count / seconds, 1),
        }
    say(f"  {isolation}: {figures}")
    return figures
