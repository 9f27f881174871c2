"""What happens at the sandbox without us, and the events that tell of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from errors import (
    BadInput,
    BadSignature,
    NotKnown,
    ProcessorRefused,
)
from processors.protocol import (
    ChangeResult,
    ChargeRequest,
    InvoiceState,
    PaidBy,
    ReinstateResult,
    ReportKind,
    SubscriptionChange,
)
from processors.sandbox import SandboxProcessor
from processors.sandbox_events import MEANINGS
from processors.sandbox_events import sign as sign_at
from tests.unit.sandbox_story import (
    DAY_0,
    PAID,
    SECRET,
    day,
    last_event,
    opened,
    owe,
    request,
    told,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


async def test_a_bank_transfer_pays_elsewhere(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    before = await last_event(sandbox)
    await sandbox.pay_elsewhere("in_1", day(4))
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.state, invoice.paid_by) == (InvoiceState.PAID, PaidBy.ELSEWHERE)
    (report,) = await told(sandbox, before)
    assert (report.kind, report.invoice, report.at, report.ours) == (
        ReportKind.PAYMENT_SUCCEEDED,
        "in_1",
        day(4),
        False,
    )
    assert (report.why, report.amount, report.currency) == ("the invoice was paid (elsewhere)", 4900, "USD")
    with pytest.raises(BadInput, match="is paid"):
        await sandbox.pay_elsewhere("in_1", day(5))
    assert await sandbox.charges() == ()


async def test_the_processor_plans_its_own_retries_and_may_refuse_to_give_them_up(
    sandbox: SandboxProcessor,
) -> None:
    await sandbox.add_customer("cus_1", None, None)
    await sandbox.add_invoice("in_1", "cus_1", 100, processor_retries_at=day(3))
    await sandbox.plan_retry("in_1", day(5))
    await sandbox.refuse_take_over(1)
    with pytest.raises(ProcessorRefused, match="go on retrying in_1"):
        await sandbox.take_over_retries("main", "in_1", "dunwell/take")
    assert (await sandbox.read_invoice("main", "in_1")).processor_retries_at == day(5)
    await sandbox.take_over_retries("main", "in_1", "dunwell/take")
    assert (await sandbox.read_invoice("main", "in_1")).processor_retries_at is None
    await sandbox.plan_retry("in_1", day(6))
    await sandbox.plan_retry("in_1")
    assert (await sandbox.read_invoice("main", "in_1")).processor_retries_at is None


async def test_the_processor_retries_by_itself_until_that_is_taken_over(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None)
    await sandbox.add_card("cus_1", "card_1", "paid")
    await sandbox.add_invoice("in_1", "cus_1", 100, processor_retries_at=day(3))
    await sandbox.retry_itself("in_1", day(1), "insufficient_funds")
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.processor_retries_at, invoice.failed_at) == (day(3), day(1))
    before = await last_event(sandbox)
    await sandbox.take_over_retries("main", "in_1", "dunwell/take")
    await sandbox.take_over_retries("main", "in_1", "dunwell/take")
    assert (await sandbox.read_invoice("main", "in_1")).processor_retries_at is None
    assert [(r.kind, r.ours) for r in await told(sandbox, before)] == [(ReportKind.IGNORED, True)]
    await sandbox.retry_itself("in_1", day(3))
    assert (await sandbox.read_invoice("main", "in_1")).paid_by is PaidBy.PROCESSOR
    assert await sandbox.charges() == ()
    assert await sandbox.paid_total("in_1") == 100


async def test_a_dispute_stays_until_it_is_won(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.charge(request("a"))
    before = await last_event(sandbox)
    await sandbox.dispute("in_1", day(20))
    assert (await sandbox.read_invoice("main", "in_1")).disputed
    await sandbox.close_dispute("in_1", day(40), won=False)
    assert (await sandbox.read_invoice("main", "in_1")).disputed
    await sandbox.close_dispute("in_1", day(50), won=True)
    assert not (await sandbox.read_invoice("main", "in_1")).disputed
    await sandbox.refund("in_1", day(60))
    assert [(report.kind, report.invoice) for report in await told(sandbox, before)] == [
        (ReportKind.DISPUTED, "in_1"),
        (ReportKind.DISPUTE_CLOSED, "in_1"),
        (ReportKind.DISPUTE_CLOSED, "in_1"),
        (ReportKind.REFUNDED, "in_1"),
    ]


async def test_a_payment_can_be_under_way(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.set_pending("in_1", pending=True)
    assert (await sandbox.read_invoice("main", "in_1")).pending
    await sandbox.fail("in_1", day(2), "insufficient_funds")
    assert not (await sandbox.read_invoice("main", "in_1")).pending


@pytest.mark.parametrize("change", SubscriptionChange)
async def test_a_subscription_is_changed_once(sandbox: SandboxProcessor, change: SubscriptionChange) -> None:
    await owe(sandbox, "insufficient_funds")

    async def end(key: str) -> ChangeResult:
        return await sandbox.change_subscription("main", "sub_in_1", "in_1", change, key)

    before = await last_event(sandbox)
    assert [await end("dunwell/a"), await end("dunwell/a")] == [ChangeResult.DONE] * 2
    assert await end("dunwell/b") is ChangeResult.ALREADY_SO
    calls = await sandbox.subscription_calls()
    assert [(call.subscription, call.change, call.result, call.key) for call in calls] == [
        ("sub_in_1", change, ChangeResult.DONE, "dunwell/a"),
        ("sub_in_1", change, ChangeResult.ALREADY_SO, "dunwell/b"),
    ]
    (report,) = await told(sandbox, before)
    ended = change is SubscriptionChange.CANCEL_NOW
    assert (await sandbox.read_invoice("main", "in_1")).subscription_ended is ended
    assert report.kind is (ReportKind.CANCELLED if ended else ReportKind.IGNORED)
    assert (report.ours, report.subscription) == (True, "sub_in_1")


async def test_a_cancelled_subscription_is_already_so(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    before = await last_event(sandbox)
    await sandbox.cancel_subscription("sub_in_1", day(2))
    await sandbox.cancel_subscription("sub_in_1", day(3))
    (report,) = await told(sandbox, before)
    assert (report.kind, report.subscription, report.customer) == (ReportKind.CANCELLED, "sub_in_1", "cus_1")
    assert not report.ours
    for number, change in enumerate(SubscriptionChange):
        result = await sandbox.change_subscription("main", "sub_in_1", "in_1", change, f"k{number}")
        assert result is ChangeResult.ALREADY_SO


@pytest.mark.parametrize("change", [c for c in SubscriptionChange if c != "cancel_now"])
async def test_a_change_is_undone_once(sandbox: SandboxProcessor, change: SubscriptionChange) -> None:
    await owe(sandbox, "insufficient_funds")
    await sandbox.change_subscription("main", "sub_in_1", "in_1", change, "dunwell/a")

    async def reinstate(key: str) -> ReinstateResult:
        return await sandbox.reinstate("main", "sub_in_1", "in_1", change, key)

    before = await last_event(sandbox)
    assert [await reinstate("dunwell/b"), await reinstate("dunwell/b")] == [ReinstateResult.DONE] * 2
    assert await reinstate("dunwell/c") is ReinstateResult.ALREADY_SO
    assert [
        (call.change, call.undone, call.result, call.key) for call in await sandbox.subscription_calls()
    ] == [
        (change, False, ChangeResult.DONE, "dunwell/a"),
        (change, True, ReinstateResult.DONE, "dunwell/b"),
        (change, True, ReinstateResult.ALREADY_SO, "dunwell/c"),
    ]
    (report,) = await told(sandbox, before)
    assert (report.kind, report.ours, report.subscription) == (ReportKind.IGNORED, True, "sub_in_1")
    # It goes on, and so it can be stopped again.
    again = await sandbox.change_subscription("main", "sub_in_1", "in_1", change, "dunwell/d")
    assert again is ChangeResult.DONE


@pytest.mark.parametrize("change", SubscriptionChange)
async def test_what_has_ended_is_not_taken_up_again(
    sandbox: SandboxProcessor, change: SubscriptionChange
) -> None:
    await owe(sandbox, "insufficient_funds")
    await sandbox.change_subscription("main", "sub_in_1", "in_1", change, "dunwell/a")
    await sandbox.cancel_subscription("sub_in_1", day(2))
    before = await last_event(sandbox)

    result = await sandbox.reinstate("main", "sub_in_1", "in_1", change, "dunwell/b")

    assert result is ReinstateResult.IMPOSSIBLE
    assert (await sandbox.read_invoice("main", "in_1")).subscription_ended
    assert await told(sandbox, before) == []


async def test_what_somebody_else_did_to_a_subscription_is_not_undone(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    paused, ending = SubscriptionChange.PAUSE, SubscriptionChange.CANCEL_AT_PERIOD_END
    await sandbox.change_subscription("main", "sub_in_1", "in_1", paused, "dunwell/a")
    await sandbox.change_subscription("main", "sub_in_1", "in_1", ending, "theirs")

    result = await sandbox.reinstate("main", "sub_in_1", "in_1", paused, "dunwell/b")

    assert result is ReinstateResult.IMPOSSIBLE
    assert await sandbox.reinstate("main", "sub_in_1", "in_1", ending, "theirs/b") is ReinstateResult.DONE


async def test_a_subscription_of_another_account_is_not_reinstated(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    with pytest.raises(NotKnown):
        await sandbox.reinstate("acct_2", "sub_in_1", "in_1", SubscriptionChange.PAUSE, "k")


async def test_a_subscription_key_is_not_to_be_used_for_something_else(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.PAUSE, "k")
    with pytest.raises(ProcessorRefused, match="another key"):
        await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.CANCEL_NOW, "k")


async def test_the_card_page_is_served_by_our_own_web_side(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    assert await sandbox.card_page("main", "cus_1", "https://shop.example") == ""


async def test_one_new_card_is_told_by_two_events_with_one_method(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    before = await last_event(sandbox)
    await sandbox.add_card("cus_1", "card_2", "paid", at=day(2.5))
    reports = await told(sandbox, before)
    assert [(report.kind, report.method, report.customer, report.at) for report in reports] == [
        (ReportKind.CARD_UPDATED, "card_2", "cus_1", day(2.5))
    ] * 2
    assert len({report.event for report in reports}) == 2


async def test_a_renewed_card_keeps_its_id_and_tells_each_renewal(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "expired_card")
    await sandbox.charge(request("a"))
    before = await last_event(sandbox)
    await sandbox.renew_card("card_1", "expired_card", day(2))
    await sandbox.renew_card("card_1", "paid", day(3))
    reports = await told(sandbox, before)
    assert {report.method for report in reports} == {"card_1"}
    assert len({report.renewed for report in reports}) == 2
    assert (await sandbox.charge(request("b", 3))).result is PAID


async def test_our_own_charge_is_known_as_ours(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds/try_again_later, 3ds, paid")
    before = await last_event(sandbox)
    await sandbox.charge(request("a"))
    await sandbox.charge(ChargeRequest("main", "in_1", "somebody-else", day(2)))
    await sandbox.charge(request("c", 3))
    reports = await told(sandbox, before)
    assert [(report.kind, report.decline, report.advice, report.ours) for report in reports] == [
        (ReportKind.PAYMENT_FAILED, "insufficient_funds", "try_again_later", True),
        (ReportKind.PAYMENT_FAILED, "authentication_required", None, False),
        (ReportKind.PAYMENT_SUCCEEDED, None, None, True),
    ]
    assert reports[0].why == "the payment was declined: insufficient funds"
    assert [report.payment for report in reports] == [entry.payment for entry in await sandbox.charges()]


async def test_customers_change_and_go(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    before = await last_event(sandbox)
    await sandbox.change_customer("cus_1", day(1), email="ada@new.example", attributes={"tier": "gold"})
    customer = (await sandbox.read_invoice("main", "in_1")).customer
    assert (customer.email, customer.name, customer.attributes) == (
        "ada@new.example",
        "Ada",
        {"tier": "gold"},
    )
    await sandbox.remove_card("card_1", day(2))
    await sandbox.delete_customer("cus_1", day(3))
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.card, invoice.subscription_ended) == (None, True)
    assert [report.kind for report in await told(sandbox, before)] == [
        ReportKind.CUSTOMER_CHANGED,
        ReportKind.CUSTOMER_CHANGED,
        ReportKind.CUSTOMER_DELETED,
    ]


async def test_events_are_numbered_in_order_and_their_ids_differ_between_books(
    sandbox: SandboxProcessor, tmp_path: Path
) -> None:
    other = SandboxProcessor(tmp_path / "other.db", SECRET)
    for processor in (sandbox, other):
        await owe(processor, "insufficient_funds")
    events = await sandbox.events()
    assert [event.number for event in events] == [1, 2, 3]
    assert sorted(event.id for event in events) == [event.id for event in events]
    assert not {event.id for event in events} & {event.id for event in await other.events()}
    assert [event.number for event in await sandbox.events(after=2)] == [3]
    await other.close()


async def test_an_event_has_the_format_that_is_promised(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    event = (await sandbox.events())[-1]
    assert event.type == "invoice.payment_failed"
    assert event.content == {
        "id": event.id,
        "type": "invoice.payment_failed",
        "created": int(DAY_0.timestamp()),
        "livemode": False,
        "request_key": None,
        "data": {
            "account": "main",
            "invoice": "in_1",
            "subscription": "sub_in_1",
            "customer": "cus_1",
            "payment": event.content["data"]["payment"],
            "charge": event.content["data"]["charge"],
            "attempted": "declined",
            "initiator": "merchant",
            "method": "card_1",
            "fingerprint": "fp_card_1",
            "network": "mastercard",
            "rail": "card",
            "amount": 4900,
            "currency": "USD",
            "decline": "insufficient_funds",
            "first_payment": False,
            "sent_for_payment": False,
        },
    }


def test_every_kind_of_report_has_an_event_where_it_is_not_told_along_with_another() -> None:
    along = {ReportKind.IGNORED, ReportKind.ATTEMPTED}
    assert {kind for kind, _ in MEANINGS.values()} == set(ReportKind) - along


async def test_a_signed_event_is_believed(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    for event in await sandbox.events():
        sandbox.verify(event.body, sandbox.sign(event.body))


def test_an_event_that_is_unsigned_wrong_or_old_is_not_believed(tmp_path: Path) -> None:
    sandbox = SandboxProcessor(tmp_path / "books.db", SECRET)
    body, now = b'{"id": "evt_1"}', int(time.time())
    wrong = (
        None,
        "",
        "nonsense",
        f"t={now}",
        f"t={now},v1=é",
        sign_at(body, "another secret", now),
        sign_at(body + b" ", SECRET, now),
        sign_at(body, SECRET, now - 310),
    )
    for signature in wrong:
        with pytest.raises(BadSignature):
            sandbox.verify(body, signature)
    with pytest.raises(BadSignature):
        sandbox.verify(b"\xff", sign_at(b"\xff", SECRET, now))
    sandbox.verify(body, sign_at(body, SECRET, now - 290))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"id": "evt_1", "type": "x", "data": 3, "created": 1, "livemode": 0}',
    ],
)
def test_what_is_no_event_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(BadInput, match="no event of the sandbox's"):
        SandboxProcessor(tmp_path / "books.db", SECRET).reports(body)


def test_an_event_of_no_interest_is_ignored_with_a_reason(tmp_path: Path) -> None:
    event = {
        "id": "evt_1",
        "type": "tax.{x.y}",
        "created": 1,
        "livemode": True,
        "request_key": None,
        "data": {},
    }
    (report,) = SandboxProcessor(tmp_path / "books.db", SECRET).reports(json.dumps(event).encode())
    assert (report.kind, report.livemode, report.account) == (ReportKind.IGNORED, True, "main")
    assert report.why == "an event of the type tax.{x.y} does not concern a failed payment"
