"""Edits of a campaign's text: what its author wrote stays, steps stay in order, and no edit breaks it."""

from __future__ import annotations

import difflib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.changes import (
    AddStep,
    Change,
    ChangeEnd,
    ChangeName,
    ChangeRules,
    ChangeStep,
    ChangeTimezone,
    ChangeTitle,
    ChangeWindow,
    MoveStep,
    RemoveStep,
    Timing,
)
from campaigns.durations import parse_duration
from campaigns.editing import edit, faults_in, spell_length
from campaigns.reading import read_campaign
from campaigns.yaml_text import read
from errors import BadCampaign, BadInput, Fault
from store.campaigns import LIBRARY

GENTLE = """\
# Ours, for monthly plans.
name: gentle
title: "Gentle"   # as the team calls it
description: A few mails.

grace: 7 days     # access stays full
minimum: {EUR: 1.00}

steps:
  # Everybody gets this one.
  - id: first-notice
    after: 1 day          # not sooner: banks try again by themselves
    retry: true
    message: payment_failed
    # access: limited

  # The second one is for those who forgot.
  - id: second-try
    after: 72h
    retry: true

  - {id: last-notice, before_end: 2 days, message: last_notice}

# When nothing worked.
end:
  after: 14 days
  action: cancel_now
"""

BRACKETS = "name: dense\nsteps: [{id: a, after: 1 day, retry: true}, {id: b, after: 2 days, message: hello}]\nend: {after: 9 days, action: leave}\n"

ARMS = """\
name: tried
arms:
  - {name: a, weight: 1}
  - name: b
    weight: 1
    steps:
    - id: only
      after: 2 days
      retry: true
    end: {after: 5 days, action: pause}
steps:
- id: day-1
  after: 1 day
  message: payment_failed
# two
- id: day-3
  after: 3 days
  message: payment_failed
end:
  after: 14 days
  action: cancel_now
"""


def lines_changed(text: str, change: Change) -> list[str]:
    """Make an edit and give the lines that differ, marked as in a diff."""
    new = edit(text, change)
    read_campaign(new, file="the new text")
    diff = difflib.unified_diff(text.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in list(diff)[2:] if not line.startswith("@@")]


def ids(text: str) -> list[str]:
    return [step.id for step in read_campaign(text, file="it").steps]


# --- steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            ChangeStep("first-notice", time=Timing("2d")),
            [
                "-    after: 1 day          # not sooner: banks try again by themselves",
                "+    after: 2 days          # not sooner: banks try again by themselves",
            ],
        ),
        (
            ChangeStep("second-try", time=Timing("5 days", before_end=True)),
            ["-    after: 72h", "+    before_end: 5 days"],
        ),
        (
            ChangeStep("last-notice", time=Timing("10 days")),
            [
                "-  - {id: last-notice, before_end: 2 days, message: last_notice}",
                "+  - {id: last-notice, after: 10 days, message: last_notice}",
            ],
        ),
        # What says the same already stays as its author spelled it.
        (ChangeStep("second-try", time=Timing("3 days"), retry=True, access="", jitter=""), []),
        (ChangeStep("second-try", jitter="90 min"), ["+    jitter: 1 hour 30 minutes"]),
        (
            ChangeStep("second-try", message="payment_failed", access="full", alert="Call: soon # now"),
            ["+    access: full", "+    message: payment_failed", '+    alert: "Call: soon # now"'],
        ),
        (ChangeStep("first-notice", retry=False), ["-    retry: true"]),
        (
            ChangeStep("last-notice", retry=True, alert="yes"),
            [
                "-  - {id: last-notice, before_end: 2 days, message: last_notice}",
                '+  - {id: last-notice, before_end: 2 days, retry: true, message: last_notice, alert: "yes"}',
            ],
        ),
        (ChangeStep("first-notice", message=""), ["-    message: payment_failed"]),
    ],
)
def test_a_step_is_changed_and_nothing_else(change: ChangeStep, lines: list[str]) -> None:
    assert lines_changed(GENTLE, change) == lines


