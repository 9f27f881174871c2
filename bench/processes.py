"""Children and what they use, seen from outside."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.child import Orders, Role
from bench.runners import Isolation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.ground import Ground

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 60.0
# A child finishes what it is doing, which may be a retry that waits.
STOPS_WITHIN = 10.0
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Child:
    """A running child; ``url`` is its web side."""

    process: asyncio.subprocess.Process
    url: str

    @property
    def process_id(self) -> int:
        """The child's process id."""
        return self.process.pid

    async def counters(self) -> dict[str, int]:
        """Ask what it has counted so far."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        counted: dict[str, int] = await _read(self.process)
        return counted


@asynccontextmanager
async def child(
    ground: Ground, role: Role, isolation: Isolation = Isolation.PASSED_THROUGH
) -> AsyncIterator[Child]:
    """Start a child and wait until it works."""
    orders = Orders(
        role, ground.server.address, str(ground.folder), ground.settings.database_url, str(isolation)
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.child", orders.spell()),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        ready = await asyncio.wait_for(_read(process), STARTS_WITHIN)
        yield Child(process, ready["url"] or "")
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOPS_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _read(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with code {await process.wait()}")
    return json.loads(line)


def cpu_seconds(process_id: int | None) -> float:
    """Give the processor time a process has used, all its threads; NaN where the system does not say."""
    try:
        # The second field is the program's name in parentheses, and may hold anything.
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process_id: int) -> float:
    """Give the memory that a process holds in RAM; NaN where the system does not say."""
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text(encoding="utf-8").split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE")
