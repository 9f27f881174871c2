"""What holds for a move between any two versions, of any case, at any time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from campaigns.due import due_now, overtaken
from campaigns.moving import Moving, PastRule, moved
from campaigns.planner import plan
from campaigns.schedule import FINAL, NOTICE, end_at
from campaigns.simulation import simulate
from campaigns.story import Action, Story
from tests.unit.planner_story import TIMES, campaigns, stories

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.document import Campaign

RULES = st.sampled_from(PastRule)
TWO_HOURS = timedelta(hours=2)
# A whole case is played for each example.
FEW = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def case_and_versions(draw: st.DrawFn) -> tuple[Story, Campaign, Campaign, datetime]:
    """Give a case at a time, what has gone by noted as the workflow notes it, and two versions whose steps share ids."""
    old, new = draw(campaigns()), draw(campaigns())
    now = draw(TIMES)
    case = draw(stories(old))
    assume(case.ending is None)
    gone = overtaken(old, case, now)
    return case.model_copy(update={"passed": (*case.passed, *gone)}), old, new, now


def to_come(case: Story, campaign: Campaign, now: datetime) -> list[tuple[str, datetime | None]]:
    found = [item.plan for item in simulate(campaign, case, now) if item.plan]
    return [(action.id, action.at) for action in found]


@given(case_and_versions(), RULES)
@FEW
def test_what_was_done_is_not_done_again_and_budgets_and_counters_stay(
    given_case: tuple[Story, Campaign, Campaign, datetime], past: PastRule
) -> None:
    case, old, new, now = given_case
    after, course = moved(case, old, Moving(new, 2, past), {}, now)
    assert after.done == case.done
    assert (after.charges, after.scheduled_charges, after.last_charge_at) == (
        case.charges,
        case.scheduled_charges,
        case.last_charge_at,
    )
    again = {item.plan.id for item in simulate(course, after, now) if item.plan and item.plan.step}
    assert not again & {action for action in case.done if action.startswith("s")} - {"s0.charge"}
    made = sum(
        item.plan.action is Action.CHARGE and item.plan.id.startswith("s")
        for item in simulate(course, after, now)
        if item.plan
    )
    assert made <= max(0, new.retries - case.scheduled_charges) + bool(case.unsettled)


@given(case_and_versions())
@FEW
def test_where_the_past_is_skipped_nothing_of_a_step_becomes_due_by_the_move(
    given_case: tuple[Story, Campaign, Campaign, datetime],
) -> None:
    case, old, new, now = given_case
    after, course = moved(case, old, Moving(new, 2), {}, now)
    # What became of a charge of unknown fate is asked under its own id, whichever version it is.
    doubt = {case.unsettled.id} if case.unsettled else set()
    assert set(due_now(course, after, now)) <= {*due_now(old, case, now), NOTICE, FINAL, *doubt}


@given(case_and_versions(), RULES)
@FEW
def test_no_end_comes_nearer_than_the_grace_without_a_mail(
    given_case: tuple[Story, Campaign, Campaign, datetime], past: PastRule
) -> None:
    case, old, new, now = given_case
    after, course = moved(case, old, Moving(new, 2, past), {}, now)
    assume(NOTICE not in case.done and NOTICE not in case.passed)
    assume(end_at(course, after) < end_at(old, case))
    told = False
    for item in simulate(course, after, now):
        told = told or bool(item.plan and item.plan.action is Action.MESSAGE)
        if item.plan and item.plan.id == FINAL and item.at < now + course.end.late_grace:
            assert told


@given(case_and_versions(), RULES)
@FEW
def test_moved_there_and_back_at_once_a_case_goes_on_as_if_nothing_had_been(
    given_case: tuple[Story, Campaign, Campaign, datetime], past: PastRule
) -> None:
    case, old, new, now = given_case
    # What waits at this moment, and the other version puts off, is in the past of the first one then.
    assume(not due_now(old, case, now))
    before = to_come(case, old, now)
    there, course = moved(case, old, Moving(new, 2, past), {}, now)
    back, again = moved(there, course, Moving(old, 3), {}, now)
    # An end that the customer was not told of in time is announced, here as there.
    assume(not back.short_notice)
    assert to_come(back, again, now) == before


@given(case_and_versions(), RULES)
@FEW
def test_spreading_puts_off_what_became_due_and_nothing_else(
    given_case: tuple[Story, Campaign, Campaign, datetime], past: PastRule
) -> None:
    case, old, new, now = given_case
    assume(case.hold is None)
    straight, course = moved(case, old, Moving(new, 2, past), {}, now)
    spread, _ = moved(case, old, Moving(new, 2, past, TWO_HOURS), {}, now)
    became = {*due_now(course, straight, now)} - {*due_now(old, case, now)}
    if not became:
        assert spread == straight
        return
    assert spread.hold is not None
    assert {spread.hold.action, *spread.hold.also} == became
    assert now < spread.hold.until < now + TWO_HOURS
    first = plan(course, spread, now)
    assert first.id not in became or first.at is None or first.at >= spread.hold.until
