"""What moving running cases to another version would do to them, before anybody moves one: pure.

The planner itself is asked, on both versions; nothing is copied from it. Only what the world answers is made
up: every charge is declined alike, and the customer does nothing (see ``simulation``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from campaigns.arms import for_case
from campaigns.due import overtaken
from campaigns.durations import spell_moment
from campaigns.moving import carried_over, spread_out, why_not_moved
from campaigns.planner import plan
from campaigns.schedule import NOTICE
from campaigns.simulation import simulate
from campaigns.story import Action

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.document import Campaign
    from campaigns.moving import Moving
    from campaigns.story import Plan, Story


class Change(StrEnum):
    """One way in which a move changes a case; the first five tell of its next step, and exclude each other."""

    NEXT_SAME = "next step the same"
    NEXT_EARLIER = "next step earlier"
    NEXT_LATER = "next step later"
    NEXT_GONE = "next step gone"
    AT_ONCE = "next step comes at once"
    MORE_MAILS = "more mails"
    FEWER_MAILS = "fewer mails"
    MORE_CHARGES = "more charges"
    FEWER_CHARGES = "fewer charges"
    ENDS_EARLIER = "ends earlier"
    ENDS_LATER = "ends later"
    ENDS_AT_ONCE = "ends at once"
    ENDS_AFTER_NOTICE = "ends after a last notice"
    ANOTHER_ARM = "another arm"
    REFUSED = "refused"


NEXT_STEP = (
    Change.NEXT_SAME,
    Change.NEXT_EARLIER,
    Change.NEXT_LATER,
    Change.NEXT_GONE,
    Change.AT_ONCE,
)


@dataclass(frozen=True)
class Course:
    """What is to come in a case: the planner's answers one after the other, and the arm it is in."""

    next_step: Plan
    actions: tuple[Plan, ...]
    arm: str

    def count(self, kind: Action) -> int:
        """Count the actions of a kind that are to come."""
        return sum(action.action is kind for action in self.actions)

    @property
    def ends_at(self) -> datetime | None:
        """When the final action is to come; None where something else ends the case."""
        return next((action.at for action in self.actions if action.action is Action.END), None)


@dataclass(frozen=True)
class Effect:
    """What a move would do to one case; ``after`` is None where it would be refused, and ``refused`` says why."""

    case_id: str
    from_version: int
    before: Course
    after: Course | None
    changes: frozenset[Change]
    refused: str | None = None

    @property
    def mails(self) -> int:
        """How many mails more the customer would get; below 0, how many fewer."""
        return self._more(Action.MESSAGE)

    @property
    def charges(self) -> int:
        """How many charges more would be made at most; below 0, how many fewer."""
        return self._more(Action.CHARGE)

    @property
    def is_none(self) -> bool:
        """Whether nothing would change but the version's number."""
        if self.after is None or self.changes != {Change.NEXT_SAME}:
            return False
        return [*map(_essence, self.before.actions)] == [*map(_essence, self.after.actions)]

    def _more(self, kind: Action) -> int:
        return self.after.count(kind) - self.before.count(kind) if self.after else 0


@dataclass(frozen=True)
class EffectSummary:
    """The effects on many cases: how many there are, how many of each change, and a few examples of each.

    ``unchanged`` are those for which nothing but the version's number would change. ``mails`` and
    ``charges`` are the differences of them all together.
    """

    total: int = 0
    unchanged: int = 0
    mails: int = 0
    charges: int = 0
    counts: Mapping[Change, int] = field(default_factory=dict)
    examples: Mapping[Change, tuple[Effect, ...]] = field(default_factory=dict)

    @property
    def moving(self) -> int:
        """How many would move."""
        return self.total - self.counts.get(Change.REFUSED, 0)


class Tally:
    """Gathers effects one at a time, and keeps no more than a few examples of each change."""

    def __init__(self, examples: int = 5) -> None:
        self._limit = examples
        self._total = self._unchanged = self._mails = self._charges = 0
        self._counts: Counter[Change] = Counter()
        self._examples: dict[Change, list[Effect]] = {}

    def add(self, effect: Effect) -> bool:
        """Count one case's effect; True where it is kept as an example."""
        is_kept = False
        self._total += 1
        self._unchanged += effect.is_none
        self._mails += effect.mails
        self._charges += effect.charges
        for change in effect.changes:
            self._counts[change] += 1
            kept = self._examples.setdefault(change, [])
            if len(kept) < self._limit:
                kept.append(effect)
                is_kept = True
        return is_kept

    def summary(self) -> EffectSummary:
        """Give what was gathered so far, the changes in the order in which they are listed above."""
        return EffectSummary(
            total=self._total,
            unchanged=self._unchanged,
            mails=self._mails,
            charges=self._charges,
            counts={change: self._counts[change] for change in Change if self._counts[change]},
            examples={change: tuple(self._examples[change]) for change in Change if change in self._examples},
        )


