"""What an author may have meant: the nearest word that there is."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NEAR = 0.6
# Names of countries are long and alike: 'Deutschland' is near 'Netherlands'.
NEAR_FOR_COUNTRIES = 0.8
EVERYDAY_COUNTRIES = {"usa": "US", "america": "US", "england": "GB", "great britain": "GB", "holland": "NL"}
# ISO 4217, as it was in 2026: what is in use, without funds and metals.
CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(CODES.split())
# Of two that are equally near, one of these is meant.
USUAL_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "CAD", "AUD", "SEK", "BRL", "INR")
TWO_LETTERS = re.compile(r"^[A-Za-z]{2}$")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Ask ``did you mean 'retry'?``, or give None where nothing is near."""
    by_letters = {candidate.lower(): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(word.lower(), list(by_letters), n=1, cutoff=NEAR)
    if not found:
        # A short form, such as 'mon' for 'monday', is far from the word by count of letters.
        found = [name for name in by_letters if len(word) > 1 and name.startswith(word.lower())][:1]
    return f"did you mean '{by_letters[found[0]]}'?" if found else None


def nearest_or_all(word: str, known: Iterable[str]) -> str:
    """Ask ``did you mean …?``, or else list everything that there is."""
    names = list(known)
    return nearest(word, names) or f"one of: {', '.join(names)}"


def currency_meant(word: str) -> str | None:
    """Suggest the currency that was meant by letters that none has."""
    return nearest(word, USUAL_CURRENCIES) or nearest(word, CURRENCIES)


@lru_cache(maxsize=1)
def countries() -> dict[str, str]:
    """Give the countries of the world by their two letters, with their English names."""
    text = resources.files("tzdata.zoneinfo").joinpath("iso3166.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {code: name for code, name in lines}  # noqa: C416 - it says what the columns are


@lru_cache(maxsize=1)
def time_zones() -> dict[str, str]:
    """Give the time zones of the IANA database that a country lives by, with that country."""
    text = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {row[2].strip(): row[0] for row in rows}


def country_of_zone(zone: str) -> tuple[str, ...]:
    """Give the country that lives by a time zone, where one does."""
    country = time_zones().get(zone)
    return (country,) if country else ()


def country_meant(word: str) -> str | None:
    """Suggest the country that was meant by a name, or by letters that no country has."""
    if TWO_LETTERS.match(word):
        # Some go by other letters than their own in the language of their people: UK, for one.
        named = [code for code, name in countries().items() if f"({word.upper()})" in name]
        return f"did you mean '{named[0]}'?" if named else None
    by_name = {name.lower(): code for code, name in countries().items()} | EVERYDAY_COUNTRIES
    found = difflib.get_close_matches(word.lower(), list(by_name), n=1, cutoff=NEAR_FOR_COUNTRIES)
    return f"did you mean '{by_name[found[0]]}'?" if found else "two letters, such as 'DE'"
