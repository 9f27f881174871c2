"""What a case leaves in Temporal: events and bytes of the ``standard`` campaign played to its end."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import contract
from bench import bare, load
from bench.ground import Ground, Options, settings_in
from embedded import EmbeddedServer, find_binary
from plugin import dunwell_plugin
from processors.sandbox import SandboxProcessor
from registration import register
from wiring import make_workers, open_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.message import Message
    from temporalio.client import WorkflowHandle

SKIPPING = ("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true")
LONG_ENOUGH = timedelta(days=40)
# Events of the skipping itself, which no case has where time passes by itself.
OF_SKIPPING = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
}
# What payloads are for, by the kind of event and the field of it that holds them.
KINDS = {
    "WORKFLOW_EXECUTION_STARTED.input": "the order that starts the case",
    "WORKFLOW_EXECUTION_SIGNALED.input": "signals",
    "WORKFLOW_EXECUTION_COMPLETED.result": "the case's result",
    "ACTIVITY_TASK_SCHEDULED.input": "activities: story and plan, there",
    "ACTIVITY_TASK_COMPLETED.result": "activities: report, back",
    "MARKER_RECORDED.details": "local activities: report, back",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES.search_attributes": "search attributes",
    "WORKFLOW_EXECUTION_STARTED.search_attributes": "search attributes",
}


async def measure(options: Options) -> dict[str, Any]:
    """Play one case whose every charge is declined, and four bare timers, on a server that skips time."""
    binary = find_binary()
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(binary) if binary else None,
        dev_server_extra_args=list(SKIPPING),
        dev_server_log_level="error",
        plugins=[dunwell_plugin()],
    )
    async with environment:
        await register(environment.client)
        with TemporaryDirectory(prefix="dunwell-bench-") as folder, environment.with_time_skipping_disabled():
            case = await _play_case(environment, Path(folder), options)
            timers = await _play_timers(environment)
    return {"standard_campaign": case, "bare_four_timers": timers}


async def _play_case(environment: WorkflowEnvironment, folder: Path, options: Options) -> dict[str, Any]:
    settings = settings_in(folder, options.database)
    async with open_tools(settings, datetime.now(UTC)) as tools, AsyncExitStack() as stack:
        for worker in make_workers(environment.client, tools, charges_per_second=1000):
            await stack.enter_async_context(worker)
        sandbox = tools.processors["sandbox"]
        assert isinstance(sandbox, SandboxProcessor)
        server = EmbeddedServer(environment.client.service_client.config.target_host, "default", None)
        token = f"{datetime.now(UTC):%H%M%S%f}"
        ground = Ground(server, environment.client, folder, settings, tools.database, sandbox, token)
        failures = await load.make_failures(ground, "history", 1)
        await load.start_directly(ground, failures)
        handle = environment.client.get_workflow_handle(
            failures[0].workflow_id, result_type=contract.CaseResult
        )
        await environment.fast_forward(handle, LONG_ENOUGH)
        result = await handle.result()
        return {"ended": result.sentence, **await _weigh(handle)}


async def _play_timers(environment: WorkflowEnvironment) -> dict[str, Any]:
    async with Worker(environment.client, task_queue=bare.QUEUE, workflows=[bare.FourTimers]):
        handle = await environment.client.start_workflow(
            bare.FourTimers.run, id="bare/history", task_queue=bare.QUEUE
        )
        await environment.fast_forward(handle, LONG_ENOUGH)
        await handle.result()
        return await _weigh(handle)


async def _weigh(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    fetched = (await handle.fetch_history()).events
    history = History(events=[event for event in fetched if event.event_type not in OF_SKIPPING])
    events = Counter(_kind_of_event(event.event_type) for event in history.events)
    total = sum(event.ByteSize() for event in history.events)
    payloads: Counter[str] = Counter()
    for event in history.events:
        for path, payload in _payloads(event, ()):
            name = f"{_kind_of_event(event.event_type)}.{_field(path)}"
            payloads[KINDS.get(name, "summaries in the UI" if "summary" in path else name)] += (
                payload.ByteSize()
            )
    return {
        "events": len(history.events),
        "bytes": total,
        "activities": events["ACTIVITY_TASK_SCHEDULED"],
        "timers": events["TIMER_STARTED"],
        "payload_bytes": dict(payloads.most_common()),
        "bytes_around_payloads": total - sum(payloads.values()),
        "events_by_type": dict(events.most_common()),
    }


def _kind_of_event(number: Any) -> str:
    return EventType.Name(number).removeprefix("EVENT_TYPE_")


def _field(path: Sequence[str]) -> str:
    """Name the field of an event's attributes that a path goes through."""
    return path[1] if len(path) > 1 else path[0]


def _payloads(message: Message, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Payload]]:
    """Find every payload inside a message, with the names of the fields that lead to it."""
    if isinstance(message, Payload):
        yield path, message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        further = (*path, field.name)
        if field.message_type.GetOptions().map_entry:
            values = [item for item in value.values() if hasattr(item, "ListFields")]
        elif isinstance(value, (list, tuple)) or hasattr(value, "add"):
            values = list(value)
        else:
            values = [value]
        for item in values:
            yield from _payloads(item, further)
