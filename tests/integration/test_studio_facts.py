"""The page of facts in the studio: what each decline means for a retry, and how often a card may be tried."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from campaigns.declines import DeclineTable
from store.accounts import Role
from store.campaigns import decline_codes
from tests.integration.test_studio_publish import said
from tests.unit.test_facts import NEVER, table

if TYPE_CHECKING:
    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA = "ada@example.com"
FACTS = "/studio/facts"


@pytest.mark.parametrize("role", Role)
async def test_everybody_who_is_signed_in_finds_the_facts(studio: Studio, role: Role) -> None:
    browser = await studio.signed_in(ADA, role)
    page = await browser.open(FACTS)
    assert page.status_code == 200
    assert f'href="{FACTS}" aria-current="page"' in page.text
    assert "167 of 167 codes" in said(browser)


async def test_a_code_is_shown_with_all_that_decides_a_retry(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    await browser.open(f"{FACTS}?system=iso8583_visa&word=permitted+cardholder")
    shown = said(browser)
    assert "1 of 167 codes" in shown
    assert "57 Visa Visa category 1 Not permitted to cardholder" in shown
    assert "hard card-capability no the processor refuses, too at once yes" in shown
    assert "In force since 25 October 2026" in shown
    await browser.open(f"{FACTS}?word=insufficient+funds&rail=ach")
    shown = said(browser)
    assert "1 of 167 codes" in shown
    assert "R01 ACH returns Insufficient funds" in shown
    assert "soft funds yes after 3 days, at most 2 when another charge fails yes" in shown


async def test_a_filter_leaves_what_fits_and_says_what_was_chosen(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{FACTS}?rail=sepa&word=<b>")
    assert "No code fits this." in said(browser)
    assert 'value="&lt;b&gt;"' in page.text
    assert '<option value="sepa" selected>' in page.text
    page = await browser.open(f"{FACTS}?rail=sepa")
    assert len(re.findall(r'<td data-label="Code">', page.text)) == 12
    assert (await browser.open(f"{FACTS}?word={'x' * 101}")).status_code == 422


async def test_the_limits_of_the_networks_stand_below_with_where_they_are_from(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    page = await browser.open(FACTS)
    shown = said(browser)
    for limit in studio.desk.tools.limits.in_force(studio.desk.now().date()):
        assert limit.said() in shown
        assert limit.source in shown
    assert "Nacha allows 3 attempts" in shown
    # Tables are read on telephones as lists, each cell with its heading.
    assert page.text.count("table-stack") == 2


async def test_an_owners_own_rows_are_marked(studio: Studio) -> None:
    declines = DeclineTable(decline_codes(), table({**NEVER, "source": "our <own> acquirer"}))
    studio.desk.tools = dataclasses.replace(studio.desk.tools, declines=declines)
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{FACTS}?word=do_not_honor")
    shown = said(browser)
    assert "1 of 167 codes are your own rows." in shown
    assert "your own our <own> acquirer" in shown
    assert "<own>" not in page.text
