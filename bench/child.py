"""The process that is measured: a worker, alone or with the web side as in ``make up``, or a bare one.

It says on standard output that it is ready, answers each line of its input with its counters, and ends
when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from bench import bare
from bench.ground import settings_in
from bench.runners import SPENT, Isolation, plugin_with
from local import run_web
from logs import configure_logs
from web.desk import Desk
from wiring import make_links, make_workers, open_tools


class Role(StrEnum):
    """What a child does."""

    WHOLE = "whole"
    WORKER = "worker"
    BARE = "bare"


@dataclass(frozen=True)
class Orders:
    """What a child is told at its start, as JSON."""

    role: str
    address: str
    folder: str
    database_url: str
    isolation: str = Isolation.PASSED_THROUGH

    def spell(self) -> str:
        """Write the orders for the command line."""
        return json.dumps(asdict(self))


async def run(orders: Orders) -> None:
    """Serve until the input ends."""
    folder = Path(orders.folder)
    configure_logs(level="INFO", style="json", stream=(folder / f"{orders.role}.log").open("a"))
    client = await Client.connect(orders.address, plugins=[plugin_with(Isolation(orders.isolation))])
    async with contextlib.AsyncExitStack() as stack:
        url = None
        if orders.role == Role.BARE:
            workflows = [bare.OneTimer, bare.OneSignal]
            await stack.enter_async_context(Worker(client, task_queue=bare.QUEUE, workflows=workflows))
        else:
            url = await _serve(stack, client, orders)
        _tell({"ready": True, "url": url})
        while await asyncio.to_thread(sys.stdin.readline):
            _tell({**bare.REACHED, **SPENT})
    # The SDK's own threads may crash a process that ends in the same moment.
    await asyncio.sleep(0.3)


async def _serve(stack: contextlib.AsyncExitStack, client: Client, orders: Orders) -> str | None:
    settings = settings_in(Path(orders.folder), orders.database_url)
    tools = await stack.enter_async_context(open_tools(settings, datetime.now(UTC)))
    for worker in make_workers(client, tools, charges_per_second=settings.charges_per_second):
        await stack.enter_async_context(worker)
    if orders.role == Role.WORKER:
        return None
    desk = Desk(settings, tools, client, make_links(settings))
    return await stack.enter_async_context(run_web(desk))


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(run(Orders(**json.loads(sys.argv[1]))))
