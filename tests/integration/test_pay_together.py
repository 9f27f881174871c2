"""The page of a customer who owes several invoices: one link shows them all, and one card settles them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.story import Lever, Outcome, Trigger
from store import campaigns
from tests.integration.test_pay_choices import (
    PROMISING,
    asked_by_the_bank,
    days_on,
    promising_case,
    story_of,
    text_of,
)
from tests.integration.test_pay_page import token_of

if TYPE_CHECKING:
    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)


async def another(
    web: WebSide, first: str, name: str, amount: int, currency: str = "USD", ago: int = 0
) -> CaseRow:
    """Let the customer of ``first`` owe another invoice, which failed so many minutes ago."""
    await web.sandbox.add_invoice(f"in_{name}", f"cus_{first}", amount, currency)
    return await failed_again(web, name, ago)


async def failed_again(web: WebSide, name: str, ago: int) -> CaseRow:
    """Report an invoice as failed so many minutes ago, and give its case."""
    at = datetime.now(UTC) - timedelta(minutes=ago)
    await web.sandbox.fail(f"in_{name}", at, "insufficient_funds")
    await web.post((await web.sandbox.events())[-1].body)
    return await web.opened(f"in_{name}")


async def give_a_card(web: WebSide, path: str) -> None:
    before = (await web.sandbox.events())[-1].number
    assert (await web.http.post(f"{path}/card", data={"card": "0"})).status_code == 200
    for event in await web.sandbox.events(before):
        await web.post(event.body)


async def test_one_link_shows_all_that_is_owed_and_one_card_settles_it(web: WebSide) -> None:
    await web.owe("several", "insufficient_funds")
    case = await failed_again(web, "several", ago=60)
    await another(web, "several", "several_b", 2100, ago=30)
    await another(web, "several", "several_c", 1000, "EUR")
    path = f"/pay/{token_of(web, case)}"
    page = await web.http.get(path)
    text = text_of(page)
    assert "Your payments to Billing These payments did not go through and are still open." in text
    assert "Invoice in_several $49.00 Invoice in_several_b $21.00 Invoice in_several_c €10.00" in text
    assert "In all €10.00 + $70.00" in text
    assert "The card that you add is charged for all of them at once." in text
    sandbox = text_of(await web.http.get(f"{path}/card"))
    assert (
        "€10.00 + $70.00 is open on invoices in_several, in_several_b, in_several_c. Choose a card."
        in sandbox
    )

    await give_a_card(web, path)
    closed = await web.closed("in_several")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    # The others take their turns one after the other, half a minute apart.
    for name in ("several_b", "several_c"):
        row = await web.case(f"in_{name}")
        assert row is not None
        story = await story_of(web, row, lambda story: bool(story.pending or story.ending))
        assert story.ending or (story.pending and story.pending.trigger is Trigger.CARD_UPDATED)


async def test_a_card_that_is_for_one_of_them_at_once_is_said_to_be(web: WebSide) -> None:
    document = PROMISING.replace(
        "name: promising\npromise: {within: 3 days}", "name: one\non_new_card: newest first"
    )
    async with web.desk.tools.database.begin() as session:
        said = {"author": "tests", "note": "", "now": datetime.now(UTC)}
        await campaigns.publish(session, document, file="one.yaml", **said)  # type: ignore[arg-type]
    await web.owe("older", "insufficient_funds")
    await web.sandbox.fail("in_older", datetime.now(UTC) - timedelta(hours=1), "insufficient_funds")
    await web.owe("newer", customer="cus_older")
    for name in ("older", "newer"):
        order = {"processor": "sandbox", "invoice": f"in_{name}", "campaign": "one"}
        assert (await web.api("/cases", order)).json()["became"] == "opened"
    case = await web.opened("in_older")
    await web.opened("in_newer")
    text = text_of(await web.http.get(f"/pay/{token_of(web, case)}"))
    assert "charged at once for in_newer, and for the rest later, as planned." in text


async def test_a_link_whose_own_payment_is_settled_leads_on_to_what_is_open(web: WebSide) -> None:
    case = await promising_case(web, "settled")
    path = f"/pay/{token_of(web, case)}"
    day = days_on(await web.http.get(path))[0]
    other = await another(web, "settled", "unsettled", 2100)
    await web.sandbox.pay_elsewhere("in_settled", datetime.now(UTC))
    await web.post((await web.sandbox.events())[-1].body)
    await web.closed("in_settled")

    page = await web.http.get(path)
    text = text_of(page)
    assert "The payment that this link was for is no longer open. What is still open:" in text
    assert "Invoice in_unsettled $21.00" in text
    assert "In all" not in text, "one amount needs no sum"
    assert "It is charged as soon as you have added it." in text
    assert days_on(page) == []
    # What was chosen for the payment that is settled is not taken for another.
    for kind, form in (("promise", {"day": day}), ("confirm", {}), ("cancel", {})):
        answer = await web.http.post(f"{path}/{kind}", data=form)
        assert "This payment is no longer open" in answer.text
        assert f'href="{path}"' in answer.text
    row = await web.case("in_unsettled")
    assert row is not None
    assert (row.outcome, row.story) == (other.outcome, other.story)

    await give_a_card(web, path)
    closed = await web.closed("in_unsettled")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    assert "Nothing left to do" in (await web.http.get(path)).text


@pytest.mark.parametrize(
    ("locale", "only"), [("en", "This is about invoice"), ("de", "Das betrifft nur die Rechnung")]
)
async def test_a_promise_is_for_the_link_s_own_invoice(web: WebSide, locale: str, only: str) -> None:
    name = f"own_{locale}"
    case = await promising_case(web, name, locale=locale)
    assert only not in text_of(await web.http.get(f"/pay/{token_of(web, case)}"))
    other = await another(web, name, f"{name}_b", 2100)
    text = text_of(await web.http.get(f"/pay/{token_of(web, case)}"))
    assert f"{only} in_{name}" in text
    assert f"{only} in_{name}_b" not in text
    assert f"in_{name} " in text_of(await web.http.get(f"/pay/{token_of(web, other)}"))


async def test_the_bank_s_confirmation_is_for_the_link_s_own_invoice(web: WebSide) -> None:
    case = await asked_by_the_bank(web, "confirms_one")
    await another(web, "confirms_one", "confirms_other", 2100)
    path = f"/pay/{token_of(web, case)}"
    text = text_of(await web.http.get(path))
    assert "it takes about a minute. This is about invoice in_confirms_one only." in text
    answer = await web.http.post(f"{path}/confirm")
    assert answer.headers["location"].endswith("/sandbox/pay/in_confirms_one")


async def test_what_is_imagined_and_what_others_owe_is_not_shown(web: WebSide) -> None:
    case = await web.failed("modest", "insufficient_funds")
    await web.failed("stranger")
    text = text_of(await web.http.get(f"/pay/{token_of(web, case)}"))
    assert "in_stranger" not in text
    assert "$49.00 is open on invoice in_modest." in text
