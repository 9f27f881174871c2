"""What would hurt in a campaign: each fault with its line, step, what, and a way out, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from campaigns.checking import Known, check, check_campaign
from campaigns.declines import DeclineTable
from campaigns.networks import NetworkLimits
from errors import BadCampaign, Severity
from store.campaigns import LIBRARY, decline_codes, network_limits
from wiring import known_anywhere

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = frozenset(
    ["payment_failed", "new_card_needed", "confirm_payment", "card_declined", "last_notice", "receipt"]
)
KNOWN = Known(
    declines=DeclineTable(decline_codes()),
    networks=NetworkLimits(network_limits()),
    templates=TEMPLATES | {"broken", "silent"},
    template_faults=lambda name: (
        ("en/broken.liquid: line 3: no variable is called 'nmae'",) * (name == "broken")
    ),
    names_the_end=lambda name: name == "last_notice",
    on=date(2026, 6, 1),
)
TOP = """\
name: gentle
"""
GOOD = """\
steps:
  - id: day-1
    after: 1 day
    retry: true
    message: payment_failed
  - id: day-3
    after: 3 days
    retry: true
    message: payment_failed
  - id: last
    after: 12 days
    message: last_notice
end:
  after: 14 days
  action: cancel_now
"""


def found(text: str) -> list[str]:
    checked = check(text, file="c.yaml", known=KNOWN)
    assert checked.campaign is not None, checked.faults
    return [str(fault).removeprefix("c.yaml:") for fault in checked.faults]


def with_step(step: str, good: str = GOOD) -> str:
    """Put a step at 5 days between the others; it stands on line 11."""
    return TOP + good.replace("  - id: last\n", f"  - {step}\n  - id: last\n")


def test_a_good_campaign_has_no_fault() -> None:
    assert found(TOP + GOOD) == []
    assert check_campaign(TOP + GOOD, file="c.yaml", known=KNOWN).name == "gentle"


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_campaigns_that_ship_pass_a_strict_check(path: Path) -> None:
    known = known_anywhere(datetime(2026, 6, 1, tzinfo=UTC))
    checked = check(path.read_text(encoding="utf-8"), file=path.name, known=known)
    assert checked.faults == ()


def test_errors_stop_a_campaign_and_warnings_only_go_along() -> None:
    warned = TOP + GOOD.replace("after: 12 days", "after: 4 days")
    assert check_campaign(warned, file="c.yaml", known=KNOWN).name == "gentle"
    [warning] = check(warned, file="c.yaml", known=KNOWN).warnings
    assert str(warning).startswith(
        "c.yaml:16: warning: after a soft decline the subscription is cancelled 10"
    )
    with pytest.raises(BadCampaign) as caught:
        check_campaign(warned.replace("payment_failed", "broken"), file="c.yaml", known=KNOWN)
    kinds = {fault.severity for fault in caught.value.faults}
    assert kinds == {Severity.ERROR, Severity.WARNING}


def test_what_does_not_parse_is_told_instead() -> None:
    checked = check("name: [", file="c.yaml", known=KNOWN)
    assert checked.campaign is None
    assert [fault.line for fault in checked.errors] == [1]


# --- words that are not known --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "fault"),
    [
        (
            "decline: insufficient_fund",
            "no decline 'insufficient_fund' is known (did you mean 'insufficient_funds'?)",
        ),
        ("currency: [EUR, USX]", "no currency 'USX' is known (did you mean 'USD'?)"),
        ("interval: monthly", "no interval 'monthly' is known (did you mean 'month'?)"),
        ("processor: strip", "no processor 'strip' is known (did you mean 'stripe'?)"),
        ("country: [DE, UK]", "'UK' is no country (did you mean 'GB'?)"),
    ],
)
def test_a_word_of_the_segment_that_nothing_is_called_by(takes: str, fault: str) -> None:
    name = takes.partition(":")[0]
    assert found(f"name: gentle\ntakes:\n  priority: 1\n  {takes}\n{GOOD}") == [f"4: takes.{name}: {fault}"]


def test_a_decline_that_is_like_no_other_may_be_new() -> None:
    text = with_step("{id: new, after: 5 days, alert: Look, only_if: {decline: zz9}}")
    assert found(text) == ["11: warning: step new: steps.only_if.decline: no decline 'zz9' is known"]


def test_a_decline_of_a_step_and_of_paydays_has_to_be_known() -> None:
    text = with_step("{id: new, after: 5 days, alert: Look, only_if: {decline: lost_crd}}")
    calendar = "calendar:\n  paydays: {days: [1], after: [insuficient_funds]}\n"
    assert found(text.replace(TOP, TOP + calendar)) == [
        "3: calendar.paydays.after: no decline 'insuficient_funds' is known (did you mean 'insufficient_funds'?)",
        "13: step new: steps.only_if.decline: no decline 'lost_crd' is known (did you mean 'lost_card'?)",
    ]


def test_a_template_has_to_exist_and_to_be_fit_to_send() -> None:
    text = TOP + GOOD.replace("message: last_notice", "message: last_notise") + "  message: broken\n"
    text += "messages:\n  new_card: receit\n"
    assert found(text) == [
        "13: step last: there is no template 'last_notise' (did you mean 'last_notice'?)",
        "17: template 'broken' cannot be sent: en/broken.liquid: line 3: no variable is called 'nmae'",
        "19: there is no template 'receit' (did you mean 'receipt'?)",
    ]


def test_a_broken_template_is_told_once_in_each_arm_that_has_it_alone() -> None:
    arms = (
        "arms:\n  - {name: a, weight: 1}\n"
        "  - {name: b, weight: 1, messages: {failed: broken, receipt: receipt}}\n"
    )
    assert found(f"name: gentle\n{arms}{GOOD}") == [
        "4: arm b: template 'broken' cannot be sent: en/broken.liquid: line 3: no variable is called 'nmae'"
    ]


# --- steps that are never reached ------------------------------------------------------------------------

NEVER = "no case ever reaches this step"
AMEND = " (change 'only_if', or leave the step out)"


@pytest.mark.parametrize(
    ("only_if", "why"),
    [
        ("{plan: basic}", "the campaign takes no plan that it asks for"),
        ("{currency: USD}", "the campaign takes no currency that it asks for"),
        ("{attributes: {tier: gold}}", "the campaign takes no attribute 'tier' that it asks for"),
        ('{amount: {EUR: {at_least: "500.00"}}}', "the campaign takes no amount that it asks for"),
        ('{amount: {EUR: {below: "20.00"}}}', "amounts below €20.00 are not worked"),
        ('{amount: {EUR: {at_least: "90.00", below: "80.00"}}}', "no amount is as it asks"),
        ('{currency: EUR, amount: {USD: {below: "80.00"}}}', "no amount is as it asks"),
        ("{attempts: {at_least: 3, at_most: 1}}", "no number is 3 or more and 1 or fewer"),
        ("{mail_opened: false, link_clicked: true}", "whose link was used, that mail was opened"),
        (
            "{decline: insufficient_funds, decline_class: fraud}",
            "the decline insufficient_funds is of the class soft",
        ),
    ],
)
def test_a_step_whose_conditions_can_never_hold(only_if: str, why: str) -> None:
    takes = (
        "takes: {priority: 1, plan: pro, currency: EUR, attributes: {tier: silver},"
        ' amount: {EUR: {below: "400.00"}}}\nminimum: {EUR: "20.00"}\n'
    )
    text = with_step(f"{{id: never, after: 5 days, alert: Look, only_if: {only_if}}}")
    assert found(text.replace(TOP, TOP + takes)) == [f"13: step never: {NEVER}: {why}{AMEND}"]


@pytest.mark.parametrize(
    "only_if",
    [
        "{decline: insufficient_funds, decline_class: hard}",
        "{attempts: {at_least: 1, at_most: 2}}",
        "{mail_opened: true}",
        "{plan: [pro, basic]}",
        '{amount: {EUR: {below: "50.00"}, USD: {below: "50.00"}}}',
        "{decline_class: hard}",
    ],
)
def test_a_step_that_some_case_reaches_has_no_fault(only_if: str) -> None:
    takes = 'takes: {priority: 1, plan: pro, amount: {EUR: {below: "400.00"}}}\n'
    text = with_step(f"{{id: some, after: 5 days, alert: Look, only_if: {only_if}}}")
    assert found(text.replace(TOP, TOP + takes)) == []


@pytest.mark.parametrize(
    ("only_if", "what"), [("mail_opened", "a mail was opened"), ("link_clicked", "a link was used")]
)
def test_nobody_opens_a_mail_that_was_not_sent(only_if: str, what: str) -> None:
    early = f"  - {{id: early, after: 1 hour, alert: Look, only_if: {{{only_if}: true}}}}\n  - id: day-1\n"
    assert found(TOP + GOOD.replace("  - id: day-1\n", early)) == [
        f"3: step early: {NEVER}: it asks whether {what}, and no mail is sent before it{AMEND}"
    ]


def test_more_charges_than_the_steps_before_make_come_only_from_elsewhere() -> None:
    text = with_step("{id: often, after: 5 days, alert: Look, only_if: {attempts: {at_least: 3}}}")
    assert found(text) == [
        (
            f"11: warning: step often: {NEVER} by its schedule: it asks for 3 charges, and the steps before it make"
            " 2; only a new card or a person could add one (ask for 2 or fewer)"
        )
    ]


@pytest.mark.parametrize("only_if", ["{decline_class: [hard, fraud]}", "{decline: [lost_card, stolen_card]}"])
def test_a_retry_for_cards_that_are_never_charged_again(only_if: str) -> None:
    text = with_step(f"{{id: vain, after: 5 days, retry: true, only_if: {only_if}}}")
    named = only_if.partition("[")[2].rstrip("]}")
    assert found(text) == [
        (
            f"11: step vain: its retry is never made: after such a decline ({named}) no card is charged again"
            " (leave out 'retry', or let the step be for other declines)"
        )
    ]


def test_a_step_for_declines_that_the_segment_leaves_to_others() -> None:
    takes = "takes: {priority: 1, decline_class: soft}\n"
    early = "  - {id: early, after: 1 hour, alert: Look, only_if: {decline_class: hard}}\n  - id: day-1\n"
    assert found(TOP + takes + GOOD.replace("  - id: day-1\n", early)) == [
        (
            f"4: warning: step early: {NEVER} before a new card is declined: the campaign takes no decline_class hard"
            f"{AMEND}"
        )
    ]


@pytest.mark.parametrize(
    ("takes", "fault"),
    [
        (
            '{priority: 1, currency: USD, amount: {EUR: {below: "9.00"}}}',
            "2: no failure is ever taken: no amount is as the segment asks",
        ),
        (
            '{priority: 1, amount: {EUR: {below: "1.00"}}}',
            "2: no failure is ever worked: amounts below €2.00 are not worked",
        ),
        (
            "{priority: 1, decline: lost_card, decline_class: soft}",
            (
                "2: warning: hardly a failure is taken: the decline lost_card is of the class hard"
                " (leave out 'decline' or 'decline_class')"
            ),
        ),
    ],
)
def test_a_segment_that_nothing_is_in(takes: str, fault: str) -> None:
    assert fault in found(f'{TOP}takes: {takes}\nminimum: {{EUR: "2.00"}}\n{GOOD}')


# --- too close, too often, too late ----------------------------------------------------------------------


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
            " that of step soon; between two mails the campaign keeps 12 hours (put more time between them, or widen"
            " the hours)"
        )
    ]


def test_hours_of_charges_that_leave_the_last_retry_none() -> None:
    calendar = "calendar:\n  charges: {hours: 00:00 to 06:00}\n"
    text = (
        TOP + calendar + GOOD.replace("    after: 12 days\n", "    after: 13 days 8 hours\n    retry: true\n")
    )
    assert found(text) == [
        (
            "13: warning: step last: its retry may wait for its hours (00:00 to 06:00), 18 hours from Thursday 06:00,"
            " until 14 days 2 hours after the failure, past the end at 14 days: then it is not made (move it further"
            " from the end, or widen the hours)"
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
            "11: warning: step ask: its mail may wait for an approval until the one of step last is due: then only that"
            " one is sent (put more time between it and step last)"
        )
    ]


# --- what the customer goes through ------------------------------------------------------------------------

SILENT = "sends the customer nothing: nobody says what there is to do (give a message to a step that is for such a case, too)"


def test_a_path_on_which_nothing_is_sent() -> None:
    only = "    only_if: {decline_class: [soft, retry-later]}\n"
    text = TOP + GOOD.replace("    message", f"{only}    message")
    assert found(text) == [
        f"2: a hard decline {SILENT}",
        f"2: a decline that the customer has to confirm (3-D Secure) {SILENT}",
    ]
    # Such declines are left to others, and no charge brings another.
    takes = "takes: {priority: 1, decline_class: [soft]}\n"
    assert found(f"{TOP}{takes}{text.removeprefix(TOP)}".replace("    retry: true\n", "")) == []


def test_a_path_on_which_nothing_is_sent_to_some() -> None:
    text = TOP + GOOD.replace("    message", "    only_if: {plan: [pro, team]}\n    message")
    assert found(text)[0] == (
        "2: a hard decline sends the customer nothing (any other plan): nobody says what there is to do (give a"
        " message to a step that is for such a case, too)"
    )


def test_a_holdout_may_be_silent_and_an_arm_may_not() -> None:
    arms = (
        "arms:\n  - {name: a, weight: 45}\n"
        "  - {name: b, weight: 45, steps: [{id: only-try, after: 2 days, retry: true}]}\n"
        "  - {name: holdout, weight: 10, holdout: true}\n"
    )
    assert found(TOP + arms + GOOD) == [
        f"4: arm b: a hard decline {SILENT}",
        f"4: arm b: a decline that the customer has to confirm (3-D Secure) {SILENT}",
        (
            "20: arm b: after a soft decline the subscription is cancelled out of the blue: no message before it says so"
            " (let a step send 'last_notice' some days before the end)"
        ),
    ]


def test_a_cancel_out_of_the_blue() -> None:
    text = TOP + GOOD.replace("message: last_notice", "message: payment_failed")
    said = "let a step send 'last_notice' some days before the end"
    assert found(text) == [
        f"16: after a soft decline the subscription is cancelled out of the blue: no message before it says so ({said})"
    ]
    assert found(text.replace("cancel_now", "leave")) == []


def test_a_last_notice_long_before_the_end() -> None:
    text = TOP + GOOD.replace("after: 12 days", "after: 8 days")
    assert found(text) == [
        (
            "16: warning: after a soft decline the subscription is cancelled 6 days after the last message that says so"
            " (say so again in the last 4 days 16 hours)"
        )
    ]
    assert found(text.replace(TOP, "name: gentle\ngrace: 7 days\n")) == []


# --- arms and end ------------------------------------------------------------------------------------------


def test_what_is_cancelled_at_once_cannot_be_given_back() -> None:
    text = TOP + GOOD + "  late_payment: {within: 60 days, then: reinstate}\n"
    assert found(text) == [
        (
            "17: a late payment cannot give back a subscription that is cancelled at once ('then: alert', or an action"
            " that can be undone: mark_unpaid, pause, cancel_at_period_end)"
        )
    ]
    assert found(text.replace("cancel_now", "mark_unpaid")) == []


def test_weights_that_leave_too_few_to_be_helped() -> None:
    arms = (
        "arms:\n  - {name: a, weight: 30}\n  - {name: b, weight: 0}\n"
        "  - {name: holdout, weight: 70, holdout: true}\n"
    )
    assert found(TOP + arms + GOOD) == [
        (
            "4: warning: arm b: with a weight of 0 no new customer is in it (give it a weight, or leave it out once its"
            " cases have ended)"
        ),
        (
            "5: warning: arm holdout: 70 of 100 customers are held out: for more than half of them nothing is done (give"
            " the holdout less weight)"
        ),
    ]


def test_what_is_wrong_in_every_arm_is_told_once() -> None:
    arms = "arms:\n  - {name: a, weight: 1}\n  - {name: b, weight: 1, end: {after: 20 days, action: leave}}\n"
    text = (
        TOP + arms + with_step("{id: soon, after: 3 days 6 hours, message: payment_failed}").removeprefix(TOP)
    )
    assert found(text) == [
        (
            "14: step soon: its mail comes 6 hours after that of step day-3; between two mails the campaign keeps 12"
            " hours (not before 3 days 12 hours after the failure)"
        )
    ]
