"""Cases in the studio: found by what is at hand, and one told on one page, with every refusal and its reason."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from activities import claims
from campaigns.budget import Result
from campaigns.durations import spell_moment
from campaigns.story import Status
from store import campaigns, card_attempts, cards, cases, customers, journal, ledger, messages
from store.accounts import Role
from store.card_attempts import Attempt, Source
from tests.integration.running_cases import running_case
from tests.integration.shop import CAMPAIGN, AwaySandbox, Shop
from tests.integration.test_studio_publish import said

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from store.tables import CaseRow
    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA = "ada@example.com"
LIST = "/studio/cases"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def refused_case(studio: Studio, folder: Path) -> tuple[CaseRow, datetime]:
    """Let an issuer ask for four days, and the card be tried too often by others before they are over.

    Comes with when the payment had failed.
    """
    sandbox = AwaySandbox(folder / "books.db")
    studio.closing.push_async_callback(sandbox.close)
    shop = Shop(dataclasses.replace(studio.desk.tools, processors={"sandbox": sandbox}), sandbox)
    database, failed_at = shop.tools.database, studio.desk.now().replace(microsecond=0) - 5 * DAY - HOUR
    async with database.begin() as session:
        text = CAMPAIGN.replace("name: kind", "name: standard")
        await campaigns.publish(session, text, file="standard.yaml", author=ADA, note="", now=failed_at)
    await shop.fails("ann", "insufficient_funds/mac27", failed_at, network="mastercard")
    await shop.play(failed_at + 2 * DAY)
    card = claims.named("sandbox", "main", await sandbox.read_card("main", "cus_ann", "card_ann"))
    assert card is not None
    async with database.begin() as session:
        for number in range(9):
            other = Attempt(f"seen/{number}", 900, "USD", Source.PROCESSOR, invoice="in_other")
            at = failed_at + 5 * DAY - number * HOUR
            await ledger.note(session, card, other, Result.DECLINED, shop.tools.rules, at)
    await shop.play(failed_at + 5 * DAY + HOUR)
    async with database.read() as session:
        row = await cases.named(session, "in_ann")
    assert row is not None
    return row, failed_at


async def told_of(studio: Studio, row: CaseRow, at: datetime) -> None:
    """Let the case's mails have gone as mails go, and a person have paused it once."""
    async with studio.desk.tools.database.begin() as session:
        mails = {
            "day-1.message": {"state": messages.SENT, "detail": "A word to Ann, please"},
            "day-2.message": {"state": messages.FAILED, "detail": "550 <ann@example.com> is unknown"},
            "day-3.message": {"state": messages.DROPPED, "detail": "another case has told them today"},
        }
        for number, (action, values) in enumerate(mails.items()):
            known = {"locale": "en", "address": "ann@example.com", **values}
            when = at + (number + 1) * HOUR
            await messages.claim(session, row.id, action, "payment_failed", when, **known)
        text = "pause asked for by ops@example.com (they <called>), granted: it is paused"
        said_by = {"by": "ops@example.com", "why": "they <called>"}
        await journal.enter(session, row.id, "wish.1", journal.WISH, text, at + 9 * HOUR, **said_by)
        unread = "a message called 'x' could not be read: no JSON\nann's own words"
        await journal.enter(session, row.id, "unread.1", journal.FACT, unread, at + 10 * HOUR)
        await journal.alert(
            session, "a.1", "mail failed", "ann@example.com was refused", at + 11 * HOUR, row.id
        )


@pytest.mark.parametrize("role", Role)
async def test_everybody_who_is_signed_in_finds_the_cases(studio: Studio, role: Role) -> None:
    browser = await studio.signed_in(ADA, role)
    page = await browser.open(LIST)
    assert page.status_code == 200
    assert f'href="{LIST}" aria-current="page"' in page.text
    assert "No payment has failed yet." in said(browser)


async def test_a_case_is_found_by_what_a_person_has_at_hand(studio: Studio) -> None:
    now = studio.desk.now()
    ann, bob = [await running_case(studio.desk.tools, name, now, days=2) for name in ("ann", "bob")]
    browser = await studio.signed_in(ADA)
    for word in (ann.id, "in_ann", "cus_ann", f" {ann.workflow_id} "):
        answer = await browser.open(f"{LIST}?word={word.strip()}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{LIST}/{ann.id}")
    page = await browser.open(LIST)
    assert {ann.id, bob.id} == set(re.findall(rf'href="{LIST}/(case_\w+)"', page.text))
    await browser.open(f"{LIST}?word=in_ann&status=paused")
    assert "No case fits this." in said(browser)
    page = await browser.open(f"{LIST}?status=waiting&word=")
    assert page.text.count(f'href="{LIST}/case_') == 2
    assert "<option selected>waiting</option>" in page.text
    assert (await browser.open(f"{LIST}?status=lost")).status_code == 422
    page = await browser.open(f"{LIST}?word=<b>%00")
    assert 'value="&lt;b&gt;"' in page.text


