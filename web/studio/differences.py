"""How two texts of a campaign differ, as pages show it: in words first, then line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.differences import Change, differences, line_diff
from campaigns.reading import read_campaign
from errors import BadCampaign

if TYPE_CHECKING:
    from campaigns.differences import Difference, Line


@dataclass(frozen=True)
class Told:
    """One difference in words."""

    difference: Difference

    @property
    def word(self) -> str:
        """Say what became of it."""
        return {Change.ADDED: "new", Change.REMOVED: "gone", Change.CHANGED: "changed"}[
            self.difference.change
        ]

    @property
    def kind(self) -> str:
        """Name the kind of its badge."""
        return {Change.ADDED: "success", Change.REMOVED: "error", Change.CHANGED: "info"}[
            self.difference.change
        ]


@dataclass(frozen=True)
class Shown:
    """One line of the two texts; ``said`` is its sign for whoever hears the page."""

    line: Line

    @property
    def kind(self) -> str:
        """Name the kind of line, by which it gets its sign."""
        return {"+": "added", "-": "removed", "…": "place"}.get(self.line.mark, "same")

    @property
    def said(self) -> str:
        """Say the line's sign."""
        return {"+": "added: ", "-": "removed: "}.get(self.line.mark, "")

    @property
    def text(self) -> str:
        """Give the line, or a sign for those that are left out."""
        return "…" if self.line.mark == "…" else self.line.text


@dataclass(frozen=True)
class Differences:
    """What is another in a newer text; ``words`` is None where one of the two cannot be read as a campaign."""

    words: tuple[Told, ...] | None
    lines: tuple[Shown, ...]


def differences_of(old: str, new: str) -> Differences:
    """Compare two texts of a campaign."""
    return Differences(_in_words(old, new), tuple(map(Shown, line_diff(old, new))))


def _in_words(old: str, new: str) -> tuple[Told, ...] | None:
    try:
        before, after = read_campaign(old, file="old"), read_campaign(new, file="new")
    except BadCampaign:
        return None
    return tuple(map(Told, differences(before, after)))