def effect_of(
    story: Story, document: Campaign, target: Moving, attributes: Mapping[str, object], now: datetime
) -> Effect:
    """Say what moving one case would do to it.

    ``document`` is the version that the case runs on, ``target`` the one to move to, which may be a draft.
    ``attributes`` are the customer's. Where a version asks whether mails were opened, the story has to know.
    """
    old = for_case(document, story, attributes)
    gone = overtaken(old, story, now)
    if gone:
        story = story.model_copy(update={"passed": (*story.passed, *gone)})
    before = _course(old, story, now)
    if story.ending or story.closed:
        why = f"the case has ended: {story.ending.outcome}" if story.ending else "the case has ended"
        return Effect(story.case_id, story.version, before, None, frozenset({Change.REFUSED}), why)
    if refused := why_not_moved(story, target.campaign):
        return Effect(story.case_id, story.version, before, None, frozenset({Change.REFUSED}), refused)
    after, new = carried_over(story, old, target, attributes, now)
    at_once = plan(new, after, now)
    course = _course(new, spread_out(story, old, after, new, target, now), now)
    changes = {_of_next_step(before, course, at_once, now), *_of_all(before, course)}
    if at_once.id == NOTICE:
        changes.add(Change.ENDS_AFTER_NOTICE)
    elif at_once.action is Action.END and at_once.at is not None and at_once.at <= now:
        changes.add(Change.ENDS_AT_ONCE)
    return Effect(story.case_id, story.version, before, course, frozenset(changes))


def _course(campaign: Campaign, story: Story, now: datetime) -> Course:
    """Look at a case from here on; what waits for a person is looked at as if it were let go on now."""
    upcoming = plan(campaign, story, now)
    if upcoming.at is None:
        story = story.model_copy(update={"paused": None, "review": None})
    found = tuple(item.plan for item in simulate(campaign, story, now) if item.plan)
    return Course(upcoming, found, story.arm)


def _of_next_step(before: Course, after: Course, unspread: Plan, now: datetime) -> Change:
    """Compare when the next step comes; a step that the other version does not have any more is gone."""
    was, comes = before.next_step, after.next_step
    if (was.id, was.at) == (comes.id, comes.at):
        return Change.NEXT_SAME
    if _is_at_once(unspread, now) and not _is_at_once(was, now):
        return Change.AT_ONCE
    if was.action is not Action.WAIT and was.id not in {action.id for action in after.actions}:
        return Change.NEXT_GONE
    if was.at is None or comes.at is None:
        return Change.NEXT_SAME if was.at == comes.at else Change.NEXT_LATER
    if comes.at == was.at:
        return Change.NEXT_SAME
    return Change.NEXT_EARLIER if comes.at < was.at else Change.NEXT_LATER


def _is_at_once(step: Plan, now: datetime) -> bool:
    return step.at is not None and step.at <= now


def _of_all(before: Course, after: Course) -> set[Change]:
    """Compare what is to come until the end."""
    changes = set()
    for kind, more, fewer in (
        (Action.MESSAGE, Change.MORE_MAILS, Change.FEWER_MAILS),
        (Action.CHARGE, Change.MORE_CHARGES, Change.FEWER_CHARGES),
    ):
        difference = after.count(kind) - before.count(kind)
        if difference:
            changes.add(more if difference > 0 else fewer)
    if before.ends_at and after.ends_at and before.ends_at != after.ends_at:
        changes.add(Change.ENDS_EARLIER if after.ends_at < before.ends_at else Change.ENDS_LATER)
    if before.arm != after.arm:
        changes.add(Change.ANOTHER_ARM)
    return changes


def spell_effect(effect: Effect) -> str:
    """Say in plain words what a move would do to a case."""
    if effect.after is None:
        return f"would be refused: {effect.refused}"
    before, after = effect.before, effect.after
    said = []
    if (before.next_step.id, before.next_step.at) != (after.next_step.id, after.next_step.at):
        said.append(f"next {_spell_step(after.next_step)} instead of {_spell_step(before.next_step)}")
    for number, what in ((effect.mails, "mail"), (effect.charges, "charge")):
        if number:
            plural = "" if abs(number) == 1 else "s"
            said.append(f"{abs(number)} {what}{plural} {'more' if number > 0 else 'fewer'}")
    if Change.ENDS_AT_ONCE in effect.changes:
        said.append("it ends at once")
    elif before.ends_at != after.ends_at and before.ends_at and after.ends_at:
        said.append(f"it ends on {spell_moment(after.ends_at)} instead of {spell_moment(before.ends_at)}")
    if before.arm != after.arm:
        said.append(f"arm {after.arm or 'none'} instead of {before.arm or 'none'}")
    if not said:
        return "nothing changes" if effect.is_none else "the next step is the same, later ones are not"
    return "; ".join(said)


def _essence(action: Plan) -> tuple[object, ...]:
    """Give what the world sees of an action: the reason for its time is in other words for another version."""
    return (action.id, action.at, action.template, action.access, action.note, action.final_action)


def _spell_step(step: Plan) -> str:
    named = step.id if step.step is None else step.step
    kind = str(step.action)
    when = f" on {spell_moment(step.at)}" if step.at else ""
    return f"{kind} ({named}){when}"
