"""A case that moves to another version: nothing is done twice, nothing is lost, and nobody is ended unwarned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.wishes import grant
from campaigns.calendars import Calendar, Window
from campaigns.conditions import Conditions
from campaigns.document import AccessLevel, Arm, Campaign, End, FinalAction, Step
from campaigns.moving import Moving, PastRule, moved
from campaigns.planner import plan
from campaigns.simulation import simulate
from campaigns.story import Hold, Pending, Plan, Story, Trigger
from contract import Reschedule
from tests.unit.planner_story import CAMPAIGN, DAY_0, day, story

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def charge_and_mail(name: str, after: float) -> Step:
    return Step(id=name, after=after * DAY, retry=True, message="payment_failed")


def version(*days: float, end: float = 14, **more: Any) -> Campaign:
    """Give a version of the fortnight whose four steps, by the days they are named for, come on other days."""
    steps = tuple(
        charge_and_mail(f"day-{name}", after) for name, after in zip((1, 3, 5, 7), days, strict=False)
    )
    known = {"steps": steps, "end": End(after=end * DAY, action=FinalAction.CANCEL_NOW)}
    return CAMPAIGN.model_copy(update={**known, **more})


def done_until(number: float, campaign: Campaign = CAMPAIGN, **more: Any) -> Story:
    """Give a case in which everything has been done that was due by a day."""
    case = story(**more)
    for item in simulate(campaign, case, DAY_0):
        if item.at > day(number):
            break
        case = item.story
    return case


def move(
    case: Story, number: float, to: Campaign, old: Campaign = CAMPAIGN, **how: Any
) -> tuple[Story, Campaign]:
    return moved(case, old, Moving(to, case.version + 1, **how), how.pop("attributes", {}), day(number))


def to_come(case: Story, campaign: Campaign, number: float) -> list[str]:
    """List what is to come after a day: each action with its day."""
    found = [item.plan for item in simulate(campaign, case, day(number)) if item.plan]
    return [_spelled(action) for action in found]


def _spelled(action: Plan) -> str:
    assert action.at is not None
    return f"{(action.at - DAY_0) / DAY:g} {action.id}"


def both(name: str, number: float) -> list[str]:
    return [f"{number:g} {name}.charge", f"{number:g} {name}.message"]


# --- timing ----------------------------------------------------------------------------------------


def test_steps_that_are_to_come_come_when_the_other_version_says() -> None:
    case, new = move(done_until(1.5), 1.5, version(1, 2, 4, 6, end=9))
    expected = [*both("day-3", 2), *both("day-5", 4), *both("day-7", 6), "9 end.action"]
    assert to_come(case, new, 1.5) == expected
    assert (case.campaign, case.version, case.charges, case.scheduled_charges) == ("fortnight", 1, 1, 1)


def test_a_step_that_was_done_is_not_done_again_where_the_version_has_it_later() -> None:
    case, new = move(done_until(3.5), 3.5, version(1, 4, 8, 12, end=20))
    assert to_come(case, new, 3.5) == [*both("day-5", 8), *both("day-7", 12), "20 end.action"]


def test_a_step_that_the_version_puts_into_the_past_is_skipped() -> None:
    case, new = move(done_until(2), 2, version(1, 1.5, 5, 7))
    assert case.put_past == ("day-3.charge", "day-3.message")
    assert to_come(case, new, 2) == [*both("day-5", 5), *both("day-7", 7), "14 end.action"]


def test_or_it_is_done_once_and_only_the_latest_of_them() -> None:
    case, new = move(done_until(2), 2, version(1, 1.25, 1.5, 7), past=PastRule.ONCE)
    assert to_come(case, new, 2) == [*both("day-5", 2), *both("day-7", 7), "14 end.action"]


def test_what_was_waiting_already_is_not_lost_to_a_step_that_is_skipped() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    old = version(1, 3.5, calendar=office)
    night = done_until(3.6, old)
    assert plan(old, night, day(3.6)).id == "day-3.message"
    added = charge_and_mail("day-3-late", 3.55)
    new = old.model_copy(update={"steps": (*old.steps, added)})
    case, course = move(night, 3.6, new, old)
    assert to_come(case, course, 3.6) == ["4 day-3.message", "14 end.action"]


def test_a_step_that_was_begun_is_finished_though_the_version_gives_it_another_day() -> None:
    # Charged at night, and the mail waits for the morning.
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    old, later = version(1, 3.5, calendar=office), version(1, 5, calendar=office)
    night = done_until(3.6, old)
    assert "day-3.charge" in night.done
    case, course = move(night, 3.6, later, old)
    assert to_come(case, course, 3.6) == ["4 day-3.message", "14 end.action"]


def test_what_a_person_moved_stays_where_it_was_put_also_after_moving_there_and_back() -> None:
    case = done_until(2, moved={"day-5": day(6)})
    there, without = move(case, 2, version(1, 3))
    assert to_come(there, without, 2) == [*both("day-3", 3), "14 end.action"]
    back, again = move(there, 2.5, CAMPAIGN, without)
    assert to_come(back, again, 2.5)[2:4] == both("day-5", 6)


# --- moved again -----------------------------------------------------------------------------------


def test_moved_back_what_the_first_move_put_into_the_past_comes_up_on_its_own_date() -> None:
    there, new = move(done_until(2), 2, version(1, 1.5, 6, 8))
    back, old = move(there, 2.5, CAMPAIGN, new)
    assert back.put_past == ()
    expected = [*both("day-3", 3), *both("day-5", 5), *both("day-7", 7), "14 end.action"]
    assert to_come(back, old, 2.5) == expected


@pytest.mark.parametrize(
    ("past", "first"), [(PastRule.SKIP, both("day-5", 5)), (PastRule.ONCE, both("day-3", 4))]
)
def test_moved_back_after_its_own_date_the_rule_decides(past: PastRule, first: list[str]) -> None:
    there, new = move(done_until(2), 2, version(1, 1.5, 6, 8))
    back, old = move(there, 4, CAMPAIGN, new, past=past)
    assert to_come(back, old, 4)[:2] == first


def test_a_mail_that_waits_for_the_morning_comes_in_the_morning_also_after_moving_there_and_back() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    mail = Step(id="note", after=3.5 * DAY, message="payment_failed")
    old = version(1, steps=(charge_and_mail("day-1", 1), mail), calendar=office)
    later = version(1, steps=(charge_and_mail("day-1", 1), mail.model_copy(update={"after": 6 * DAY})))
    there, new = move(done_until(3.6, old), 3.6, later, old)
    assert to_come(there, new, 3.6) == ["6 note.message", "14 end.action"]
    back, again = move(there, 3.7, old, new)
    assert to_come(back, again, 3.7) == ["4 note.message", "14 end.action"]


def test_a_mail_that_waits_for_the_morning_is_not_lost_where_the_version_has_no_hours() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    mail = Step(id="note", after=3.5 * DAY, message="payment_failed")
    old = version(1, steps=(charge_and_mail("day-1", 1), mail), calendar=office)
    case, new = move(done_until(3.6, old), 3.6, version(1, steps=old.steps), old)
    assert to_come(case, new, 3.6) == ["3.6 note.message", "14 end.action"]


def test_what_a_person_skipped_and_what_was_overtaken_is_never_taken_up_again() -> None:
    gone = ("day-3.charge", "day-3.message")
    case, new = move(done_until(2, passed=gone), 2, version(1, 3, 5, 7), past=PastRule.ONCE)
    assert to_come(case, new, 2) == [*both("day-5", 5), *both("day-7", 7), "14 end.action"]


# --- the end ---------------------------------------------------------------------------------------


def test_a_window_cut_to_before_now_ends_a_grace_after_a_last_notice() -> None:
    case, new = move(done_until(6), 6, version(1, 3, end=5))
    assert to_come(case, new, 6) == ["6 end.notice", "7 end.action"]


def test_also_where_every_mail_of_the_version_has_been_sent_and_its_end_is_hardly_past() -> None:
    case, new = move(done_until(8), 8, version(1, 3, 5, 7, end=7.98))
    assert to_come(case, new, 8) == ["8 end.notice", "9 end.action"]


def test_and_where_the_end_is_so_near_that_no_mail_comes_before_it() -> None:
    case, new = move(done_until(8), 8, version(1, 3, 5, 7, end=8.5))
    assert "brought forward" in plan(new, case, day(8)).why
    assert to_come(case, new, 8) == ["8 end.notice", "9 end.action"]


def test_a_mail_that_comes_before_the_new_end_is_notice_enough() -> None:
    case, new = move(done_until(6.5), 6.5, version(1, 3, 5, 6.75, end=7.25))
    assert to_come(case, new, 6.5) == [*both("day-7", 6.75), "7.25 end.action"]


def test_an_end_that_was_as_near_before_the_move_is_left_as_it_is() -> None:
    case, new = move(done_until(13.5), 13.5, version(1, 3, 5, 7, end=20))
    assert to_come(case, new, 13.5) == ["20 end.action"]
    case, new = move(done_until(13.5), 13.5, version(1, 3, 5, 7, title="in other words"))
    assert to_come(case, new, 13.5) == ["14 end.action"]


def test_moved_again_before_the_notice_went_out_the_customer_is_still_told_or_has_the_old_end_back() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    short = version(1, 3, end=5, calendar=office)
    cut, new = move(done_until(6.5), 6.5, short)
    twice, again = move(cut, 6.6, short.model_copy(update={"title": "in other words"}), new)
    assert to_come(twice, again, 6.6) == ["7 end.notice", "8 end.action"]
    back, old = move(cut, 6.6, CAMPAIGN, new)
    assert to_come(back, old, 6.6) == [*both("day-7", 7), "14 end.action"]


def test_a_person_who_puts_the_end_off_again_needs_no_notice_sent() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    cut, new = move(done_until(6.5), 6.5, version(1, 3, end=5, calendar=office))
    assert plan(new, cut, day(6.6)).id == "end.notice"
    wish = Reschedule(step="end", at=day(12), by="ops", why="the move was too harsh")
    put_off, _ = grant(cut, wish, "wish", new, day(6.6))
    assert to_come(put_off, new, 6.6) == ["12 end.action"]


# --- arms ------------------------------------------------------------------------------------------

SLOW = Arm(name="slow", weight=1, steps=(charge_and_mail("day-9", 9),))
QUICK = Arm(name="quick", weight=1, steps=(charge_and_mail("day-4", 4),))
HOLDOUT = Arm(name="nothing", weight=1000, holdout=True)


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        ((QUICK, SLOW), "slow"),
        ((QUICK, HOLDOUT), "quick"),
        ((QUICK, Arm(name="slow", weight=1, holdout=True)), "quick"),
        ((), ""),
    ],
    ids=["kept", "gone", "become a holdout", "no arms any more"],
)
def test_an_arm_is_kept_where_it_still_is_and_no_running_case_is_held_out(
    arms: tuple[Arm, ...], expected: str
) -> None:
    old = version(1, 3, 5, 7, arms=(SLOW,))
    from_arm = old.model_copy(update={"steps": SLOW.steps, "arms": ()})
    case, new = move(done_until(2, from_arm, arm="slow"), 2, version(1, 3, 5, 7, arms=arms), from_arm)
    assert case.arm == expected
    steps = {"slow": ["day-9"], "quick": ["day-4"], "": ["day-1", "day-3", "day-5", "day-7"]}
    assert [step.id for step in new.steps] == steps[expected]


def test_a_case_in_the_holdout_stays_there() -> None:
    document = version(1, 3, 5, 7, arms=(QUICK, HOLDOUT))
    held = story(arm="nothing")
    old = moved(held, CAMPAIGN.model_copy(update={"arms": (HOLDOUT,)}), Moving(document, 2), {}, day(2))
    assert old[0].arm == "nothing"
    assert old[1].is_holdout


def test_steps_for_other_customers_are_left_out() -> None:
    gold = Step(id="day-4", after=4 * DAY, message="vip", only_if=Conditions(attributes={"tier": ["gold"]}))
    new = version(1, 3, steps=(charge_and_mail("day-1", 1), gold))
    case = done_until(2)
    for tier, steps in (("gold", ["day-1", "day-4"]), ("tin", ["day-1"])):
        course = moved(case, CAMPAIGN, Moving(new, 2), {"tier": tier}, day(2))[1]
        assert [step.id for step in course.steps] == steps


# --- budgets and counters --------------------------------------------------------------------------


def test_charges_that_were_made_count_against_the_limit_of_the_version() -> None:
    fewer = version(
        retries=2,
        steps=(charge_and_mail("day-4", 4), charge_and_mail("day-6", 6)),
    )
    case, new = move(done_until(3.5), 3.5, fewer)
    assert to_come(case, new, 3.5) == ["4 day-4.message", "6 day-6.message", "14 end.action"]


@pytest.mark.parametrize(
    "state",
    [
        {"access": AccessLevel.LIMITED},
        {"promise_at": day(4)},
        {"review": "a person has to look"},
        {"flags": ("high value",), "seen": ("evt_1",)},
        {"blocked": ("card_1",), "charges": 3, "last_charge_at": day(1)},
    ],
)
def test_whatever_else_a_case_knows_stays(state: dict[str, Any]) -> None:
    before = done_until(2).model_copy(update=state)
    after, _ = move(before, 2, version(1, 4, 6, 8))
    changed = {"campaign", "version", "arm", "passed", "put_past", "moved", "hold", "short_notice"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)


# --- spread ----------------------------------------------------------------------------------------

TWO_HOURS = timedelta(hours=2)
LIMIT = Step(
    id="day-3", after=1.5 * DAY, access=AccessLevel.LIMITED, message="access_limited", alert="call them"
)


def spread(case: Story, number: float, to: Campaign, **how: Any) -> tuple[Story, Campaign]:
    return move(case, number, to, past=PastRule.ONCE, spread=TWO_HOURS, **how)


def test_what_becomes_due_at_once_waits_for_the_cases_own_share_of_the_time() -> None:
    case, new = spread(done_until(2), 2, version(1, 1.5, 5, 7))
    assert case.hold is not None
    until = case.hold.until
    assert day(2) < until < day(2) + TWO_HOURS
    first = plan(new, case, day(2))
    assert (first.id, first.at) == ("day-3.charge", until)
    assert "spread over 2 hours" in first.why
    later = (until - DAY_0) / DAY
    expected = [*both("day-3", later), *both("day-5", 5), *both("day-7", 7), "14 end.action"]
    assert to_come(case, new, 2) == expected


def test_the_rest_waits_too_where_no_charge_goes_before_it() -> None:
    to = version(1, steps=(charge_and_mail("day-1", 1), LIMIT))
    case, new = spread(done_until(2), 2, to)
    assert case.hold is not None
    later = (case.hold.until - DAY_0) / DAY
    assert to_come(case, new, 2) == [
        f"{later:g} day-3.access",
        f"{later:g} day-3.message",
        f"{later:g} day-3.alert",
        "14 end.action",
    ]


def test_a_last_notice_waits_too_and_the_final_action_follows_it() -> None:
    case, new = spread(done_until(6), 6, version(1, 3, end=5))
    assert case.hold is not None
    later = (case.hold.until - DAY_0) / DAY
    assert to_come(case, new, 6) == [f"{later:g} end.notice", f"{later + 1:g} end.action"]


def test_no_mail_goes_out_at_night_because_it_was_spread_into_it() -> None:
    office = Calendar(messages=Window(hours="09:00 to 17:00"))
    to = version(1, steps=(charge_and_mail("day-1", 1), LIMIT), calendar=office)
    evening = 2 + 7.9 / 24
    case, new = spread(done_until(evening), evening, to, old=CAMPAIGN)
    assert case.hold is not None
    assert case.hold.until > day(2) + 8 * HOUR
    later = (case.hold.until - DAY_0) / DAY
    assert to_come(case, new, evening)[:2] == [f"{later:g} day-3.alert", "3 day-3.access"]


def test_what_a_customer_waits_for_is_not_put_off() -> None:
    card = Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")
    waiting = done_until(2).model_copy(update={"pending": card})
    case, new = spread(waiting, 2, version(1, 1.5, 5, 7))
    assert (plan(new, case, day(2)).id, plan(new, case, day(2)).at) == ("card.pm_2", day(2))


def test_what_was_due_before_the_move_is_not_put_off_by_it() -> None:
    case, new = spread(done_until(2), 3, version(1, 2.5, 5, 7))
    assert case.hold is None
    assert (plan(new, case, day(3)).id, plan(new, case, day(3)).at) == ("day-3.charge", day(3))


def test_a_charge_that_waits_for_the_processor_goes_on_waiting() -> None:
    held = Hold(action="day-3.charge", until=day(2) + 3 * HOUR, why="the processor is away")
    case, new = spread(done_until(2).model_copy(update={"hold": held}), 2, version(1, 1.5, 5, 7))
    assert plan(new, case, day(2)).at == held.until


def test_a_thousand_cases_share_the_time_evenly_and_each_has_the_same_share_every_time() -> None:
    to, cases = version(1, 1.5, 5, 7), [done_until(2)] * 1000
    cases = [case.model_copy(update={"case_id": f"case_{number}"}) for number, case in enumerate(cases)]

    def times() -> list[timedelta]:
        holds = [spread(case, 2, to)[0].hold for case in cases]
        return [hold.until - day(2) for hold in holds if hold]

    found = times()
    assert found == times()
    quarters = [
        sum(quarter * HOUR / 2 <= at < (quarter + 1) * HOUR / 2 for at in found) for quarter in range(4)
    ]
    assert sum(quarters) == len(cases)
    assert all(200 < count < 300 for count in quarters), quarters
