"""What the wishes of people do to the story of a case, or why not: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.document import ASK, END, KINDS
from campaigns.durations import spell_duration
from campaigns.moving import Moving, moved, why_not_moved
from campaigns.openings import why_no_charge_at_all
from campaigns.planner import plan
from campaigns.schedule import APPROVED, awaiting_approval, end_at, parts, step_at
from campaigns.story import Action, Pause, Pending, Status, Story, Trigger
from contract import (
    Approve,
    MoveToVersion,
    PauseCase,
    Reschedule,
    ResumeCase,
    RetryNow,
    SkipStep,
    Wish,
    WishAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from campaigns.document import Campaign

CHARGED_BACK = "a payment that was charged back is not charged again: answer the dispute, or send the customer a new invoice"
Granted = tuple[Story, WishAnswer]


def grant(story: Story, wish: Wish, wish_id: str, campaign: Campaign, now: datetime) -> Granted:
    """Carry a wish out on the story, or refuse it with a reason that says what would help.

    A move to another version needs that version too: see ``move``.
    """
    if story.ending:
        return _refused(story, f"the case has ended: {story.ending.outcome}")
    if story.charged_back and isinstance(wish, RetryNow | Approve):
        return _refused(story, f"{CHARGED_BACK}; cancel the case when that is settled")
    match wish:
        case RetryNow():
            return _retry(story, wish_id, campaign)
        case PauseCase():
            return _pause(story, wish, now)
        case ResumeCase():
            return _resume(story)
        case SkipStep():
            return _skip(story, wish, campaign, now)
        case Reschedule():
            return _reschedule(story, wish, campaign, now)
        case Approve():
            return _approve(story, wish, campaign, now)
    return _refused(story, f"nothing is known of a wish called {type(wish).__name__}")


def _granted(story: Story, answer: str, **changes: object) -> Granted:
    return story.model_copy(update=changes), WishAnswer(granted=True, answer=answer)


def _refused(story: Story, answer: str) -> Granted:
    return story, WishAnswer(granted=False, answer=answer)


def _retry(story: Story, wish_id: str, campaign: Campaign) -> Granted:
    if campaign.is_holdout:
        return _refused(
            story,
            "the customer is in the holdout, which is left to the processor: a charge would spoil the"
            " comparison; move the case to a version without that arm first",
        )
    if story.shadow:
        return _refused(story, "the case is in shadow, where nothing is charged")
    if story.beside:
        return _refused(
            story,
            f"{why_no_charge_at_all(story)}: two would charge one invoice; switch them off at the processor first",
        )
    if story.unsettled:
        return _granted(
            story,
            "the last charge's fate is unknown: the processor is asked again now, before any new charge",
            unsettled=story.unsettled.model_copy(update={"until": story.unsettled.since}),
            review=None,
        )
    if not story.has_card:
        return _refused(story, "the customer has no card on file: send card_updated when there is one")
    if story.card_blocked:
        return _refused(
            story,
            f"the card on file was declined for good ({story.decline}): charging it again costs a fee and"
            " cannot work; the customer has to give another",
        )
    pending = Pending(id=f"operator.{wish_id}", trigger=Trigger.OPERATOR, method=story.method)
    return _granted(story, "the card on file is charged now", pending=pending, review=None)


def _pause(story: Story, wish: PauseCase, now: datetime) -> Granted:
    if wish.until is not None and wish.until <= now:
        return _refused(story, f"{wish.until:%d %B %Y %H:%M} UTC is past: give a later time, or none")
    paused = Pause(by=wish.by, why=wish.why, until=wish.until)
    until = f"until {wish.until:%d %B %Y %H:%M} UTC" if wish.until else "until somebody resumes it"
    return _granted(
        story, f"paused {until}; a payment, a cancellation and a new card still count", paused=paused
    )


def _resume(story: Story) -> Granted:
    if story.paused is None:
        return _refused(story, "the case is not paused")
    return _granted(story, "resumed", paused=None)


def _skip(story: Story, wish: SkipStep, campaign: Campaign, now: datetime) -> Granted:
    step_id = wish.step or plan(campaign, story, now).step
    step = campaign.step(step_id) if step_id else None
    if step is None:
        known = ", ".join(s.id for s in campaign.steps)
        return _refused(story, f"there is no step '{step_id}' to skip: the campaign has {known}")
    actions = [f"{step.id}.{kind}" for kind in step.kinds]
    begun = step_at(campaign, story, step) <= now and any(action in story.done for action in actions)
    if begun or all(action in story.done or action in story.passed for action in actions):
        return _refused(story, f"step {step.id} is over")
    every = [f"{step.id}.{kind}" for kind in (ASK, *KINDS)]
    return _granted(story, f"step {step.id} is skipped", passed=(*story.passed, *every))


def _reschedule(story: Story, wish: Reschedule, campaign: Campaign, now: datetime) -> Granted:
    step_id = wish.step or plan(campaign, story, now).step
    step = campaign.step(step_id) if step_id else None
    if wish.at <= now:
        return _refused(story, f"{wish.at:%d %B %Y %H:%M} UTC is past: give a later time")
    moved = story.model_copy(update={"moved": {**story.moved, str(step_id): wish.at}})
    if step_id == END:
        if any(at >= wish.at for at in _still_to_come(moved, campaign)):
            return _refused(story, "a step would come after that end: move or skip the step first")
        if wish.at >= now + campaign.end.late_grace:
            # Nothing comes out of the blue any more, where a move had brought the end near.
            moved = moved.model_copy(update={"short_notice": False})
    elif step is None:
        known = ", ".join(s.id for s in campaign.steps)
        return _refused(story, f"there is no step '{step_id}' to move: the campaign has {known} and end")
    elif wish.at >= (ends := end_at(campaign, story)):
        return _refused(
            story, f"the campaign ends before that, on {ends:%d %B %Y %H:%M} UTC: move the end first"
        )
    elif any(action.startswith(f"{step_id}.") for action in story.done):
        return _refused(story, f"step {step_id} has been begun")
    elif all(f"{step_id}.{kind}" in story.passed for kind in step.kinds):
        return _refused(story, f"step {step_id} is over: it was skipped, or something later took its place")
    offset = spell_duration(wish.at - story.failed_at)
    answer = f"{step_id} moved to {wish.at:%d %B %Y %H:%M} UTC, {offset} after the failed payment"
    return moved, WishAnswer(granted=True, answer=answer)


def _still_to_come(story: Story, campaign: Campaign) -> Iterator[datetime]:
    """Give the times of the steps of which something is still to be done."""
    for step in campaign.steps:
        actions = {f"{step.id}.{kind}" for kind in step.kinds}
        if actions - {*story.done, *story.passed}:
            yield step_at(campaign, story, step)


def _approve(story: Story, wish: Approve, campaign: Campaign, now: datetime) -> Granted:
    waiting = [step for step in awaiting_approval(story) if campaign.step(step)]
    if wish.step or (waiting and not story.review):
        return _approve_step(story, wish.step or waiting[0], waiting, campaign, now)
    if not story.review:
        return _refused(story, "the case does not wait for anybody")
    return _granted(
        story, f"approved; the case goes on after: {story.review}", review=None, unsettled=None, hold=None
    )


def _approve_step(story: Story, step: str, waiting: list[str], campaign: Campaign, now: datetime) -> Granted:
    if step not in waiting:
        known = f"waiting are {', '.join(waiting)}" if waiting else "no step is waiting for one"
        return _refused(story, f"step {step} does not wait for an approval: {known}")
    waits = [part for part in parts(campaign, story) if part.step.id == step and part.kind != ASK]
    if all(part.at <= now and not part.holds for part in waits):
        return _refused(story, f"step {step} was skipped, since nobody answered in time")
    answer = f"step {step} is approved, and done as soon as its hours allow"
    return _granted(story, answer, done={**story.done, f"{step}.{APPROVED}": now})


def move(
    story: Story,
    wish: MoveToVersion,
    old: Campaign,
    target: Campaign,
    attributes: Mapping[str, object],
    now: datetime,
) -> tuple[Story, WishAnswer, Campaign]:
    """Move a case to another version, or refuse it; gives the campaign that the case follows from then on.

    ``old`` is the campaign as it is for the case now, ``target`` the document of the version wished for.
    """
    if story.ending:
        return (*_refused(story, f"the case has ended: {story.ending.outcome}"), old)
    if (target.name, wish.version) == (story.campaign, story.version):
        return (*_refused(story, f"the case runs on {story.campaign} version {wish.version} already"), old)
    if why := why_not_moved(story, target):
        return (*_refused(story, why), old)
    answer = f"moved from {story.campaign} version {story.version} to {target.name} version {wish.version}"
    moving = Moving(target, wish.version, wish.past, wish.spread)
    story, new = moved(story, old, moving, attributes, now)
    return story, WishAnswer(granted=True, answer=answer), new


def summary(story: Story, campaign: Campaign, now: datetime) -> str:
    """Say what the next step is, for the answer to a wish."""
    if story.status(now) is Status.CLOSED:
        return ""
    upcoming = plan(campaign, story, now)
    if upcoming.action is Action.WAIT or upcoming.at is None:
        return upcoming.why
    return f"next: {upcoming.action} on {upcoming.at:%d %B %Y %H:%M} UTC"
