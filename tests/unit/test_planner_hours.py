"""When mails and charges go out, by the clock of the customer: what waits for the morning, and what does not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.document import Approval, Campaign, End, FinalAction, Step
from campaigns.planner import plan
from campaigns.story import Action, Ending, Hold, Outcome, Story
from contract import CardUpdated, MoveToVersion, PromiseToPay, Reschedule
from tests.unit.planner_story import story
from tests.unit.played_case import Event, PlayedCase, World

if TYPE_CHECKING:
    from contract import Fact, Wish

# A Monday evening in Berlin, at 22:00 by the clock there.
MONDAY = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
DAYTIME = {"messages": {"hours": "09:00 to 20:00"}, "timezone": "Europe/Berlin"}
NIGHTLY = {"charges": {"hours": "00:00 to 06:00"}, "timezone": "Europe/Berlin"}
NEW_CARD = CardUpdated(event="evt_card", method="card_2")
RENEWED = CardUpdated(event="evt_card", method="card_1", renewed="card_1/2")


def campaign(*steps: Step, end: float = 14, **more: Any) -> Campaign:
    messages = {"receipt": "payment_received"}
    ends = End(after=timedelta(days=end), action=FinalAction.CANCEL_NOW, message="subscription_ended")
    return Campaign(name="any", steps=steps, end=ends, messages=messages, **more)


def step(hours: int, **more: Any) -> Step:
    return Step(id=f"hour-{hours}", after=timedelta(hours=hours), **more)


def clock(moment: datetime) -> str:
    """Write a moment as Berlin reads it in March, before its clocks change: an hour ahead of UTC."""
    return f"{moment + timedelta(hours=1):%a %H:%M}"


def case(course: Campaign, *events: tuple[float, Fact | Wish | str], **world: Any) -> PlayedCase:
    happened = [Event(MONDAY + timedelta(hours=hours), what) for hours, what in events]
    begun = story(failed_at=MONDAY, country="DE", timezone="Europe/Berlin")
    return PlayedCase(World([course], events=happened, **world), begun).play()


def done_in(course: Campaign, *events: tuple[float, Fact | Wish | str], **world: Any) -> list[str]:
    return [f"{clock(deed.at)} {deed.plan.id}" for deed in case(course, *events, **world).deeds]


# --- hours -------------------------------------------------------------------------------------------


def test_a_mail_waits_for_the_morning_and_its_charge_for_the_night() -> None:
    course = campaign(
        step(12, retry=True, access="limited", message="payment_failed", alert="Look at this one"),
        end=2,
        calendar=DAYTIME | NIGHTLY,
    )
    # The step is due on Tuesday at 10:00. What it says has to wait for what its charge brings.
    assert done_in(course) == [
        "Wed 00:00 hour-12.charge",
        "Wed 00:00 hour-12.alert",
        "Wed 09:00 hour-12.access",
        "Wed 09:00 hour-12.message",
        "Wed 22:00 end.action",
        "Thu 09:00 end.message",
    ]


def test_where_no_card_is_charged_the_mail_waits_for_no_charge() -> None:
    course = campaign(step(12, retry=True, message="payment_failed"), calendar=DAYTIME | NIGHTLY)
    stolen = story(failed_at=MONDAY, timezone="Europe/Berlin", blocked=("card_1",), ask="new card")
    first = PlayedCase(World([course]), stolen).play().deeds[0]
    assert (clock(first.at), first.plan.template) == ("Tue 10:00", "new_card_needed")


def test_a_mail_tells_of_the_charge_of_its_step_whatever_that_has_brought() -> None:
    course = campaign(step(12, retry=True, message="payment_failed"), calendar=DAYTIME | NIGHTLY)
    declined = case(course, charges=["stolen_card"]).deeds[:2]
    assert [(clock(deed.at), deed.plan.template) for deed in declined] == [
        ("Wed 00:00", None),
        ("Wed 09:00", "new_card_needed"),
    ]


def test_what_the_hours_of_mails_put_past_the_end_is_said_by_the_late_notice() -> None:
    course = campaign(step(24, message="payment_failed"), end=1.25, calendar=DAYTIME)
    assert done_in(course) == ["Wed 09:00 end.notice", "Thu 09:00 end.action", "Thu 09:00 end.message"]


def test_a_worker_that_comes_back_at_night_sends_in_the_morning() -> None:
    course = campaign(step(18, message="payment_failed"), calendar=DAYTIME)
    away = [Event(MONDAY, "away", timedelta(hours=25))]
    played = PlayedCase(
        World([course], events=away), story(failed_at=MONDAY, timezone="Europe/Berlin")
    ).play()
    assert clock(played.deeds[0].at) == "Wed 09:00"


def test_a_time_that_a_person_gave_stands_for_the_charge_and_the_mail_keeps_its_hours() -> None:
    course = campaign(step(72, retry=True, message="payment_failed"), calendar=DAYTIME | NIGHTLY)
    wish = Reschedule(step="hour-72", at=MONDAY + timedelta(days=1), by="ops", why="a call")
    assert done_in(course, (1, wish))[:2] == ["Tue 22:00 hour-72.charge", "Wed 09:00 hour-72.message"]


def test_access_stays_full_for_the_grace_even_where_a_person_brings_the_end_forward() -> None:
    last = Step(id="last", before_end=timedelta(days=6), access="limited", message="access_limited")
    wish = Reschedule(step="end", at=MONDAY + timedelta(days=8), by="ops", why="a call")
    done = case(campaign(last, grace="7 days"), (1, wish)).deeds[:2]
    assert [(deed.at - MONDAY, deed.plan.id) for deed in done] == [
        (timedelta(days=2), "last.message"),
        (timedelta(days=7), "last.access"),
    ]


# --- who is awake ------------------------------------------------------------------------------------


def test_a_new_card_is_answered_at_once_whatever_the_hour() -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    assert done_in(course, (2, NEW_CARD), charges=["paid"]) == [
        "Tue 00:00 card.card_2",
        "Tue 00:00 end.message",
    ]
    declined = done_in(course, (2, NEW_CARD), charges=["do_not_honor"])
    assert declined[:2] == ["Tue 00:00 card.card_2", "Tue 00:00 card.card_2.message"]


def test_a_confirmed_payment_is_answered_at_once_whatever_the_hour() -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    assert done_in(course, (2, "confirmed")) == ["Tue 00:00 end.message"]


@pytest.mark.parametrize(
    ("answer", "mail"), [("paid", "end.message"), ("do_not_honor", "card.card_1.card_1/2.message")]
)
def test_a_card_that_the_network_renewed_at_night_is_told_of_in_the_morning(answer: str, mail: str) -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    done = done_in(course, (2, RENEWED), charges=[answer])
    assert done[:2] == ["Tue 00:00 card.card_1.card_1/2", f"Tue 09:00 {mail}"]


def test_a_promise_that_is_kept_at_night_is_thanked_for_in_the_morning() -> None:
    course = campaign(step(48, message="payment_failed"), calendar=DAYTIME)
    promise = PromiseToPay(event="evt_promise", on=MONDAY + timedelta(hours=26))
    assert done_in(course, (1, promise), charges=["paid"]) == [
        "Wed 00:00 promise.2026-03-03T2300",
        "Wed 09:00 end.message",
    ]


def test_an_answer_that_could_not_be_sent_for_an_hour_waits_for_the_morning() -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    mails = ["unavailable", "sent"]
    assert done_in(course, (2, NEW_CARD), charges=["paid"], mails=mails)[1] == "Tue 09:00 end.message"


def test_a_report_that_comes_late_is_answered_in_the_morning() -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    afternoon = MONDAY - timedelta(hours=6)
    late = CardUpdated(event="evt_card", method="card_2", at=afternoon)
    assert done_in(course, (2, late), charges=["paid"]) == ["Tue 00:00 card.card_2", "Tue 09:00 end.message"]


def test_a_notice_that_waits_for_the_morning_keeps_nothing_else_waiting() -> None:
    course = campaign(step(6, retry=True), end=0.75, calendar=DAYTIME)
    done = done_in(course, (2, RENEWED), charges=["do_not_honor"])
    assert done == [
        "Tue 00:00 card.card_1.card_1/2",
        "Tue 04:00 hour-6.charge",
        "Tue 09:00 card.card_1.card_1/2.message",
        "Tue 16:00 end.action",
        "Tue 16:00 end.message",
    ]


# --- mails that cannot be sent -----------------------------------------------------------------------


@pytest.mark.parametrize("calendar", [{}, DAYTIME], ids=["at any hour", "by day"])
def test_a_last_mail_that_cannot_be_sent_is_given_up_after_two_days(calendar: dict[str, Any]) -> None:
    # Otherwise a case would stay open for as long as the sender's key is rejected, or mails are stopped.
    course = campaign(step(24, message="payment_failed"), calendar=calendar)
    ended = story(
        failed_at=MONDAY, ending=Ending(outcome=Outcome.EXHAUSTED, at=MONDAY), timezone="Europe/Berlin"
    )
    opens = MONDAY + (timedelta(hours=11) if calendar else timedelta(0))
    for days in (0, 1, 2, 3):
        now = opens + timedelta(days=days)
        farewell = plan(course, ended, now)
        assert (farewell.action, farewell.not_after) == (Action.MESSAGE, opens + timedelta(days=2))


def test_what_is_held_until_the_night_goes_out_in_the_morning() -> None:
    course = campaign(step(24, message="payment_failed"), calendar=DAYTIME)
    ended = story(
        failed_at=MONDAY, ending=Ending(outcome=Outcome.EXHAUSTED, at=MONDAY), timezone="Europe/Berlin"
    )
    night = MONDAY + timedelta(days=1, hours=3)
    held = Story(**dict(ended) | {"hold": Hold(action="end.message", until=night, why="stopped")})
    assert clock(plan(course, held, MONDAY + timedelta(hours=20)).at or MONDAY) == "Wed 09:00"


# --- paydays -----------------------------------------------------------------------------------------

PAYDAYS = {"timezone": "Europe/Berlin", "paydays": {"days": [5], "within": "3 days"}}


def test_a_charge_that_failed_for_want_of_money_waits_for_a_payday_and_its_mail_does_not() -> None:
    course = campaign(step(24, retry=True, message="payment_failed"), calendar=PAYDAYS)
    assert done_in(course)[:2] == ["Tue 22:00 hour-24.message", "Thu 22:00 hour-24.charge"]


def test_a_charge_that_was_declined_for_another_reason_waits_for_no_payday() -> None:
    course = campaign(step(24, retry=True), step(96, retry=True), calendar=PAYDAYS)
    done = case(course, charges=["do_not_honor"]).deeds[:2]
    assert [clock(deed.at) for deed in done] == ["Thu 22:00", "Fri 22:00"]


def test_a_payday_on_which_the_charge_would_come_after_the_end_is_not_waited_for() -> None:
    nightly = PAYDAYS | {"charges": {"hours": "00:00 to 06:00"}}
    course = campaign(step(24, retry=True), end=3.05, calendar=nightly)
    # The payday's own night begins after the end, which is on Thursday at 23:12.
    assert done_in(course)[0] == "Wed 00:00 hour-24.charge"


def test_a_step_that_was_begun_keeps_the_hours_of_its_charge_when_the_case_is_moved() -> None:
    course = campaign(step(24, retry=True, message="payment_failed"), calendar=PAYDAYS | NIGHTLY)
    put_off = step(24, retry=True, message="payment_failed").model_copy(update={"after": timedelta(days=2)})
    later = campaign(put_off, calendar=PAYDAYS | NIGHTLY)
    move = Event(MONDAY + timedelta(hours=40), MoveToVersion(version=2, by="ops", why="an edit"))
    begun = story(failed_at=MONDAY, country="DE", timezone="Europe/Berlin", campaign="any", version=1)
    played = PlayedCase(World([course, later], events=[move]), begun).play()
    assert [f"{clock(deed.at)} {deed.plan.id}" for deed in played.deeds][:2] == [
        "Wed 00:00 hour-24.message",
        "Fri 00:00 hour-24.charge",
    ]


# --- many at once ------------------------------------------------------------------------------------


def charged_a_minute(course: Campaign, failed_at: datetime) -> Counter[datetime]:
    """Let a thousand payments fail in one minute, and count the first charges of each minute."""
    found: Counter[datetime] = Counter()
    for number in range(1000):
        failed = failed_at + timedelta(seconds=number * 60 / 1000)
        first = plan(
            course, story(case_id=f"case_{number}", failed_at=failed, timezone="Europe/Berlin"), failed
        )
        assert first.action is Action.CHARGE
        assert first.at is not None
        found[first.at.replace(second=0, microsecond=0)] += 1
    return found


def test_a_thousand_failures_of_one_minute_do_not_retry_in_one_minute() -> None:
    at_once = charged_a_minute(campaign(step(24, retry=True)), MONDAY)
    assert max(at_once.values()) == 1000
    spread = charged_a_minute(campaign(step(24, retry=True, jitter="1 hour")), MONDAY)
    assert len(spread) == 61
    # Evenly spread there would be 17 a minute.
    assert max(spread.values()) < 35
    assert min(spread) == MONDAY + timedelta(days=1)
    assert max(spread) < MONDAY + timedelta(days=1, hours=1, minutes=1)


@pytest.mark.parametrize("hours", ["02:00 to 06:00", "02:00 to 02:30"], ids=["a night", "half an hour"])
def test_what_has_waited_for_its_hours_does_not_go_out_in_the_minute_in_which_they_begin(hours: str) -> None:
    nightly = {"charges": {"hours": hours}, "timezone": "Europe/Berlin"}
    spread = charged_a_minute(campaign(step(14, retry=True, jitter="1 hour"), calendar=nightly), MONDAY)
    opens = MONDAY + timedelta(days=1, hours=4)
    assert min(spread) >= opens
    assert max(spread) < opens + timedelta(hours=1)
    assert max(spread.values()) < 100
    assert sum(spread.values()) == 1000


def test_steps_of_one_weekend_bring_one_mail_on_monday_whatever_their_jitter() -> None:
    weekdays = {"messages": {"hours": "09:00 to 17:00", "days": "weekdays"}, "timezone": "Europe/Berlin"}
    saturday, sunday = step(110, message="payment_failed"), step(134, message="last_notice", jitter="1 hour")
    course = campaign(saturday, sunday, calendar=weekdays)
    for number in range(20):
        begun = story(case_id=f"case_{number}", failed_at=MONDAY, timezone="Europe/Berlin")
        played = PlayedCase(World([course]), begun).play()
        mails = [deed for deed in played.deeds if deed.is_mail and deed.plan.step != "end"]
        assert [deed.plan.id for deed in mails] == ["hour-134.message"]
        assert "Mon 09:00" <= clock(mails[0].at) < "Mon 10:00"


# --- what is said of a time --------------------------------------------------------------------------


def why(course: Campaign, now: float, **told: Any) -> str:
    known = {"failed_at": MONDAY, "timezone": "Europe/Berlin", "country": "DE"}
    return plan(course, story(**known | told), MONDAY + timedelta(hours=now)).why


def test_a_plan_says_where_its_time_comes_from() -> None:
    mail, charge = step(12, message="payment_failed"), step(12, retry=True, message="payment_failed")
    assert why(campaign(mail), 0) == "step hour-12: 12 hours after the failed payment"
    # It is ten in the morning in Berlin, when mails may be sent.
    assert why(campaign(mail, calendar=DAYTIME), 0) == "step hour-12: 12 hours after the failed payment"
    assert why(campaign(step(24, message="x"), calendar=DAYTIME), 0) == (
        "step hour-24: 1 day after the failed payment; mails are sent 09:00 to 20:00 (Europe/Berlin)"
    )
    assert why(campaign(charge, calendar=NIGHTLY), 0) == (
        "step hour-12: 12 hours after the failed payment; cards are charged 00:00 to 06:00 (Europe/Berlin)"
    )
    assert why(campaign(charge, calendar=NIGHTLY), 0, has_card=False) == (
        "step hour-12: 12 hours after the failed payment; no charge: the customer has no card on file"
    )
    assert why(campaign(step(24, retry=True), calendar=PAYDAYS), 0) == (
        "step hour-24: 1 day after the failed payment; put off to the payday on 05 March"
    )
    last = Step(id="last", before_end=timedelta(days=2), message="last_notice")
    assert why(campaign(last), 0) == "step last: 2 days before the end"
    assert why(campaign(mail), 0, moved={"hour-12": MONDAY + timedelta(hours=30)}) == (
        "step hour-12: 1 day 6 hours after the failed payment, moved by a person"
    )


def test_lateness_is_not_taken_for_hours() -> None:
    mail = step(12, message="payment_failed")
    assert why(campaign(mail), 20) == "step hour-12: 12 hours after the failed payment"
    assert why(campaign(mail, calendar=DAYTIME), 15) == "step hour-12: 12 hours after the failed payment"
    # Back at 23:00, when no mail may be sent any more.
    assert why(campaign(mail, calendar=DAYTIME), 25) == (
        "step hour-12: 12 hours after the failed payment; mails are sent 09:00 to 20:00 (Europe/Berlin)"
    )


def test_an_approval_and_the_silence_after_a_question_are_reasons_too() -> None:
    approval = Approval(within=timedelta(hours=6), otherwise="go on")
    course = campaign(step(12, message="payment_failed", approval=approval), calendar=DAYTIME)
    assert why(course, 0) == "step hour-12: 12 hours after the failed payment"
    asked = {"hour-12.ask": MONDAY + timedelta(hours=12)}
    assert why(course, 12, done=asked) == (
        "step hour-12: 12 hours after the failed payment; nobody answered 6 hours later"
    )
    approved = asked | {"hour-12.approved": MONDAY + timedelta(hours=14)}
    assert why(course, 14, done=approved) == (
        "step hour-12: 12 hours after the failed payment; approved 2 hours later"
    )
