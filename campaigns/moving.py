"""Moving a running case to another version of its campaign: what is kept, what is left behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from campaigns.arms import assign, for_case, share_of
from campaigns.document import NO_TIME
from campaigns.durations import spell_duration
from campaigns.planner import plan
from campaigns.schedule import parts
from campaigns.story import Action, Hold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.document import Campaign
    from campaigns.story import Story

ACTS = frozenset({Action.CHARGE, Action.MESSAGE, Action.ACCESS, Action.ALERT, Action.END})


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


def _course_after(story: Story, target: Moving, attributes: Mapping[str, object]) -> tuple[Campaign, str]:
    """Give the new version as it is for a case, and the arm that the case is in from then on.

    The arm is kept where the version still has it; otherwise another is chosen, never a holdout.
    """
    customer = f"{story.processor}/{story.account}/{story.customer}"
    arm = assign(target.campaign, customer, story.arm, running=True)
    return for_case(target.campaign, story.model_copy(update={"arm": arm}), attributes), arm


def moved(
    story: Story, old: Campaign, target: Moving, attributes: Mapping[str, object], now: datetime
) -> tuple[Story, Campaign]:
    """Give the story of a case as it goes on under another version, and that version as it is for the case.

    What was done stays done, counters and budgets stay, and a step that was passed over is not taken up
    again, unless it was an earlier move that left it behind. Steps that the version puts into the past
    are left out (``SKIP``), or the latest of each kind is done (``ONCE``). What a person moved stays where
    it was put, as long as the version has that step.
    """
    new, arm = _course_after(story, target, attributes)
    were_due = {part.id for part in parts(old, story) if part.at <= now}
    ids = {step.id for step in new.steps} | {"end"}
    kept = tuple(action for action in story.passed if action not in story.put_past)
    story = story.model_copy(
        update={
            "campaign": target.campaign.name,
            "version": target.version,
            "arm": arm,
            "moved": {step: at for step, at in story.moved.items() if step in ids},
            "passed": kept,
            "put_past": (),
        }
    )
    behind = [part.id for part in parts(new, story) if part.at <= now]
    behind = [action for action in behind if action not in {*story.done, *kept}]
    if target.past is PastRule.SKIP:
        left = tuple(action for action in behind if action not in were_due)
        story = story.model_copy(update={"passed": (*kept, *left), "put_past": left})
    return _spread(story, new, target, now), new


def _spread(story: Story, new: Campaign, target: Moving, now: datetime) -> Story:
    """Put off what is due at once by the case's own share of the time, so that a thousand do not act together."""
    due = plan(new, story, now)
    if target.spread <= NO_TIME or due.action not in ACTS or due.at is None or due.at > now:
        return story
    share = share_of(story.case_id, target.campaign.name, str(target.version))
    until = now + timedelta(seconds=int(share * target.spread.total_seconds()))
    why = (
        f"moved to version {target.version}: what became due at once is spread over"
        f" {spell_duration(target.spread)}"
    )
    return (
        story.model_copy(update={"hold": Hold(action=due.id, until=until, why=why)}) if until > now else story
    )
