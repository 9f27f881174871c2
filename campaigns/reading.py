"""Campaign documents from text: every fault at once, each with file, line, step and a way out."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from campaigns.document import Campaign, End, Messages, Step
from campaigns.segments import Takes
from errors import BadCampaign, Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

PARTS: dict[str | int, type[BaseModel]] = {"steps": Step, "end": End, "takes": Takes, "messages": Messages}


def read_campaign(text: str, *, file: str, templates: Collection[str] | None = None) -> Campaign:
    """Turn YAML into a campaign.

    ``templates`` are the mail templates that exist; None leaves them unchecked.
    Raises BadCampaign with every fault found, never only the first.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        raise BadCampaign([Fault(file, mark.line + 1 if mark else 1, None, f"not YAML: {what}")]) from None
    if not isinstance(data, dict):
        raise BadCampaign([Fault(file, 1, None, "a campaign is a mapping that starts with 'name:'")])
    twice = list(_keys_that_stand_twice(root, file, data))
    if twice:
        raise BadCampaign(twice)
    try:
        campaign = Campaign.model_validate(data)
    except ValidationError as error:
        found = [item for item in error.errors() if not _follows_from_another(item, error)]
        faults = [fault for item in found for fault in _faults(item, file, root, data)]
        raise BadCampaign(sorted(faults, key=lambda fault: fault.line)) from None
    faults = [] if templates is None else _missing_templates(campaign, file, root, templates)
    if faults:
        raise BadCampaign(faults)
    return campaign


def _follows_from_another(item: Any, error: ValidationError) -> bool:
    """Whether pydantic counts a list as too short only because its items have faults of their own."""
    place = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in error.errors()
    )


def _faults(item: Any, file: str, root: yaml.Node | None, data: Any) -> list[Fault]:
    """Turn one pydantic error into faults; ours that name a place become one fault a line."""
    place = [part for part in item["loc"] if part != "[key]"]
    if item["type"] == "value_error" and not place:
        faults = []
        for line in str(item["ctx"]["error"]).split("\n"):
            where, _, what = line.partition(": ")
            path = [int(part) if part.isdigit() else part for part in where.split(".")]
            faults.append(Fault(file, _line(root, path), _step(data, path), what))
        return faults
    what, suggestion = _words(item, place)
    return [Fault(file, _line(root, place), _step(data, place), what, suggestion)]


def _words(item: Any, place: Sequence[str | int]) -> tuple[str, str | None]:
    name = ".".join(str(part) for part in place if not isinstance(part, int))
    if item["type"] == "extra_forbidden":
        part = PARTS.get(place[0], Campaign) if len(place) > 1 else Campaign
        known = sorted(part.model_fields)
        return f"'{place[-1]}' means nothing here", _nearest(str(place[-1]), known)
    if item["type"] == "missing":
        return f"'{place[-1]}' is missing", None
    if item["type"] == "enum":
        choices = [choice.strip(" '") for choice in item["ctx"]["expected"].replace(" or ", ",").split(",")]
        found = _nearest(str(item["input"]), choices) or f"one of: {', '.join(choices)}"
        return f"{name}: {item['input']!r} is not known", found
    if item["type"] == "value_error":
        return f"{name}: {item['ctx']['error']}", None
    if item["type"] == "string_pattern_mismatch":
        return f"{name}: {item['input']!r} is not a name", "small letters, digits, '-' and '_'"
    return f"{name}: {item['msg'][0].lower()}{item['msg'][1:]}", None


def _nearest(word: str, known: Sequence[str]) -> str | None:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else None


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """Find the line of a place in the document, or of the nearest part above it that exists."""
    line = 1
    for part in place:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, found = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line


def _keys_that_stand_twice(
    node: yaml.Node | None, file: str, data: Any, place: tuple[str | int, ...] = ()
) -> Iterator[Fault]:
    """Find keys that YAML's reader would take silently, the last one winning."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                what = f"'{key.value}' stands twice"
                yield Fault(
                    file, key.start_mark.line + 1, _step(data, (*place, key.value)), what, "keep one of them"
                )
            seen.add(key.value)
            yield from _keys_that_stand_twice(value, file, data, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _keys_that_stand_twice(item, file, data, (*place, number))


def _step(data: Any, place: Sequence[str | int]) -> str | None:
    """Name the step that a place lies in, by its id or else by its position."""
    if len(place) < 2 or place[0] != "steps" or not isinstance(place[1], int):  # noqa: PLR2004
        return None
    steps = data.get("steps")
    step = steps[place[1]] if isinstance(steps, list) and place[1] < len(steps) else None
    return str(step.get("id", place[1] + 1)) if isinstance(step, dict) else str(place[1] + 1)


def _missing_templates(
    campaign: Campaign, file: str, root: yaml.Node | None, templates: Collection[str]
) -> list[Fault]:
    places: list[tuple[list[str | int], str | None, str | None]] = [
        (["steps", place, "message"], step.id, step.message) for place, step in enumerate(campaign.steps)
    ]
    places.append((["end", "message"], None, campaign.end.message))
    places += [
        (["messages", field], None, getattr(campaign.messages, field)) for field in Messages.model_fields
    ]
    return [
        Fault(
            file,
            _line(root, place),
            step,
            f"there is no template '{name}'",
            _nearest(name, sorted(templates)),
        )
        for place, step, name in places
        if name and name not in templates
    ]
