"""Attempts: a charge is claimed here before it is sent, and settled after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

import keys
from store.database import insert_once
from store.tables import AttemptRow, CaseRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.story import Story, Trigger

SENDING, NOT_MADE = "sending", "not_made"
# The bank has it, and answers in days.
PENDING = "pending"
# Why an attempt was not made: it never left us, and may be tried again under its key.
NOT_SENT = "not sent"
# Imagined by a case in shadow: nothing was sent.
SHADOW = "shadow"


async def get(session: AsyncSession, case_id: str, attempt: str) -> AttemptRow | None:
    """Find an attempt by the action's id."""
    found = await session.exec(
        select(AttemptRow).where(AttemptRow.case_id == case_id, AttemptRow.attempt == attempt)
    )
    return found.first()


async def claim(
    session: AsyncSession, story: Story, attempt: str, trigger: Trigger, method: str | None, now: datetime
) -> AttemptRow:
    """Write the attempt down before anything is sent; a second claim finds the first."""
    await insert_once(
        session,
        AttemptRow,
        case_id=story.case_id,
        attempt=attempt,
        key=keys.charge_key(story.workflow_id, attempt, 0),
        trigger=trigger,
        method=method,
        amount=story.amount,
        currency=story.currency,
        state=SENDING,
        claimed_at=now,
    )
    row = await get(session, story.case_id, attempt)
    assert row is not None
    return row


async def record(
    session: AsyncSession, story: Story, attempt: str, trigger: Trigger, now: datetime, **values: object
) -> bool:
    """Write down a charge that was not sent by us, but made by somebody else or only imagined.

    False when it is known already.
    """
    inserted = await insert_once(
        session,
        AttemptRow,
        case_id=story.case_id,
        attempt=attempt,
        key=f"seen/{story.case_id}/{attempt}",
        trigger=trigger,
        amount=story.amount,
        currency=story.currency,
        claimed_at=now,
        settled_at=now,
        **values,
    )
    return inserted is not None


async def in_doubt(session: AsyncSession, case_id: str, attempt: str | None = None) -> bool:
    """Whether a charge may have been made whose answer never came: any of the case's, or the one named."""
    wanted = select(AttemptRow.number).where(
        AttemptRow.case_id == case_id, col(AttemptRow.state).in_([SENDING, PENDING])
    )
    if attempt is not None:
        wanted = wanted.where(AttemptRow.attempt == attempt)
    return (await session.exec(wanted.limit(1))).first() is not None


async def of_another(session: AsyncSession, story: Story, attempt: str) -> str | None:
    """Name another case of the customer that has made an attempt of this name since this case's failure.

    Such a name is that of a new card, which all their cases hear of. What a case in shadow imagined is no charge.
    """
    found = await session.exec(
        select(AttemptRow.case_id)
        .join(CaseRow, col(AttemptRow.case_id) == col(CaseRow.id))
        .where(
            CaseRow.processor == story.processor,
            CaseRow.account == story.account,
            CaseRow.customer == story.customer,
            CaseRow.id != story.case_id,
            AttemptRow.attempt == attempt,
            col(AttemptRow.state).not_in([NOT_MADE, SHADOW]),
            col(AttemptRow.claimed_at) >= story.failed_at,
        )
        .limit(1)
    )
    return found.first()


async def all_of(session: AsyncSession, case_id: str) -> Sequence[AttemptRow]:
    """List a case's attempts in the order in which they were made."""
    found = await session.exec(
        select(AttemptRow).where(AttemptRow.case_id == case_id).order_by(AttemptRow.number)  # type: ignore[arg-type]
    )
    return found.all()


async def case_of_payment(session: AsyncSession, payment: str) -> str | None:
    """Find the case in which a payment was made: today's disputes and refunds name nothing else."""
    found = await session.exec(select(AttemptRow.case_id).where(AttemptRow.payment == payment).limit(1))
    return found.first()
