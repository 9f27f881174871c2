"""The documents that owners edit: Liquid under a short YAML head, and what one says once it is filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from liquid import CachingDictLoader, Environment, StrictUndefined
from liquid.exceptions import LiquidError, LiquidSyntaxError

from errors import BadInput
from messaging.wording import single_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from liquid import BoundTemplate

HEAD = re.compile(r"\A---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*\r?\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
KEYS = ("subject", "preview", "heading", "details", "button")
REQUIRED = ("subject", "heading")
FRAME_KEYS = ("fallback", "footer")
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


class Snippets(Limited):
    """The Liquid of one language; ``texts`` are what ``include`` may put in, by name."""

    def __init__(self, language: str, texts: dict[str, str]) -> None:
        """Take the snippets of a language."""
        super().__init__(undefined=StrictUndefined, loader=CachingDictLoader(texts), autoescape=False)
        self.language = language
        self.texts = texts

    def file_of(self, name: str) -> str:
        """Name the file of a snippet as errors do."""
        return f"{self.language}/_{name}.liquid"


@dataclass(frozen=True)
class Piece:
    """One text of a document, parsed; ``source`` has the lines of its file."""

    source: str
    template: BoundTemplate

    def render(self, facts: Mapping[str, object]) -> str:
        """Fill in the facts; raises LiquidError."""
        return self.template.render(**facts)


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
    """One parsed template; ``name`` is its language and file, such as ``en/payment_failed.liquid``.

    Paragraphs are parted by the blank lines of the source; one that comes out empty is left out, like a
    detail or a button.
    """

    def __init__(self, path: Path, snippets: Snippets) -> None:
        """Read and parse a file; raises BadInput with a line for each thing that is wrong with it."""
        self.name = f"{path.parent.name}/{path.name}"
        self.snippets = snippets
        text = _read(path, self.name)
        found = HEAD.match(text)
        if found is None:
            raise BadInput(f"{self.name}: starts with a head between two lines of --- that gives its subject")
        head = _head(self.name, found["head"])
        parse = _Parser(self.name, snippets)
        self._parts = {
            key: parse(head.values.get(key), head.line(key)) for key in KEYS[: KEYS.index("details")]
        }
        self._body = parse(_parted(found["body"]), text[: found.start("body")].count("\n") + 1)
        self._details = [
            (str(label), parse(value, head.line("details", str(label))))
            for label, value in head.values["details"].items()
        ]
        self._button = {
            key: parse(head.values["button"].get(key), head.line("button", key)) for key in ("text", "link")
        }
        if parse.faults:
            raise BadInput("\n".join(parse.faults))

    @property
    def pieces(self) -> Sequence[Piece]:
        """Every text of the document, in the order of a mail."""
        details = [value for _, value in self._details]
        return (*self._parts.values(), self._body, *details, *self._button.values())

    def fill(self, facts: Mapping[str, object]) -> Filled:
        """Fill in the facts; raises BadInput where the template names one that does not exist."""
        try:
            parts = {key: single_line(part.render(facts)) for key, part in self._parts.items()}
            details = [(label, single_line(value.render(facts))) for label, value in self._details]
            button = {key: single_line(part.render(facts)) for key, part in self._button.items()}
            body = self._body.render(facts)
        except LiquidError as error:
            raise BadInput(placed(error, self.name, self.snippets)) from None
        link = button["link"]
        if button["text"] and not re.fullmatch(r"https?://[^\s\"'<>]+", link):
            raise BadInput(f"{self.name}: the button leads to {link!r}, which is no http address")
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


class Frame:
    """What the layout says around every message of a language; ``name`` is its language and file."""

    def __init__(self, path: Path, snippets: Snippets) -> None:
        """Read and parse a file; raises BadInput with a line for each thing that is wrong with it."""
        self.name = f"{path.parent.name}/{path.name}"
        self.snippets = snippets
        texts = _Values(self.name, _read(path, self.name))
        if not all(texts.values.get(key) for key in FRAME_KEYS):
            raise BadInput(f"{self.name}: gives the texts {' and '.join(FRAME_KEYS)}")
        parse = _Parser(self.name, snippets)
        self._texts = {key: parse(texts.values[key], texts.line(key)) for key in FRAME_KEYS}
        if parse.faults:
            raise BadInput("\n".join(parse.faults))

    @property
    def pieces(self) -> Sequence[Piece]:
        """Every text of the frame."""
        return tuple(self._texts.values())

    def fill(self, facts: Mapping[str, object]) -> dict[str, str]:
        """Fill in the facts; raises BadInput where the frame names one that does not exist."""
        try:
            return {key: single_line(text.render(facts)) for key, text in self._texts.items()}
        except LiquidError as error:
            raise BadInput(placed(error, self.name, self.snippets)) from None


def snippets_of(folder: Path) -> Snippets:
    """Read the snippets of one language: ``{% include 'what_next' %}`` puts in ``_what_next.liquid``."""
    texts = {}
    for path in sorted(folder.glob("_*.liquid")):
        text = _read(path, f"{folder.name}/{path.name}")
        # Blank lines at the top are no part of a sentence, but an error counts them.
        above = "\n" * text[: len(text) - len(text.lstrip())].count("\n")
        kept = f"{{% comment %}}{above}{{% endcomment %}}" if above else ""
        texts[path.stem.removeprefix("_")] = kept + _parted(text.strip())
    return Snippets(folder.name, texts)


def placed(error: LiquidError, name: str, snippets: Snippets, source: str = "") -> str:
    """Word an error with its file and line, which are a snippet's where the error lies in one.

    ``source`` is the text of the file called ``name``; without it, an error at the very end of a text
    gets no line.
    """
    written = error.token.source if error.token else None
    within = next((key for key, text in snippets.texts.items() if text == written), None)
    if within is None and str(error.template_name) in snippets.texts:
        within = str(error.template_name)
    file = snippets.file_of(within) if within else name
    line = _line(error, snippets.texts[within] if within else source, snippets)
    return f"{file}: line {line}: {error.message}" if line else f"{file}: {error.message}"


def line_at(source: str, index: int) -> int:
    """Give the line of a place in a source, as editors count them."""
    return source.count("\n", 0, index) + 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest what was meant: the nearest name that there is, or else all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


class _Parser:
    """Parses the texts of one file, and gathers what is wrong with them."""

    def __init__(self, name: str, snippets: Snippets) -> None:
        self._name = name
        self._snippets = snippets
        self.faults: list[str] = []

    def __call__(self, text: object, line: int) -> Piece:
        # Blank lines stand for what is above, so that errors name the line of the file.
        source = "\n" * (line - 1) + str(text or "")
        try:
            return Piece(source, self._snippets.from_string(source, path=Path(self._name)))
        except LiquidError as error:
            self.faults.append(placed(error, self._name, self._snippets, source))
            return Piece("", self._snippets.from_string(""))


class _Values:
    """A mapping in YAML, and the line of the file on which each of its values starts."""

    def __init__(self, name: str, text: str, above: int = 0) -> None:
        """Read a text that stands below so many lines of its file."""
        try:
            values = yaml.safe_load(text)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f"line {mark.line + above + 1}: " if mark else ""
            problem = getattr(error, "problem", None) or "not YAML"
            raise BadInput(
                f"{name}: {line}{problem} (put a text that holds a colon or braces in quotes)"
            ) from None
        self.values = values if isinstance(values, dict) else {}
        self._lines = {path: line + above + 1 for path, line in _lines(node)}

    def line(self, *path: str) -> int:
        """Give the line of the value under these keys, or of what holds it."""
        return self._lines.get(path) or self._lines.get(path[:1]) or 1


def _lines(node: yaml.Node | None, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*above, str(key.value))
            yield path, value.start_mark.line
            yield from _lines(value, path)


def _head(name: str, text: str) -> _Values:
    head = _Values(name, text, above=1)
    values = head.values
    if not values:
        raise BadInput(f"{name}: the head gives {', '.join(KEYS)}, each on a line of its own")
    faults = [
        f"{name}: line {head.line(str(key))}: the head has an unknown key {key!r}: {did_you_mean(str(key), KEYS)}"
        for key in values
        if key not in KEYS
    ]
    faults += [f"{name}: the head gives no {key}" for key in REQUIRED if not values.get(key)]
    for key in ("details", "button"):
        values[key] = values.get(key) or {}
        if not isinstance(values[key], dict):
            faults.append(f"{name}: {key} in the head holds lines of 'name: value'")
    if faults:
        raise BadInput("\n".join(faults))
    return head


def _read(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadInput(f"{name}: is not written in UTF-8") from None
    found = RANGE.search(text)
    if found:
        line = line_at(text, found.start())
        raise BadInput(f"{name}: line {line}: ranges such as (1..3) cannot be used in mails")
    return text


def _parted(source: str) -> str:
    return re.sub(r"\n[ \t\r]*(?=\n)", rf"\g<0>{PARAGRAPH}", source)


def _line(error: LiquidError, source: str, snippets: Snippets) -> int | None:
    """Find the line of an error; the parser gives no place for one that it met at the end of a text."""
    token = error.token
    if token is not None and token.start_index >= 0:
        return line_at(token.source, token.start_index)
    if not source or not isinstance(error, LiquidSyntaxError):
        return None
    # A block that nobody closes spoils everything from its start on, and any other error from its own line.
    unclosed = "expected tag" in str(error.message)
    lines = source.split("\n")
    for count in range(len(lines) - 1, 0, -1):
        try:
            snippets.from_string("\n".join(lines[:count]))
        except LiquidError as earlier:
            if unclosed or earlier.message == error.message:
                continue
        return count + 1
    return 1
