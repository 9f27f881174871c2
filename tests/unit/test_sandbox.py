"""The sandbox processor: what its scripts do, and that its books tell the truth about it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from campaigns.declines import DeclineTable
from errors import (
    AnswerLost,
    BadInput,
    BadSignature,
    Conflict,
    NotKnown,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.protocol import (
    ChangeResult,
    ChargeRequest,
    ChargeResult,
    InvoiceState,
    PaidBy,
    ReportKind,
    SubscriptionChange,
)
from processors.sandbox import SandboxProcessor
from processors.sandbox_events import MEANINGS
from processors.sandbox_events import sign as sign_at
from processors.sandbox_script import DECLINE_CODES, Outcome, ScriptedAnswer, parse_script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processors.protocol import Processor, Report

ROOT = Path(__file__).parents[2]
SECRET = "whsec_sandbox"
DAY_0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAID, DECLINED = ChargeResult.PAID, ChargeResult.DECLINED
NEEDS_CUSTOMER, NOTHING_TO_PAY = ChargeResult.NEEDS_CUSTOMER, ChargeResult.NOTHING_TO_PAY


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def request(key: str, at: float = 1, *, invoice: str = "in_1", method: str | None = None) -> ChargeRequest:
    return ChargeRequest("main", invoice, f"dunwell/{key}", day(at), method)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    processor = SandboxProcessor(tmp_path / "books.db", SECRET, public_url="https://pay.example/")
    yield processor
    await processor.close()


async def owe(sandbox: SandboxProcessor, script: str, *, card: bool = True) -> SandboxProcessor:
    """Let Ada owe 49.00 on ``in_1`` since day 0, with one card that follows the script."""
    await sandbox.add_customer("cus_1", "ada@example.com", "Ada", locale="pt-BR", country="BR")
    if card:
        await sandbox.add_card("cus_1", "card_1", script, "mastercard", "4444", at=day(-30))
    await sandbox.add_invoice("in_1", "cus_1", 4900, "usd", plan="team", number="A-1")
    await sandbox.fail("in_1", DAY_0, "insufficient_funds")
    return sandbox


async def results(sandbox: SandboxProcessor) -> list[tuple[str, str, str | None]]:
    return [(entry.key, entry.result, entry.decline) for entry in await sandbox.charges()]


async def told(sandbox: SandboxProcessor, after: int = 0) -> list[Report]:
    return [report for event in await sandbox.events(after) for report in sandbox.reports(event.body)]


async def last_event(sandbox: SandboxProcessor) -> int:
    return max((event.number for event in await sandbox.events()), default=0)


# --- scripts -----------------------------------------------------------------------------------------


def test_a_script_is_read_word_by_word() -> None:
    script = (
        "insufficient_funds*2, do_not_honor/try_again_later, refused, slow(0.5):lost:paid, 500:nothing, 3ds"
    )
    assert [str(answer) for answer in parse_script(script)] == [
        "insufficient_funds",
        "insufficient_funds",
        "do_not_honor/try_again_later",
        "refused",
        "slow(0.500000):lost:paid",
        "500:nothing",
        "3ds",
    ]


def test_each_word_is_written_as_it_is_read() -> None:
    for answer in parse_script(
        "paid, 429, 401, 400, 500:expired_card, slow(2):refused, lost:nothing, lost:3ds"
    ):
        assert parse_script(str(answer)) == (answer,)


def test_advice_belongs_to_a_decline() -> None:
    (answer,) = parse_script("insufficient_funds/do_not_try_again")
    assert answer == ScriptedAnswer(Outcome.DECLINED, "insufficient_funds", "do_not_try_again")


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("", "is not an answer"),
        ("paid,", "is not an answer"),
        ("payed", "is not an answer"),
        ("declined", "is not an answer"),
        ("nothing", "needs lost: or 500:"),
        ("paid/try_again_later", "advice"),
        ("insufficient_funds/perhaps", "advice"),
        ("lost:refused", "no answer was on its way"),
        ("500:429", "no answer was on its way"),
        ("slow(9999):paid", "slower than 600 seconds"),
        ("slow:paid", "is not an answer"),
        ("paid*0", "repeated"),
        ("paid*1001", "repeated"),
        ("paid*3*3", "is not an answer"),
    ],
)
def test_a_bad_script_is_refused_with_what_was_expected(script: str, fault: str) -> None:
    with pytest.raises(BadInput, match="expected paid, 3ds, a decline code") as caught:
        parse_script(script)
    assert fault in str(caught.value)


async def test_a_card_with_a_bad_script_is_not_added(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None)
    with pytest.raises(BadInput):
        await sandbox.add_card("cus_1", "card_1", "perhaps")
    assert await sandbox.events() == ()


def test_scripts_know_every_decline_code_that_the_campaigns_judge() -> None:
    table = DeclineTable((ROOT / "campaigns/data/decline_codes.csv").read_text())
    assert table.codes() == DECLINE_CODES


def test_every_sample_card_follows_a_good_script() -> None:
    cards = SandboxProcessor.test_cards()
    assert [parse_script(card.script) for card in cards]
    assert (
        len({card.label for card in cards})
        == len({(card.network, card.last4) for card in cards})
        == len(cards)
    )


# --- reading -----------------------------------------------------------------------------------------


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
    assert astuple(invoice.card) == ("card_1", "mastercard", "4444", "BR")
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
    )
    invoice = await sandbox.read_invoice("main", "in_1")
    assert invoice.subscription is None
    assert not invoice.subscription_ended
    assert invoice.first_payment
    assert invoice.sent_for_payment
    assert invoice.state is InvoiceState.DRAFT
    assert invoice.processor_retries_at == day(3)
    assert invoice.customer.attributes == {"tier": "gold"}
    assert invoice.customer.timezone == "Asia/Tokyo"
    assert invoice.card is None


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


# --- charging ----------------------------------------------------------------------------------------


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


# --- trouble -----------------------------------------------------------------------------------------


async def test_a_refused_connection_leaves_no_charge_and_the_key_unused(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "refused*3, insufficient_funds")
    for _ in range(3):
        with pytest.raises(ProcessorUnavailable) as caught:
            await sandbox.charge(request("a"))
        assert caught.value.retry_after is None
    assert (await sandbox.charge(request("a"))).result is DECLINED
    assert await results(sandbox) == [("dunwell/a", DECLINED, "insufficient_funds")]
    assert await sandbox.requests() == 4


async def test_errors_that_are_no_charges(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "429, 401, 400, paid")
    with pytest.raises(ProcessorUnavailable) as caught:
        await sandbox.charge(request("a"))
    assert caught.value.retry_after == timedelta(seconds=1)
    with pytest.raises(ProcessorKeyRejected):
        await sandbox.charge(request("a"))
    with pytest.raises(ProcessorRefused):
        await sandbox.charge(request("a"))
    assert await sandbox.charges() == ()
    assert (await sandbox.charge(request("a"))).result is PAID


async def test_a_lost_answer_is_told_to_the_same_key(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "lost:paid")
    with pytest.raises(AnswerLost) as caught:
        await sandbox.charge(request("a"))
    assert not caught.value.replayed_for_key
    assert (await sandbox.read_invoice("main", "in_1")).state is InvoiceState.PAID
    assert (await sandbox.charge(request("a", 1.1))).result is PAID
    assert await results(sandbox) == [("dunwell/a", PAID, None)]
    assert await sandbox.paid_total("in_1") == 4900


async def test_a_lost_decline_is_a_decline(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "lost:insufficient_funds, paid")
    with pytest.raises(AnswerLost):
        await sandbox.charge(request("a"))
    assert (await sandbox.charge(request("a"))).decline == "insufficient_funds"


async def test_a_connection_lost_before_the_charge_made_none(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "lost:nothing, insufficient_funds")
    with pytest.raises(AnswerLost):
        await sandbox.charge(request("a"))
    assert await sandbox.charges() == ()
    assert (await sandbox.charge(request("a"))).result is DECLINED


@pytest.mark.parametrize(
    ("script", "state", "made"),
    [("500:paid, paid", InvoiceState.PAID, 1), ("500:nothing, paid", InvoiceState.OPEN, 0)],
)
async def test_a_server_error_is_repeated_for_its_key(
    sandbox: SandboxProcessor, script: str, state: InvoiceState, made: int
) -> None:
    await owe(sandbox, script)
    for _ in range(3):
        with pytest.raises(AnswerLost) as caught:
            await sandbox.charge(request("a/0"))
        assert caught.value.replayed_for_key
    assert (await sandbox.read_invoice("main", "in_1")).state is state
    assert len(await sandbox.charges()) == made
    answer = await sandbox.charge(request("a/1"))
    assert answer.result is (NOTHING_TO_PAY if made else PAID)
    assert await sandbox.paid_total("in_1") == 4900


async def test_a_slow_charge_is_pending_and_can_be_overtaken(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "slow(0.4):paid")
    charge = asyncio.create_task(sandbox.charge(request("a")))
    while not (await sandbox.read_invoice("main", "in_1")).pending:  # noqa: ASYNC110 -- another's books
        await asyncio.sleep(0.01)
    assert await sandbox.charges() == ()
    await sandbox.pay_elsewhere("in_1", day(1))
    assert (await charge).result is NOTHING_TO_PAY
    assert await sandbox.paid_total("in_1") == 4900
    assert not (await sandbox.read_invoice("main", "in_1")).pending


async def test_a_cancellation_overtakes_a_slow_charge_and_it_is_paid_all_the_same(
    sandbox: SandboxProcessor,
) -> None:
    await owe(sandbox, "slow(0.2):paid")
    charge = asyncio.create_task(sandbox.charge(request("a")))
    await asyncio.sleep(0.05)
    await sandbox.cancel_subscription("sub_in_1", day(3))
    assert (await charge).result is PAID
    assert (await sandbox.read_invoice("main", "in_1")).subscription_ended


async def test_a_slow_charge_is_made_though_nobody_waits_for_it(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "slow(0.2):paid")
    charge = asyncio.create_task(sandbox.charge(request("a")))
    await asyncio.sleep(0.1)
    charge.cancel()
    with pytest.raises(asyncio.CancelledError):
        await charge
    await asyncio.sleep(0.15)
    assert (await sandbox.read_invoice("main", "in_1")).state is InvoiceState.PAID
    assert (await sandbox.charge(request("a"))).result is PAID
    assert await sandbox.paid_total("in_1") == 4900


async def test_a_slow_charge_takes_its_time(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "slow(0.2):insufficient_funds, slow(0.2):refused, paid")
    before = time.monotonic()
    assert (await sandbox.charge(request("a"))).result is DECLINED
    with pytest.raises(ProcessorUnavailable):
        await sandbox.charge(request("b"))
    assert time.monotonic() - before >= 0.4
    assert (await sandbox.charge(request("a"))).result is DECLINED


async def test_books_that_cannot_be_used_are_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a_folder").mkdir()
    sandbox = SandboxProcessor(tmp_path / "a_folder", SECRET)
    with pytest.raises(ProcessorUnavailable, match="books"):
        await sandbox.read_invoice("main", "in_1")
    await sandbox.close()


# --- at once -----------------------------------------------------------------------------------------


async def test_tasks_that_charge_with_one_key_at_once_make_one_charge(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "slow(0.1):paid")
    answers = await asyncio.gather(*(sandbox.charge(request("a")) for _ in range(20)))
    assert {answer.result for answer in answers} == {PAID}
    assert len({answer.payment for answer in answers}) == 1
    assert len(await sandbox.charges()) == 1
    assert await sandbox.requests() == 20


async def test_tasks_that_charge_with_many_keys_at_once_are_paid_once(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    answers = await asyncio.gather(*(sandbox.charge(request(str(number))) for number in range(20)))
    assert sorted(answer.result for answer in answers) == [NOTHING_TO_PAY] * 19 + [PAID]
    assert await sandbox.paid_total("in_1") == 4900


ONE_OF_MANY = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from processors.protocol import ChargeRequest
from processors.sandbox import SandboxProcessor

async def main():
    sandbox = SandboxProcessor(Path(sys.argv[1]), "whsec_sandbox")
    at = datetime(2026, 3, 3, tzinfo=UTC)
    for number in range(int(sys.argv[2])):
        answer = await sandbox.charge(ChargeRequest("main", f"in_{number}", f"dunwell/{number}", at))
        print(answer.result, answer.payment)
    await sandbox.close()

asyncio.run(main())
"""


