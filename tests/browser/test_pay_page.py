"""The customer's page in a real browser: a phone's size, and a keyboard alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from campaigns.story import Lever, Outcome
from tests.integration.test_pay_choices import asked_by_the_bank, promising_case
from tests.integration.test_pay_together import another, failed_again

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, Route

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
    await expect(page).to_have_title("Thank you")
    assert "Your Visa ending in 4242 is saved" in await page.inner_text("main")

    for event in (await web.sandbox.events())[-2:]:
        await web.post(event.body)
    closed = await web.closed("in_browser")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    await page.goto(f"{web.http.base_url}/pay/{token}")
    assert "Nothing left to do" in await page.inner_text("main")


async def _bank(route: Route) -> None:
    await route.fulfill(content_type="text/html", body="<title>The bank</title>")


@pytest.mark.parametrize("web", ["sqlite"], indirect=True)
async def test_a_customer_chooses_another_day_and_one_confirms_at_the_bank(web: WebSide, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    case = await promising_case(web, "chooses")
    token = web.desk.links.token(case.id, datetime.now(UTC))
    await page.goto(f"{web.http.base_url}/pay/{token}")
    assert await page.title() == "Your payment to Billing"
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for shown in [*await page.locator("button, a.button, select").all()]:
        box = await shown.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    # What a screen reader says of a choice: its name, and what it does.
    day = page.get_by_role("combobox", name="Day")
    assert "Choose a day" in await page.inner_text(f"#{await day.get_attribute('aria-describedby')}")
    wanted = await day.locator("option").nth(1).get_attribute("value")
    await day.select_option(wanted)
    await page.get_by_role("button", name="Pay on this day").press("Enter")
    await expect(page).to_have_title("Thank you")
    assert page.url.endswith(f"/promised/{wanted}")
    assert "send you no mails about this payment until then" in await page.inner_text("main")

    asked = await asked_by_the_bank(web, "confirms")
    await page.goto(f"{web.http.base_url}/pay/{web.desk.links.token(asked.id, datetime.now(UTC))}")
    await page.keyboard.press("Tab")
    assert await focused(page) == "Confirm the payment"
    # The bank is at the public address, where nobody listens here.
    await page.route("**/sandbox/pay/in_confirms", _bank)
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("The bank")


@pytest.mark.parametrize("web", ["sqlite"], indirect=True)
async def test_a_customer_who_owes_several_sees_them_on_a_phone_before_giving_a_card(
    web: WebSide, page: Page
) -> None:
    await web.owe("owes", "insufficient_funds")
    case = await failed_again(web, "owes", ago=60)
    await another(web, "owes", "with_a_number_that_is_longer_than_a_phone_is_wide", 2100)
    await page.goto(f"{web.http.base_url}/pay/{web.desk.links.token(case.id, datetime.now(UTC))}")
    assert await page.title() == "Your payments to Billing"
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert await page.locator("dd").all_inner_texts() == ["$49.00", "$21.00", "$70.00"]
    card = page.get_by_role("link", name="Use another card")
    hint = await page.inner_text(f"#{await card.get_attribute('aria-describedby')}")
    assert hint == "The card that you add is charged for all of them at once."
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Change your card")
    assert "$70.00 is open on invoices in_owes" in await page.inner_text("main")


@pytest.mark.parametrize("web", ["sqlite"], indirect=True)
async def test_a_customer_who_meant_to_cancel_does_so_by_keyboard_alone(
    web: WebSide, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = web.desk.settings.model_copy(update={"customers_may_cancel": True})
    monkeypatch.setattr(web.desk, "settings", allowed)
    await page.set_viewport_size({"width": 390, "height": 844})
    case = await web.failed("meant_it", decline="revocation_of_authorization", locale="de")
    await page.goto(f"{web.http.base_url}/pay/{web.desk.links.token(case.id, datetime.now(UTC))}")
    assert await page.get_attribute("html", "lang") == "de"
    assert await page.title() == "Wollten Sie kündigen?"
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await page.keyboard.press("Tab")
    assert await focused(page) == "Abonnement behalten"
    await page.keyboard.press("Tab")
    assert await focused(page) == "Ja, kündigen"
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Abonnement kündigen?")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Ihr Abonnement ist gekündigt")
    assert (await web.closed("in_meant_it")).outcome == Outcome.CANCELLED
