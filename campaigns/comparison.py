"""How a draft and the published version compare over the same failures: sums, rows of a table, examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from campaigns.document import AccessLevel, FinalAction
from campaigns.story import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

# Shown wherever a comparison is: on the page, on the command line, in JSON.
UNKNOWN = (
    "Nobody can know whether another timing would have been paid: every scheduled charge counts as declined.",
    "What ended a case from outside (a new card, a payment by other means) ends it at the same time with both.",
    "What a person did to a case (paused it, moved or skipped a step) is left out.",
    "Nobody opens a mail, uses a link, or answers when a person is asked for an approval.",
)


class Tally(Value):
    """What a campaign does to many failures, added up: ``arms`` by cases, ``mails`` by template.

    ``blocked`` counts charges that go beyond a card network's limit, ``settled`` cases that something from
    outside ended first. ``days`` are all days until the end together.
    """

    taken: int = 0
    small: int = 0
    left_alone: int = 0
    arms: dict[str, int] = Field(default_factory=dict)
    charges: int = 0
    blocked: int = 0
    mails: dict[str, int] = Field(default_factory=dict)
    alerts: int = 0
    access_days: dict[AccessLevel, float] = Field(default_factory=dict)
    settled: int = 0
    final_actions: dict[FinalAction, int] = Field(default_factory=dict)
    days: float = 0.0

    @property
    def days_until_end(self) -> float:
        """How many days a case lasts on average."""
        return self.days / self.taken if self.taken else 0.0

    def rows(self) -> Iterator[tuple[str, float]]:
        """Give every figure with its name, in the order in which a person reads them."""
        yield "failures taken", self.taken
        yield "left alone", self.left_alone
        yield "below the minimum", self.small
        for arm, count in self.arms.items():
            yield f"in arm {arm}", count
        yield "charges", self.charges
        yield "charges beyond a card network's limit", self.blocked
        yield "mails", sum(self.mails.values())
        for template, count in self.mails.items():
            yield f"mail {template}", count
        yield "alerts to the team", self.alerts
        for level in AccessLevel:
            yield f"days with {level} access", self.access_days.get(level, 0.0)
        yield "ended from outside", self.settled
        for action, count in self.final_actions.items():
            yield f"final action: {action.replace('_', ' ')}", count
        yield "days until the end, on average", self.days_until_end


class Figure(Value):
    """One row of a comparison; ``published`` is None where there is no published version."""

    what: str
    published: float | None
    draft: float

    @property
    def difference(self) -> float | None:
        """How much more it is with the draft."""
        return None if self.published is None else self.draft - self.published


class Example(Value):
    """A failure for which much changes, by its id, and what."""

    id: str
    changes: tuple[str, ...]


class Comparison(Value):
    """What a draft and the published version do to the same failures; ``published`` None where there is none.

    ``changed`` counts the failures for which anything differs. ``unknown_declines`` are codes that the table of
    declines does not have, by how often they occur: they count as soft. ``unknown`` says what nobody can know.
    """

    failures: int
    draft: Tally
    published: Tally | None = None
    changed: int = 0
    examples: tuple[Example, ...] = ()
    unknown_declines: dict[str, int] = Field(default_factory=dict)
    unknown: tuple[str, ...] = UNKNOWN

    def figures(self) -> tuple[Figure, ...]:
        """Give the rows of a table, without those that are 0 with both."""
        new, old = dict(self.draft.rows()), dict(self.published.rows()) if self.published else {}
        rows = (
            Figure(
                what=name, published=old.get(name, 0.0) if self.published else None, draft=new.get(name, 0.0)
            )
            for name in _in_order([*new], [*old])
        )
        return tuple(row for row in rows if row.draft or row.published)


def _in_order(first: list[str], second: list[str]) -> list[str]:
    """Put into one list what either has, each name that only the second has behind the one before it there."""
    names = list(first)
    for place, name in enumerate(second):
        if name not in names:
            names.insert(names.index(second[place - 1]) + 1 if place else 0, name)
    return names
