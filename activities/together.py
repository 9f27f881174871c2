"""Several cases of one customer: whose turn it is, who speaks, and which is charged with a new card."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from activities.turn import course_of
from campaigns.schedule import NOTICE
from campaigns.story import Story
from campaigns.together import (
    ANY_CARD,
    WEEK,
    Heard,
    charged_before,
    charged_instead,
    counts,
    goes_first,
    level_of,
    said_already,
    week_is_free_at,
)
from store import attempts, cases, messages, turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.standing import Stand
    from campaigns.story import Plan
    from store.tables import MessageRow

# A charge or a mail is over in seconds; a case that met another looks again after this long and a little more.
TURN_HOLD, TURN_SPREAD = timedelta(seconds=5), 5
TAKEN = "another case of this customer is being charged or written about"


@dataclass(frozen=True)
class Unsaid:
    """Why a message or a charge is not made now; ``wait`` None: nor at another time, with this case."""

    why: str
    wait: timedelta | None = None


@dataclass(frozen=True)
class Conversation:
    """What the customer has been sent about any of their cases; ``heard`` is the most that another case said."""

    heard: Heard | None
    mails: tuple[datetime, ...]


def _whose(story: Story) -> turns.Whose:
    return turns.Whose(story.processor, story.account, story.customer)


async def take_turn(session: AsyncSession, story: Story, action: str) -> bool:
    """Take the customer's turn for one action of a case; False while another case of theirs acts.

    By the wall's clock and not the case's: it is about what happens at one moment.
    """
    return await turns.claim(session, _whose(story), f"{story.case_id}.{action}", datetime.now(UTC))


async def give_turn_back(session: AsyncSession, story: Story, action: str) -> None:
    """Let the customer's next case act; first of all in its transaction, as a claim takes the turn before the card."""
    await turns.give_back(session, _whose(story), f"{story.case_id}.{action}")


def a_moment(story: Story) -> timedelta:
    """How long a case waits for another: each its own, and always the same, so that they do not meet again."""
    return TURN_HOLD + timedelta(seconds=zlib.crc32(story.case_id.encode()) % TURN_SPREAD)


async def conversation(session: AsyncSession, story: Story, message: str, now: datetime) -> Conversation:
    """Read what the customer has been sent, but for the message itself."""
    since = min(story.failed_at, now - WEEK)
    rows = await messages.to_customer(session, story.processor, story.account, story.customer, since)
    others = [
        Heard(row.case_id, row.level, row.claimed_at)
        for row in rows
        if row.level is not None and row.case_id != story.case_id and row.claimed_at >= story.failed_at
    ]
    mails = tuple(row.claimed_at for row in rows if _counted(row) and not _is(row, story, message))
    return Conversation(max(others, key=lambda heard: heard.level, default=None), mails)


def _counted(row: MessageRow) -> bool:
    return row.level is not None or row.action == NOTICE


def _is(row: MessageRow, story: Story, message: str) -> bool:
    return (row.case_id, row.action) == (story.case_id, message)


async def why_unsaid(
    session: AsyncSession, at: Stand, story: Story, step: Plan, so_far: Conversation
) -> Unsaid | None:
    """Say why a message is not sent now, or None where it is."""
    level = level_of(at.campaign, step.id)
    if why := said_already(level, so_far.heard):
        return Unsaid(why)
    if not counts(at.campaign, step.id):
        return None
    if level is not None:
        rows = await cases.beside(session, story)
        others = [(Story.model_validate(row.story), row.next_step_at) for row in rows]
        if oldest := goes_first(story, others, at.now):
            return Unsaid(f"case {oldest}, the oldest of this customer, speaks first", a_moment(story))
    free_at = week_is_free_at(so_far.mails, at.campaign.mails_a_week, at.now)
    if free_at is None:
        return None
    why = f"the customer has had {at.campaign.mails_a_week} mails within a week, as many as there may be"
    if step.not_after and free_at >= step.not_after and step.id != NOTICE:
        return Unsaid(f"{why}, and it would not be true any more when there may be another")
    return Unsaid(why, free_at - at.now)


async def why_not_charged(session: AsyncSession, at: Stand, story: Story, step: Plan) -> Unsaid | None:
    """Say why a new card is not charged for this case now, by the campaign's policy; None where it is."""
    others = [
        (Story.model_validate(row.story), row.next_step_at) for row in await cases.beside(session, story)
    ]
    charged = await attempts.of_another(session, story, step.id)
    if chosen := charged_instead(at.campaign, story, step.id, [other for other, _ in others], charged):
        policy = at.campaign.on_new_card
        return Unsaid(f"{policy}: the new card is charged for case {chosen}, and here as the steps say")
    if other := charged_before(story, step.id, others, at.now):
        return Unsaid(f"the new card is charged for case {other} first, which is older", a_moment(story))
    return None


async def charged_at_once(session: AsyncSession, stories: Sequence[Story]) -> frozenset[str]:
    """Name those of a customer's open cases that a new card is charged for at once, each by its own campaign.

    ``stories`` are all of the customer's. What the bank or the processor is busy with is not charged beside.
    """
    found = set()
    for story in stories:
        if not story.campaign or story.unsettled or story.under_way or story.beside or story.charged_back:
            continue
        campaign, _ = await course_of(session, story)
        others = [other for other in stories if other.case_id != story.case_id]
        if not campaign.is_holdout and charged_instead(campaign, story, ANY_CARD, others) is None:
            found.add(story.case_id)
    return frozenset(found)


async def card_pays_all(session: AsyncSession, story: Story) -> bool:
    """Whether a new card is charged at once for all that the customer of a case owes."""
    others = [Story.model_validate(row.story) for row in await cases.beside(session, story)]
    every = (story, *others)
    return await charged_at_once(session, every) == {one.case_id for one in every}
