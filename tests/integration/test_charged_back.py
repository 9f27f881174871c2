"""A payment that was recovered and is disputed later: a case of its own, told to a person, that charges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.story import Outcome
from store import cases
from tests.integration.web_side import until

if TYPE_CHECKING:
    from store.tables import AlertRow, CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

SAID = {"by": "ada@example.com", "why": "settled by phone"}


async def recovered(web: WebSide, name: str) -> CaseRow:
    """Let a payment fail, and the customer's new card recover it."""
    await web.failed(name, "insufficient_funds")
    for event in await web.happened(web.sandbox.add_card(f"cus_{name}", f"card_{name}_2", "paid")):
        await web.post(event.body)
    case = await web.closed(f"in_{name}")
    assert (case.outcome, case.episode) == (Outcome.RECOVERED, 1)
    return case


async def charged_back(web: WebSide, name: str) -> tuple[CaseRow, CaseRow]:
    """Let a recovered payment be disputed, and the event come three times; gives both cases."""
    first = await recovered(web, name)
    [disputed] = await web.happened(web.sandbox.dispute(f"in_{name}", first.reserved_at))
    answers = [await web.post(disputed.body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    await web.settled(disputed.id)
    return first, await web.opened(f"in_{name}")


async def made(web: WebSide, name: str) -> list[str]:
    return [str(charge.result) for charge in await web.sandbox.charges() if charge.invoice == f"in_{name}"]


async def test_a_recovered_payment_that_is_disputed_is_a_new_case_for_a_person(web: WebSide) -> None:
    first, second = await charged_back(web, "chargeback")
    assert (second.episode, second.status, second.outcome) == (2, "needs review", None)
    assert second.workflow_id == "recovery/sandbox/main/in_chargeback/2"
    assert (second.amount, second.currency, second.customer) == (4900, "USD", "cus_chargeback")
    assert "the payment was charged back on" in second.sentence
    assert "the customer disputes the payment at the bank; decide whether" in second.sentence
    [alert] = await web.alerts(second.id)
    assert alert.kind == "charged back"
    assert first.id in alert.text
    again = await web.case("in_chargeback")
    assert again is not None
    assert again.id == second.id
    assert any(line.key == "charged back" for line in await web.journal(first.id))
    assert await web.alerts(first.id) == []
    assert await made(web, "chargeback") == ["paid"]


async def test_nothing_has_a_payment_charged_again_that_was_charged_back(web: WebSide) -> None:
    _, case = await charged_back(web, "nocharge")
    for event in await web.happened(web.sandbox.add_card("cus_nocharge", "card_nocharge_3", "paid")):
        await web.post(event.body)
    for wish in ("retry-now", "approve"):
        answer = (await web.api(f"/cases/{case.id}/{wish}", SAID)).json()
        assert answer["became"] == "refused"
        assert "a payment that was charged back is not charged again" in answer["sentence"]
    [cancelled] = await web.happened(web.sandbox.cancel_subscription("sub_in_nocharge", case.reserved_at))
    await web.post(cancelled.body)
    await web.settled(cancelled.id)
    row = await web.case("in_nocharge")
    assert row is not None
    assert (row.status, row.closed_at) == ("needs review", None)
    assert await made(web, "nocharge") == ["paid"]

    assert (await web.api(f"/cases/{case.id}/cancel", SAID)).status_code == 200
    closed = await web.closed("in_nocharge")
    assert (closed.outcome, closed.ended_by) == (Outcome.CANCELLED, "ada@example.com")


async def test_what_comes_of_the_dispute_is_told_to_the_person_who_decides(web: WebSide) -> None:
    _, case = await charged_back(web, "won")
    [over] = await web.happened(web.sandbox.close_dispute("in_won", case.reserved_at, won=True))
    await web.post(over.body)

    async def told() -> AlertRow | None:
        return next(iter((await web.alerts(case.id))[1:]), None)

    alert = await until(told)
    assert (alert.kind, "won" in alert.text) == ("charged back", True)
    row = await web.case("in_won")
    assert row is not None
    assert (row.id, row.status) == (case.id, "needs review")
    assert await made(web, "won") == ["paid"]


async def test_a_second_dispute_of_an_invoice_opens_no_third_case(web: WebSide) -> None:
    _, case = await charged_back(web, "twice")
    [more] = await web.happened(web.sandbox.dispute("in_twice", case.reserved_at))
    await web.post(more.body)
    await web.settled(more.id)
    found = await until(lambda: web.case("in_twice"))
    assert (found.id, found.episode, found.status) == (case.id, 2, "needs review")


async def test_a_dispute_whose_case_was_reserved_while_temporal_was_away_is_opened_by_the_next_try(
    web: WebSide,
) -> None:
    first = await recovered(web, "away")
    async with web.desk.tools.database.begin() as session:
        await cases.reserve_next(session, first, first.reserved_at)
    [disputed] = await web.happened(web.sandbox.dispute("in_away", first.reserved_at))
    await web.post(disputed.body)
    second = await web.opened("in_away")
    assert (second.episode, second.status) == (2, "needs review")
    assert [alert.kind for alert in await web.alerts(second.id)] == ["charged back"]


async def test_a_payment_that_was_paid_and_refunded_meanwhile_stops_the_charges(web: WebSide) -> None:
    case = await web.failed("refunded")
    await web.happened(web.sandbox.pay_elsewhere("in_refunded", case.reserved_at))
    [refunded] = await web.happened(web.sandbox.refund("in_refunded", case.reserved_at))
    await web.post(refunded.body)
    closed = await web.closed("in_refunded")
    assert closed.outcome == Outcome.RECOVERED_ELSEWHERE
    assert await made(web, "refunded") == []
