"""The common head and tail of every activity: what is so now, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from campaigns.arms import asks_for_attributes, asks_for_engagement, for_case
from campaigns.document import AccessLevel
from campaigns.due import overtaken
from campaigns.durations import spell_moment
from campaigns.money import spell_money
from campaigns.planner import plan
from campaigns.schedule import awaiting_approval
from campaigns.story import Action, Outcome, Status, Story
from contract import Attributes, Line, Report, WishAnswer
from store import campaigns, cases, customers, engagement, journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign
    from campaigns.story import Ending, Plan


log = structlog.get_logger()


async def course_of(session: AsyncSession, story: Story) -> tuple[Campaign, Story]:
    """Read the campaign as it is for the case: its version and arm, and the steps that are for its customer.

    The story comes back with what the customer has done with our mails, where any step asks for it.
    """
    campaign, _ = await campaigns.version(session, story.campaign, story.version)
    return await course_in(session, campaign, story)


async def course_in(
    session: AsyncSession,
    campaign: Campaign,
    story: Story,
    attributes: Mapping[str, object] | None = None,
) -> tuple[Campaign, Story]:
    """Give a campaign as it is for the case.

    The customer's attributes are read where they are not given, and never carried: they may be personal.
    """
    if asks_for_engagement(campaign):
        found = await engagement.of_case(session, story.case_id)
        story = story.model_copy(update={"opened_at": found.opened_at, "clicked_at": found.clicked_at})
    if attributes is None:
        attributes = await attributes_of(session, story) if asks_for_attributes(campaign) else {}
    return for_case(campaign, story, attributes), story


async def attributes_of(session: AsyncSession, story: Story) -> Mapping[str, object]:
    """Read what the processor keeps about the case's customer."""
    customer = await customers.get(session, story.processor, story.account, story.customer)
    return customer.attributes if customer else {}


async def as_stored(session: AsyncSession, story: Story) -> Story:
    """Give the stored story in place of one that does not know of the end that was reached.

    A workflow that was reset carries an older story than the database, and so does the second try of an
    activity whose first was written down and not heard of.
    """
    row = await cases.get(session, story.case_id)
    if row is None or not row.story:
        return story
    if (row.closed_at is not None and not story.closed) or (row.outcome is not None and story.ending is None):
        return Story.model_validate(row.story)
    return story


def judged(campaign: Campaign, story: Story, now: datetime) -> Story:
    """Pass over what has come due and will not be done, by how things stand before anything else is done."""
    gone = overtaken(campaign, story, now)
    return story.model_copy(update={"passed": (*story.passed, *gone)}) if gone else story


async def conclude(
    session: AsyncSession,
    campaign: Campaign,
    story: Story,
    now: datetime,
    lines: Sequence[str] = (),
    answers: Mapping[str, WishAnswer] | None = None,
) -> Report:
    """Plan what is next, close the case if that is all, write it down, and report to the workflow."""
    told = [Line(at=now, text=text) for text in lines]
    story = _without_old_hold(judged(campaign, story, now), now)
    if story.ending and story.access is not AccessLevel.FULL:
        # At once, and not only after a receipt that may have to wait: the customer has paid.
        story = story.model_copy(update={"access": AccessLevel.FULL})
        line = "shadow: access would be given back: full" if story.shadow else "access given back: full"
        told.append(Line(at=now, text=line))
        kind, text = (journal.SHADOW, line) if story.shadow else (journal.ACCESS, str(AccessLevel.FULL))
        why = "the case has ended"
        await journal.enter(session, story.case_id, "access.ended", kind, text, now, why=why)
    if campaign.is_holdout and story.pending:
        told.append(Line(at=now, text="held out: the new card is left to the processor"))
        story = story.model_copy(update={"pending": None})
    upcoming = plan(campaign, story, now)
    if upcoming.action is Action.CLOSE and not story.closed:
        ending = story.ending
        assert ending is not None
        story, closing = await _close(session, story, ending, now)
        told += [Line(at=now, text=text) for text in closing]
        log.info("case.closed", **ids(story), outcome=str(ending.outcome), text=spell_ending(ending))
    standing = sentence(story, upcoming, now)
    await cases.save(session, story, upcoming, standing, now)
    if not story.closed:
        log.info("case.decided", **ids(story), next=upcoming.id, at=_written(upcoming.at), text=standing)
    return Report(
        story=story,
        plan=upcoming,
        attributes=attributes(story, upcoming, now),
        sentence=standing,
        lines=tuple(told),
        answers=dict(answers or {}),
    )


