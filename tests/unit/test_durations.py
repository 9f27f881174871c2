"""Lengths of time as campaign authors write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.durations import parse_duration, spell_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("3 days", timedelta(days=3)),
        ("1 day", timedelta(hours=24)),
        ("36h", timedelta(hours=36)),
        ("1 day 12 hours", timedelta(hours=36)),
        ("1d12h", timedelta(hours=36)),
        ("90 minutes", timedelta(minutes=90)),
        ("90min", timedelta(minutes=90)),
        ("5m", timedelta(minutes=5)),
        ("8 seconds", timedelta(seconds=8)),
        ("8s", timedelta(seconds=8)),
        ("2 weeks", timedelta(days=14)),
        ("1.5 days", timedelta(hours=36)),
        ("  3 Days ", timedelta(days=3)),
    ],
)
def test_a_length_is_read_as_it_is_written(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    ["", " ", "3", "days", "-3 days", "3 moons", "three days", "3 days and 1 hour", "1 month", 3, None, True],
)
def test_what_is_no_length_of_time_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="is not a length of time: write it as in '3 days' or '36h'"):
        parse_duration(text)


def test_a_length_passes_as_it_is() -> None:
    assert parse_duration(timedelta(days=2)) == timedelta(days=2)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(days=3), "3 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "1 day 12 hours"),
        (timedelta(days=1, hours=1, minutes=1), "1 day 1 hour"),
        (timedelta(seconds=8), "8 seconds"),
        (timedelta(0), "0 seconds"),
        (timedelta(days=28), "28 days"),
    ],
)
def test_a_length_is_spelt_by_its_two_largest_units(length: timedelta, words: str) -> None:
    assert spell_duration(length) == words


@given(st.integers(0, 400), st.integers(0, 23))
def test_days_and_hours_survive_being_spelt_and_read(days: int, hours: int) -> None:
    length = timedelta(days=days, hours=hours)
    assert parse_duration(spell_duration(length)) == length