async def test_processes_that_charge_with_one_key_at_once_make_one_charge(
    sandbox: SandboxProcessor, tmp_path: Path
) -> None:
    await sandbox.add_customer("cus_1", None, None)
    await sandbox.add_card("cus_1", "card_1", "paid, insufficient_funds, slow(0.05):paid, paid")
    for number in range(10):
        await sandbox.add_invoice(f"in_{number}", "cus_1", 100)
    command = [sys.executable, "-c", ONE_OF_MANY, str(tmp_path / "books.db"), "10"]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(4)
    ]
    printed = [(await process.communicate())[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(printed)) == 1, "every process was told the same"
    assert len(await sandbox.charges()) == 10
    assert await sandbox.requests() == 40
    totals = [await sandbox.paid_total(f"in_{number}") for number in range(10)]
    assert sorted(totals) == [0] + [100] * 9


async def test_processes_may_open_new_books_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_OF_MANY, str(tmp_path / "new" / "books.db"), "0"]
    command[2] = ONE_OF_MANY.replace("    for number", "    await sandbox.requests()\n    for number")
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(6)]
    assert [await process.wait() for process in processes] == [0] * 6


async def test_new_books_are_waited_for_while_another_writes_them(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "books.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sandbox = SandboxProcessor(tmp_path / "books.db", SECRET)
    counting = asyncio.create_task(sandbox.requests())
    await asyncio.sleep(0.2)
    assert not counting.done()
    other.execute("COMMIT")
    other.close()
    assert await counting == 0
    await sandbox.close()


async def test_a_killed_process_leaves_the_charge_to_the_processor(
    sandbox: SandboxProcessor, tmp_path: Path
) -> None:
    await sandbox.add_customer("cus_1", None, None)
    await sandbox.add_card("cus_1", "card_1", "slow(0.5):paid")
    await sandbox.add_invoice("in_0", "cus_1", 100)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ONE_OF_MANY, str(tmp_path / "books.db"), "1", cwd=ROOT
    )
    while not (await sandbox.read_invoice("main", "in_0")).pending:  # noqa: ASYNC110 -- another process's
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    assert (await sandbox.charge(request("0", invoice="in_0"))).result is PAID
    assert await sandbox.paid_total("in_0") == 100
    assert len(await sandbox.charges()) == 1


# --- the world outside -------------------------------------------------------------------------------


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


async def test_a_subscription_key_is_not_to_be_used_for_something_else(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.PAUSE, "k")
    with pytest.raises(ProcessorRefused, match="another key"):
        await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.CANCEL_NOW, "k")


async def test_the_card_page_is_served_by_our_own_web_side(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    assert await sandbox.card_page("main", "cus_1", "https://shop.example") == ""


# --- events ------------------------------------------------------------------------------------------


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
            "method": "card_1",
            "amount": 4900,
            "currency": "USD",
            "decline": "insufficient_funds",
            "first_payment": False,
            "sent_for_payment": False,
        },
    }


def test_every_kind_of_report_but_ignored_has_an_event() -> None:
    assert {kind for kind, _ in MEANINGS.values()} == set(ReportKind) - {ReportKind.IGNORED}


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
