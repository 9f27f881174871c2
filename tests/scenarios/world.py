"""The world of one timeline: a processor, a mail sender, a database, and workers of its own."""

from __future__ import annotations

import dataclasses
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from temporalio import activity

from activities import claims
from campaigns.budget import Result
from errors import MailAnswerLost, MailRefused
from messaging.protocol import Mail, Receipt
from processors.sandbox import SandboxProcessor
from settings import load_settings
from store import campaigns, customers, ledger
from store.card_attempts import Attempt, Source
from wiring import make_workers, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporalio.client import Client
    from temporalio.testing import WorkflowEnvironment

    from activities.tools import Tools
    from processors.protocol import Invoice
    from tests.scenarios.timeline import Timeline

PROCESSOR, ACCOUNT, CUSTOMER, CARD = "sandbox", "main", "cus_1", "card_1"
# The Temporal server takes no workflow that would run past this many charges in a second of a test.
NO_LIMIT = 1000.0


@dataclass(frozen=True)
class Handed:
    """One mail as it was handed to the sender: a book that Dunwell cannot write in."""

    mail: Mail
    at: datetime
    result: str


@dataclass
class RecordingSender:
    """Carries no mail anywhere, and refuses or loses answers as a timeline says, by address."""

    name: str = "recording"
    repeatable: bool = False
    book: list[Handed] = field(default_factory=list)
    behaviour: dict[str, str] = field(default_factory=dict)

    async def send(self, mail: Mail) -> Receipt:
        """Write the mail down, and answer as told."""
        result = self.behaviour.get(mail.to_address, "taken")
        self.book.append(Handed(mail, activity.info().current_attempt_scheduled_time, result))
        if result == "refused":
            raise MailRefused(f"550 {mail.to_address}: no such mailbox", address_at_fault=True)
        if result == "answer lost":
            raise MailAnswerLost(f"the connection broke after {mail.id} was handed over")
        return Receipt(reference=f"recorded-{len(self.book)}")

    async def close(self) -> None:
        """Keep the book."""


class VirtualSandbox(SandboxProcessor):
    """A sandbox whose banks answer by the case's clock, which runs ahead of the wall's."""

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        """Read an invoice after the banks have answered that are due by now."""
        if activity.in_activity():
            await self.settle(activity.info().current_attempt_scheduled_time)
        return await super().read_invoice(account, invoice)


class LiveSandbox(VirtualSandbox):
    """A sandbox whose invoices pass for live ones."""

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        """Read an invoice and call it live."""
        return dataclasses.replace(await super().read_invoice(account, invoice), livemode=True)


@dataclass
class World:
    """Everything a timeline is played in; ``failed_at`` is its zero.

    The invoice has a name that no other world of the same Temporal server uses.
    """

    environment: WorkflowEnvironment
    invoice: str
    pace: float
    failed_at: datetime
    tools: Tools
    sandbox: SandboxProcessor
    sender: RecordingSender
    histories: dict[str, str] = field(default_factory=dict)
    _workers: AsyncExitStack | None = None

    @property
    def client(self) -> Client:
        """Give the client of the server."""
        return self.environment.client

    @property
    def queue(self) -> str:
        """Name the task queue of this world's workers."""
        return f"queue-of-{self.invoice}"

    def time(self, offset: timedelta) -> datetime:
        """Give the time at an offset from the failure."""
        return self.failed_at + offset * self.pace

    async def start_workers(self, *, livemode: bool | None = None) -> None:
        """Start both workers; ``livemode`` in place of the installation's own, as after a bad restore."""
        if livemode is not None:
            self.tools = dataclasses.replace(self.tools, livemode=livemode)
        # Nothing is cached, so that every task replays the case from its start.
        workers = make_workers(
            self.client, self.tools, charges_per_second=NO_LIMIT, queue=self.queue, max_cached_workflows=0
        )
        self._workers = AsyncExitStack()
        for worker in workers:
            await self._workers.enter_async_context(worker)

    async def stop_workers(self) -> None:
        """Stop both workers, if they run."""
        if self._workers:
            await self._workers.aclose()
        self._workers = None


