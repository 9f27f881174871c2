"""Tries a draft on past failures: for the studio in a process of its own, for a command in the command's.

Run as a program it is such a process: it reads its orders from standard input, writes into the table of runs how far
it is and what it has found, and stops when the run is cancelled or whoever began it is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import uuid
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from campaigns.past_failures import LARGEST_FILE, count_failures, read_failures
from campaigns.reading import read_campaign
from campaigns.trial import World
from campaigns.what_if import WhatIf
from errors import BadInput, DunwellError, NotKnown
from logs import configure_logs
from store import campaigns, past_cases, what_ifs
from store.database import Database
from store.facts import read_facts
from store.studio_tables import WhatIfRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from campaigns.comparison import Comparison
    from campaigns.declines import DeclineTable
    from campaigns.document import Campaign
    from campaigns.past_failures import PastFailure
    from store.facts import Facts

ROOT = Path(__file__).resolve().parent
EVERY_SECONDS = 0.5
# A process looks twice a second whether it is to stop.
STOPS_WITHIN = 10.0
# So that cases and pages go first.
NICENESS = 5
PAGE = 1000

log = structlog.get_logger()


# --- what is tried -----------------------------------------------------------------------------------


class PastCases:
    """The failures of the cases in the database that have ended, from a time on."""

    def __init__(self, database: Database, since: datetime | None) -> None:
        self._database, self._since = database, since
        self.not_known = past_cases.NOT_KEPT

    async def count(self) -> int:
        """Count the failures."""
        return await past_cases.count(self._database, self._since)

    def pages(self) -> AsyncGenerator[Sequence[PastFailure], None]:
        """Give the failures, a page at a time."""
        return past_cases.pages(self._database, self._since)


class PastFile:
    """The failures of a CSV file; ``name`` is what a person calls it."""

    not_known: tuple[str, ...] = ()

    def __init__(self, path: Path, name: str, declines: DeclineTable) -> None:
        self._path, self._name, self._codes = path, name, declines.codes()

    async def count(self) -> int:
        """Count the failures; raises BadInput where the file cannot be used, with every fault."""
        return count_failures(self._lines(), self._name, self._codes)

    async def pages(self) -> AsyncGenerator[Sequence[PastFailure], None]:
        """Give the failures, a page at a time."""
        page: list[PastFailure] = []
        for failure in read_failures(self._lines(), self._name, self._codes):
            page.append(failure)
            if len(page) == PAGE:
                yield page
                page = []
        yield page

    def _lines(self) -> Iterator[str]:
        try:
            if self._path.stat().st_size > LARGEST_FILE:
                raise BadInput(f"{self._name} is larger than {LARGEST_FILE // 1024**2} MB: divide it")
            with self._path.open(encoding="utf-8", newline="") as lines:
                yield from lines
        except UnicodeDecodeError:
            raise BadInput(f"{self._name} is not UTF-8: save it as CSV in UTF-8") from None
        except OSError as error:
            raise BadInput(f"{self._name} cannot be read: {error}") from None


async def world_of(database: Database | None, default_campaign: str, facts: Facts) -> World:
    """Give what holds for every failure, with the campaigns as they are published."""
    others: tuple[Campaign, ...] = ()
    if database is not None:
        async with database.read() as session:
            others = tuple(await campaigns.current(session))
    return World(
        declines=facts.declines,
        limits=facts.limits,
        default=default_campaign,
        others=others,
    )


async def try_all(
    trying: WhatIf, source: PastCases | PastFile, told: Callable[[int], Awaitable[bool]]
) -> Comparison | None:
    """Try all failures of a source; None where ``told``, which hears twice a second how many are done, says stop."""
    due = time.monotonic() + EVERY_SECONDS
    async with aclosing(source.pages()) as pages:
        async for page in pages:
            for failure in page:
                trying.take(failure)
                if time.monotonic() >= due:
                    if not await told(trying.done):
                        return None
                    due = time.monotonic() + EVERY_SECONDS
    return trying.comparison(*source.not_known)


# --- a process for each run --------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What a person wants to try, and on which failures.

    ``csv`` is a file of failures, which is taken over and deleted at the end; ``csv_name`` is what the person
    calls it. Without one the cases of the database are looked at, from ``since`` on.
    """

    document: str
    by: str
    since: datetime | None = None
    csv: Path | None = None
    csv_name: str = "file"

    @property
    def source(self) -> str:
        """Say which failures are looked at."""
        if self.csv is not None:
            return f"the failures in {self.csv_name}"
        return f"the cases since {self.since:%d %b %Y %H:%M} UTC" if self.since else "all cases"


@dataclass(frozen=True)
class Orders:
    """What a process is told at its start, as one line of JSON."""

    run: str
    database_url: str
    default_campaign: str
    since: str | None
    csv: str | None
    csv_name: str
    facts_folder: str | None = None


