"""A web side with workers, a real Temporal server and processors with books: for tests of what comes in."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from sqlalchemy import func
from sqlmodel import select

from errors import NotKnown, ProcessorUnavailable
from local import run_web
from processors.protocol import (
    Card,
    ChargeAnswer,
    ChargeRequest,
    ChargeResult,
    CustomerDetails,
    Invoice,
    InvoiceState,
    PaidBy,
)
from processors.sandbox import SandboxProcessor
from processors.stripe import StripeProcessor
from registration import register
from settings import load_settings
from store import cases, events, journal
from store.tables import AlertRow, CaseRow, EntryRow, EventRow
from tests.stand_ins.stripe_webhooks import signature
from web.desk import Desk
from wiring import connect, make_links, make_workers, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from processors.sandbox_books import SandboxEvent

API_KEY = "key-of-a-billing-service"
STRIPE_SECRET = "whsec_of_stripe"
PATIENCE = 20.0
Found = TypeVar("Found")


class BookedStripe(StripeProcessor):
    """Stripe's signatures and shapes, with books of its own in place of the network."""

    def __init__(self) -> None:
        super().__init__(api_key="sk_test_never_used", webhook_secret=STRIPE_SECRET)
        self.invoices: dict[str, Invoice] = {}
        self.charged: list[ChargeRequest] = []
        self.pages: list[tuple[str, str, str]] = []
        self.away = False

    def owes(self, invoice: str, customer: str, amount: int, currency: str = "USD") -> None:
        """Let a customer owe an invoice."""
        self.invoices[invoice] = Invoice(
            id=invoice,
            state=InvoiceState.OPEN,
            amount=amount,
            currency=currency,
            livemode=False,
            customer=CustomerDetails(customer, email=f"{customer}@example.com"),
            subscription=f"sub_{invoice}",
            card=Card("pm_old"),
            failed_at=datetime.now(UTC),
        )

    async def read_invoice(self, account: str, invoice: str) -> Invoice:  # noqa: ARG002 -- the protocol's
        """Read the book."""
        if invoice not in self.invoices:
            raise NotKnown(f"no invoice {invoice}")
        return self.invoices[invoice]

    async def read_card(self, account: str, customer: str, method: str | None) -> Card | None:  # noqa: ARG002
        """Know every card by its id; without one, the one that every invoice begins with."""
        return Card(method or "pm_old", fingerprint=f"print of {method or 'pm_old'}")

    async def read_methods(self, account: str, customer: str) -> Sequence[Card]:  # noqa: ARG002
        """Know of no other card than that one."""
        return (Card("pm_old", fingerprint="print of pm_old"),)

    async def charge(self, request: ChargeRequest) -> ChargeAnswer:
        """Take the money, and write it down."""
        self.charged.append(request)
        payment = f"pi_{request.invoice}"
        self.invoices[request.invoice] = dataclasses.replace(
            self.invoices[request.invoice],
            state=InvoiceState.PAID,
            amount=0,
            paid_by=PaidBy.REQUEST,
            payment=payment,
        )
        return ChargeAnswer(ChargeResult.PAID, payment=payment, method=request.method)

    async def take_over_retries(self, account: str, invoice: str, key: str) -> None:
        """Retry nothing by itself."""

    async def card_page(self, account: str, customer: str, return_url: str) -> str:
        """Make a fresh page each time, unless the processor is away."""
        if self.away:
            raise ProcessorUnavailable("Stripe does not answer")
        self.pages.append((account, customer, return_url))
        return f"https://billing.stripe.example/session/{len(self.pages)}"


@dataclass(frozen=True)
class Counts:
    """How much there is of everything; the same before and after means that nothing was done."""

    events: int
    cases: int
    workflows: int


