"""Which campaign, and which arm of it, a new case gets, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from activities.turn import course_in, flagged
from campaigns.arms import assign
from campaigns.document import Mode
from campaigns.segments import Choice, ChosenBy, Failure, choose
from store import campaigns, cases

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign
    from campaigns.story import Story
    from processors.protocol import Invoice


@dataclass(frozen=True)
class Chosen:
    """The campaign as it is for the case, the case's story with it, and how it was chosen."""

    campaign: Campaign
    story: Story
    by: ChosenBy
    why: str


async def choose_course(
    session: AsyncSession, story: Story, invoice: Invoice, named: str | None, default: str
) -> Chosen:
    """Choose by the name that was given, else by segment in order of priority, else the default."""
    earlier = await cases.earlier_of_customer(
        session, story.processor, story.account, invoice.customer.id, story.case_id
    )
    untaken = False
    if named:
        name, by, why = named, ChosenBy.NAMED, f"whoever reported it named the campaign {named}"
    else:
        failure = failure_of(story, invoice, repeated=bool(earlier))
        choice = choose(await campaigns.current(session), failure, default)
        name, by, why = choice.name, choice.by, choice.why + _spell_others(choice)
        untaken = by is ChosenBy.DEFAULT and bool(choice.others)
    document, version = await campaigns.version(session, name)
    before = next((row.arm for row in earlier if row.campaign == name and row.arm), "")
    arm = assign(document, f"{story.processor}/{story.account}/{invoice.customer.id}", before)
    shadow = document.mode is Mode.SHADOW
    story = story.model_copy(update={"campaign": name, "version": version, "arm": arm, "shadow": shadow})
    if shadow:
        story = flagged(story, "shadow")
    if untaken:
        # So that ops find in the Temporal UI what no segment was made for.
        story = flagged(story, "default campaign")
    campaign, story = await course_in(session, document, story, invoice.customer.attributes)
    return Chosen(campaign, story, by, why)


def _spell_others(choice: Choice) -> str:
    """Say of each campaign that was asked before why it did not take the failure."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in choice.others)
    return f" ({reasons})" if reasons else ""


def failure_of(story: Story, invoice: Invoice, *, repeated: bool) -> Failure:
    """Say what segments ask about a failed payment."""
    return Failure(
        processor=story.processor,
        plan=story.plan,
        interval=story.interval,
        amount=story.amount,
        currency=story.currency,
        country=story.country,
        decline=story.decline,
        decline_class=story.decline_class,
        attributes=invoice.customer.attributes,
        tags=invoice.tags,
        repeated=repeated,
        first_payment=invoice.first_payment,
        sent_invoice=invoice.sent_for_payment,
    )
