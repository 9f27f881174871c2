"""Cases: reserving one for a failed invoice, keeping it up to date, finding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, or_, select

import keys
from campaigns.document import AccessLevel
from campaigns.story import Outcome, Plan, Status, Story
from store.database import insert_once
from store.tables import CaseRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass(frozen=True)
class Reservation:
    """The case of an invoice, and whether this call made it."""

    case: CaseRow
    fresh: bool


async def reserve(
    session: AsyncSession, processor: str, account: str, invoice: str, now: datetime, **known: object
) -> Reservation:
    """Find the invoice's latest case, or reserve its first.

    An invoice whose case has closed gets no second one: the caller sees ``closed_at`` and says so.
    ``known`` are columns that the report of the failure already tells.
    """
    workflow = keys.workflow_id(processor, account, invoice, 1)
    values: dict[str, Any] = {
        "id": keys.case_id(workflow),
        "workflow_id": workflow,
        "processor": processor,
        "account": account,
        "invoice": invoice,
        "episode": 1,
        "status": Status.WAITING,
        "reserved_at": now,
        **known,
    }
    if await insert_once(session, CaseRow, **values) is not None:
        return Reservation(CaseRow(**values), fresh=True)
    row = await latest(session, processor, account, invoice)
    assert row is not None
    return Reservation(row, fresh=False)


async def reserve_next(session: AsyncSession, row: CaseRow, now: datetime) -> CaseRow:
    """Reserve the next episode of a closed case's invoice, or find the latest there is."""
    workflow = keys.workflow_id(row.processor, row.account, row.invoice, row.episode + 1)
    known = ("processor", "account", "invoice", "livemode", "customer", "amount", "currency")
    values: dict[str, Any] = {
        "id": keys.case_id(workflow),
        "workflow_id": workflow,
        "episode": row.episode + 1,
        "status": Status.WAITING,
        "reserved_at": now,
        **{name: getattr(row, name) for name in known},
    }
    await insert_once(session, CaseRow, **values)
    found = await latest(session, row.processor, row.account, row.invoice)
    assert found is not None
    return found


async def latest(session: AsyncSession, processor: str, account: str, invoice: str) -> CaseRow | None:
    """Find the latest episode of an invoice."""
    found = await session.exec(
        select(CaseRow)
        .where(CaseRow.processor == processor, CaseRow.account == account, CaseRow.invoice == invoice)
        .order_by(col(CaseRow.episode).desc())
        .limit(1)
    )
    return found.first()


async def get(session: AsyncSession, case_id: str) -> CaseRow | None:
    """Find a case by its id."""
    return await session.get(CaseRow, case_id)


async def named(session: AsyncSession, name: str) -> CaseRow | None:
    """Find a case by what a person has at hand: its id, its workflow's id, or its invoice's."""
    found = await session.exec(
        select(CaseRow).where(_is_called(name)).order_by(col(CaseRow.reserved_at).desc()).limit(1)
    )
    return found.first()


async def open_of_customer(
    session: AsyncSession, processor: str, account: str, customer: str
) -> Sequence[CaseRow]:
    """List a customer's open cases, oldest first."""
    return await _open(session, processor, account, col(CaseRow.customer) == customer)


async def beside(session: AsyncSession, story: Story) -> Sequence[CaseRow]:
    """List what else the customer of a case owes: their other cases that are open and worked, oldest first."""
    rows = await open_of_customer(session, story.processor, story.account, story.customer)
    return [
        row
        for row in rows
        if row.id != story.case_id
        and row.story
        and row.outcome is None
        and row.livemode == story.livemode
        # What is only imagined says nothing, and charges nothing.
        and not row.shadow
    ]


async def open_of_subscription(
    session: AsyncSession, processor: str, account: str, subscription: str
) -> Sequence[CaseRow]:
    """List a subscription's open cases, oldest first."""
    return await _open(session, processor, account, col(CaseRow.subscription) == subscription)


async def _open(
    session: AsyncSession, processor: str, account: str, condition: ColumnElement[bool]
) -> Sequence[CaseRow]:
    found = await session.exec(
        select(CaseRow)
        .where(
            CaseRow.processor == processor,
            CaseRow.account == account,
            condition,
            col(CaseRow.closed_at).is_(None),
        )
        .order_by(col(CaseRow.reserved_at))
    )
    return found.all()


