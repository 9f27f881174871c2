"""Whether customers opened a mail or followed its link, as far as anybody can know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_
from sqlmodel import col, select, update

from store.database import execute
from store.tables import MessageRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass(frozen=True)
class Engagement:
    """When a customer first opened any mail of a case, and first followed a link; None is never seen."""

    opened_at: datetime | None = None
    clicked_at: datetime | None = None


async def record_opened(session: AsyncSession, message_id: str, at: datetime) -> None:
    """Write down that a mail was opened; of several times the first stays, in whatever order they come."""
    await _keep_first(session, message_id, col(MessageRow.opened_at), at)


async def record_clicked(session: AsyncSession, message_id: str, at: datetime) -> None:
    """Write down that a mail's link was followed, for which the mail must have been opened."""
    await _keep_first(session, message_id, col(MessageRow.clicked_at), at)
    await record_opened(session, message_id, at)


async def of_case(session: AsyncSession, case_id: str) -> Engagement:
    """Give the first opening and the first click among all mails of a case."""
    found = await session.exec(
        select(func.min(MessageRow.opened_at), func.min(MessageRow.clicked_at)).where(
            MessageRow.case_id == case_id
        )
    )
    opened_at, clicked_at = found.one()
    return Engagement(opened_at, clicked_at)


async def _keep_first(session: AsyncSession, message_id: str, column: Any, at: datetime) -> None:
    await execute(
        session,
        update(MessageRow)
        .where(col(MessageRow.id) == message_id, or_(column.is_(None), column > at))
        .values({column: at}),
    )
