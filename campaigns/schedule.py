"""When each part of a step is due in a case: anchored at the failed attempt, never before its anchor.

A part is later than its step by the case's share of the step's jitter, by a payday that is near, by an
approval that is waited for, and by the hours and days on which mails or charges may go out; where those keep
it waiting, by the case's share of the longest jitter.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from campaigns.arms import share_of
from campaigns.document import (
    ACCESS,
    ASK,
    CHARGE,
    KINDS,
    MESSAGE,
    NO_TIME,
    Step,
    offset,
)
from campaigns.durations import spell_duration
from campaigns.openings import (
    SOON,
    actions_of,
    as_advised,
    is_begun,
    is_put,
    is_to_charge,
    opening_of,
    part_at,
    payday_of,
    planned_end,
    was_closed,
    why_no_charge_at_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.document import Campaign
    from campaigns.story import Advised, Story

# Stands for a step where a charge belongs to none.
ADVISED = Step(id="advised", after=NO_TIME, retry=True)
NOTICE, FINAL, FAREWELL = "end.notice", "end.action", "end.message"
CONFIRM_AGAIN = "confirm-again.message"
APPROVED = "approved"


class Due(NamedTuple):
    """One part of a step and when it is due; ``id`` is the action's, under which its progress is kept.

    ``holds`` says whether the step is for this case as it stands: a part that is not is passed over when its
    time comes. ``may`` says whether it still could be by then, if the customer opens a mail or uses a link.
    """

    id: str
    step: Step
    kind: str
    at: datetime
    holds: bool = True
    may: bool = True


def awaiting_approval(story: Story) -> Iterator[str]:
    """Name the steps for which somebody was asked and has not answered."""
    for action in story.done:
        step, _, kind = action.rpartition(".")
        over = any(f"{step}.{other}" in story.done or f"{step}.{other}" in story.passed for other in KINDS)
        if kind == ASK and f"{step}.{APPROVED}" not in story.done and not over:
            yield step


def end_at(campaign: Campaign, story: Story) -> datetime:
    """When the final action is due: never sooner than the late notice allows."""
    planned = planned_end(campaign, story)
    notified = story.done.get(NOTICE)
    return max(planned, notified + campaign.end.late_grace) if notified else planned


def step_at(campaign: Campaign, story: Story, step: Step) -> datetime:
    """When a step is due before calendars are looked at: at its anchor, or where a person moved it."""
    moved = story.moved.get(step.id)
    if moved is not None:
        return moved
    if step.before_end is not None:
        at = max(planned_end(campaign, story) - step.before_end, story.failed_at)
    else:
        at = story.failed_at + offset(step, campaign.end)
    return at + _share(story, step) if step.jitter > NO_TIME else at


def _share(story: Story, step: Step) -> timedelta:
    """Give a case's own share of a step's jitter, always the same, in whole seconds."""
    return timedelta(seconds=int(share_of(story.case_id, step.id) * step.jitter.total_seconds()))


def parts(campaign: Campaign, story: Story) -> list[Due]:
    """List every part of every step in order of time, then of the document, then of what is done first."""
    return Timetable(campaign).parts(story)


class Timetable:
    """The parts of a campaign in one case; what no event of the case changes is worked out only once.

    Whoever plays a whole case keeps one. Where a case stands decides whether a step is for it, and an
    approval when it goes on; all other times follow from what ``_clock`` names.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._clock: tuple[object, ...] = ()
        self._dated: dict[str, list[Due]] = {}
        self._fixed: list[Due] | None = None

    def parts(self, story: Story) -> list[Due]:
        """List every part of every step in order of time, then of the document, then of what is done first."""
        clock = _clock(story)
        if clock != self._clock:
            self._clock, self._dated, self._fixed = clock, {}, None
        if self._fixed is not None:
            return self._fixed
        found: list[Due] = []
        fixed = story.advised is None
        for step in self._campaign.steps:
            if step.approval:
                found += _approved_parts(self._campaign, story, step)
                fixed = False
            elif step.only_if.ask_nothing:
                found += self._dated_parts(story, step)
            else:
                found += _judged(step, self._dated_parts(story, step), story)
                fixed = False
        if story.advised:
            found += _advised_parts(self._campaign, story, story.advised, found)
        found.sort(key=_time_of)
        if fixed:
            self._fixed = found
        return found

    def _dated_parts(self, story: Story, step: Step) -> list[Due]:
        if step.id not in self._dated:
            at = step_at(self._campaign, story, step)
            self._dated[step.id] = _dated(self._campaign, story, step, at)
        return self._dated[step.id]


def _clock(story: Story) -> tuple[object, ...]:
    """Name all of a story that the time of a part depends on, approvals aside."""
    begun = [step for step in story.moved if not story.done.keys().isdisjoint(actions_of(step))]
    told = (story.case_id, story.failed_at, story.decline, story.timezone, story.country)
    # Where the card is not charged any more, a step may have charged it: then its mail comes after that.
    blocked = why_no_charge_at_all(story)
    waits = story.advised is not None and story.advised.exact
    return (*told, story.moved, begun, (blocked or waits) and tuple(story.done), story.advised)


_time_of = attrgetter("at")


def _dated(campaign: Campaign, story: Story, step: Step, released: datetime) -> list[Due]:
    """Give what a step does with its times, as if its conditions held."""
    return [
        Due(f"{step.id}.{kind}", step, kind, part_at(campaign, story, step, kind, released))
        for kind in step.kinds
    ]