async def of_access(session: AsyncSession, customer: str) -> Sequence[CaseRow]:
    """List the open cases of a customer's id with any processor, the strictest access first.

    What a case in shadow takes away is only imagined.
    """
    found = await session.exec(
        select(CaseRow).where(
            CaseRow.customer == customer,
            col(CaseRow.closed_at).is_(None),
            col(CaseRow.outcome).is_(None),
            col(CaseRow.shadow).is_(False),
        )
    )
    return sorted(found.all(), key=lambda row: -AccessLevel(row.access).strictness)


async def listing(
    session: AsyncSession,
    *,
    status: str | None = None,
    outcome: str | None = None,
    customer: str | None = None,
    invoice: str | None = None,
    word: str | None = None,
    limit: int = 100,
) -> Sequence[CaseRow]:
    """List cases, the latest first; a filter that is None is none.

    ``word`` is whatever a person has at hand: a case's id, its workflow's, its invoice's or its customer's.
    """
    wanted = select(CaseRow).order_by(col(CaseRow.reserved_at).desc(), col(CaseRow.id)).limit(limit)
    filters = {
        CaseRow.status: status,
        CaseRow.outcome: outcome,
        CaseRow.customer: customer,
        CaseRow.invoice: invoice,
    }
    for column, value in filters.items():
        if value is not None:
            wanted = wanted.where(column == value)
    if word is not None:
        wanted = wanted.where(or_(_is_called(word), col(CaseRow.customer) == word))
    return (await session.exec(wanted)).all()


def _is_called(name: str) -> ColumnElement[bool]:
    return or_(col(CaseRow.id) == name, col(CaseRow.workflow_id) == name, col(CaseRow.invoice) == name)


async def save(session: AsyncSession, story: Story, plan: Plan, sentence: str, now: datetime) -> None:
    """Write down where a case stands; closing it is part of the same write."""
    row = await session.get(CaseRow, story.case_id, with_for_update=True)
    assert row is not None
    row.customer, row.subscription = story.customer, story.subscription
    row.livemode, row.shadow = story.livemode, story.shadow
    row.amount, row.currency = story.amount, story.currency
    row.campaign, row.campaign_version, row.arm = story.campaign, story.version, story.arm
    row.decline, row.failed_at, row.access = story.decline, story.failed_at, story.access
    row.status, row.sentence = story.status(now), sentence
    row.next_step, row.next_step_at = (None, None) if story.closed else (plan.id, plan.at)
    row.opened_at = row.opened_at or now
    if story.ending:
        row.outcome, row.lever = story.ending.outcome, story.ending.lever
        row.ended_by, row.final_action = story.ending.by, story.ending.final_action
    if story.closed and row.closed_at is None:
        row.closed_at = now
    row.story = story.model_dump(mode="json", exclude_unset=True)
    session.add(row)


async def note_choice(session: AsyncSession, case_id: str, chosen_by: str) -> None:
    """Write down how the case came to its campaign."""
    row = await session.get(CaseRow, case_id)
    assert row is not None
    row.chosen_by = chosen_by
    session.add(row)


async def earlier_of_customer(
    session: AsyncSession, processor: str, account: str, customer: str, but: str
) -> Sequence[CaseRow]:
    """List a customer's other cases that were worked, the latest first; ``but`` is a case's own id."""
    found = await session.exec(
        select(CaseRow)
        .where(
            CaseRow.processor == processor,
            CaseRow.account == account,
            CaseRow.customer == customer,
            CaseRow.id != but,
            col(CaseRow.opened_at).is_not(None),
            or_(
                col(CaseRow.outcome).is_(None),
                col(CaseRow.outcome).not_in([Outcome.EXCLUDED, Outcome.BELOW_MINIMUM]),
            ),
        )
        .order_by(col(CaseRow.reserved_at).desc())
    )
    return found.all()


async def mark_unopened(session: AsyncSession, case_id: str, why: str) -> None:
    """Show that a case waits for a person because it could not even be opened."""
    row = await session.get(CaseRow, case_id)
    if row is not None and row.opened_at is None:
        row.status = Status.NEEDS_REVIEW
        row.sentence = f"it could not be opened: {why[:300]}; mend it, or cancel the case"
        session.add(row)


async def mark_charging(session: AsyncSession, case_id: str) -> None:
    """Show that a charge is being made, until the case is saved again."""
    row = await session.get(CaseRow, case_id)
    assert row is not None
    row.status = Status.CHARGING
    session.add(row)
