"""When a step with conditions or an approval is done, and when it is left out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from activities.turn import judged
from campaigns.document import Approval, Campaign, End, FinalAction, Step
from campaigns.planner import plan
from campaigns.story import Action, Story
from contract import Approve
from tests.unit.planner_story import day, story
from tests.unit.played_case import Event, PlayedCase, World

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAVE = End(after=timedelta(days=14), action=FinalAction.LEAVE)


def campaign(*steps: Step, **more: Any) -> Campaign:
    return Campaign(name="any", steps=steps, end=LEAVE, **more)


def step(number: float, **more: Any) -> Step:
    return Step(id=f"day-{number:g}".replace(".", "-"), after=timedelta(days=number), **more)


def done_in(course: Campaign, *events: Event, **world: Any) -> list[tuple[float, str]]:
    """Play a case and list what is done, by days since the failure, the end aside."""
    case = PlayedCase(World([course], events=events, **world), story()).play()
    return [
        ((deed.at - day(0)) / timedelta(days=1), deed.plan.id)
        for deed in case.deeds
        if deed.plan.step != "end"
    ]


def away(start: float, end: float) -> Event:
    return Event(day(start), "away", timedelta(days=end - start))


# --- conditions --------------------------------------------------------------------------------------


def test_a_step_is_not_done_later_when_its_conditions_have_come_to_hold_since() -> None:
    course = campaign(
        step(3, message="payment_failed", only_if={"attempts": {"at_least": 1}}), step(6, retry=True)
    )
    assert done_in(course) == [(6, "day-6.charge")]


def test_after_an_outage_a_step_is_judged_by_the_charge_that_came_before_it() -> None:
    course = campaign(
        step(3, retry=True), step(5, message="payment_failed", only_if={"attempts": {"at_least": 1}})
    )
    in_time = [(3, "day-3.charge"), (5, "day-5.message")]
    assert done_in(course) == in_time
    assert done_in(course, away(2, 6)) == [(6, action) for _, action in in_time]


def test_a_step_that_is_not_for_a_case_when_it_begins_is_left_out_as_a_whole() -> None:
    # Charged at night, told of in the morning: a mail opened in between must not bring half of the step.
    course = campaign(
        step(1, message="payment_failed"),
        step(3, retry=True, message="last_notice", only_if={"mail_opened": True}),
        calendar={"messages": {"hours": "12:00 to 20:00"}},
    )
    opened = Event(day(3) + timedelta(hours=1), "opened")
    assert done_in(course, opened) == [(1.125, "day-1.message")]
    assert done_in(course, Event(day(2), "opened")) == [
        (1.125, "day-1.message"),
        (3, "day-3.charge"),
        (3.125, "day-3.message"),
    ]


def test_what_holds_when_a_step_begins_holds_for_all_of_it() -> None:
    course = campaign(step(1, retry=True, message="payment_failed", only_if={"attempts": {"at_most": 0}}))
    assert done_in(course) == [(1, "day-1.charge"), (1, "day-1.message")]


# --- approvals ---------------------------------------------------------------------------------------


def asked(silence: str, within: float = 2) -> Approval:
    return Approval(within=timedelta(days=within), otherwise=silence)


@pytest.mark.parametrize(
    ("silence", "done"),
    [("go on", [(1, "day-1.ask"), (3, "day-1.charge"), (3, "day-1.message")]), ("skip", [(1, "day-1.ask")])],
)
def test_silence_means_what_its_author_said(silence: str, done: Sequence[tuple[float, str]]) -> None:
    course = campaign(step(1, retry=True, message="payment_failed", approval=asked(silence)))
    assert done_in(course) == done


@pytest.mark.parametrize("silence", ["go on", "skip"])
def test_an_approval_lets_the_step_go_on_at_once(silence: str) -> None:
    course = campaign(step(1, retry=True, message="payment_failed", approval=asked(silence)))
    approved = Event(day(1.5), Approve(by="ops", why="looks right"))
    assert done_in(course, approved) == [
        (1, "day-1.ask"),
        (1.5, "day-1.charge"),
        (1.5, "day-1.message"),
    ]


def test_a_step_that_nobody_was_asked_about_yet_takes_no_other_steps_place() -> None:
    # The worker was away past both: the customer is told on its return, and not two days later.
    course = campaign(
        step(1, retry=True, message="payment_failed"),
        step(2, retry=True, message="last_notice", approval=asked("go on")),
    )
    assert done_in(course, away(0.5, 5)) == [
        (5, "day-2.ask"),
        (5, "day-1.charge"),
        (5, "day-1.message"),
        (7, "day-2.charge"),
        (7, "day-2.message"),
    ]


def test_a_question_is_not_put_for_a_step_that_is_not_for_the_case() -> None:
    course = campaign(
        step(1, message="last_notice", approval=asked("go on"), only_if={"decline_class": "hard"})
    )
    assert done_in(course) == []


def test_a_step_in_the_future_is_foreseen_only_as_far_as_it_may_come() -> None:
    course = campaign(step(3, message="last_notice", only_if={"mail_opened": True}))
    waiting = judged(course, story(), day(1))
    foreseen = plan(course, waiting, day(1))
    assert (foreseen.action, foreseen.at) == (Action.MESSAGE, day(3))
    assert foreseen.why.endswith("only if the customer has opened a mail or used a link by then")
    assert plan(course, Story(**dict(waiting) | {"opened_at": day(2)}), day(2)).why.endswith("failed payment")
