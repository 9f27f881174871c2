"""Times in a campaign that would hurt: mails too close, attempts too many, waits too long."""

from __future__ import annotations

import pytest

from tests.unit.checked_campaign import GOOD, TOP, found, with_step


def test_two_mails_too_close_to_each_other() -> None:
    text = with_step("{id: soon, after: 3 days 6 hours, message: payment_failed}")
    assert found(text) == [
        (
            "11: step soon: its mail comes 6 hours after that of step day-3; between two mails the campaign keeps 12"
            " hours (not before 3 days 12 hours after the failure)"
        )
    ]
    assert found(text.replace(TOP, "name: gentle\nspacing: 6 hours\n")) == []


def test_jitter_brings_two_mails_together() -> None:
    text = with_step("{id: soon, after: 3 days 13 hours, message: payment_failed}")
    assert found(text) == []
    assert found(text.replace("    after: 3 days\n", "    after: 3 days\n    jitter: 2 hours\n")) == [
        (
            "12: step soon: its mail comes 11 hours after that of step day-3, jitter counted in; between two mails the"
            " campaign keeps 12 hours (not before 3 days 14 hours after the failure)"
        )
    ]


@pytest.mark.parametrize(
    ("first", "second", "close"),
    [
        ("plan: pro", "plan: basic", False),
        ("plan: pro", "currency: EUR", True),
        ("currency: EUR", "currency: USD", False),
        ("attributes: {tier: gold}", "attributes: {tier: silver}", False),
        ('amount: {EUR: {below: "50.00"}}', 'amount: {EUR: {at_least: "50.00"}}', False),
        ("decline_class: soft", "decline_class: hard", False),
        ("decline: lost_card", "decline: insufficient_funds", False),
        ("attempts: {at_most: 1}", "attempts: {at_least: 2}", False),
        ("mail_opened: true", "mail_opened: false", False),
        # Between the two somebody may open it.
        ("mail_opened: false", "mail_opened: true", True),
        ("link_clicked: true", "mail_opened: false", False),
    ],
)
def test_mails_of_which_nobody_gets_both_may_be_close(first: str, second: str, *, close: bool) -> None:
    steps = (
        f"{{id: one, after: 5 days, message: payment_failed, only_if: {{{first}}}}}\n"
        f"  - {{id: two, after: 5 days 1 minute, message: payment_failed, only_if: {{{second}}}}}"
    )
    faults = found(with_step(steps))
    assert [fault.partition(" its mail")[0] for fault in faults] == (["12: step two:"] if close else [])


def test_a_charge_between_two_mails_may_change_the_decline() -> None:
    steps = (
        "{id: one, after: 5 days, retry: true, message: payment_failed, only_if: {decline_class: soft}}\n"
        "  - {id: two, after: 5 days 1 minute, message: payment_failed, only_if: {decline_class: hard}}"
    )
    assert [fault[:12] for fault in found(with_step(steps))] == ["12: step two"]


def test_the_last_message_is_a_mail_as_any_other() -> None:
    text = TOP + GOOD.replace("after: 12 days", "after: 13 days 18 hours") + "  message: receipt\n"
    assert found(text) == [
        (
            "17: the last message comes 6 hours after the mail of step last; between two mails the campaign keeps 12"
            " hours (move step last to 13 days 12 hours or earlier)"
        )
    ]


def test_more_attempts_than_a_network_allows() -> None:
    retries = "".join(f"  - {{id: r{day}, after: {day} days, retry: true}}\n" for day in range(1, 21))
    text = (
        "name: eager\nretries: 20\ntakes: {priority: 1, country: DE}\n"
        f"steps:\n{retries}  - {{id: m, after: 22 days, message: last_notice}}\n"
        "end: {after: 25 days, action: pause}\n"
    )
    [fault] = found(text)
    assert fault.startswith(
        "24: step r20: with its retry there are up to 21 attempts, the failed one among them: Visa allows 20"
        " attempts on one card with one merchant for one amount in 30 days (support.checkout.com"
    )
    assert fault.endswith("(leave out 1 of the retries, or spread them)")
    # The failed attempt lies thirty days back when the last is made.
    spread = text.replace("20 days, retry", "30 days, retry").replace("after: 22", "after: 38")
    assert found(spread.replace("after: 25", "after: 40")) == []


def test_a_limit_of_one_country_binds_who_may_have_customers_there() -> None:
    retries = "".join(f"  - {{id: r{hour}, after: {hour} hours, retry: true}}\n" for hour in range(1, 8))
    rest = f"steps:\n{retries}  - {{id: m, after: 2 days, message: last_notice}}\nend: {{after: 4 days, action: pause}}\n"
    kinds = {
        takes: [fault.split(":")[1].strip() for fault in found(f"name: eager\n{takes}{rest}")]
        for takes in ("", "takes: {priority: 1, country: BR}\n", "takes: {priority: 1, country: DE}\n")
    }
    assert list(kinds.values()) == [["warning"], ["step r7"], []]


def test_retries_that_are_never_made_in_one_case_are_not_added_up() -> None:
    retries = "".join(
        f"  - {{id: r{day}, after: {day} days, retry: true, only_if: {{currency: {'EUR' if day % 2 else 'USD'}}}}}\n"
        for day in range(1, 21)
    )
    text = (
        f"name: eager\nretries: 20\nsteps:\n{retries}  - {{id: m, after: 22 days, message: last_notice}}\n"
        "end: {after: 25 days, action: pause}\n"
    )
    assert found(text) == []


WEEKDAYS = "calendar:\n  timezone: Europe/Berlin\n  messages: {hours: 09:00 to 20:00, days: weekdays}\n"


