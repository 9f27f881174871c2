"""The Stripe processor while things go wrong between it and a Stripe with books of its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

import processors.stripe
from errors import (
    AnswerLost,
    ProcessorError,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from keys import OWN_ACCOUNT
from processors.protocol import (
    ChangeResult,
    ChargeResult,
    InvoiceState,
    PaidBy,
    ReinstateResult,
    SubscriptionChange,
)
from processors.stripe import StripeProcessor
from tests.stand_ins.fault_proxy import Fault, FaultProxy
from tests.stand_ins.stripe_story import attempt, change, payable, reinstate

if TYPE_CHECKING:
    from tests.stand_ins.stripe_account import StripeAccount

pytest_plugins = ("tests.integration.stripe_stand_in",)


async def test_a_lost_answer_is_found_again_by_the_same_key(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_LOST, path="/pay")

    with pytest.raises(AnswerLost, match=failed.invoice) as lost:
        await processor.charge(attempt(failed))

    assert not lost.value.replayed_for_key
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]
    sent = [call.request.headers["idempotency-key"] for call in proxy.calls if call.request.method == "POST"]
    assert sent == ["dunwell/case/day-3/0"] * 2


async def test_a_request_that_may_have_been_lost_counts_as_an_answer_lost(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.REQUEST_LOST, path="/pay")

    with pytest.raises(AnswerLost):
        await processor.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == []
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID
    assert await account.money_moved(failed.customer) == [4900]


async def test_a_hanging_answer_is_waited_for_so_long_and_no_longer(
    account: StripeAccount, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert processors.stripe.CHARGE_TIMEOUT.read is not None
    assert processors.stripe.CHARGE_TIMEOUT.read < 60
    monkeypatch.setattr(processors.stripe, "CHARGE_TIMEOUT", httpx.Timeout(1.0))
    impatient = StripeProcessor(api_key="sk_test_1234567890", api_base=proxy.url + account.path)
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_HANGS, path="/pay")

    with pytest.raises(AnswerLost, match="ReadTimeout"):
        await impatient.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == [4900]
    await impatient.close()


async def test_a_server_error_is_settled_by_a_reading(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.SERVER_ERROR, path="/pay")

    with pytest.raises(AnswerLost, match="req_from_the_proxy") as lost:
        await processor.charge(attempt(failed))

    assert lost.value.replayed_for_key
    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (invoice.state, invoice.paid_by) == (InvoiceState.PAID, PaidBy.REQUEST)
    assert await account.money_moved(failed.customer) == [4900]


async def test_an_answer_that_is_no_json_is_an_answer_lost(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    proxy.spoil(Fault.ANSWER_BROKEN, path="/pay")

    with pytest.raises(AnswerLost):
        await processor.charge(attempt(failed))

    assert await account.money_moved(failed.customer) == [4900]


async def test_nothing_is_done_where_no_connection_is_made(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    await proxy.stop_listening()

    with pytest.raises(ProcessorUnavailable, match="nothing was sent"):
        await processor.charge(attempt(failed))
    assert await account.money_moved(failed.customer) == []

    await proxy.listen()
    assert (await processor.charge(attempt(failed))).result is ChargeResult.PAID


@pytest.mark.parametrize(
    ("fault", "expected", "says"),
    [
        (Fault.BUSY, ProcessorUnavailable, "429"),
        (Fault.KEY_IN_USE, AnswerLost, "same key is in use"),
        (Fault.KEY_REJECTED, ProcessorKeyRejected, "DUNWELL_STRIPE_API_KEY"),
        (Fault.NOT_ALLOWED, ProcessorKeyRejected, "permissions"),
    ],
)
async def test_a_refusal_to_work_moves_no_money_and_names_no_secret(
    account: StripeAccount,
    proxy: FaultProxy,
    processor: StripeProcessor,
    fault: Fault,
    expected: type[ProcessorError],
    says: str,
) -> None:
    failed = await payable(account)
    proxy.spoil(fault, path="/pay")

    with pytest.raises(expected, match=says) as refused:
        await processor.charge(attempt(failed))

    text = str(refused.value)
    assert failed.invoice in text
    assert "req_from_the_proxy" in text
    assert "1234" not in text
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    if isinstance(refused.value, ProcessorUnavailable):
        assert refused.value.retry_after == timedelta(seconds=7)
    if isinstance(refused.value, AnswerLost):
        assert not refused.value.replayed_for_key
    assert await account.money_moved(failed.customer) == []
    assert len(proxy.calls) == 1, "nothing is tried again behind the caller's back"


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SERVER_ERROR, Fault.BUSY, Fault.KEY_IN_USE])
async def test_a_reading_that_fails_is_simply_made_again(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor, fault: Fault
) -> None:
    failed = await account.failed_renewal()
    proxy.spoil(fault)

    with pytest.raises(ProcessorUnavailable):
        await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).state is InvoiceState.OPEN


async def test_a_cancellation_whose_answer_was_lost_is_found_done(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    proxy.spoil(Fault.ANSWER_LOST, method="DELETE")

    with pytest.raises(AnswerLost, match=failed.subscription):
        await change(processor, failed, SubscriptionChange.CANCEL_NOW)
    assert await change(processor, failed, SubscriptionChange.CANCEL_NOW) is ChangeResult.ALREADY_SO

    announced = [event["type"] for event in await account.events()]
    assert announced.count("customer.subscription.deleted") == 1


async def test_a_resumption_whose_answer_was_lost_is_found_done(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await change(processor, failed, SubscriptionChange.PAUSE)
    proxy.spoil(Fault.ANSWER_LOST, method="POST", path=f"/v1/subscriptions/{failed.subscription}")

    with pytest.raises(AnswerLost, match=failed.subscription):
        await reinstate(processor, failed, SubscriptionChange.PAUSE)
    assert await reinstate(processor, failed, SubscriptionChange.PAUSE) is ReinstateResult.ALREADY_SO


async def test_who_paid_stays_open_where_events_may_not_be_read(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await payable(account)
    await processor.charge(attempt(failed))
    proxy.spoil(Fault.NOT_ALLOWED, path="/v1/events")

    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)

    assert (invoice.state, invoice.paid_by) == (InvoiceState.PAID, None)


async def test_a_connected_account_is_named_with_each_request(
    account: StripeAccount, proxy: FaultProxy, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()

    await processor.read_invoice("acct_1shop", failed.invoice)
    await processor.read_invoice(OWN_ACCOUNT, failed.invoice)

    named = [call.request.headers.get("stripe-account") for call in proxy.calls]
    assert named == ["acct_1shop", "acct_1shop", None, None]
    assert not any("x-stripe-client-telemetry" in call.request.headers for call in proxy.calls)


async def test_many_readings_share_one_processor(account: StripeAccount, processor: StripeProcessor) -> None:
    failed = await account.failed_renewal()
    readings = [processor.read_invoice(OWN_ACCOUNT, failed.invoice) for _ in range(8)]
    assert {invoice.id for invoice in await asyncio.gather(*readings)} == {failed.invoice}


@pytest.mark.parametrize("base", ["ftp://127.0.0.1:1", "http://:99999999"])
async def test_an_address_that_is_none_is_not_tried_for_ever(base: str) -> None:
    wrong = StripeProcessor(api_key="sk_test_1", api_base=base)

    with pytest.raises(ProcessorRefused, match="DUNWELL_STRIPE_API_BASE"):
        await wrong.read_invoice(OWN_ACCOUNT, "in_1")
    await wrong.close()
