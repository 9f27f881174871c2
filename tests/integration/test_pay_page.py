"""The customer's page: reached by the link of a mail, without a password, and of use to nobody else."""

from __future__ import annotations

import asyncio
import email
import re
from datetime import UTC, datetime, timedelta
from email import policy
from typing import TYPE_CHECKING

import pytest
from itsdangerous import URLSafeTimedSerializer

from campaigns.story import Lever, Outcome
from tests.integration.web_side import stripe_event, until

if TYPE_CHECKING:
    from pathlib import Path

    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

SAID = {"by": "ops", "why": "a call"}
PAGES = ("card", "back", "cancel", "cancelled", "promised/2026-06-12")


def token_of(web: WebSide, case: CaseRow, at: datetime | None = None) -> str:
    return web.desk.links.token(case.id, at or datetime.now(UTC))


async def cards_of(web: WebSide, customer: str) -> list[str]:
    return [
        str(event.content["data"]["method"])
        for event in await web.sandbox.events()
        if event.type == "card.attached" and event.content["data"]["customer"] == customer
    ]


async def stripe_case(web: WebSide, name: str) -> CaseRow:
    web.stripe.owes(f"in_{name}", f"cus_{name}", 2990, "EUR")
    thing = {"id": f"in_{name}", "object": "invoice", "customer": f"cus_{name}", "status": "open"}
    body = stripe_event("invoice.payment_failed", thing, event=f"evt_{name}")
    assert (await web.post(body, processor="stripe")).status_code == 200
    return await web.opened(f"in_{name}", "stripe")


async def first_mail(folder: Path, case: CaseRow) -> str:
    async def mail() -> Path | None:
        return next(iter(await asyncio.to_thread(lambda: sorted(folder.glob(f"{case.id}.*.eml")))), None)

    message = email.message_from_bytes(
        await asyncio.to_thread((await until(mail)).read_bytes), policy=policy.default
    )
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_the_link_of_a_mail_leads_to_the_page_and_a_card_given_there_is_charged(web: WebSide) -> None:
    case = await web.failed("page", "insufficient_funds")
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    moved = await web.api(f"/cases/{case.id}/reschedule", {**SAID, "step": "first-notice", "at": soon})
    assert moved.json()["became"] == "granted"
    text = await first_mail(web.desk.settings.mail_folder, case)
    found = re.search(r"/pay/([\w.\-]+)", text)
    assert found is not None
    path = found.group(0)

    page = await web.http.get(path)
    assert page.status_code == 200
    assert "$49.00 is open on invoice in_page" in page.text
    assert page.text.count("<button") == len(web.sandbox.test_cards())
    assert await cards_of(web, "cus_page") == ["card_page"]

    assert f'action="{path}/card"' in page.text
    thanks = await web.http.post(f"{path}/card", data={"card": "0"})
    assert thanks.status_code == 200
    assert "Your Visa ending in 4242 is saved" in thanks.text
    [first, given] = await cards_of(web, "cus_page")
    assert first == "card_page"
    for event in (await web.sandbox.events())[-2:]:
        await web.post(event.body)
    closed = await web.closed("in_page")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    charges = [charge for charge in await web.sandbox.charges() if charge.invoice == "in_page"]
    assert [charge.method for charge in charges] == ["card_page", given]


async def test_opening_a_link_changes_nothing(web: WebSide) -> None:
    case = await web.failed("looked_at")
    before = await web.counts(), await web.sandbox.events()
    for _ in range(3):
        assert (await web.http.get(f"/pay/{token_of(web, case)}")).status_code == 200
        assert (await web.http.head(f"/pay/{token_of(web, case)}")).status_code in {200, 405}
    assert (await web.counts(), await web.sandbox.events()) == before


