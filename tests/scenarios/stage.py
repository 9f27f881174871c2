"""Plays timelines side by side: each waits for the server most of the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.scenarios.runner import Played, play
from tests.scenarios.timeline import read_timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from temporalio.testing import WorkflowEnvironment

# More at once would only make each of them later by the clock.
AT_ONCE = 6

Key = tuple[str, str]


class Stage:
    """Plays each timeline once on each kind of database, whoever asks for it and how often."""

    def __init__(
        self, environment: WorkflowEnvironment, fresh_database: Callable[[str], str], folder: Path
    ) -> None:
        self._environment = environment
        self._fresh_database = fresh_database
        self._folder = folder
        self._room = asyncio.Semaphore(AT_ONCE)
        self._plays: dict[Key, asyncio.Task[Played]] = {}

    def begin(self, plays: Iterable[Key]) -> None:
        """Begin to play timelines that will be asked for, in that order."""
        wanted = list(plays)
        # Those that are played in real time take longest, and do little meanwhile.
        wanted.sort(key=lambda play: read_timeline(play[0]).seconds_a_day is None)
        for name, database in wanted:
            self._task(name, database)

    async def play(self, name: str, database: str) -> Played:
        """Give what came of a timeline, played now or before."""
        return await asyncio.shield(self._task(name, database))

    async def close(self) -> None:
        """Stop what nobody waits for any more."""
        for task in self._plays.values():
            task.cancel()
        await asyncio.gather(*self._plays.values(), return_exceptions=True)

    def _task(self, name: str, database: str) -> asyncio.Task[Played]:
        key = (name, database)
        if key not in self._plays:
            self._plays[key] = asyncio.create_task(self._play(name, database), name=f"{name} on {database}")
        return self._plays[key]

    async def _play(self, name: str, database: str) -> Played:
        async with self._room:
            url = self._fresh_database(database)
            folder = self._folder / f"{name}-{database}"
            folder.mkdir()
            return await play(self._environment, read_timeline(name), url, folder)
