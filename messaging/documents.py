"""The documents that owners edit: Liquid under a short YAML head, and what one says once it is filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml
from liquid import CachingDictLoader, Environment, StrictUndefined
from liquid.exceptions import LiquidError

from errors import BadInput
from messaging.wording import single_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from liquid import BoundTemplate

HEAD = re.compile(r"\A---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*\r?\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
KEYS = ("subject", "preview", "heading", "details", "button")
REQUIRED = ("subject", "heading")
# Stands behind each blank line of a source: paragraphs are parted where the author parted them, and not
# where a condition leaves a line empty. No fact can hold it, and Liquid's {%- -%} takes it for space.
PARAGRAPH = "\x1e"
# A range is made whole before any limit is looked at, and a mail has nothing to count.
RANGE = re.compile(r"\{[{%][^{}]*\([^(){}]*\.\.[^(){}]*\)")


class Limited(Environment):
    """Liquid that a slip of the pen, or of ill will, cannot make run or grow without end."""

    loop_iteration_limit = 1_000
    local_namespace_limit = 100_000
    output_stream_limit = 100_000


@dataclass(frozen=True)
class Filled:
    """A document with its facts filled in, as plain text: both forms of the mail are made from it."""

    subject: str
    preview: str
    heading: str
    paragraphs: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    button_text: str
    button_link: str


class Document:
    """One parsed template.

    Paragraphs are parted by the blank lines of the source; one that comes out empty is left out, like a
    detail or a button.
    """

    def __init__(self, path: Path, environment: Limited) -> None:
        """Read and parse a file; raises BadInput naming the file and what is wrong with it."""
        self._path = path
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        found = HEAD.match(text)
        if found is None:
            raise BadInput(f"{path}: starts with a head between two lines of --- that gives its subject")
        if RANGE.search(text):
            raise BadInput(f"{path}: ranges such as (1..3) cannot be used in mails")
        head = _read_head(path, found["head"])
        # Blank lines stand for the head, so that errors name the line of the file.
        above = "\n" * text[: found.start("body")].count("\n")
        self._body = _parse(path, environment, above + _parted(found["body"]))
        self._parts = {
            key: _parse(path, environment, str(head.get(key) or "")) for key in KEYS[: KEYS.index("details")]
        }
        self._details = [
            (str(label), _parse(path, environment, str(value or "")))
            for label, value in head["details"].items()
        ]
        self._button = {
            key: _parse(path, environment, str(head["button"].get(key) or "")) for key in ("text", "link")
        }

    def fill(self, facts: Mapping[str, object]) -> Filled:
        """Fill in the facts; raises BadInput where the template names one that does not exist."""
        try:
            parts = {key: single_line(part.render(**facts)) for key, part in self._parts.items()}
            details = [(label, single_line(value.render(**facts))) for label, value in self._details]
            button = {key: single_line(part.render(**facts)) for key, part in self._button.items()}
            body = self._body.render(**facts)
        except LiquidError as error:
            raise BadInput(f"{self._path}: {_place(error)}") from None
        link = button["link"]
        if button["text"] and not re.fullmatch(r"https?://[^\s\"'<>]+", link):
            raise BadInput(f"{self._path}: the button leads to {link!r}, which is no http address")
        paragraphs = [single_line(block) for block in body.split(PARAGRAPH)]
        return Filled(
            subject=parts["subject"],
            preview=parts["preview"],
            heading=parts["heading"],
            paragraphs=tuple(block for block in paragraphs if block),
            details=tuple((label, value) for label, value in details if value),
            button_text=button["text"],
            button_link=link if button["text"] else "",
        )


def environment_for(folder: Path) -> Limited:
    """Make the Liquid of one language: ``{% include 'what_next' %}`` puts in ``_what_next.liquid``."""
    snippets = {
        path.stem.removeprefix("_"): _parted(path.read_text(encoding="utf-8").strip())
        for path in sorted(folder.glob("_*.liquid"))
    }
    return Limited(undefined=StrictUndefined, loader=CachingDictLoader(snippets), autoescape=False)


def _parted(source: str) -> str:
    return re.sub(r"\n[ \t\r]*(?=\n)", rf"\g<0>{PARAGRAPH}", source)


def _parse(path: Path, environment: Limited, source: str) -> BoundTemplate:
    try:
        return environment.from_string(source, path=path)
    except LiquidError as error:
        raise BadInput(f"{path}: {_place(error)}") from None


def _place(error: LiquidError) -> str:
    context = error.context()
    return f"line {context[0]}: {error.message}" if context else str(error.message)


def _read_head(path: Path, text: str) -> dict[str, Any]:
    try:
        head = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 2}: " if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise BadInput(
            f"{path}: {line}{problem} (put a text that holds a colon or braces in quotes)"
        ) from None
    if not isinstance(head, dict):
        raise BadInput(f"{path}: the head gives {', '.join(KEYS)}, each on a line of its own")
    for key in head:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, 1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)}"
            raise BadInput(f"{path}: the head has an unknown key {key!r}: {meant}")
    for key in REQUIRED:
        if not head.get(key):
            raise BadInput(f"{path}: the head gives no {key}")
    for key in ("details", "button"):
        head[key] = head.get(key) or {}
        if not isinstance(head[key], dict):
            raise BadInput(f"{path}: {key} in the head holds lines of 'name: value'")
    return head
