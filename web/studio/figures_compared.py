"""What a what-if run found, as a page shows it: a table, and what differs in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from campaigns.comparison import Comparison, Figure

# Below this two averages are written alike.
ALIKE = 0.05
MANY = 100
MINUS = "\N{MINUS SIGN}"
# By how a figure's name begins: how a difference is said. ``rest`` is what follows in the name.
PHRASES = {
    "failures taken": "{number} failures {more} taken",
    "left alone": "{number} failures {more} left alone",
    "below the minimum": "{number} failures {more} below the minimum",
    "in arm ": "{number} failures {more} in arm {rest}",
    "charges beyond a card network's limit": "{number} charges {more} beyond a card network's limit",
    "mail ": "{number} mails {more} of the kind “{rest}”",
    "days with ": "{number} days {more} with {rest}",
    "ended from outside": "{number} cases {more} ended from outside",
    "final action: ": "{number} cases {more} that come to the final action “{rest}”",
    "days until the end": "{number} days {more} until the end, on average",
}
OTHERWISE = "{number} {rest} {more}"


@dataclass(frozen=True)
class Row:
    """One figure with both and with the difference, as they are written; ``word`` says it without the sign."""

    what: str
    published: str
    draft: str
    difference: str
    word: str


@dataclass(frozen=True)
class Compared:
    """A whole comparison; ``said`` are the differences in words."""

    rows: tuple[Row, ...]
    said: tuple[str, ...]


def compared(found: Comparison) -> Compared:
    """Write a comparison down."""
    rows = tuple(_row(figure) for figure in found.figures())
    return Compared(rows, tuple(row.word for row in rows if row.word))


def _row(figure: Figure) -> Row:
    difference = figure.difference
    if difference is None or abs(difference) < ALIKE:
        shown, word = ("" if difference is None else "the same"), ""
    else:
        number = _number(abs(difference))
        shown = f"{'+' if difference > 0 else MINUS}{number}"
        word = _in_words(figure.what, number, "more" if difference > 0 else "fewer")
    published = "" if figure.published is None else _number(figure.published)
    return Row(figure.what, published, _number(figure.draft), shown, word)


def _in_words(what: str, number: str, more: str) -> str:
    """Say a difference as people do: ``120 charges fewer``."""
    head, phrase = next(
        ((head, phrase) for head, phrase in PHRASES.items() if what.startswith(head)), ("", OTHERWISE)
    )
    return phrase.format(number=number, more=more, rest=what.removeprefix(head).replace("_", " "))


def _number(value: float) -> str:
    """Write a figure; a part of a day tells nothing beside hundreds of them."""
    return f"{value:,.0f}" if value == round(value) or value >= MANY else f"{value:,.1f}"
