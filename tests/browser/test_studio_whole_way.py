"""The whole way through the studio in a real browser: sign in, edit, preview, publish, move, look back, roll back.

With ``--pictures`` what is seen on the way is kept in docs/pictures, at a desk's width and a phone's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

import credentials
import embedded
from local import free_port, run_services
from processors.sandbox import SandboxProcessor
from settings import local_settings
from store import accounts, campaigns, cases
from store.accounts import NewAccount, Role
from tests.integration.studio_side import CHEAP, PASSWORD
from tests.integration.web_side import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Locator, Page, ViewportSize

    from local import Services
    from store.tables import CaseRow

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
# What the README and the docs show.
PICTURED = {"timeline", "preview", "publish", "move", "differences"}
# A page that is left while it asks how far a move is: htmx tells of the request that was dropped. A request
# that failed is told as htmx:sendError besides.
LEFT_BEHIND = ("htmx:afterRequest", "htmx:sendAbort")
DESK: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
OLGA = "olga@example.com"
# Who failed to pay, and how many days ago.
CUSTOMERS = {
    "ada": 0.4,
    "blaise": 1.6,
    "grace": 2.1,
    "katherine": 2.4,
    "linus": 2.7,
    "margaret": 4.2,
    "radia": 8.5,
}
SECOND_TRY = "second-try.charge"
MOVE_WITHIN = 60_000.0


@dataclass
class Walk:
    """A person with a browser, and the installation that they look at."""

    services: Services
    page: Page
    keep_pictures: bool
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        """Open a page by its address."""
        await self.page.goto(f"{self.services.web_url}{path}")

    async def seen(self, name: str, at: Locator | None = None) -> None:
        """Look at a page at both widths: it never has to be pushed sideways. Keep pictures where that is wanted."""
        for size, view in (("", DESK), ("-phone", PHONE)):
            await self.page.set_viewport_size(view)
            wide = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} is {wide} pixels too wide at {view['width']}"
            if self.keep_pictures and name in PICTURED:
                await self.page.evaluate("window.scrollTo(0, 0)")
                if at is not None:
                    await at.evaluate(
                        "element => window.scrollTo(0, element.getBoundingClientRect().top - 16)"
                    )
                # To hide the caret, a style would be put into the page, which the page forbids.
                await self.page.screenshot(path=PICTURES / f"studio-{name}{size}.png", caret="initial")
        await self.page.set_viewport_size(DESK)

    async def follow(self, name: str, *, exact: bool = False) -> None:
        """Follow a link, and wait for the script of the page that it leads to: nobody is faster than that."""
        async with self.page.expect_navigation():
            await self.page.get_by_role("link", name=name, exact=exact).click()

    # --- the books ---------------------------------------------------------------------------------

    async def case(self, name: str) -> CaseRow:
        """Read a customer's case."""
        async with self.services.tools.database.read() as session:
            row = await cases.latest(session, "sandbox", "main", f"in_{name}")
        assert row is not None
        return row

    async def next_steps(self) -> dict[str, tuple[str | None, timedelta]]:
        """Say what comes next in each case, and how long after the failure."""
        found = {}
        for name in CUSTOMERS:
            row = await self.case(name)
            assert row.failed_at is not None
            assert row.next_step_at is not None
            found[name] = (row.next_step, row.next_step_at - row.failed_at)
        return found

    async def on_version(self, version: int) -> bool:
        """Whether every case runs on a version."""
        return {(await self.case(name)).campaign_version for name in CUSTOMERS} == {version}


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    """Run everything on one machine, as ``starter.py up`` does, with running cases of several ages."""
    if embedded.find_binary() is None:
        pytest.skip("no temporal binary for this platform")
    for name in os.environ:
        if name.startswith(("DUNWELL_", "TEMPORAL_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(credentials, "hasher", CHEAP)
    settings = local_settings(tmp_path, port=free_port())
    async with run_services(settings, None, fixed_ports=False) as running:
        hashed = await credentials.hash_password(PASSWORD)
        now = running.desk.now()
        async with running.tools.database.begin() as session:
            new = NewAccount(OLGA, "Olga", Role.OPERATOR, hashed, must_change=False)
            await accounts.add(session, new, "the test", now)
        sandbox = running.tools.processors["sandbox"]
        assert isinstance(sandbox, SandboxProcessor)
        for name, days in CUSTOMERS.items():
            await sandbox.add_customer(f"cus_{name}", f"{name}@example.com", name.title())
            await sandbox.add_card(f"cus_{name}", f"card_{name}", "insufficient_funds")
            await sandbox.add_invoice(f"in_{name}", f"cus_{name}", 4900, "USD")
            await sandbox.fail(f"in_{name}", now - timedelta(days=days), "insufficient_funds")
        yield running


@pytest.fixture
async def walk(services: Services, chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Walk]:
    """Give a browser; whatever it complains of fails the test."""
    context = await chromium.new_context(viewport=DESK, reduced_motion="reduce")
    walk = Walk(services, await context.new_page(), bool(request.config.getoption("--pictures")))
    walk.page.on("console", lambda message: walk.complaints.append(message.text))
    walk.page.on("pageerror", lambda error: walk.complaints.append(str(error)))
    yield walk
    await context.close()
    assert [text for text in walk.complaints if not text.startswith(LEFT_BEHIND)] == []


# --- the way ---------------------------------------------------------------------------------------


async def sign_in(walk: Walk) -> None:
    """Sign in with the keyboard alone, and see the campaigns."""
    await walk.go("/studio")
    await expect(walk.page.get_by_label("E-mail address")).to_be_focused()
    await walk.page.keyboard.type(OLGA)
    await walk.page.keyboard.press("Tab")
    await walk.page.keyboard.type(PASSWORD)
    await walk.page.keyboard.press("Enter")
    await expect(walk.page.get_by_role("heading", name="Campaigns")).to_be_visible()
    standard = walk.page.get_by_role("listitem").filter(
        has=walk.page.get_by_role("link", name="Standard", exact=True)
    )
    await expect(standard.get_by_role("definition").first).to_have_text(str(len(CUSTOMERS)))
    await walk.seen("campaigns")


async def edit(walk: Walk) -> None:
    """Let the second try come on day 5, and see the YAML follow."""
    page = walk.page
    await walk.follow("Standard", exact=True)
    await page.get_by_text("Change step second-try").click()
    step = page.locator("#step-second-try")
    await step.get_by_label("Time").fill("5 days")
    await walk.seen("editor", step)
    await step.get_by_role("button", name="Save").click()
    await expect(page.locator("#document")).to_have_value(WITH_5_DAYS)
    await expect(page.locator("#draft-state")).to_contain_text("Your draft from version 1")
    await walk.seen("timeline")


async def preview(walk: Walk) -> None:
    """See what a customer would get who opens every mail."""
    page = walk.page
    await walk.follow("Preview")
    await page.get_by_label("The customer", exact=True).select_option("opens")
    agenda = page.locator("#preview-result")
    await expect(agenda).to_contain_text("The customer opens the mail")
    await expect(agenda).to_contain_text("step second-try: 5 days after the failed payment")
    await walk.seen("preview", page.locator("#preview-result"))


async def publish(walk: Walk) -> None:
    """See what it does to running cases, and publish it for them too."""
    page = walk.page
    await walk.follow("Publish")
    await page.get_by_label("Also for running cases").check()
    await page.get_by_label("What is due at once is spread over").select_option("0")
    effects = page.locator("#effects")
    await expect(effects).to_contain_text(f"{len(CUSTOMERS)} running cases would move to version 2.")
    # What was chosen last is asked for last, and shown.
    await page.wait_for_load_state("networkidle")
    await effects.get_by_text("have their next step later").click()
    grace = effects.get_by_role("listitem").filter(has_text="Grace, invoice in_grace")
    await expect(grace).to_be_visible()
    await expect(grace).to_contain_text("charge of second-try")
    await walk.seen("publish", page.get_by_role("heading", name="What changes"))
    await page.get_by_label("Note").fill("More time before the second try")
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_role("button", name=f"Publish version 2 and move {len(CUSTOMERS)} cases").click()


async def watch(walk: Walk, version: int) -> None:
    """Watch a move until it is done, without touching anything."""
    page = walk.page
    await expect(page.get_by_role("heading", name=f"Move of standard to version {version}")).to_be_visible()
    done = page.locator("#move-progress .badge", has_text="done")
    await expect(done).to_be_visible(timeout=MOVE_WITHIN)
    count = len(CUSTOMERS)
    await expect(page.locator("#move-progress")).to_contain_text(f"{count} cases: {count} moved.")
    await expect(page.locator("#move-cases tbody tr")).to_have_count(count)
    # What people hear who do not see the bar; and what can be done with it is gone.
    await expect(page.locator("#move-said")).to_contain_text("The move is done.")
    await expect(page.get_by_role("button", name="Pause")).to_have_count(0)


async def look_back(walk: Walk) -> None:
    """See in the history who changed what."""
    page = walk.page
    await walk.go("/studio/campaigns/standard/history")
    await expect(page.locator("tbody tr").first).to_contain_text("More time before the second try")
    await walk.seen("history")
    await walk.follow("What changed in version 2")
    await expect(page.get_by_text("moved from 3 days to 5 days after the failure")).to_be_visible()
    await page.get_by_text("Line by line").click()
    await expect(page.locator(".diff-removed")).to_contain_text("after: 3 days")
    await walk.seen("differences", page.get_by_role("heading", name="What changed"))


async def roll_back(walk: Walk) -> None:
    """Publish version 1 again, for running cases too."""
    page = walk.page
    await walk.go("/studio/campaigns/standard/history/1")
    await page.get_by_role("button", name="Roll back to version 1").click()
    await expect(page.get_by_label("Note")).to_have_value("Back to version 1")
    await page.get_by_label("Also for running cases").check()
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_role("button", name="Publish version 3 and move").click()


WITH_5_DAYS = (
    (campaigns.LIBRARY / "standard.yaml")
    .read_text(encoding="utf-8")
    .replace("after: 3 days", "after: 5 days")
)


async def test_the_whole_way(walk: Walk) -> None:
    async def at_rest() -> bool:
        async with walk.services.tools.database.read() as session:
            rows = await cases.listing(session)
        now = walk.services.desk.now()
        return len(rows) == len(CUSTOMERS) and all(
            row.next_step_at and row.next_step_at > now for row in rows
        )

    await until(at_rest, within=60)
    before = await walk.next_steps()
    moved = {name for name, (step, _) in before.items() if step == SECOND_TRY}
    assert moved == {"blaise", "grace", "katherine", "linus"}
    assert all(before[name][1] == timedelta(days=3) for name in moved)

    await sign_in(walk)
    await edit(walk)
    await preview(walk)
    await publish(walk)
    await watch(walk, 2)
    await walk.seen("move")
    assert await walk.on_version(2)
    after = {name: (step, timedelta(days=5)) for name, (step, _) in before.items() if name in moved}
    assert await walk.next_steps() == before | after

    await look_back(walk)
    await roll_back(walk)
    await watch(walk, 3)
    assert await walk.on_version(3)
    assert await walk.next_steps() == before
