"""Effects of an edit on running cases, in words: how many of each kind, and examples by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from campaigns.effects import Change
from campaigns.story import Action

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.effects import Effect, EffectSummary
    from campaigns.story import Plan
    from moves import Effects
    from web.desk import Desk


NEAR = timedelta(minutes=2)


class Words(NamedTuple):
    """How a change is told: the sign it has, and in words for one case and for many."""

    sign: str
    one: str
    many: str


WORDS = {
    Change.NEXT_SAME: Words("same", "keeps its next step", "keep their next step"),
    Change.NEXT_EARLIER: Words("earlier", "has its next step earlier", "have their next step earlier"),
    Change.NEXT_LATER: Words("later", "has its next step later", "have their next step later"),
    Change.NEXT_GONE: Words("gone", "loses its next step", "lose their next step"),
    Change.AT_ONCE: Words("earlier", "has its next step at once", "have their next step at once"),
    Change.MORE_MAILS: Words("extra", "gets more mails", "get more mails"),
    Change.FEWER_MAILS: Words("gone", "gets fewer mails", "get fewer mails"),
    Change.MORE_CHARGES: Words("extra", "is charged more often", "are charged more often"),
    Change.FEWER_CHARGES: Words("gone", "is charged less often", "are charged less often"),
    Change.ENDS_EARLIER: Words("earlier", "ends earlier", "end earlier"),
    Change.ENDS_LATER: Words("later", "ends later", "end later"),
    Change.ENDS_AT_ONCE: Words("ends", "ends at once", "end at once"),
    Change.ENDS_AFTER_NOTICE: Words("ends", "ends after a last notice", "end after a last notice"),
    Change.ANOTHER_ARM: Words("same", "goes into another arm", "go into another arm"),
    Change.REFUSED: Words(
        "gone", "would be refused, and stays as it is", "would be refused, and stay as they are"
    ),
}
ACTIONS = {
    Action.CHARGE: "charge",
    Action.MESSAGE: "mail",
    Action.ACCESS: "change of access",
    Action.ALERT: "word to the team",
    Action.END: "the end",
    Action.LOOK: "look at the invoice",
    Action.WAIT: "nothing by itself",
    Action.CLOSE: "close of the case",
}


@dataclass(frozen=True)
class Example:
    """One case by name: its next step now and after the move, what else changes, and where ops see it."""

    customer: str
    invoice: str
    page: str | None
    before: str
    after: str
    more: str


@dataclass(frozen=True)
class Group:
    """All cases with one kind of change, a few of them by name."""

    change: Change
    count: int
    examples: tuple[Example, ...]

    @property
    def words(self) -> str:
        """Say what happens to them."""
        return WORDS[self.change].one if self.count == 1 else WORDS[self.change].many

    @property
    def sign(self) -> str:
        """Name the sign that stands before it."""
        return WORDS[self.change].sign


def groups_of(found: Effects, desk: Desk) -> list[Group]:
    """Gather the effects by kind, with examples by name."""
    summary = found.summary
    return [
        Group(
            change,
            count,
            tuple(_example(effect, found, desk) for effect in summary.examples.get(change, ())),
        )
        for change, count in summary.counts.items()
    ]


def _example(effect: Effect, found: Effects, desk: Desk) -> Example:
    running = found.people[effect.case_id]
    before = effect.before.next_step
    after = effect.after.next_step if effect.after else before
    exact = _are_near(before.at, after.at)
    return Example(
        running.name,
        running.case.invoice,
        desk.temporal_page(running.case.workflow_id),
        spell_step(before, exact=exact),
        spell_step(after, exact=exact) if effect.after else "stays as it is",
        _more(effect),
    )


def _more(effect: Effect) -> str:
    """Say what changes after the next step."""
    if effect.after is None:
        return effect.refused or ""
    said = [
        f"{abs(number)} {what}{'' if abs(number) == 1 else 's'} {'more' if number > 0 else 'fewer'}"
        for number, what in ((effect.mails, "mail"), (effect.charges, "charge"))
        if number
    ]
    before, after = effect.before.ends_at, effect.after.ends_at
    if before != after and before and after:
        exact = _are_near(before, after)
        ends = spell_time(after, exact=exact), spell_time(before, exact=exact)
        said.append("it ends on {} instead of {}".format(*ends))
    if effect.before.arm != effect.after.arm:
        said.append(f"arm {effect.after.arm or 'none'} instead of {effect.before.arm or 'none'}")
    return "; ".join(said)


def spell_step(step: Plan, *, exact: bool = False) -> str:
    """Say what a case does next, and when."""
    named = f" of {step.step}" if step.step else ""
    when = f", {spell_time(step.at, exact=exact)}" if step.at else ""
    return f"{ACTIONS[step.action]}{named}{when}"


def spell_time(at: datetime, *, exact: bool = False) -> str:
    """Write a time to the minute; to the second where two would look alike, as in a campaign of seconds."""
    return f"{at:%d %b %Y, %H:%M:%S} UTC" if exact else f"{at:%d %b %Y, %H:%M} UTC"


def _are_near(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one != other and abs(one - other) < NEAR


def spell_totals(summary: EffectSummary) -> str:
    """Say how many mails and charges there would be more or fewer, all cases together."""
    said = [
        f"{abs(number):,} {what}{'' if abs(number) == 1 else 's'} {'more' if number > 0 else 'fewer'}"
        for number, what in ((summary.mails, "mail"), (summary.charges, "charge"))
        if number
    ]
    return (
        f"That makes {' and '.join(said)} in all."
        if said
        else "There are as many mails and charges as before."
    )
