"""Amounts: minor units by the processor's own table, never a float."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.money import (
    THREE_DECIMAL,
    ZERO_DECIMAL,
    major_units,
    minor_unit_digits,
    minor_units,
    spell_money,
)
from errors import BadInput

CURRENCIES = st.sampled_from(sorted({"USD", "EUR", "ISK", "UGX", "HUF", *ZERO_DECIMAL, *THREE_DECIMAL}))


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("eur", 2), ("JPY", 0), ("krw", 0), ("KWD", 3), ("UGX", 2), ("ISK", 2), ("HUF", 2)],
)
def test_minor_units_are_counted_as_the_processor_counts_them(currency: str, digits: int) -> None:
    assert minor_unit_digits(currency) == digits


@given(st.integers(0, 10**15), CURRENCIES)
def test_no_amount_is_changed_by_being_written_and_read(amount: int, currency: str) -> None:
    assert minor_units(str(major_units(amount, currency)), currency) == amount


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [("1.00", "EUR", 100), ("1", "EUR", 100), ("100", "JPY", 100), ("0.001", "KWD", 1), ("0.07", "USD", 7)],
)
def test_an_amount_is_read_as_a_person_writes_it(text: str, currency: str, amount: int) -> None:
    assert minor_units(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *(("one", "EUR"), ("", "EUR"), ("1.005", "EUR"), ("1.5", "JPY"), ("-1", "EUR")),
        *(("NaN", "EUR"), ("Infinity", "EUR"), ("1,00", "EUR")),
    ],
)
def test_what_is_no_amount_is_refused_with_what_was_written(text: str, currency: str) -> None:
    with pytest.raises(BadInput, match="is not an amount") as caught:
        minor_units(text, currency)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (4900, "USD", "$49.00"),
        (4900, "usd", "$49.00"),
        (25000000, "EUR", "€250,000.00"),
        (1200, "JPY", "¥1,200"),
        (4900, "CHF", "49.00 CHF"),
        (4900, "KWD", "4.900 KWD"),
        (0, "USD", "$0.00"),
        (7, "USD", "$0.07"),
    ],
)
def test_people_who_run_the_system_read_it_like_this(amount: int, currency: str, words: str) -> None:
    assert spell_money(amount, currency) == words


def test_large_amounts_keep_every_digit() -> None:
    assert major_units(12345678901234567, "USD") == Decimal("123456789012345.67")
