"""Changes to a YAML document's text that leave every other character where its author put it.

The text is never written anew from what was read: a round trip, even a careful one, would change an
author's indentation, alignment and line breaks. Each change finds its place by the marks of PyYAML,
the same reader that campaigns are read with, and is accepted only if the new text then reads as
exactly what was meant.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from campaigns.yaml_words import spell_item, spell_value
from errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Path = tuple[str | int, ...]
ALIAS = re.compile(r"\*[^\s,\[\]{}]+")
# ValueError: what looks like a date that no calendar has. RecursionError: brackets in brackets without end.
UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
# No campaign comes near it; a few references to references would fill the memory otherwise.
MOST_VALUES = 100_000


@lru_cache(maxsize=32)
def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    """Parse a text once for all that is asked of it: as nodes with their places, and as data."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        return node, loader.construct_document(node) if node is not None else None
    except UNREADABLE as error:
        raise BadInput(f"this is not YAML: {getattr(error, 'problem', None) or error}") from None
    finally:
        loader.dispose()


def read(text: str) -> Any:
    """Read a document into plain data in which nothing is shared, whatever the text refers back to."""
    return _unshared(_parsed(text)[1], itertools.count())


def find(data: Any, path: Path) -> Any:
    """Give what stands at a place, or None where there is nothing."""
    for part in path:
        if isinstance(data, list) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return data


# --- changes ---------------------------------------------------------------------------------------


def set_key(text: str, path: Path, key: str, value: Any, order: Sequence[str] = ()) -> str:
    """Give a key of a mapping a value; a new key comes after those that stand before it in ``order``."""
    found = find(read(text), path)
    if isinstance(found, dict) and key in found and found[key] == value:
        return text
    mapping = _mapping(text, path)
    pair = next((pair for pair in mapping.value if pair[0].value == key), None)
    new = _replaced(text, mapping, pair, value) if pair else _added(text, mapping, key, value, order)

    def change(data: Any) -> None:
        find(data, path)[key] = value

    return _checked(text, new, (*path, key), change)


def rename_key(text: str, path: Path, key: str, to: str) -> str:
    """Give a key another name; its value and what stands beside it stay."""
    mapping = _mapping(text, path)
    mark = next(node for node, _ in mapping.value if node.value == key)
    new = text[: mark.start_mark.index] + to + text[mark.end_mark.index :]

    def change(data: Any) -> None:
        found = find(data, path)
        found[to] = found.pop(key)

    return _checked(text, new, (*path, key), change)


def remove_key(text: str, path: Path, key: str) -> str:
    """Take a key out of a mapping, and the mapping with it if nothing else is in it."""
    mapping = _mapping(text, path)
    keys = [pair[0].value for pair in mapping.value]
    if key not in keys:
        return text
    if len(keys) == 1 and path and isinstance(path[-1], str):
        return remove_key(text, path[:-1], path[-1])
    new = _without(text, mapping, keys.index(key))

    def change(data: Any) -> None:
        del find(data, path)[key]

    return _checked(text, new, (*path, key), change)


def insert_item(text: str, path: Path, place: int, item: dict[str, Any]) -> str:
    """Put a mapping into a list of mappings, in the manner of those that are there."""
    sequence = _sequence(text, path)
    pieces = _Pieces(text, sequence)
    pieces.insert(place, spell_item(item, *_manner(sequence)))

    def change(data: Any) -> None:
        find(data, path).insert(place, item)

    return _checked(text, pieces.joined(), path, change)


def remove_item(text: str, path: Path, place: int) -> str:
    """Take an item out of a list, with the comment that stands directly above it."""
    pieces = _Pieces(text, _sequence(text, path))
    pieces.remove(place)

    def change(data: Any) -> None:
        del find(data, path)[place]

    return _checked(text, pieces.joined(), path, change)


def reorder_items(text: str, path: Path, order: Sequence[int]) -> str:
    """Put a list's items, each with its comments, into another order: ``order`` names their places."""
    if list(order) == sorted(order):
        return text
    pieces = _Pieces(text, _sequence(text, path))
    pieces.blocks = [pieces.blocks[place] for place in order]

    def change(data: Any) -> None:
        items = find(data, path)
        items[:] = [items[place] for place in order]

    return _checked(text, pieces.joined(), path, change)