def test_a_step_that_comes_later_goes_where_its_time_puts_it_with_its_comments() -> None:
    new = edit(GENTLE, ChangeStep("first-notice", time=Timing("5 days")))
    assert ids(new) == ["second-try", "first-notice", "last-notice"]
    assert (
        """\
steps:
  # The second one is for those who forgot.
  - id: second-try
    after: 72h
    retry: true

  # Everybody gets this one.
  - id: first-notice
    after: 5 days          # not sooner: banks try again by themselves
    retry: true
    message: payment_failed
    # access: limited

  - {id: last-notice, before_end: 2 days, message: last_notice}

# When nothing worked.
"""
        in new
    )


def test_a_new_step_is_written_as_its_neighbours_are() -> None:
    added = AddStep(Timing("36 h"), retry=True, message="payment_failed")
    new = edit(GENTLE, added)
    assert ids(new) == ["first-notice", "hour-36", "second-try", "last-notice"]
    assert """\
    # access: limited

  - id: hour-36
    after: 36 hours
    retry: true
    message: payment_failed

  # The second one is for those who forgot.
""" in new.replace("1 day 12 hours", "36 hours")
    dense = AddStep(Timing("3 days", before_end=True), alert="Call, now")
    assert lines_changed(BRACKETS, dense) == [
        "-steps: [{id: a, after: 1 day, retry: true}, {id: b, after: 2 days, message: hello}]",
        (
            "+steps: [{id: a, after: 1 day, retry: true}, {id: b, after: 2 days, message: hello},"
            ' {id: day-3-before-end, before_end: 3 days, alert: "Call, now"}]'
        ),
    ]


def test_a_new_step_gets_a_name_that_is_free() -> None:
    new = edit(ARMS, AddStep(Timing("3 days 1 minute"), access="limited"))
    assert ids(new) == ["day-1", "day-3", "minute-4321"]
    with pytest.raises(BadCampaign, match="order steps by time"):
        edit(ARMS, AddStep(Timing("3 days"), access="limited"))
    later = ARMS.replace("after: 3 days", "after: 4 days")
    assert ids(edit(later, AddStep(Timing("3 days"), access="limited"))) == ["day-1", "day-3-2", "day-3"]
    with pytest.raises(BadInput, match="there is a step 'day-3' already: take another name"):
        edit(later, AddStep(Timing("3 days"), id="day-3", access="limited"))


def test_a_step_is_removed_with_the_comment_above_it_and_no_other() -> None:
    assert lines_changed(GENTLE, RemoveStep("second-try")) == [
        "-  # The second one is for those who forgot.",
        "-  - id: second-try",
        "-    after: 72h",
        "-    retry: true",
        "-",
    ]
    assert lines_changed(GENTLE, RemoveStep("last-notice")) == [
        "-  - {id: last-notice, before_end: 2 days, message: last_notice}",
        "-",
    ]
    assert lines_changed(BRACKETS, RemoveStep("a")) == [
        "-steps: [{id: a, after: 1 day, retry: true}, {id: b, after: 2 days, message: hello}]",
        "+steps: [{id: b, after: 2 days, message: hello}]",
    ]


def test_the_only_step_stays() -> None:
    one = edit(BRACKETS, RemoveStep("a"))
    with pytest.raises(BadInput, match="this is the only step"):
        edit(one, RemoveStep("b"))


def test_a_step_changes_places_and_times_with_its_neighbour() -> None:
    new = edit(GENTLE, MoveStep("second-try", "earlier"))
    assert [(step.id, step.after) for step in read_campaign(new, file="it").steps[:2]] == [
        ("second-try", timedelta(days=1)),
        ("first-notice", timedelta(days=3)),
    ]
    assert "# The second one is for those who forgot.\n  - id: second-try\n    after: 1 day\n" in new
    assert "after: 72h          # not sooner: banks" in new
    assert edit(new, MoveStep("second-try", "later")) == GENTLE
    assert "- {id: second-try" not in edit(GENTLE, MoveStep("last-notice", "earlier"))
    assert ids(edit(GENTLE, MoveStep("last-notice", "earlier"))) == [
        "first-notice",
        "last-notice",
        "second-try",
    ]
    with pytest.raises(BadInput, match="'first-notice' is the first step already"):
        edit(GENTLE, MoveStep("first-notice", "earlier"))
    with pytest.raises(BadInput, match="'last-notice' is the last step already"):
        edit(GENTLE, MoveStep("last-notice", "later"))


