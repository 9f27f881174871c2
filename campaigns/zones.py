"""Where a customer's clock stands, as far as it is known."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from importlib import resources

from campaigns.calendars import zone_named


def zone_of(named: str | None, country: str | None) -> str | None:
    """Give the customer's own time zone, else that of a country whose clocks all agree, else None."""
    if named and zone_named(named):
        return named
    return _zone_of_country((country or "").upper())


@lru_cache(maxsize=512)
def _zone_of_country(country: str) -> str | None:
    zones = _zones_by_country().get(country, ())
    # A year of months is enough: no country's zones part for less than a season.
    shown = {
        tuple(str(zone.utcoffset(datetime(2026, month, 15))) for month in range(1, 13))  # noqa: DTZ001
        for zone in map(zone_named, zones)
        if zone
    }
    return zones[0] if len(shown) == 1 else None


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    """Read the IANA table of zones by country; a zone that only history tells apart is in it once."""
    text = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found[country] = (*found.get(country, ()), zone)
    return found
