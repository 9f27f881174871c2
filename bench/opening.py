"""Cases opened a second: from a signed webhook to a case that waits, beside a bare workflow."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import bare, load
from bench.child import Role
from bench.ground import Ground, Options, prepared, say
from bench.processes import Child, child, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WARMED_UP = 30


@dataclass
class Clock:
    """Seconds by the wall, and milliseconds of processor a piece."""

    seconds: float = 0.0
    worker: float = 0.0
    server: float = 0.0
    load: float = 0.0

    @property
    def milliseconds(self) -> float:
        """All processor time of one, whoever spent it."""
        return self.worker + self.server + self.load


async def measure(options: Options) -> dict[str, Any]:
    """Open cases and bare workflows in turns, so that a slow moment of the machine falls on both."""
    async with (
        prepared(options) as ground,
        child(ground, Role.WHOLE) as whole,
        child(ground, Role.BARE) as bare_child,
    ):
        await _open_cases(ground, whole, "warm", WARMED_UP)
        await _open_bare(ground, bare_child, "warm", WARMED_UP)
        cases, bares = [], []
        for number in range(options.rounds):
            bares.append(await _open_bare(ground, bare_child, f"r{number}", options.cases))
            cases.append(await _open_cases(ground, whole, f"r{number}", options.cases))
            say(f"  {_rate(cases[-1], options):.1f} cases/s, {_rate(bares[-1], options):.1f} bare/s")
    ratios = [bare_clock.seconds / clock.seconds for clock, bare_clock in zip(cases, bares, strict=True)]
    # Neighbours slow the clock far more than they add to the work: the second ratio is the steadier one.
    work = [
        bare_clock.milliseconds / clock.milliseconds for clock, bare_clock in zip(cases, bares, strict=True)
    ]
    return {
        "whole_path": _summary(cases, options),
        "bare_workflow": _summary(bares, options),
        "ratio": round(median(ratios), 3),
        "ratio_each_round": [round(ratio, 3) for ratio in ratios],
        "ratio_by_processor_time": round(median(work), 3),
        "ratio_by_processor_time_each_round": [round(ratio, 3) for ratio in work],
        "cases_in_a_round": options.cases,
        "requests_at_once": load.AT_ONCE,
    }


async def _open_cases(ground: Ground, whole: Child, batch: str, count: int) -> Clock:
    failures = await load.make_failures(ground, batch, count)
    async with _timed(ground, whole, count) as clock:
        await load.report_by_webhook(ground, whole, failures)
        await load.until_waiting(ground, batch, count)
    return clock


async def _open_bare(ground: Ground, bare_child: Child, batch: str, count: int) -> Clock:
    names = [f"bare/{batch}/{number}" for number in range(count)]
    before = await load.bare_waiting(bare_child)
    async with _timed(ground, bare_child, count) as clock:
        await load.start_bare(ground, names, bare.OneTimer.run)
        await load.until(lambda: load.bare_waiting(bare_child), before + count)
    return clock


@asynccontextmanager
async def _timed(ground: Ground, worker: Child, count: int) -> AsyncIterator[Clock]:
    clock = Clock()
    processes = {"worker": worker.process_id, "server": ground.server.process_id, "load": os.getpid()}
    before = {name: cpu_seconds(number) for name, number in processes.items()}
    begun = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - begun
    for name, number in processes.items():
        setattr(clock, name, (cpu_seconds(number) - before[name]) * 1000 / count)


def _rate(clock: Clock, options: Options) -> float:
    return options.cases / clock.seconds


def _summary(clocks: list[Clock], options: Options) -> dict[str, Any]:
    rates = [_rate(clock, options) for clock in clocks]
    return {
        "a_second": round(median(rates), 1),
        "a_second_each_round": [round(rate, 1) for rate in rates],
        "processor_milliseconds_each": {
            "worker_and_web" if name == "worker" else name: round(
                median(getattr(clock, name) for clock in clocks), 2
            )
            for name in ("worker", "server", "load")
        },
    }
