"""What changed between two versions of a campaign: complete, and in words that a product manager reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns import differences as words
from campaigns.calendars import Calendar, Paydays, Window
from campaigns.conditions import Conditions
from campaigns.differences import Change, Difference, Line, differences, line_diff
from campaigns.document import Approval, Arm, Campaign, End, LatePayment, Messages, Promise, Step
from campaigns.reading import read_campaign
from campaigns.segments import Takes
from tests.unit.any_campaign import documents

if TYPE_CHECKING:
    from pydantic import BaseModel

OLD = """\
name: gentle
grace: 7 days
messages: {receipt: payment_received}
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
    before_end: 2 days
    message: last_notice
end:
  after: 28 days
  action: cancel_now
  message: subscription_ended
"""


def changed(*replacements: tuple[str, str], old: str = OLD) -> list[str]:
    new = old
    for before, after in replacements:
        assert before in new
        new = new.replace(before, after, 1)
    found = differences(read_campaign(old, file="old"), read_campaign(new, file="new"))
    return [str(difference) for difference in found]


def before_steps(part: str) -> tuple[str, str]:
    return "steps:\n", f"{part}\nsteps:\n"


def in_day_3(part: str) -> tuple[str, str]:
    return "    after: 3 days\n", f"    after: 3 days\n    {part}\n"


def test_nothing_changed() -> None:
    assert changed() == []
    # How it is written is no difference.
    assert changed(("grace: 7 days", "grace: 1w # a week")) == []


@pytest.mark.parametrize(
    ("replacement", "said"),
    [
        (("gentle", "kind"), "name: gentle → kind"),
        (("gentle\n", "gentle\ntitle: Gentle\n"), "title: none → “Gentle”"),
        (("grace: 7 days", "grace: 36h"), "time in which access stays full: 7 days → 1 day 12 hours"),
        (before_steps("retries: 4"), "most scheduled charges in one case: 8 → 4"),
        (before_steps("spacing: 1 day"), "least time between two mails: 12 hours → 1 day"),
        (
            before_steps('minimum: {EUR: "1.00", USD: "2.00"}'),
            "smallest amount that is worked: none → EUR 1.00; USD 2.00",
        ),
        (("after: 3 days", "after: 4 days"), "step day-3: moved from 3 days to 4 days after the failure"),
        (
            ("before_end: 2 days", "before_end: 36h"),
            "step last: moved from 2 days to 1 day 12 hours before the end",
        ),
        (
            ("before_end: 2 days", "after: 20 days"),
            "step last: moved from 2 days before the end to 20 days after the failure",
        ),
        (in_day_3("jitter: 30 minutes"), "step day-3: cases are spread over: no time → 30 minutes"),
        (in_day_3("access: full"), "step day-3: new access: full"),
        (in_day_3("alert: Call them"), "step day-3: new alert to the team: “Call them”"),
        (
            in_day_3("approval: {within: 2 days, otherwise: skip}"),
            "step day-3: waits for an approval: no → within 2 days, without an answer it is skipped",
        ),
        (in_day_3("only_if: {plan: [pro, team]}"), "step day-3: only for the plan: any → pro, team"),
        (in_day_3("only_if: {decline_class: soft}"), "step day-3: only for the class of decline: any → soft"),
        (
            in_day_3("only_if: {attempts: {at_most: 3}}"),
            "step day-3: only after so many charges: any → 3 or fewer",
        ),
        (
            in_day_3("only_if: {attempts: {at_least: 1, at_most: 3}}"),
            "step day-3: only after so many charges: any → 1 to 3",
        ),
        (in_day_3("only_if: {mail_opened: false}"), "step day-3: only if a mail was opened: either way → no"),
        (
            in_day_3('only_if: {amount: {EUR: {at_least: "20.00", below: "50.00"}}}'),
            "step day-3: only for the amount: any → EUR from 20.00 below 50.00",
        ),
        (
            in_day_3("only_if: {attributes: {tier: [gold]}}"),
            "step day-3: only for customers with: any → tier gold",
        ),
        (
            ("message: last_notice", "message: payment_failed"),
            "step last: mail: last_notice → payment_failed",
        ),
        (("after: 28 days", "after: 30 days"), "end: time after the failure: 28 days → 30 days"),
        (("cancel_now", "mark_unpaid"), "end: final action: cancel now → mark unpaid"),
        (("  message: subscription_ended\n", ""), "end: last message: subscription_ended → none"),
        (
            ("action: cancel_now", "action: pause\n  late_payment: {then: reinstate}"),
            "end: what a late payment does: alert → reinstate",
        ),
        (("payment_received", "thank_you"), "mails: when the payment has come: payment_received → thank_you"),
        (before_steps("takes: {priority: 1, plan: pro}"), "segment: plan: any → pro"),
        (before_steps("takes: {first_payments: true}"), "segment: payments that fail at sign-up: no → yes"),
        (
            before_steps("calendar: {messages: {hours: 09:00 to 20:00, days: weekdays}}"),
            "calendar: mails are sent: at any time → 09:00 to 20:00 on weekdays",
        ),
        (
            before_steps("calendar: {charges: {quiet: 06:00 to 24:00}}"),
            "calendar: cards are charged on schedule: at any time → 00:00 to 06:00",
        ),
        (
            before_steps("promise: {within: 3 days}"),
            "promise to pay: customers may choose a day now: how far ahead 3 days; how often in one case 1",
        ),
        (
            before_steps("calendar: {paydays: {days: [1, last]}}"),
            (
                "paydays: charges wait for them now: on the days of the month 1, last; after the decline"
                " insufficient_funds; if within 3 days"
            ),
        ),
        (
            before_steps("calendar: {timezone: Europe/Berlin}"),
            "calendar: zone of customers whose own is not known: UTC → Europe/Berlin",
        ),
    ],
)
def test_a_change_is_told_in_words(replacement: tuple[str, str], said: str) -> None:
    assert said in changed(replacement)


def test_all_changes_are_told_and_nothing_else() -> None:
    new_step = "  - {id: call, after: 5 days, alert: Call them, only_if: {currency: EUR}}\n  - id: last\n"
    assert changed(
        ("  - id: day-1\n    after: 1 day\n    retry: true\n    message: payment_failed\n", ""),
        ("    retry: true\n    message: payment_failed\n", "    message: payment_failed\n"),
        ("  - id: last\n", new_step),
        ("    message: last_notice\n", "    access: blocked\n"),
    ) == [
        "step day-3: charges the card no longer",
        "step call: new, 5 days after the failure: tells the team “Call them”",
        "step call: only for the currency: any → EUR",
        "step last: new access: blocked",
        "step last: mail removed: it was last_notice",
        "step day-1: removed; it was 1 day after the failure: charges the card, sends payment_failed",
    ]


def test_arms_are_compared_by_their_names_with_all_that_they_have() -> None:
    two = "arms:\n  - {name: a, weight: 45}\n  - {name: b, weight: 45}\n  - {name: out, weight: 10, holdout: true}"
    old = OLD.replace(*before_steps(two))
    assert changed(before_steps(two)) == [
        "arm a: new, of weight 45",
        "arm b: new, of weight 45",
        "arm out: new, a holdout of weight 10",
    ]
    assert changed(
        ("{name: a, weight: 45}", "{name: a, weight: 60, end: {after: 20 days, action: cancel_now}}"),
        (
            "{name: b, weight: 45}",
            "{name: c, weight: 45, messages: {receipt: payment_received, failed: kind}}",
        ),
        ("before_end: 2 days", "before_end: 3 days"),
        old=old,
    ) == [
        "arm a: weight: 45 → 60",
        "arm a: has an end of its own now",
        "arm a, end: time after the failure: 28 days → 20 days",
        "arm a, end: last message: subscription_ended → none",
        "arm c: new, of weight 45",
        "arm c: has mails of its own now",
        "arm c, mails: after a failed charge: payment_failed → kind",
        "arm b: removed; it was of weight 45",
        "step last: moved from 2 days to 3 days before the end",
    ]
    steps = ", steps: [{id: day-1, after: 2 days, message: payment_failed}]}"
    own = old.replace("{name: b, weight: 45}", f"{{name: b, weight: 45{steps}")
    assert changed(("{name: b, weight: 45}", f"{{name: b, weight: 45{steps}"), old=old) == [
        "arm b: has steps of its own now",
        "arm b, step day-1: moved from 1 day to 2 days after the failure",
        "arm b, step day-1: charges the card no longer",
        "arm b, step day-3: removed; it was 3 days after the failure: charges the card, sends payment_failed",
        "arm b, step last: removed; it was 2 days before the end: sends last_notice",
    ]
    assert changed((f"{{name: b, weight: 45{steps}", "{name: b, weight: 45}"), old=own)[0] == (
        "arm b: has the campaign's own steps again"
    )
    assert changed(("holdout: true", "holdout: false"), old=old) == [
        "arm out: holdout, which gets nothing: yes → no"
    ]


def test_an_order_that_means_nothing_is_no_difference() -> None:
    old = OLD.replace(*before_steps("takes: {priority: 1, plan: [pro, team], country: [DE, AT]}"))
    assert changed(("[pro, team]", "[team, pro]"), ("[DE, AT]", "[AT, DE]"), old=old) == []


def test_a_difference_says_whether_something_came_or_went() -> None:
    old = read_campaign(OLD, file="old")
    new = read_campaign(OLD.replace("    message: last_notice\n", "    alert: Call them\n"), file="new")
    assert differences(old, new) == [
        Difference("step last", "mail removed: it was last_notice", Change.REMOVED),
        Difference("step last", "new alert to the team: “Call them”", Change.ADDED),
    ]


SAID_OTHERWISE: dict[type[BaseModel], set[str]] = {
    Campaign: {"takes", "calendar", "promise", "messages", "arms", "steps", "end"},
    Step: {
        "id",
        "after",
        "before_end",
        "jitter",
        "only_if",
        "approval",
        "retry",
        "access",
        "message",
        "alert",
    },
    End: {"late_payment"},
    Arm: {"name", "weight", "holdout", "steps", "end", "messages"},
    Calendar: {"timezone", "messages", "charges", "paydays"},
    Window: {"hours", "quiet", "days", "holidays"},
    Approval: {"within", "otherwise"},
}


@pytest.mark.parametrize(
    ("part", "table"),
    [
        (Campaign, words.WHOLE),
        (Takes, words.TAKES),
        (Step, words.STEP),
        (Conditions, words.CONDITIONS),
        (Paydays, words.PAYDAYS),
        (Promise, words.PROMISE),
        (End, words.END),
        (LatePayment, words.LATE_PAYMENT),
        (Messages, words.MESSAGES),
        (Arm, {}),
        (Calendar, {}),
        (Window, {}),
        (Approval, {}),
    ],
)
def test_every_field_of_the_language_has_its_words(part: type[BaseModel], table: dict[str, Any]) -> None:
    assert set(table) | SAID_OTHERWISE.get(part, set()) == set(part.model_fields)


def meaning(value: Any) -> Any:
    """Give a part of a campaign with everything that means nothing taken away."""
    if isinstance(value, Window):
        return value.spelled()
    if isinstance(
        value, Campaign | Arm | Step | Takes | Calendar | Paydays | Promise | End | Messages | Conditions
    ):
        return {name: meaning(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return sorted(map(str, map(meaning, value)))
    if isinstance(value, dict):
        return {name: meaning(item) for name, item in value.items()}
    return value


@given(documents(), documents(), st.sampled_from(["calendar", "promise", "steps", "end", "messages", "arms"]))
def test_of_any_two_campaigns_that_differ_something_is_said(
    first: dict[str, Any], other: dict[str, Any], part: str
) -> None:
    old = Campaign.model_validate(first)
    assert differences(old, old) == []
    exchanged = {name: value for name, value in first.items() if name != part}
    if part in other:
        exchanged[part] = other[part]
    if part == "steps":
        exchanged |= {"end": other["end"], "retries": 8, "arms": []}
    try:
        new = Campaign.model_validate(exchanged)
    except ValidationError:
        reject()
    assert bool(differences(old, new)) == (meaning(old) != meaning(new))


# --- lines -------------------------------------------------------------------------------------------------


def test_lines_are_compared_with_a_few_around_them() -> None:
    old = "\n".join("abcdefghij")
    new = old.replace("e", "E\nF")
    assert line_diff(old, new, context=1) == [
        Line(None, None, ""),
        Line(4, 4, "d"),
        Line(5, None, "e"),
        Line(None, 5, "E"),
        Line(None, 6, "F"),
        Line(6, 7, "f"),
    ]
    assert [line.mark for line in line_diff(old, new, context=1)] == ["…", " ", "-", "+", "+", " "]
    assert len(line_diff(old, new, context=None)) == 12
    assert line_diff(old, old) == []
