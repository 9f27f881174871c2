"""Every effect of an edit on a running case has its words, for one case and for many."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from campaigns.effects import Change, EffectSummary
from campaigns.story import Action, Plan
from web.studio.effect_words import ACTIONS, WORDS, Group, spell_step, spell_totals

AT = datetime(2026, 6, 3, 9, 0, 5, tzinfo=UTC)


def test_every_change_and_every_action_has_words() -> None:
    assert set(WORDS) == set(Change)
    assert set(ACTIONS) == set(Action)


def test_one_case_is_not_spoken_of_as_many() -> None:
    one, many = Group(Change.NEXT_LATER, 1, ()), Group(Change.NEXT_LATER, 2, ())
    assert (one.words, one.sign) == ("has its next step later", "later")
    assert many.words == "have their next step later"


def test_a_step_is_spelled_with_its_time_to_the_minute_or_where_that_is_too_coarse_to_the_second() -> None:
    step = Plan(action=Action.CHARGE, id="day-3.charge", step="day-3", at=AT, why="")
    assert spell_step(step) == "charge of day-3, 03 Jun 2026, 09:00 UTC"
    assert spell_step(step, exact=True) == "charge of day-3, 03 Jun 2026, 09:00:05 UTC"
    assert spell_step(Plan(action=Action.WAIT, id="wait", at=None, why="")) == "nothing by itself"


@pytest.mark.parametrize(
    ("mails", "charges", "said"),
    [
        (0, 0, "There are as many mails and charges as before."),
        (1, 0, "That makes 1 mail more in all."),
        (-1200, 3, "That makes 1,200 mails fewer and 3 charges more in all."),
    ],
)
def test_totals(mails: int, charges: int, said: str) -> None:
    assert spell_totals(EffectSummary(mails=mails, charges=charges)) == said
