"""A case whose history grows too long goes on as a new run, and nothing is done twice or forgotten."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING

import pytest
from temporalio.testing import WorkflowEnvironment

import embedded
import registration
from plugin import dunwell_plugin
from tests.conftest import TIME_SKIPPING, Databases
from tests.scenarios.runner import play
from tests.scenarios.timeline import read_timeline
from tests.scenarios.verdict import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# A four-step campaign has some 115 events: at this length it has to go on as a new run twice.
SHORT_HISTORY = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


@pytest.fixture(scope="module")
async def forgetful() -> AsyncIterator[WorkflowEnvironment]:
    """Give a server that asks for a new run after a few events."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(embedded.find_binary()),
        dev_server_extra_args=[*TIME_SKIPPING, *SHORT_HISTORY],
        dev_server_log_level="error",
        plugins=[dunwell_plugin()],
    )
    async with environment:
        await registration.register(environment.client)
        with environment.with_time_skipping_disabled():
            yield environment
    await asyncio.sleep(0.3)


@pytest.mark.parametrize("name", ["01-declined-every-time", "05-new-card-declined"])
async def test_a_case_goes_on_as_a_new_run_with_all_that_it_was(
    forgetful: WorkflowEnvironment, databases: Databases, tmp_path: Path, name: str
) -> None:
    timeline = read_timeline(name)
    played = await play(forgetful, timeline, databases.fresh("sqlite"), tmp_path)
    assert faults(timeline, played) == []
    # The last run began with what an earlier one carried over, and not with the failure's report.
    assert '"carried"' in _decoded(played.histories["finished"])


def _decoded(history: str) -> str:
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    return base64.b64decode(started["input"]["payloads"][0]["data"]).decode()