async def test_an_unknown_case_is_said_on_a_page_of_the_studio(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{LIST}/case_%00nobody")
    assert page.status_code == 404
    assert "<h1>Not found</h1>" in page.text
    assert "look for it by its invoice or customer" in said(browser)


async def test_a_case_tells_where_it_stands_and_why(studio: Studio, tmp_path: Path) -> None:
    row, failed_at = await refused_case(studio, tmp_path)
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{LIST}/{row.id}")
    shown = said(browser)
    free_at = row.next_step_at
    assert free_at is not None
    sentence = f"next charge on {spell_moment(free_at)}: Mastercard allows 10 attempts on one card"
    assert row.sentence.startswith(sentence)
    assert row.sentence.endswith("9 of 10 attempts used in 1 day"), "others' attempts are counted by now"
    assert f"N{row.sentence[1:]}." in shown
    assert re.search(r"Due in 1[45] hours", shown)
    assert f"Next step {row.next_step}" in shown
    assert "insufficient funds (soft): the issuer asked for 4 days (advice 27)." in shown
    assert "Amount $49.00" in shown
    version = f"/studio/campaigns/standard/history/{row.campaign_version}"
    assert f'href="{version}"' in page.text
    assert (await browser.open(version)).status_code == 200
    assert "Access full Flags charge refused" in shown
    assert "Failed " + f"{failed_at:%d %b %Y, %H:%M}".lstrip("0") in shown.replace("\N{NO-BREAK SPACE}", " ")


async def test_what_happened_stands_in_order_each_with_its_reason(studio: Studio, tmp_path: Path) -> None:
    row, failed_at = await refused_case(studio, tmp_path)
    await told_of(studio, row, failed_at + DAY)
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{LIST}/{row.id}")
    shown, place = said(browser), -1
    for line in (
        "$49.00 failed on",
        "Charge of $49.00 by the processor declined not enough funds (decline code insufficient_funds): it may",
        "Charge of $49.00 on schedule day-1.charge declined the issuer asked for 4 days (advice 27)",
        "Mail payment_failed, in en day-1.message sent",
        "Mail payment_failed, in en day-2.message failed 550 <(address)> is unknown",
        "Mail payment_failed, in en day-3.message not sent another case has told them today",
        "Pause asked for by ops@example.com (they <called>), granted: it is paused",
        "A message called 'x' could not be read: no JSON",
        "A person was told mail failed (address) was refused",
        "refused Mastercard allows 10 attempts on one card with one merchant in 1 day; 9 used, margin 1; free",
    ):
        found = shown.find(line)
        assert found > place, (line, shown)
        place = found
    assert shown.count("Charge of") == 3, "each attempt once: in the case's books and in the ledger"
    assert "<called>" not in page.text
    for hidden in ("ann@example.com", "A word to Ann", "ann's own words"):
        assert hidden not in page.text


async def test_the_ledger_of_its_card_says_what_is_left_and_what_it_may_cost(
    studio: Studio, tmp_path: Path
) -> None:
    row, failed_at = await refused_case(studio, tmp_path)
    browser = await studio.signed_in(ADA)
    await browser.open(f"{LIST}/{row.id}")
    shown = said(browser).replace("\N{NO-BREAK SPACE}", " ")
    assert "Not to be tried now: Mastercard allows 10 attempts" in shown
    free_at = f"{failed_at + 6 * DAY - 8 * HOUR:%d %b %Y, %H:%M} UTC".lstrip("0")
    assert f"in 1 day 9 of 10 0 (margin 1) {free_at}" in shown
    assert "for one amount in 30 days 9 of 35 25 (margin 1) now" in shown
    assert "12 attempts with it are written down" in shown
    assert "Estimated network fees for attempts too many: none." in shown
    async with studio.desk.tools.database.begin() as session:
        [card] = await cards.of_case(session, row.id)
        known = await card_attempts.all_with(session, cards.named(card))
        [ours] = [one for one in known if one.state == card_attempts.State.REFUSED]
        ours.fee, ours.fee_currency = 55, "EUR"
        session.add(ours)
    await browser.open(f"{LIST}/{row.id}")
    assert "Estimated network fees for attempts too many: €0.55." in said(browser)
    assert "the network may bill €0.55 for it" in said(browser)


async def test_what_else_a_customer_owes_is_linked_and_so_is_temporal(studio: Studio) -> None:
    now = studio.desk.now()
    ann = await running_case(studio.desk.tools, "ann", now, days=2)
    browser = await studio.signed_in(ADA)
    page = await browser.open(f"{LIST}/{ann.id}")
    assert "Other open cases" not in browser.shown
    assert "/workflows/" not in page.text
    async with studio.desk.tools.database.begin() as session:
        known = {"customer": "cus_ann", "amount": 1200, "currency": "USD"}
        other = (await cases.reserve(session, "sandbox", "main", "in_other", now, **known)).case
        await customers.keep(session, "sandbox", "main", "cus_ann", now, email="ann@example.com")
    studio.desk.settings = studio.desk.settings.model_copy(
        update={"temporal_ui_url": "http://temporal.example/"}
    )
    page = await browser.open(f"{LIST}/{ann.id}")
    assert f'href="{LIST}/{other.id}"' in page.text
    assert "in_other cus_ann waiting $12.00" in browser.shown
    ui = "http://temporal.example/namespaces/default/workflows"
    assert f'href="{ui}/recovery%2Fsandbox%2Fmain%2Fin_ann%2F1"' in page.text
    for personal in ("ann@example.com", "Ann &amp; Sons", "Ann & Sons"):
        assert personal not in page.text
    # One that was reported a moment ago has nothing to tell but that.
    page = await browser.open(f"{LIST}/{other.id}")
    assert page.status_code == 200
    assert "It was reported, and is about to be opened." in browser.shown
    assert "No attempt with a card is recorded for this case." in browser.shown


async def test_a_closed_case_says_how_it_ended(studio: Studio) -> None:
    ended = await running_case(studio.desk.tools, "eve", studio.desk.now(), days=60)
    assert ended.status == Status.CLOSED
    browser = await studio.signed_in(ADA)
    await browser.open(f"{LIST}/{ended.id}")
    shown = said(browser)
    assert "Where it stands exhausted" in shown
    assert "Due " not in shown
