"""Putting one person's changes to a document together with another's, line by line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class _Hunk:
    """Lines from ``start`` up to ``end`` of the document that both began from, and what they became."""

    start: int
    end: int
    lines: tuple[str, ...]

    def touches(self, other: _Hunk) -> bool:
        """Whether both are about the same lines, or put something in at the same place."""
        if self.start == self.end == other.start == other.end:
            return True
        return self.start < other.end and other.start < self.end


def merge(base: str, mine: str, theirs: str) -> str | None:
    """Give ``base`` with the changes of both, or None where both changed the same lines differently."""
    lines = base.splitlines(keepends=True)
    ours, others = _hunks(lines, mine), _hunks(lines, theirs)
    if any(one.touches(other) and one != other for one in ours for other in others):
        return None
    merged, place = [], 0
    for hunk in sorted({*ours, *others}, key=lambda hunk: (hunk.start, hunk.end)):
        merged += [*lines[place : hunk.start], *hunk.lines]
        place = hunk.end
    return "".join([*merged, *lines[place:]])


def _hunks(lines: list[str], text: str) -> list[_Hunk]:
    changed = text.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, lines, changed, autojunk=False)
    return [
        _Hunk(start, end, tuple(changed[begin:finish]))
        for kind, start, end, begin, finish in matcher.get_opcodes()
        if kind != "equal"
    ]
