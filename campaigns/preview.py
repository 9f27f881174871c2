"""What a campaign does to a case in which nothing changes: the planner's own answers, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.planner import overtaken, plan
from campaigns.story import Action, Ending, Outcome, Plan, Story, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from campaigns.declines import Verdict
    from campaigns.document import Campaign

# A plan that never ended would be a fault of the planner; no campaign has so many steps.
LONGEST = 200


def preview(
    campaign: Campaign, failed_at: datetime, verdict: Verdict, *, has_card: bool = True
) -> Iterator[Plan]:
    """Yield every action of a case whose charges are all declined alike, until its end."""
    card = "card"
    story = Story(
        case_id="preview",
        workflow_id="preview",
        processor="preview",
        account="preview",
        invoice="preview",
        failed_at=failed_at,
        campaign=campaign.name,
        decline=verdict.code,
        ask=verdict.ask,
        method=card,
        has_card=has_card,
        blocked=() if verdict.charge_again else (card,),
    )
    now = failed_at
    for _ in range(LONGEST):
        story = story.model_copy(update={"passed": (*story.passed, *overtaken(campaign, story, now))})
        upcoming = plan(campaign, story, now)
        if upcoming.action in {Action.CLOSE, Action.WAIT} or upcoming.at is None:
            return
        now = max(now, upcoming.at)
        yield upcoming
        story = _as_if_done(story, upcoming, now)


def _as_if_done(story: Story, done: Plan, now: datetime) -> Story:
    changes: dict[str, object] = {"done": {**story.done, done.id: now}}
    if done.action is Action.CHARGE:
        changes["scheduled_charges"] = story.scheduled_charges + (done.trigger is Trigger.SCHEDULE)
        changes["last_charge_at"] = now
    elif done.action is Action.ACCESS and done.access:
        changes["access"] = done.access
    elif done.action is Action.END:
        changes["ending"] = Ending(outcome=Outcome.EXHAUSTED, final_action=done.final_action, at=now)
    return story.model_copy(update=changes)
