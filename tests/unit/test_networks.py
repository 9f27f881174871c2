"""Limits of card networks: which hold when and where, and how attempts count toward them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from campaigns.networks import NetworkLimits
from store.campaigns import network_limits

LIMITS = NetworkLimits(network_limits())
TODAY = date(2026, 6, 1)
FIRST = datetime(2026, 1, 20, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HEAD = "rule,rail,network,region,scope,window,limit,apart,reset_by,effective_from,source,confidence\n"


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


def test_what_a_limit_counts_apart_is_in_its_row() -> None:
    [early] = LIMITS.limits_for("visa", date(2025, 5, 24))
    [visa] = LIMITS.limits_for("visa", TODAY)
    assert (early.by_amount, early.by_initiator, early.resets_after_approval) == (True, False, True)
    assert (visa.by_amount, visa.by_initiator, visa.resets_after_approval) == (True, True, True)
    [day, month] = LIMITS.limits_for("mastercard", TODAY, "DE")
    assert (day.by_amount, day.by_initiator, day.resets_after_approval) == (False, False, False)
    assert (month.by_amount, month.by_initiator, month.resets_after_approval) == (True, False, False)


def test_a_rail_of_direct_debits_has_one_rule_book_whatever_the_network() -> None:
    [nacha] = LIMITS.limits_for(None, TODAY, "US", "ach")
    assert LIMITS.limits_for("visa", TODAY, None, "ach") == (nacha,)
    assert (nacha.limit, nacha.window, nacha.by_invoice, nacha.from_first) == (3, 180 * DAY, True, True)
    assert nacha.said() == (
        "Nacha allows 3 attempts on one debit (itself and two re-initiations) in 180 days from the first"
    )
    assert LIMITS.limits_for(None, TODAY, "DE", "sepa") == ()
    assert {limit.rail for limit in LIMITS.in_force(TODAY)} == {"card"}


def test_a_row_of_the_owners_takes_the_place_of_ours_from_its_date() -> None:
    ours = HEAD + row(limit="15", effective_from="2021-04-01") + row(limit="20", effective_from="2025-05-25")
    owners = (
        HEAD + row(limit="12", effective_from="2024-01-01") + row(rule="house", network="amex", limit="9")
    )
    limits = NetworkLimits(ours, owners)

    def held(network: str, on: date) -> list[int]:
        return [limit.limit for limit in limits.limits_for(network, on)]

    assert held("visa", date(2023, 12, 31)) == [15]
    assert held("visa", date(2024, 1, 1)) == [12]
    # A later row of ours, of the next release say, does not undo what the owner decided.
    assert held("visa", date(2026, 1, 1)) == [12]
    assert held("amex", date(2026, 1, 1)) == [9]


def row(**changed: str) -> str:
    fields = dict(
        zip(
            HEAD.strip().split(","),
            ("r", "card", "visa", "everywhere", "s", "30 days", "20", "", "", "2025-01-01", "x", "high"),
            strict=True,
        )
    )
    return ",".join((fields | changed).values()) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "the columns of network limits are rule, rail"),
        (HEAD + row(region="Europe"), "line 2: 'Europe' is no region"),
        (HEAD + row(window="30 moons"), "line 2: '30 moons'"),
        (HEAD + row(window="0 days"), "line 2: a window is longer than nothing"),
        (HEAD + row(window="calendar month from the first"), "line 2: a calendar month does not begin"),
        (HEAD + row(limit="many"), "line 2: invalid literal"),
        (HEAD + row(limit="0"), "line 2: a limit is 1 or more"),
        (HEAD + row(rail="rail"), "line 2: 'rail' is no rail: card, ach, sepa, bacs"),
        (HEAD + row(apart="amount colour"), "line 2: 'colour' is nothing to count apart: amount, initiator"),
        (HEAD + row(reset_by="rain"), "line 2: 'rain' resets nothing: 'approval'"),
        (HEAD + row(effective_from="May 2025"), "line 2: Invalid isoformat"),
        (HEAD + row(source=""), "line 2: needs source"),
        (HEAD + "r,visa,everywhere,s,30 days,20\n", "line 2: has not as many fields as the heading"),
        (HEAD + row().strip() + ",more\n", "line 2: has not as many fields as the heading"),
        (HEAD + row() + row(), "line 3: r 2025-01-01 stands twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NetworkLimits(text)
    with pytest.raises(ValueError, match="the owner's network limits"):
        NetworkLimits("", text)


def test_the_documents_table_says_what_the_data_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
    for limit in (*LIMITS.in_force(TODAY), *LIMITS.in_force(TODAY, "ach")):
        # As in 'Visa allows 20 attempts on … in 30 days'.
        window = limit.said().rpartition(" in ")[2]
        assert f"| `{limit.rule}` | {limit.limit} in {window} |" in page
