"""What would hurt in a campaign: each fault with its line, step, what, and a way out, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

from campaigns.checking import Known, check, check_campaign
from errors import BadCampaign, Severity
from store.campaigns import LIBRARY
from tests.unit.checked_campaign import GOOD, KNOWN, TOP, found, with_step
from wiring import known_anywhere

if TYPE_CHECKING:
    from pathlib import Path


@lru_cache(maxsize=1)
def as_installed() -> Known:
    return known_anywhere(datetime(2026, 6, 1, tzinfo=UTC))


def test_a_good_campaign_has_no_fault() -> None:
    assert found(TOP + GOOD) == []
    assert check_campaign(TOP + GOOD, file="c.yaml", known=KNOWN).name == "gentle"


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_campaigns_that_ship_pass_a_strict_check(path: Path) -> None:
    checked = check(path.read_text(encoding="utf-8"), file=path.name, known=as_installed())
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


# --- words that are not known --------------------------------------------------------------------


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


# --- steps that are never reached ----------------------------------------------------------------

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


# --- arms and end --------------------------------------------------------------------------------


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
