"""What a team is told of an edit's effect on running cases, before it moves any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.conditions import Conditions
from campaigns.document import Arm, Campaign, End, FinalAction, Step
from campaigns.effects import Change, Effect, EffectSummary, Tally, effect_of, spell_effect
from campaigns.moving import Moving, PastRule, moved
from campaigns.planner import plan
from campaigns.simulation import simulate
from campaigns.story import Action, Ending, Outcome, Pause, Story
from tests.unit.planner_story import CAMPAIGN, DAY_0, day, story

DAY = timedelta(days=1)


def version(*days: float, end: float = 14, **more: Any) -> Campaign:
    """Give the fortnight with its steps on other days."""
    steps = tuple(
        Step(id=f"day-{name}", after=after * DAY, retry=True, message="payment_failed")
        for name, after in zip((1, 3, 5, 7), days, strict=False)
    )
    known = {"steps": steps, "end": End(after=end * DAY, action=FinalAction.CANCEL_NOW)}
    return CAMPAIGN.model_copy(update={**known, **more})


def on_day(number: float, **more: Any) -> Story:
    """Give a case of the fortnight as it stands on a day."""
    case = story(version=1, **more)
    for item in simulate(CAMPAIGN, case, DAY_0):
        if item.at > day(number):
            break
        case = item.story
    return case


def effect(to: Campaign, number: float = 2, case: Story | None = None, **how: Any) -> Effect:
    case = case or on_day(number)
    return effect_of(case, CAMPAIGN, Moving(to, 2, **how), {}, day(number))


@pytest.mark.parametrize(
    ("to", "number", "how", "changes", "said"),
    [
        (version(1, 3, 5, 7, title="in other words"), 2, {}, {Change.NEXT_SAME}, "nothing changes"),
        (
            version(1, 2.5, 5, 7),
            2,
            {},
            {Change.NEXT_EARLIER},
            "next charge (day-3) on 04 Mar 2026 21:00 UTC instead of charge (day-3) on 05 Mar 2026 09:00 UTC",
        ),
        (
            version(1, 4, 6, 8, end=20),
            2,
            {},
            {Change.NEXT_LATER, Change.ENDS_LATER},
            (
                "next charge (day-3) on 06 Mar 2026 09:00 UTC instead of charge (day-3) on 05 Mar 2026 09:00 UTC;"
                " it ends on 22 Mar 2026 09:00 UTC instead of 16 Mar 2026 09:00 UTC"
            ),
        ),
        (
            version(1, steps=tuple(step for step in CAMPAIGN.steps if step.id != "day-3")),
            2,
            {},
            {Change.NEXT_GONE, Change.FEWER_MAILS, Change.FEWER_CHARGES},
            (
                "next charge (day-5) on 07 Mar 2026 09:00 UTC instead of charge (day-3) on 05 Mar 2026 09:00 UTC;"
                " 1 mail fewer; 1 charge fewer"
            ),
        ),
        (
            version(1, 1.5, 5, 7),
            2,
            {"past": PastRule.ONCE, "spread": timedelta(hours=2)},
            {Change.AT_ONCE},
            None,
        ),
        (
            version(1, 3, 5, 7, end=10),
            2,
            {},
            {Change.NEXT_SAME, Change.ENDS_EARLIER},
            "it ends on 12 Mar 2026 09:00 UTC instead of 16 Mar 2026 09:00 UTC",
        ),
        (
            version(1, 3, end=5),
            6,
            {},
            {
                Change.AT_ONCE,
                Change.FEWER_CHARGES,
                Change.ENDS_EARLIER,
                Change.ENDS_AFTER_NOTICE,
            },
            (
                "next message (end) on 08 Mar 2026 09:00 UTC instead of charge (day-7) on 09 Mar 2026 09:00 UTC;"
                " 1 charge fewer; it ends on 09 Mar 2026 09:00 UTC instead of 16 Mar 2026 09:00 UTC"
            ),
        ),
        (
            version(1, 3, 5, 8),
            2,
            {},
            {Change.NEXT_SAME},
            "the next step is the same, later ones are not",
        ),
    ],
    ids=["none", "earlier", "later", "gone", "at once", "end", "cut to before now", "only later steps"],
)
def test_each_way_in_which_a_case_changes_is_told(
    to: Campaign, number: float, how: dict[str, Any], changes: set[Change], said: str | None
) -> None:
    found = effect(to, number, **how)
    assert found.changes == changes
    assert said is None or spell_effect(found) == said
    assert found.is_none is (said == "nothing changes")


def test_the_effect_is_what_the_move_then_does() -> None:
    to, case = version(1, 1.5, 4, 9, end=11), on_day(2)
    target = Moving(to, 2, PastRule.ONCE, timedelta(hours=5))
    found = effect_of(case, CAMPAIGN, target, {}, day(2))
    after, new = moved(case, CAMPAIGN, target, {}, day(2))
    assert found.after is not None
    assert found.after.next_step == plan(new, after, day(2))
    assert found.after.actions == tuple(item.plan for item in simulate(new, after, day(2)) if item.plan)
    assert found.before.actions[0] == plan(CAMPAIGN, case, day(2))


def test_what_should_have_been_done_by_now_is_judged_as_the_case_will_judge_it() -> None:
    # Nobody has looked at the case since day 1; its steps of days 3 and 5 are due, and only one is done.
    found = effect(version(1, 3, 5, 7, title="in other words"), 5.5, on_day(1.5))
    assert found.is_none
    assert [action.id for action in found.before.actions][:2] == ["day-5.charge", "day-5.message"]


def test_a_case_ends_at_once_only_where_its_customer_has_been_told_before() -> None:
    cut, told = version(1, 3, 5, 7, end=8), on_day(9)
    assert Change.ENDS_AFTER_NOTICE in effect(cut, 9, told).changes
    # Cut once already, moved back after the notice, and now cut again.
    noticed = told.model_copy(update={"done": {**told.done, "end.notice": day(7.5)}})
    found = effect(cut, 9, noticed)
    assert found.changes == {Change.AT_ONCE, Change.ENDS_EARLIER, Change.ENDS_AT_ONCE}
    assert spell_effect(found).endswith("it ends at once")


def test_an_arm_that_is_gone_and_one_that_is_kept() -> None:
    other = Arm(name="brisk", weight=1, steps=version(1, 2.5).steps)
    case = on_day(2)
    gone = effect(version(1, 3, arms=(other,)), 2, case.model_copy(update={"arm": "slow"}))
    assert Change.ANOTHER_ARM in gone.changes
    assert "arm brisk instead of slow" in spell_effect(gone)
    kept = effect(version(1, 3, arms=(other,)), 2, case.model_copy(update={"arm": "brisk"}))
    assert Change.ANOTHER_ARM not in kept.changes


@pytest.mark.parametrize(
    "stopped", [{"paused": Pause(by="ops", why="asked")}, {"review": "something is wrong"}]
)
def test_a_case_that_waits_for_a_person_goes_on_waiting_and_what_comes_after_is_told(
    stopped: dict[str, Any],
) -> None:
    step = Step(id="day-4", after=4 * DAY, message="x", only_if=Conditions(mail_opened=False))
    found = effect(version(1, steps=(step,)), 2, on_day(2).model_copy(update=stopped))
    assert found.changes == {Change.NEXT_SAME, Change.FEWER_MAILS, Change.FEWER_CHARGES}
    assert (found.before.next_step.action, found.mails, found.charges) == (Action.WAIT, -2, -3)


def test_a_case_that_has_ended_would_be_refused() -> None:
    over = on_day(2).model_copy(update={"ending": Ending(outcome=Outcome.CANCELLED, at=day(2))})
    found = effect(version(1, 2, 3, 4), 2, over)
    assert (found.changes, found.after) == (frozenset({Change.REFUSED}), None)
    assert spell_effect(found) == "would be refused: the case has ended: cancelled"
    assert (found.mails, found.charges, found.is_none) == (0, 0, False)


def test_a_summary_counts_everything_and_keeps_a_few_examples_of_each_change() -> None:
    to = version(1, steps=tuple(step for step in CAMPAIGN.steps if step.id != "day-3"))
    tally = Tally(examples=2)
    kept = []
    for number in range(5):
        early = on_day(2).model_copy(update={"case_id": f"early_{number}"})
        kept.append(tally.add(effect(to, 2, early)))
    for number in range(3):
        late = on_day(4).model_copy(update={"case_id": f"late_{number}"})
        tally.add(effect(to, 4, late))
    tally.add(effect(to, 2, on_day(2).model_copy(update={"ending": Ending(outcome=Outcome.CANCELLED)})))
    found = tally.summary()
    assert kept == [True, True, False, False, False]
    assert (found.total, found.moving, found.unchanged, found.mails, found.charges) == (9, 8, 3, -5, -5)
    assert found.counts == {
        Change.NEXT_SAME: 3,
        Change.NEXT_GONE: 5,
        Change.FEWER_MAILS: 5,
        Change.FEWER_CHARGES: 5,
        Change.REFUSED: 1,
    }
    assert {change: [one.case_id for one in some] for change, some in found.examples.items()} == {
        Change.NEXT_SAME: ["late_0", "late_1"],
        Change.NEXT_GONE: ["early_0", "early_1"],
        Change.FEWER_MAILS: ["early_0", "early_1"],
        Change.FEWER_CHARGES: ["early_0", "early_1"],
        Change.REFUSED: ["case_1"],
    }


def test_nothing_to_move_is_a_summary_too() -> None:
    assert Tally().summary() == EffectSummary()
