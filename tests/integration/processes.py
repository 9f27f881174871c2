"""Dunwell as its own processes: started as an owner starts them, with nothing set but what a test sets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 60.0
STOPS_WITHIN = 30.0


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """A terminal in a folder, with variables of its own."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Give the environment without what this machine happens to have set."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DUNWELL_", "TEMPORAL_"))
        }
        return kept | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"} | self.variables

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        """Start a program of the project, and leave it running."""
        program, *arguments = command
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / program),
            *arguments,
            cwd=self.folder,
            env=self.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )

    async def run(self, *arguments: str, within: float = 60) -> Ended:
        """Run one command of the command line to its end."""
        process = await self.start("starter.py", *arguments)
        out, err = await asyncio.wait_for(process.communicate(), within)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Up]:
        """Run everything, as Ctrl-C ends it; the test may end it before."""
        process = await self.start("starter.py", "up")
        running = Up(process)
        try:
            await asyncio.wait_for(running.until("Ctrl-C stops it"), STARTS_WITHIN)
            yield running
        finally:
            if process.returncode is None:
                await running.stop()


@dataclass
class Up:
    """Everything, running."""

    process: asyncio.subprocess.Process
    said: str = ""

    async def until(self, words: str) -> None:
        """Read what it prints until it says something."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        while words not in self.said:
            line = await self.process.stdout.readline()
            if not line:
                raise AssertionError(f"{self.said}\n{(await self.process.stderr.read()).decode()}")
            self.said += line.decode()

    def address(self, name: str) -> str:
        """Give an address that it printed."""
        found = re.search(rf"{name}\s+(http://\S+)", self.said)
        assert found is not None, self.said
        return found.group(1)

    async def stop(self) -> Ended:
        """Press Ctrl-C and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(self.process.communicate(), STOPS_WITHIN)
        assert self.process.returncode is not None
        return Ended(self.process.returncode, self.said + out.decode(), err.decode())
