"""The campaign editor in a real browser: timeline and YAML follow each other, on a phone, by keyboard, without scripts."""

from __future__ import annotations

import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from local import run_web
from messaging.rendering import Renderer
from store.accounts import Role
from store.campaigns import LIBRARY
from tests.integration.studio_side import PASSWORD, opened_studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.conftest import Databases

# Its first look at the mails takes a while; no test changes them.
RENDERER = Renderer()
expect.set_options(timeout=20_000)
# A browser writes this of itself when a form comes back with what is wrong in it.
EXPECTED = "the server responded with a status of 422"
STANDARD = (LIBRARY / "standard.yaml").read_text(encoding="utf-8")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture
async def address(databases: Databases, tmp_path: Path) -> AsyncIterator[str]:
    """Give the address of a studio in which Edda may edit."""
    async with opened_studio(databases.fresh("sqlite"), tmp_path, port=0) as studio:
        studio.desk.tools = dataclasses.replace(studio.desk.tools, renderer=RENDERER)
        await studio.add("edda@example.com", Role.EDITOR, name="Edda")
        async with run_web(studio.desk) as url:
            yield url


@asynccontextmanager
async def at_the_campaign(chromium: Browser, address: str, **how: Any) -> AsyncIterator[Page]:
    """Open the standard campaign as Edda; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    context = await chromium.new_context(**how)
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{address}/studio/campaigns/standard")
    await page.get_by_label("E-mail address").fill("edda@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Standard · Dunwell studio")
    # Nobody types faster than the page's script is there.
    await page.wait_for_load_state()
    yield page
    await context.close()
    assert [text for text in complaints if EXPECTED not in text] == []


async def tab_to(page: Page, wanted: str) -> None:
    """Press the Tab key until the element of an id has the keyboard."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        if await focused(page) == wanted:
            return
    pytest.fail(f"the Tab key never came to {wanted}")


async def focused(page: Page) -> str:
    """Name the element that has the keyboard now; htmx gives it to a new part a moment after it has put it in."""
    return str(await page.evaluate("document.activeElement.id"))


async def test_the_yaml_follows_the_timeline_and_the_timeline_the_yaml(
    chromium: Browser, address: str
) -> None:
    async with at_the_campaign(chromium, address, **DESK) as page:
        document, second = page.locator("#document"), page.locator("#step-second-try")
        await expect(document).to_have_value(STANDARD)
        await second.get_by_text("Change", exact=False).first.click()
        await page.locator("#step-second-try--time").fill("4 days")
        await page.locator("#step-second-try--save").click()
        changed = STANDARD.replace("after: 3 days", "after: 4 days")
        await expect(document).to_have_value(changed)
        await expect(second.locator(".step-day")).to_have_text("Day 4")
        await expect(page.locator("#said")).to_have_text(
            "Step second-try: moved from 3 days to 4 days after the failure."
        )
        await expect(page.locator("#draft-state")).to_contain_text("Your draft from version 1")

        # Typing: the timeline follows by itself, and the field is left to whoever types in it.
        await document.focus()
        await document.fill(changed.replace("after: 7 days", "after: 8 days"))
        await expect(page.locator("#step-third-try .step-day")).to_have_text("Day 8")
        await expect(page.locator("#said")).to_have_text(
            "Saved. Step third-try: moved from 7 days to 8 days after the failure."
        )
        await expect(page.locator("#document")).to_be_focused()
        await expect(document).to_have_value(changed.replace("after: 7 days", "after: 8 days"))

        # What was typed and not saved yet goes along with a step that is changed at once.
        typed = changed.replace("title: Standard", "title: Ours")
        await page.locator("#step-fifth-try--change").click()
        await page.locator("#step-fifth-try--time").fill("20 days")
        await document.fill(typed)
        await page.locator("#step-fifth-try--save").click()
        await expect(document).to_have_value(typed.replace("after: 21 days", "after: 20 days"))
        await expect(page.locator("#campaign-title")).to_contain_text("Ours")


async def test_a_fault_is_shown_beside_its_line_and_the_last_good_state_stays(
    chromium: Browser, address: str
) -> None:
    async with at_the_campaign(chromium, address, **DESK) as page:
        document = page.locator("#document")
        await document.fill(STANDARD.replace("retry: true", "retrys: true", 1))
        faults = page.locator("#faults")
        await expect(faults).to_contain_text("line 22, step first-notice: 'retrys' means nothing here")
        await expect(faults).to_contain_text("Did you mean 'retry'?")
        await expect(page.locator("#line-22")).to_have_class("gutter-error")
        await expect(page.locator("#timeline")).to_contain_text("this is the last state that could be read")
        await expect(page.locator("#step-first-notice .step-parts")).to_contain_text("Charge")
        await expect(page.locator("#step-first-notice--change")).to_have_count(0)
        # The number stands beside the line that it names.
        number = await page.locator("#line-22").bounding_box()
        text = await document.bounding_box()
        assert number is not None
        assert text is not None
        size = await document.evaluate("field => parseFloat(getComputedStyle(field).lineHeight)")
        assert abs(number["y"] - (text["y"] + 16 + 21 * float(size))) < 3
        await document.fill(STANDARD)
        await expect(faults).to_have_text("No faults")
        await expect(page.locator("#step-first-notice--change")).to_have_count(1)


