"""What all tests share: a server that skips time, databases of both kinds, and quiet logs."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest
import structlog
from temporalio.testing import WorkflowEnvironment
from xdist.scheduler import LoadFileScheduling

import embedded
import registration
from plugin import dunwell_plugin
from store import schema
from tests.stand_ins import postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from xdist.remote import Producer

    from tests.scenarios.stage import Stage

TIME_SKIPPING = ("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true")
# What one process has to run, where several share the tests: what is played on the stage, so that no timeline
# is played twice and several wait side by side, and what takes the fixed ports of ``up``.
PLAYED = ("tests/replay/", "tests/scenarios/")
ON_FIXED_PORTS = ("tests/integration/test_command_line.py", "tests/integration/test_move_commands.py")
SQLITE, POSTGRESQL = "sqlite", "postgresql"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let what tests make be kept: the histories of scenarios with the order of their commands, and pictures."""
    parser.addoption("--record", action="store_true", help="keep the scenarios' histories in tests/replay")
    parser.addoption("--pictures", action="store_true", help="keep pictures of the studio in docs/pictures")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep Python's garbage collector from going through thousands of collected tests again and again.

    Each time it stops every thread, on a slow machine for seconds, and a workflow that stands still for two is
    a deadlock to Temporal.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is played: it takes longest, and waits so much that others have room beside it."""
    items.sort(key=lambda item: not item.nodeid.startswith(PLAYED))


class FilesTogether(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """Shares tests out among the processes of pytest-xdist: file by file, but for what belongs together."""

    def _split_scope(self, nodeid: str) -> str:
        for together in (PLAYED, ON_FIXED_PORTS):
            if nodeid.startswith(together):
                return together[0]
        return str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether:
    """Give the scheduler, whichever ``--dist`` was asked for."""
    return FilesTogether(config, log)


@pytest.fixture(scope="session", autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Keep what the tests provoke out of their output; a test of the logs sets them up by itself."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Give the session's Temporal server on which every workflow has a clock that can be put forward."""
    binary = embedded.find_binary()
    if binary is None:
        _lacking("no temporal binary for this platform")
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(binary),
        dev_server_extra_args=list(TIME_SKIPPING),
        dev_server_log_level="error",
        plugins=[dunwell_plugin()],
    )
    async with environment:
        await registration.register(environment.client)
        # A workflow must not run ahead of the test, so none is ever started with skipping on.
        with environment.with_time_skipping_disabled():
            yield environment
    # The SDK's own threads may still end; a process that goes at once can crash with them.
    await asyncio.sleep(0.3)


class Databases:
    """Makes fresh databases, migrated, each a copy of one that was migrated once a session."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._folder = folder
        self._closing = closing
        self._made = 0
        self._server: postgres.PostgresServer | None = None
        self._template = folder / "template.db"
        schema.upgrade(f"sqlite:///{self._template}")

    def fresh(self, kind: str) -> str:
        """Give the address of a new database of a kind."""
        if kind == POSTGRESQL:
            return self._postgresql().make(like=postgres.TEMPLATE)
        copy = self._new_file()
        shutil.copy(self._template, copy)
        return f"sqlite:///{copy}"

    def empty(self, kind: str) -> str:
        """Give the address of a database of a kind that was never migrated."""
        return self._postgresql().make() if kind == POSTGRESQL else f"sqlite:///{self._new_file()}"

    def _new_file(self) -> Path:
        self._made += 1
        return self._folder / f"{self._made}.db"

    def _postgresql(self) -> postgres.PostgresServer:
        if self._server is None:
            try:
                self._server = self._closing.enter_context(postgres.running())
            except postgres.PostgresMissing as missing:
                _lacking(str(missing))
            schema.upgrade(self._server.make(postgres.TEMPLATE))
        return self._server


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Give the maker of databases."""
    with ExitStack() as closing:
        yield Databases(tmp_path_factory.mktemp("databases"), closing)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """Give a test a fresh database, once of each kind."""
    return databases.fresh(request.param)


@pytest.fixture(scope="session")
async def stage(
    request: pytest.FixtureRequest,
    skipping: WorkflowEnvironment,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    """Give the stage on which timelines are played, with all that this run asks for begun already.

    With pytest-xdist too: one process is given all of them.
    """
    from tests.scenarios import stage as theatre  # noqa: PLC0415 -- wires all of Dunwell; few tests need it

    played_on = theatre.Stage(skipping, databases.fresh, tmp_path_factory.mktemp("scenarios"))
    # What was loaded since the tests were collected stays, too.
    gc.freeze()
    played_on.begin(_plays(request.session.items))
    yield played_on
    await played_on.close()


def _plays(items: list[pytest.Item]) -> Iterator[tuple[str, str]]:
    for item in items:
        if isinstance(item, pytest.Function) and "stage" in item.fixturenames and hasattr(item, "callspec"):
            yield str(item.callspec.params["name"]), str(item.callspec.params["database"])


def _lacking(what: str) -> NoReturn:
    """Leave a test out where the machine lacks something, except where that would go unseen."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
