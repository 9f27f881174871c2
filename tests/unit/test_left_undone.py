"""A charge that is not made moves its case on: what was decided is not due again at the same moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.claims import refused
from activities.findings import left_to_processor
from activities.news import take_fact
from activities.standing import with_hold
from campaigns.planner import plan
from campaigns.story import Action, Beside, Hold, Pending, Plan, Story, Trigger, Unsettled
from contract import PaymentFailed
from store.ledger import Claim
from tests.unit.planner_story import CAMPAIGN, day, story
from tests.unit.test_declines import TABLE

NOW = day(1)
FREE = NOW + timedelta(days=1)
UNTIL = Claim(granted=False, fresh=True, reason="20 attempts in 30 days", free_at=FREE)
FOR_GOOD = Claim(granted=False, fresh=True, reason="this card is not to be tried again")
MINUTE = timedelta(minutes=1)


def doubtful(method: str) -> Unsettled:
    return Unsettled(id="day-1.charge", trigger=Trigger.SCHEDULE, method=method, since=NOW, until=NOW)


def next_of(case: Story) -> Plan:
    return plan(CAMPAIGN, case, NOW)


def is_due(case: Story, action: str) -> bool:
    upcoming = next_of(case)
    return upcoming.id == action and upcoming.at is not None and upcoming.at <= NOW


@pytest.mark.parametrize("decision", [UNTIL, FOR_GOOD])
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"unsettled": doubtful("card_1")},
        {"moved": {"day-1": NOW}},
        {"moved": {"day-1": NOW}, "unsettled": doubtful("card_1")},
        {
            "pending": Pending(id="operator.1", trigger=Trigger.OPERATOR, method="card_1"),
            "passed": ("day-1.charge",),
        },
        {"promise_at": NOW, "passed": ("day-1.charge",)},
    ],
)
def test_a_refused_charge_is_not_due_again_at_once(told: dict[str, Any], decision: Claim) -> None:
    case = story(**told)
    step = next_of(case)
    assert step.action is Action.CHARGE
    assert is_due(case, step.id)
    after = refused(case, step, decision, NOW)
    assert next_of(after).action is not Action.CHARGE or not is_due(after, next_of(after).id)


def test_a_refused_charge_that_a_person_put_is_made_when_the_budget_allows_it() -> None:
    case = story(moved={"day-1": NOW})
    after = refused(case, next_of(case), UNTIL, NOW)
    without_mail = after.model_copy(update={"passed": ("day-1.message",)})
    upcoming = next_of(without_mail)
    assert (upcoming.id, upcoming.at) == ("day-1.charge", FREE)
    assert upcoming.why == "step day-1: 1 day after the failed payment, moved by a person; " + UNTIL.reason


@pytest.mark.parametrize("decision", [UNTIL, FOR_GOOD])
def test_what_is_said_of_the_card_before_keeps_no_new_one_from_being_charged(decision: Claim) -> None:
    given = Pending(id="card.card_2", trigger=Trigger.CARD_UPDATED, method="card_2")
    case = story(method="card_2", pending=given, unsettled=doubtful("card_1"))
    after = refused(case, next_of(case), decision, NOW)
    assert (after.pending, after.blocked, after.advised, after.unsettled) == (given, (), None, None)
    assert is_due(after, "card.card_2")


def test_a_charge_that_was_never_sent_is_left_to_the_processor_for_good() -> None:
    beside = Beside(until=day(3), look_at=day(3) + timedelta(hours=1))
    case = story(unsettled=doubtful("card_1"), beside=beside)
    after = left_to_processor(case, "day-1.charge")
    assert not is_due(after, "day-1.charge")


def test_two_things_that_wait_do_not_make_each_other_due() -> None:
    look = Hold(action="look", until=NOW + 5 * MINUTE, why="the account is stopped")
    mail = Hold(action="day-1.message", until=NOW + 15 * MINUTE, why="mails are stopped")
    case = story(beside=Beside(until=day(0), look_at=day(0)))
    for hold in (look, mail, look):
        case = with_hold(case, hold, NOW)
        upcoming = next_of(case)
        assert upcoming.at is not None
    assert next_of(case).at == NOW + 5 * MINUTE
    assert (case.hold and case.hold.action, case.hold and case.hold.why) == (look.action, look.why)


def test_a_hold_whose_time_has_come_is_not_carried_on() -> None:
    over = Hold(action="day-1.message", until=NOW, why="mails are stopped")
    look = Hold(action="look", until=NOW + MINUTE, why="the account is stopped")
    assert with_hold(story(hold=over), look, NOW).hold == look


def test_another_stored_card_is_not_charged_once_the_customer_has_told_the_bank_to_stop() -> None:
    backup = Pending(id="backup.card_9", trigger=Trigger.BACKUP, method="card_9")
    case = story(blocked=("card_1",), pending=backup)
    told = PaymentFailed(event="evt_1", by="processor", decline="revocation_of_all_authorizations")
    after = take_fact(case, told, CAMPAIGN, TABLE, NOW).story
    assert (after.revoked, after.pending) == (True, None)


def test_a_new_card_is_still_charged_when_the_one_before_it_is_declined_late() -> None:
    given = Pending(id="card.card_2", trigger=Trigger.CARD_UPDATED, method="card_2")
    told = PaymentFailed(event="evt_1", by="processor", decline="revocation_of_all_authorizations")
    after = take_fact(story(method="card_2", pending=given), told, CAMPAIGN, TABLE, NOW).story
    assert after.pending == given
