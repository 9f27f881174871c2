"""A billing service reports a failed payment and, later, a new card, with a Temporal client alone."""

import asyncio
import os

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy


async def main() -> None:
    processor, invoice = os.environ.get("PROCESSOR", "stripe"), os.environ["INVOICE"]
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    case = f"recovery/{processor}/main/{invoice}/1"

    # Starts the case, or tells the one that runs; a closed case is never started again.
    failure = {"event": f"billing-failed-{invoice}"}
    await client.start_workflow(
        "RecoverPayment",
        {"processor": processor, "invoice": invoice, **failure},
        id=case,
        task_queue="dunwell",
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="payment_failed",
        start_signal_args=[failure],
    )

    new_card = {"event": f"billing-card-{invoice}", "method": os.environ["METHOD"]}
    await client.get_workflow_handle(case).signal("card_updated", new_card)
    print(f"{case} was told", flush=True)
    # The SDK's threads may crash a process that ends in the same moment.
    await asyncio.sleep(0.3)


asyncio.run(main())
