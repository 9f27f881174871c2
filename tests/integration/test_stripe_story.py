"""What a customer does at a Stripe with books of its own, from the card that is kept to the payment that is disputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keys import OWN_ACCOUNT
from processors.protocol import ChargeResult, InvoiceState, Report, ReportKind
from tests.stand_ins.stripe_account import ASKING_THE_BANK, DISPUTED, GOOD, StripeAccount
from tests.stand_ins.stripe_story import attempt
from tests.stand_ins.stripe_webhooks import WEBHOOK_SECRET, signature

if TYPE_CHECKING:
    from processors.stripe import StripeProcessor

pytest_plugins = ("tests.integration.stripe_stand_in",)


async def told(account: StripeAccount, processor: StripeProcessor, seen: set[str]) -> list[Report]:
    """Read what is new of the account's events, each verified first."""
    reports: list[Report] = []
    for event, body in await account.announced():
        if event not in seen:
            seen.add(event)
            processor.verify(body, signature(body, WEBHOOK_SECRET))
            reports += processor.reports(body)
    return [report for report in reports if report.kind is not ReportKind.IGNORED]


async def test_a_card_that_is_kept_is_read_with_fingerprint_and_consent(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    seen: set[str] = set()
    await told(account, processor, seen)
    backup = await account.keep_card(failed.customer, GOOD, consent=True)
    same = await account.keep_card(failed.customer, GOOD)

    default, *others = await processor.read_methods(OWN_ACCOUNT, failed.customer)
    assert default.id == failed.card
    assert default == await processor.read_card(OWN_ACCOUNT, failed.customer, None)
    stored = {card.id: card for card in others}
    assert (stored[backup].consent, stored[same].consent) == (True, False)
    assert stored[backup].fingerprint == stored[same].fingerprint
    assert stored[backup].fingerprint not in {None, default.fingerprint}
    assert await processor.read_card(OWN_ACCOUNT, failed.customer, backup) == stored[backup]
    attached = [report for report in await told(account, processor, seen) if report.method == backup]
    assert {(report.kind, report.customer) for report in attached} == {
        (ReportKind.CARD_UPDATED, failed.customer)
    }


async def test_an_invoice_is_paid_with_a_kept_card_that_is_not_the_default(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    backup = await account.keep_card(failed.customer, GOOD)
    declined = await processor.charge(attempt(failed))
    assert declined.result is ChargeResult.DECLINED

    answer = await processor.charge(attempt(failed, "backup/0", method=backup))

    assert (answer.result, answer.method) == (ChargeResult.PAID, backup)
    assert await account.money_moved(failed.customer) == [4900]
    default = await processor.read_card(OWN_ACCOUNT, failed.customer, None)
    assert default is not None
    assert default.id == failed.card, "one payment makes no other card the default"


async def test_a_payment_that_the_bank_wants_confirmed_is_paid_once_the_customer_did(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal(ASKING_THE_BANK)
    seen: set[str] = set()
    await told(account, processor, seen)
    answer = await processor.charge(attempt(failed))
    assert (answer.result, answer.decline) == (ChargeResult.NEEDS_CUSTOMER, "authentication_required")
    asked = await told(account, processor, seen)
    assert {(report.kind, report.decline, report.ours) for report in asked} == {
        (ReportKind.PAYMENT_FAILED, "authentication_required", True)
    }
    waiting = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (waiting.state, waiting.confirm_url) == (InvoiceState.OPEN, answer.confirm_url)

    await account.confirm(failed.invoice)

    done = [report for report in await told(account, processor, seen) if report.invoice]
    assert [(report.kind, report.invoice, report.ours) for report in done] == [
        (ReportKind.PAYMENT_SUCCEEDED, failed.invoice, False)
    ]
    paid = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    assert (paid.state, paid.amount) == (InvoiceState.PAID, 0)
    again = await processor.charge(attempt(failed, "day-5/0"))
    assert again.result is ChargeResult.NOTHING_TO_PAY
    assert await account.money_moved(failed.customer) == [4900]


async def test_a_payment_that_is_disputed_is_told_by_the_payment_and_seen_on_its_invoice(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    card = await account.keep_card(failed.customer, DISPUTED)
    answer = await processor.charge(attempt(failed, method=card))
    assert answer.result is ChargeResult.PAID

    seen: set[str] = set()
    [disputed] = [
        report for report in await told(account, processor, seen) if report.kind is ReportKind.DISPUTED
    ]
    assert (disputed.payment, disputed.amount, disputed.currency) == (answer.payment, 4900, "USD")
    assert disputed.why == f"payment {answer.payment} is disputed: fraudulent"
    assert (await processor.read_invoice(OWN_ACCOUNT, failed.invoice)).disputed

    [dispute] = (await account.get("/v1/disputes"))["data"]
    await account.post(f"/v1/disputes/{dispute['id']}/close")
    [closed] = [
        report for report in await told(account, processor, seen) if report.kind is ReportKind.DISPUTE_CLOSED
    ]
    assert (closed.payment, closed.why) == (
        answer.payment,
        f"the dispute of payment {answer.payment} was closed: lost",
    )
