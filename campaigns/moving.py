"""Moving a running case to another version of its campaign: what is kept, what is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from campaigns.arms import assign, for_case, share_of
from campaigns.document import KINDS, MESSAGE, NO_TIME, Mode
from campaigns.due import due_now
from campaigns.durations import spell_duration
from campaigns.openings import planned_end
from campaigns.schedule import NOTICE, end_at, parts, step_at
from campaigns.story import Hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from campaigns.document import Campaign
    from campaigns.story import Story


class PastRule(StrEnum):
    """What becomes of steps that a new version puts into the past of a case."""

    SKIP = "skip"
    ONCE = "do once"


@dataclass(frozen=True)
class Moving:
    """One version to move to, and how; ``spread`` is the time over which what is due at once is spread."""

    campaign: Campaign
    version: int
    past: PastRule = PastRule.SKIP
    spread: timedelta = NO_TIME


def moved(
    story: Story, old: Campaign, target: Moving, attributes: Mapping[str, object], now: datetime
) -> tuple[Story, Campaign]:
    """Give the story of a case as it goes on under another version, and that version as it is for the case.

    ``old`` is the campaign as it is for the case now. What was done stays done, counters and budgets stay,
    and a step that was passed over is not taken up again, unless it was an earlier move that left it behind.
    Steps that the version puts into the past are left out (``SKIP``), or the latest of each kind is done
    (``ONCE``). A step that was begun is finished, what a person moved stays where it was put, and nobody's
    end is brought forward to within the late grace without a word to the customer.
    """
    after, new = carried_over(story, old, target, attributes, now)
    return spread_out(story, old, after, new, target, now), new


def why_not_moved(story: Story, target: Campaign) -> str | None:
    """Say why a case cannot be moved to a campaign at all, or None where it can."""
    if story.shadow is (target.mode is Mode.SHADOW):
        return None
    return (
        "one of the case and that version is in shadow and the other is live: what was only imagined would count"
        " as done, or what was done be forgotten; new cases follow the new mode"
    )


def carried_over(
    story: Story, old: Campaign, target: Moving, attributes: Mapping[str, object], now: datetime
) -> tuple[Story, Campaign]:
    """Do the same as ``moved``, before what is due at once is spread."""
    arm = _arm_after(story, old, target.campaign)
    new = for_case(target.campaign, story.model_copy(update={"arm": arm}), attributes)
    # What was passed over does not wait any more: a move back must not find it there.
    waiting = {part.id for part in parts(old, story) if step_at(old, story, part.step) <= now}
    waiting -= {*story.passed}
    kept = tuple(action for action in story.passed if action not in story.put_past)
    after = story.model_copy(
        update={
            "campaign": target.campaign.name,
            "version": target.version,
            "arm": arm,
            "passed": kept,
            "put_past": (),
            "moved": story.moved | _begun(story, old),
        }
    )
    if target.past is PastRule.SKIP:
        left = tuple(action for action in _behind(new, after, now) if action not in {*kept, *waiting})
        after = after.model_copy(update={"passed": (*kept, *left), "put_past": left})
    if _is_cut_short(story, old, after, new, now) is not after.short_notice:
        after = after.model_copy(update={"short_notice": not after.short_notice})
    return after, new


def _behind(new: Campaign, after: Story, now: datetime) -> Iterator[str]:
    """Name what has not been done of steps that begin in the past: no mail of the morning without its charge."""
    every = parts(new, after)
    begun = {part.step.id for part in every if part.at <= now}
    return (part.id for part in every if part.step.id in begun and part.id not in after.done)


def _arm_after(story: Story, old: Campaign, document: Campaign) -> str:
    """Keep the arm where the version still has it; otherwise another is chosen, never a holdout.

    An arm that has become a holdout is none for a case that was written to.
    """
    customer = f"{story.processor}/{story.account}/{story.customer}"
    held_out = {arm.name for arm in document.arms if arm.holdout}
    earlier = "" if story.arm in held_out and not old.is_holdout else story.arm
    return assign(document, customer, earlier, running=True)


def _begun(story: Story, old: Campaign) -> dict[str, datetime]:
    """Say when the steps were that have been begun and are to be finished: a mail follows its charge.

    It may wait for the morning, while the version gives the step another day.
    """
    return {
        part.step.id: step_at(old, story, part.step)
        for part in parts(old, story)
        if part.id not in story.done
        and part.id not in story.passed
        and any(f"{part.step.id}.{kind}" in story.done for kind in KINDS)
    }


def _is_cut_short(story: Story, old: Campaign, after: Story, new: Campaign, now: datetime) -> bool:
    """Whether the end has come so near that the customer has to be told, and has to have the late grace.

    Not where a mail is still to come before it, nor where the end was as near before.
    """
    if new.is_holdout or NOTICE in after.done:
        return False
    ends = planned_end(new, after)
    nearer = story.short_notice or ends < end_at(old, story)
    if not nearer or ends >= now + new.end.late_grace:
        return False
    mails = [part for part in parts(new, after) if part.kind == MESSAGE and part.id not in after.passed]
    return not any(part.may and now < part.at < ends for part in mails)


def spread_out(
    before: Story, old: Campaign, after: Story, new: Campaign, target: Moving, now: datetime
) -> Story:
    """Put off what becomes due at once by the case's own share of the time: a thousand must not act together.

    What was due at once before the move is not put off by it, least of all what a customer is waiting for.
    """
    was_due = due_now(old, before, now)
    became = [action for action in due_now(new, after, now) if action not in was_due]
    share = share_of(after.case_id, target.campaign.name, str(target.version))
    until = now + timedelta(seconds=int(share * target.spread.total_seconds()))
    if not became or until <= now or (after.hold and after.hold.action in became and after.hold.until > now):
        return after
    why = (
        f"moved to version {target.version}: what became due at once is spread over"
        f" {spell_duration(target.spread)}"
    )
    hold = Hold(action=became[0], also=tuple(became[1:]), until=until, why=why)
    return after.model_copy(update={"hold": hold})
