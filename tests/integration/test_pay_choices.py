"""What the customer's page offers beside the card: the bank's confirmation, another day, an answer to the bank's stop."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from html import unescape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from campaigns.story import Lever, Outcome, Story
from processors.protocol import SubscriptionChange
from store import campaigns
from tests.integration.test_pay_page import SAID, token_of
from tests.integration.web_side import until
from web.offers import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

PROMISING = """\
name: promising
promise: {within: 3 days}
calendar: {timezone: Europe/Berlin, charges: {hours: 18:00 to 20:00}}
steps:
  - {id: day-1, after: 1 day, retry: true, message: payment_failed}
end: {after: 14 days, action: cancel_now}
"""
REVOKED = {"decline": "revocation_of_authorization"}


async def promising_case(web: WebSide, name: str, **more: Any) -> CaseRow:
    async with web.desk.tools.database.begin() as session:
        said: dict[str, Any] = {"author": "tests", "note": "", "now": datetime.now(UTC)}
        await campaigns.publish(session, PROMISING, file="promising.yaml", **said)
    await web.owe(name, "insufficient_funds", **more)
    order = {"processor": "sandbox", "invoice": f"in_{name}", "campaign": "promising"}
    assert (await web.api("/cases", order)).json()["became"] == "opened"
    return await web.opened(f"in_{name}")


async def story_of(web: WebSide, case: CaseRow, when: Callable[[Story], bool]) -> Story:
    async def so_far() -> Story | None:
        row = await web.case(case.invoice)
        story = Story.model_validate(row.story) if row and row.story else None
        return story if story and when(story) else None

    return await until(so_far)


async def asked_by_the_bank(web: WebSide, name: str) -> CaseRow:
    case = await web.failed(name, "3ds")
    await web.api(f"/cases/{case.id}/retry-now", SAID)
    await story_of(web, case, lambda story: story.decline == "authentication_required")
    return case


def text_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).replace("\u00a0", " ").split())


def days_on(answer: httpx.Response) -> list[str]:
    return re.findall(r'<option value="([\d-]+)"', answer.text)


async def stopped(web: WebSide, name: str, **more: Any) -> tuple[CaseRow, str]:
    case = await web.failed(name, **(REVOKED | more))
    return case, f"/pay/{token_of(web, case)}"


# --- a promise -------------------------------------------------------------------------------------


async def test_a_promise_is_taken_for_a_day_of_the_customer_s_and_an_hour_of_the_campaign_s(
    web: WebSide,
) -> None:
    case = await promising_case(web, "later", locale="de-DE", timezone="Europe/Berlin")
    path = f"/pay/{token_of(web, case)}"
    before = await web.counts(), await web.sandbox.events(), await web.sandbox.requests()
    page = await web.http.get(path)
    assert (await web.counts(), await web.sandbox.events(), await web.sandbox.requests()) == before
    assert 'lang="de"' in page.text
    assert "49,00 $ Rechnung in_later" in text_of(page)
    days = days_on(page)
    assert 2 <= len(days) <= 3
    chosen = date.fromisoformat(days[0])

    taken = await web.http.post(f"{path}/promise", data={"day": days[0]})
    assert (taken.status_code, taken.headers["location"]) == (303, f"{path}/promised/{days[0]}")
    thanks = await web.http.get(taken.headers["location"])
    assert f", {chosen.day}. " in text_of(thanks)
    assert "Vielen Dank" in text_of(thanks)
    story = await story_of(web, case, lambda story: story.promise_at is not None)
    assert story.promises == 1
    assert story.promise_at is not None
    charged = story.promise_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert (charged.date(), charged.hour, charged.minute) == (chosen, 18, 0)

    # Once is enough: the page that is shown again thanks, and offers no other day.
    again = await web.http.post(f"{path}/promise", data={"day": days[0]})
    assert again.headers["location"] == f"{path}/promised/{days[0]}"
    seen = await web.http.get(path)
    assert days_on(seen) == []
    assert "Sie haben" in text_of(seen)
    other = await web.http.post(f"{path}/promise", data={"day": days[1]})
    assert (other.status_code, "Dieser Tag" in other.text) == (409, True)
    assert (await story_of(web, case, lambda story: story.promises == 1)).promise_at == story.promise_at


@pytest.mark.parametrize("day", ["yesterday", "2099-01-01"])
async def test_a_day_that_is_not_on_the_page_is_not_taken(web: WebSide, day: str) -> None:
    case = await web.case("in_too_late") or await promising_case(web, "too_late")
    path = f"/pay/{token_of(web, case)}"
    before = await web.counts()
    answer = await web.http.post(f"{path}/promise", data={"day": day})
    assert answer.status_code in {409, 422}
    seen = await web.http.get(f"{path}/promised/2026-01-01")
    assert (seen.status_code, seen.headers["location"]) == (303, path)
    assert await web.counts() == before


# --- the bank's confirmation -----------------------------------------------------------------------


async def test_the_bank_s_confirmation_comes_first_and_is_asked_for_when_it_is_wanted(web: WebSide) -> None:
    case = await asked_by_the_bank(web, "asked")
    path = f"/pay/{token_of(web, case)}"
    before = await web.sandbox.requests()
    page = await web.http.get(path)
    assert await web.sandbox.requests() == before
    first = re.search(r'class="(?:button )?first".*?label">([^<]+)', page.text)
    assert first is not None
    assert first.group(1) == "Confirm the payment"
    assert "https:" in page.headers["content-security-policy"]
    answer = await web.http.post(f"{path}/confirm")
    assert (answer.status_code, answer.headers["location"].endswith("/sandbox/pay/in_asked")) == (303, True)

    await web.sandbox.void("in_asked", datetime.now(UTC))
    gone = await web.http.post(f"{path}/confirm")
    assert (gone.status_code, f'href="{path}/card"' in gone.text) == (200, True)
    assert "does not ask for a confirmation any more" in gone.text


async def test_a_payment_that_needs_no_confirmation_has_none(web: WebSide) -> None:
    _, path = await stopped(web, "unasked")
    answer = await web.http.post(f"{path}/confirm")
    assert (answer.status_code, answer.headers["location"]) == (303, path)


# --- did you mean to cancel? -----------------------------------------------------------------------


async def test_whoever_told_the_bank_to_stop_may_keep_it_or_knows_whom_to_write_to(web: WebSide) -> None:
    case, path = await stopped(web, "wonders")
    page = await web.http.get(path)
    text = text_of(page)
    assert "Did you mean to cancel?" in text
    assert "Keep my subscription" in text
    assert "To cancel your subscription, please write to billing@example.com." in text
    assert f'href="{path}/cancel"' not in page.text
    for answer in (await web.http.get(f"{path}/cancel"), await web.http.post(f"{path}/cancel")):
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert await web.sandbox.subscription_calls() == ()
    kept = await web.http.get(f"{path}/card")
    assert "Choose a card" in kept.text
    row = await web.case(case.invoice)
    assert row is not None
    assert row.closed_at is None


async def test_whoever_may_cancel_is_asked_once_more_and_then_it_is_done(
    web: WebSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = web.desk.settings.model_copy(update={"customers_may_cancel": True})
    monkeypatch.setattr(web.desk, "settings", allowed)
    case, path = await stopped(web, "leaves", subscription="sub_leaves")
    assert f'href="{path}/cancel"' in (await web.http.get(path)).text
    assert (await web.http.get(f"{path}/cancelled")).headers["location"] == path
    asked = await web.http.get(f"{path}/cancel")
    assert "ends at once" in text_of(asked)
    assert not [call for call in await web.sandbox.subscription_calls() if call.subscription == "sub_leaves"]

    done = await web.http.post(f"{path}/cancel")
    assert (done.status_code, done.headers["location"]) == (303, f"{path}/cancelled")
    assert "Your subscription is cancelled" in (await web.http.get(f"{path}/cancelled")).text
    closed = await web.closed("in_leaves")
    assert (closed.outcome, closed.ended_by) == (Outcome.CANCELLED, "customer")
    assert "Nothing left to do" in (await web.http.post(f"{path}/cancel")).text
    calls = [call for call in await web.sandbox.subscription_calls() if call.subscription == "sub_leaves"]
    assert [call.change for call in calls] == [SubscriptionChange.CANCEL_NOW]
    event = await web.event(f"page:{case.id}:cancel", "api")
    assert event is not None
    assert json.loads(event.body)["fact"]["by"] == "customer"


async def test_only_whoever_told_the_bank_to_stop_may_cancel(
    web: WebSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = web.desk.settings.model_copy(update={"customers_may_cancel": True})
    monkeypatch.setattr(web.desk, "settings", allowed)
    case = await web.failed("stays", "insufficient_funds", subscription="sub_stays")
    path = f"/pay/{token_of(web, case)}"
    assert (await web.http.post(f"{path}/cancel")).headers["location"] == path
    assert not [call for call in await web.sandbox.subscription_calls() if call.subscription == "sub_stays"]


async def test_a_new_card_of_whoever_told_the_bank_to_stop_is_charged(web: WebSide) -> None:
    _, path = await stopped(web, "returns")
    happened = await web.happened(_give(web, path))
    for event in happened:
        await web.post(event.body)
    closed = await web.closed("in_returns")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)


async def _give(web: WebSide, path: str) -> None:
    assert (await web.http.post(f"{path}/card", data={"card": "0"})).status_code == 200


# --- its words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "language", "says"),
    [
        ("fr-CA", "fr", "Souhaitiez-vous résilier ?"),
        ("es", "es", "¿Quería cancelar?"),
        ("de-AT", "de", "Wollten Sie kündigen?"),
        ("nl-NL", "en", "Did you mean to cancel?"),
    ],
)
async def test_the_page_speaks_the_customer_s_language(
    web: WebSide, locale: str, language: str, says: str
) -> None:
    _, path = await stopped(web, f"speaks_{language}", locale=locale)
    page = await web.http.get(path)
    assert f'<html lang="{language}">' in page.text
    assert says in text_of(page)


def test_every_language_says_all_of_it_with_the_same_facts() -> None:
    for language, words in WORDS.items():
        assert words.keys() == WORDS["en"].keys(), language
        for key, text in words.items():
            assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", WORDS["en"][key]), (language, key)
    assert set(WORDS) == {"de", "en", "es", "fr"}