async def test_an_edit_that_would_break_the_campaign_says_why_and_keeps_what_was_typed(
    chromium: Browser, address: str
) -> None:
    async with at_the_campaign(chromium, address, **DESK) as page:
        await page.locator("#step-second-try--change").click()
        time = page.locator("#step-second-try--time")
        await time.fill("40 days")
        async with page.expect_response(lambda answer: answer.status == 422):
            await page.locator("#step-second-try--save").click()
        await expect(page.locator("#step-second-try--fault")).to_contain_text("not before the end at 28 days")
        await expect(page.locator("#step-second-try--fault")).to_be_in_viewport()
        await expect(time).to_have_value("40 days")
        await expect(page.locator("#document")).to_have_value(STANDARD)


async def test_steps_are_added_moved_and_removed_on_a_phone_by_keyboard_alone(
    chromium: Browser, address: str
) -> None:
    async with at_the_campaign(chromium, address, **PHONE) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        assert await page.locator("h1").count() == 1
        await tab_to(page, "add--change")
        await page.keyboard.press("Enter")
        await tab_to(page, "add--time")
        await page.keyboard.type("10 days")
        await tab_to(page, "add--alert")
        await page.keyboard.type("Call this customer")
        await page.keyboard.press("Enter")
        await expect(page.locator("#said")).to_contain_text("Step day-10: new, 10 days after the failure")
        await expect(page.locator("#step-day-10")).to_contain_text("Team: Call this customer")
        await expect(page.locator("#document")).to_have_value(
            STANDARD.replace(
                "  - id: limit-access",
                "  - id: day-10\n    after: 10 days\n    alert: Call this customer\n  - id: limit-access",
            )
        )
        await expect(page.locator("#add--change")).to_be_focused()

        await page.keyboard.press("Shift+Tab")
        await page.locator("#step-day-10--change").focus()
        await page.keyboard.press("Enter")
        await tab_to(page, "step-day-10--earlier")
        await page.keyboard.press("Enter")
        await expect(page.locator("#said")).to_contain_text(
            "Step day-10: moved from 10 days to 7 days after the failure"
        )
        await expect(page.locator("#step-day-10--earlier")).to_be_focused()
        # The page did not move away under whoever looks at it.
        await expect(page.locator("#step-day-10--earlier")).to_be_in_viewport()
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"

        await tab_to(page, "step-day-10--remove")
        await page.keyboard.press("Enter")
        await expect(page.locator("#said")).to_contain_text("Step day-10: removed")
        await expect(page.locator("#step-day-10")).to_have_count(0)
        # What comes next is the way back.
        await expect(page.locator("#undo")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#step-day-10 .step-day")).to_have_text("Day 7")
        await expect(page.locator("#undo")).to_have_text("Do it again")
        await expect(page.locator("#undo")).to_be_focused()
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        for button in await page.get_by_role("button").all():
            box = await button.bounding_box()
            # A finger needs about 44 pixels.
            assert box is None or box["height"] >= 44


async def test_everything_works_without_scripts(chromium: Browser, address: str) -> None:
    async with at_the_campaign(chromium, address, java_script_enabled=False, **DESK) as page:
        await page.locator("#step-second-try--change").click()
        await page.locator("#step-second-try--time").fill("4 days")
        await page.locator("#step-second-try--save").click()
        await expect(page.locator("#messages")).to_contain_text(
            "Step second-try: moved from 3 days to 4 days after the failure."
        )
        await expect(page.locator("#step-second-try--time")).to_be_visible()
        document = page.locator("#document")
        await expect(document).to_have_value(STANDARD.replace("after: 3 days", "after: 4 days"))
        await document.fill(STANDARD.replace("after: 3 days", "after: 6 days"))
        await page.locator("#save-yaml").click()
        await expect(page.locator("#step-second-try .step-day")).to_have_text("Day 6")
        await page.locator("#undo").click()
        await expect(page.locator("#step-second-try .step-day")).to_have_text("Day 4")
        await page.get_by_text("Discard …").click()
        await page.get_by_role("button", name="Discard my draft").click()
        await expect(page.locator("#messages")).to_contain_text("Your draft of standard is discarded.")
        await expect(document).to_have_value(STANDARD)