def _checked(text: str, new: str, place: Path, change: Callable[[Any], None]) -> str:
    """Give the new text if it reads as the old one with the change, and nothing else changed."""
    meant = read(text)
    change(meant)
    try:
        if read(new) == meant:
            return new
    except BadInput:
        pass
    where = ".".join(str(part) for part in place)
    raise BadInput(f"'{where}' is written in a way that can only be changed in the YAML itself")


def _unshared(value: Any, count: Iterator[int]) -> Any:
    if next(count) > MOST_VALUES:
        raise BadInput("this document refers to its own parts again and again: write them out")
    if isinstance(value, dict):
        return {key: _unshared(item, count) for key, item in value.items()}
    return [_unshared(item, count) for item in value] if isinstance(value, list) else value


# --- places ----------------------------------------------------------------------------------------


def _node(text: str, path: Path) -> yaml.Node | None:
    node = _parsed(text)[0]
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            node = None
    return node


def _mapping(text: str, path: Path) -> yaml.MappingNode:
    node = _node(text, path)
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"there is no '{'.'.join(str(part) for part in path)}' in this campaign")
    return node


def _sequence(text: str, path: Path) -> yaml.SequenceNode:
    node = _node(text, path)
    if not isinstance(node, yaml.SequenceNode):
        raise BadInput(f"there is no list '{'.'.join(str(part) for part in path)}' in this campaign")
    return node


def _span(text: str, node: yaml.Node, after: int) -> tuple[int, int]:
    """Say where a value stands; one from before ``after`` is only referred to here, by its anchor."""
    if node.start_mark.index < after:
        found = ALIAS.search(text, after)
        return (found.start(), found.end()) if found else (after, after)
    return node.start_mark.index, _end(text, node)


def _end(text: str, node: yaml.Node) -> int:
    """Say where a node's own text ends, without the blank lines and comments that follow it."""
    if isinstance(node, yaml.ScalarNode):
        end = node.end_mark.index
        return len(text[:end].rstrip()) if node.style in {"|", ">"} else end
    assert isinstance(node, yaml.CollectionNode)
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    if isinstance(node, yaml.MappingNode):
        key, value = node.value[-1]
        return _span(text, value, key.end_mark.index)[1]
    before = node.value[-2].end_mark.index if len(node.value) > 1 else node.start_mark.index
    return _span(text, node.value[-1], before)[1]


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end


# --- keys of a mapping -----------------------------------------------------------------------------


def _replaced(text: str, mapping: yaml.MappingNode, pair: tuple[Any, Any], value: Any) -> str:
    key, old = pair
    colon = text.index(":", key.end_mark.index)
    start, end = _span(text, old, key.end_mark.index)
    between = text[colon + 1 : start]
    style = old.style if isinstance(old, yaml.ScalarNode) else None
    new = spell_value(value, key.start_mark.column, style, flow=bool(mapping.flow_style))
    if between and not between.strip(" "):
        return text[: colon + 1] + between + new + text[end:]
    # The value began on a line of its own; a comment beside its key stays beside it.
    comment = between.partition("\n")[0].strip()
    return f"{text[: colon + 1]} {new}{'  ' + comment if comment else ''}{text[end:]}"


def _added(text: str, mapping: yaml.MappingNode, key: str, value: Any, order: Sequence[str]) -> str:
    flow = bool(mapping.flow_style)
    if not mapping.value:
        inside = mapping.start_mark.index + 1
        return f"{text[:inside]}{key}: {spell_value(value, 0, None, flow=True)}{text[inside:]}"
    earlier = order[: order.index(key)] if key in order else order
    before = [pair for pair in mapping.value if pair[0].value in earlier] or mapping.value[:1]
    last, last_value = before[-1]
    end = _span(text, last_value, last.end_mark.index)[1]
    column = mapping.value[0][0].start_mark.column
    new = spell_value(value, column, None, flow=flow)
    if flow:
        return f"{text[:end]}, {key}: {new}{text[end:]}"
    end = _line_end(text, end)
    # Parts of a document stand apart; the lines of a step do not.
    apart = "\n" if not column and "\n" in new else ""
    return f"{text[:end]}\n{apart}{' ' * column}{key}:{'' if new[0] == chr(10) else ' '}{new}{text[end:]}"


