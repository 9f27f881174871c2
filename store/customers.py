"""Customers as last read from the processor, who is excluded, and whose address is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.database import insert_once
from store.tables import CustomerRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession


async def get(session: AsyncSession, processor: str, account: str, customer: str) -> CustomerRow | None:
    """Find a customer."""
    return await session.get(CustomerRow, (processor, account, customer))


async def keep(
    session: AsyncSession, processor: str, account: str, customer: str, now: datetime, **details: Any
) -> CustomerRow:
    """Write down what is known of a customer; what is not named stays as it was."""
    await insert_once(session, CustomerRow, processor=processor, account=account, id=customer, updated_at=now)
    row = await get(session, processor, account, customer)
    assert row is not None
    for name, value in details.items():
        setattr(row, name, value)
    row.updated_at = now
    session.add(row)
    return row
