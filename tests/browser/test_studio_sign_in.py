"""The studio's door in a real browser: by keyboard, on a phone, and with its policy in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

import credentials
from local import free_port, run_web
from store import accounts
from store.accounts import Role
from tests.integration.studio_side import CHEAP, PASSWORD, opened_studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.conftest import Databases
    from tests.integration.studio_side import Studio

PHONE = {"width": 360, "height": 640}
DESK = {"width": 1280, "height": 800}
# What everything that can be touched measures at least, in pixels; a link within words may be smaller.
FINGER = 44
NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea, button')]
  .filter(field => !(field.labels?.length || field.getAttribute('aria-label') || field.innerText?.trim()))
  .map(field => field.outerHTML)"""


@pytest.fixture
async def studio(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Studio]:
    """Give a studio that listens, with an administrator and somebody else."""
    monkeypatch.setattr(credentials, "hasher", CHEAP)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        opened_studio(databases.fresh("sqlite"), tmp_path, public_url=url, port=port) as opened,
        run_web(opened.desk),
    ):
        await opened.add("ada@example.com", Role.ADMIN, name="Ada Byron")
        await opened.add("grace.hopper@northwind-streaming.example.com", Role.EDITOR, name="Grace Hopper")
        yield opened


async def opened_page(chromium: Browser, studio: Studio, size: dict[str, int], complaints: list[str]) -> Page:
    """Open a page; whatever the browser complains of is written down, what its policy forbids included."""
    context = await chromium.new_context(
        base_url=str(studio.desk.settings.public_url).rstrip("/"),
        viewport=size,  # type: ignore[arg-type]
        has_touch=size is PHONE,
    )
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


async def looked_at(page: Page) -> None:
    """Look whether everybody can use a page, at the size that it has."""
    assert await page.get_attribute("html", "lang") == "en"
    for landmark in ("banner", "main", "contentinfo"):
        assert await page.get_by_role(landmark).count() == 1
    assert await page.locator("h1").count() == 1
    assert await page.evaluate(NAMELESS) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
    ids = await page.evaluate("[...document.querySelectorAll('[id]')].map(part => part.id)")
    assert len(ids) == len(set(ids)), page.url
    for button in await page.get_by_role("button").all():
        box = await button.bounding_box()
        assert box is None or box["height"] >= (FINGER if page.viewport_size == PHONE else 36), page.url


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()"))


async def test_a_person_signs_in_by_keyboard_alone(studio: Studio, chromium: Browser) -> None:
    complaints: list[str] = []
    page = await opened_page(chromium, studio, PHONE, complaints)
    await page.goto("/studio/people")
    assert await page.title() == "Sign in · Dunwell studio"
    assert await focused(page) == "email"
    await page.keyboard.type("ada@example.com")
    await page.keyboard.press("Tab")
    assert await focused(page) == "password"
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("do not go together")
    # The address is kept, and the place to go on is the password.
    assert await page.input_value("#email") == "ada@example.com"
    assert await focused(page) == "password"
    assert "401" in complaints.pop()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("People · Dunwell studio")

    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to the content"
    box = await page.locator(".skip-link").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    await page.keyboard.press("Enter")
    assert await focused(page) == "main"
    await page.keyboard.press("Tab")
    assert "Change" in await focused(page)
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    assert complaints == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_every_page_can_be_used(studio: Studio, chromium: Browser, size: dict[str, int]) -> None:
    complaints: list[str] = []
    page = await opened_page(chromium, studio, size, complaints)
    await page.goto("/studio/audit")
    await looked_at(page)
    await page.fill("#email", "ada@example.com")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
    await expect(page.get_by_role("navigation", name="Studio").get_by_role("link")).to_have_text(
        ["Campaigns", "Cases", "Shadow", "Moves", "Declines and limits", "Audit log", "People"]
    )
    await looked_at(page)
    await page.get_by_role("link", name="Declines and limits").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Declines and limits")
    await looked_at(page)
    await page.goto("/studio/password")
    await looked_at(page)
    await page.get_by_role("link", name="People").click()
    await looked_at(page)
    await page.get_by_role("link", name="Change grace.hopper@northwind-streaming.example.com").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    await looked_at(page)
    await page.get_by_label("operator").check()
    await page.get_by_role("button", name="Change role").click()
    await expect(page.get_by_role("status")).to_contain_text("has the role operator from now on.")
    await looked_at(page)
    await page.get_by_role("button", name="Make a new password").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A password for Grace Hopper")
    await looked_at(page)
    assert complaints == []
    await page.goto("/studio/nothing")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    await looked_at(page)
    assert "404" in complaints.pop()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_contain_text("You are signed out.")
    assert complaints == []


async def test_what_goes_wrong_behind_a_part_of_a_page_is_said_on_it(
    studio: Studio, chromium: Browser
) -> None:
    complaints: list[str] = []
    page = await opened_page(chromium, studio, DESK, complaints)
    await page.goto("/studio/audit")
    await page.fill("#email", "grace.hopper@northwind-streaming.example.com")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
    ask = "htmx.ajax({}, '/studio/people', {{target: 'h1', swap: 'outerHTML'}}).catch(() => null)"
    await page.evaluate(ask.format("'GET'"))
    await expect(page.get_by_role("alert")).to_contain_text("This needs the role admin, and yours is editor")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")
    # The token rides along with htmx: the role is what is in the way, not the form's origin.
    await page.evaluate(ask.format("'POST'"))
    await expect(page.get_by_role("alert")).to_contain_text("This needs the role admin")

    await page.context.set_offline(True)
    await page.evaluate(ask.format("'GET'"))
    await expect(page.get_by_role("alert")).to_contain_text("The studio does not answer.")
    await page.context.set_offline(False)
    await page.evaluate(ask.format("'GET'").replace("people", "audit").replace("'h1'", "'#messages'"))
    await expect(page.get_by_text("The studio does not answer.")).to_have_count(0)

    async with studio.desk.tools.database.begin() as session:
        account = await accounts.by_email(session, "grace.hopper@northwind-streaming.example.com")
        await accounts.disable(session, account.id, "ada@example.com", studio.desk.now())
    await page.evaluate(ask.format("'GET'"))
    await expect(page).to_have_title("Sign in · Dunwell studio")
    assert page.url.endswith("/studio/sign-in?next=%2Fstudio%2Faudit")
    assert not [complaint for complaint in complaints if "Content Security Policy" in complaint]
