"""The sandbox's direct debits: a bank that answers days later, by the books' own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from errors import ProcessorUnavailable
from processors.protocol import (
    Attempted,
    AttemptResult,
    ChargeRequest,
    ChargeResult,
    Initiator,
    InvoiceState,
    PaidBy,
    ReportKind,
)
from tests.unit.sandbox_story import last_event, opened, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from processors.sandbox import SandboxProcessor

# Ahead of the wall clock, so that no bank answers before it is told what time it is.
START = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
PENDING = ChargeResult.PENDING


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def request(key: str, at: float = 1) -> ChargeRequest:
    return ChargeRequest("main", "in_1", f"dunwell/{key}", day(at))


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


async def owe(sandbox: SandboxProcessor, script: str, rail: str = "ach") -> None:
    """Let Ada owe 49.00 since the start, to be taken from an account that follows the script."""
    await sandbox.add_customer("cus_1", "ada@example.com", "Ada", country="US")
    await sandbox.add_card("cus_1", "ba_1", script, last4="6789", at=day(-30), rail=rail)
    await sandbox.add_invoice("in_1", "cus_1", 4900, "usd")
    await sandbox.fail("in_1", START, "R01")


async def test_a_debit_is_pending_until_its_bank_answers_and_then_paid(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "pending(5d):paid")
    before = await last_event(sandbox)

    answer = await sandbox.charge(request("a"))

    assert (answer.result, answer.method, answer.decline) == (PENDING, "ba_1", None)
    waiting = await sandbox.read_invoice("main", "in_1")
    assert (waiting.state, waiting.pending) == (InvoiceState.OPEN, True)
    assert await told(sandbox, before) == []
    assert await sandbox.paid_total("in_1") == 0

    await sandbox.settle(day(6) - timedelta(seconds=1))
    assert (await sandbox.read_invoice("main", "in_1")).pending
    await sandbox.settle(day(7))

    paid = await sandbox.read_invoice("main", "in_1")
    assert (paid.state, paid.pending, paid.paid_by) == (InvoiceState.PAID, False, PaidBy.REQUEST)
    assert paid.payment == answer.payment
    assert await sandbox.paid_total("in_1") == 4900
    (report,) = await told(sandbox, before)
    assert (report.kind, report.at, report.ours) == (ReportKind.PAYMENT_SUCCEEDED, day(6), False)
    assert report.attempted == Attempted(
        charge=answer.charge or "",
        result=AttemptResult.APPROVED,
        initiator=Initiator.MERCHANT,
        at=day(6),
        amount=4900,
        currency="USD",
        method="ba_1",
        fingerprint="fp_ba_1",
        rail="ach",
    )
    [entry] = await sandbox.charges()
    assert (entry.result, entry.payment, entry.at) == (ChargeResult.PAID, answer.payment, day(1))


@pytest.mark.parametrize(("rail", "code"), [("ach", "R01"), ("ach", "R10"), ("sepa", "AM04")])
async def test_a_debit_comes_back_with_the_banks_code(
    sandbox: SandboxProcessor, rail: str, code: str
) -> None:
    await owe(sandbox, f"pending(3d):{code}", rail)
    before = await last_event(sandbox)
    answer = await sandbox.charge(request("a"))
    await sandbox.settle(day(4))

    invoice = await sandbox.read_invoice("main", "in_1")
    assert (invoice.state, invoice.pending, invoice.decline) == (InvoiceState.OPEN, False, code)
    assert (invoice.failed_at, invoice.failed_charge) == (day(4), answer.charge)
    (report,) = await told(sandbox, before)
    assert (report.kind, report.decline, report.payment) == (ReportKind.PAYMENT_FAILED, code, answer.payment)
    assert report.attempted is not None
    assert (report.attempted.charge, report.attempted.rail) == (answer.charge, rail)
    assert report.attempted.result is AttemptResult.DECLINED


async def test_its_key_is_answered_pending_for_ever(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "pending(5d):R01")
    first = await sandbox.charge(request("a"))
    assert await sandbox.charge(request("a", at=2)) == first
    await sandbox.settle(day(9))
    assert await sandbox.charge(request("a", at=10)) == first
    assert len(await sandbox.charges()) == 1


async def test_nothing_else_is_charged_while_the_bank_has_not_answered(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "pending(5d):R01, paid")
    await sandbox.charge(request("a"))
    with pytest.raises(ProcessorUnavailable, match="is with the bank"):
        await sandbox.charge(request("b", at=3))
    # The request's own time lets the bank answer first.
    assert (await sandbox.charge(request("b", at=7))).result is ChargeResult.PAID
    assert await sandbox.paid_total("in_1") == 4900


async def test_an_invoice_that_was_closed_meanwhile_is_not_paid_twice(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "pending(5d):paid")
    await sandbox.charge(request("a"))
    await sandbox.pay_elsewhere("in_1", day(2))
    await sandbox.settle(day(6))
    assert await sandbox.paid_total("in_1") == 4900
    [entry] = await sandbox.charges()
    assert entry.result is ChargeResult.NOTHING_TO_PAY


async def test_a_bank_answers_by_itself_once_its_time_has_come(sandbox: SandboxProcessor) -> None:
    await owe(sandbox, "pending(2d):paid")
    long_ago = datetime.now(UTC) - timedelta(days=3)
    answer = await sandbox.charge(ChargeRequest("main", "in_1", "dunwell/a", long_ago))
    assert answer.result is PENDING
    assert (await sandbox.read_invoice("main", "in_1")).state is InvoiceState.PAID
