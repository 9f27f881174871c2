"""The sandbox processor: what is read from it, and what its charges do to its books."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from errors import (
    BadInput,
    Conflict,
    NotKnown,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.protocol import (
    InvoiceState,
    PaidBy,
    ReportKind,
    SubscriptionChange,
)
from processors.sandbox import SandboxProcessor
from processors.sandbox_books import ADDED
from tests.unit.sandbox_story import (
    DAY_0,
    DECLINED,
    NEEDS_CUSTOMER,
    NOTHING_TO_PAY,
    PAID,
    SECRET,
    day,
    last_event,
    opened,
    owe,
    request,
    results,
    told,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from processors.protocol import Processor


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


async def test_it_is_a_processor(sandbox: SandboxProcessor) -> None:
    processor: Processor = sandbox
    assert processor.name == "sandbox"


async def test_an_invoice_is_read_with_its_customer_and_card(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.state, invoice.amount, invoice.currency) == (InvoiceState.OPEN, 4900, "USD")
    assert (invoice.plan, invoice.number, invoice.subscription) == ("team", "A-1", "sub_in_1")
    assert (invoice.decline, invoice.failed_at) == ("insufficient_funds", DAY_0)
    assert (invoice.customer.email, invoice.customer.locale) == ("ada@example.com", "pt-BR")
    assert invoice.card is not None
    assert astuple(invoice.card) == ("card_1", "mastercard", "4444", "BR", "fp_card_1", "card", False)
    assert not invoice.livemode
    assert invoice.confirm_url == "https://pay.example/sandbox/pay/in_1"


async def test_what_is_said_of_an_invoice_is_read_back(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None, timezone="Asia/Tokyo", attributes={"tier": "gold"})
    await sandbox.add_invoice(
        "in_1",
        "cus_1",
        1200,
        "JPY",
        subscription=None,
        first_payment=True,
        sent_for_payment=True,
        processor_retries_at=day(3),
        state=InvoiceState.DRAFT,
        interval="year",
        tags=("vip", "annual deal"),
    )
    invoice = await sandbox.read_invoice("main", "in_1")
    assert invoice.subscription is None
    assert not invoice.subscription_ended
    assert invoice.first_payment
    assert invoice.sent_for_payment
    assert invoice.state is InvoiceState.DRAFT
    assert invoice.processor_retries_at == day(3)
    assert (invoice.interval, invoice.tags) == ("year", ("vip", "annual deal"))
    assert invoice.customer.attributes == {"tier": "gold"}
    assert invoice.customer.timezone == "Asia/Tokyo"
    assert invoice.card is None


async def test_books_that_an_earlier_version_began_are_kept_on(tmp_path: Path) -> None:
    file = tmp_path / "books.db"
    async with opened(file) as sandbox:
        await owe(sandbox, "paid")
    with closing(sqlite3.connect(file)) as books:
        for table, column, _ in ADDED:
            books.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    async with opened(file) as sandbox:
        invoice = await sandbox.read_invoice("main", "in_1")
        assert (invoice.plan, invoice.interval, invoice.tags) == ("team", None, ())
        await sandbox.add_invoice("in_2", "cus_1", 100, interval="month", tags=["vip"])
    async with opened(file) as sandbox:
        invoice = await sandbox.read_invoice("main", "in_2")
        assert (invoice.interval, invoice.tags) == ("month", ("vip",))
        assert await sandbox.subscription_calls() == ()


async def test_an_account_sees_only_its_own(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None, account="acct_2")
    await sandbox.add_card("cus_1", "card_1", "paid")
    await sandbox.add_invoice("in_1", "cus_1", 100)
    assert (await sandbox.read_invoice("acct_2", "in_1")).id == "in_1"
    with pytest.raises(NotKnown):
        await sandbox.read_invoice("main", "in_1")
    with pytest.raises(NotKnown):
        await sandbox.charge(request("a"))
    with pytest.raises(NotKnown):
        await sandbox.card_page("main", "cus_1", "https://shop.example")
    with pytest.raises(NotKnown):
        await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.CANCEL_NOW, "k")
    assert {report.account for report in await told(sandbox)} == {"acct_2"}


async def test_what_is_not_there_is_not_known(sandbox: SandboxProcessor) -> None:
    with pytest.raises(NotKnown, match="no invoice 'in_9'"):
        await sandbox.read_invoice("main", "in_9")
    with pytest.raises(NotKnown, match="no customer 'cus_9'"):
        await sandbox.add_card("cus_9", "card_1", "paid")
    with pytest.raises(NotKnown, match="no card 'card_9'"):
        await sandbox.remove_card("card_9")
    with pytest.raises(NotKnown, match="no subscription 'sub_9'"):
        await sandbox.cancel_subscription("sub_9", DAY_0)
    with pytest.raises(NotKnown):
        await sandbox.paid_total("in_9")


async def test_an_id_is_given_once(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None)
    with pytest.raises(Conflict):
        await sandbox.add_customer("cus_1", None, None)


async def test_a_time_needs_its_zone(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    with pytest.raises(BadInput, match="time zone"):
        await sandbox.pay_elsewhere("in_1", DAY_0.replace(tzinfo=None))
    assert await sandbox.paid_total("in_1") == 0


async def test_reads_fail_as_often_as_they_were_told_to(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.set_trouble(2)
    for _ in range(2):
        with pytest.raises(ProcessorUnavailable):
            await sandbox.read_invoice("main", "in_1")
    assert (await sandbox.read_invoice("main", "in_1")).id == "in_1"
    assert (await sandbox.charge(request("a"))).result is PAID


async def test_a_card_answers_by_its_script_and_its_last_word_repeats(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds, do_not_honor/try_again_later, expired_card")
    answers = [await sandbox.charge(request(str(number), number)) for number in (1, 3, 5, 7)]
    assert [(answer.result, answer.decline, answer.advice) for answer in answers] == [
        (DECLINED, "insufficient_funds", None),
        (DECLINED, "do_not_honor", "try_again_later"),
        (DECLINED, "expired_card", None),
        (DECLINED, "expired_card", None),
    ]
    assert [entry.at for entry in await sandbox.charges()] == [day(1), day(3), day(5), day(7)]
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.decline, invoice.failed_at, invoice.state) == ("expired_card", day(7), InvoiceState.OPEN)
    assert await sandbox.paid_total("in_1") == 0


async def test_a_paid_charge_pays_the_invoice_once(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    answer = await sandbox.charge(request("a"))
    assert (answer.result, answer.method) == (PAID, "card_1")
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.state, invoice.paid_by, invoice.amount) == (InvoiceState.PAID, PaidBy.REQUEST, 0)
    assert invoice.payment == answer.payment
    assert invoice.confirm_url is None
    assert (await sandbox.charge(request("b"))).result is NOTHING_TO_PAY
    assert await results(sandbox) == [("dunwell/a", PAID, None), ("dunwell/b", NOTHING_TO_PAY, None)]
    assert await sandbox.paid_total("in_1") == 4900


async def test_the_same_key_is_the_same_charge(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds, paid")
    first = await sandbox.charge(request("a"))
    assert await sandbox.charge(request("a", 1.5)) == first
    assert first.result is DECLINED
    assert await results(sandbox) == [("dunwell/a", DECLINED, "insufficient_funds")]
    assert await sandbox.requests() == 2
    assert (await sandbox.charge(request("b"))).result is PAID


async def test_the_same_key_is_the_same_charge_in_another_process_later(
    sandbox: SandboxProcessor, tmp_path: Path
) -> None:
    await owe(sandbox, "paid")
    first = await sandbox.charge(request("a"))
    await sandbox.close()
    again = SandboxProcessor(tmp_path / "books.db", SECRET)
    assert await again.charge(request("a")) == first
    await again.close()
    assert len(await sandbox.charges()) == 1, "closed books open again when they are needed"


async def test_a_key_is_not_to_be_used_for_something_else(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    await sandbox.add_invoice("in_2", "cus_1", 100)
    await sandbox.charge(request("a"))
    with pytest.raises(ProcessorRefused, match="another key"):
        await sandbox.charge(request("a", method="card_1"))
    with pytest.raises(ProcessorRefused, match="another key"):
        await sandbox.charge(request("a", invoice="in_2"))
    assert len(await sandbox.charges()) == 1


async def test_a_customer_without_a_card_is_declined(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "", card=False)
    answer = await sandbox.charge(request("a"))
    assert (answer.result, answer.decline, answer.method) == (DECLINED, "no_payment_method", None)
    await sandbox.add_card("cus_1", "card_1", "paid", at=day(3.5))
    assert (await sandbox.charge(request("b", 3.5))).result is PAID


async def test_a_card_is_charged_by_name(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds")
    await sandbox.add_card("cus_1", "card_2", "paid", default=False, at=day(2))
    card = (await sandbox.read_invoice("main", "in_1")).card
    assert card is not None
    assert card.id == "card_1"
    assert (await sandbox.charge(request("a", method="card_2"))).method == "card_2"
    assert [entry.method for entry in await sandbox.charges()] == ["card_2"]


async def test_a_removed_or_foreign_card_is_refused(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.add_customer("cus_2", None, None)
    await sandbox.add_card("cus_2", "card_2", "paid")
    await sandbox.remove_card("card_1", day(1))
    for card in ("card_1", "card_2", "card_3"):
        with pytest.raises(ProcessorRefused, match="has no card"):
            await sandbox.charge(request(card, method=card))
    assert (await sandbox.read_invoice("main", "in_1")).card is None
    assert await sandbox.charges() == ()


async def test_a_card_is_replaced_by_the_next_default(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "stolen_card")
    assert (await sandbox.charge(request("a"))).decline == "stolen_card"
    await sandbox.add_card("cus_1", "card_2", "paid", at=day(6))
    answer = await sandbox.charge(request("b", 6))
    assert (answer.result, answer.method) == (PAID, "card_2")


async def test_each_card_has_a_script_of_its_own(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "insufficient_funds, paid")
    await sandbox.add_card("cus_1", "card_2", "expired_card, paid", default=False)
    await sandbox.charge(request("a", method="card_1"))
    assert (await sandbox.charge(request("b", method="card_2"))).decline == "expired_card"
    await sandbox.set_script("card_1", "do_not_honor")
    assert (await sandbox.charge(request("c", method="card_1"))).decline == "do_not_honor"


@pytest.mark.parametrize("state", ["void", "uncollectible", "zero"])
async def test_nothing_is_charged_that_is_not_owed(sandbox: SandboxProcessor, state: str) -> None:
    await owe(sandbox, "paid")
    if state == "void":
        await sandbox.void("in_1", day(1))
    elif state == "uncollectible":
        await sandbox.mark_uncollectible("in_1", day(1))
    else:
        await sandbox.change_amount("in_1", 0, day(1))
    assert (await sandbox.charge(request("a"))).result is NOTHING_TO_PAY
    assert await sandbox.paid_total("in_1") == 0


async def test_a_changed_amount_is_what_is_charged(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.change_amount("in_1", 2500, day(1))
    await sandbox.charge(request("a"))
    assert [entry.amount for entry in await sandbox.charges()] == [2500]
    assert await sandbox.paid_total("in_1") == 2500


async def test_the_bank_asks_the_customer_to_confirm(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "3ds, paid")
    answer = await sandbox.charge(request("a"))
    assert answer.result is NEEDS_CUSTOMER
    assert answer.confirm_url == "https://pay.example/sandbox/pay/in_1"
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.state, invoice.decline) == (InvoiceState.OPEN, "authentication_required")
    assert invoice.confirm_url == answer.confirm_url
    assert await sandbox.paid_total("in_1") == 0
    await sandbox.confirm("in_1", day(2))
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.paid_by, invoice.payment) == (PaidBy.CUSTOMER, answer.payment)
    assert await sandbox.charge(request("a")) == answer, "the key still tells what it told"
    assert await sandbox.paid_total("in_1") == 4900
    assert len(await sandbox.charges()) == 1


async def test_a_confirmation_that_expires_is_told_and_may_still_be_begun_anew(
    sandbox: SandboxProcessor,
) -> None:
    await owe(sandbox, "3ds, paid")
    with pytest.raises(BadInput, match="waits for the customer"):
        await sandbox.expire_confirmation("in_1", day(1))
    answer = await sandbox.charge(request("a"))
    before = await last_event(sandbox)
    await sandbox.expire_confirmation("in_1", day(2))
    [report] = await told(sandbox, before)
    assert (report.kind, report.unconfirmed) == (ReportKind.INVOICE_CHANGED, True)
    assert report.why == "the customer did not confirm the payment with the bank"
    assert await sandbox.paid_total("in_1") == 0
    await sandbox.confirm("in_1", day(3))
    invoice = await sandbox.read_invoice("main", "in_1")
    assert invoice.paid_by is PaidBy.CUSTOMER
    assert invoice.payment != answer.payment, "the payment that expired is another one"
