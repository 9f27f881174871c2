"""Edits of a campaign that a person makes without writing YAML: each changes the text as its author would.

Comments, order and spelling stay, steps stay in order of time, and an edit that would bring a fault is
refused with that fault's text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from campaigns.calendars import DAY_WORDS, WEEKDAYS, Calendar, Window
from campaigns.changes import (
    AddStep,
    Change,
    ChangeEnd,
    ChangeName,
    ChangeRules,
    ChangeStep,
    ChangeTimezone,
    ChangeTitle,
    ChangeWindow,
    MoveStep,
    RemoveStep,
    Timing,
)
from campaigns.document import Campaign, End, Step
from campaigns.durations import UNITS, parse_duration
from campaigns.reading import read_campaign
from campaigns.yaml_text import (
    Path,
    find,
    insert_item,
    read,
    remove_item,
    remove_key,
    rename_key,
    reorder_items,
    set_key,
)
from errors import BadCampaign, BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from errors import Fault

CAMPAIGN_KEYS, STEP_KEYS = tuple(Campaign.model_fields), tuple(Step.model_fields)
END_KEYS, CALENDAR_KEYS, WINDOW_KEYS = (tuple(part.model_fields) for part in (End, Calendar, Window))
WRITTEN_UNITS = ("day", "hour", "minute", "second")
IN_FULL = re.compile(r"(?:1 (?:week|day|hour|minute|second)|(?!1 )\d+ (?:week|day|hour|minute|second)s)")


# --- changing --------------------------------------------------------------------------------------


def edit(text: str, change: Change, faults_of: Callable[[str], Sequence[Fault]] | None = None) -> str:
    """Give the text with one change; ``faults_of`` finds what is wrong in a text.

    Raises BadCampaign with the faults that the change would bring, and BadInput where it cannot be made.
    """
    faults_of = faults_of or faults_in
    text = text.replace("\r\n", "\n")
    before = {_essence(fault) for fault in faults_of(text)}
    if not isinstance(read(text), dict):
        raise BadInput("this is no campaign yet: it is a mapping that starts with 'name:'")
    new = _apply(text, change)
    brought = [fault for fault in faults_of(new) if _essence(fault) not in before]
    if brought:
        raise BadCampaign(brought)
    return new


def _essence(fault: Fault) -> tuple[str | None, str | None, str]:
    """Say what makes two faults the same, wherever the text has moved to."""
    return fault.arm, fault.step, fault.what


def faults_in(text: str) -> Sequence[Fault]:
    """List what keeps a text from being a campaign."""
    try:
        read_campaign(text, file="this campaign")
    except BadCampaign as error:
        return error.faults
    return ()


def _apply(text: str, change: Change) -> str:
    match change:
        case ChangeStep():
            return _change_step(text, change)
        case AddStep():
            return _add_step(text, change)
        case RemoveStep():
            return _remove_step(text, change)
        case MoveStep():
            return _move_step(text, change)
        case ChangeTitle():
            text = _put_text(text, (), "title", change.title, CAMPAIGN_KEYS)
            return _put_text(text, (), "description", change.description, CAMPAIGN_KEYS)
        case ChangeEnd():
            return _change_end(text, change)
        case ChangeWindow():
            return _change_window(text, change)
        case ChangeTimezone():
            return _put_in_calendar(text, "", "timezone", change.timezone.strip() or None)
        case ChangeRules():
            return _change_rules(text, change)
        case ChangeName():
            text = set_key(text, (), "name", change.name, CAMPAIGN_KEYS)
            text = _put_text(text, (), "title", change.title, CAMPAIGN_KEYS)
            return remove_key(text, (), "takes")


# --- steps -----------------------------------------------------------------------------------------


def _change_step(text: str, change: ChangeStep) -> str:
    path = _step_path(text, change.step, change.arm)
    if change.time is not None:
        text = _put_time(text, path, change.time, spell_length(change.time.length))
    if change.jitter is not None:
        text = _put_length(text, path, "jitter", spell_length(change.jitter), STEP_KEYS)
    if change.retry is not None:
        text = _put(text, path, "retry", change.retry or None, STEP_KEYS)
    for key in ("access", "message", "alert"):
        text = _put_text(text, path, key, getattr(change, key), STEP_KEYS)
    return _in_order(text, change.arm)


def _add_step(text: str, change: AddStep) -> str:
    path, data = _steps_path(text, change.arm), read(text)
    steps = find(data, path)
    key = "before_end" if change.time.before_end else "after"
    length = spell_length(change.time.length)
    taken = {step.get("id") for step in steps if isinstance(step, dict)}
    if change.id in taken:
        raise BadInput(f"there is a step '{change.id}' already: take another name")
    item: dict[str, Any] = {"id": change.id or _name_by_time(change.time, taken), key: length}
    item |= {"retry": True} if change.retry else {}
    parts = {"access": change.access, "message": change.message, "alert": change.alert}
    item |= {name: part.strip() for name, part in parts.items() if part.strip()}
    return _in_order(insert_item(text, path, len(steps), item), change.arm)


def _remove_step(text: str, change: RemoveStep) -> str:
    path = _step_path(text, change.step, change.arm)
    if len(find(read(text), path[:-1])) == 1:
        raise BadInput("this is the only step, and a campaign without one does nothing: add another first")
    return remove_item(text, path[:-1], int(path[-1]))


def _move_step(text: str, change: MoveStep) -> str:
    path = _step_path(text, change.step, change.arm)
    place = int(path[-1])
    other = place - 1 if change.to == "earlier" else place + 1
    steps = find(read(text), path[:-1])
    if not 0 <= other < len(steps):
        raise BadInput(f"'{change.step}' is the {'first' if change.to == 'earlier' else 'last'} step already")
    mine, theirs = _timing(steps[place]), _timing(steps[other])
    text = _put_time(text, path, theirs, theirs.length)
    text = _put_time(text, (*path[:-1], other), mine, mine.length)
    order = list(range(len(steps)))
    order[place], order[other] = other, place
    return reorder_items(text, path[:-1], order)


def _timing(step: Any) -> Timing:
    if not isinstance(step, dict) or not ({"after", "before_end"} & step.keys()):
        raise BadInput("a step beside it has no time yet: give it one first")
    if "after" in step:
        return Timing(str(step["after"]))
    return Timing(str(step["before_end"]), before_end=True)


def _put_time(text: str, path: Path, time: Timing, spelled: str) -> str:
    key, other = ("before_end", "after") if time.before_end else ("after", "before_end")
    step = find(read(text), path)
    if other in step:
        # In its place, so that what its author remarked beside the time stays there.
        text = remove_key(text, path, other) if key in step else rename_key(text, path, other, key)
    return _put_length(text, path, key, spelled, STEP_KEYS)


def _steps_path(text: str, arm: str) -> Path:
    if not arm:
        return ("steps",)
    path = (*_arm_path(text, arm), "steps")
    if not find(read(text), path):
        raise BadInput(f"arm '{arm}' has no steps of its own: change those of the campaign")
    return path


def _step_path(text: str, step: str, arm: str) -> Path:
    path = _steps_path(text, arm)
    for place, item in enumerate(find(read(text), path) or ()):
        if isinstance(item, dict) and item.get("id") == step:
            return (*path, place)
    raise BadInput(f"there is no step '{step}' any more: it was removed or has another name now")


def _arm_path(text: str, arm: str) -> Path:
    for place, item in enumerate(find(read(text), ("arms",)) or ()):
        if isinstance(item, dict) and item.get("name") == arm:
            return ("arms", place)
    raise BadInput(f"there is no arm '{arm}' in this campaign")


def _name_by_time(time: Timing, taken: set[Any]) -> str:
    length = parse_length(time.length)
    unit = next((unit for unit in ("day", "hour", "minute") if not length % UNITS[unit]), "second")
    count = int(length / UNITS[unit])
    name = f"{unit}-{count}" if not time.before_end else f"{unit}-{count}-before-end"
    number, found = 2, name
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found


def _in_order(text: str, arm: str) -> str:
    """Put steps into order of time, as far as every time can be read; those of one time stay as they are."""
    path, data = _steps_path(text, arm), read(text)
    own = (*_arm_path(text, arm), "end", "after") if arm else ()
    lasts = find(data, own) if own and find(data, own) else find(data, ("end", "after"))
    try:
        times = [_offset(step, lasts) for step in find(data, path)]
    except (ValueError, BadInput):
        return text
    return reorder_items(text, path, sorted(range(len(times)), key=times.__getitem__))


def _offset(step: Any, lasts: Any) -> timedelta:
    timing = _timing(step)
    length = parse_duration(timing.length)
    return parse_duration(lasts) - length if timing.before_end else length


# --- the end, and the calendar ---------------------------------------------------------------------


def _change_end(text: str, change: ChangeEnd) -> str:
    path: Path = (*_arm_path(text, change.arm), "end") if change.arm else ("end",)
    if not find(read(text), path):
        raise BadInput(f"arm '{change.arm}' has no end of its own: change that of the campaign")
    if change.after is not None:
        text = _put_length(text, path, "after", spell_length(change.after), END_KEYS)
    text = _put_text(text, path, "action", change.action, END_KEYS)
    text = _put_text(text, path, "message", change.message, END_KEYS)
    return _in_order(text, change.arm) if find(read(text), (*path[:-1], "steps")) else text


def _change_rules(text: str, change: ChangeRules) -> str:
    data = read(text)
    for key, typed in (("grace", change.grace), ("spacing", change.spacing)):
        # What is said by leaving it out need not be written.
        unsaid = key not in data and typed is not None and (not typed.strip() or _is_default(key, typed))
        if typed is not None and not unsaid:
            text = _put_length(text, (), key, spell_length(typed), CAMPAIGN_KEYS)
    if change.retries is not None and change.retries != data.get(
        "retries", Campaign.model_fields["retries"].default
    ):
        text = set_key(text, (), "retries", change.retries, CAMPAIGN_KEYS)
    return text


def _is_default(key: str, typed: str) -> bool:
    return bool(Campaign.model_fields[key].default == parse_length(typed))


def _change_window(text: str, change: ChangeWindow) -> str:
    for key, typed in (("hours", change.hours), ("quiet", change.quiet)):
        if typed is not None:
            spans = [part.strip() for part in typed.split(",") if part.strip()]
            text = _put_in_calendar(text, change.window, key, spans)
    if change.days is not None:
        text = _put_in_calendar(text, change.window, "days", change.days)
    if change.holidays is not None:
        text = _put_in_calendar(text, change.window, "holidays", None if change.holidays else False)
    return text


def _put_in_calendar(text: str, where: str, key: str, value: Any) -> str:
    """Change a key of the calendar or of one of its windows, which need not be there yet."""
    path: Path = ("calendar", where) if where else ("calendar",)
    old = find(read(text), (*path, key))
    if key in {"hours", "quiet"}:
        if _same_hours(old, value):
            return text
        value = value[0] if len(value) == 1 else value or None
    elif key == "days":
        if _weekdays(old) == _weekdays(value):
            return text
        value = _spell_days(value)
    if value is None:
        return remove_key(text, path, key) if old is not None else text
    data = read(text)
    if find(data, ("calendar",)) is None:
        inner = {key: value}
        return set_key(text, (), "calendar", {where: inner} if where else inner, CAMPAIGN_KEYS)
    if where and find(data, path) is None:
        return set_key(text, ("calendar",), where, {key: value}, CALENDAR_KEYS)
    return set_key(text, path, key, value, WINDOW_KEYS if where else CALENDAR_KEYS)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _same_hours(old: Any, new: list[str]) -> bool:
    """Whether two spellings, ``9:00-20:00`` and ``09:00 to 20:00``, name the same hours."""
    if not old or not new:
        return not old and not new
    try:
        before, after = (Window.model_validate({"hours": value}).hours for value in (old, new))
    except ValidationError:
        return False
    return before == after


def _weekdays(value: Any) -> set[str]:
    named = DAY_WORDS.get(value) if isinstance(value, str) else None
    days = set(named or _listed(value))
    return set() if days == set(WEEKDAYS) else days


def _spell_days(days: Sequence[str]) -> Any:
    wanted = _weekdays(list(days))
    if not wanted:
        return None
    word = next((word for word, named in DAY_WORDS.items() if set(named) == wanted), None)
    return word or [day for day in WEEKDAYS if day in wanted]


# --- single values ---------------------------------------------------------------------------------


def _put(text: str, path: Path, key: str, value: Any, order: Sequence[str]) -> str:
    """Give a key a value, or take it away with None; what says the same already stays as it is written."""
    old = find(read(text), (*path, key))
    if value is None:
        return remove_key(text, path, key) if old else text
    return set_key(text, path, key, value, order)


def _put_text(text: str, path: Path, key: str, typed: str | None, order: Sequence[str]) -> str:
    if typed is None:
        return text
    wanted = typed.replace("\r\n", "\n").strip()
    old = find(read(text), (*path, key))
    if isinstance(old, str) and old.strip() == wanted:
        return text
    return _put(text, path, key, wanted or None, order)


def _put_length(text: str, path: Path, key: str, spelled: str, order: Sequence[str]) -> str:
    old = find(read(text), (*path, key))
    try:
        if parse_duration(old) == parse_duration(spelled):
            return text
    except ValueError:
        pass
    return _put(text, path, key, spelled or None, order)


def spell_length(typed: str) -> str:
    """Write a length of time in full, as in ``1 day 12 hours``; nothing for nothing.

    Raises BadInput for what is no length.
    """
    if not typed.strip() or IN_FULL.fullmatch(typed.strip()):
        return typed.strip()
    return length_in_full(parse_length(typed))


def parse_length(typed: str) -> timedelta:
    """Read a length of time that a person typed; raises BadInput for what is none."""
    try:
        return parse_duration(typed)
    except (ValueError, OverflowError) as error:
        raise BadInput(str(error)) from None


def length_in_full(length: timedelta) -> str:
    """Write a length in every unit that it fills, so that nothing of it is lost."""
    parts, rest = [], length
    for unit in WRITTEN_UNITS:
        count: float
        count, rest = divmod(rest, UNITS[unit])
        if unit == "second":
            count += rest.total_seconds()
        if count:
            parts.append(f"{count:.15g} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts) or "0 seconds"