def _without(text: str, mapping: yaml.MappingNode, place: int) -> str:
    key, value = mapping.value[place]
    end = _span(text, value, key.end_mark.index)[1]
    if place == 0 and len(mapping.value) > 1:
        return text[: key.start_mark.index] + text[mapping.value[1][0].start_mark.index :]
    if mapping.flow_style:
        start = key.start_mark.index
        if place:
            before, before_value = mapping.value[place - 1]
            start = _span(text, before_value, before.end_mark.index)[1]
        return text[:start] + text[end:]
    end = _line_end(text, end)
    start = _line_start(text, key.start_mark.index)
    return text[:start] + text[end + 1 :]


# --- items of a list -------------------------------------------------------------------------------


class _Pieces:
    """A list taken apart: the text of each item with its comments, and what stands between them."""

    def __init__(self, text: str, sequence: yaml.SequenceNode) -> None:
        self._text = text
        spans: list[tuple[int, int]] = []
        for item in sequence.value:
            start, end = _span(text, item, spans[-1][1] if spans else sequence.start_mark.index)
            if not sequence.flow_style:
                column = sequence.start_mark.column
                start = self._with_comments_above(_line_start(text, start), column, spans)
                end = self._with_comments_below(_line_end(text, end), column)
            spans.append((start, end))
        inside = sequence.start_mark.index + 1
        self._start, self._end = (spans[0][0], spans[-1][1]) if spans else (inside, inside)
        self.blocks = [text[start:end] for start, end in spans]
        self.gaps = [text[one[1] : other[0]] for one, other in itertools.pairwise(spans)]
        apart = any(gap.count("\n") > 1 for gap in self.gaps)
        self._usual = (self.gaps or [", "])[0] if sequence.flow_style else "\n\n" if apart else "\n"

    def _with_comments_above(self, start: int, column: int, before: Sequence[tuple[int, int]]) -> int:
        """Take the comment that stands directly above an item, unless it is indented further."""
        first = before[-1][1] + 1 if before else 0
        while start > first:
            above = _line_start(self._text, start - 1)
            line = self._text[above:start]
            if not line.strip().startswith("#") or _indentation(line) > column:
                break
            start = above
        return start

    def _with_comments_below(self, end: int, column: int) -> int:
        """Take what stands below an item and is indented further: parts of it that are commented out."""
        while end < len(self._text):
            line = self._text[end + 1 : _line_end(self._text, end + 1)]
            if not line.strip().startswith("#") or _indentation(line) <= column:
                break
            end += 1 + len(line)
        return end

    def insert(self, place: int, block: str) -> None:
        """Put a piece in, as far from its neighbours as they are from each other."""
        self.blocks.insert(place, block)
        if len(self.blocks) > 1:
            self.gaps.insert(min(place, len(self.gaps)), self._usual)

    def remove(self, place: int) -> None:
        """Take a piece out, with the space beside it."""
        del self.blocks[place]
        if self.gaps:
            del self.gaps[min(place, len(self.gaps) - 1)]

    def joined(self) -> str:
        """Put the text together again."""
        gaps = [*self.gaps, ""]
        inside = "".join(block + gap for block, gap in zip(self.blocks, gaps, strict=False))
        return self._text[: self._start] + inside + self._text[self._end :]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _manner(sequence: yaml.SequenceNode) -> tuple[int | None, int, bool]:
    """Say how a list is written: the column of its dashes (None: in brackets), that of keys, and braces."""
    first = sequence.value[0] if sequence.value else None
    braces = bool(first is not None and first.flow_style)
    if sequence.flow_style:
        return None, 0, True
    dash = sequence.start_mark.column
    keys = first.start_mark.column if first is not None and not braces else dash + 2
    return dash, keys, braces
