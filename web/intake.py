"""Handing facts to cases: which cases a fact is about, and what became of it.

A fact is stored in the inbox first. Handing it on twice is harmless: cases know facts by their ids.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

import contract
import keys
import search
from campaigns.story import Outcome, Status
from contract import (
    CaseStatus,
    Fact,
    FactName,
    LateFact,
    Line,
    OpenCase,
    PaymentFailed,
    Wish,
    WishAnswer,
    WishName,
)
from store import cases, journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store.tables import CaseRow
    from web.desk import Desk

log = structlog.get_logger()
# A wish is answered at the next turn of the case: longer, and it is under way with somebody else.
PATIENCE_SECONDS = 20


# Lets a terminated workflow be started again, and never one that came to its end.
AGAIN = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY


class Became(StrEnum):
    """What became of something that was reported or asked for."""

    OPENED = "opened"
    ALREADY_OPEN = "already open"
    DELIVERED = "delivered"
    CLOSED = "closed"
    NO_CASE = "no open case"
    IGNORED = "ignored"
    KEPT = "kept"
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Delivery:
    """What became of one report, in a word and in a sentence."""

    became: Became
    sentence: str
    case: str | None = None
    workflow: str | None = None
    outcome: str | None = None


async def open_case(desk: Desk, order: OpenCase, event: str, *, revive: bool = False) -> Delivery:
    """Start the case of a failed invoice, tell the one that runs, or say that it is over.

    ``revive`` starts a case again that is open in the database and was terminated in Temporal; a person
    has to ask for it, since a person may have terminated it.

    The database decides whether there may be a case; Temporal's own refusal lasts only as long as it
    keeps closed workflows.
    """
    now = desk.now()
    known = {"customer": order.customer, "amount": order.amount or 0, "currency": order.currency or ""}
    async with desk.tools.database.begin() as session:
        reserved = await cases.reserve(
            session, order.processor, order.account, order.invoice, now, livemode=order.livemode, **known
        )
    row = reserved.case
    failed = PaymentFailed(
        event=event,
        at=order.failed_at,
        decline=order.decline,
        advice=order.advice,
        network_code=order.network_code,
        network_advice=order.network_advice,
        method=order.method,
    )
    if row.closed_at is not None:
        return await _after_the_end(desk, row, FactName.PAYMENT_FAILED, failed)
    order = order.model_copy(update={"episode": row.episode, "event": event})
    try:
        if revive:
            revive = not await _is_running(desk, row)
        await desk.temporal.start_workflow(
            contract.RECOVER_PAYMENT,
            order,
            id=row.workflow_id,
            task_queue=desk.queue,
            id_reuse_policy=AGAIN if revive else WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search.pairs(search.first_attributes(order)),
            static_summary=search.static_summary(order, desk.settings.default_campaign),
            start_signal=FactName.PAYMENT_FAILED,
            start_signal_args=[failed],
        )
    except WorkflowAlreadyStartedError:
        return await _lost(desk, row)
    if revive and not reserved.fresh:
        return Delivery(Became.OPENED, f"case {row.id} goes on from the database", row.id, row.workflow_id)
    if reserved.fresh:
        log.info("case.reported", case=row.id, workflow=row.workflow_id, invoice=row.invoice)
        return Delivery(
            Became.OPENED, f"case {row.id} is opened for invoice {row.invoice}", row.id, row.workflow_id
        )
    return Delivery(
        Became.ALREADY_OPEN, f"case {row.id} works on this invoice already", row.id, row.workflow_id
    )


async def open_charged_back(desk: Desk, row: CaseRow, why: str, event: str, at: datetime) -> Delivery:
    """Open the next case of an invoice whose payment had been recovered and is disputed now."""
    async with desk.tools.database.begin() as session:
        fresh = await cases.reserve_next(session, row, desk.now())
    order = OpenCase(
        processor=row.processor,
        account=row.account,
        invoice=row.invoice,
        episode=fresh.episode,
        livemode=row.livemode,
        customer=row.customer,
        amount=row.amount,
        currency=row.currency,
        failed_at=at,
        campaign=row.campaign,
        event=event,
        charged_back=why,
    )
    try:
        await desk.temporal.start_workflow(
            contract.RECOVER_PAYMENT,
            order,
            id=fresh.workflow_id,
            task_queue=desk.queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search.pairs(search.first_attributes(order)),
            static_summary=search.static_summary(order, desk.settings.default_campaign),
        )
    except WorkflowAlreadyStartedError:
        return await _lost(desk, fresh)
    sentence = (
        f"case {fresh.id} is opened for invoice {row.invoice}, whose recovered payment was charged back"
    )
    return Delivery(Became.OPENED, sentence, fresh.id, fresh.workflow_id)


async def _is_running(desk: Desk, row: CaseRow) -> bool:
    try:
        described = await desk.temporal.get_workflow_handle(row.workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING


async def tell(desk: Desk, rows: Sequence[CaseRow], name: FactName, fact: Fact) -> list[Delivery]:
    """Tell each of these cases a fact; one that is closed has it settled without being reopened."""
    return [await _tell_one(desk, row, name, fact) for row in rows]


async def _tell_one(desk: Desk, row: CaseRow, name: FactName, fact: Fact) -> Delivery:
    if row.closed_at is not None:
        return await _after_the_end(desk, row, name, fact)
    try:
        await desk.temporal.get_workflow_handle(row.workflow_id).signal(name, fact)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        async with desk.tools.database.read() as session:
            fresh = await cases.get(session, row.id)
        if fresh is not None and fresh.closed_at is not None:
            return await _after_the_end(desk, fresh, name, fact)
        if fresh is not None and fresh.opened_at is None:
            # The report of the failure itself still waits to be handed on: this has to wait for it.
            raise
        return await _lost(desk, row)
    return Delivery(Became.DELIVERED, f"case {row.id} was told: {name}", row.id, row.workflow_id)


async def _after_the_end(desk: Desk, row: CaseRow, name: FactName, fact: Fact) -> Delivery:
    """Have a fact about a closed case written down by a workflow of its own, once."""
    late = LateFact(
        case_id=row.id, name=name, event=fact.event, body=fact.model_dump_json(exclude_unset=True)
    )
    try:
        await desk.temporal.start_workflow(
            contract.SETTLE_LATE_FACT,
            late,
            id=keys.late_fact_workflow_id(row.id, fact.event),
            task_queue=desk.queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{name} after the end of {row.id}",
        )
    except WorkflowAlreadyStartedError:
        log.debug("late_fact.known", case=row.id, fact=name, fact_event=fact.event)
    return Delivery(
        Became.CLOSED, f"case {row.id} is closed: {row.sentence}", row.id, row.workflow_id, row.outcome
    )


async def _lost(desk: Desk, row: CaseRow) -> Delivery:
    """Tell a person of a case that is open in the database and gone from Temporal."""
    text = f"case {row.id} is open in the database, but its workflow {row.workflow_id} is gone from Temporal"
    async with desk.tools.database.begin() as session:
        await journal.alert(session, f"{row.id}.lost", "case lost", text, desk.now(), row.id)
    log.error("case.lost", case=row.id, workflow=row.workflow_id, invoice=row.invoice)
    return Delivery(Became.NO_CASE, f"{text}: a person has been told", row.id, row.workflow_id)


async def ask(desk: Desk, row: CaseRow, name: WishName, wish: Wish, wish_id: str) -> Delivery:
    """Put a person's wish to a case and wait for its answer; a closed case refuses it with its outcome."""
    if row.closed_at is not None:
        sentence = f"case {row.id} is closed: {row.sentence}"
        return Delivery(Became.CLOSED, sentence, row.id, row.workflow_id, row.outcome)
    handle = desk.temporal.get_workflow_handle(row.workflow_id)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer: WishAnswer = await handle.execute_update(name, wish, id=wish_id, result_type=WishAnswer)
    except TimeoutError:
        busy = (
            "its invoice could not be read yet" if row.opened_at is None else "it is busy with the processor"
        )
        sentence = f"case {row.id} has taken the wish, but {busy}: it answers in its timeline"
        return Delivery(Became.KEPT, sentence, row.id, row.workflow_id)
    except WorkflowUpdateFailedError as error:
        return Delivery(Became.REFUSED, str(error.cause), row.id, row.workflow_id, row.outcome)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            async with desk.tools.database.read() as session:
                fresh = await cases.get(session, row.id)
            if fresh is None or fresh.closed_at is None:
                return await _lost(desk, row)
            sentence = f"case {row.id} is closed: {fresh.sentence}"
            return Delivery(Became.CLOSED, sentence, row.id, row.workflow_id, fresh.outcome)
        raise
    became = Became.GRANTED if answer.granted else Became.REFUSED
    return Delivery(became, answer.answer, row.id, row.workflow_id)


async def told(desk: Desk, row: CaseRow) -> CaseStatus:
    """Give a case's whole story: from its workflow, else from the database.

    The latter once Temporal has forgotten it, or where no worker can answer: one on an overloaded machine is told
    that its workflow stands still (TMPRL1101), and nobody asks a second time for a query.
    """
    handle = desk.temporal.get_workflow_handle(row.workflow_id)
    try:
        status: CaseStatus = await handle.query(contract.STATUS, result_type=CaseStatus)
    except (RPCError, WorkflowQueryFailedError) as error:
        if isinstance(error, RPCError) and error.status is not RPCStatusCode.NOT_FOUND:
            raise
        async with desk.tools.database.read() as session:
            entries = await journal.entries(session, row.id)
        return CaseStatus(
            case_id=row.id,
            workflow_id=row.workflow_id,
            status=Status(row.status),
            outcome=Outcome(row.outcome) if row.outcome else None,
            sentence=row.sentence,
            timeline=tuple(Line(at=entry.at, text=entry.text) for entry in entries),
        )
    return status


def is_unreachable(error: RPCError) -> bool:
    """Whether an error means that Temporal is away, rather than that it said no."""
    return error.status in {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
    }
