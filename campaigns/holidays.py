"""Public holidays and working days, by country."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import holidays as almanac

if TYPE_CHECKING:
    from datetime import date

SATURDAY = 5


@lru_cache(maxsize=1)
def known_countries() -> frozenset[str]:
    """Name the countries whose public holidays are known, by their two letters."""
    return frozenset(almanac.list_supported_countries(include_aliases=False))


@lru_cache(maxsize=32768)
def holiday(day: date, country: str | None) -> str | None:
    """Name the nationwide public holiday of a day, in English where there is a choice, or None.

    A country that is not known, or None, has no holidays.
    """
    if not country or country.upper() not in known_countries():
        return None
    found: str | None = _of_year(country.upper(), day.year).get(day)
    return found


@lru_cache(maxsize=512)
def _of_year(country: str, year: int) -> almanac.HolidayBase:
    language = "en_US" if "en_US" in almanac.country_holidays(country).supported_languages else None
    return almanac.country_holidays(country, years=year, expand=False, language=language)


@lru_cache(maxsize=32768)
def is_working_day(day: date, country: str | None) -> bool:
    """Whether people work and are paid on a day: neither their weekend's nor a public holiday.

    A weekend is that of the country, such as Friday and Saturday; where it is not known, Saturday and Sunday.
    """
    if not country or country.upper() not in known_countries():
        return day.weekday() < SATURDAY
    return _of_year(country.upper(), day.year).is_working_day(day)
