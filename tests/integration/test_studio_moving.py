"""Running cases moved from the studio: on a real Temporal server, by the pages' own forms, and rolled back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import credentials
from store import accounts, audit, campaigns, drafts
from store.accounts import NewAccount, Role
from tests.integration.studio_side import CHEAP, PASSWORD, Browser
from tests.integration.test_moves import Town
from tests.integration.test_studio_publish import form, said
from tests.integration.web_side import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

CAMPAIGN = """\
name: {name}
messages: {{receipt: payment_received}}
steps:
  - {{id: day-1, after: 1 day, message: payment_failed}}
  - {{id: day-3, after: {second}, retry: true, message: payment_failed}}
  - {{id: last, after: 18 days, message: last_notice}}
end: {{after: 20 days, action: cancel_now}}
"""
NAMES = ("ann", "bob", "cyd")
HTMX = {"HX-Request": "true"}


@dataclass
class Office:
    """An operator before the studio, and a town whose cases are two days old."""

    town: Town
    browser: Browser
    email: str
    account: str

    @property
    def path(self) -> str:
        """Give the address of the town's campaign."""
        return f"/studio/campaigns/{self.town.name}"

    async def draft(self, second: str) -> None:
        """Let the operator have given the second step another time."""
        text = CAMPAIGN.format(name=self.town.name, second=second)
        now = self.town.desk.now()
        async with self.town.desk.tools.database.begin() as session:
            there = await campaigns.document(session, self.town.name)
            row = await drafts.begin(
                session, self.town.name, self.account, self.email, now, there.document, there.version
            )
            await drafts.keep(session, row, drafts.Text(text, readable=True, change="later"), now)

    async def effects(self, query: str) -> str:
        """Look at the effects until they are there."""

        async def look() -> str | None:
            answer = await self.browser.open(f"{self.path}/effects?{query}", **HTMX)
            return said(self.browser) if "hx-trigger" not in answer.text else None

        return await until(look)

    async def ended(self, move: str) -> str:
        """Watch a move until it has ended, and give what its page says then."""

        async def look() -> bool:
            return (await self.browser.open(f"{move}/progress", **HTMX)).status_code == 286

        await until(look, within=60)
        await self.browser.open(move)
        return said(self.browser)

    async def standings(self) -> dict[str, tuple[int, str | None, timedelta]]:
        """Say of each case on which version it is, what comes next, and how long after the failure."""
        found = {}
        for name in NAMES:
            row = await self.town.case(name)
            assert row.failed_at is not None
            assert row.next_step_at is not None
            after = row.next_step_at - row.failed_at
            found[name] = (row.campaign_version, row.next_step, timedelta(days=after.days))
        return found

    async def log(self, subject: str) -> list[tuple[str, str, str]]:
        """Read the audit log about something, the first entry first."""
        async with self.town.desk.tools.database.read() as session:
            rows = await audit.listing(session, subject)
        return [(row.by, row.action, row.detail) for row in reversed(rows)]


