"""Everything on one machine, in one process: an embedded Temporal server, the worker, and the web side."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
import uvicorn

from alerting import run_alerting
from embedded import EmbeddedServer, keep_closed_for, run_server
from errors import BadSettings
from processors.sandbox import SandboxProcessor
from registration import register
from web.app import make_app
from web.desk import Desk
from web.postman import run_postman
from wiring import (
    connect,
    connect_lazily,
    is_cluster_configured,
    leave_temporal,
    make_links,
    make_workers,
    open_tools,
)
from worker import ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from activities.tools import Tools
    from settings import Settings

log = structlog.get_logger()

TEMPORAL_PORT, TEMPORAL_UI_PORT = 7233, 8233
# After a start what has waited is worked off first.
QUIET_SECONDS = 10


@dataclass(frozen=True)
class Services:
    """What runs, and where people find it."""

    settings: Settings
    tools: Tools
    desk: Desk
    web_url: str
    temporal_address: str | None
    temporal_ui: str | None
    server: EmbeddedServer | None = None

    async def server_ended(self) -> None:
        """Wait until the embedded server ends by itself, which it never should."""
        if self.server is None:
            await asyncio.Event().wait()
        else:
            await self.server.ended()

    def case_url(self, workflow_id: str) -> str:
        """Give the address of a case in the Temporal UI, or its workflow id where no UI is known."""
        return self.desk.temporal_page(workflow_id) or workflow_id


def free_port(wanted: int = 0) -> int:
    """Give a port that is free on loopback: the wanted one if it can be had."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise OSError("no port is free on 127.0.0.1")


@asynccontextmanager
async def run_services(
    settings: Settings, folder: Path | None, *, fixed_ports: bool
) -> AsyncIterator[Services]:
    """Run everything until the block ends, then stop it in the order in which nothing is lost.

    The web side stops first, so that nothing new comes in; then the worker finishes what it is doing;
    the server, which remembers everything, goes last.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(leave_temporal)
        server: EmbeddedServer | None = None
        address, temporal_ui = None, str(settings.temporal_ui_url) if settings.temporal_ui_url else None
        if not is_cluster_configured():
            ports = (free_port(TEMPORAL_PORT), free_port(TEMPORAL_UI_PORT)) if fixed_ports else (None, None)
            place = folder / "temporal" if folder else None
            server = await stack.enter_async_context(run_server(place, port=ports[0], ui_port=ports[1]))
            address, temporal_ui = server.address, server.ui_url
        client = await connect(address)
        await register(client)
        if address:
            await keep_closed_for(client)
        tools = await stack.enter_async_context(open_tools(settings, datetime.now(UTC)))
        for worker in make_workers(client, tools, charges_per_second=settings.charges_per_second):
            await stack.enter_async_context(worker)
        stack.push_async_callback(ended, asyncio.create_task(run_alerting(tools), name="alerting"))
        desk = Desk(
            settings.model_copy(update={"temporal_ui_url": temporal_ui}), tools, client, make_links(settings)
        )
        web_url = await stack.enter_async_context(run_web(desk))
        sandbox = tools.processors.get("sandbox")
        if isinstance(sandbox, SandboxProcessor):
            postman = asyncio.create_task(run_postman(sandbox, f"{web_url}/webhooks/sandbox"), name="postman")
            stack.push_async_callback(ended, postman)
        yield Services(settings, tools, desk, web_url, address, temporal_ui, server)


class _QuietServer(uvicorn.Server):
    """Leaves signals to whoever runs it: Ctrl-C has more to stop than the web side."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when requests are served."""
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


def _bound_socket(host: str, port: int) -> socket.socket:
    """Take the port of the web side; raises BadSettings when somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family=family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise BadSettings(
            f"the web side cannot listen on {host} port {port} ({error.strerror}): stop what uses it,"
            " or set DUNWELL_HOST and DUNWELL_PORT"
        ) from None
    return sock


@asynccontextmanager
async def run_web(desk: Desk) -> AsyncIterator[str]:
    """Serve the web side until the block ends; gives its address."""
    config = uvicorn.Config(
        make_app(desk),
        host=desk.settings.host,
        port=desk.settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )
    sock = _bound_socket(desk.settings.host, desk.settings.port)
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="web")
    try:
        up = asyncio.create_task(server.is_up.wait())
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            up.cancel()
            await serving
        host = "127.0.0.1" if desk.settings.host in {"0.0.0.0", "::"} else desk.settings.host  # noqa: S104
        reading = asyncio.create_task(_read_templates(desk.tools), name="templates")
        try:
            yield f"http://{host}:{sock.getsockname()[1]}"
        finally:
            await ended(reading)
    finally:
        server.should_exit = True
        await serving
        sock.close()


async def _read_templates(tools: Tools) -> None:
    """Look for faults in every template once things are quiet: whoever opens the studio first need not wait."""
    await asyncio.sleep(QUIET_SECONDS)
    for template in sorted(tools.renderer.names()):
        await asyncio.to_thread(tools.renderer.faults, template)


@asynccontextmanager
async def run_web_alone(settings: Settings) -> AsyncIterator[str]:
    """Serve the web side beside a worker elsewhere; Temporal may be away when it starts."""
    async with open_tools(settings, datetime.now(UTC)) as tools:
        client = await connect_lazily()
        desk = Desk(settings, tools, client, make_links(settings))
        async with run_web(desk) as url:
            yield url
        await leave_temporal()
