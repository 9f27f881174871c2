"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from bench import card_update, history, ledger, memory, opening, plans, sandbox, what_if
from bench.ground import Options, say
from bench.processes import ROOT
from embedded import find_binary
from logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

MEASURES: dict[str, Callable[[Options], Awaitable[dict[str, Any]]]] = {
    "opening": opening.measure,
    "card_update": card_update.measure,
    "history": history.measure,
    "memory": memory.measure,
    "sandbox": sandbox.measure,
    "plans": plans.measure,
    "ledger": ledger.measure,
    "what_if": what_if.measure,
}
LIBRARIES = ("temporalio", "pydantic", "sqlalchemy", "fastapi", "uvicorn")


def main() -> int:
    """Read the arguments, run, print."""
    names, options = _arguments()
    for name in [name for name in os.environ if name.startswith(("DUNWELL_", "TEMPORAL_"))]:
        # Nothing real is touched, whatever this terminal is set up for.
        del os.environ[name]
    configure_logs(level="WARNING")
    with _standard_output_kept() as output:
        output.write(json.dumps(asyncio.run(_run(names, options)), indent=2) + "\n")
    return 0


@contextlib.contextmanager
def _standard_output_kept() -> Iterator[TextIO]:
    """Send to standard error what a server that the SDK starts prints about itself."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)
        yield output


def _arguments() -> tuple[list[str], Options]:
    default = Options()
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Run benchmarks and print JSON.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; all by default")
    parser.add_argument("--database", help="postgresql://… of an empty database; SQLite by default")
    parser.add_argument("--cases", type=int, default=default.cases, help="cases in a round")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="rounds of opening")
    parser.add_argument("--open", type=int, default=default.open, help="cases open during card_update")
    parser.add_argument("--samples", type=int, default=default.samples, help="card updates that are timed")
    parser.add_argument("--past", type=int, default=default.past, help="past cases of what_if")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in MEASURES]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}: there are {', '.join(MEASURES)}")
    chosen = {name: value for name, value in vars(given).items() if name != "names"}
    return given.names or list(MEASURES), Options(**chosen)


async def _run(names: list[str], options: Options) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name in names:
        say(f"{name} …")
        begun = time.monotonic()
        results[name] = await MEASURES[name](options)
        results[name]["took_seconds"] = round(time.monotonic() - begun, 1)
        say(f"{name}: {results[name]['took_seconds']} s")
    # The SDK's own threads may crash a process that ends in the same moment.
    await asyncio.sleep(0.3)
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine(), "results": results}


def _machine() -> dict[str, Any]:
    binary = find_binary()
    server = "downloaded by the SDK"
    if binary:
        server = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "server": server.strip(),
        "commit": _commit(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _commit() -> str | None:
    """Name the code that was measured, if it is under version control."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        asked = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
