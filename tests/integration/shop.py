"""Many cases of one shop whose charges come due one after the other, without a Temporal server."""

from __future__ import annotations

import dataclasses
import heapq
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import keys
from activities.charging import ChargeActivities
from activities.opening import OpeningActivities
from campaigns.story import Action, Plan
from contract import OpenCase, Order
from errors import ProcessorUnavailable
from processors.sandbox import SandboxProcessor
from settings import load_settings
from store import breakers, campaigns, journal
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from activities.tools import Tools
    from campaigns.story import Pending, Story
    from processors.protocol import Invoice
    from store.breaker_tables import BreakerRow

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# How long the server waits between two technical tries, about.
BETWEEN_TRIES = timedelta(seconds=30)
CAMPAIGN = """
name: kind
steps: [{id: day-1, after: 1 day, retry: true}]
end: {after: 14 days, action: leave}
"""


class AwaySandbox(SandboxProcessor):
    """A sandbox that cannot be reached between two times, and writes down when it was asked."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, "whsec_sandbox")
        self.now = NINE
        self.away: tuple[datetime, datetime] = (NINE, NINE)
        self.asked: list[datetime] = []

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        self.asked.append(self.now)
        if self.away[0] <= self.now < self.away[1]:
            raise ProcessorUnavailable("connection refused")
        return await super().read_invoice(account, invoice)


@dataclass
class Shop:
    """The shop, its processor, and when each of its invoices was charged and what came of it."""

    tools: Tools
    sandbox: AwaySandbox
    stories: dict[str, Story] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    due: list[tuple[datetime, str, int]] = field(default_factory=list)

    async def fails(
        self, name: str, answers: str, failed_at: datetime, *, country: str = "DE", network: str = "visa"
    ) -> None:
        """Let a customer's payment fail, so that it is charged again a day later."""
        invoice = f"in_{name}"
        await self.sandbox.add_customer(f"cus_{name}", f"{name}@example.com", name, country=country)
        await self.sandbox.add_card(f"cus_{name}", f"card_{name}", answers, network)
        await self.sandbox.add_invoice(invoice, f"cus_{name}", 4900)
        await self.sandbox.fail(invoice, failed_at, "insufficient_funds")
        order = OpenCase(
            processor="sandbox", invoice=invoice, failed_at=failed_at, decline="insufficient_funds"
        )
        environment = _at(failed_at, workflow=keys.workflow_id("sandbox", "main", invoice, 1))
        report = await environment.run(OpeningActivities(self.tools).open_case, order)
        self._take(invoice, report.story, report.plan)

    async def play(self, until: datetime) -> None:
        """Make every charge as it comes due, with its technical tries, and those that were held when it is time."""
        while self.due and self.due[0][0] <= until:
            now, invoice, attempt = heapq.heappop(self.due)
            await self._charge(invoice, now, attempt)

    async def pays(self, invoice: str, pending: Pending, at: datetime) -> None:
        """Charge for somebody who waits for it."""
        self.due = [entry for entry in self.due if entry[1] != invoice]
        self.stories[invoice] = self.stories[invoice].model_copy(update={"pending": pending})
        self.plans[invoice] = Plan(action=Action.CHARGE, id=pending.id, at=at, why="somebody waits for it")
        await self._charge(invoice, at, 1)

    async def _charge(self, invoice: str, now: datetime, attempt: int) -> None:
        self.sandbox.now, story = now, self.stories[invoice]
        environment = _at(now, attempt=attempt)
        try:
            report = await environment.run(
                ChargeActivities(self.tools).retry_payment, Order(story=story, plan=self.plans[invoice])
            )
        except ApplicationError:
            heapq.heappush(self.due, (now + BETWEEN_TRIES, invoice, attempt + 1))
            return
        self._take(invoice, report.story, report.plan)

    def _take(self, invoice: str, story: Story, plan: Plan) -> None:
        self.stories[invoice], self.plans[invoice] = story, plan
        if plan.action is Action.CHARGE and plan.at is not None:
            heapq.heappush(self.due, (plan.at, invoice, 1))

    async def charges(self) -> list[tuple[datetime, str]]:
        """List what the processor has in its books of our charges: when, and what came of it."""
        return [(entry.at, entry.result) for entry in await self.sandbox.charges()]

    async def alerts(self) -> list[tuple[str, str]]:
        """List what people were told."""
        async with self.tools.database.read() as session:
            return [(row.kind, row.text) for row in await journal.alerts(session)]

    async def held(self) -> list[BreakerRow]:
        """List what is held."""
        async with self.tools.database.read() as session:
            return list(await breakers.open_ones(session))


def _at(now: datetime, *, workflow: str | None = None, attempt: int = 1) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        attempt=attempt,
        current_attempt_scheduled_time=now,
        workflow_id=workflow or environment.info.workflow_id,
    )
    return environment


@asynccontextmanager
async def opened(database_url: str, folder: Path, **settings: object) -> AsyncIterator[Shop]:
    """Open a shop with one campaign, which charges once a day after the failure."""
    known = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        secret_key="a key for links that only tests sign",
        default_campaign="kind",
        **settings,
    )
    sandbox = AwaySandbox(folder / "sandbox.db")
    async with open_tools(known, NINE) as wired:
        tools = dataclasses.replace(wired, processors={"sandbox": sandbox})
        async with tools.database.begin() as session:
            await campaigns.publish(session, CAMPAIGN, file="kind", author="tests", note="", now=NINE)
        yield Shop(tools, sandbox)
        await sandbox.close()
