"""What a processor's report means to our cases: the fact, and whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keys
from activities import claims
from campaigns import budget
from campaigns.budget import Result
from campaigns.declines import Said
from campaigns.story import Outcome
from contract import Cancel, CardUpdated, Fact, FactName, InvoiceChanged, OpenCase, PaymentSucceeded
from processors.protocol import Initiator, Report, ReportKind
from store import attempts, cases, ledger
from store.card_attempts import Attempt, Source
from store.cards import Card
from web.intake import Became, Delivery, open_case, open_charged_back, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession

    from processors.protocol import Attempted
    from store.tables import CaseRow
    from web.desk import Desk

CANCELLED = {ReportKind.CANCELLED, ReportKind.CUSTOMER_DELETED}
CHANGED = {
    ReportKind.INVOICE_CHANGED,
    ReportKind.REFUNDED,
    ReportKind.DISPUTED,
    ReportKind.DISPUTE_CLOSED,
}


async def hand_on(desk: Desk, processor: str, report: Report) -> list[Delivery]:
    """Give one report to every case that it concerns; raises RPCError while Temporal is away."""
    if report.attempted and report.livemode == desk.settings.livemode:
        await _count(desk, processor, report, report.attempted)
    why = _why_ignored(desk, report)
    if why:
        return [Delivery(Became.IGNORED, why)]
    if report.kind is ReportKind.PAYMENT_FAILED and report.invoice:
        return [await open_case(desk, _order(processor, report), report.event)]
    fact = _fact(report)
    if fact is None:
        return [Delivery(Became.IGNORED, report.why)]
    async with desk.tools.database.read() as session:
        rows = await _concerned(session, processor, report)
    if report.ours:
        # Our own charge, reported back: news only if its answer never reached us.
        paid = report.kind is ReportKind.PAYMENT_SUCCEEDED
        rows = [row for row in rows if row.closed_at is None or (paid and row.outcome != Outcome.RECOVERED)]
    if not rows:
        return [Delivery(Became.NO_CASE, f"no case is concerned: {report.why}")]
    if report.kind is ReportKind.DISPUTED and (recovered := await _recovered(desk, rows[0])):
        return [await open_charged_back(desk, recovered, report.why, report.event, report.at)]
    return await tell(desk, rows, *fact)


async def _recovered(desk: Desk, row: CaseRow) -> CaseRow | None:
    """Give the recovered case of a disputed payment, for which the next one is to be opened.

    Also where that one is only reserved: Temporal was away, and nobody else would start it.
    """
    if row.opened_at is None and row.episode > 1:
        earlier = keys.workflow_id(row.processor, row.account, row.invoice, row.episode - 1)
        async with desk.tools.database.read() as session:
            found = await cases.get(session, keys.case_id(earlier))
        if found is None:
            return None
        row = found
    return row if row.outcome == Outcome.RECOVERED and row.closed_at else None


async def _count(desk: Desk, processor: str, report: Report, attempted: Attempted) -> None:
    """Count an attempt toward the budget of its card, whoever made it; one of ours is known by its charge."""
    name = attempted.fingerprint or attempted.method
    if name is None:
        return
    by_customer = attempted.initiator is Initiator.CUSTOMER
    attempt = Attempt(
        keys.seen_key(processor, report.account, attempted.charge),
        attempted.amount,
        attempted.currency,
        source=Source.CHECKOUT if by_customer else Source.PROCESSOR,
        initiator=budget.Initiator(attempted.initiator),
        invoice=report.invoice,
        charge=attempted.charge,
    )
    said = Said(
        attempted.decline,
        attempted.advice,
        attempted.network,
        attempted.network_code,
        attempted.network_advice,
    )
    card = Card(processor, report.account, name, attempted.network, rail=attempted.rail)
    async with desk.tools.database.begin() as session:
        result = Result(attempted.result)
        rules = desk.tools.rules
        await ledger.note(session, card, attempt, result, rules, attempted.at, decline=attempted.decline)
        if result is Result.DECLINED and attempted.decline:
            verdict = desk.tools.declines.judge(said, attempted.at.date())
            await claims.obey(session, card, verdict, attempted.at)


def _why_ignored(desk: Desk, report: Report) -> str | None:
    if report.livemode != desk.settings.livemode:
        mode, here = ("live", "a test one") if report.livemode else ("test-mode", "live")
        return f"a {mode} event, and this installation is {here}"
    if report.kind is ReportKind.IGNORED:
        return report.why
    if report.ours and report.kind is ReportKind.PAYMENT_FAILED:
        return "our own charge, reported back"
    if report.ours and report.kind is ReportKind.CANCELLED:
        return "our own final action, reported back"
    return None


def _order(processor: str, report: Report) -> OpenCase:
    return OpenCase(
        processor=processor,
        account=report.account,
        invoice=report.invoice or "",
        livemode=report.livemode,
        customer=report.customer or "",
        amount=report.amount,
        currency=report.currency,
        failed_at=report.at,
        decline=report.decline,
        advice=report.advice,
        network_code=report.network_code,
        network_advice=report.network_advice,
        method=report.method,
        event=report.event,
    )


def _fact(report: Report) -> tuple[FactName, Fact] | None:
    if report.kind is ReportKind.PAYMENT_SUCCEEDED:
        return FactName.PAYMENT_SUCCEEDED, PaymentSucceeded(event=report.event, at=report.at)
    if report.kind is ReportKind.CARD_UPDATED:
        fact = CardUpdated(event=report.event, at=report.at, method=report.method, renewed=report.renewed)
        return FactName.CARD_UPDATED, fact
    if report.kind in CANCELLED:
        return FactName.CANCEL, Cancel(event=report.event, at=report.at, why=report.why)
    if report.kind in CHANGED:
        changed = InvoiceChanged(
            event=report.event, at=report.at, what=report.why, unconfirmed=report.unconfirmed
        )
        return FactName.INVOICE_CHANGED, changed
    return None


async def _concerned(session: AsyncSession, processor: str, report: Report) -> Sequence[CaseRow]:
    """Find the cases by the closest thing that the report names: invoice, payment, subscription, customer."""
    if report.invoice:
        row = await cases.latest(session, processor, report.account, report.invoice)
        return [row] if row else []
    if report.payment:
        # A payment that is none of ours concerns none of our cases, whoever's it is.
        case_id = await attempts.case_of_payment(session, report.payment)
        row = await cases.get(session, case_id) if case_id else None
        # What is said of a payment later concerns the case that a dispute of it has opened.
        row = await cases.latest(session, processor, row.account, row.invoice) if row else None
        return [row] if row else []
    if report.subscription:
        return await cases.open_of_subscription(session, processor, report.account, report.subscription)
    if report.customer:
        return await cases.open_of_customer(session, processor, report.account, report.customer)
    return []
