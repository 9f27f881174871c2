"""Says whether this container's worker takes work: the server must have seen it poll of late.

A process that runs proves nothing; one that no longer polls leaves every case of its queue waiting.
"""  # noqa: INP001 - a script, started by the container's health check

from __future__ import annotations

import asyncio
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from contract import MAIN_QUEUE

# A poll lasts up to a minute, and is seen when it begins.
SEEN_WITHIN = timedelta(minutes=3)


async def is_polling() -> bool:
    """Ask for the pollers of the main queue; the SDK names each ``process@host``."""
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=MAIN_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=10),
    )
    here = "@" + socket.gethostname()
    since = datetime.now(UTC) - SEEN_WITHIN
    return any(
        here in poller.identity and poller.last_access_time.ToDatetime(UTC) > since
        for poller in answer.pollers
    )


async def main() -> int:
    """Answer 0 for a worker that polls, 1 for anything else, with the reason."""
    try:
        polling = await is_polling()
    except (RPCError, RuntimeError) as error:
        print(f"Temporal does not answer: {error}")  # noqa: T201
        return 1
    else:
        print("polling" if polling else f"the server has seen no poll of this host within {SEEN_WITHIN}")  # noqa: T201
        return 0 if polling else 1
    finally:
        await asyncio.sleep(0.3)  # the SDK's threads may crash a process that ends at once


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
