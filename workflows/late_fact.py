"""A fact that arrives after the end of its case: settled by a short workflow of its own."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    import contract
    from contract import LateFact


@workflow.defn(name=contract.SETTLE_LATE_FACT)
class SettleLateFact:
    """Writes the fact down, and tells a person where money is concerned; never charges or mails.

    A late payment may undo the final action, where the campaign says so.
    """

    @workflow.run
    async def run(self, late: LateFact) -> str:
        """Give the sentence that says what the fact changed."""
        result: str = await workflow.execute_activity(
            contract.SETTLE_FACT,
            late,
            result_type=str,
            start_to_close_timeout=timedelta(seconds=90),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=15)),
            summary=f"{late.name} after the end of {late.case_id}",
        )
        return result
