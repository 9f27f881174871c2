"""Whether a mail was opened or its link followed: the first time, whichever report comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from store import cases, engagement, messages
from store.database import Database
from store.engagement import Engagement
from store.tables import MessageRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2026, 6, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def mailed(database: Database, invoice: str, *actions: str) -> tuple[str, list[str]]:
    """Give a new case and the ids of the mails that were sent for it."""
    async with database.begin() as session:
        case = (await cases.reserve(session, "sandbox", "main", invoice, NOW)).case
        for action in actions:
            assert await messages.claim(session, case.id, action, "payment_failed", NOW, state=messages.SENT)
        return case.id, [row.id for row in await messages.all_of(session, case.id)]


async def seen(database: Database, message: str) -> tuple[datetime | None, datetime | None]:
    async with database.read() as session:
        row = await session.get(MessageRow, message)
    assert row is not None
    return row.opened_at, row.clicked_at


async def test_nothing_is_known_of_a_case_before_anything_was_seen(database: Database) -> None:
    case, _ = await mailed(database, "in_1", "day-1.message")

    async with database.read() as session:
        assert await engagement.of_case(session, case) == Engagement(None, None)
        assert await engagement.of_case(session, "case_of_nobody") == Engagement()


async def test_the_first_opening_stays_in_whatever_order_they_are_reported(database: Database) -> None:
    _, [message] = await mailed(database, "in_1", "day-1.message")

    for at, first in [
        (NOW + 2 * HOUR, NOW + 2 * HOUR),
        (NOW + HOUR, NOW + HOUR),
        (NOW + 3 * HOUR, NOW + HOUR),
    ]:
        async with database.begin() as session:
            await engagement.record_opened(session, message, at)
        assert await seen(database, message) == (first, None)


async def test_whoever_followed_a_link_has_opened_the_mail(database: Database) -> None:
    _, [message] = await mailed(database, "in_1", "day-1.message")

    async with database.begin() as session:
        await engagement.record_clicked(session, message, NOW + 2 * HOUR)
    assert await seen(database, message) == (NOW + 2 * HOUR, NOW + 2 * HOUR)

    async with database.begin() as session:
        await engagement.record_opened(session, message, NOW + HOUR)
        await engagement.record_clicked(session, message, NOW + 3 * HOUR)
    assert await seen(database, message) == (NOW + HOUR, NOW + 2 * HOUR)


async def test_a_case_has_the_first_of_its_own_mails(database: Database) -> None:
    case, [early, late] = await mailed(database, "in_1", "day-1.message", "day-3.message")
    other, [elsewhere] = await mailed(database, "in_2", "day-1.message")

    async with database.begin() as session:
        await engagement.record_opened(session, elsewhere, NOW)
        await engagement.record_opened(session, early, NOW + 2 * HOUR)
        await engagement.record_clicked(session, late, NOW + HOUR)
        await engagement.record_opened(session, "case_of_nobody.day-1.message", NOW)

    async with database.read() as session:
        assert await engagement.of_case(session, case) == Engagement(NOW + HOUR, NOW + HOUR)
        assert await engagement.of_case(session, other) == Engagement(NOW, None)
