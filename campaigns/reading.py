"""Campaign documents from text: every fault at once, each with file, line, step and a way out.

What is found here does not parse, or cannot be meant. What parses and would hurt is found by
``campaigns/checking.py``.
"""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from campaigns.calendars import DAY_WORDS, WEEKDAYS
from campaigns.document import Campaign
from campaigns.source import Source
from campaigns.suggestions import country_meant, currency_meant, nearest, nearest_or_all, time_zones
from errors import BadCampaign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.source import Place
    from errors import Fault

Words = tuple[str, str | None]
# pydantic names the branch of a choice that it tried in the place itself.
BRANCH = re.compile(r"^(\[key\]|constrained-int|literal\[.*\])$")
CURRENCY_PATTERN, COUNTRY_PATTERN = "^[A-Za-z]{3}$", "^[A-Za-z]{2}$"
DAYS_OF_THE_MONTH = ("calendar", "paydays", "days")
TOO_LITTLE, TOO_MUCH = ("greater_than_equal", "ge", "least"), ("less_than_equal", "le", "most")


def read_campaign(text: str, *, file: str) -> Campaign:
    """Turn YAML into a campaign; raises BadCampaign with every fault found, never only the first."""
    return campaign_from(Source(text, file))


def campaign_from(source: Source) -> Campaign:
    """Turn a document into a campaign; raises BadCampaign with every fault found."""
    try:
        return Campaign.model_validate(source.data)
    except ValidationError as error:
        found = [item for item in error.errors() if not _follows_from_another(item, error)]
        faults = {fault: None for item in found for fault in _faults(item, source)}
        raise BadCampaign(sorted(faults, key=lambda fault: fault.line)) from None


def _follows_from_another(item: Any, error: ValidationError) -> bool:
    """Whether pydantic counts a list as too short only because its items have faults of their own."""
    place = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in error.errors()
    )


def _faults(item: Any, source: Source) -> Iterator[Fault]:
    """Turn one pydantic error into faults; ours that name a place become one fault a line."""
    place: Place = tuple(part for part in item["loc"] if not BRANCH.match(str(part)))
    empty = item["input"] is None and place
    if item["type"] != "value_error" or empty:
        what, suggestion = _words(item, place, source)
        yield source.fault(place, what, suggestion)
        return
    for line in str(item["ctx"]["error"]).split("\n"):
        yield _own_fault(line, place, source)


def _own_fault(line: str, place: Place, source: Source) -> Fault:
    """Word a fault that our own models found; one may begin with a place further in."""
    where, _, what = line.partition(": ")
    inner: Place = tuple(int(part) if part.isdigit() else part for part in where.split("."))
    if not place:
        return source.fault(inner, what)
    if what and _part_at((*place, *inner)) is not None:
        return source.fault((*place, *inner), f"{_name((*place, *inner))}: {what}")
    suggestion = None
    if place[-1] == "timezone":
        line, _, usual = line.partition(": ")
        suggestion = nearest(source.written(place).strip("'"), time_zones()) or usual
    return source.fault(place, f"{_name(place)}: {line}", suggestion)


def _name(place: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in place if not isinstance(part, int))


def _words(item: Any, place: Place, source: Source) -> Words:
    """Say what is wrong in the words of an author, and what would be right."""
    kind, context, name, written = item["type"], item.get("ctx", {}), _name(place), source.written(place)
    if item["input"] is None:
        return f"{name}: is empty", _what_it_holds(place)
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "missing":
        return f"'{place[-1]}' is missing", None
    if kind == "invalid_key":
        return f"{_name(place[:-1]) or 'the document'}: {place[-1]} is no key: keys are words", None
    if place[: len(DAYS_OF_THE_MONTH)] == DAYS_OF_THE_MONTH and len(place) > len(DAYS_OF_THE_MONTH):
        return f"{name}: {written} is no day of the month", "1 to 31, or 'last'"
    if kind in {"enum", "literal_error"}:
        choices = [choice.strip(" '") for choice in context["expected"].replace(" or ", ",").split(",")]
        if set(WEEKDAYS) <= set(choices):
            choices += DAY_WORDS
        return f"{name}: {written} is not known", nearest_or_all(written.strip("'"), choices)
    if kind == "string_pattern_mismatch":
        return _wrong_pattern(context["pattern"], name, str(item["input"]))
    for limited, key, word in (TOO_LITTLE, TOO_MUCH):
        if kind == limited:
            return f"{name}: {written} cannot be: the {word} is {context[key]}", None
    return _wrong_kind(item, place, name, written)


