"""When a card is tried again after what the issuer, the network or a machine has said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.advice import learn_from_decline
from campaigns.declines import Said
from campaigns.document import Campaign, End, FinalAction, Step
from contract import CardUpdated
from tests.unit.planner_story import story
from tests.unit.played_case import Event, PlayedCase, World
from tests.unit.test_declines import TABLE, TODAY

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEW_CARD = CardUpdated(event="evt_card", method="card_2")


def campaign(*days: int, end: int = 21, **more: Any) -> Campaign:
    steps = tuple(
        Step(id=f"day-{day}", after=timedelta(days=day), retry=True, message="payment_failed") for day in days
    )
    return Campaign(
        name="any", steps=steps, end=End(after=timedelta(days=end), action=FinalAction.CANCEL_NOW), **more
    )


def case(course: Campaign, *charges: str, events: tuple[Event, ...] = (), **told: Any) -> PlayedCase:
    begun = story(failed_at=MONDAY, **told)
    return PlayedCase(World([course], events=list(events), charges=list(charges)), begun).play()


def charges(played: PlayedCase) -> list[tuple[float, str, str]]:
    """List the charges: hours since the failure, the action, and why."""
    return [
        ((deed.at - MONDAY) / timedelta(hours=1), deed.plan.id, deed.plan.why)
        for deed in played.deeds
        if deed.plan.action == "charge"
    ]


def when(played: PlayedCase) -> list[tuple[float, str]]:
    return [(hours, action) for hours, action, _ in charges(played)]


def test_the_wait_that_an_issuer_asks_for_puts_off_what_is_due_before_it() -> None:
    played = case(campaign(1, 3, 7), "insufficient_funds/mac27", "insufficient_funds")
    assert when(played) == [(24, "day-1.charge"), (24 + 96, "day-3.charge"), (168, "day-7.charge")]
    assert charges(played)[1][2] == (
        "step day-3: 3 days after the failed payment; the issuer asked for 4 days (advice 27)"
    )
    mails = [(deed.at - MONDAY).days for deed in played.deeds if deed.plan.action == "message"]
    assert mails == [1, 3, 7]


def test_a_mail_waits_for_its_charge_where_the_issuer_asks_for_hours_and_not_for_days() -> None:
    course = campaign(1, 2)
    late = Event(MONDAY + timedelta(days=1), "away", timedelta(hours=6))
    played = case(course, "insufficient_funds/mac25", "insufficient_funds", events=(late,))
    told = [((deed.at - MONDAY) / timedelta(hours=1), deed.plan.id) for deed in played.deeds[:4]]
    assert told == [
        (30, "day-1.charge"),
        (30, "day-1.message"),
        (54, "day-2.charge"),
        (54, "day-2.message"),
    ]


def test_of_several_steps_before_that_time_only_the_last_charges() -> None:
    played = case(campaign(1, 2, 3, 9), "insufficient_funds/mac27", "insufficient_funds")
    assert when(played) == [(24, "day-1.charge"), (120, "day-3.charge"), (216, "day-9.charge")]


def test_where_no_step_charges_by_then_one_charge_is_made_at_that_very_time() -> None:
    played = case(campaign(1, 9), "insufficient_funds/mac24", "insufficient_funds")
    assert when(played) == [
        (24, "day-1.charge"),
        (25, "advised.2026-03-03T090000"),
        (216, "day-9.charge"),
    ]
    assert charges(played)[1][2] == "the issuer asked for 1 hour (advice 24)"


def test_try_again_later_names_no_time_so_that_the_steps_keep_theirs() -> None:
    played = case(campaign(1, 3, 5), "try_again_later")
    assert when(played) == [(24, "day-1.charge"), (72, "day-3.charge"), (120, "day-5.charge")]


def test_a_step_within_a_day_of_try_again_later_waits_for_that_day() -> None:
    late = Event(MONDAY + timedelta(days=1), "away", timedelta(hours=30))
    played = case(campaign(1, 3), "try_again_later", events=(late,))
    assert when(played) == [(54, "day-1.charge"), (78, "day-3.charge")]


def test_no_charge_is_made_besides_the_steps_where_the_campaign_says_so() -> None:
    played = case(campaign(1, 9, extra_charges=False), "insufficient_funds/mac24", "insufficient_funds")
    assert when(played) == [(24, "day-1.charge"), (216, "day-9.charge")]


def test_a_charge_besides_the_steps_never_takes_the_place_of_one_that_is_spelled_out() -> None:
    played = case(campaign(1, 9, retries=2), "insufficient_funds/mac24", "insufficient_funds")
    assert when(played) == [(24, "day-1.charge"), (216, "day-9.charge")]


def test_a_wait_past_the_end_means_that_the_card_is_not_charged_any_more() -> None:
    assert when(case(campaign(1, 3, end=9), "insufficient_funds/mac30")) == [(24, "day-1.charge")]


def test_a_new_card_does_not_wait_for_what_was_said_of_the_old_one() -> None:
    given = Event(MONDAY + timedelta(days=2), NEW_CARD)
    played = case(
        campaign(1, 3, 7),
        "insufficient_funds/mac30",
        "insufficient_funds",
        "insufficient_funds",
        events=(given,),
    )
    assert when(played) == [
        (24, "day-1.charge"),
        (48, "card.card_2"),
        (72, "day-3.charge"),
        (168, "day-7.charge"),
    ]


def test_trouble_of_the_machines_is_tried_again_within_hours_each_time_later() -> None:
    played = case(campaign(1, 3), "issuer_not_available", "issuer_not_available", "paid")
    assert when(played) == [(24, "day-1.charge"), (25, "quick.1"), (27, "quick.2")]


def test_a_code_that_nobody_knows_gets_two_retries() -> None:
    played = case(campaign(1, 3, 5, 7), "zz_unheard_of")
    assert when(played) == [(24, "day-1.charge"), (72, "day-3.charge"), (120, "day-5.charge")]
    assert "no charge: the decline code zz_unheard_of is not known" in played.deeds[-2].plan.why


@pytest.mark.parametrize("advice", ["03", "21"])
def test_after_the_networks_never_again_the_card_is_not_charged_any_more(advice: str) -> None:
    played = case(campaign(1, 3), f"do_not_honor/mac{advice}")
    assert when(played) == [(24, "day-1.charge")]
    assert played.story.revoked is (advice == "21")


def test_the_budget_stands_in_every_reason_of_a_charge() -> None:
    played = case(campaign(1), "insufficient_funds", budget="3 of 20 attempts used")
    assert charges(played)[0][2] == "step day-1: 1 day after the failed payment; 3 of 20 attempts used"


def test_a_decline_that_is_known_ends_the_counting_of_those_that_are_not() -> None:
    begun = story(failed_at=MONDAY)
    unknown = TABLE.judge(Said("zz_unheard_of"), TODAY)
    once = begun.model_copy(update=learn_from_decline(begun, unknown, MONDAY))
    again = once.model_copy(update={"scheduled_charges": 1})
    again = again.model_copy(update=learn_from_decline(again, unknown, MONDAY))
    known = again.model_copy(
        update=learn_from_decline(again, TABLE.judge(Said("insufficient_funds"), TODAY), MONDAY)
    )
    assert [found.few_until for found in (once, again, known)] == [2, 2, None]
