"""The rules of money and mail, on the pure planner alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.declines import Ask
from campaigns.document import AccessLevel, Campaign, End, FinalAction, Messages, Step
from campaigns.due import next_charge_at, overtaken
from campaigns.planner import plan, template_for
from campaigns.reading import read_campaign
from campaigns.schedule import end_at
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Action, Ending, Outcome, Pause, Pending, Story, Trigger, Unsettled
from store.campaigns import LIBRARY
from tests.unit.planner_story import (
    CAMPAIGN,
    DAY_0,
    RETRY_DAYS,
    TIMES,
    campaigns,
    day,
    next_of,
    stories,
    story,
)
from tests.unit.test_declines import TABLE, verdict_of

if TYPE_CHECKING:
    from datetime import datetime

MINUTE = 1 / 24 / 60


def played(campaign: Campaign, decline: str, *, has_card: bool = True) -> list[tuple[float, str]]:
    case = begin(campaign, Sample(DAY_0, verdict_of(decline), has_card=has_card))
    plans = [item.plan for item in simulate(campaign, case, DAY_0) if item.plan]
    return [((step.at - DAY_0) / timedelta(days=1), step.id) for step in plans if step.at]


def test_a_case_in_which_nothing_changes_goes_by_the_calendar() -> None:
    expected = [(float(n), f"day-{n}.{kind}") for n in RETRY_DAYS for kind in ("charge", "message")]
    assert played(CAMPAIGN, "insufficient_funds") == [*expected, (14.0, "end.action")]


def test_a_hard_decline_stops_the_charges_and_not_the_mails() -> None:
    mails = [(float(n), f"day-{n}.message") for n in RETRY_DAYS]
    assert played(CAMPAIGN, "stolen_card") == [*mails, (14.0, "end.action")]
    assert played(CAMPAIGN, "insufficient_funds", has_card=False) == [*mails, (14.0, "end.action")]


def test_the_standard_campaign_ends_after_28_days_with_a_farewell() -> None:
    text = (LIBRARY / "standard.yaml").read_text(encoding="utf-8")
    steps = played(read_campaign(text, file="standard.yaml"), "insufficient_funds")
    assert [at for at, step in steps if step.endswith(".charge")] == [1, 3, 7, 14, 21]
    assert [step for _, step in steps][-3:] == ["last-notice.message", "end.action", "end.message"]
    assert steps[-1][0] == 28


def test_nothing_is_done_a_minute_early() -> None:
    assert next_of(story(), 0) == next_of(story(), 1 - MINUTE)
    assert next_of(story(), 1 - MINUTE).at == day(1)
    assert next_of(story(), 1).at == day(1)


def test_lateness_does_not_add_up() -> None:
    late = story(done={"day-1.charge": day(1.4), "day-1.message": day(1.4)}, last_charge_at=day(1.4))
    assert next_of(late, 1.4).at == day(3)


def test_a_charge_comes_before_the_mail_of_its_step() -> None:
    assert next_of(story(), 1).id == "day-1.charge"
    charged = story(done={"day-1.charge": day(1)}, last_charge_at=day(1), scheduled_charges=1)
    step = next_of(charged, 1)
    assert (step.id, step.template, step.not_after) == ("day-1.message", "payment_failed", day(3))


def test_a_worker_that_was_away_does_one_charge_and_one_mail() -> None:
    away = story(done={"day-1.charge": day(1), "day-1.message": day(1)}, last_charge_at=day(1))
    step = next_of(away, 6)
    assert (step.id, step.at) == ("day-5.charge", day(6))
    assert overtaken(CAMPAIGN, away, day(6)) == ("day-3.charge", "day-3.message")
    charged = away.model_copy(
        update={"done": {**away.done, "day-5.charge": day(6)}, "last_charge_at": day(6)}
    )
    assert next_of(charged, 6).id == "day-5.message"
    told = charged.model_copy(update={"done": {**charged.done, "day-5.message": day(6)}})
    assert (next_of(told, 6).id, next_of(told, 6).at) == ("day-7.charge", day(7))


def test_an_end_that_passed_unseen_is_announced_a_day_before_it_is_done() -> None:
    silent = story(done={"day-1.charge": day(1), "day-1.message": day(1)}, last_charge_at=day(1))
    silent = silent.model_copy(update={"passed": overtaken(CAMPAIGN, silent, day(15))})
    charge = next_of(silent, 15)
    assert (charge.action, charge.id) == (Action.CHARGE, "day-7.charge")
    done = {**silent.done, "day-7.charge": day(15)}
    charged = silent.model_copy(update={"done": done, "last_charge_at": day(15)})
    notice = next_of(charged, 15)
    assert (notice.id, notice.template, notice.at) == ("end.notice", "last_notice", day(15))
    told = charged.model_copy(update={"done": {**done, "end.notice": day(15)}})
    end = next_of(told, 15)
    assert (end.action, end.at, end.final_action) == (Action.END, day(16), FinalAction.CANCEL_NOW)


def test_only_scheduled_charges_count_toward_the_limit() -> None:
    limited = Campaign(**(dict(CAMPAIGN) | {"retries": 4}))
    assert next_of(story(charges=9, scheduled_charges=3), 1, limited).action is Action.CHARGE
    step = next_of(story(charges=4, scheduled_charges=4), 1, limited)
    assert step.action is Action.MESSAGE
    assert "limit of 4" in step.why


def test_a_new_card_is_charged_at_once_and_the_calendar_stays() -> None:
    pending = Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")
    step = next_of(story(method="pm_2", pending=pending), 2.5)
    assert (step.id, step.at, step.method, step.trigger) == (
        "card.pm_2",
        day(2.5),
        "pm_2",
        Trigger.CARD_UPDATED,
    )
    declined = story(method="pm_2", card_notice="card.pm_2.message", last_charge_at=day(2.5))
    notice = next_of(declined, 2.5)
    assert (notice.id, notice.template) == ("card.pm_2.message", "card_declined")
    assert notice.not_after == day(3)
    told = declined.model_copy(update={"card_notice": None, "passed": ("day-1.charge", "day-1.message")})
    assert (next_of(told, 2.5).id, next_of(told, 2.5).at) == ("day-3.charge", day(3))


def test_a_charge_of_unknown_fate_is_settled_before_anything_else() -> None:
    doubt = Unsettled(id="day-1.charge", trigger=Trigger.SCHEDULE, since=day(1), until=day(1.1))
    pending = Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")
    step = next_of(story(unsettled=doubt, pending=pending, look="paid?"), 1.05)
    assert (step.action, step.id, step.at) == (Action.CHARGE, "day-1.charge", day(1.1))


def test_a_charge_that_a_person_looks_at_is_not_repeated() -> None:
    doubt = Unsettled(id="day-1.charge", trigger=Trigger.SCHEDULE, since=day(1), until=day(1.1))
    step = next_of(story(unsettled=doubt, review="is it paid?"), 3)
    assert (step.action, step.at) == (Action.WAIT, None)


@pytest.mark.parametrize("until", [None, 6.0])
def test_a_pause_holds_the_calendar_and_not_a_new_card(until: float | None) -> None:
    paused = Pause(by="ops", why="a call", until=day(until) if until else None)
    step = next_of(story(paused=paused), 3)
    assert (step.action, step.at) == (Action.WAIT, day(until) if until else None)
    assert "paused by ops: a call" in step.why
    card = Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")
    assert next_of(story(paused=paused, pending=card), 3).action is Action.CHARGE


def test_a_payment_to_be_confirmed_is_not_charged_and_the_mail_asks_for_it() -> None:
    step = next_of(story(ask=Ask.CONFIRM, decline="authentication_required"), 3)
    assert (step.action, step.template) == (Action.MESSAGE, "confirm_payment")
    assert next_charge_at(CAMPAIGN, story(ask=Ask.CONFIRM), day(3)) is None


@pytest.mark.parametrize("named", ["payment_failed", "new_card_needed", "confirm_payment"])
@pytest.mark.parametrize("ask", [Ask.NOTHING, Ask.NEW_CARD, Ask.CONFIRM])
def test_whoever_told_the_bank_to_stop_is_asked_and_not_dunned(named: str, ask: Ask) -> None:
    assert template_for(CAMPAIGN, story(revoked=True, ask=ask), named) == "did_you_mean_to_cancel"
    assert template_for(CAMPAIGN, story(revoked=True, ask=ask), "last_notice") == "last_notice"


def test_a_promise_lets_mails_rest_until_its_day() -> None:
    promised = story(promise_at=day(6))
    step = next_of(promised, 2)
    assert (step.action, step.at, step.trigger) == (Action.CHARGE, day(6), Trigger.CUSTOMER)
    assert step.why == "the customer promised to pay on 08 March 2026"


@pytest.mark.parametrize("outcome", Outcome)
def test_after_the_end_nothing_is_charged(outcome: Outcome) -> None:
    campaign = Campaign(**(dict(CAMPAIGN) | {"messages": Messages(receipt="payment_received")}))
    ended = story(ending=Ending(outcome=outcome, at=day(2)))
    step = next_of(ended, 2, campaign)
    assert step.action is (Action.MESSAGE if outcome is Outcome.RECOVERED else Action.CLOSE)
    closed = ended.model_copy(update={"closed": True})
    assert next_of(closed, 20, campaign).action is Action.CLOSE


def test_a_moved_step_and_a_moved_end_are_where_they_were_moved_to() -> None:
    moved = story(moved={"day-1": day(2), "end": day(20)})
    assert next_of(moved, 1).at == day(2)
    assert "moved by a person" in next_of(moved, 1).why
    assert end_at(CAMPAIGN, moved) == day(20)


def test_a_skipped_step_is_left_out() -> None:
    skipped = story(passed=("day-1.charge", "day-1.access", "day-1.message"))
    assert (next_of(skipped, 0).id, next_of(skipped, 0).at) == ("day-3.charge", day(3))


def test_access_goes_down_with_its_step_and_only_once() -> None:
    campaign = Campaign(
        name="strict",
        steps=(
            Step(id="limit", after=timedelta(days=1), access=AccessLevel.LIMITED),
            Step(id="block", after=timedelta(days=2), access=AccessLevel.BLOCKED),
        ),
        end=End(after=timedelta(days=3), action=FinalAction.MARK_UNPAID),
    )
    assert next_of(story(), 1, campaign).access is AccessLevel.LIMITED
    limited = story(access=AccessLevel.LIMITED, done={"limit.access": day(1)})
    assert (next_of(limited, 1, campaign).access, next_of(limited, 1, campaign).at) == (
        AccessLevel.BLOCKED,
        day(2),
    )


def test_a_step_that_a_person_puts_into_the_grace_takes_access_there_after_its_charge() -> None:
    gentle = Campaign(
        name="gentle",
        grace=timedelta(days=7),
        steps=(Step(id="limit", after=timedelta(days=9), retry=True, access=AccessLevel.LIMITED),),
        end=End(after=timedelta(days=14), action=FinalAction.LEAVE),
    )
    put = story(moved={"limit": day(2)})
    assert next_of(put, 2, gentle).id == "limit.charge"
    charged = put.model_copy(update={"done": {"limit.charge": day(2)}, "last_charge_at": day(2)})
    taken = next_of(charged, 2, gentle)
    assert (taken.id, taken.at, taken.access) == ("limit.access", day(2), AccessLevel.LIMITED)


@settings(max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), TIMES)
def test_any_case_on_any_campaign_has_one_sensible_next_step(data: st.DataObject, now: datetime) -> None:
    campaign = data.draw(campaigns())
    case = data.draw(stories(campaign))
    step = plan(campaign, case, now)
    assert plan(campaign, case, now) == step
    assert step.why or step.action is Action.CLOSE
    assert step.at is None or step.at >= now
    assert step.at is not None or step.action is Action.WAIT
    if case.ending or case.closed:
        assert step.action in {Action.MESSAGE, Action.CLOSE}
    elif case.review and not (case.look or case.pending or case.card_notice):
        assert step.action is Action.WAIT
    if step.action is Action.CHARGE:
        assert step.trigger is not None
        assert step.trigger is not Trigger.SCHEDULE or case.unsettled or case.pending or not case.card_blocked
    assert step.id not in case.passed or case.unsettled or step.action is Action.END


@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), TIMES)
def test_a_case_survives_being_written_and_read(data: st.DataObject, now: datetime) -> None:
    campaign = data.draw(campaigns())
    case = data.draw(stories(campaign))
    for unset in (True, False):
        again = Story.model_validate_json(case.model_dump_json(exclude_unset=unset))
        assert again == case
        assert plan(campaign, again, now) == plan(campaign, case, now)
    document = Campaign.model_validate_json(campaign.model_dump_json())
    assert document == campaign


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(campaign=campaigns(), decline=st.sampled_from(sorted(TABLE.codes())), has_card=st.booleans())
def test_every_campaign_comes_to_an_end_and_does_nothing_twice(
    campaign: Campaign, decline: str, *, has_card: bool
) -> None:
    steps = played(campaign, decline, has_card=has_card)
    ids = [step for _, step in steps]
    assert len(ids) == len(set(ids))
    assert "end.action" in ids[-2:]
    assert [at for at, _ in steps] == sorted(at for at, _ in steps)
    charges = [step for step in ids if step.endswith(".charge")]
    assert len(charges) <= campaign.retries
    if not has_card or not verdict_of(decline).charge_again:
        assert charges == []