def _wrong_kind(item: Any, place: Place, name: str, written: str) -> Words:
    kind, value = item["type"], item["input"]
    if value in ("", [], {}) or kind == "string_too_short":
        return f"{name}: is empty", _what_it_holds(place)
    if kind == "too_short":
        return f"{name}: is empty", "give at least one"
    if kind == "string_too_long":
        return f"{name}: has {len(value)} letters: the most is {item['ctx']['max_length']}", "shorten it"
    if kind == "string_type":
        if isinstance(value, list | dict):
            return f"{name}: {written} stands where a word is expected", None
        # YAML takes NO, 7 and 2026-01-01 for other things than words; the author may not know.
        return f"{name}: {written} is read as {_taken_for(value)}, not as a word", f"in quotes: {written}"
    if kind in {"model_type", "dict_type"}:
        return f"{name}: {written} stands where a group of keys is expected", _what_it_holds(place)
    if kind in {"tuple_type", "list_type"}:
        return f"{name}: {written} stands where a list is expected", "begin each entry with '- '"
    if kind.startswith("bool"):
        return f"{name}: {written} is neither true nor false", "true or false"
    if kind.startswith("int"):
        return f"{name}: {written} is no whole number", None
    return f"{name}: {written} cannot be used here", None


def _taken_for(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a date"


def _wrong_pattern(pattern: str, name: str, value: str) -> Words:
    if pattern == CURRENCY_PATTERN:
        return f"{name}: '{value}' is no currency", currency_meant(value) or "three letters, such as EUR"
    if pattern == COUNTRY_PATTERN:
        return f"{name}: '{value}' is no country", country_meant(value)
    return f"{name}: '{value}' is not a name", "small letters, digits, '-' and '_'"


def _unknown_key(place: Place) -> Words:
    key, part = str(place[-1]), _part_at(place[:-1]) or Campaign
    known = sorted(part.model_fields)
    what = f"'{key}' means nothing here"
    elsewhere = _homes_of(key)
    if key in elsewhere:
        return what, f"it belongs in {elsewhere[key]}"
    return what, nearest_or_all(key, known)


def _what_it_holds(place: Place) -> str | None:
    part = _part_at(place)
    return f"it holds: {', '.join(part.model_fields)}" if part else None


def _part_at(place: Sequence[str | int]) -> type[BaseModel] | None:
    """Find the model of the part that stands at a place, or None where a plain value stands there."""
    kind: Any = Campaign
    for name in place:
        kind = _without_frills(kind)
        if _is_part(kind):
            field = kind.model_fields.get(str(name))
            kind = field.annotation if field else None
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    kind = _without_frills(kind)
    return kind if _is_part(kind) else None


def _is_part(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _without_frills(kind: Any) -> Any:
    """Take off what only says how something is read, and that it may be left out."""
    while get_origin(kind) in {Annotated, Union, types.UnionType}:
        kind = next(option for option in get_args(kind) if option is not type(None))
    return kind


def _homes_of(key: str) -> dict[str, str]:
    """Say in which one part of the document a key belongs, where there is one only."""
    homes = [
        _name(place) or "the document itself"
        for place in _every_part((), Campaign)
        if key in (_part_at(place) or Campaign).model_fields
    ]
    return {key: f"'{homes[0]}'"} if len(homes) == 1 else {}


def _every_part(place: Place, part: type[BaseModel]) -> Iterator[Place]:
    yield place
    for name in part.model_fields:
        for inner in ((*place, name), (*place, name, 0)):
            found = _part_at(inner)
            # An arm has steps, an end and messages as the document itself has.
            if found is not None and place != ("arms", 0):
                yield from _every_part(inner, found)
