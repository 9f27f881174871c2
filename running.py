"""What the commands do that run on: everything with ``up``, the demonstration, and the web side alone."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.live import Live

import account_commands
import console
import demo as show
from commands import configure
from errors import ServerUnavailable
from local import free_port, run_services, run_web_alone
from logs import configure_logs, forward_temporal_lines
from processors.sandbox import SandboxProcessor
from settings import load_settings, local_settings, secrets_of
from worker import stopped_by_signal


async def run_up(folder: Path) -> None:
    """Run everything on this machine until Ctrl-C; what runs is written down for the other commands."""
    settings = local_settings(folder)
    configure(settings)
    stop = stopped_by_signal()
    console.screen.print(f"Starting Dunwell in [bold]{folder}[/] …")
    async with run_services(settings, folder, fixed_ports=True) as services:
        running = {
            "DUNWELL_DATABASE_URL": settings.database_url,
            "DUNWELL_SANDBOX_FILE": str(settings.sandbox_file),
        }
        if services.temporal_address:
            running["TEMPORAL_ADDRESS"] = services.temporal_address
        (folder / "running.json").write_text(json.dumps(running), encoding="utf-8")
        console.screen.print(f"[bold]web side[/]     {services.web_url}  (API key: {folder / 'api.key'})")
        await account_commands.print_studio(services)
        console.screen.print(f"[bold]Temporal UI[/]  {services.temporal_ui or 'as your cluster has it'}")
        console.screen.print(f"[bold]mails[/]        {settings.mail_folder}")
        console.screen.print(f"[bold]processors[/]   {', '.join(sorted(services.tools.processors))}")
        console.screen.print("Ctrl-C stops it; every case is picked up again at the next start.")
        ended = asyncio.create_task(services.server_ended())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ServerUnavailable(
                f"the embedded Temporal server ended by itself: see {folder}/temporal, then start again"
            )
        ended.cancel()
        console.screen.print("Stopping …")
    (folder / "running.json").unlink(missing_ok=True)
    console.screen.print("Stopped. Nothing is lost.")


async def run_demo(*, keep: bool) -> int:
    """Play the demonstration; gives 1 where a case ended otherwise than it should."""
    folder = Path(tempfile.mkdtemp(prefix="dunwell-demo-"))
    for name in [name for name in os.environ if name.startswith("DUNWELL_")]:
        # A demonstration touches nothing real, whatever this terminal is set up for.
        del os.environ[name]
    settings = local_settings(
        folder,
        default_campaign="demo",
        port=free_port(),
        mail_from="Northwind Streaming <billing@northwind.example>",
    )
    configure_logs(
        level="INFO", style="text", secrets=secrets_of(settings), stream=(folder / "log.txt").open("a")
    )
    forward_temporal_lines()
    console.screen.print(f"Starting Temporal, a worker and the web side in {folder} …")
    async with run_services(settings, folder, fixed_ports=False) as services:
        sandbox = services.tools.processors["sandbox"]
        assert isinstance(sandbox, SandboxProcessor)
        headers = {"Authorization": f"Bearer {settings.api_keys[0].get_secret_value()}"}
        async with httpx.AsyncClient(base_url=services.web_url, headers=headers, timeout=30) as api:
            stage = show.Stage(services, sandbox, api)
            failed_at = await show.set_the_stage(stage)
            events = asyncio.create_task(show.let_things_happen(stage, failed_at))
            await _watch(stage, failed_at)
            await events
            seconds = (datetime.now(UTC) - failed_at).total_seconds()
            found = await show.results(stage)
        console.print_demo_summary(found, services, seconds)
        if keep:
            console.screen.print("Everything is left running; Ctrl-C stops it.")
            await stopped_by_signal().wait()
    return 1 if any(result.faults for result in found) else 0


async def _watch(stage: show.Stage, failed_at: datetime) -> None:
    """Show the cases until all are closed, or until the campaign should long be over."""
    with Live(console=console.screen, refresh_per_second=4) as live:
        async for rows in show.progress(stage, failed_at):
            live.update(console.demo_table(show.PAYMENTS, rows, failed_at))


async def run_web_side() -> None:
    """Serve the web side until Ctrl-C."""
    settings = load_settings()
    configure(settings)
    stop = stopped_by_signal()
    async with run_web_alone(settings):
        await stop.wait()
