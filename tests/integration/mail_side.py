"""A web side with mails that were handed over, on a database alone: for tests of what becomes of them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from sqlmodel import col, select
from temporalio.client import Client

from plugin import dunwell_plugin
from settings import load_settings
from store import cases, customers, journal, messages
from store.tables import EventRow, MessageRow
from tests.stand_ins.sendgrid_events import SigningKey, body_of
from web.app import make_app
from web.desk import Desk
from wiring import make_links, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from store.tables import CaseRow, CustomerRow, EntryRow

KEY = SigningKey()
ADDRESS = "ada@example.com"
STEP = "day-1.message"
# Events carry whole seconds.
NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
)
BROWSER = {"User-Agent": PHONE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@dataclass
class Side:
    """The web side on a database, without Temporal: nothing of what is tested here needs it."""

    desk: Desk
    http: httpx.AsyncClient

    async def mailed(self, invoice: str, *steps: str, state: str = messages.SENT) -> CaseRow:
        """Give an open case for which mails were handed over, one a minute."""
        async with self.desk.tools.database.begin() as session:
            reserved = await cases.reserve(session, "sandbox", "main", invoice, NOW, customer="cus_ada")
            await customers.keep(session, "sandbox", "main", "cus_ada", NOW, email=ADDRESS)
            for count, step in enumerate(steps or (STEP,)):
                await messages.claim(
                    session,
                    reserved.case.id,
                    step,
                    "payment_failed",
                    NOW + count * MINUTE,
                    state=state,
                    address=ADDRESS,
                    subject="Your payment did not go through",
                )
        return reserved.case

    async def report(self, *reported: dict[str, Any]) -> httpx.Response:
        """Report events as SendGrid does, in one request."""
        body = body_of(*reported)
        headers = KEY.headers(body, datetime.now(UTC))
        return await self.http.post("/webhooks/sendgrid", content=body, headers=headers)

    async def message(self, case: CaseRow, step: str = STEP) -> MessageRow:
        async with self.desk.tools.database.read() as session:
            row = await messages.get(session, case.id, step)
        assert row is not None
        return row

    async def seen(self, case: CaseRow, step: str = STEP) -> tuple[datetime | None, datetime | None]:
        row = await self.message(case, step)
        return row.opened_at, row.clicked_at

    async def inbox(self) -> Sequence[EventRow]:
        async with self.desk.tools.database.read() as session:
            return (await session.exec(select(EventRow).order_by(col(EventRow.number)))).all()

    async def customer(self) -> CustomerRow:
        async with self.desk.tools.database.read() as session:
            row = await customers.get(session, "sandbox", "main", "cus_ada")
        assert row is not None
        return row

    async def journal(self, case: CaseRow) -> Sequence[EntryRow]:
        async with self.desk.tools.database.read() as session:
            return await journal.entries(session, case.id)

    async def open(self, names: str, **headers: str | None) -> httpx.Response:
        """Open the link that names a case or a message, in a browser unless told otherwise."""
        token = self.desk.links.token(names, datetime.now(UTC))
        sent = {name: value for name, value in (BROWSER | headers).items() if value is not None}
        return await self.http.get(f"/pay/{token}", headers=sent)


@asynccontextmanager
async def opened_side(database_url: str, folder: Path, **more: Any) -> AsyncIterator[Side]:
    settings = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        secret_key="a key for links that only tests sign",
        **more,
    )
    async with AsyncExitStack() as stack:
        tools = await stack.enter_async_context(open_tools(settings, NOW))
        # Never connected: nothing here starts the relay, and no route asks Temporal.
        client = await Client.connect("127.0.0.1:1", lazy=True, plugins=[dunwell_plugin()])
        desk = Desk(settings, tools, client, make_links(settings))
        transport = httpx.ASGITransport(make_app(desk))
        http = httpx.AsyncClient(transport=transport, base_url="http://dunwell.example")
        yield Side(desk, await stack.enter_async_context(http))
