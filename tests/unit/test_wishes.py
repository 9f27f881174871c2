"""What people may ask of a running case: what is granted, what is refused, and that no answer is untrue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from activities.turn import judged
from activities.wishes import grant
from campaigns.document import Approval, Campaign, End, FinalAction, Step
from campaigns.planner import plan
from campaigns.schedule import step_at
from contract import Approve, Reschedule, SkipStep, Wish
from tests.unit.planner_story import day, story

if TYPE_CHECKING:
    from campaigns.story import Story

WHO: dict[str, Any] = {"by": "ops@example.com", "why": "asked for"}
COURSE = Campaign(
    name="any",
    steps=(
        Step(id="day-1", after=timedelta(days=1), message="payment_failed"),
        Step(id="day-3", after=timedelta(days=3), retry=True, message="payment_failed"),
        Step(id="last", before_end=timedelta(days=2), message="last_notice"),
    ),
    end=End(after=timedelta(days=14), action=FinalAction.CANCEL_NOW),
)
TOLD = story(done={"day-1.message": day(1)})


def asked(
    wish: Wish, case: Story = TOLD, now: float = 2, course: Campaign = COURSE
) -> tuple[Story, bool, str]:
    after, answer = grant(case, wish, "wish-1", course, day(now))
    return after, answer.granted, answer.answer


def test_an_end_that_is_brought_forward_takes_with_it_what_is_counted_from_it() -> None:
    after, granted, answer = asked(Reschedule(step="end", at=day(8), **WHO))
    assert granted
    assert answer == "end moved to 10 March 2026 09:00 UTC, 8 days after the failed payment"
    assert step_at(COURSE, after, COURSE.steps[2]) == day(6)


def test_an_end_before_a_step_is_refused_until_the_step_is_skipped() -> None:
    _, granted, answer = asked(Reschedule(step="end", at=day(2.5), **WHO))
    assert (granted, answer) == (False, "a step would come after that end: move or skip the step first")
    skipped, _, _ = asked(SkipStep(step="day-3", **WHO))
    assert asked(Reschedule(step="end", at=day(2.5), **WHO), skipped)[1]


def test_an_end_may_be_put_off_after_its_late_notice() -> None:
    # The worker was away; a customer who reads the notice calls and asks for more time.
    told = story(done={"end.notice": day(14)}, passed=("day-1.message", "day-3.charge", "day-3.message"))
    after, granted, _ = asked(Reschedule(step="end", at=day(20), **WHO), told, now=14.5)
    assert granted
    upcoming = plan(COURSE, after, day(14.5))
    assert (upcoming.id, upcoming.at) == ("last.message", day(18))


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        (Reschedule(step="day-3", at=day(1), **WHO), "03 March 2026 09:00 UTC is past: give a later time"),
        (
            Reschedule(step="day-3", at=day(14), **WHO),
            "the campaign ends before that, on 16 March 2026 09:00 UTC: move the end first",
        ),
        (Reschedule(step="day-1", at=day(4), **WHO), "step day-1 has been begun"),
        (
            Reschedule(step="day-9", at=day(4), **WHO),
            "there is no step 'day-9' to move: the campaign has day-1, day-3, last and end",
        ),
        (SkipStep(step="day-1", **WHO), "step day-1 is over"),
        (SkipStep(step="end", **WHO), "there is no step 'end' to skip: the campaign has day-1, day-3, last"),
        (Approve(**WHO), "the case does not wait for anybody"),
        (
            Approve(step="day-3", **WHO),
            "step day-3 does not wait for an approval: no step is waiting for one",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(wish: Wish, answer: str) -> None:
    assert asked(wish) == (TOLD, False, answer)


def test_a_step_that_was_passed_over_cannot_be_moved() -> None:
    skipped, _, _ = asked(SkipStep(step="day-3", **WHO))
    after, granted, answer = asked(Reschedule(step="day-3", at=day(5), **WHO), skipped)
    assert (after, granted) == (skipped, False)
    assert answer == "step day-3 is over: it was skipped, or something later took its place"


def test_the_next_step_is_meant_where_none_is_named() -> None:
    moved, granted, answer = asked(Reschedule(at=day(5), **WHO))
    assert granted
    assert answer.startswith("day-3 moved to")
    assert moved.moved == {"day-3": day(5)}
    assert asked(SkipStep(**WHO))[2] == "step day-3 is skipped"


# --- approvals ---------------------------------------------------------------------------------------


def approved_course(silence: Any) -> Campaign:
    approval = Approval(within=timedelta(days=2), otherwise=silence)
    first = Step(id="day-1", after=timedelta(days=1), message="last_notice", approval=approval)
    return Campaign(name="any", steps=(first,), end=COURSE.end)


@pytest.mark.parametrize("silence", ["go on", "skip"])
def test_an_approval_is_granted_once_and_while_it_is_waited_for(silence: str) -> None:
    course, waiting = approved_course(silence), story(done={"day-1.ask": day(1)})
    after, granted, answer = asked(Approve(**WHO), waiting, 2, course)
    assert (granted, answer) == (True, "step day-1 is approved, and done as soon as its hours allow")
    assert plan(course, after, day(2)).id == "day-1.message"
    done = after.model_copy(update={"done": {**after.done, "day-1.message": day(2)}})
    assert asked(Approve(step="day-1", **WHO), done, 2, course)[1] is False


def test_an_approval_that_comes_too_late_is_refused() -> None:
    course, waiting = approved_course("skip"), story(done={"day-1.ask": day(1)})
    assert asked(Approve(**WHO), waiting, 3.5, course)[1:] == (
        False,
        "step day-1 was skipped, since nobody answered in time",
    )
    over = judged(course, waiting, day(3.5))
    assert asked(Approve(step="day-1", **WHO), over, 3.5, course)[1] is False


def test_a_step_that_waits_for_an_approval_may_be_skipped() -> None:
    course, waiting = approved_course("go on"), story(done={"day-1.ask": day(1)})
    after, granted, _ = asked(SkipStep(step="day-1", **WHO), waiting, 2, course)
    assert granted
    assert plan(course, after, day(4)).id == "end.action"
