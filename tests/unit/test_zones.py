"""Where a customer's clock stands, as far as anybody knows."""

from __future__ import annotations

import pytest

from campaigns.zones import zone_of


@pytest.mark.parametrize(
    ("named", "country", "zone"),
    [
        ("Asia/Kolkata", "DE", "Asia/Kolkata"),  # a customer's own goes first
        (None, "DE", "Europe/Berlin"),
        (None, "de", "Europe/Berlin"),
        (None, "IN", "Asia/Kolkata"),
        (None, "JP", "Asia/Tokyo"),
        (None, "NZ", None),  # the Chatham Islands are three quarters of an hour ahead
        (None, "US", None),
        (None, "AU", None),
        (None, "ES", None),  # the Canary Islands
        (None, "XX", None),
        (None, None, None),
        ("Mars/Olympus", "DE", "Europe/Berlin"),  # a zone that there is not is none
        ("", "", None),
        ("Mars/Olympus", None, None),
    ],
)
def test_a_zone_is_the_customers_own_or_the_only_one_of_the_country(
    named: str | None, country: str | None, zone: str | None
) -> None:
    assert zone_of(named, country) == zone