def test_a_window_that_puts_a_mail_off_until_the_next_or_past_the_end() -> None:
    text = TOP + WEEKDAYS + GOOD
    hours = "(09:00 to 20:00 on weekdays)"
    assert found(text) == [
        (
            f"6: warning: step day-1: its mail may wait for its hours {hours}, 2 days 13 hours from Friday 20:00, until"
            " the one of step day-3 is due: then only that one is sent (put more time between it and step day-3)"
        ),
        (
            f"14: warning: step last: its mail may wait for its hours {hours}, 2 days 13 hours from Friday 20:00, until"
            " 14 days 13 hours after the failure, past the end at 14 days: then the customer is told only at the end,"
            " which is put off for it (move it further from the end, or widen the hours)"
        ),
    ]
    assert found(text.replace("days: weekdays", "days: every day")) == []


def test_holidays_make_the_wait_longer_where_the_customers_are() -> None:
    text = TOP + WEEKDAYS.replace("weekdays}", "weekdays, holidays: false}") + GOOD
    [day_8, _] = found(text.replace("after: 3 days", "after: 8 days"))
    assert day_8.startswith("10: warning: step day-3: its mail may wait")
    assert "4 days 13 hours from Thursday 2 April 2026 20:00 in DE" in day_8


def test_hours_that_bring_two_mails_together() -> None:
    text = with_step("{id: soon, after: 3 days 14 hours, message: payment_failed}").replace(
        TOP, TOP + "calendar:\n  messages: {hours: 09:00 to 20:00}\n"
    )
    assert found(text) == [
        (
            "9: warning: step day-3: kept waiting for its hours (09:00 to 20:00), its mail may come only 1 hour before"
            " that of step soon; between two mails the campaign keeps 12 hours (put more time between them, or let it"
            " wait less)"
        )
    ]


def test_hours_of_charges_that_leave_the_last_retry_none() -> None:
    calendar = "calendar:\n  charges: {hours: 00:00 to 06:00}\n"
    text = (
        TOP + calendar + GOOD.replace("    after: 12 days\n", "    after: 13 days 8 hours\n    retry: true\n")
    )
    assert found(text)[1:] == [
        (
            "13: warning: step last: its retry may wait for its hours (00:00 to 06:00), 18 hours from Thursday 06:00,"
            " until 14 days 2 hours after the failure, past the end at 14 days: then it is not made (move it further"
            " from the end, or widen the hours)"
        )
    ]


def test_an_approval_that_brings_two_mails_together() -> None:
    approval = "{within: 6 days 20 hours, otherwise: go on}"
    text = with_step(f"{{id: ask, after: 5 days, message: payment_failed, approval: {approval}}}")
    assert found(text) == [
        (
            "11: warning: step ask: kept waiting for an approval, its mail may come only 4 hours before that of step"
            " last; between two mails the campaign keeps 12 hours (put more time between them, or let it wait less)"
        )
    ]


def test_hours_that_bring_the_last_two_mails_together() -> None:
    calendar = "calendar:\n  messages: {hours: 09:00 to 20:00}\n"
    text = TOP + calendar + GOOD.replace("after: 12 days", "after: 13 days 10 hours") + "  message: receipt\n"
    assert found(text) == [
        (
            "13: warning: step last: kept waiting for its hours (09:00 to 20:00), its mail may come only 1 hour before"
            " the last message; between two mails the campaign keeps 12 hours (put more time between them, or let it"
            " wait less)"
        )
    ]


def test_a_payday_that_may_be_past_the_end() -> None:
    calendar = "calendar:\n  paydays: {days: [1, 15, last], within: 3 days}\n"
    text = TOP + calendar + GOOD.replace("    after: 12 days\n", "    after: 12 days\n    retry: true\n")
    assert found(text) == [
        (
            "13: warning: step last: a payday may be 3 days later, past the end at 14 days: such a retry does not wait"
            " for it (move it to 11 days or earlier, or shorten 'within')"
        )
    ]
    other = with_step("{id: late, after: 11 days 6 hours, retry: true, only_if: {decline: do_not_honor}}")
    assert found(other.replace(TOP, TOP + calendar)) == []


def test_promises_for_days_that_are_never_offered() -> None:
    assert found(TOP + "promise: {within: 20 days}\n" + GOOD) == [
        (
            "2: warning: a day 20 days ahead is past the end, 14 days after the failure: it is never"
            " offered (fewer days, or a later end)"
        )
    ]
    assert found(TOP + "promise: {within: 13 days, times: 2}\n" + GOOD) == []


@pytest.mark.parametrize(
    ("otherwise", "fault"),
    [
        (
            "go on",
            (
                "11: step ask: without an answer it goes on 15 days after the failure, when the campaign is over (14"
                " days), and so is never done (less than 9 days)"
            ),
        ),
        (
            "skip",
            (
                "11: warning: step ask: an answer may come until 15 days after the failure, when the campaign is over"
                " (14 days) (less than 9 days)"
            ),
        ),
    ],
)
def test_an_approval_that_comes_when_all_is_over(otherwise: str, fault: str) -> None:
    approval = f"{{within: 10 days, otherwise: {otherwise}}}"
    text = with_step(f"{{id: ask, after: 5 days, alert: Call them, approval: {approval}}}")
    assert found(text) == [fault]


def test_an_approval_that_may_come_when_the_next_mail_is_due() -> None:
    approval = "{within: 8 days, otherwise: go on}"
    text = with_step(f"{{id: ask, after: 5 days, message: payment_failed, approval: {approval}}}")
    assert found(text) == [
        (
            "11: warning: step ask: its mail may wait for an approval until the one of step last has been sent: then it"
            " comes after that one (put more time between it and step last)"
        )
    ]
