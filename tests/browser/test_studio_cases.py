"""A case in a real browser: read on a phone and at a desk, with its refusals and its card's ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.browser.test_studio_sign_in import DESK, PHONE, looked_at, opened_page, studio
from tests.integration.studio_side import PASSWORD
from tests.integration.test_studio_cases import DAY, refused_case, told_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.integration.studio_side import Studio

__all__ = ["studio"]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_a_case_is_found_and_read(
    studio: Studio,
    chromium: Browser,
    tmp_path: Path,
    size: dict[str, int],
) -> None:
    row, failed_at = await refused_case(studio, tmp_path)
    await told_of(studio, row, failed_at + DAY)
    complaints: list[str] = []
    page = await opened_page(chromium, studio, size, complaints)
    await page.goto("/studio/cases")
    await page.fill("#email", "grace.hopper@northwind-streaming.example.com")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Cases")
    await expect(page.get_by_role("table", name="Cases, the latest first")).to_contain_text("in_ann")
    await looked_at(page)
    await page.get_by_label("Invoice, customer or case").fill("in_ann")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Case of in_ann")
    await expect(page.get_by_role("region", name="Where it stands")).to_contain_text("Mastercard allows 10")
    await expect(page.get_by_role("table", name="What happened in this case")).to_contain_text("refused")
    await expect(page.get_by_role("table", name="What is left of the card")).to_contain_text("9 of 10")
    await looked_at(page)
    assert complaints == []
