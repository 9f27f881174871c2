"""Lengths of time as campaign authors write them: ``3 days``, ``36h``, ``1 day 12 hours``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, PlainSerializer

UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    # A day is always 24 hours: an offset never shifts with a clock change.
    "day": timedelta(hours=24),
    "week": timedelta(days=7),
}
SHORT = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}
PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_duration(value: object) -> timedelta:
    """Read ``3 days``, ``36h`` or ``1 day 12 hours``; a ``timedelta`` passes as it is.

    Raises ValueError, for pydantic to place, with what was expected.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not value.strip():
        message = f"{value!r} is not a length of time: write it as in '3 days' or '36h'"
        raise ValueError(message)
    total, position = timedelta(), 0
    while position < len(value):
        part = PART.match(value, position)
        unit = part and _unit(part.group(2).lower())
        if not part or not unit:
            message = f"{value!r} is not a length of time: write it as in '3 days' or '36h'"
            raise ValueError(message)
        try:
            total += float(part.group(1)) * UNITS[unit]
        except OverflowError:
            message = f"{value!r} is longer than any campaign"
            raise ValueError(message) from None
        position = part.end()
    return total


def _unit(word: str) -> str | None:
    word = SHORT.get(word, word).removesuffix("s") if word != "s" else "second"
    return word if word in UNITS else None


@lru_cache(maxsize=4096)
def spell_duration(length: timedelta) -> str:
    """Write a length as an author would: the two largest units that it fills, ``1 day 12 hours``."""
    seconds = round(length.total_seconds())
    parts = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"


def spell_moment(at: datetime) -> str:
    """Write a time as ops read it: to the minute, or to the second where a campaign counts in seconds."""
    return f"{at:%d %b %Y %H:%M:%S} UTC" if at.second else f"{at:%d %b %Y %H:%M} UTC"


def _to_utc(at: datetime) -> datetime:
    # Python adds a day to a time of a zone by its wall clock, which a clock change makes an hour wrong.
    return at.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(lambda length: f"{length.total_seconds():.15g}s", return_type=str),
]
