"""The language of the sandbox's cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from campaigns.decline_rows import DUNWELL, OUTCOME, STRIPE
from campaigns.declines import DeclineTable
from errors import (
    BadInput,
)
from processors.sandbox import SandboxProcessor
from processors.sandbox_script import DECLINE_CODES, Outcome, ScriptedAnswer, parse_script
from tests.unit.sandbox_story import (
    ROOT,
    opened,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcessor]:
    async with opened(tmp_path / "books.db") as processor:
        yield processor


def test_a_script_is_read_word_by_word() -> None:
    script = (
        "insufficient_funds*2, do_not_honor/try_again_later, refused, slow(0.5):lost:paid, 500:nothing, 3ds"
    )
    assert [str(answer) for answer in parse_script(script)] == [
        "insufficient_funds",
        "insufficient_funds",
        "do_not_honor/try_again_later",
        "refused",
        "slow(0.500000):lost:paid",
        "500:nothing",
        "3ds",
    ]


def test_each_word_is_written_as_it_is_read() -> None:
    for answer in parse_script(
        "paid, 429, 401, 400, 500:expired_card, slow(2):refused, lost:nothing, lost:3ds"
    ):
        assert parse_script(str(answer)) == (answer,)


def test_advice_belongs_to_a_decline() -> None:
    (answer,) = parse_script("insufficient_funds/do_not_try_again")
    assert answer == ScriptedAnswer(Outcome.DECLINED, "insufficient_funds", "do_not_try_again")


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("", "is not an answer"),
        ("paid,", "is not an answer"),
        ("payed", "is not an answer"),
        ("declined", "is not an answer"),
        ("nothing", "needs lost: or 500:"),
        ("paid/try_again_later", "advice"),
        ("insufficient_funds/perhaps", "advice"),
        ("lost:refused", "no answer was on its way"),
        ("500:429", "no answer was on its way"),
        ("slow(9999):paid", "slower than 600 seconds"),
        ("slow:paid", "is not an answer"),
        ("paid*0", "repeated"),
        ("paid*1001", "repeated"),
        ("paid*3*3", "is not an answer"),
    ],
)
def test_a_bad_script_is_refused_with_what_was_expected(script: str, fault: str) -> None:
    with pytest.raises(BadInput, match="expected paid, 3ds, a decline code") as caught:
        parse_script(script)
    assert fault in str(caught.value)


async def test_a_card_with_a_bad_script_is_not_added(sandbox: SandboxProcessor) -> None:
    await sandbox.add_customer("cus_1", None, None)
    with pytest.raises(BadInput):
        await sandbox.add_card("cus_1", "card_1", "perhaps")
    assert await sandbox.events() == ()


def test_scripts_know_every_decline_code_that_the_campaigns_judge() -> None:
    table = DeclineTable((ROOT / "campaigns/data/decline_codes.csv").read_text())
    assert table.codes(STRIPE, OUTCOME, DUNWELL) == DECLINE_CODES


def test_every_sample_card_follows_a_good_script() -> None:
    cards = SandboxProcessor.test_cards()
    assert [parse_script(card.script) for card in cards]
    assert (
        len({card.label for card in cards})
        == len({(card.network, card.last4) for card in cards})
        == len(cards)
    )
