"""Several failed payments of one customer: which case speaks, how often, and which is charged first. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from campaigns.document import MESSAGE
from campaigns.schedule import NOTICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.document import Campaign
    from campaigns.story import Story

WEEK = timedelta(days=7)
# The attempt with a card that nobody has given yet.
ANY_CARD = "card"
# A case whose next action is so near goes first; one that has been late for longer is not waited for.
NEAR, STUCK = timedelta(minutes=10), timedelta(hours=1)


class Heard(NamedTuple):
    """The highest level that another case has sent to the customer, and which case and when."""

    case_id: str
    level: int
    at: datetime


class Place(NamedTuple):
    """A case's place among those of its customer: the least is the oldest."""

    failed_at: datetime
    case_id: str


def place(story: Story) -> Place:
    """Give a case's place: by the time of the failure, and by the id where two failed at once."""
    return Place(story.failed_at, story.case_id)


def level_of(campaign: Campaign, action: str) -> int | None:
    """Give a message's level: its place among the messages of its campaign's steps, 1 for the first.

    None for what is no step's message: receipts, farewells, answers to a new card, late last notices.
    """
    actions = [f"{step.id}.{MESSAGE}" for step in campaign.steps if step.message]
    return actions.index(action) + 1 if action in actions else None


def said_already(level: int | None, heard: Heard | None) -> str | None:
    """Say that another case has told the customer as much since this payment failed, or None: it is said now.

    So the customer hears each level once, whoever speaks, and none is left out when the oldest is paid.
    """
    if level is None or heard is None or heard.level < level:
        return None
    return f"said by case {heard.case_id}, which named all that is owed (level {heard.level} of its messages)"


def counts(campaign: Campaign, action: str) -> bool:
    """Whether a message counts toward the mails of a week: what is sent unasked while something is owed."""
    return action == NOTICE or level_of(campaign, action) is not None


def week_is_free_at(mails: Sequence[datetime], most: int | None, now: datetime) -> datetime | None:
    """Give when one more mail may go to a customer who has had ``mails``; None where it may go now."""
    lately = sorted(at for at in mails if now - WEEK < at <= now)
    if most is None or len(lately) < most:
        return None
    return lately[-most] + WEEK


def goes_first(story: Story, others: Sequence[tuple[Story, datetime | None]], now: datetime) -> str | None:
    """Name the oldest case where that is another and about to act; None where this case may speak.

    ``others`` come with when their next action is due.
    """
    oldest, due = min(others, key=lambda other: place(other[0]), default=(story, None))
    if due is None or place(oldest) > place(story) or not _goes_on(oldest, now):
        return None
    return oldest.case_id if now - STUCK < due <= now + NEAR else None


def _goes_on(story: Story, now: datetime) -> bool:
    """Whether nobody has stopped a case, and nothing has that takes days."""
    paused = story.paused is not None and (story.paused.until is None or now < story.paused.until)
    return not (paused or story.review or story.unsettled or story.under_way or story.promise_at)


def charged_instead(
    campaign: Campaign, story: Story, attempt: str, others: Sequence[Story], charged: str | None = None
) -> str | None:
    """Name the case that a new card is charged for in place of this one; None where this one is charged.

    ``charged`` is one that has been charged with it already, and may have ended by that. One that will not be
    charged with it is not chosen: then nobody would be.
    """
    if campaign.on_new_card == "all":
        return None
    if charged is not None:
        return charged
    choose = min if campaign.on_new_card == "oldest first" else max
    able = (other for other in others if _will_charge(other, attempt, story.method))
    chosen = choose((story, *able), key=place)
    return None if chosen.case_id == story.case_id else chosen.case_id


def _will_charge(other: Story, attempt: str, card: str | None) -> bool:
    """Whether a new card is charged for another case once it has heard of it: not where it is that case's own already."""
    if other.ending or other.charged_back or other.beside or (other.unsettled and other.review):
        return False
    is_renewed = attempt != f"card.{card}"
    known = other.pending is None and (other.method == card or card in other.blocked)
    return is_renewed or not known


def charged_before(
    story: Story, attempt: str, others: Sequence[tuple[Story, datetime | None]], now: datetime
) -> str | None:
    """Name an older case whose charge of the same new card comes first; None where it is this one's turn.

    ``others`` come with when their next action is due. One that has not heard of the card yet is given a moment,
    once.
    """
    waited = story.hold is not None and story.hold.covers(attempt)
    for other, due in sorted(others, key=lambda other: place(other[0])):
        if place(other) > place(story):
            return None
        if attempt in other.done or attempt in other.passed or not _may_charge(other, now):
            continue
        if due is not None and due <= now - STUCK:
            continue
        if (other.pending is not None and other.pending.id == attempt) or not waited:
            return other.case_id
    return None


def _may_charge(story: Story, now: datetime) -> bool:
    held = story.hold is not None and story.hold.until > now + NEAR
    return not (held or story.ending or story.review or story.unsettled or story.under_way)