@pytest.fixture
async def office(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Open an office with three running cases, published by a file in git."""
    monkeypatch.setattr(credentials, "hasher", CHEAP)
    name = f"office-{time.time_ns()}"
    town, email = Town(web, name, web.desk), f"{name}@example.com"
    assert await town.publish_document(CAMPAIGN.format(name=name, second="3 days")) == 1
    await town.fail(*NAMES)
    hashed = await credentials.hash_password(PASSWORD)
    async with web.desk.tools.database.begin() as session:
        new = NewAccount(email, "Olga", Role.OPERATOR, hashed, must_change=False)
        account = (await accounts.add(session, new, "the test", web.desk.now())).id
    async with httpx.AsyncClient(base_url=web.http.base_url, timeout=60, trust_env=False) as http:
        browser = Browser(http)
        assert (await browser.sign_in(email)).status_code == 303
        yield Office(town, browser, email, account)


@pytest.fixture
def slowly(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moves ask one case at a time, with a long rest after each."""
    more: dict[str, Any] = {"moves_batch": 1, "moves_at_once": 1, "moves_pause": 600.0}
    monkeypatch.setattr(web.desk, "settings", web.desk.settings.model_copy(update=more))


async def test_a_draft_is_published_for_running_cases_watched_and_rolled_back(office: Office) -> None:
    browser, path, email = office.browser, office.path, office.email
    three, five = timedelta(days=3), timedelta(days=5)
    assert await office.standings() == dict.fromkeys(NAMES, (1, "day-3.charge", three))
    await office.draft("5 days")
    seen = await form(browser, f"{path}/publish")
    assert "Running now: 3 on version 1." in said(browser)
    shown = await office.effects("of=draft&past=skip&spread=0")
    assert "3 running cases would move to version 2." in shown
    assert "3 have their next step later" in shown
    assert all(f"{name.title()}, invoice in_{office.town.name}_{name}" in shown for name in NAMES)
    assert (await office.standings())["ann"] == (1, "day-3.charge", three)

    wish = {**seen, "cases": "running", "note": "More time to get paid", "spread": 0, "replaces": 1}
    assert (await browser.send(f"{path}/publish/confirm", **wish)).status_code == 200
    assert "Running cases 3 are moved to it" in said(browser)
    assert "Publish version 2 and move 3 cases" in await office.effects("of=draft&button=publish")
    answer = await browser.send(f"{path}/publish", **wish)
    move = answer.headers["location"]
    assert move.startswith("/studio/moves/move_")
    assert "3 cases: 3 moved." in await office.ended(move)
    assert await office.standings() == dict.fromkeys(NAMES, (2, "day-3.charge", five))
    [begun, done] = await office.log(audit.of_move(move.rsplit("/", 1)[1]))
    assert begun[:2] == (email, "move begun")
    assert "More time to get paid" in begun[2]
    assert done == ("dunwell", "move done", "3 cases: 3 moved")

    back = await browser.send(f"{path}/history/1/roll-back")
    seen = await form(browser, back.headers["location"])
    wish = {**seen, "cases": "running", "note": "Back to version 1", "spread": 0}
    answer = await browser.send(f"{path}/publish", **wish)
    assert "3 cases: 3 moved." in await office.ended(answer.headers["location"])
    assert await office.standings() == dict.fromkeys(NAMES, (3, "day-3.charge", three))
    assert [entry[:2] for entry in await office.log(audit.of_campaign(office.town.name))] == [
        ("tests", "publish"),
        (email, "draft begun"),
        (email, "publish"),
        (email, "draft begun"),
        (email, "roll back"),
    ]


async def test_an_operator_moves_cases_to_what_an_editor_has_published(office: Office) -> None:
    browser, path = office.browser, office.path
    await browser.open(f"{path}/move")
    assert "Every running case is on version 1 already." in said(browser)
    await office.town.publish_document(CAMPAIGN.format(name=office.town.name, second="36 hours"))
    page = await browser.open(f"{path}/move")
    assert "On other versions: 3 on version 1." in said(browser)
    assert f'hx-get="{path}/effects?of=2&amp;button=move"' in page.text
    assert "Move 3 cases to version 2" in await office.effects("of=2&past=do+once&spread=0&button=move")
    for wrong, fault in (
        ({"why": " "}, "Say why, in no more than 500 letters."),
        ({"version": 1}, "Version 2 was published meanwhile"),
        ({"spread": 10**9}, "The time to spread over is too long."),
    ):
        fields: dict[str, Any] = {"version": 2, "why": "sooner", **wrong}
        answer = await browser.send(f"{path}/move", **fields)
        assert answer.status_code == 422
        assert fault in said(browser)
    answer = await browser.send(f"{path}/move", version=2, why="sooner", past="do once", spread=3600)
    move = answer.headers["location"]
    shown = await office.ended(move)
    assert "3 cases: 3 moved." in shown
    assert "are done once, the latest of each kind What is due at once is spread over 1 hour" in shown
    assert {version for version, _, _ in (await office.standings()).values()} == {2}


async def test_a_move_is_paused_resumed_and_stopped_by_its_page(office: Office, slowly: None) -> None:
    browser, path = office.browser, office.path
    await office.town.publish_document(CAMPAIGN.format(name=office.town.name, second="4 days"))
    answer = await browser.send(f"{path}/move", version=2, why="slower", past="skip", spread=0)
    move = answer.headers["location"]

    async def asked() -> bool:
        await browser.open(move)
        return "3 cases: 1 moved, 2 to come." in said(browser)

    await until(asked)
    second = await browser.send(f"{path}/move", version=2, why="again", past="skip", spread=0)
    assert second.status_code == 409
    assert "let it end, or stop it first" in said(browser)

    for deed, state, button in (("pause", "paused", "Resume"), ("resume", "running", "Pause")):
        assert (await browser.send(f"{move}/{deed}", why=f"to {deed} it")).status_code == 303
        page = await browser.open(move)
        assert f"The move is {state}." in said(browser)
        assert re.search(rf'<button class="button button-primary">{button}</button>', page.text)
        again = await browser.send(f"{move}/{deed}", why="once more")
        assert again.status_code == 409

    assert (await browser.send(f"{move}/stop", why="enough")).status_code == 303
    shown = await office.ended(move)
    assert "The move is stopped." in shown
    # The one that was resumed has asked one case more before it rested again, at most.
    never = re.search(r"never asked (\d)", shown)
    assert never is not None
    log = await office.log(audit.of_move(move.rsplit("/", 1)[1]))
    assert [entry[:2] for entry in log] == [
        (office.email, "move begun"),
        (office.email, "move paused"),
        (office.email, "move resumed"),
        (office.email, "move stopped"),
    ]
    assert [entry[2] for entry in log[1:]] == ["to pause it", "to resume it", "enough"]
    moved = [version for version, _, _ in (await office.standings()).values()].count(2)
    assert moved + int(never.group(1)) == len(NAMES)