def test_the_steps_of_an_arm_are_its_own() -> None:
    assert lines_changed(ARMS, ChangeStep("only", arm="b", time=Timing("3 days"))) == [
        "-      after: 2 days",
        "+      after: 3 days",
    ]
    assert lines_changed(ARMS, AddStep(Timing("12 hours"), arm="b", message="payment_failed")) == [
        "+    - id: hour-12",
        "+      after: 12 hours",
        "+      message: payment_failed",
    ]
    assert lines_changed(ARMS, ChangeEnd(arm="b", after="1 week")) == [
        "-    end: {after: 5 days, action: pause}",
        "+    end: {after: 1 week, action: pause}",
    ]
    with pytest.raises(BadInput, match="arm 'a' has no steps of its own"):
        edit(ARMS, RemoveStep("day-1", arm="a"))
    with pytest.raises(BadInput, match="arm 'a' has no end of its own"):
        edit(ARMS, ChangeEnd(arm="a", after="5 days"))
    with pytest.raises(BadInput, match="there is no arm 'c'"):
        edit(ARMS, RemoveStep("day-1", arm="c"))
    with pytest.raises(BadInput, match="there is no step 'day-9' any more"):
        edit(ARMS, ChangeStep("day-9", retry=True))


# --- the end, title and calendar -------------------------------------------------------------------


def test_the_end_is_changed_and_steps_counted_from_it_keep_their_order() -> None:
    assert lines_changed(GENTLE, ChangeEnd(action="mark_unpaid", message="subscription_ended")) == [
        "-  action: cancel_now",
        "+  action: mark_unpaid",
        "+  message: subscription_ended",
    ]
    assert lines_changed(GENTLE, ChangeEnd(after="21 days", message="")) == [
        "-  after: 14 days",
        "+  after: 21 days",
    ]
    assert ids(edit(GENTLE, ChangeEnd(after="4 days"))) == ["first-notice", "last-notice", "second-try"]


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            ChangeTitle('Very "gentle"', "A few mails."),
            [
                '-title: "Gentle"   # as the team calls it',
                '+title: "Very \\"gentle\\""   # as the team calls it',
            ],
        ),
        (
            ChangeTitle(description="Two lines:\r\nthe first, the second."),
            [
                "-description: A few mails.",
                "+description: |-",
                "+  Two lines:",
                "+  the first, the second.",
            ],
        ),
        (ChangeTitle("", ""), ['-title: "Gentle"   # as the team calls it', "-description: A few mails."]),
        (
            ChangeWindow("messages", hours="09:00 to 12:00, 14:00 to 18:00", days=("tuesday", "monday")),
            [
                "+",
                "+calendar:",
                '+  messages: {hours: ["09:00 to 12:00", "14:00 to 18:00"], days: [monday, tuesday]}',
            ],
        ),
        (
            ChangeWindow("charges", quiet="22:00 to 07:00", holidays=False),
            ["+", "+calendar:", '+  charges: {quiet: "22:00 to 07:00", holidays: false}'],
        ),
        (ChangeWindow("charges", hours="", quiet="", days=(), holidays=True), []),
        (
            ChangeRules(grace="9 days", spacing="12h", retries=8),
            ["-grace: 7 days     # access stays full", "+grace: 9 days     # access stays full"],
        ),
        (ChangeRules(grace=" ", retries=5), ["-grace: 7 days     # access stays full", "+retries: 5"]),
        (ChangeRules(grace="168 h", spacing="1d"), ["+spacing: 1 day"]),
        (ChangeTimezone("Europe/Berlin"), ["+", "+calendar:", "+  timezone: Europe/Berlin"]),
    ],
)
def test_titles_and_the_calendar_are_changed(change: Change, lines: list[str]) -> None:
    found = lines_changed(GENTLE, change)
    assert [line.replace('"', "") for line in found] == [line.replace('"', "") for line in lines]


