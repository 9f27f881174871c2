"""The customer's page in a real browser: a phone's size, and a keyboard alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from campaigns.story import Lever, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

PHONE = {"width": 360, "height": 640}


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """Give a page of a phone's size; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    context = await chromium.new_context(viewport=PHONE, has_touch=True)  # type: ignore[arg-type]
    opened = await context.new_page()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    await context.close()
    assert complaints == []


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.innerText"))


@pytest.mark.parametrize("web", ["sqlite"], indirect=True)
async def test_a_customer_changes_the_card_on_a_phone_by_keyboard_alone(web: WebSide, page: Page) -> None:
    case = await web.failed("browser", "insufficient_funds")
    token = web.desk.links.token(case.id, datetime.now(UTC))
    await page.goto(f"{web.http.base_url}/pay/{token}")
    assert await page.title() == "Change your card"
    assert await page.get_attribute("html", "lang") == "en"
    assert await page.locator("h1").count() == 1
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    buttons = page.get_by_role("button")
    for place in range(await buttons.count()):
        box = await buttons.nth(place).bounding_box()
        assert box is not None
        # A finger needs about 44 pixels.
        assert box["height"] >= 44

    await page.keyboard.press("Tab")
    assert "A card that works" in await focused(page)
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Enter")
    await page.wait_for_function("document.title === 'Thank you'")
    assert "Your Visa ending in 4242 is saved" in await page.inner_text("main")

    for event in (await web.sandbox.events())[-2:]:
        await web.post(event.body)
    closed = await web.closed("in_browser")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    await page.goto(f"{web.http.base_url}/pay/{token}")
    assert "Nothing left to do" in await page.inner_text("main")
