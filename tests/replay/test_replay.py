"""Every case that ever slept must wake up in today's code: stored histories replay, and nothing was reordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from plugin import dunwell_plugin
from tests.replay.recording import COMMAND, HISTORIES, fingerprint, fingerprints, load, release, stored
from tests.scenarios.timeline import names, read_timeline
from workflows.late_fact import SettleLateFact
from workflows.moving import MoveCases
from workflows.recovery import RecoverPayment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenarios.stage import Stage

CHANGED = """The commands of {name} have changed.

recorded: {recorded}
now:      {now}

Where workflows/ was changed, guard the change with workflow.patched(): cases that sleep would not wake up.
Where only activities or the planner answer otherwise, nothing is broken, as long as the stored histories
still replay. In both cases record anew: {command}"""


def _label(path: Path) -> str:
    return str(path.relative_to(HISTORIES)).removesuffix(".json.gz")


def test_histories_of_this_release_are_stored() -> None:
    kept = {path.name.split(".")[0] for path in stored() if path.parent.name == release()}
    assert kept >= set(names()), f"record what is missing: {COMMAND}"


@pytest.mark.parametrize("path", stored(), ids=_label)
async def test_a_stored_history_replays(path: Path) -> None:
    workflow_id, text = load(path)
    replayer = Replayer(workflows=[RecoverPayment, SettleLateFact, MoveCases], plugins=[dunwell_plugin()])
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, text))


@pytest.mark.parametrize(
    ("name", "database"), [(name, "sqlite") for name in names() if not read_timeline(name).races]
)
async def test_commands_come_in_the_recorded_order(stage: Stage, name: str, database: str) -> None:
    recorded, now = (
        fingerprints().get(name),
        fingerprint((await stage.play(name, database)).histories["finished"]),
    )
    assert now == recorded, CHANGED.format(name=name, recorded=recorded, now=now, command=COMMAND)
