"""Amounts, days and names as a customer reads them."""

from __future__ import annotations

import re
import unicodedata
from copy import copy
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.numbers import get_currency_precision

from campaigns.money import major_units, minor_unit_digits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, tzinfo

FALLBACK = "en"
# English that belongs to no country: "Friday, 12 June", for readers whose own language we do not write.
ENGLISH_ANYWHERE = "en_001"
# Longer names are no names: they push the message itself off a phone's screen.
LONGEST_NAME = 80
# Characters that turn the reading direction of what follows; a name could hide an address behind them.
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Where a network's name is not the processor's word for it with a capital letter.
NETWORKS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "unknown": "",
}
# Where a colon is not written right behind a word.
COLONS = {"fr": "\u00a0:"}
# What mail programs make a link of, whether or not we do: "evil.example", "www.", "a@b".
LINKED = re.compile(r"://|\bwww\.|@|\w\.\w\w|/\w", re.IGNORECASE)


def tags(locale: str) -> list[str]:
    """List a language tag and what it falls back to, closest first: ``pt-BR`` gives pt-BR, pt, en."""
    parts = [part for part in re.split(r"[-_]", locale.strip()) if part]
    if any(len(part) == 1 for part in parts):  # extensions, such as de-u-co-phonebk
        parts = parts[: [len(part) for part in parts].index(1)]
    chain = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return chain if FALLBACK in chain else [*chain, FALLBACK]


def known_locale(locale: str) -> Locale:
    """Find the closest locale that CLDR knows; English where it knows none."""
    for tag in tags(locale):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(FALLBACK)


def locale_of_days(locale: str, language: str) -> Locale:
    """Choose how days are written in a text: in the text's own language, with the customer's customs.

    A Brazilian who gets an English text reads "Friday, 12 June", not "sexta-feira" amid English.
    """
    customer = known_locale(locale)
    text = known_locale(language)
    if customer.language == text.language:
        return customer
    if text.language != FALLBACK:
        return text
    try:
        return Locale.parse(f"{FALLBACK}_{customer.territory}")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(ENGLISH_ANYWHERE)


def zone(name: str | None) -> tzinfo:
    """Find a time zone; UTC where the customer's is not known, which may be a day off at most."""
    try:
        return ZoneInfo(name) if name else UTC
    except (OSError, ValueError, LookupError):
        return UTC


def write_money(amount: int, currency: str, locale: str) -> str:
    """Write an amount of minor units in the customer's locale: ``49,00 €``, ``￥4,900``.

    As many decimal places as CLDR gives the currency, but never fewer than the amount needs: what is
    charged is what is shown.
    """
    code = currency.upper()
    number = major_units(amount, code)
    places = get_currency_precision(code)
    if number != round(number, places):
        places = minor_unit_digits(code)
    customer = known_locale(locale)
    # A copy: the locale's own pattern is shared by everyone.
    pattern = copy(customer.currency_formats["standard"])
    pattern.frac_prec = (places, places)
    written: str = pattern.apply(number, customer, currency=code, currency_digits=False)
    # CLDR parts letters from digits (KWD 12.345), which Babel does not do.
    return re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", "\u00a0", written.strip())


def write_sum(amounts: Iterable[tuple[int, str]], locale: str) -> str:
    """Sum up amounts in minor units, each with its currency, and write each currency by itself."""
    sums: dict[str, int] = {}
    for amount, currency in amounts:
        sums[currency] = sums.get(currency, 0) + amount
    return " + ".join(write_money(sums[name], name, locale) for name in sorted(sums))


def write_day(moment: datetime, locale: Locale, timezone: str | None) -> str:
    """Write a day with its weekday and without its year: ``Friday, June 12``, ``Freitag, 12. Juni``."""
    skeletons = locale.datetime_skeletons
    name = next(name for name in ("MMMMEEEEd", "MMMMEd", "MMMEd") if name in skeletons)
    # CLDR's rule for a skeleton that a locale lacks: take the nearest and widen its fields.
    pattern = re.sub(r"\bE+|\bc+", lambda _: "EEEE", skeletons[name].pattern)
    pattern = re.sub(r"MMM+", "MMMM", pattern)
    return format_datetime(moment.astimezone(zone(timezone)), pattern, locale=locale)


def colon(language: str) -> str:
    """Give the colon of a language, with the space that may belong before it."""
    return COLONS.get(known_locale(language).language, ":")


def write_network(name: str) -> str:
    """Write a card network as it is printed on the card, from the processor's word; '' where it has none."""
    return NETWORKS.get(name, single_line(name[:1].upper() + name[1:]))


def single_line(text: str) -> str:
    """Put a text on one line without control characters, so that it cannot end a mail's header."""
    kept = "".join(
        " " if character in "\u2028\u2029" or unicodedata.category(character) == "Cc" else character
        for character in text
        if character not in TURNS
    )
    return re.sub(r" +", " ", kept).strip()


def plain_name(name: str | None) -> str | None:
    """Give a name fit for a greeting, or None: whoever signs up may call themselves an advertisement."""
    text = single_line(name or "")
    return None if not text or len(text) > LONGEST_NAME or LINKED.search(text) else text
