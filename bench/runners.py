"""The ways in which workflow code can be kept apart from the rest of the process, and what each costs."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.plugin import SimplePlugin
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from plugin import DATA_CONVERTER, OneArgument, sandbox_runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
    from temporalio.workflow import _Definition

# Times are in seconds of the thread that makes an instance.
SPENT: Counter[str] = Counter()


class Isolation(StrEnum):
    """From everything loaded anew for each case to nothing at all."""

    ALL_ANEW = "all_anew"
    BY_IMPORTS = "by_imports"
    PASSED_THROUGH = "passed_through"
    NONE = "none"


class TimedRunner(WorkflowRunner):
    """Measures what it takes to make the instance of a new workflow, where the sandbox loads modules."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self._inner = inner

    def prepare_workflow(self, defn: _Definition) -> None:
        """Check a workflow at the worker's start."""
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Make an instance and count what it took."""
        begun = time.thread_time()
        try:
            return self._inner.create_instance(det)
        finally:
            SPENT["instances"] += 1
            SPENT["microseconds"] += round((time.thread_time() - begun) * 1_000_000)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Hand on which exceptions fail a workflow."""
        self._inner.set_worker_level_failure_exception_types(types)


def plugin_with(isolation: Isolation) -> SimplePlugin:
    """Give Dunwell's plugin with another runner in place of its own.

    ``ALL_ANEW`` also takes back what the workflow's own imports pass through, and so changes this
    process for good: it is for a child that measures nothing else.
    """
    if isolation is Isolation.ALL_ANEW:
        workflow.unsafe.imports_passed_through = staticmethod(contextlib.nullcontext)  # type: ignore[assignment]
    return SimplePlugin(
        "dunwell-bench",
        data_converter=DATA_CONVERTER,
        interceptors=[OneArgument()],
        workflow_runner=TimedRunner(_runner(isolation)),
    )


def _runner(isolation: Isolation) -> WorkflowRunner:
    if isolation is Isolation.NONE:
        return UnsandboxedWorkflowRunner()
    ours = sandbox_runner() if isolation is Isolation.PASSED_THROUGH else SandboxedWorkflowRunner()
    assert isinstance(ours, SandboxedWorkflowRunner)
    # The counters of the bare workflows live in the process, not in each sandbox.
    restrictions: SandboxRestrictions = ours.restrictions.with_passthrough_modules("bench")
    return dataclasses.replace(ours, restrictions=restrictions)