async def _close(
    session: AsyncSession, story: Story, ending: Ending, now: datetime
) -> tuple[Story, list[str]]:
    lines = [spell_ending(ending)]
    await journal.enter(
        session,
        story.case_id,
        "closed",
        journal.CASE,
        spell_ending(ending),
        now,
        by=ending.by,
        why=ending.why,
    )
    return story.model_copy(update={"closed": True, "hold": None}), lines


def _written(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _without_old_hold(story: Story, now: datetime) -> Story:
    """Forget a hold whose time has come, so that its reason is not given for something else."""
    if story.hold and story.hold.until <= now:
        return story.model_copy(update={"hold": None})
    return story


def spell_ending(ending: Ending) -> str:
    """Say how the case ended: ``recovered by card update``, ``cancelled by customer: moved away``."""
    named = {
        Outcome.RECOVERED: f"recovered by {ending.lever}",
        Outcome.CANCELLED: f"cancelled by {ending.by}",
        Outcome.EXHAUSTED: f"exhausted; final action: {str(ending.final_action).replace('_', ' ')}",
    }
    text = named.get(ending.outcome, str(ending.outcome))
    return f"{text}: {ending.why}" if ending.why else text


def sentence(story: Story, upcoming: Plan, now: datetime) -> str:
    """Say in one sentence where the case stands and what comes next."""
    if story.ending:
        return spell_ending(story.ending)
    status = story.status(now)
    if upcoming.action is Action.WAIT or status is Status.NEEDS_REVIEW:
        return upcoming.why
    when = spell_moment(upcoming.at) if upcoming.at else "news"
    imagined = "in shadow: " if story.shadow else ""
    return f"{imagined}next {upcoming.action} on {when}: {upcoming.why}"


def attributes(story: Story, upcoming: Plan, now: datetime) -> Attributes:
    """Say what the case can be found by; outcome, lever and reasons are flags."""
    status = story.status(now)
    flags = set(story.flags)
    if story.decline_class:
        flags.add(f"class:{story.decline_class}")
    if story.ending:
        flags.add(f"outcome:{story.ending.outcome}")
        if story.ending.lever:
            flags.add(f"lever:{story.ending.lever}")
    if status is Status.PAUSED:
        flags.add("paused")
    if any(awaiting_approval(story)):
        flags.add("waits for approval")
    return Attributes(
        status=status,
        customer=story.customer,
        invoice=story.invoice,
        campaign=story.campaign,
        arm=story.arm,
        decline=story.decline or "",
        currency=story.currency.upper(),
        plan=story.plan or "",
        country=story.country or "",
        network=story.network or "",
        amount=story.amount,
        campaign_version=story.version,
        attempts=story.charges,
        failed_at=story.failed_at,
        next_step_at=None if story.closed else upcoming.at,
        flags=tuple(sorted(flags)),
    )


def ids(story: Story) -> dict[str, str]:
    """Give the ids that every log line about a case carries."""
    return {"case": story.case_id, "workflow": story.workflow_id, "invoice": story.invoice}


def flagged(story: Story, flag: str) -> Story:
    """Add a flag once."""
    return story if flag in story.flags else story.model_copy(update={"flags": (*story.flags, flag)})


def money(story: Story) -> str:
    """Write the case's amount for ops."""
    return spell_money(story.amount, story.currency)
