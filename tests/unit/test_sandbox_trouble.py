"""The sandbox when answers are lost, slow or wrong, and when many ask at once."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from errors import (
    AnswerLost,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.protocol import (
    InvoiceState,
)
from processors.sandbox import SandboxProcessor
from tests.unit.sandbox_story import (
    DECLINED,
    NOTHING_TO_PAY,
    PAID,
    ROOT,
    SECRET,
    day,
    opened,
    owe,
    request,
    results,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


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
