"""Limits of card networks: which hold when and where, and how attempts count toward them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from campaigns.networks import NetworkLimits
from store.campaigns import network_limits

LIMITS = NetworkLimits(network_limits())
TODAY = date(2026, 6, 1)
FIRST = datetime(2026, 1, 20, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HEAD = "rule,network,region,scope,window,limit,effective_from,source,confidence\n"


def one(network: str, on: date = TODAY, country: str | None = None) -> dict[str, int]:
    return {limit.rule: limit.limit for limit in LIMITS.limits_for(network, on, country)}


def test_a_later_row_takes_the_place_of_an_earlier_one_on_its_day() -> None:
    assert one("visa", date(2021, 3, 31)) == {}
    assert one("visa", date(2025, 5, 24)) == {"visa-reattempts": 15}
    assert one("VISA", date(2025, 5, 25)) == {"visa-reattempts": 20}


def test_a_country_has_its_own_limits_and_not_those_that_leave_it_out() -> None:
    assert one("mastercard", country="de") == {"mastercard-day": 10, "mastercard-month": 35}
    assert one("mastercard", country="BR") == {"mastercard-month": 35, "mastercard-brazil": 7}
    assert one("mastercard") == {"mastercard-day": 10, "mastercard-month": 35}
    assert one("elo", country="BR") == {"elo-brazil": 15}
    assert one("elo") == one("amex") == {}
    assert LIMITS.limits_for(None, TODAY) == ()


def test_every_limit_says_where_it_is_from() -> None:
    for limit in LIMITS.in_force(TODAY):
        assert limit.source
        assert limit.source in limit.spelled()
    [visa] = LIMITS.limits_for("visa", TODAY)
    assert visa.spelled().startswith(
        "Visa allows 20 attempts on one card with one merchant for one amount in 30 days (support.checkout.com"
    )
    elo = LIMITS.limits_for("elo", TODAY, "BR")[0]
    assert (
        "15 attempts on one card with one merchant for one amount in a calendar month in BR" in elo.spelled()
    )


def test_attempts_count_in_a_window_that_rolls_with_them() -> None:
    [visa] = LIMITS.limits_for("visa", TODAY)
    # Every 36 hours: 20 lie in thirty days, and the 21st falls on the day on which the first falls out.
    spread = [FIRST + 1.5 * DAY * number for number in range(30)]
    assert visa.busiest(spread) == tuple(spread[:20])
    assert visa.excess(spread) == ()
    dense = [FIRST + DAY * number for number in range(24)]
    assert visa.busiest(reversed(dense)) == tuple(dense)
    assert visa.excess(dense) == tuple(dense[20:])
    assert visa.busiest([]) == ()


def test_a_calendar_month_begins_anew_unless_the_date_is_not_known() -> None:
    [elo] = LIMITS.limits_for("elo", TODAY, "BR")
    times = [FIRST + DAY * number for number in range(24)]
    # Twelve of them in January, twelve in February.
    assert elo.busiest(times) == tuple(times[:12])
    assert elo.excess(times) == ()
    assert elo.whenever().busiest(times) == tuple(times)
    assert elo.whenever().excess(times) == tuple(times[15:])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "the columns"),
        (HEAD + "r,visa,Europe,s,30 days,20,2025-01-01,x,high\n", "line 2: 'Europe' is no region"),
        (HEAD + "r,visa,everywhere,s,30 moons,20,2025-01-01,x,high\n", "line 2: '30 moons'"),
        (HEAD + "r,visa,everywhere,s,30 days,many,2025-01-01,x,high\n", "line 2: invalid literal"),
        (HEAD + "r,visa,everywhere,s,30 days,0,2025-01-01,x,high\n", "line 2: a limit is 1 or more"),
        (HEAD + "r,visa,everywhere,s,30 days,20,May 2025,x,high\n", "line 2: Invalid isoformat"),
        (HEAD + "r,visa,everywhere,s,30 days,20,2025-01-01,,high\n", "line 2: needs source"),
        (HEAD + "r,visa,everywhere,s,30 days,20\n", "line 2: "),
        (HEAD + "r,visa,everywhere,s,30 days,20,2025-01-01,x,high\n" * 2, "r stands twice for 2025-01-01"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NetworkLimits(text)
