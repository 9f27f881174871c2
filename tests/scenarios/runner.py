"""Plays a timeline: puts the case's clock forward to each happening, lets it happen, and reads the books."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, select
from temporalio.client import WorkflowExecutionStatus

import contract
from store.tables import AttemptRow
from tests.scenarios.books import Books, read_books
from tests.scenarios.happenings import Case, happen, report_failure
from tests.scenarios.timeline import Told
from tests.scenarios.world import World, built

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.testing import WorkflowEnvironment

    from tests.scenarios.timeline import Happening, Timeline

# Past every timer: what would come after the end of any campaign has come by then.
AFTERWARDS = timedelta(days=30)
# Where the history of a case that waits is kept: after two steps, before the end, and at no step's time.
MIDDLE = timedelta(days=4, hours=6)
# The server can lose a timer that is due at the very time to which the clock is put.
ASIDE = timedelta(minutes=1)
# A case that makes no progress must not take the whole run with it.
PATIENCE = 120.0


@dataclass
class Played:
    """What came of a timeline; ``histories`` are JSON, by where the case stood."""

    books: Books
    status: contract.CaseStatus
    results: list[contract.CaseResult]
    happened: list[Happening]
    answers: list[tuple[Happening, str]] = field(default_factory=list)
    histories: dict[str, str] = field(default_factory=dict)


class Runner:
    """Plays one timeline in one world."""

    def __init__(self, environment: WorkflowEnvironment, world: World, timeline: Timeline) -> None:
        self._environment = environment
        self._world = world
        self._timeline = timeline
        self._answers: list[tuple[Happening, str]] = []
        self._handle: Case

    async def play(self) -> Played:
        """Play from the report of the failure until past every timer."""
        self._handle = await report_failure(self._world, self._timeline, self._timeline.reported)
        for happening in self._timeline.happens:
            await self._reach(happening)
        await self._forward_to(self._last() + AFTERWARDS)
        await self._keep_history("finished")
        results = []
        description = await self._handle.describe()
        if description.status is not WorkflowExecutionStatus.RUNNING:
            results.append(await self._handle.result())
        status = await self._handle.query(contract.STATUS, result_type=contract.CaseStatus)
        books = await read_books(self._world)
        return Played(books, status, results, self._timeline.happens, self._answers, self._world.histories)

    def _last(self) -> timedelta:
        """When everything planned and everything that happens is over."""
        times = [effect.at for effect in self._timeline.effects]
        times += [happening.at for happening in self._timeline.happens]
        return max([timedelta(days=14), *times])

    async def _reach(self, happening: Happening) -> None:
        if happening.revived:
            self._handle = await report_failure(
                self._world, self._timeline, Told(forgotten=True), happening.at
            )
        if happening.during is None:
            await self._forward_to(happening.at + (ASIDE if happening.revived else timedelta(0)))
            answer = await happen(self._world, self._timeline, self._handle, happening)
        else:
            # The clock goes on by itself while the charge is waited for, and stands while it is made.
            going = asyncio.create_task(self._forward_to(happening.at + ASIDE))
            try:
                await self._under_way(happening.during)
                answer = await happen(self._world, self._timeline, self._handle, happening)
            finally:
                await going
        if answer is not None:
            self._answers.append((happening, answer))

    async def _under_way(self, attempt: str) -> None:
        """Wait until a charge has been begun and has not been answered."""
        begun = select(AttemptRow).where(AttemptRow.attempt == attempt, col(AttemptRow.settled_at).is_(None))
        while True:
            async with self._world.tools.database.read() as session:
                if (await session.exec(begun)).first() is not None:
                    return
            await asyncio.sleep(0.05)

    async def _forward_to(self, offset: timedelta) -> None:
        """Put the case's own clock forward; one that has ended stays where it is."""
        if self._timeline.seconds_a_day:
            await self._sit_through(offset)
            return
        now = await self._environment.get_current_time(self._handle)
        if now < self._world.time(MIDDLE) <= self._world.time(offset):
            await self._skip(MIDDLE)
            await self._keep_history("waiting")
        await self._skip(offset)

    async def _sit_through(self, offset: timedelta) -> None:
        """Let real time pass, until the case has ended."""
        while datetime.now(UTC) < self._world.time(offset):
            if (await self._handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                return
            await asyncio.sleep(0.1)

    async def _skip(self, offset: timedelta) -> None:
        await put_forward(self._environment, self._handle, self._world.time(offset))

    async def _keep_history(self, where: str) -> None:
        self._world.histories[where] = (await self._handle.fetch_history()).to_json()


async def put_forward(environment: WorkflowEnvironment, handle: Case, to: datetime) -> None:
    """Put a case's clock forward, again where the server gave up half way: it does so when a task comes between."""
    while await at_rest(handle):
        length = to - await environment.get_current_time(handle)
        if length <= timedelta(0):
            return
        await environment.fast_forward(handle, length)


async def at_rest(handle: Case) -> bool:
    """Wait until a case has nothing under way; False once it has ended."""
    while True:
        description = await handle.describe()
        raw = description.raw_description
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return False
        if not (raw.pending_activities or raw.HasField("pending_workflow_task")):
            return True
        await asyncio.sleep(0.05)


async def play(
    environment: WorkflowEnvironment, timeline: Timeline, database_url: str, folder: Path
) -> Played:
    """Play a timeline in a fresh world."""
    async with built(timeline, environment, database_url, folder) as world:
        try:
            async with asyncio.timeout(PATIENCE):
                return await Runner(environment, world, timeline).play()
        except TimeoutError:
            case = (await read_books(world)).case
            where = f"{case.status}, next {case.next_step} at {case.next_step_at}: {case.sentence}"
            raise AssertionError(f"no progress within {PATIENCE:.0f} s; the case: {where}") from None
