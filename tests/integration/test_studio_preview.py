"""The preview of the studio: what is shown is what the planner says, and a test mail goes to whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store import campaigns
from store.accounts import Role

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

PREVIEW = "/studio/campaigns/short/preview"
DOCUMENT = """
name: short
title: Short and friendly
calendar:
  timezone: Europe/Berlin
  messages: {hours: 09:00 to 20:00, days: weekdays}
  charges: {hours: 02:00 to 05:00}
messages: {receipt: payment_received}
steps:
  - {id: first, after: 1 day, retry: true, message: payment_failed}
  - {id: opened, after: 3 days, message: last_notice, only_if: {mail_opened: true}}
  - {id: limit, after: 5 days, retry: true, access: limited, message: access_limited}
end: {after: 9 days, action: cancel_now, message: subscription_ended}
"""
# A Friday, by the customer's clock.
FAILED = "failed_at=2026-06-12T18:00"


@pytest.fixture
async def viewer(studio: Studio) -> Browser:
    async with studio.desk.tools.database.begin() as session:
        await campaigns.publish(
            session, DOCUMENT, file="short.yaml", author="tests", note="", now=studio.desk.now()
        )
    return await studio.signed_in("viewer@example.com", Role.VIEWER)


async def shown(browser: Browser, query: str) -> str:
    answer = await browser.open(f"{PREVIEW}?{FAILED}&{query}")
    assert answer.status_code == 200, browser.shown
    return browser.shown


def in_order(text: str, *parts: str) -> None:
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"'{part}' does not come after what is before it in:\n{text}"
        at = found


async def test_every_action_is_shown_by_the_customers_clock_with_its_reason(viewer: Browser) -> None:
    text = await shown(viewer, "timezone=Europe/Berlin")
    in_order(
        text,
        "Day by day",
        "Friday, 12 June 2026 day 0, the failure",
        "18:00 Failure $49.00 failed: insufficient funds",
        "Sunday, 14 June 2026 day 2",
        "02:00 Charge $49.00 is charged: it is declined",
        "1 day after the failed payment; cards are charged 02:00 to 05:00 (Europe/Berlin)",
        "Monday, 15 June 2026 day 3",
        "09:00 Mail",
        "mails are sent 09:00 to 20:00 on weekdays (Europe/Berlin)",
        "Thursday, 18 June 2026 day 6",
        "02:00 Charge",
        "09:00 Access Access becomes limited",
        "after its charge: cards are charged 02:00 to 05:00 (Europe/Berlin)",
        "Sunday, 21 June 2026 day 9",
        "18:00 End The subscription: cancel now",
        "Monday, 22 June 2026 day 10",
        "09:00 Mail",
        "Close The case closes: exhausted",
    )
    assert "last notice" not in text.partition("Any message")[0].partition("Day by day")[2]


async def test_what_the_customer_does_changes_what_comes(viewer: Browser) -> None:
    opened = await shown(viewer, "timezone=Europe/Berlin&deed=opens")
    in_order(opened, "Monday, 15 June 2026", "11:00 Customer The customer opens the mail", "last notice")
    card = await shown(viewer, "timezone=Europe/Berlin&deed=new-card&day=4")
    in_order(
        card,
        "Tuesday, 16 June 2026",
        "18:00 Customer The customer gives a new card",
        "$49.00 is charged: it goes through",
        "The case closes: recovered by card update",
    )
    assert "Access becomes limited" not in card


async def test_a_hard_decline_asks_for_a_new_card_and_charges_nothing(viewer: Browser) -> None:
    text = (await shown(viewer, "decline=stolen_card")).partition("Day by day")[2]
    assert "is charged" not in text
    assert "new card needed" in text
    assert (
        "stolen"
        not in (await viewer.open(f"{PREVIEW}/mail?{FAILED}&decline=stolen_card&action=first.message")).text
    )


async def test_a_mail_is_shown_in_the_language_that_was_chosen(viewer: Browser) -> None:
    english = await viewer.open(f"{PREVIEW}/mail?{FAILED}&action=first.message")
    assert "Ada Lovelace" in english.text
    assert english.headers["content-security-policy"].startswith("default-src 'none'")
    assert "sandbox" in english.headers["content-security-policy"]
    german = await viewer.open(f"{PREVIEW}/mail?{FAILED}&language=de&action=first.message")
    assert 'lang="de"' in german.text
    assert german.text != english.text
    missing = await viewer.open(f"{PREVIEW}/mail?{FAILED}&action=opened.message")
    assert missing.status_code == 404


async def test_it_says_which_campaign_would_take_the_failure(viewer: Browser, studio: Studio) -> None:
    text = await shown(viewer, "")
    assert "Another: standard" in text
    assert "no campaign has a segment, so it goes to the default campaign, standard" in text.lower()
    taken = DOCUMENT.replace("title:", "takes: {priority: 5, plan: pro}\ntitle:")
    async with studio.desk.tools.database.begin() as session:
        await campaigns.publish(session, taken, file="short", author="tests", note="", now=studio.desk.now())
    assert "This campaign" in await shown(viewer, "plan=pro")
    other = await shown(viewer, "plan=basic")
    assert "short: plan is basic" in other


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("timezone=Berlin", "is no time zone"),
        ("decline=no_such_code", "no decline code is called"),
        ("amount=lots", "is not an amount"),
        ("day=soon", "is no number of days"),
        ("failed_at=yesterday", "is no time"),
        ("language=xx", "no templates in"),
        ("attributes=gold", "is no attribute"),
    ],
)
async def test_what_cannot_be_understood_is_said_and_the_form_stays(
    viewer: Browser, query: str, fault: str
) -> None:
    answer = await viewer.open(f"{PREVIEW}?{query}")
    assert answer.status_code == 422
    assert fault in viewer.shown
    assert "Why it failed" in viewer.shown


async def test_an_editor_gets_any_message_as_a_test(viewer: Browser, studio: Studio, tmp_path: Path) -> None:
    editor = await studio.signed_in("editor@example.com", Role.EDITOR)
    await editor.open(f"{PREVIEW}?{FAILED}&language=en")
    sent = await editor.send(
        f"{PREVIEW}/send", failed_at="2026-06-12T18:00", timezone="Europe/Berlin", action="first.message"
    )
    assert sent.status_code == 303
    await editor.open(sent.headers["location"])
    assert "is on its way to editor@example.com" in editor.shown
    any_other = await editor.send(f"{PREVIEW}/send", template="payment_received", language="en")
    assert any_other.status_code == 303
    mails = sorted((tmp_path / "mails").glob("*.eml"))
    assert len(mails) == 2
    assert all("[Test]" in mail.read_text(encoding="utf-8") for mail in mails)
    tests = [line for line in await studio.log() if line[1] == "test sent"]
    assert tests == [
        ("editor@example.com", "test sent", "short", "payment_failed in en"),
        ("editor@example.com", "test sent", "short", "payment_received in en"),
    ]
    assert (await viewer.send(f"{PREVIEW}/send", action="first.message")).status_code == 403


async def test_there_is_no_preview_of_what_is_not_there(viewer: Browser) -> None:
    assert (await viewer.open("/studio/campaigns/nothing/preview")).status_code == 404
    assert (await viewer.open(f"{PREVIEW}?of=99")).status_code == 404