def _judged(step: Step, dated: list[Due], story: Story) -> list[Due]:
    """Say of each part whether the step's conditions hold, or could by then.

    What holds when a step begins holds for all of it: its mail follows its charge.
    """
    if step.only_if.ask_nothing or is_begun(story, step):
        return dated
    return [_judge(step, part, story) for part in dated]


def _judge(step: Step, part: Due, story: Story) -> Due:
    if step.only_if.why_not(story, part.at) is None:
        return part
    may = step.only_if.waits_for_the_customer and step.only_if.may_hold(story, part.at)
    return part._replace(holds=False, may=may)


def _approved_parts(campaign: Campaign, story: Story, step: Step) -> list[Due]:
    """Give the question, and then what the answer, or silence, lets the step do."""
    at, asking = step_at(campaign, story, step), f"{step.id}.{ASK}"
    question = Due(asking, step, ASK, at, holds=False, may=False)
    if any(f"{step.id}.{kind}" not in story.passed for kind in step.kinds):
        question = _judge(step, question._replace(holds=True, may=True), story)
    released = _released(story, step, at)
    if released is not None and asking not in story.passed:
        return [question, *_judged(step, _dated(campaign, story, step, released), story)]
    # Silence means no: passed over once the time to answer is over.
    ends = _silence_ends(story, step, at)
    return [question, *(Due(f"{step.id}.{kind}", step, kind, ends, False, False) for kind in step.kinds)]


def _silence_ends(story: Story, step: Step, at: datetime) -> datetime:
    """When the time to answer is over; before anybody was asked, when it would be."""
    return story.done.get(f"{step.id}.{ASK}", at) + (step.approval.within if step.approval else NO_TIME)


def _released(story: Story, step: Step, at: datetime) -> datetime | None:
    """When an approval, or silence, lets a step go on; None where it does not as things stand."""
    assert step.approval is not None
    approved = story.done.get(f"{step.id}.{APPROVED}")
    if approved is not None:
        return max(at, approved)
    if step.approval.otherwise == "skip":
        return None
    return max(at, _silence_ends(story, step, at))


def _advised_parts(campaign: Campaign, story: Story, advised: Advised, steps: Sequence[Due]) -> list[Due]:
    """Give the charge at the time that the issuer named, or soon after technical trouble.

    Only where no step charges the card by then, and never at the cost of a charge that the campaign spells out:
    those count toward the same limit.
    """
    if not (advised.timed and campaign.extra_charges):
        return []
    at = opening_of(campaign, story, advised.at, campaign.calendar.charges)
    ends = planned_end(campaign, story)
    left = [
        part
        for part in steps
        if part.kind == CHARGE
        and part.at < ends
        and part.may
        and part.id not in story.done
        and part.id not in story.passed
    ]
    spare = story.scheduled_charges + len(left) < campaign.retries
    if not spare or any(part.at <= at for part in left):
        return []
    return [Due(advised.id, ADVISED, CHARGE, at)]


def spell_time(campaign: Campaign, story: Story, part: Due, due: datetime) -> str:
    """Say where the time of a part comes from: the step's own, and each reason for which it is later."""
    at = step_at(campaign, story, part.step)
    if part.step.id in story.moved:
        why = "as it was begun" if is_begun(story, part.step) else "moved by a person"
        words = f"{spell_duration(at - story.failed_at)} after the failed payment, {why}"
    elif part.step.before_end is not None:
        words = f"{spell_duration(part.step.before_end)} before the end"
    else:
        words = f"{spell_duration(offset(part.step, campaign.end))} after the failed payment"
    if part.kind == ASK:
        return words
    reasons = [words]
    released = _released(story, part.step, at) if part.step.approval else at
    if released is not None and released > at:
        answer = "approved" if f"{part.step.id}.{APPROVED}" in story.done else "nobody answered"
        reasons.append(f"{answer} {spell_duration(released - at)} later")
    return "; ".join([*reasons, *_spell_waits(campaign, story, part, released or at, due)])


def _spell_waits(campaign: Campaign, story: Story, part: Due, at: datetime, due: datetime) -> Iterator[str]:
    """Say what of the calendar keeps a part waiting from when its step is due until it is done."""
    zone = campaign.calendar.zone(story.timezone)
    charges, mails = campaign.calendar.charges, campaign.calendar.messages
    charged = part.kind == CHARGE or is_to_charge(story, part.step)
    if part.kind == CHARGE and is_put(story, part.step) and story.advised and story.advised.firm:
        if as_advised(story, part.step, at) > at:
            yield story.advised.why
    elif charged and not is_put(story, part.step):
        later = as_advised(story, part.step, at)
        if story.advised and later > at and (part.kind == CHARGE or later - at <= SOON):
            yield story.advised.why if part.kind == CHARGE else f"after its charge: {story.advised.why}"
            at = later
        payday = payday_of(campaign, story, at) if part.kind == CHARGE else None
        if payday and payday <= part.at:
            yield f"put off to the payday on {payday.astimezone(zone):%d %B}"
            at = payday
        opened = opening_of(campaign, story, at, charges)
        if opened > at or (part.kind == CHARGE and was_closed(campaign, story, charges, due)):
            after = "" if part.kind == CHARGE else "after its charge: "
            yield f"{after}cards are charged {charges.spelled()} ({zone.key})"
            at = opened
    written = part.kind == MESSAGE or (part.kind == ACCESS and part.step.message)
    if written and (opening_of(campaign, story, at, mails) > at or was_closed(campaign, story, mails, due)):
        yield f"mails are sent {mails.spelled()} ({zone.key})"
