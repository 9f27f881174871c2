"""The language of the sandbox's cards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.decline_rows import ACH, DUNWELL, OUTCOME, SEPA, STRIPE
from campaigns.declines import DeclineTable
from errors import (
    BadInput,
)
from processors.sandbox import SandboxProcessor
from processors.sandbox_script import DEBIT_CODES, DECLINE_CODES, Outcome, ScriptedAnswer, parse_script
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
        "paid, 429, 401, 400, 500:expired_card, slow(2):refused, lost:nothing, lost:3ds,"
        "do_not_honor/net05, call_issuer/do_not_try_again/mac03/net41, slow(1):lost:pending(0.5d):AM04"
    ):
        assert parse_script(str(answer)) == (answer,)


def test_advice_belongs_to_a_decline() -> None:
    (answer,) = parse_script("insufficient_funds/do_not_try_again")
    assert answer == ScriptedAnswer(Outcome.DECLINED, "insufficient_funds", "do_not_try_again")


def test_a_decline_may_carry_the_networks_own_words() -> None:
    mastercard, visa = parse_script("insufficient_funds/mac27, Call_Issuer/do_not_try_again/mac03/netN7")
    assert mastercard == ScriptedAnswer(Outcome.DECLINED, "insufficient_funds", network_advice="27")
    assert visa == ScriptedAnswer(
        Outcome.DECLINED, "call_issuer", "do_not_try_again", network_code="N7", network_advice="03"
    )


@pytest.mark.parametrize(
    ("written", "later"),
    [("20s", timedelta(seconds=20)), ("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12))],
)
def test_a_debit_is_answered_later(written: str, later: timedelta) -> None:
    paid, returned = parse_script(f"pending({written}):paid, pending(5d):r01")
    assert paid == ScriptedAnswer(Outcome.PAID, later=later)
    assert returned == ScriptedAnswer(Outcome.DECLINED, "R01", later=timedelta(days=5))
    assert str(returned) == "pending(432000.000000s):R01"


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
        ("paid/mac27", "network's words"),
        ("insufficient_funds/mac2", "is not an answer"),
        ("insufficient_funds/net05/mac27", "is not an answer"),
        ("pending(5d):3ds", "a bank only pays or returns"),
        ("pending(5d):refused", "a bank only pays or returns"),
        ("pending(5):paid", "is not an answer"),
        ("pending(99999999d):paid", "is not an answer"),
        ("R99", "is not an answer"),
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
    assert table.codes(ACH, SEPA) == DEBIT_CODES


def test_every_sample_card_follows_a_good_script() -> None:
    cards = SandboxProcessor.test_cards()
    assert [parse_script(card.script) for card in cards]
    assert (
        len({card.label for card in cards})
        == len({(card.network, card.last4) for card in cards})
        == len(cards)
    )
