"""What networks bill for attempts too many: which fee holds when, where, and across a border or not."""

from __future__ import annotations

from datetime import date

import pytest

from campaigns.network_fees import NetworkFees
from campaigns.networks import NetworkLimits
from store.campaigns import network_fees, network_limits

FEES = NetworkFees(network_fees())
TODAY = date(2026, 6, 1)
HEAD = "rule,region,reach,amount_minor,currency,effective_from,source,confidence\n"
GOOD = "r,everywhere,any,10,USD,2025-01-01,x,high\n"


def cost(rule: str, on: date, country: str | None = None, home: str | None = None) -> tuple[int, str] | None:
    fee = FEES.of(rule, on, country, home)
    return (fee.amount, fee.currency) if fee else None


def test_mastercards_fee_rose_every_year() -> None:
    days = [date(2022, 9, 30), date(2022, 10, 1), date(2023, 11, 1), date(2024, 1, 1), date(2025, 1, 1)]
    assert [cost("mastercard-day", on, "US") for on in days] == [
        None,
        (10, "USD"),
        (15, "USD"),
        (30, "USD"),
        (50, "USD"),
    ]


def test_what_names_a_country_goes_before_what_holds_everywhere() -> None:
    assert cost("mastercard-day", TODAY, "de") == (55, "EUR")
    assert cost("mastercard-day", date(2024, 6, 1), "CA") == (50, "USD")
    assert cost("mastercard-day", TODAY, "BR") is None
    assert cost("mastercard-brazil", TODAY, "BR") == (200, "BRL")
    assert cost("mastercard-never", TODAY, "BR") == (250, "BRL")
    assert cost("elo-brazil", TODAY, "BR") == (80, "BRL")


def test_visas_fee_is_higher_across_a_border_and_taken_so_where_that_is_not_known() -> None:
    assert cost("visa-reattempts", TODAY, "US", "US") == (10, "USD")
    assert cost("visa-reattempts", TODAY, "US", "DE") == (25, "USD")
    assert cost("visa-reattempts", TODAY) == (25, "USD")
    assert cost("visa-reattempts", date(2026, 4, 24), "US", "DE") == (15, "USD")


def test_every_limit_of_a_card_has_a_fee_or_none_is_known() -> None:
    rules = {limit.rule for limit in NetworkLimits(network_limits()).in_force(TODAY)}
    priced = {fee.rule for fee in FEES.in_force(TODAY)}
    assert rules - priced == set()
    assert priced - rules == {"visa-never", "mastercard-never"}


def test_a_row_of_the_owners_takes_the_place_of_ours() -> None:
    fees = NetworkFees(
        network_fees(), HEAD + "visa-reattempts,everywhere,domestic,4,EUR,2026-01-01,contract,high\n"
    )
    found = fees.of("visa-reattempts", TODAY, "DE", "DE")
    assert found is not None
    assert (found.amount, found.currency, found.source) == (4, "EUR", "contract")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "the columns of network fees are rule, region"),
        (HEAD + GOOD.replace("any", "far"), "line 2: 'far' is no reach"),
        (HEAD + GOOD.replace("10", "-1"), "line 2: a fee is not less than nothing"),
        (HEAD + GOOD.replace("10", "0.10"), "line 2: invalid literal"),
        (HEAD + GOOD.replace("USD", "usd"), "line 2: 'usd' is no currency"),
        (HEAD + GOOD.replace("everywhere", "Europe"), "line 2: 'Europe' is no region"),
        (HEAD + GOOD.replace(",x,", ",,"), "line 2: needs source"),
        (HEAD + GOOD + GOOD, "line 3: r everywhere any 2025-01-01 stands twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NetworkFees(text)
