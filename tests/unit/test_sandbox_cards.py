"""What tells one card of the sandbox from another, and what is told of every attempt on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from errors import NotKnown
from processors.protocol import (
    Attempted,
    AttemptResult,
    Card,
    ChargeResult,
    Initiator,
    PaidBy,
    ReportKind,
)
from tests.unit.sandbox_story import DAY_0, day, last_event, opened, owe, request, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from processors.sandbox import SandboxProcessor


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


FIRST = Card("card_1", "mastercard", "4444", "BR", "fp_card_1")
SECOND = Card("card_2", "visa", "0002", "BR", "fp_shared", consent=True)
ACCOUNT = Card("ba_1", None, "6789", "BR", "fp_ba_1", "ach")


async def own_three(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.add_card(
        "cus_1", "card_2", "paid", "visa", "0002", default=False, fingerprint="fp_shared", consent=True
    )
    await sandbox.add_card("cus_1", "ba_1", "pending(5d):paid", last4="6789", default=False, rail="ach")


async def test_any_stored_card_is_read_by_its_id(sandbox: SandboxProcessor) -> None:
    await own_three(sandbox)
    assert await sandbox.read_card("main", "cus_1", None) == FIRST
    assert await sandbox.read_card("main", "cus_1", "card_2") == SECOND
    assert await sandbox.read_card("main", "cus_1", "ba_1") == ACCOUNT
    assert await sandbox.read_card("main", "cus_1", "card_9") is None


async def test_all_stored_cards_are_read_the_default_first(sandbox: SandboxProcessor) -> None:
    await own_three(sandbox)
    assert list(await sandbox.read_methods("main", "cus_1")) == [FIRST, SECOND, ACCOUNT]
    await sandbox.remove_card("card_1")
    assert list(await sandbox.read_methods("main", "cus_1")) == [SECOND, ACCOUNT]
    assert await sandbox.read_card("main", "cus_1", "card_1") is None
    assert await sandbox.read_card("main", "cus_1", None) is None


async def test_another_accounts_cards_are_not_read(sandbox: SandboxProcessor) -> None:
    await own_three(sandbox)
    for reading in (sandbox.read_card("acct_2", "cus_1", "card_1"), sandbox.read_methods("acct_2", "cus_1")):
        with pytest.raises(NotKnown):
            await reading


async def test_two_customers_may_share_a_card(sandbox: SandboxProcessor) -> None:
    await own_three(sandbox)
    await sandbox.add_customer("cus_2", None, None)
    await sandbox.add_card("cus_2", "card_3", "paid", fingerprint="fp_shared")
    shared = await sandbox.read_card("main", "cus_2", None)
    assert shared is not None
    assert shared.fingerprint == SECOND.fingerprint
    assert shared.id != SECOND.id


async def test_a_renewed_card_may_have_a_new_number(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.renew_card("card_1", "paid")
    same = await sandbox.read_card("main", "cus_1", "card_1")
    await sandbox.renew_card("card_1", "paid", fingerprint="fp_new")
    new = await sandbox.read_card("main", "cus_1", "card_1")
    assert same is not None
    assert new is not None
    assert (same.fingerprint, new.fingerprint) == ("fp_card_1", "fp_new")


async def test_the_networks_words_come_with_the_answer_the_invoice_and_the_event(
    sandbox: SandboxProcessor,
) -> None:
    await owe(sandbox, "insufficient_funds/try_again_later/mac27/net51")
    before = await last_event(sandbox)

    answer = await sandbox.charge(request("a"))

    assert (answer.decline, answer.advice) == ("insufficient_funds", "try_again_later")
    assert (answer.network_code, answer.network_advice) == ("51", "27")
    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.network_code, invoice.network_advice) == ("51", "27")
    assert invoice.failed_charge == answer.charge
    (report,) = await told(sandbox, before)
    assert (report.network_code, report.network_advice, report.ours) == ("51", "27", True)
    assert report.attempted == Attempted(
        charge=answer.charge or "",
        result=AttemptResult.DECLINED,
        initiator=Initiator.MERCHANT,
        at=day(1),
        amount=4900,
        currency="USD",
        method="card_1",
        fingerprint="fp_card_1",
        network="mastercard",
        decline="insufficient_funds",
        advice="try_again_later",
        network_code="51",
        network_advice="27",
    )


async def test_the_processors_own_retries_tell_of_their_attempts(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid")
    await sandbox.retry_itself("in_1", day(1), "do_not_honor", network_code="05")
    await sandbox.retry_itself("in_1", day(3))
    first, second, third = [report for report in await told(sandbox) if report.attempted]
    assert [report.kind for report in (first, second, third)] == [
        ReportKind.PAYMENT_FAILED,
        ReportKind.PAYMENT_FAILED,
        ReportKind.PAYMENT_SUCCEEDED,
    ]
    attempts = [report.attempted for report in (first, second, third) if report.attempted]
    assert [(a.at, a.result, a.initiator, a.network_code, a.method) for a in attempts] == [
        (DAY_0, AttemptResult.DECLINED, Initiator.MERCHANT, None, "card_1"),
        (day(1), AttemptResult.DECLINED, Initiator.MERCHANT, "05", "card_1"),
        (day(3), AttemptResult.APPROVED, Initiator.MERCHANT, None, "card_1"),
    ]
    assert len({attempt.charge for attempt in attempts}) == 3
    assert not any(report.ours for report in (first, second, third))


async def test_a_customers_own_attempts_are_theirs(sandbox: SandboxProcessor) -> None:
    await own_three(sandbox)
    before = await last_event(sandbox)
    await sandbox.fail("in_1", day(1), "incorrect_cvc", method="card_2", by_customer=True)
    await sandbox.confirm("in_1", day(1), method="card_2")
    attempts = [report.attempted for report in await told(sandbox, before) if report.attempted]
    assert [(a.method, a.fingerprint, a.initiator, a.result) for a in attempts] == [
        ("card_2", "fp_shared", Initiator.CUSTOMER, AttemptResult.DECLINED),
        ("card_2", "fp_shared", Initiator.CUSTOMER, AttemptResult.APPROVED),
    ]
    assert (await sandbox.read_invoice("main", "in_1")).paid_by is PaidBy.CUSTOMER


async def test_a_confirmation_is_another_attempt_of_the_same_payment(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "3ds")
    answer = await sandbox.charge(request("a"))
    assert answer.result is ChargeResult.NEEDS_CUSTOMER
    before = await last_event(sandbox)
    await sandbox.confirm("in_1", day(2))
    (report,) = await told(sandbox, before)
    assert report.payment == answer.payment
    assert report.attempted is not None
    assert report.attempted.charge != answer.charge
    assert report.attempted.initiator is Initiator.CUSTOMER


async def test_what_asks_no_card_is_no_attempt(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "paid", card=False)
    answer = await sandbox.charge(request("a"))
    assert (answer.decline, answer.charge) == ("no_payment_method", None)
    await sandbox.pay_elsewhere("in_1", day(2))
    reports = await told(sandbox)
    assert [report.kind for report in reports][-2:] == [
        ReportKind.PAYMENT_FAILED,
        ReportKind.PAYMENT_SUCCEEDED,
    ]
    assert not any(report.attempted for report in reports)
