"""Workflows that do nothing but wait: the least that the same server asks for a case."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from temporalio import workflow

QUEUE = "bare"
DAY = timedelta(days=1)
# Counted by the worker's process, of which this module is a part that the sandbox passes through.
REACHED: Counter[str] = Counter()


@workflow.defn
class OneTimer:
    """Starts one timer and waits for it."""

    @workflow.run
    async def run(self) -> None:
        """Wait for a day."""
        if not workflow.unsafe.is_replaying():
            REACHED["waiting"] += 1
        await workflow.sleep(DAY)


@workflow.defn
class OneSignal:
    """Starts one timer, and completes when a signal comes first."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the signal, at most a day."""
        if not workflow.unsafe.is_replaying():
            REACHED["waiting"] += 1
        await workflow.wait_condition(lambda: self._told, timeout=DAY)

    @workflow.signal
    def tell(self, _what: str) -> None:
        """Take the signal."""
        self._told = True


@workflow.defn
class FourTimers:
    """Waits four times, as a campaign of four steps would if its steps did nothing."""

    @workflow.run
    async def run(self) -> None:
        """Wait for four weeks, a week at a time."""
        for _ in range(4):
            await workflow.sleep(timedelta(days=7))
