"""The comparison itself: it must fail where a case did too much, too little, too early or too late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.scenarios.timeline import Effect, read_offset, spell_offset
from tests.scenarios.verdict import compare_effects

LATE = timedelta(seconds=20)
PLANNED = [
    Effect(timedelta(days=1), "charge card_1 by schedule -> declined insufficient_funds"),
    Effect(timedelta(days=1), "mail payment_failed -> sent"),
]


def moved(by: timedelta) -> list[Effect]:
    return [PLANNED[0], Effect(PLANNED[1].at + by, PLANNED[1].what)]


@pytest.mark.parametrize("found", [PLANNED, moved(LATE)], ids=["at once", "a little late"])
def test_what_was_planned_passes(found: list[Effect]) -> None:
    assert compare_effects(PLANNED, found, LATE) == []


@pytest.mark.parametrize(
    "found",
    [
        [],
        PLANNED[:1],
        [*PLANNED, Effect(timedelta(days=14), "alert needs review")],
        [*PLANNED, PLANNED[1]],
        PLANNED[::-1],
        [PLANNED[0], Effect(PLANNED[1].at, "mail payment_failed -> failed")],
        moved(timedelta(microseconds=-1)),
        moved(LATE + timedelta(seconds=1)),
    ],
    ids=["nothing", "one too few", "one too many", "twice", "reversed", "another", "early", "late"],
)
def test_anything_else_fails(found: list[Effect]) -> None:
    assert compare_effects(PLANNED, found, LATE)


@pytest.mark.parametrize("text", ["+0s", "+1d", "+2d12h", "+1d30m", "+14d0.5s"])
def test_offsets_are_written_as_they_are_read(text: str) -> None:
    assert spell_offset(read_offset(text)) == text


@pytest.mark.parametrize("text", ["2d", "day 2", "+", "+2 moons"])
def test_an_offset_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"offset|length of time"):
        read_offset(text)
