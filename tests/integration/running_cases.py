"""Running cases in a database without a Temporal server: what the studio shows and counts before it moves any."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import keys
from campaigns.arms import for_case
from campaigns.declines import Said
from campaigns.planner import plan
from campaigns.simulation import Sample, begin, simulate
from store import campaigns, cases, customers

if TYPE_CHECKING:
    from datetime import datetime

    from activities.tools import Tools
    from store.tables import CaseRow

ACCOUNT = "main"


async def running_case(
    tools: Tools, name: str, now: datetime, *, days: float, campaign: str = "standard"
) -> CaseRow:
    """Let a customer's payment have failed some days ago, and the campaign have done since what it does.

    One whose campaign has run out since is closed.
    """
    invoice, failed_at = f"in_{name}", now - timedelta(days=days)
    workflow = keys.workflow_id("sandbox", ACCOUNT, invoice, 1)
    async with tools.database.begin() as session:
        await cases.reserve(session, "sandbox", ACCOUNT, invoice, failed_at)
        await customers.keep(
            session,
            "sandbox",
            ACCOUNT,
            f"cus_{name}",
            failed_at,
            name=f"{name.title()} & Sons",
            email=f"{name}@example.com",
        )
        document, version = await campaigns.version(session, campaign)
        sample = Sample(failed_at, tools.declines.judge(Said("insufficient_funds"), now.date()), amount=4900)
        story = begin(document, sample).model_copy(
            update={
                "case_id": keys.case_id(workflow),
                "workflow_id": workflow,
                "processor": "sandbox",
                "account": ACCOUNT,
                "invoice": invoice,
                "customer": f"cus_{name}",
                "version": version,
            }
        )
        course = for_case(document, story, {})
        for happened in simulate(course, story, failed_at):
            if happened.at > now:
                break
            story = happened.story
        if story.ending:
            story = story.model_copy(update={"closed": True})
        await cases.save(session, story, plan(course, story, now), "it waits", now)
        row = await cases.get(session, story.case_id)
    assert row is not None
    return row
