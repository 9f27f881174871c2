"""Two tries of one charge: what the first may have sent is asked for again, and neither holds the other up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, delete, select

from store import cards, turns
from store.card_attempts import Source
from store.database import execute
from store.ledger_tables import CardAttemptRow, CardRow
from store.tables import AttemptRow
from tests.integration.shop import MINUTE, NINE, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from processors.protocol import ChargeAnswer, ChargeRequest
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


async def test_a_try_that_settles_and_the_next_that_claims_do_not_hold_each_other_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, charge, next_try = asyncio.Event(), shop.sandbox.charge, []

    async def claims_again() -> None:
        """Do as the next try of a charge that took too long: first the turn, then the card."""
        async with shop.tools.database.begin() as session:
            whose = turns.Whose("sandbox", "main", "cus_ada")
            owner = f"{shop.stories['in_ada'].case_id}.day-1.charge"
            assert await turns.claim(session, whose, owner, datetime.now(UTC))
            begun.set()
            await asyncio.sleep(0.5)
            for card in (await session.exec(select(CardRow))).all():
                assert await cards.hold_again(session, card.processor, card.account, card.card)

    async def takes_too_long(request: ChargeRequest) -> ChargeAnswer:
        answer = await charge(request)
        next_try.append(asyncio.create_task(claims_again()))
        await begun.wait()
        return answer

    await shop.fails("ada", "insufficient_funds", NINE)
    monkeypatch.setattr(shop.sandbox, "charge", takes_too_long)
    await shop.play(NINE + timedelta(days=1))
    await asyncio.gather(*next_try)
    assert (len(next_try), list(shop.stories["in_ada"].done)) == (1, ["day-1.charge"])


async def test_what_is_said_of_a_charge_holds_for_the_card_that_was_charged(shop: Shop) -> None:
    await shop.fails("ada", "lost:do_not_try_again", NINE)
    # The billing service has named no card: the processor's own choice is charged.
    shop.stories["in_ada"] = shop.stories["in_ada"].model_copy(update={"method": None})
    await shop.play(NINE + timedelta(days=1))
    await shop.sandbox.add_card("cus_ada", "card_ada_2", "paid", "mastercard")
    await shop.play(NINE + timedelta(days=1) + 5 * MINUTE)
    async with shop.tools.database.read() as session:
        found = {row.network: row.forbidden_for_good for row in (await session.exec(select(CardRow))).all()}
    assert found == {"visa": True, "mastercard": False}