class WhatIfRuns:
    """The runs that this process has begun, each in a process of its own; closed with the web side."""

    def __init__(
        self, database: Database, database_url: str, default_campaign: str, facts_folder: Path | None = None
    ) -> None:
        self._database = database
        self._database_url = database_url
        self._default_campaign = default_campaign
        self._facts_folder = facts_folder
        self._going_on: dict[str, _GoingOn] = {}

    async def begin(self, wanted: Wanted) -> str:
        """Begin to try a draft, beside the published version of its name, and give the run's id.

        Raises BadCampaign where the draft cannot be read, and Conflict where too many runs go on.
        """
        try:
            run = await self._write_down(wanted)
        except DunwellError:
            _delete(wanted.csv)
            raise
        orders = Orders(
            run=run,
            database_url=self._database_url,
            default_campaign=self._default_campaign,
            since=wanted.since.isoformat() if wanted.since else None,
            csv=str(wanted.csv) if wanted.csv else None,
            csv_name=wanted.csv_name,
            facts_folder=str(self._facts_folder) if self._facts_folder else None,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "what_if.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
            # Ctrl-C in a terminal is for the web side, which then ends its processes in order.
            start_new_session=True,
        )
        minder = asyncio.create_task(self._mind(process, run, wanted.csv))
        self._going_on[run] = _GoingOn(process, minder)
        assert process.stdin is not None
        with suppress(ConnectionError):
            # It goes on holding the other end: a process whose input ends has been left alone.
            process.stdin.write(f"{json.dumps(asdict(orders))}\n".encode())
            await process.stdin.drain()
        return run

    async def ended(self, run: str) -> None:
        """Wait until a run has ended, if this process began it."""
        if run in self._going_on:
            await asyncio.wait([self._going_on[run].minder])

    def process_id(self, run: str) -> int:
        """Give the process in which a run goes on that this process began."""
        return self._going_on[run].process.pid

    async def close(self) -> None:
        """Stop every run that still goes on."""
        minders = [going_on.minder for going_on in self._going_on.values()]
        for going_on in self._going_on.values():
            assert going_on.process.stdin is not None
            going_on.process.stdin.close()
        if minders:
            await asyncio.wait(minders, timeout=STOPS_WITHIN)
        for going_on in self._going_on.values():
            going_on.process.kill()
        await asyncio.gather(*minders)

    async def _write_down(self, wanted: Wanted) -> str:
        draft = read_campaign(wanted.document, file="draft")
        now = datetime.now(UTC)
        async with self._database.begin() as session:
            try:
                against = (await campaigns.document(session, draft.name)).version
            except NotKnown:
                against = None
            row = WhatIfRow(
                id=f"whatif_{uuid.uuid4().hex}",
                campaign=draft.name,
                by=wanted.by,
                source=wanted.source,
                document=wanted.document,
                state=what_ifs.State.RUNNING,
                against=against,
                started_at=now,
                seen_at=now,
            )
            await what_ifs.begin(session, row, now)
        return row.id

    async def _mind(self, process: asyncio.subprocess.Process, run: str, csv: Path | None) -> None:
        """Wait for the end of a process, and write down one that came too soon."""
        try:
            code = await process.wait()
            if code:
                how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
                log.error("what_if.process_ended", run=run, code=code)
                async with self._database.begin() as session:
                    await what_ifs.fail(session, run, f"its process {how}", datetime.now(UTC))
        finally:
            _delete(csv)
            self._going_on.pop(run, None)


@dataclass(frozen=True)
class _GoingOn:
    """A run's process, and the task that waits for its end."""

    process: asyncio.subprocess.Process
    minder: asyncio.Task[None]


def _delete(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)


# --- such a process ----------------------------------------------------------------------------------


def main() -> int:
    """Carry out the orders that stand on standard input."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    configure_logs(level="WARNING")
    orders = Orders(**json.loads(sys.stdin.readline()))
    left_alone = threading.Event()
    threading.Thread(target=_wait_for_end, args=(left_alone,), daemon=True).start()
    asyncio.run(_carry_out(orders, left_alone))
    return 0


def _wait_for_end(left_alone: threading.Event) -> None:
    sys.stdin.read()
    left_alone.set()


async def _carry_out(orders: Orders, left_alone: threading.Event) -> None:
    database = Database(orders.database_url)
    try:
        found = await _found(database, orders, left_alone)
        if found is not None:
            async with database.begin() as session:
                await what_ifs.finish(session, orders.run, found, datetime.now(UTC))
    except Exception as error:
        why = str(error) if isinstance(error, DunwellError) else f"something unexpected: {error!r}"
        async with database.begin() as session:
            await what_ifs.fail(session, orders.run, why, datetime.now(UTC))
        if not isinstance(error, DunwellError):
            raise
    finally:
        await database.close()


async def _found(database: Database, orders: Orders, left_alone: threading.Event) -> Comparison | None:
    """Try the run's draft; None where it is not to go on."""
    world = await world_of(
        database,
        orders.default_campaign,
        read_facts(Path(orders.facts_folder) if orders.facts_folder else None),
    )
    async with database.read() as session:
        row = await what_ifs.get(session, orders.run)
        published = None
        if row.against is not None:
            published, _ = await campaigns.version(session, row.campaign, row.against)
    trying = WhatIf(read_campaign(row.document, file="draft"), published, world)
    source: PastCases | PastFile
    if orders.csv is not None:
        source = PastFile(Path(orders.csv), orders.csv_name, world.declines)
    else:
        source = PastCases(database, datetime.fromisoformat(orders.since) if orders.since else None)
    total = await source.count()

    async def told(done: int) -> bool:
        now = datetime.now(UTC)
        async with database.begin() as session:
            if left_alone.is_set():
                await what_ifs.fail(session, orders.run, "what began it was stopped", now)
                return False
            return await what_ifs.tell_progress(session, orders.run, done, total, now)

    if not await told(0):
        return None
    return await try_all(trying, source, told)


if __name__ == "__main__":
    sys.exit(main())
