"""A charge of which nobody knows whether it was made is asked for again under its key, whatever the budget says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, delete, select

from store.card_attempts import Source
from store.database import execute
from store.ledger_tables import CardAttemptRow, CardRow
from store.tables import AttemptRow
from tests.integration.shop import MINUTE, NINE, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.shop import Shop


@pytest.fixture
async def shop(database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(database_url, tmp_path) as made:
        yield made


async def as_left_by_an_earlier_release(shop: Shop) -> None:
    """Forget what the ledger has of our attempts, and forbid the card since."""
    async with shop.tools.database.begin() as session:
        await execute(session, delete(CardAttemptRow).where(col(CardAttemptRow.source) == Source.OURS))
        for card in (await session.exec(select(CardRow))).all():
            card.forbidden_for_good, card.forbidden_why = True, "the network said never"
            session.add(card)


async def test_a_charge_of_an_earlier_release_is_not_refused_while_it_is_in_doubt(shop: Shop) -> None:
    await shop.fails("ada", "lost:insufficient_funds", NINE)
    await shop.play(NINE + timedelta(days=1))
    await as_left_by_an_earlier_release(shop)
    await shop.play(NINE + timedelta(days=1) + 5 * MINUTE)
    async with shop.tools.database.read() as session:
        row = (await session.exec(select(AttemptRow))).one()
    assert (row.state, row.doubt, row.decline) == ("declined", None, "insufficient_funds")
    assert [result for _, result in await shop.charges()] == ["declined"]
    story = shop.stories["in_ada"]
    assert (story.charges, list(story.done)) == (1, ["day-1.charge"])
