"""Several failed invoices in one world: each a case of its own, with clocks that are put forward together."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

import contract
import keys
import search
from store import cases, messages
from store.card_attempts import State
from store.ledger_tables import CardAttemptRow
from tests.scenarios.runner import put_forward
from tests.scenarios.timeline import Timeline, read_offset, spell_offset
from tests.scenarios.world import ACCOUNT, CUSTOMER, PROCESSOR, VirtualSandbox, World, built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporalio.testing import WorkflowEnvironment

    from processors.protocol import ChargeAnswer, ChargeRequest
    from tests.scenarios.happenings import Case


class CountingSandbox(VirtualSandbox):
    """A sandbox that takes its time over a charge, and knows how many were ever made at one moment."""

    now, most = 0, 0

    async def charge(self, request: ChargeRequest) -> ChargeAnswer:
        """Charge, so slowly that another would come between if it could."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.5)
            return await super().charge(request)
        finally:
            self.now -= 1


@dataclass
class Several:
    """Named failed invoices of one world; each failed at its own offset from the first."""

    environment: WorkflowEnvironment
    world: World
    sandbox: CountingSandbox
    failed: dict[str, timedelta] = field(default_factory=dict)
    handles: dict[str, Case] = field(default_factory=dict)

    def invoice(self, name: str) -> str:
        """Give an invoice's id, which no other world has."""
        return f"{self.world.invoice}_{name}"

    def case(self, name: str) -> str:
        """Give the id of an invoice's case."""
        return keys.case_id(keys.workflow_id(PROCESSOR, ACCOUNT, self.invoice(name), 1))

    async def fail(self, name: str, after: str = "+0s", customer: str = CUSTOMER) -> None:
        """Let a payment fail, and report it; a failure that is to come is waited for as any step is."""
        self.failed[name] = read_offset(after)
        at = self.world.time(self.failed[name])
        await self.world.sandbox.add_invoice(self.invoice(name), customer, 4900, "EUR")
        await self.world.sandbox.fail(self.invoice(name), at, "insufficient_funds")
        order = contract.OpenCase(
            processor=PROCESSOR,
            invoice=self.invoice(name),
            customer=customer,
            amount=4900,
            currency="EUR",
            failed_at=at,
            decline="insufficient_funds",
            event=f"evt_failed_{name}",
        )
        self.handles[name] = await self.world.client.start_workflow(
            contract.RECOVER_PAYMENT,
            order,
            id=keys.workflow_id(PROCESSOR, ACCOUNT, self.invoice(name), 1),
            task_queue=self.world.queue,
            search_attributes=search.pairs(search.first_attributes(order)),
            result_type=contract.CaseResult,
        )
        await put_forward(self.environment, self.handles[name], self.world.failed_at)

    async def reach(self, *offsets: str) -> None:
        """Put every case's clock to each of the offsets; what is due in between is done at once by all."""
        for offset in offsets:
            at = self.world.time(read_offset(offset))
            await asyncio.gather(
                *(put_forward(self.environment, handle, at) for handle in self.handles.values())
            )

    async def tell(self, name: str, fact: str, **body: Any) -> None:
        """Send a fact to one case."""
        await self.handles[name].signal(fact, {"event": f"evt_{fact}", **body})

    async def charges(self) -> list[str]:
        """List the charges that reached the processor, as ``+1d a insufficient_funds``."""
        named = {self.invoice(name): name for name in self.failed}
        return [
            f"{self._offset(entry.at)} {named[entry.invoice]} {entry.decline or entry.result}"
            for entry in sorted(await self.world.sandbox.charges(), key=lambda entry: entry.at)
        ]

    async def mails(self) -> list[str]:
        """List the mails that were handed over, as ``+1d a day-1.message``."""
        names = {}
        async with self.world.tools.database.read() as session:
            for name in self.failed:
                for row in await messages.all_of(session, self.case(name)):
                    names[row.id] = f"{name} {row.action}"
        return [f"{self._offset(handed.at)} {names[handed.mail.id]}" for handed in self.world.sender.book]

    async def refusals(self, name: str) -> list[str]:
        """List why the card's ledger refused charges of a case, in order."""
        wanted = select(CardAttemptRow).where(
            CardAttemptRow.case_id == self.case(name), CardAttemptRow.state == State.REFUSED
        )
        async with self.world.tools.database.read() as session:
            rows = (await session.exec(wanted.order_by(col(CardAttemptRow.at)))).all()
        return [row.reason or "" for row in rows]

    async def outcomes(self) -> dict[str, str | None]:
        """Say how each case ended, None for one that goes on."""
        async with self.world.tools.database.read() as session:
            rows = {name: await cases.get(session, self.case(name)) for name in self.failed}
        return {name: row.outcome if row else None for name, row in rows.items()}

    async def lines(self, name: str) -> list[str]:
        """Give what the case tells of itself, as the Temporal UI shows it."""
        status = await self.handles[name].query(contract.STATUS, result_type=contract.CaseStatus)
        return [line.text for line in status.timeline]

    def _offset(self, at: Any) -> str:
        """Write a time to the minute: of two cases that met, one waits for seconds."""
        since = at - self.world.failed_at
        return spell_offset(timedelta(minutes=int(since / timedelta(minutes=1))))


@asynccontextmanager
async def several(
    environment: WorkflowEnvironment, database_url: str, folder: Path, **more: Any
) -> AsyncIterator[Several]:
    """Build a world without a failure; ``more`` are parts of a timeline, such as the campaign's."""
    given = {"title": "several", "source": "ours", "card": "insufficient_funds", "effects": []}
    ends = {"ends": {"at": "+14d", "outcome": "exhausted"}}
    timeline = Timeline.model_validate(given | ends | more)
    async with built(timeline, environment, database_url, folder) as world:
        await world.stop_workers()
        sandbox = CountingSandbox(folder / "sandbox.db", "whsec_sandbox")
        world.tools = dataclasses.replace(world.tools, processors={PROCESSOR: sandbox})
        await world.start_workers()
        try:
            yield Several(environment, world, sandbox)
        finally:
            await world.stop_workers()
            await sandbox.close()
