"""The list of campaigns: whom each takes and in which order, what came of it, and how a new one begins."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.breaker import BreakerRule, opened
from campaigns.durations import spell_moment
from campaigns.segments import ChosenBy
from campaigns.story import Outcome
from store import breakers, campaigns, drafts
from store.accounts import Role
from store.reports import Money, Recovery, recovery
from store.tables import CampaignVersionRow, CaseRow
from web.studio.figures import figures_of, likely_share

if TYPE_CHECKING:
    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

GOLD = """\
name: gold
title: Gold customers
takes:
  priority: 20
  plan: [gold-monthly, gold-yearly]
  currency: EUR
  amount: {EUR: {at_least: "100.00", below: "500.00"}}
  country: [DE, AT]
  failure: first
arms:
  - {name: a, weight: 1}
  - {name: holdout, weight: 1, holdout: true}
steps:
  - {id: day-1, after: 1 day, retry: true, message: payment_failed}
  - {id: day-5, after: 5 days, message: last_notice}
end: {after: 14 days, action: pause}
"""
FRAUD = """\
name: fraud
takes: {priority: 3, decline_class: fraud}
steps:
  - {id: day-1, after: 1 day, message: new_card_needed}
end: {after: 14 days, action: leave}
"""


async def publish(studio: Studio, text: str, author: str = "ada@example.com") -> int:
    async with studio.desk.tools.database.begin() as session:
        name = str(re.search(r"name: (\S+)", text)[1])  # type: ignore[index]
        there = await session.get(CampaignVersionRow, (name, 1))
        current = (await campaigns.version(session, name))[1] if there else None
        return await campaigns.publish(
            session,
            text,
            file="studio",
            author=author,
            note="for a test",
            now=studio.desk.now(),
            origin=campaigns.STUDIO,
            based_on=current,
            replaces=current,
        )


async def add_cases(studio: Studio, count: int, campaign: str, **more: Any) -> None:
    now = studio.desk.now()
    async with studio.desk.tools.database.begin() as session:
        for number in range(count):
            key = f"{campaign}-{more.get('outcome')}-{more.get('arm')}-{more.get('currency')}-{number}"
            values = {
                "id": f"case-{key}",
                "workflow_id": key,
                "processor": "sandbox",
                "account": "main",
                "invoice": key,
                "status": "closed" if more.get("outcome") else "waiting",
                "amount": 1000,
                "currency": "EUR",
                "reserved_at": now,
                "closed_at": now if more.get("outcome") else None,
                "campaign": campaign,
                **more,
            }
            session.add(CaseRow(**values))


async def card_of(browser: Browser, name: str) -> str:
    """Read what the list says of one campaign."""
    page = await browser.open("/studio/campaigns")
    assert page.status_code == 200
    cards = re.findall(
        r'<li class="card campaign-card">.*?</li>\s*(?=<li class="card|</ol>)', page.text, re.DOTALL
    )
    card = next(card for card in cards if f'href="/studio/campaigns/{name}"' in card)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", card))).strip()


async def test_campaigns_stand_in_the_order_in_which_they_are_asked(studio: Studio) -> None:
    await publish(studio, GOLD)
    await publish(studio, FRAUD)
    viewer = await studio.signed_in("vera@example.com")
    page = await viewer.open("/studio/campaigns")
    names = re.findall(r'<h2><a href="/studio/campaigns/([^"]+)"', page.text)
    assert names == ["fraud", "gold", "standard", "demo"]
    gold = await card_of(viewer, "gold")
    assert gold.startswith("Asked 2nd Gold customers gold")
    assert (
        "Takes failures of the plan gold-monthly or gold-yearly; in EUR; of customers in DE or AT;"
        " of 100.00 or more and less than 500.00 EUR; that are the customer's first. Priority 20." in gold
    )
    assert "Version 1, published by ada@example.com" in gold
    fraud = await card_of(viewer, "fraud")
    assert "Asked 1st" in fraud
    assert "Takes failures whose decline is fraud." in fraud
    standard = await card_of(viewer, "standard")
    assert standard.startswith("Default Standard")
    assert "takes every failure that no segment takes" in standard
    assert "By name only" in await card_of(viewer, "demo")
    assert "New campaign" not in page.text


async def test_the_list_says_what_came_of_each_and_when_that_is_too_little(studio: Studio) -> None:
    await publish(studio, GOLD)
    await add_cases(studio, 3, "gold", arm="a")
    await add_cases(studio, 24, "gold", arm="a", outcome=Outcome.RECOVERED)
    await add_cases(studio, 16, "gold", arm="a", outcome=Outcome.EXHAUSTED, currency="usd")
    await add_cases(studio, 2, "gold", arm="holdout", outcome=Outcome.RECOVERED_ELSEWHERE)
    await add_cases(studio, 1, "gold", arm="holdout", outcome=Outcome.CANCELLED)
    # Never worked: no part of any share.
    await add_cases(studio, 9, "gold", outcome=Outcome.EXCLUDED)
    await add_cases(studio, 5, "gold", outcome=Outcome.BELOW_MINIMUM)
    await add_cases(studio, 4, "standard", chosen_by=ChosenBy.DEFAULT)
    await add_cases(studio, 1, "standard", chosen_by=ChosenBy.DEFAULT, outcome=Outcome.RECOVERED)
    # Reported and not opened yet: of no campaign.
    await add_cases(studio, 2, "")
    viewer = await studio.signed_in("vera@example.com")
    gold = await card_of(viewer, "gold")
    assert "running cases 3" in gold
    assert "recovered, of 43 closed 24 56%" in gold
    assert "of what was owed €240.00 of €270.00 $0.00 of $160.00" in gold
    assert "Recovered so far: likely between 41% and 70%. 2 more were paid in some other way." in gold
    assert "a 3 40 24 0 60% , likely between 45% and 74% €240.00 of €240.00, $0.00 of $160.00" in gold
    assert "holdout 0 3 0 2 too few to judge: 30 closed cases or more are needed €0.00 of €30.00" in gold
    standard = await card_of(viewer, "standard")
    assert "running cases 4" in standard
    assert "too few to judge" in standard
    assert "5 came here because no segment took them." in standard
    assert "no case has closed yet" in await card_of(viewer, "demo")
    page = await viewer.open("/studio/campaigns")
    assert "5 failures so far, and so gone to the default campaign" in re.sub(r"\s+", " ", page.text)


async def test_without_any_segment_the_list_says_so(studio: Studio) -> None:
    await add_cases(studio, 2, "standard", chosen_by=ChosenBy.DEFAULT)
    viewer = await studio.signed_in("vera@example.com")
    await viewer.open("/studio/campaigns")
    assert "No segments: no campaign takes failures by a segment" in viewer.shown
    assert "so that every one goes to the default, standard : 2 so far." in viewer.shown


async def test_what_is_held_because_it_does_not_answer_is_said_above_the_list(studio: Studio) -> None:
    viewer = await studio.signed_in("vera@example.com")
    await viewer.open("/studio/campaigns")
    assert "Charges are held" not in viewer.shown
    gate = opened(BreakerRule(), studio.desk.now())
    why = "issuers of visa cards of DE answered 'unavailable' 14 of 15 times in 10 minutes"
    async with studio.desk.tools.database.begin() as session:
        await breakers.open_one(session, "issuer:visa:DE", gate, by="dunwell", why=why, now=gate.since)
    await viewer.open("/studio/campaigns")
    assert f"issuers of visa cards of DE; {why}. Scheduled charges are let through" in viewer.shown
    assert spell_moment(gate.until) in viewer.shown


async def test_recovery_is_summed_up_by_campaign_arm_and_currency(studio: Studio) -> None:
    await add_cases(studio, 2, "gold", arm="a", outcome=Outcome.RECOVERED)
    await add_cases(studio, 1, "gold", arm="b", outcome=Outcome.RECOVERED_ELSEWHERE, currency="USD")
    await add_cases(studio, 1, "gold", arm="b", chosen_by=ChosenBy.DEFAULT)
    async with studio.desk.tools.database.read() as session:
        found = await recovery(session)
    assert list(found) == ["gold"]
    gold = found["gold"]
    assert (gold.running, gold.closed, gold.recovered, gold.elsewhere, gold.untaken) == (1, 3, 2, 1, 1)
    assert gold.money == {"EUR": Money(2000, 2000, 0), "USD": Money(1000, 0, 1000)}
    assert (gold.arms["a"].closed, gold.arms["a"].running) == (2, 0)
    assert (gold.arms["b"].closed, gold.arms["b"].running, gold.arms["b"].untaken) == (1, 1, 1)


def test_a_share_is_given_with_what_it_is_worth() -> None:
    low, high = likely_share(30, 100)
    assert (round(low, 3), round(high, 3)) == (0.219, 0.396)
    assert likely_share(0, 40)[0] == 0.0
    assert likely_share(40, 40)[1] == 1.0
    assert figures_of("x", Recovery()).verdict == "no case has closed yet"


# --- a new campaign --------------------------------------------------------------------------------


async def test_a_new_campaign_begins_as_a_copy_and_takes_nothing_by_itself(studio: Studio) -> None:
    await publish(studio, GOLD)
    editor = await studio.signed_in("edda@example.com", Role.EDITOR)
    form = await editor.open("/studio/campaigns/new")
    assert form.status_code == 200
    assert '<option value="standard" selected>Standard</option>' in form.text
    answer = await editor.send("/studio/campaigns/new", name="silver", title="", source="gold")
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/campaigns/silver")
    page = await editor.open("/studio/campaigns/silver")
    assert page.status_code == 200
    assert "Takes nothing by itself" in editor.shown
    assert "nobody is charged or written to by it until it is published" in editor.shown
    account = await studio.account("edda@example.com")
    async with studio.desk.tools.database.read() as session:
        row = await drafts.get(session, "silver", account.id)
    assert row is not None
    assert (row.base_version, row.document.splitlines()[:3]) == (
        None,
        ["name: silver", "title: Silver", "arms:"],
    )
    assert (await studio.log("signed in", "account added")) == [
        ("ada@example.com", "publish", "campaign gold", "version 1: for a test"),
        ("edda@example.com", "draft begun", "campaign silver", "of a new campaign"),
    ]
    await editor.open("/studio/campaigns")
    assert "Not published yet silver , your draft" in editor.shown
    viewer = await studio.signed_in("vera@example.com")
    await viewer.open("/studio/campaigns")
    assert "Not published yet silver , a draft of edda@example.com" in viewer.shown
    assert (await viewer.open("/studio/campaigns/silver")).status_code == 404


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("gold", "standard", "There is a campaign 'gold' already"),
        ("Very Gold", "standard", "'Very Gold' is no name"),
        ("new", "standard", "No campaign can be called 'new'"),
        ("silver", "bronze", "Choose the campaign that it begins as a copy of."),
    ],
)
async def test_a_new_campaign_that_cannot_be_is_refused_with_what_was_typed(
    studio: Studio, name: str, source: str, why: str
) -> None:
    await publish(studio, GOLD)
    editor = await studio.signed_in("edda@example.com", Role.EDITOR)
    await editor.open("/studio/campaigns/new")
    answer = await editor.send("/studio/campaigns/new", name=name, title="Typed", source=source)
    assert answer.status_code == 422
    assert why in editor.shown
    assert 'value="Typed"' in answer.text


async def test_what_ships_can_be_begun_from_after_an_owner_has_changed_it(studio: Studio) -> None:
    shipped = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8")
    await publish(studio, shipped.replace("1 day\n", "2 days\n"))
    editor = await studio.signed_in("edda@example.com", Role.EDITOR)
    form = await editor.open("/studio/campaigns/new")
    assert '<option value="shipped:standard">standard, as it ships with Dunwell</option>' in form.text
    await editor.send("/studio/campaigns/new", name="as-shipped", source="shipped:standard")
    page = await editor.open("/studio/campaigns/as-shipped")
    assert "    after: 1 day\n" in page.text
    again = await editor.send("/studio/campaigns/new", name="as-shipped", source="standard")
    assert again.status_code == 422
    assert "You have a draft of 'as-shipped' already" in editor.shown


async def test_viewers_begin_nothing(studio: Studio) -> None:
    viewer = await studio.signed_in("vera@example.com")
    assert (await viewer.open("/studio/campaigns/new")).status_code == 403
    assert (await viewer.send("/studio/campaigns/new", name="silver", source="standard")).status_code == 403
