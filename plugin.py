"""What client, worker, replayer and tests must share to understand each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import Interceptor, WorkflowInboundInterceptor
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

if TYPE_CHECKING:
    from temporalio.worker import HandleSignalInput, WorkflowInterceptorClassInput, WorkflowRunner

# Passed through the workflow sandbox instead of being loaded anew for every case: they are ours and
# deterministic, or libraries that workflow code uses only for values. (Measured in bench/.)
PASSED_THROUGH = (
    "annotated_types",
    "campaigns",
    "contract",
    "errors",
    "keys",
    "plugin",
    "pydantic",
    "pydantic_core",
    "search",
    "typing_extensions",
    "typing_inspection",
    "workflows",
    "yaml",
)


class LeanPayloadConverter(PydanticPayloadConverter):
    """Leaves out fields that were never set: a case carries its story through every activity."""

    def __init__(self) -> None:
        super().__init__(ToJsonOptions(exclude_unset=True))


DATA_CONVERTER = DataConverter(payload_converter_class=LeanPayloadConverter)


def sandbox_runner() -> WorkflowRunner:
    """Give the runner that keeps workflow code deterministic without reloading the project for each case."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


class OneArgument(Interceptor):
    """Keeps a signal that was sent by hand with two arguments from blocking the case for ever."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002
    ) -> type[WorkflowInboundInterceptor] | None:
        """Give the interceptor of signals."""
        return _OneArgumentInbound


class _OneArgumentInbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        if input.signal and len(input.args) > 1 and not _is_dynamic(input):
            input.args = list(input.args)[:1]
        await super().handle_signal(input)


def _is_dynamic(given: HandleSignalInput) -> bool:
    """Whether these are the arguments of the handler for any signal: its name, then the values."""
    return len(given.args) == 2 and given.args[0] == given.signal and isinstance(given.args[1], list)  # noqa: PLR2004


def dunwell_plugin() -> SimplePlugin:
    """Give the plugin to hand to every client, worker and replayer."""
    return SimplePlugin(
        "dunwell",
        data_converter=DATA_CONVERTER,
        interceptors=[OneArgument()],
        workflow_runner=sandbox_runner(),
    )