@dataclass
class WebSide:
    """What a test drives, and the books it looks into."""

    desk: Desk
    http: httpx.AsyncClient
    sandbox: SandboxProcessor
    stripe: BookedStripe

    # --- the world ---------------------------------------------------------------------------------

    async def owe(
        self, name: str, script: str = "paid", *, customer: str | None = None, **more: Any
    ) -> SandboxEvent:
        """Let an invoice ``in_NAME`` of a customer fail at the sandbox; gives the event that says so."""
        if customer is None:
            customer = f"cus_{name}"
            known = {key: more.pop(key) for key in ("locale", "timezone") if key in more}
            await self.sandbox.add_customer(customer, f"{name}@example.com", name.title(), **known)
            await self.sandbox.add_card(customer, f"card_{name}", script)
        decline = more.pop("decline", "insufficient_funds")
        await self.sandbox.add_invoice(f"in_{name}", customer, more.pop("amount", 4900), "USD", **more)
        await self.sandbox.fail(f"in_{name}", datetime.now(UTC), decline)
        return (await self.sandbox.events())[-1]

    async def happened(self, work: Awaitable[None]) -> list[SandboxEvent]:
        """Let something happen at the sandbox, and give the events that tell of it."""
        before = (await self.sandbox.events())[-1].number
        await work
        return list(await self.sandbox.events(before))

    async def post(
        self, body: bytes, *, processor: str = "sandbox", header: str | None = None
    ) -> httpx.Response:
        """Send an event, signed as the processor signs it unless another header is given."""
        if header is None:
            header = self.sandbox.sign(body) if processor == "sandbox" else signature(body, STRIPE_SECRET)
        headers = {"Stripe-Signature": header, "Content-Type": "application/json"}
        return await self.http.post(f"/webhooks/{processor}", content=body, headers=headers)

    async def api(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """Ask the API as the billing service does."""
        headers = {"Idempotency-Key": key or f"key-{time.time_ns()}", "Authorization": f"Bearer {API_KEY}"}
        return await self.http.post(f"/v1{path}", json=body if body is not None else {}, headers=headers)

    async def look(self, path: str) -> httpx.Response:
        """Read from the API as the billing service does."""
        return await self.http.get(f"/v1{path}", headers={"Authorization": f"Bearer {API_KEY}"})

    async def failed(self, name: str, script: str = "paid", **more: Any) -> CaseRow:
        """Let an invoice fail, report it by webhook, and give its open case."""
        event = await self.owe(name, script, **more)
        assert (await self.post(event.body)).status_code == 200
        return await self.opened(f"in_{name}")

    # --- the books ---------------------------------------------------------------------------------

    async def case(self, invoice: str, processor: str = "sandbox") -> CaseRow | None:
        """Find the case of an invoice."""
        async with self.desk.tools.database.read() as session:
            return await cases.latest(session, processor, "main", invoice)

    async def opened(self, invoice: str, processor: str = "sandbox") -> CaseRow:
        """Wait until an invoice's case is open and at rest."""

        async def open_case() -> CaseRow | None:
            row = await self.case(invoice, processor)
            return row if row and row.opened_at else None

        return await until(open_case)

    async def closed(self, invoice: str, processor: str = "sandbox") -> CaseRow:
        """Wait until an invoice's case is closed."""

        async def closed_case() -> CaseRow | None:
            row = await self.case(invoice, processor)
            return row if row and row.closed_at else None

        return await until(closed_case)

    async def event(self, event: str, source: str = "sandbox") -> EventRow | None:
        """Find an event in the inbox."""
        async with self.desk.tools.database.read() as session:
            return await events.get(session, source, event)

    async def settled(self, event: str, source: str = "sandbox") -> EventRow:
        """Wait until an event has been handed on, or ignored."""

        async def settled_event() -> EventRow | None:
            row = await self.event(event, source)
            return row if row and row.state != events.PENDING else None

        return await until(settled_event)

    async def journal(self, case: str) -> Sequence[EntryRow]:
        """Read a case's journal."""
        async with self.desk.tools.database.read() as session:
            return await journal.entries(session, case)

    async def alerts(self, case: str) -> Sequence[AlertRow]:
        """Read what people were told of a case."""
        async with self.desk.tools.database.read() as session:
            return await journal.alerts(session, case)

    async def late_facts(self, case: str) -> list[str]:
        """List the facts about a case that were settled after its end."""
        return [line.key for line in await self.journal(case) if line.key.startswith("late.")]

    async def counts(self) -> Counts:
        """Count everything that there is."""
        async with self.desk.tools.database.read() as session:
            stored = (await session.exec(select(func.count()).select_from(EventRow))).one()
            known = (await session.exec(select(func.count()).select_from(CaseRow))).one()
        found = await self.desk.temporal.count_workflows(f"TaskQueue = '{self.desk.queue}'")
        return Counts(stored, known, found.count)


async def until(look: Callable[[], Awaitable[Found | None]], within: float = PATIENCE) -> Found:
    """Look again and again until there is something to be seen."""
    deadline = time.monotonic() + within
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"nothing came of {look.__qualname__} within {within:.0f} s"
        await asyncio.sleep(0.05)


def stripe_event(kind: str, thing: dict[str, Any], *, event: str, **more: Any) -> bytes:
    """Write an event as Stripe does."""
    body = {
        "id": event,
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": thing},
        "request": {"id": None, "idempotency_key": None},
    }
    return json.dumps(body | more).encode()


@asynccontextmanager
async def opened_web_side(
    database_url: str, folder: Path, address: str, *, workers: bool = True, **more: Any
) -> AsyncIterator[WebSide]:
    """Run a web side against a Temporal server, with workers on a queue of their own."""
    settings = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        secret_key="a key for links that only tests sign",
        api_keys=f"another-key-of-somebody,{API_KEY}",
        port=0,
        **more,
    )
    async with AsyncExitStack() as stack:
        client = await connect(address)
        await register(client)
        tools = await stack.enter_async_context(open_tools(settings, datetime.now(UTC)))
        sandbox, stripe = tools.processors["sandbox"], BookedStripe()
        assert isinstance(sandbox, SandboxProcessor)
        stack.push_async_callback(stripe.close)
        tools = dataclasses.replace(tools, processors={"sandbox": sandbox, "stripe": stripe})
        queue = f"web-side-{time.time_ns()}"
        if workers:
            for worker in make_workers(client, tools, charges_per_second=1000.0, queue=queue):
                await stack.enter_async_context(worker)
        desk = Desk(settings, tools, client, make_links(settings), queue=queue)
        url = await stack.enter_async_context(run_web(desk))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60, trust_env=False))
        yield WebSide(desk, http, sandbox, stripe)
