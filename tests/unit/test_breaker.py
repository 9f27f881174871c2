"""When charges to what does not answer are held, and how gently they are let go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import breaker
from campaigns.breaker import BreakerRule, Counts, Open

RULE = BreakerRule()
NOW = datetime(2026, 6, 1, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RESTED = NOW + RULE.rest


@pytest.mark.parametrize(
    ("recent", "usual", "opens"),
    [
        (Counts(15, 14), Counts(), True),
        (Counts(10, 5), Counts(), True),
        (Counts(10, 4), Counts(), False),
        (Counts(9, 9), Counts(), False),
        (Counts(100, 60), Counts(1000, 300), False),
        (Counts(100, 65), Counts(1000, 300), True),
    ],
    ids=["14 of 15", "half", "less than half", "too few", "not far above the usual", "far above the usual"],
)
def test_it_opens_where_unavailable_comes_far_more_often_than_usual(
    recent: Counts, usual: Counts, *, opens: bool
) -> None:
    assert breaker.is_to_open(RULE, recent, usual) is opens


def test_what_was_counted_is_said_in_one_sentence() -> None:
    said = breaker.why_opened("issuers of visa cards of DE", Counts(15, 14), RULE)
    assert said == "issuers of visa cards of DE answered 'unavailable' 14 of 15 times in 10 minutes"


def test_nothing_passes_while_it_rests_and_one_charge_is_the_first_trial() -> None:
    gate = breaker.opened(RULE, NOW)
    assert breaker.let_through(RULE, gate, RESTED - MINUTE) is None
    trial = breaker.let_through(RULE, gate, RESTED)
    assert trial is not None
    assert breaker.let_through(RULE, trial, RESTED) is None


def test_one_two_four_and_so_on_are_let_through_until_it_closes() -> None:
    gate: Open | None = breaker.opened(RULE, NOW)
    passed = []
    while gate is not None:
        lent = 0
        while more := breaker.let_through(RULE, gate, RESTED):
            gate, lent = more, lent + 1
        passed.append(lent)
        for _ in range(lent):
            assert gate is not None
            gate = breaker.answered(RULE, gate, RESTED, away=False)
    assert passed == [1, 2, 4, 8, 16]


def test_with_few_charges_it_closes_once_trials_have_gone_well_for_a_while() -> None:
    gate: Open | None = breaker.opened(RULE, NOW)
    for minutes in (0, 4, 9):
        assert gate is not None
        gate = breaker.answered(RULE, gate, RESTED + minutes * MINUTE, away=False)
    assert gate is not None
    assert breaker.answered(RULE, gate, RESTED + RULE.window, away=False) is None


def test_a_failed_trial_lets_it_rest_twice_as_long_up_to_the_longest() -> None:
    gate, rests, now = breaker.opened(RULE, NOW), [], RESTED
    for _ in range(5):
        again = breaker.answered(RULE, gate, now, away=True)
        assert again is not None
        assert again.since == NOW
        gate, now = again, again.until
        rests.append(gate.rest // MINUTE)
    assert rests == [20, 40, 80, 120, 120]


def test_those_who_fail_while_it_rests_do_not_lengthen_the_rest() -> None:
    gate = breaker.opened(RULE, NOW)
    assert breaker.answered(RULE, gate, NOW + MINUTE, away=True) == gate


def test_an_answer_to_a_charge_that_somebody_waited_for_ends_the_rest() -> None:
    gate = breaker.opened(RULE, NOW)
    assert breaker.answered(RULE, gate, NOW + MINUTE, away=False) == replace(gate, until=NOW + MINUTE)


def test_a_trial_that_was_never_heard_of_is_given_to_another() -> None:
    trial = breaker.let_through(RULE, breaker.opened(RULE, NOW), RESTED)
    assert trial is not None
    assert breaker.let_through(RULE, trial, RESTED + RULE.patience - MINUTE) is None
    assert breaker.let_through(RULE, trial, RESTED + RULE.patience) is not None


def test_a_thousand_held_cases_come_back_spread_and_each_always_at_its_own_time() -> None:
    gate = breaker.opened(RULE, NOW)
    times = [breaker.comes_back_at(RULE, gate, f"case_{number}", NOW) for number in range(1000)]
    assert times == [breaker.comes_back_at(RULE, gate, f"case_{number}", NOW) for number in range(1000)]
    minutes = [(at - RESTED) // MINUTE for at in times]
    assert min(times) >= RESTED
    assert set(minutes) == set(range(30))
    assert max(minutes.count(minute) for minute in range(30)) < 60


def test_one_that_was_refused_a_trial_does_not_come_back_at_once() -> None:
    gate = breaker.opened(RULE, NOW)
    assert breaker.comes_back_at(RULE, gate, "case_1", RESTED + MINUTE) >= RESTED + 2 * MINUTE


EVENTS = st.lists(st.sampled_from(["charge", "answered", "away", "minute", "hour"]), max_size=80)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(EVENTS)
def test_never_more_are_under_way_than_the_step_allows_and_it_always_lets_somebody_through(
    events: list[str],
) -> None:
    gate: Open | None = breaker.opened(RULE, NOW)
    now = NOW
    for event in events:
        if gate is None:
            return
        if event == "charge":
            gate = breaker.let_through(RULE, gate, now) or gate
        elif event in {"answered", "away"}:
            gate = breaker.answered(RULE, gate, now, away=event == "away")
        else:
            now += timedelta(**{f"{event}s": 1})
        if gate is not None:
            assert 0 <= gate.good <= gate.lent <= 2**gate.step
            assert gate.until - now <= RULE.longest
    assert gate is None or breaker.let_through(RULE, gate, max(now, gate.until) + RULE.patience) is not None
