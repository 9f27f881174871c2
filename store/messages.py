"""The outbox: a mail is claimed here before it is sent, and settled after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

import keys
from store.database import insert_once
from store.tables import CaseRow, MessageRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

SENDING, SENT, FAILED, DROPPED, UNKNOWN, WAITING, SHADOW = (
    "sending",
    "sent",
    "failed",
    "dropped",
    "unknown",
    "waiting",
    # Written by a case in shadow: it was rendered, and handed to nobody.
    "shadow",
)


async def get(session: AsyncSession, case_id: str, action: str) -> MessageRow | None:
    """Find a message by the action's id."""
    return await session.get(MessageRow, keys.message_id(case_id, action))


async def claim(
    session: AsyncSession, case_id: str, action: str, template: str, now: datetime, **values: object
) -> bool:
    """Write the message down before it is sent; False when somebody has claimed it before."""
    values.setdefault("state", SENDING)
    inserted = await insert_once(
        session,
        MessageRow,
        id=keys.message_id(case_id, action),
        case_id=case_id,
        action=action,
        template=template,
        claimed_at=now,
        **values,
    )
    return inserted is not None


async def find(session: AsyncSession, message_id: str) -> MessageRow | None:
    """Find a message by its id, and keep others from changing it until the transaction ends."""
    return await session.get(MessageRow, message_id, with_for_update=True)


async def latest_sent(session: AsyncSession, case_id: str) -> MessageRow | None:
    """Find the mail that a case's customer got last, or may have got."""
    found = await session.exec(
        select(MessageRow)
        .where(MessageRow.case_id == case_id, col(MessageRow.state).in_((SENT, UNKNOWN)))
        .order_by(col(MessageRow.claimed_at).desc())
        .limit(1)
    )
    return found.first()


async def to_customer(
    session: AsyncSession, processor: str, account: str, customer: str, since: datetime
) -> Sequence[MessageRow]:
    """List what a customer got since then, or may have got, about any of their cases."""
    found = await session.exec(
        select(MessageRow)
        .join(CaseRow, col(MessageRow.case_id) == col(CaseRow.id))
        .where(
            CaseRow.processor == processor,
            CaseRow.account == account,
            CaseRow.customer == customer,
            col(MessageRow.state).in_((SENT, UNKNOWN)),
            col(MessageRow.claimed_at) >= since,
        )
        .order_by(col(MessageRow.claimed_at))
    )
    return found.all()


async def all_of(session: AsyncSession, case_id: str) -> Sequence[MessageRow]:
    """List a case's messages in order of time."""
    found = await session.exec(
        select(MessageRow).where(MessageRow.case_id == case_id).order_by(col(MessageRow.claimed_at))
    )
    return found.all()
