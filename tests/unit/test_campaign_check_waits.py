"""Mails that their hours, their charge, or a share of the jitter bring near to each other: the check and the planner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.arms import for_case
from campaigns.checking import check_campaign
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Action
from tests.unit.checked_campaign import KNOWN, found
from tests.unit.test_declines import verdict_of

NIGHTS = "charges: {hours: 00:00 to 06:00}, messages: {hours: 09:00 to 18:00}"
RETRY, MAIL = "retry: true, message: payment_failed", "message: payment_failed"


def campaign(calendar: str, *steps: str, end: str = "14 days, action: leave") -> str:
    """Write a campaign whose first step stands on line 4."""
    listed = "".join(f"  - {{{step}}}\n" for step in steps)
    return f"name: gentle\ncalendar: {{{calendar}}}\nsteps:\n{listed}end: {{after: {end}}}\n"


def mails(text: str, failed_at: datetime, decline: str = "insufficient_funds") -> list[str]:
    """Play a case of a campaign; give its mails with their steps."""
    course = check_campaign(text, file="c.yaml", known=KNOWN)
    story = begin(course, Sample(failed_at, verdict_of(decline), country="DE"))
    done = simulate(for_case(course, story, {}), story, failed_at)
    plans = [(item.at, item.plan) for item in done if item.plan]
    return [f"{at:%a %H:%M} {plan.step}" for at, plan in plans if plan.action is Action.MESSAGE]


def friday(hour: int) -> datetime:
    return datetime(2026, 3, 6, hour, tzinfo=UTC)


def test_a_mail_follows_its_charge_into_the_night_and_the_next_does_not() -> None:
    text = campaign(NIGHTS, f"id: one, after: 2 days, {RETRY}", f"id: two, after: 3 days 8 hours, {MAIL}")
    assert found(text) == [
        (
            "4: warning: step one: kept waiting for its charge (cards are charged 00:00 to 06:00), then its hours"
            " (09:00 to 18:00), its mail may come only 5 hours before that of step two; between two mails the campaign"
            " keeps 12 hours (put more time between them, or let it wait less)"
        )
    ]
    assert mails(text, friday(6)) == ["Mon 09:00 one", "Mon 14:00 two"]
    assert found(text.replace("3 days 8 hours", "4 days 8 hours")) == []


def test_the_next_mail_waits_for_no_charge_where_the_card_is_not_charged_any_more() -> None:
    text = campaign(NIGHTS, f"id: one, after: 2 days, {RETRY}", f"id: two, after: 3 days 8 hours, {RETRY}")
    [fault] = found(text)
    assert (
        "its mail may come only 5 hours before that of step two, if the card is not charged any more;"
        in fault
    )
    assert mails(text, friday(6)) == ["Mon 09:00 one", "Tue 09:00 two"]
    assert mails(text, friday(6), "stolen_card") == ["Sun 09:00 one", "Mon 14:00 two"]


def test_a_charge_of_the_later_step_alone_only_puts_more_time_between_them() -> None:
    text = campaign(NIGHTS, f"id: one, after: 2 days, {MAIL}", f"id: two, after: 3 days, {RETRY}")
    assert found(text) == []


def test_a_mail_that_waits_for_its_charge_until_the_next_mail_is_due() -> None:
    text = campaign(NIGHTS, f"id: one, after: 2 days, {RETRY}", f"id: two, after: 3 days, {MAIL}")
    assert found(text) == [
        (
            "4: warning: step one: its mail may wait for its charge (cards are charged 00:00 to 06:00), then its hours"
            " (09:00 to 18:00), 1 day 3 hours from Friday 06:00, until the one of step two is due: then only that one"
            " is sent (put more time between it and step two)"
        )
    ]
    assert mails(text, friday(6)) == ["Mon 09:00 two"]


def test_a_mail_that_waits_for_its_charge_until_the_next_mail_has_been_sent() -> None:
    text = campaign(
        "charges: {days: tuesday}", f"id: one, after: 2 days, {RETRY}", f"id: two, after: 4 days, {MAIL}"
    )
    assert found(text) == [
        (
            "4: warning: step one: its mail may wait for its charge (cards are charged on tuesday), 6 days from"
            " Wednesday 00:00, until the one of step two has been sent: then it comes after that one (put more time"
            " between it and step two)"
        )
    ]
    assert mails(text, friday(6) - timedelta(days=2)) == ["Sun 06:00 two", "Tue 00:00 one"]


def test_a_charge_that_puts_its_mail_past_the_end() -> None:
    text = campaign(NIGHTS, f"id: one, after: 13 days, {RETRY}")
    [fault] = found(text)
    assert (
        "its mail may wait for its charge (cards are charged 00:00 to 06:00), then its hours (09:00 to 18:00), 1 day 3"
        " hours from Friday 06:00, until 14 days 3 hours after the failure, past the end at 14 days"
    ) in fault


LATE = "id: last, after: 9 days, jitter: 3 hours, alert: Call them"


def test_the_longest_jitter_makes_a_mail_late_at_an_opening_and_the_next_is_not() -> None:
    mornings = "messages: {hours: 09:00 to 22:00}"
    steps = (f"id: one, after: 2 days, {MAIL}", f"id: two, after: 2 days 23 hours, {MAIL}")
    assert found(campaign(mornings, *steps)) == []
    assert found(campaign(mornings, *steps, LATE)) == [
        (
            "4: warning: step one: kept waiting for its hours (09:00 to 22:00), then its share of the longest jitter"
            " (3 hours), its mail may come only 9 hours before that of step two; between two mails the campaign keeps"
            " 12 hours (put more time between them, or let it wait less)"
        )
    ]


def test_two_mails_that_wait_for_openings_are_late_by_the_same_share() -> None:
    steps = (f"id: one, after: 2 days, {MAIL}", f"id: two, after: 3 days, {MAIL}", LATE)
    assert found(campaign("messages: {hours: 09:00 to 20:00}, timezone: Asia/Tokyo", *steps)) == []


@pytest.mark.parametrize(("jitter", "close"), [("1 hour", False), ("7 hours", True)])
def test_the_later_of_two_mails_may_be_due_as_the_window_opens(jitter: str, *, close: bool) -> None:
    steps = (f"id: one, after: 2 days, {MAIL}", f"id: two, after: 2 days 18 hours, jitter: {jitter}, {MAIL}")
    faults = found(campaign("messages: {hours: 00:00 to 23:00}", *steps))
    assert ["its share of the longest jitter (7 hours), its mail may come" in fault for fault in faults] == (
        [True] * close
    )


def test_hours_that_lie_within_others_close_nothing() -> None:
    text = campaign(
        "messages: {hours: [08:00 to 20:00, 09:00 to 12:00]}",
        f"id: one, after: 2 days, {MAIL}",
        f"id: two, after: 3 days, {MAIL}",
    )
    assert found(text) == []


def test_an_answer_that_comes_just_before_the_last_message() -> None:
    asked = f"id: ask, after: 5 days, {MAIL}, approval: {{within: 10 days, otherwise: skip}}"
    first = f"id: one, after: 1 day, {MAIL}"
    text = campaign("timezone: UTC", first, asked, end="14 days, action: leave, message: receipt")
    assert [fault.partition(": step ask: ")[2] for fault in found(text)] == [
        "an answer may come until 15 days after the failure, when the campaign is over (14 days) (less than 9 days)",
        (
            "kept waiting for an approval, its mail may come just before the last message; between two mails the"
            " campaign keeps 12 hours (put more time between them, or let it wait less)"
        ),
    ]


def test_an_earlier_step_may_be_answered_after_a_later_one() -> None:
    asked = f"id: ask, after: 5 days, {MAIL}, approval: {{within: 5 days, otherwise: go on}}"
    text = campaign("timezone: UTC", asked, f"id: two, after: 8 days, {MAIL}")
    [fault] = found(text)
    assert fault == (
        "4: warning: step ask: its mail may wait for an approval until the one of step two has been sent: then it comes"
        " after that one (put more time between it and step two)"
    )
    assert mails(text, friday(0)) == ["Sat 00:00 two", "Mon 00:00 ask"]
