"""Amounts as the processor counts them: an ``int`` of minor units with an ISO 4217 code."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

from errors import BadInput

# Stripe's own list, which differs from ISO 4217: UGX and ISK are zero-decimal currencies that
# Stripe's API still counts in hundredths.  https://docs.stripe.com/currencies#zero-decimal
ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"],
)
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])


def minor_unit_digits(currency: str) -> int:
    """Count the decimal places between the minor unit and the major one: 2 for USD, 0 for JPY."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def major_units(amount: int, currency: str) -> Decimal:
    """Turn minor units into the number that a person reads: 4900 USD is 49.00."""
    return Decimal(amount).scaleb(-minor_unit_digits(currency))


@lru_cache(maxsize=1024)
def minor_units(text: str, currency: str) -> int:
    """Read ``"1.00"`` as 100 for EUR and ``"100"`` as 100 for JPY.

    Raises BadInput where the text is no number, or has more decimal places than the currency.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        message = f"{text!r} is not an amount: write it as in 1.00"
        raise BadInput(message) from None
    scaled = number.scaleb(minor_unit_digits(currency))
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or scaled < 0:
        message = (
            f"{text} {currency.upper()} is not an amount of that currency: it has"
            f" {minor_unit_digits(currency)} decimal places and is not negative"
        )
        raise BadInput(message)
    return int(scaled)


# What people who run the system see; customers' mails are formatted in their own locale.
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def spell_money(amount: int, currency: str) -> str:
    """Write an amount for ops: ``$49.00``, or ``49.00 CHF`` where no symbol is unmistakable."""
    number = f"{major_units(amount, currency):,}"
    symbol = SYMBOLS.get(currency.upper())
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"
