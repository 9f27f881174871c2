"""A studio with browsers before it: for tests of who may do what there. No Temporal server is needed."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx
from argon2 import PasswordHasher
from sqlmodel import col, select
from temporalio.client import Client

import credentials
from plugin import dunwell_plugin
from settings import load_settings
from store import accounts
from store.accounts import NewAccount, Role
from store.studio_tables import AccountRow, AuditRow, SessionRow
from web.app import make_app
from web.desk import Desk
from wiring import make_links, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from fastapi import FastAPI

ORIGIN = "http://studio.example"
PASSWORD = "a horse, a battery and a staple"
# What a hash costs is no part of most tests; tests/unit/test_credentials.py looks at the real one.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class SetDesk(Desk):
    """A desk with a clock that a test puts forward."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:  # type: ignore[override]  # a test's clock is one of its own
        """Give the time as the test has set it."""
        return datetime.now(UTC) + self.ahead


@dataclass
class Browser:
    """One browser of one person: its cookies, and the token that its last page held."""

    http: httpx.AsyncClient
    csrf: str = ""
    shown: str = field(default="", repr=False)

    async def open(self, path: str, **headers: str) -> httpx.Response:
        """Open a page by its address or a link."""
        return self._seen(await self.http.get(path, headers=headers))

    async def send(self, path: str, csrf: str | None = None, **fields: Any) -> httpx.Response:
        """Send a form of a page of ours, with the token of the page that was seen last."""
        token = self.csrf if csrf is None else csrf
        form = {**fields, **({"csrf": token} if token else {})}
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
        return self._seen(await self.http.post(path, data=form, headers=headers))

    async def sign_in(self, email: str, password: str = PASSWORD, next_page: str = "") -> httpx.Response:
        """Fill in the sign-in page; after a right password, look at a page as the person would."""
        more = {"next": next_page} if next_page else {}
        answer = await self.send("/studio/sign-in", csrf="", email=email, password=password, **more)
        if answer.status_code == 303:
            await self.open("/studio/password")
        return answer

    @property
    def token(self) -> str:
        """The value of its session's cookie."""
        return str(self.http.cookies["dunwell-studio"])

    def plant(self, token: str) -> None:
        """Put a session's cookie into it, in the place of its own."""
        self.http.cookies.clear()
        self.http.cookies.set("dunwell-studio", token, domain="studio.example", path="/")

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
        if found:
            self.csrf = unescape(found.group(1))
        self.shown = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))
        return answer


@dataclass
class Studio:
    """What a test drives, and the books it looks into."""

    desk: SetDesk
    app: FastAPI
    closing: AsyncExitStack

    async def browser(self, address: str = "192.0.2.1") -> Browser:
        """Open a browser at an address, with no cookies."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 4711), raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url=ORIGIN)
        return Browser(await self.closing.enter_async_context(http))

    async def add(self, email: str, role: Role = Role.VIEWER, **more: Any) -> AccountRow:
        """Add an account with the password of all tests; ``locked_for`` and other columns may be given."""
        hashed = await credentials.hash_password(PASSWORD)
        new = NewAccount(
            email, more.pop("name", ""), role, hashed, must_change=more.pop("must_change", False)
        )
        locked_for = more.pop("locked_for", None)
        async with self.desk.tools.database.begin() as session:
            row = await accounts.add(session, new, "the test", self.desk.now())
            row.locked_until = self.desk.now() + locked_for if locked_for else None
            for name, value in more.items():
                setattr(row, name, value)
            session.add(row)
        return row

    async def signed_in(self, email: str, role: Role = Role.VIEWER) -> Browser:
        """Add an account, and give a browser in which its owner is signed in."""
        await self.add(email, role)
        browser = await self.browser()
        assert (await browser.sign_in(email)).status_code == 303
        return browser

    # --- the books ---------------------------------------------------------------------------------

    async def account(self, email: str) -> AccountRow:
        """Find an account."""
        async with self.desk.tools.database.read() as session:
            return await accounts.by_email(session, email)

    async def sessions(self, email: str) -> Sequence[SessionRow]:
        """List the sessions of a person."""
        account = await self.account(email)
        async with self.desk.tools.database.read() as session:
            wanted = select(SessionRow).where(SessionRow.account_id == account.id)
            return (await session.exec(wanted.order_by(col(SessionRow.created_at)))).all()

    async def log(self, *leave_out: str) -> list[tuple[str, str, str, str]]:
        """Read what the audit log says of people, oldest first: who did what, about what, details."""
        async with self.desk.tools.database.read() as session:
            # An installation publishes the campaigns that it comes with by itself.
            wanted = select(AuditRow).where(AuditRow.by != "dunwell").order_by(col(AuditRow.number))
            rows = (await session.exec(wanted)).all()
        return [(row.by, row.action, row.subject, row.detail) for row in rows if row.action not in leave_out]


@asynccontextmanager
async def opened_studio(
    database_url: str, folder: Path, temporal: Client | None = None, **more: Any
) -> AsyncIterator[Studio]:
    """Open the web side with a studio on a database; nothing listens, and nothing connects."""
    settings = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        **{"secret_key": "a key for links that only tests sign", "public_url": ORIGIN, **more},
    )
    async with AsyncExitStack() as closing:
        # Nobody listens there; a page that needs Temporal is given one that runs.
        temporal = temporal or await Client.connect("127.0.0.1:9", lazy=True, plugins=[dunwell_plugin()])
        tools = await closing.enter_async_context(open_tools(settings, datetime.now(UTC)))
        desk = SetDesk(settings, tools, temporal, make_links(settings))
        yield Studio(desk, make_app(desk), closing)