@pytest.mark.parametrize(
    "trouble", ["forged", "expired", "other purpose", "cut short", "nobody's", "not a token"]
)
async def test_a_link_that_is_not_good_shows_a_page_that_says_so(web: WebSide, trouble: str) -> None:
    case = await web.case("in_linked") or await web.failed("linked")
    good = token_of(web, case)
    secret = web.desk.settings.secret_key
    assert secret is not None
    tokens = {
        "forged": good[:-3] + ("AAA" if not good.endswith("AAA") else "BBB"),
        "expired": token_of(web, case, datetime.now(UTC) - timedelta(days=61)),
        "other purpose": str(
            URLSafeTimedSerializer(secret.get_secret_value(), salt="unsubscribe").dumps(case.id)
        ),
        "cut short": good[:-10],
        "nobody's": web.desk.links.token("case_nobody", datetime.now(UTC)),
        "not a token": "%F0%9F%92%B3",
    }
    cards = await cards_of(web, "cus_linked")
    for answer in (
        await web.http.get(f"/pay/{tokens[trouble]}"),
        *[await web.http.get(f"/pay/{tokens[trouble]}/{page}") for page in PAGES],
        await web.http.post(f"/pay/{tokens[trouble]}/card", data={"card": "0"}),
        await web.http.post(f"/pay/{tokens[trouble]}/promise", data={"day": "2026-06-12"}),
        await web.http.post(f"/pay/{tokens[trouble]}/confirm"),
        await web.http.post(f"/pay/{tokens[trouble]}/cancel"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "This link does not work" in answer.text
        assert "latest mail" in answer.text
        assert case.id not in answer.text
    assert await cards_of(web, "cus_linked") == cards


async def test_a_closed_case_has_nothing_left_to_do(web: WebSide) -> None:
    case = await web.failed("over")
    await web.sandbox.void("in_over", datetime.now(UTC))
    await web.api(f"/cases/{case.id}/invoice-changed", {"what": "voided"})
    await web.closed("in_over")
    token = token_of(web, case)
    cards = await cards_of(web, "cus_over")
    for answer in (
        await web.http.get(f"/pay/{token}"),
        # The page was open in the customer's browser while the case closed.
        await web.http.post(f"/pay/{token}/card", data={"card": "0"}),
        await web.http.get(f"/pay/{token}/card"),
        await web.http.post(f"/pay/{token}/promise", data={"day": "2026-06-12"}),
        await web.http.post(f"/pay/{token}/confirm"),
        await web.http.post(f"/pay/{token}/cancel"),
    ):
        assert answer.status_code == 200
        assert "Nothing left to do" in answer.text
        assert "We charge it now" not in answer.text
    assert await cards_of(web, "cus_over") == cards


@pytest.mark.parametrize("form", [{}, {"card": "99"}, {"card": "-1"}, {"card": "visa"}])
async def test_a_card_that_is_not_on_the_page_is_refused(web: WebSide, form: dict[str, str]) -> None:
    case = await web.case("in_choosy") or await web.failed("choosy")
    answer = await web.http.post(f"/pay/{token_of(web, case)}/card", data=form)
    assert answer.status_code == 422
    assert await cards_of(web, "cus_choosy") == ["card_choosy"]


async def test_a_customer_of_stripe_is_sent_to_a_fresh_page_at_each_click(web: WebSide) -> None:
    case = await stripe_case(web, "portal")
    token = token_of(web, case)
    before = len(web.stripe.pages)
    answers = [await web.http.get(f"/pay/{token}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len({answer.headers["location"] for answer in answers}) == 2
    assert all(answer.headers["location"].startswith("https://billing.stripe.example/") for answer in answers)
    back = f"{str(web.desk.settings.public_url).rstrip('/')}/pay/{token}/back"
    assert web.stripe.pages[before:] == [("main", "cus_portal", back)] * 2
    thanks = await web.http.get(f"/pay/{token}/back")
    assert (thanks.status_code, "Thank you" in thanks.text) == (200, True)
    cards = await web.http.post(f"/pay/{token}/card", data={"card": "0"})
    assert cards.status_code == 404


async def test_a_processor_that_is_away_gives_a_friendly_page(web: WebSide) -> None:
    case = await stripe_case(web, "patient")
    web.stripe.away = True
    try:
        answer = await web.http.get(f"/pay/{token_of(web, case)}")
    finally:
        web.stripe.away = False
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "try the same link again in a few minutes" in answer.text
    assert "Stripe does not answer" not in answer.text
    assert (await web.http.get(f"/pay/{token_of(web, case)}")).status_code == 303


async def test_the_sandboxs_bank_confirms_a_payment(web: WebSide) -> None:
    case = await web.failed("bank", "3ds")
    await web.api(f"/cases/{case.id}/retry-now", SAID)

    async def asked() -> bool:
        row = await web.case("in_bank")
        return row is not None and row.decline == "authentication_required"

    await until(asked)
    assert "Confirm the payment" in (await web.http.get("/sandbox/pay/in_bank")).text
    assert "the payment is confirmed" in (await web.http.post("/sandbox/pay/in_bank")).text
    again = await web.http.post("/sandbox/pay/in_bank")
    assert (again.status_code, "Nothing to confirm" in again.text) == (409, True)
    await web.post((await web.sandbox.events())[-1].body)
    closed = await web.closed("in_bank")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CUSTOMER)
    assert await web.sandbox.paid_total("in_bank") == 4900


async def test_what_a_processor_calls_an_invoice_is_no_markup(web: WebSide) -> None:
    page = await web.http.get("/sandbox/pay/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "<script>" not in page.text
