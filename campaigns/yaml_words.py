"""Values as an author of YAML would write them: plain where that reads the same, quoted where not."""

from __future__ import annotations

import json
from typing import Any

import yaml


def spell_value(value: Any, column: int, style: str | None, *, flow: bool) -> str:
    """Write a value that follows a key at a column, keeping the quotes that were there before.

    A part of the document itself begins with a line break; what is in it is written in braces.
    """
    if isinstance(value, dict) and not flow and not column:
        inner = column + 2
        return "".join(
            f"\n{' ' * inner}{key}: {spell_value(item, inner, None, flow=isinstance(item, dict))}"
            for key, item in value.items()
        )
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{key}: {spell_value(item, 0, None, flow=True)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(spell_value(item, 0, None, flow=True) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    return _spell_text(value, column, style, flow=flow)


def spell_item(item: dict[str, Any], dash: int | None, column: int, braces: bool) -> str:  # noqa: FBT001
    """Write an item of a list; ``dash`` None stands for a list in brackets."""
    if braces:
        words = spell_value(item, 0, None, flow=True)
        return words if dash is None else f"{' ' * dash}- {words}"
    assert dash is not None
    lines = [
        f"{key}: {spell_value(value, column, None, flow=isinstance(value, dict))}"
        for key, value in item.items()
    ]
    first = f"{' ' * dash}-{' ' * (column - dash - 1)}{lines[0]}"
    return "\n".join([first, *(f"{' ' * column}{line}" for line in lines[1:])])


def _spell_text(text: str, column: int, style: str | None, *, flow: bool) -> str:
    if "\n" in text and not flow:
        lines = "\n".join(f"{' ' * (column + 2)}{line}".rstrip() for line in text.split("\n"))
        block = f"|-\n{lines}"
        if _reads_as(f"{' ' * column}key: {block}\n", text):
            return block
    if style == "'" and "\n" not in text:
        return "'" + text.replace("'", "''") + "'"
    plain = f"{{key: {text}}}" if flow else f"key: {text}"
    if style != '"' and "\n" not in text and _reads_as(plain, text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _reads_as(document: str, text: str) -> bool:
    try:
        return bool(yaml.safe_load(document) == {"key": text})
    except (yaml.YAMLError, ValueError):
        # ValueError: what looks like a date that no calendar has.
        return False
