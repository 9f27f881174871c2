"""Several failed payments of one customer: what is said once, how often, and which is charged first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.document import Campaign
from campaigns.schedule import FAREWELL, NOTICE
from campaigns.story import Beside, Hold, Pause, Pending, Story, Trigger, Unsettled
from campaigns.together import (
    Heard,
    charged_before,
    charged_instead,
    goes_first,
    level_of,
    said_already,
    week_is_free_at,
)
from tests.unit.planner_story import CAMPAIGN, day, story

MESSAGES = [f"day-{number}.message" for number in (1, 3, 5, 7)]
CARD = "card.card_2"
MINUTE = timedelta(minutes=1)
DOUBT = Unsettled(id="day-1.charge", trigger=Trigger.SCHEDULE, since=day(4), until=day(5))
GIVEN = Pending(id=CARD, trigger=Trigger.CARD_UPDATED, method="card_2")


def failed(number: float, name: str, **more: Any) -> Story:
    return story(case_id=name, failed_at=day(number), **more)


def given(case: Story) -> Story:
    return case.model_copy(update={"method": "card_2", "pending": GIVEN})


def due(*others: Story) -> list[tuple[Story, datetime | None]]:
    return [(other, None) for other in others]


OLDEST, MIDDLE, YOUNGEST = failed(0, "case_a"), failed(2, "case_b"), failed(4, "case_c")


def with_policy(policy: str) -> Campaign:
    return Campaign.model_validate(CAMPAIGN.model_dump() | {"on_new_card": policy})


# --- levels ------------------------------------------------------------------------------------------


def test_a_level_is_the_place_among_the_messages_of_the_steps() -> None:
    assert [level_of(CAMPAIGN, action) for action in MESSAGES] == [1, 2, 3, 4]


@pytest.mark.parametrize("action", [FAREWELL, NOTICE, "card.card_2.message", "day-1.charge"])
def test_what_no_step_says_has_no_level_and_is_always_said(action: str) -> None:
    assert level_of(CAMPAIGN, action) is None
    assert said_already(level_of(CAMPAIGN, action), Heard("case_a", 4, day(7))) is None


def test_when_the_oldest_is_paid_the_rest_go_on_at_the_level_after_and_leave_none_out() -> None:
    # Two failed on days 0 and 2. The oldest spoke on days 1 and 3, and is paid on day 4. The younger's own days
    # for its four messages are 3, 5, 7 and 9.
    heard = Heard("case_a", 2, day(3))
    said = [action for action in MESSAGES if said_already(level_of(CAMPAIGN, action), heard) is None]
    assert said == ["day-5.message", "day-7.message"]
    assert (
        said_already(2, heard)
        == "said by case case_a, which named all that is owed (level 2 of its messages)"
    )


def test_whoever_heard_nothing_since_a_failure_hears_all_of_it() -> None:
    assert [said_already(level, None) for level in (1, 2, 3, 4)] == [None] * 4


# --- who speaks first --------------------------------------------------------------------------------


def test_the_oldest_speaks_first_where_it_is_about_to() -> None:
    assert goes_first(MIDDLE, [(OLDEST, day(3)), (YOUNGEST, day(3))], day(3)) == "case_a"
    assert goes_first(OLDEST, [(MIDDLE, day(3))], day(3)) is None


def test_of_two_that_failed_at_once_one_is_the_oldest() -> None:
    one, other = failed(0, "case_a"), failed(0, "case_b")
    assert goes_first(other, [(one, day(1))], day(1)) == "case_a"
    assert goes_first(one, [(other, day(1))], day(1)) is None


@pytest.mark.parametrize(
    ("oldest", "due"),
    [
        (OLDEST, None),
        (OLDEST, day(3) + 11 * MINUTE),
        (OLDEST, day(3) - 61 * MINUTE),
        (failed(0, "case_a", paused=Pause(by="ops", why="asked to")), day(3)),
        (failed(0, "case_a", review="look"), day(3)),
    ],
    ids=["nothing to do", "later", "stuck", "paused", "waits for a person"],
)
def test_an_oldest_that_does_not_act_is_not_waited_for(oldest: Story, due: Any) -> None:
    assert goes_first(MIDDLE, [(oldest, due)], day(3)) is None


# --- mails a week ------------------------------------------------------------------------------------


def test_a_mail_too_many_in_a_week_waits_until_one_is_a_week_old() -> None:
    mails = [day(0), day(2), day(5)]
    assert week_is_free_at(mails, 3, day(6)) == day(7)
    assert week_is_free_at(mails, 2, day(6)) == day(9)
    assert week_is_free_at(mails, 3, day(7)) is None
    assert week_is_free_at(mails, 4, day(6)) is None


def test_without_a_limit_nothing_waits() -> None:
    assert week_is_free_at([day(0)] * 20, None, day(0)) is None


# --- a new card --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "charged"),
    [
        ("all", [None, None, None]),
        ("oldest first", [None, "case_a", "case_a"]),
        ("newest first", ["case_c", "case_c", None]),
    ],
)
def test_a_new_card_is_charged_by_the_policy(policy: str, charged: list[str | None]) -> None:
    every = [OLDEST, MIDDLE, YOUNGEST]
    found = [
        charged_instead(
            with_policy(policy), given(mine), CARD, [other for other in every if other is not mine]
        )
        for mine in every
    ]
    assert found == charged
    assert charged_instead(with_policy(policy), given(MIDDLE), CARD, []) is None


@pytest.mark.parametrize(
    "told",
    [
        {"charged_back": True, "review": "the payment was charged back"},
        {"beside": Beside(until=day(6), look_at=day(6))},
        {"method": "card_2"},
        {"blocked": ("card_2",)},
        {"unsettled": DOUBT, "review": "nobody knows"},
    ],
)
def test_a_new_card_is_not_left_to_a_case_that_will_not_be_charged_with_it(told: dict[str, Any]) -> None:
    oldest = failed(0, "case_a", **told)
    assert charged_instead(with_policy("oldest first"), given(MIDDLE), CARD, [oldest, YOUNGEST]) is None


def test_a_renewed_card_is_charged_for_the_oldest_that_has_it() -> None:
    renewed, mine = f"{CARD}.2029-04", given(MIDDLE)
    oldest = failed(0, "case_a", method="card_2")
    assert charged_instead(with_policy("oldest first"), mine, renewed, [oldest]) == "case_a"


def test_one_that_was_paid_with_the_card_already_is_the_one_that_was_charged() -> None:
    assert charged_instead(with_policy("oldest first"), MIDDLE, CARD, [YOUNGEST], "case_a") == "case_a"
    assert charged_instead(with_policy("all"), MIDDLE, CARD, [YOUNGEST], "case_a") is None


def test_all_are_charged_one_after_the_other_the_oldest_first() -> None:
    assert charged_before(MIDDLE, CARD, due(given(OLDEST), YOUNGEST), day(5)) == "case_a"
    assert charged_before(OLDEST, CARD, due(MIDDLE, YOUNGEST), day(5)) is None
    charged = OLDEST.model_copy(update={"done": {CARD: day(5)}})
    assert charged_before(MIDDLE, CARD, due(charged, YOUNGEST), day(5)) is None


def test_an_older_case_that_has_been_late_for_an_hour_is_not_waited_for() -> None:
    lost = [(given(OLDEST), day(5))]
    assert charged_before(MIDDLE, CARD, lost, day(5) + 59 * MINUTE) == "case_a"
    assert charged_before(MIDDLE, CARD, lost, day(5) + 60 * MINUTE) is None


def test_an_older_case_that_has_not_heard_of_the_card_is_given_a_moment_once() -> None:
    assert charged_before(MIDDLE, CARD, due(OLDEST), day(5)) == "case_a"
    hold = Hold(action=CARD, until=day(5), why="the older case goes first")
    waited = MIDDLE.model_copy(update={"hold": hold})
    assert charged_before(waited, CARD, due(OLDEST), day(5)) is None


def test_an_older_case_that_cannot_charge_is_not_waited_for() -> None:
    stuck = OLDEST.model_copy(update={"pending": GIVEN, "unsettled": DOUBT})
    assert charged_before(MIDDLE, CARD, due(stuck), day(5)) is None