def test_a_window_is_taken_away_when_nothing_is_left_of_it() -> None:
    text = GENTLE.replace(
        "steps:\n",
        """\
calendar:
  timezone: Europe/Berlin
  messages:   # by the customer's clock
    hours: 09:00 to 20:00
    days:  # workdays
      - monday
      - tuesday
steps:
""",
    )
    weekdays = ("monday", "tuesday", "wednesday", "thursday", "friday")
    assert lines_changed(text, ChangeWindow("messages", days=weekdays, hours="09:00 to 20:00")) == [
        "-    days:  # workdays",
        "-      - monday",
        "-      - tuesday",
        "+    days: weekdays  # workdays",
    ]
    dashes = text.replace("09:00 to 20:00", "9:00-20:00")
    assert lines_changed(dashes, ChangeWindow("messages", hours="09:00 to 20:00")) == []
    assert lines_changed(text, ChangeWindow("charges", hours="00:00 to 06:00")) == [
        "+  charges: {hours: 00:00 to 06:00}"
    ]
    gone = edit(text, ChangeWindow("messages", hours="", days=(*weekdays, "saturday", "sunday")))
    assert "messages:   #" not in gone
    assert "calendar" not in edit(gone, ChangeTimezone(""))


def test_a_copy_has_a_name_of_its_own_and_takes_nothing_by_itself() -> None:
    text = GENTLE.replace("steps:\n", "takes:\n  priority: 3\n  plan: [pro]   # those\nsteps:\n", 1)
    new = edit(text, ChangeName("gentler", "Gentler"))
    campaign = read_campaign(new, file="it")
    assert (campaign.name, campaign.title, campaign.takes.is_segment) == ("gentler", "Gentler", False)
    assert new == GENTLE.replace("name: gentle", "name: gentler").replace('"Gentle"', '"Gentler"')


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            ChangeStep("first-notice", time=Timing("20 days")),
            "comes at 20 days, not before the end at 14 days",
        ),
        (ChangeStep("first-notice", time=Timing("3 days")), "order steps by time"),
        (ChangeStep("second-try", access="limited"), "inside the grace period of 7 days"),
        (ChangeStep("second-try", retry=False), "does nothing: give it a retry"),
        (ChangeEnd(after="2 days"), "comes before the failure itself|not before the end at 2 days"),
        (ChangeEnd(action=""), "'action' is missing"),
        (ChangeWindow("messages", hours="nine to five"), "is no stretch of hours"),
        (ChangeTimezone("Berlin"), "'Berlin' is no time zone"),
        (AddStep(Timing("5 days")), "does nothing: give it a retry"),
        (AddStep(Timing("5 days"), id="Not a name", retry=True), "is not a name"),
    ],
)
def test_an_edit_that_would_break_the_campaign_is_refused_with_the_fault(change: Change, fault: str) -> None:
    with pytest.raises(BadCampaign, match=fault):
        edit(GENTLE, change)


@pytest.mark.parametrize("length", ["soon", "3 moons", "days", "9999999999 days"])
def test_what_is_no_length_of_time_is_refused(length: str) -> None:
    with pytest.raises(BadInput):
        edit(GENTLE, ChangeStep("first-notice", time=Timing(length)))


def test_an_empty_time_is_refused() -> None:
    with pytest.raises(BadCampaign, match="needs a time"):
        edit(GENTLE, ChangeStep("first-notice", time=Timing(" ")))


def test_only_new_faults_count_against_an_edit() -> None:
    broken = GENTLE.replace("retry: true\n\n", "retry: true\n    mesage: payment_failed\n\n")
    assert "after: 4 days" in edit(broken, ChangeStep("second-try", time=Timing("4 days")))

    def two_mails(text: str) -> list[Fault]:
        many = text.count("message:") > 2
        return [Fault("it", 1, "second-try", "two mails")] if many else []

    with pytest.raises(BadCampaign, match="two mails"):
        edit(GENTLE, ChangeStep("second-try", message="payment_failed"), two_mails)


@pytest.mark.parametrize(
    "text", ["steps: [", "- a\n- b\n", "name: x\n", "just words", "", "a: 2026-13-40", "[" * 3000]
)
def test_what_is_no_campaign_cannot_be_edited(text: str) -> None:
    with pytest.raises(BadInput):
        edit(text, RemoveStep("a"))


