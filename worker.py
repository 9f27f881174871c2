"""Runs a worker beside a Temporal server: cases, charges and mails are worked here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from datetime import UTC, datetime

import structlog

from alerting import run_alerting
from errors import DunwellError
from logs import configure_logs, forward_temporal_lines
from registration import register
from settings import Settings, load_settings, secrets_of
from wiring import connect, leave_temporal, make_workers, open_tools

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Work until told to stop, then finish what is under way."""
    client = await connect()
    await register(client)
    stop = stopped_by_signal()
    async with open_tools(settings, datetime.now(UTC)) as tools, contextlib.AsyncExitStack() as stack:
        for worker in make_workers(client, tools, charges_per_second=settings.charges_per_second):
            await stack.enter_async_context(worker)
        stack.push_async_callback(ended, asyncio.create_task(run_alerting(tools), name="alerting"))
        # What is loaded by now stays: the garbage collector need not stop every workflow to go through it.
        gc.freeze()
        log.info("worker.started", namespace=client.namespace, processors=sorted(tools.processors))
        await stop.wait()
        log.info("worker.stopping")
    log.info("worker.stopped")
    await leave_temporal()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task that runs for ever, and wait until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def stopped_by_signal() -> asyncio.Event:
    """Give an event that Ctrl-C or a container's stop sets."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def main() -> int:
    """Read the settings and run; a wrong one ends with its name and what was expected."""
    try:
        settings = load_settings()
        configure_logs(level=settings.log_level, style=settings.log_format, secrets=secrets_of(settings))
        forward_temporal_lines()
        asyncio.run(run(settings))
    except DunwellError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log may not be set up yet
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
