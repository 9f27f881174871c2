"""The embedded server, run for real: started, registered with, killed and stopped."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RetryConfig, RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

import embedded
import registration
import search
from contract import Attributes
from errors import BadSettings, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(embedded.__file__).parent

pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")


@asynccontextmanager
async def connected(folder: Path | None = None) -> AsyncIterator[tuple[embedded.EmbeddedServer, Client]]:
    async with embedded.run_server(folder, ui=False) as server:
        yield server, await Client.connect(server.address, namespace=server.namespace)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with connected() as (_, client):
        yield client


def is_running(process_id: int) -> bool:
    if sys.platform != "linux":
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(process_id: int, within: float = 20) -> bool:
    for _ in range(int(within / 0.1)):
        if not is_running(process_id):
            return True
        await asyncio.sleep(0.1)
    return False


async def listed(client: Client) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return dict(answer.custom_attributes)


async def test_registering_twice_adds_once(client: Client) -> None:
    before = await listed(client)
    added = await registration.register(client)
    assert set(added) == {key.name for key in search.KEYS} - set(before)
    assert await registration.register(client) == ()
    after = await listed(client)
    assert {key.name: key.indexed_value_type.value for key in search.KEYS}.items() <= after.items()


async def test_two_workers_may_register_at_once(client: Client) -> None:
    await asyncio.gather(*(registration.register(client) for _ in range(3)))


async def test_a_case_is_found_by_what_it_was_started_with(client: Client) -> None:
    await registration.register(client)
    failed = datetime(2026, 3, 1, tzinfo=UTC)
    attributes = Attributes(customer="cus_9", amount=1900, failed_at=failed, flags=("high value",))
    handle = await client.start_workflow(
        "Nobody", id="find-me", task_queue="nobody", search_attributes=search.pairs(attributes)
    )
    query = (
        "Customer = 'cus_9' AND Amount > 1000 AND Flags = 'high value' AND FailedAt < '2026-03-02T00:00:00Z'"
    )
    for _ in range(100):
        found = [item async for item in client.list_workflows(query)]
        if found:
            break
        await asyncio.sleep(0.1)
    assert [item.id for item in found] == ["find-me"]
    assert dict(found[0].typed_search_attributes)[search.CASE_STATUS] == "waiting"
    await handle.terminate()


async def test_closed_cases_are_kept_for_a_month_and_attributes_stay(client: Client) -> None:
    await registration.register(client)
    await embedded.keep_closed_for(client, timedelta(days=30))
    await embedded.keep_closed_for(client, timedelta(days=30))
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=30)
    assert {key.name for key in search.KEYS} <= set(await listed(client))


async def test_an_attribute_of_another_type_stops_the_start() -> None:
    async with connected() as (_, client):
        await add(client, Amount=2)
        with pytest.raises(BadSettings, match=r"Amount is Keyword(.|\n)*search-attribute remove .*Amount"):
            await registration.register(client)
        await client.operator_service.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace="default", search_attributes=["Amount"])
        )
        assert "Amount" in await registration.register(client)


async def test_a_full_namespace_is_explained() -> None:
    async with connected() as (_, client):
        await add(client, **{f"Other{number}": 2 for number in range(5)})
        with pytest.raises(BadSettings, match=r"lacks search attributes(.|\n)*the server refused them"):
            await registration.register(client)


class Limited:
    """A connection that may not do everything, as on Temporal Cloud."""

    def __init__(self, client: Client, *, may_list: bool) -> None:
        self.namespace = client.namespace
        self.service_client = client.service_client
        self.count_workflows = client.count_workflows
        self.operator_service = self
        self.lister = client.operator_service if may_list else None

    async def list_search_attributes(self, *request: Any, **options: Any) -> Any:
        if self.lister is None:
            raise RPCError("denied", RPCStatusCode.PERMISSION_DENIED, b"")
        return await self.lister.list_search_attributes(*request, **options)

    async def add_search_attributes(self, *_: Any, **__: Any) -> None:
        raise RPCError("denied", RPCStatusCode.UNIMPLEMENTED, b"")


async def add(client: Client, **attributes: int) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, kind in attributes.items():
        request.search_attributes[name] = kind  # type: ignore[assignment]
    await client.operator_service.add_search_attributes(request)


@pytest.mark.parametrize("may_list", [True, False])
async def test_without_permission_the_commands_are_told_and_what_they_made_counts(may_list: bool) -> None:  # noqa: FBT001
    async with connected() as (_, client):
        limited: Any = Limited(client, may_list=may_list)
        with pytest.raises(BadSettings) as caught:
            await registration.register(limited)
        told = str(caught.value)
        assert (
            "temporal operator search-attribute create --namespace default --name CaseStatus --type Keyw"
            in told
        )
        assert (
            'tcld namespace search-attributes add --namespace default --search-attribute "CaseStatus=' in told
        )
        await registration.register(client)
        assert await registration.register(limited) == ()


async def test_without_permission_a_wrong_type_is_still_seen() -> None:
    async with connected() as (_, client):
        keyword, integer = 2, 3
        await add(client, Amount=keyword, FailedAt=keyword, Plan=integer, Attempts=integer)
        for _ in range(100):
            if await registration._is_searchable(client, [search.ATTEMPTS]):
                break
            await asyncio.sleep(0.1)
        limited: Any = Limited(client, may_list=False)
        with pytest.raises(BadSettings) as caught:
            await registration.register(limited)
        named = re.findall(r"--name (\w+)", str(caught.value))
        assert {"Amount", "FailedAt", "Plan"} <= set(named)
        assert "Attempts" not in named


async def test_a_server_that_is_gone_is_not_a_wrong_setting() -> None:
    impatient = RetryConfig(max_retries=1, max_elapsed_time_millis=500)
    async with embedded.run_server(None, ui=False) as server:
        client = await Client.connect(server.address, retry_config=impatient)
        await registration.register(client)
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:\d+ did not answer"):
        await registration.register(client)
    with pytest.raises(ServerUnavailable, match="retention of namespace 'default'"):
        await embedded.keep_closed_for(client)


async def test_a_clean_stop_leaves_no_process() -> None:
    async with connected() as (server, _):
        process_id = server.process_id
        assert process_id is not None
        assert is_running(process_id)
        assert os.getsid(process_id) != os.getsid(0), "a Ctrl-C of the terminal would reach the server"
    assert not is_running(process_id)


async def test_the_ui_is_served_on_loopback() -> None:
    async with embedded.run_server(None) as server:
        assert server.ui_url is not None
        assert server.ui_url.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient() as browser:
            answer = await browser.get(server.ui_url, follow_redirects=True)
        assert (answer.status_code, "<html" in answer.text) == (200, True)


async def test_a_killed_server_forgets_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path) as (server, client):
        await registration.register(client)
        attributes = search.pairs(Attributes(customer="cus_1"))
        await client.start_workflow("Nobody", id="kept", task_queue="nobody", search_attributes=attributes)
        assert server.process_id is not None
        os.kill(server.process_id, signal.SIGKILL)
        await server.ended()
    async with connected(tmp_path) as (_, client):
        described = await client.get_workflow_handle("kept").describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        assert await registration.register(client) == ()
    assert (tmp_path / "temporal.log.1").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
async def test_the_server_ends_with_us_and_the_folder_is_free_again(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, embedded\n"
        "async def main():\n"
        f"    async with embedded.run_server(pathlib.Path({str(tmp_path)!r}), ui=False) as server:\n"
        "        print(server.process_id, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    process_id = int(await parent.stdout.readline())
    assert is_running(process_id)
    parent.kill()
    await parent.wait()
    async with connected(tmp_path):  # waits for the lock that the old server holds
        assert not is_running(process_id)
    assert await gone(process_id)


async def test_a_folder_serves_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_FOLDER_FREE_WITHIN", timedelta(seconds=0.3))
    async with connected(tmp_path):
        with pytest.raises(ServerUnavailable, match="another embedded Temporal server"):
            async with embedded.run_server(tmp_path, ui=False):
                pass


async def test_a_server_that_cannot_start_says_what_was_tried() -> None:
    with pytest.raises(ServerUnavailable, match=r"ended with code 1(.|\n)*--no-such-flag"):
        async with embedded.run_server(None, ui=False, extra_args=["--no-such-flag"]):
            pass


async def test_without_a_binary_the_sdk_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(**_: object) -> None:
        raise RuntimeError("no route to the download")

    monkeypatch.setattr(embedded, "find_binary", lambda: None)
    monkeypatch.setattr("temporalio.testing.WorkflowEnvironment.start_local", refuse)
    with pytest.raises(ServerUnavailable, match=r"on the PATH; .*a download by the SDK \(no route"):
        async with embedded.run_server(None):
            pass


async def test_what_the_sdk_starts_is_used_like_our_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start = WorkflowEnvironment.start_local
    binary = str(embedded.find_binary())
    monkeypatch.setattr(embedded, "find_binary", lambda: None)
    monkeypatch.setattr(
        WorkflowEnvironment, "start_local", functools.partial(start, dev_server_existing_path=binary)
    )
    async with connected(tmp_path) as (server, client):
        assert server.process_id is None
        await registration.register(client)
        await embedded.keep_closed_for(client)
    assert (tmp_path / "temporal.db").exists()


def test_the_binary_is_found_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    beside = embedded.find_binary()
    assert beside is None or beside.parent == Path(sys.executable).parent
    (tmp_path / "temporal").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "temporal").chmod(0o755)
    assert embedded.find_binary() == tmp_path / "temporal"
