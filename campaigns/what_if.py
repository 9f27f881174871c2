"""What a draft would have done to past failures, beside the published version: pure."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from campaigns.comparison import UNKNOWN, Comparison, Example
from campaigns.declines import Said
from campaigns.document import NO_TIME, AccessLevel
from campaigns.durations import spell_duration
from campaigns.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, timedelta

    from campaigns.declines import Verdict
    from campaigns.document import Campaign
    from campaigns.past_failures import PastFailure
    from campaigns.trial import Course, World

EXAMPLES = 5
MOST_CODES = 20


class WhatIf:
    """A draft and the published version tried on the same failures, one after the other."""

    def __init__(self, draft: Campaign, published: Campaign | None, world: World) -> None:
        self._draft = Trial(draft, world)
        self._published = Trial(published, world) if published else None
        self._declines = world.declines
        self._verdicts: dict[tuple[str | None, date], Verdict] = {}
        self._unknown: Counter[str] = Counter()
        self._changed = 0
        # The greatest changes so far, the least of them first.
        self._examples: list[tuple[int, int, Example]] = []
        self.done = 0

    def take(self, failure: PastFailure) -> None:
        """Try both on one failure."""
        verdict = self._verdict(failure.decline, failure.failed_at.date())
        after = self._draft.take(failure, verdict)
        if self._published:
            before = self._published.take(failure, verdict)
            if before != after:
                self._changed += 1
                self._note(failure.id, before, after)
        self.done += 1

    def comparison(self, *more_unknown: str) -> Comparison:
        """Give what has been found so far; where the failures come from may leave more unknown than always is."""
        return Comparison(
            failures=self.done,
            draft=self._draft.tally(),
            published=self._published.tally() if self._published else None,
            changed=self._changed,
            examples=tuple(example for _, _, example in sorted(self._examples, reverse=True)),
            unknown_declines=dict(self._unknown.most_common(MOST_CODES)),
            unknown=(*UNKNOWN, *more_unknown),
        )

    def _verdict(self, decline: str | None, on: date) -> Verdict:
        key = (decline, on)
        if key not in self._verdicts:
            self._verdicts[key] = self._declines.judge(Said(decline), on)
        verdict = self._verdicts[key]
        if decline and not verdict.known:
            self._unknown[decline] += 1
        return verdict

    def _note(self, failure: str, before: Course | None, after: Course | None) -> None:
        """Keep a failure as an example if it changes more than those that are kept."""
        # Of those that change alike the first are kept, so that a second run gives the same.
        rank = (_size_of_change(before, after), -self.done)
        if len(self._examples) == EXAMPLES and rank < self._examples[0][:2]:
            return
        example = Example(id=failure, changes=tuple(_changes(before, after)))
        heapq.heappush(self._examples, (*rank, example))
        if len(self._examples) > EXAMPLES:
            heapq.heappop(self._examples)


def compare(
    draft: Campaign, published: Campaign | None, failures: Iterable[PastFailure], world: World
) -> Comparison:
    """Try a draft and the published version on the same failures."""
    trying = WhatIf(draft, published, world)
    for failure in failures:
        trying.take(failure)
    return trying.comparison()


def _size_of_change(before: Course | None, after: Course | None) -> int:
    """Count what only one of both does, or does at that time."""
    old, new = _noticed(before), _noticed(after)
    return (old - new).total() + (new - old).total()


def _noticed(course: Course | None) -> Counter[tuple[str, timedelta]]:
    """List what the customer and the team notice of a case, with its times."""
    if course is None:
        return Counter()
    found: Counter[tuple[str, timedelta]] = Counter(course.mails)
    found.update(("a charge", after) for after in course.charges)
    found.update(("an alert", after) for after in course.alerts)
    found.update((str(level), since) for level, since in course.access)
    found[f"the end: {course.final_action}", course.ended_after] += 1
    return found


def _changes(before: Course | None, after: Course | None) -> Iterator[str]:
    """Say in words what is different with the draft."""
    if before is None or after is None:
        yield "taken by the draft only" if before is None else "not taken by the draft"
        return
    if before.arm != after.arm:
        yield f"in arm {after.arm or 'none'} instead of {before.arm or 'none'}"
    for name, old, new in (
        ("charge", len(before.charges), len(after.charges)),
        ("mail", len(before.mails), len(after.mails)),
        ("alert", len(before.alerts), len(after.alerts)),
    ):
        if old != new:
            yield f"{new} {name}{'' if new == 1 else 's'} instead of {old}"
    yield from _changes_of_access(before, after)
    if before.ended_after != after.ended_after:
        lasts, lasted = spell_duration(after.ended_after), spell_duration(before.ended_after)
        yield f"ends {lasts} after the failure instead of {lasted}"
    if before.final_action != after.final_action:
        yield f"{_spell_end(after)} instead of {_spell_end(before)}"
    yield from _changes_of_times("charge", before.charges, after.charges)
    yield from _changes_of_times("mail", _times(before.mails), _times(after.mails))
    yield from _changes_of_times("alert", before.alerts, after.alerts)
    other = (pair for pair in zip(before.mails, after.mails, strict=False) if pair[0][0] != pair[1][0])
    for (old_mail, _), (new_mail, _) in islice(other, 1):
        yield f"{new_mail.replace('_', ' ')} instead of {old_mail.replace('_', ' ')}"


def _changes_of_times(name: str, before: Sequence[timedelta], after: Sequence[timedelta]) -> Iterator[str]:
    """Say of which one on the times are others."""
    for number, (old, new) in enumerate(zip(before, after, strict=False), start=1):
        if old != new:
            yield f"{name} {number} after {spell_duration(new)} instead of {spell_duration(old)}"
            return


def _times(mails: Sequence[tuple[str, timedelta]]) -> list[timedelta]:
    return [after for _, after in mails]


def _changes_of_access(before: Course, after: Course) -> Iterator[str]:
    lengths = [
        (level, _length_of(level, before), _length_of(level, after))
        for level in (AccessLevel.LIMITED, AccessLevel.BLOCKED)
    ]
    for level, was, will in lengths:
        if was != will:
            yield f"{level} access for {spell_duration(will)} instead of {spell_duration(was)}"
    if before.access != after.access and all(was == will for _, was, will in lengths):
        yield "access taken and given at other times"


def _length_of(level: AccessLevel, course: Course) -> timedelta:
    return sum((length for held, length in course.access_times() if held is level), NO_TIME)


def _spell_end(course: Course) -> str:
    return str(course.final_action).replace("_", " ") if course.final_action else "ended from outside"
