"""What waits, waits: no plan comes before the time that a hold gives, and no news is kept from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from activities.findings import without_attempt
from campaigns.declines import Ask
from campaigns.document import Campaign, End, FinalAction, Step
from campaigns.planner import plan
from campaigns.story import Action, Ending, Hold, Outcome, Pending, Story, Trigger, Unsettled

DAY_0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = DAY_0 + timedelta(days=1, minutes=5)
LATER = NOW + timedelta(minutes=15)
CAMPAIGN = Campaign(
    name="two-steps",
    messages={"receipt": "payment_received"},
    steps=(
        Step(id="day-1", after=timedelta(days=1), retry=True, message="payment_failed"),
        Step(id="day-3", after=timedelta(days=3), retry=True, message="payment_failed"),
    ),
    end=End(after=timedelta(days=14), action=FinalAction.CANCEL_NOW),
)
DOUBT = Unsettled(id="day-1.charge", trigger=Trigger.SCHEDULE, since=DAY_0, until=DAY_0 + timedelta(days=1))


def story(**told: object) -> Story:
    known = {
        "case_id": "case_1",
        "workflow_id": "recovery/sandbox/main/in_1/1",
        "processor": "sandbox",
        "account": "main",
        "invoice": "in_1",
        "failed_at": DAY_0,
        "method": "card_1",
    }
    return Story.model_validate({**known, **told})


@pytest.mark.parametrize(
    ("told", "held"),
    [
        ({}, "day-1.charge"),
        ({"done": {"day-1.charge": NOW}, "last_charge_at": NOW}, "day-1.message"),
        ({"unsettled": DOUBT}, "day-1.charge"),
        ({"look": "a payment was reported"}, "look"),
        ({"pending": Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")}, "card.pm_2"),
        ({"card_notice": "card.pm_2.message", "ask": Ask.NEW_CARD}, "card.pm_2.message"),
        ({"ending": Ending(outcome=Outcome.RECOVERED, at=NOW)}, "end.message"),
    ],
)
def test_what_is_held_is_planned_for_the_end_of_the_hold_and_no_sooner(
    told: dict[str, object], held: str
) -> None:
    assert (plan(CAMPAIGN, story(**told), NOW).id, plan(CAMPAIGN, story(**told), NOW).at) == (held, NOW)
    waiting = story(**told, hold=Hold(action=held, until=LATER, why="charges stopped by ops"))
    upcoming = plan(CAMPAIGN, waiting, NOW)
    assert (upcoming.id, upcoming.at) == (held, LATER)


def test_a_payment_is_looked_at_even_while_a_person_has_to_settle_a_charge() -> None:
    doubtful = story(unsettled=DOUBT, review="nobody knows whether day-1.charge went through")
    assert plan(CAMPAIGN, doubtful, NOW).action is Action.WAIT
    reported = doubtful.model_copy(update={"look": "a payment was reported"})
    assert plan(CAMPAIGN, reported, NOW).action is Action.LOOK


def test_a_new_card_is_not_charged_while_an_earlier_charge_may_have_been_paid() -> None:
    card = Pending(id="card.pm_2", trigger=Trigger.CARD_UPDATED, method="pm_2")
    doubtful = story(unsettled=DOUBT, review="nobody knows", pending=card)
    assert plan(CAMPAIGN, doubtful, NOW).action is Action.WAIT


def test_an_attempt_that_found_nothing_to_charge_is_not_planned_again() -> None:
    after = without_attempt(story(), "day-1.charge")
    assert plan(CAMPAIGN, after, NOW).action is Action.LOOK
    looked = after.model_copy(update={"look": None})
    assert plan(CAMPAIGN, looked, NOW).id == "day-1.message"
