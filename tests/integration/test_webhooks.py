"""Events that come in over HTTP: believed or refused, stored once, and handed to the cases they concern."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from campaigns.story import Lever, Outcome
from store import events
from tests.integration.web_side import until
from tests.stand_ins.stripe_webhooks import signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.web_side import Counts, WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

SANDBOX_SECRET = "whsec_sandbox"


async def test_a_failure_that_is_reported_is_stored_once_and_opens_a_case(web: WebSide) -> None:
    before = await web.counts()
    event = await web.owe("first")
    answer = await web.post(event.body)
    assert answer.status_code == 200
    assert (answer.json()["received"], answer.json()["new"]) == (event.id, True)
    case = await web.opened("in_first")
    row = await web.settled(event.id)
    assert (row.source, row.type, row.state) == ("sandbox", "invoice.payment_failed", events.HANDED_ON)
    assert row.body.encode() == event.body
    assert row.case_id == case.id
    assert (case.amount, case.currency, case.customer) == (4900, "USD", "cus_first")
    assert (case.decline, case.status, case.next_step) == (
        "insufficient_funds",
        "waiting",
        "first-notice.charge",
    )
    described = await web.desk.temporal.get_workflow_handle(case.workflow_id).describe()
    assert await described.static_summary() == "$49.00 · insufficient funds · cus_first · standard"
    after = await until(lambda: _more_workflows(web, before.workflows))
    assert (after.events - before.events, after.cases - before.cases) == (1, 1)
    assert after.workflows - before.workflows == 1


async def _more_workflows(web: WebSide, than: int) -> Counts | None:
    counts = await web.counts()
    return counts if counts.workflows > than else None


async def test_a_failure_that_is_delivered_again_and_again_is_one_case(web: WebSide) -> None:
    before = await web.counts()
    event = await web.owe("again")
    answers = [await web.post(event.body)]
    answers += await asyncio.gather(web.post(event.body), web.post(event.body))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["new"] for answer in answers] == [True, False, False]
    case = await web.opened("in_again")
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (1, 1)
    handle = web.desk.temporal.get_workflow_handle(case.workflow_id)
    history = await handle.fetch_history()
    signals = [
        item for item in history.events if item.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert len(signals) == 1
    assert [line.key for line in await web.journal(case.id)] == ["opened"]


async def test_a_failure_that_is_delivered_twice_in_the_same_moment_is_one_case(web: WebSide) -> None:
    before = await web.counts()
    event = await web.owe("moment")
    answers = await asyncio.gather(*(web.post(event.body) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert sorted(answer.json()["new"] for answer in answers) == [False] * 5 + [True]
    await web.opened("in_moment")
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (1, 1)


async def test_two_events_of_one_failure_reach_one_case(web: WebSide) -> None:
    first = await web.owe("both")
    second = json.dumps({**first.content, "id": f"{first.id}_b", "type": "invoice.payment_action_required"})
    before = await web.counts()
    answers = await asyncio.gather(web.post(first.body), web.post(second.encode()))
    assert [answer.status_code for answer in answers] == [200, 200]
    case = await web.opened("in_both")
    rows = [await web.settled(first.id), await web.settled(f"{first.id}_b")]
    assert {row.case_id for row in rows} == {case.id}
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (2, 1)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("unsigned", "not to be trusted"),
        ("empty signature", "not to be trusted"),
        ("wrong secret", "not to be trusted"),
        ("changed body", "not to be trusted"),
        ("six minutes old", "not to be trusted"),
        ("garbled signature", "not to be trusted"),
        ("signature that is no text", "not to be trusted"),
    ],
)
async def test_an_event_that_cannot_be_trusted_leaves_no_trace(
    web: WebSide, trouble: str, reason: str
) -> None:
    event = await web.owe(trouble.replace(" ", "_"))
    before, body = await web.counts(), event.body
    headers: dict[str, dict[str, str | bytes]] = {
        "unsigned": {},
        "empty signature": {"Stripe-Signature": ""},
        "wrong secret": {"Stripe-Signature": signature(body, "whsec_of_somebody_else")},
        "changed body": {"Stripe-Signature": signature(body + b" ", SANDBOX_SECRET)},
        "six minutes old": {"Stripe-Signature": signature(body, SANDBOX_SECRET, int(time.time()) - 360)},
        "garbled signature": {"Stripe-Signature": "t=now,v1=yes"},
        "signature that is no text": {"Stripe-Signature": b"t=1,v1=\xff\xfe"},
    }
    sent = [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in headers[trouble].items()
    ]
    answer = await web.http.post("/webhooks/sandbox", content=body, headers=sent)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert SANDBOX_SECRET not in answer.text
    assert await web.event(event.id) is None
    assert await web.case(f"in_{trouble.replace(' ', '_')}") is None
    assert await web.counts() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'"text"',
        b"[]",
        b"null",
        b"{}",
        b'{"id": "evt_1", "type": "invoice.payment_failed"}',
        b'{"id": 7, "type": "x", "created": 1, "livemode": false, "request_key": null, "data": {}}',
        b'{"id": "", "type": "x", "created": 1, "livemode": false, "request_key": null, "data": {}}',
        b'{"id": "evt_1", "type": "x", "created": 1e99, "livemode": false, "request_key": null, "data": {}}',
        b'{"id": "e\\u0000", "type": "x", "created": 1, "livemode": false, "request_key": null, "data": {}}',
        b'{"id": "e\\ud800", "type": "x", "created": 1, "livemode": false, "request_key": null, "data": {}}',
        b"\xff\xfe",
        b"[" * 200_000,
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_what_is_signed_and_yet_no_event_leaves_no_trace(web: WebSide, body: bytes) -> None:
    before = await web.counts()
    for processor in ("sandbox", "stripe"):
        answer = await web.post(body, processor=processor)
        assert answer.status_code == 400, processor
        assert answer.json()["error"]
    assert await web.counts() == before


async def test_a_body_that_is_too_large_is_refused_without_being_read(web: WebSide) -> None:
    before = await web.counts()
    body = b'{"id": "evt_large", "padding": "' + b"x" * (1024 * 1024) + b'"}'
    answer = await web.post(body)
    assert answer.status_code == 413
    assert "larger than 1048576 bytes" in answer.json()["error"]

    async def of_a_length_not_told() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 65536

    headers = {"Stripe-Signature": "x"}
    answer = await web.http.post("/webhooks/sandbox", content=of_a_length_not_told(), headers=headers)
    assert answer.status_code == 413
    assert await web.counts() == before


async def test_an_event_of_a_processor_that_nobody_configured_is_refused(web: WebSide) -> None:
    event = await web.owe("elsewhere")
    before = await web.counts()
    answer = await web.post(event.body, processor="paypal", header=web.sandbox.sign(event.body))
    assert answer.status_code == 404
    assert "no processor is called 'paypal'" in answer.json()["error"]
    assert await web.counts() == before


async def test_an_event_of_a_type_that_means_nothing_is_stored_and_ignored(web: WebSide) -> None:
    event = await web.owe("unknown_type")
    body = json.dumps({**event.content, "id": f"{event.id}_x", "type": "coupon.created"}).encode()
    before = await web.counts()
    answer = await web.post(body)
    assert answer.status_code == 200
    assert answer.json()["means"][0]["kind"] == "ignored"
    row = await web.settled(f"{event.id}_x")
    assert row.state == events.IGNORED
    assert "coupon.created" in (row.why or "")
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (1, 0)
    assert await web.case("in_unknown_type") is None


async def test_the_failure_of_our_own_retry_is_no_new_failure(web: WebSide) -> None:
    case = await web.failed("own", "insufficient_funds")
    answer = await web.api(f"/cases/{case.id}/retry-now", {"by": "ops", "why": "the customer called"})
    assert answer.json()["became"] == "granted", answer.text
    ours = await until(lambda: _our_failure(web, "in_own"))
    assert (await web.post(ours)).status_code == 200
    row = await web.settled(json.loads(ours)["id"])
    assert (row.state, row.why) == (events.IGNORED, "our own charge, reported back")
    details = (await web.look(f"/cases/{case.id}")).json()
    assert [(item["trigger"], item["state"]) for item in details["attempts"]] == [("operator", "declined")]
    assert len([charge for charge in await web.sandbox.charges() if charge.invoice == "in_own"]) == 1


async def _our_failure(web: WebSide, invoice: str) -> bytes | None:
    for event in await web.sandbox.events():
        if event.content["request_key"] and event.content["data"].get("invoice") == invoice:
            return event.body
    return None


async def test_a_live_event_in_a_test_installation_does_nothing(web: WebSide) -> None:
    event = await web.owe("live")
    before = await web.counts()
    body = json.dumps({**event.content, "livemode": True}).encode()
    assert (await web.post(body)).status_code == 200
    row = await web.settled(event.id)
    assert row.state == events.IGNORED
    assert row.why == "a live event, and this installation is a test one"
    after = await web.counts()
    assert (after.cases, after.workflows) == (before.cases, before.workflows)


async def test_a_new_card_reaches_every_open_case_of_its_customer(web: WebSide) -> None:
    await web.failed("many")
    await web.failed("many_2", customer="cus_many", amount=1900)
    other = await web.failed("many_not")
    told = await web.happened(web.sandbox.add_card("cus_many", "card_many_new", "paid", last4="4444"))
    assert [event.type for event in told] == ["card.attached", "customer.default_card_changed"]
    for event in told:
        assert (await web.post(event.body)).status_code == 200
    closed = [await web.closed("in_many"), await web.closed("in_many_2")]
    assert [(case.outcome, case.lever) for case in closed] == [(Outcome.RECOVERED, Lever.CARD_UPDATE)] * 2
    charges = [charge for charge in await web.sandbox.charges() if charge.method == "card_many_new"]
    assert sorted(charge.invoice for charge in charges) == ["in_many", "in_many_2"]
    assert [await web.sandbox.paid_total(name) for name in ("in_many", "in_many_2")] == [4900, 1900]
    # In which order the second event and the close came is chance; that nothing more was done is not.
    assert {(await web.settled(event.id)).state for event in told} <= {events.HANDED_ON, events.IGNORED}
    again = await web.case("in_many_not")
    assert again is not None
    assert (again.closed_at, again.status) == (None, other.status)


async def test_a_payment_made_elsewhere_ends_the_case_without_a_charge(web: WebSide) -> None:
    case = await web.failed("transfer")
    [paid] = await web.happened(web.sandbox.pay_elsewhere("in_transfer", case.reserved_at))
    assert (await web.post(paid.body)).status_code == 200
    closed = await web.closed("in_transfer")
    assert closed.outcome == Outcome.RECOVERED_ELSEWHERE
    assert [charge for charge in await web.sandbox.charges() if charge.invoice == "in_transfer"] == []


async def test_a_cancelled_subscription_ends_its_case(web: WebSide) -> None:
    case = await web.failed("ended")
    [ended] = await web.happened(web.sandbox.cancel_subscription("sub_in_ended", case.reserved_at))
    assert (await web.post(ended.body)).status_code == 200
    closed = await web.closed("in_ended")
    assert (closed.outcome, closed.ended_by) == (Outcome.CANCELLED, "billing service")


async def test_a_fact_about_a_closed_case_is_settled_once_and_reopens_nothing(web: WebSide) -> None:
    case = await web.failed("late")
    [paid] = await web.happened(web.sandbox.pay_elsewhere("in_late", case.reserved_at))
    await web.post(paid.body)
    closed = await web.closed("in_late")
    [disputed] = await web.happened(web.sandbox.dispute("in_late", case.reserved_at))
    answers = [await web.post(disputed.body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    row = await web.settled(disputed.id)
    assert (row.state, row.case_id) == (events.HANDED_ON, case.id)
    assert "is closed: recovered elsewhere" in (row.why or "")
    result = await web.desk.temporal.get_workflow_handle(f"late/{case.id}/{disputed.id}").result()
    assert "came after the end and changed nothing" in result
    assert await web.late_facts(case.id) == [f"late.{disputed.id}"]
    [alert] = await web.alerts(case.id)
    assert "disputes the payment" in alert.kind
    again = await web.case("in_late")
    assert again is not None
    assert (again.closed_at, again.outcome) == (closed.closed_at, closed.outcome)
    workflows = await web.desk.temporal.count_workflows(f"WorkflowId = '{case.workflow_id}'")
    assert workflows.count == 1


async def test_an_invoice_that_fails_again_after_its_case_closed_starts_no_second_one(web: WebSide) -> None:
    event = await web.owe("twice")
    await web.post(event.body)
    case = await web.opened("in_twice")
    [ended] = await web.happened(web.sandbox.cancel_subscription("sub_in_twice", case.reserved_at))
    await web.post(ended.body)
    await web.closed("in_twice")
    before = await web.counts()
    body = json.dumps({**event.content, "id": f"{event.id}_again"}).encode()
    assert (await web.post(body)).status_code == 200
    await web.settled(f"{event.id}_again")
    await until(lambda: web.late_facts(case.id))
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (1, 0)
    assert await web.sandbox.charges() == tuple(
        c for c in await web.sandbox.charges() if c.invoice != "in_twice"
    )