@asynccontextmanager
async def built(
    timeline: Timeline, environment: WorkflowEnvironment, database_url: str, folder: Path
) -> AsyncIterator[World]:
    """Build the world as it is at the failure, with workers running."""
    now = datetime.now(UTC)
    settings = load_settings(
        database_url=database_url,
        livemode=timeline.installation == "live",
        sandbox_file=folder / "sandbox.db",
        secret_key="a key for links that only tests sign",
        default_campaign="reference",
    )
    async with open_tools(settings, now) as wired:
        kind = LiveSandbox if timeline.invoice.livemode else VirtualSandbox
        sandbox = kind(folder / "sandbox.db", "whsec_sandbox")
        sender = RecordingSender()
        tools = dataclasses.replace(wired, sender=sender, processors={PROCESSOR: sandbox})
        world = World(environment, f"in_{folder.name}", timeline.pace, now, tools, sandbox, sender)
        try:
            await _settle_the_past(world, timeline)
            world.failed_at = _failed_at(timeline)
            await sandbox.fail(world.invoice, world.failed_at, timeline.decline)
            await world.start_workers()
            yield world
        finally:
            await world.stop_workers()
            await sandbox.close()


async def _settle_the_past(world: World, timeline: Timeline) -> None:
    """Make what was there before the failure: the campaign, the customer, the card, the invoice."""
    now, customer, invoice = world.failed_at, timeline.customer, timeline.invoice
    async with world.tools.database.begin() as session:
        for document in (timeline.document(), *timeline.other_documents()):
            await campaigns.publish(session, document, file="reference", author="tests", note="", now=now)
        if customer.excluded:
            said = {"excluded_by": "ops@example.com", "excluded_why": customer.excluded}
            await customers.keep(session, PROCESSOR, ACCOUNT, CUSTOMER, now, **said)
    await world.sandbox.add_customer(
        CUSTOMER,
        customer.email,
        customer.name,
        timezone=customer.timezone,
        country=customer.country,
        attributes=customer.attributes,
    )
    if timeline.card is not None:
        await world.sandbox.add_card(CUSTOMER, CARD, timeline.card, timeline.network, rail=timeline.rail)
        await _try_elsewhere(world, timeline)
    await world.sandbox.add_invoice(
        world.invoice,
        CUSTOMER,
        invoice.amount,
        invoice.currency,
        plan=invoice.plan,
        interval=invoice.interval,
        tags=invoice.tags,
        first_payment=invoice.first_payment,
        sent_for_payment=invoice.sent_for_payment,
    )


async def _try_elsewhere(world: World, timeline: Timeline) -> None:
    """Let others have tried the card, of the same amount and without the customer, as the ledger counts it."""
    found = await world.sandbox.read_card(ACCOUNT, CUSTOMER, CARD)
    card, rules = claims.named(PROCESSOR, ACCOUNT, found), world.tools.rules
    assert card is not None
    for number in range(timeline.tried):
        at = world.failed_at - timedelta(hours=number + 1)
        key, invoice = f"seen/elsewhere/{number}", timeline.invoice
        attempt = Attempt(key, invoice.amount, invoice.currency, source=Source.PROCESSOR)
        async with world.tools.database.begin() as session:
            await ledger.note(session, card, attempt, Result.DECLINED, rules, at)


def _failed_at(timeline: Timeline) -> datetime:
    """Give the time of the failure: now, or one by the clocks of a time zone.

    The latter is to come; the case waits for it as for any step, since only offsets from it count.
    """
    now = datetime.now(UTC)
    if timeline.failed_at_local is not None:
        return timeline.failed_at_local.after(now)
    if timeline.noon_before_clock_change_in is None:
        return now
    zone = ZoneInfo(timeline.noon_before_clock_change_in)
    day = now.astimezone(zone).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day.utcoffset() == (day + timedelta(days=1)).utcoffset():
        day += timedelta(days=1)
    return day.astimezone(UTC)
