"""Failed payments in numbers: made in the sandbox's books, reported by webhooks or started directly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import httpx
from sqlalchemy import func
from sqlmodel import col, select

import contract
import keys
import search
from bench import bare
from contract import FactName, OpenCase, PaymentFailed
from store.tables import CaseRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bench.ground import Ground
    from bench.processes import Child
    from processors.sandbox_books import SandboxEvent

PROCESSOR, ACCOUNT = "sandbox", "main"
AT_ONCE = 16
POLL_SECONDS = 0.02
# A batch may take minutes on a busy machine, but it never stands still for this long.
PATIENCE = 60.0
Item = TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """One failed payment in the books."""

    invoice: str
    customer: str
    card: str
    event: SandboxEvent | None = None

    @property
    def workflow_id(self) -> str:
        """The id of its case's workflow."""
        return keys.workflow_id(PROCESSOR, ACCOUNT, self.invoice, 1)


async def make_failures(
    ground: Ground, batch: str, count: int, script: str = "insufficient_funds"
) -> list[Failure]:
    """Make customers, cards and invoices, let each invoice's charge fail, and keep the events of it."""
    sandbox, made = ground.sandbox, []
    earlier = await sandbox.events()
    for number in range(count):
        name = f"{ground.token}{batch}{number:05}"
        failure = Failure(f"in_{name}", f"cus_{name}", f"card_{name}")
        await sandbox.add_customer(
            failure.customer, f"{name}@example.com", "Ada Byron", locale="en-US", country="US"
        )
        await sandbox.add_card(failure.customer, failure.card, script)
        await sandbox.add_invoice(failure.invoice, failure.customer, 4900, "USD", number=f"N-{number:05}")
        await sandbox.fail(failure.invoice, datetime.now(UTC), "insufficient_funds")
        made.append(failure)
    found = await sandbox.events(earlier[-1].number if earlier else 0)
    events = [event for event in found if event.type == "invoice.payment_failed"]
    assert len(events) == count
    return [
        Failure(failure.invoice, failure.customer, failure.card, event)
        for failure, event in zip(made, events, strict=True)
    ]


async def at_once(items: Iterable[Item], work: Callable[[Item], Awaitable[object]]) -> None:
    """Do the same to many, a bounded number at a time."""
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(take() for _ in range(AT_ONCE)))


async def report_by_webhook(ground: Ground, whole: Child, failures: Sequence[Failure]) -> None:
    """Post the failures' signed events to the web side; each is stored once it is answered."""
    async with httpx.AsyncClient(base_url=whole.url, timeout=60) as client:

        async def post(failure: Failure) -> None:
            assert failure.event is not None
            body = failure.event.body
            headers = {"Stripe-Signature": ground.sandbox.sign(body), "Content-Type": "application/json"}
            answer = await client.post("/webhooks/sandbox", content=body, headers=headers)
            answer.raise_for_status()

        await at_once(failures, post)


async def start_directly(ground: Ground, failures: Sequence[Failure]) -> None:
    """Start the cases as the web side does, without it."""

    async def start(failure: Failure) -> None:
        order = order_for(failure)
        failed = PaymentFailed(event=order.event or "", at=order.failed_at, decline=order.decline)
        await ground.client.start_workflow(
            contract.RECOVER_PAYMENT,
            order,
            id=failure.workflow_id,
            task_queue=contract.MAIN_QUEUE,
            search_attributes=search.pairs(search.first_attributes(order)),
            static_summary=search.static_summary(order, "standard"),
            start_signal=FactName.PAYMENT_FAILED,
            start_signal_args=[failed],
        )

    await at_once(failures, start)


def order_for(failure: Failure) -> OpenCase:
    """Give what the web side makes of a failure's event."""
    assert failure.event is not None
    return OpenCase(
        processor=PROCESSOR,
        invoice=failure.invoice,
        customer=failure.customer,
        amount=4900,
        currency="USD",
        failed_at=datetime.now(UTC),
        decline="insufficient_funds",
        method=failure.card,
        event=failure.event.id,
    )


async def start_bare(ground: Ground, names: Sequence[str], workflow: Callable[..., Awaitable[None]]) -> None:
    """Start bare workflows under these ids."""
    await at_once(names, lambda name: ground.client.start_workflow(workflow, id=name, task_queue=bare.QUEUE))


async def until_waiting(ground: Ground, batch: str, count: int) -> None:
    """Wait until that many cases of a batch are open in the database and at rest in Temporal.

    A case writes when its next step is due in the very task that starts its timer.
    """
    prefix = f"in_{ground.token}{batch}"

    async def opened() -> int:
        async with ground.database.read() as session:
            wanted = select(func.count()).where(
                col(CaseRow.invoice).startswith(prefix), col(CaseRow.opened_at).is_not(None)
            )
            return (await session.exec(wanted)).one()

    async def at_rest() -> int:
        query = f"Invoice STARTS_WITH '{prefix}' AND NextStepAt IS NOT NULL"
        return (await ground.client.count_workflows(query)).count

    await until(opened, count)
    await until(at_rest, count)


async def until(measure: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Wait until a number is reached; raises TimeoutError where it no longer grows."""
    loop = asyncio.get_running_loop()
    furthest, deadline = -1, 0.0
    while (reached := await measure()) < wanted:
        if reached > furthest:
            furthest, deadline = reached, loop.time() + PATIENCE
        elif loop.time() > deadline:
            raise TimeoutError(f"{reached} of {wanted} were reached, and no more in {PATIENCE:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


async def bare_waiting(bare_child: Child) -> int:
    """Count the bare workflows that have started their timer."""
    return (await bare_child.counters()).get("waiting", 0)