def test_references_are_left_to_their_author() -> None:
    shared = ARMS.replace("  - {name: a, weight: 1}\n", "").replace(
        "steps:\n- id: day-1\n  after: 1 day\n", "steps:\n- id: day-1\n  after: &soon 1 day\n"
    )
    shared = shared.replace("after: 3 days\n", "after: 3 days\n  jitter: *soon\n")
    assert "jitter: 2 hours\n" in edit(shared, ChangeStep("day-3", jitter="2 hours"))
    assert "jitter" not in edit(shared, ChangeStep("day-3", jitter=""))
    with pytest.raises(
        BadInput, match=r"'steps.0.after' is written in a way that can only be changed in the YAML"
    ):
        edit(shared, ChangeStep("day-1", time=Timing("2 days")))
    many = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
        for old, new in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(BadInput, match="refers to its own parts again and again"):
        edit(many, RemoveStep("a"))


# --- every edit ------------------------------------------------------------------------------------

TEXTS = {"gentle": GENTLE, "brackets": BRACKETS, "arms": ARMS} | {
    path.stem: path.read_text(encoding="utf-8") for path in LIBRARY.glob("*.yaml")
}
lengths = st.integers(1, 40).map(lambda count: f"{count * 12} hours")
timings = st.builds(Timing, lengths, st.booleans())
words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30)
some_step = st.integers(0, 5)


@st.composite
def changes(draw: st.DrawFn, text: str) -> Change:
    steps = [step["id"] for step in read(text)["steps"]]
    step = steps[draw(some_step) % len(steps)]
    kinds: list[st.SearchStrategy[Any]] = [
        st.builds(
            ChangeStep,
            st.just(step),
            time=st.none() | timings,
            jitter=st.none() | st.just("") | st.just("20 min"),
            retry=st.none() | st.booleans(),
            access=st.none() | st.sampled_from(["", "full", "limited"]),
            message=st.none() | st.sampled_from(["", "payment_failed"]),
            alert=st.none() | words,
        ),
        st.builds(AddStep, timings, retry=st.booleans(), message=st.just("last_notice"), alert=words),
        st.builds(RemoveStep, st.just(step)),
        st.builds(MoveStep, st.just(step), st.sampled_from(["earlier", "later"])),
        st.builds(ChangeTitle, st.none() | words, st.none() | words),
        st.builds(ChangeEnd, after=st.none() | lengths, message=st.none() | st.just("") | st.just("bye")),
        st.builds(
            ChangeWindow,
            st.sampled_from(["messages", "charges"]),
            hours=st.none() | st.just("") | st.just("08:00 to 21:00"),
            days=st.none() | st.lists(st.sampled_from(["monday", "friday"]), unique=True).map(tuple),
            holidays=st.none() | st.booleans(),
        ),
    ]
    return draw(st.one_of(kinds))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_after_any_edits_the_campaign_is_whole_in_order_and_keeps_its_other_comments(
    name: str, data: st.DataObject
) -> None:
    text = TEXTS[name]
    for _ in range(4):
        change = data.draw(changes(text))
        try:
            new = edit(text, change)
        except BadInput:
            continue
        assert faults_in(new) == ()
        end = parse_duration(read(new)["end"]["after"])
        times = [
            parse_duration(step["after"]) if "after" in step else end - parse_duration(step["before_end"])
            for step in read(new)["steps"]
        ]
        assert times == sorted(times)
        if not isinstance(change, RemoveStep | ChangeTitle | ChangeWindow):
            assert comments(new) >= comments(text)
        text = new


def comments(text: str) -> set[str]:
    return {line.partition("#")[2] for line in text.splitlines() if "# " in line and '"' not in line}


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("3d", "3 days"),
        ("72 hours", "72 hours"),
        ("2 weeks", "2 weeks"),
        ("1 weeks", "7 days"),
        ("1.5 days", "1 day 12 hours"),
        ("1d 2h 3min 4s", "1 day 2 hours 3 minutes 4 seconds"),
        ("0h", "0 seconds"),
        ("0.25 s", "0.25 seconds"),
    ],
)
def test_a_length_is_written_as_an_author_would(typed: str, written: str) -> None:
    assert spell_length(typed) == written
    assert parse_duration(written) == parse_duration(typed)
