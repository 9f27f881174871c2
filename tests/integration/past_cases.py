"""What tests of what-if runs share: a database with cases of the past in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from campaigns.document import Campaign
from campaigns.simulation import Sample, begin
from campaigns.story import Ending, Lever, Outcome
from store import campaigns, customers
from store.tables import CaseRow
from tests.unit.test_declines import verdict_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Database

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PLAIN = """
name: standard
steps:
  - {id: day-1, after: 1 day, retry: true, message: payment_failed}
  - {id: day-3, after: 3 days, retry: true, message: payment_failed}
end: {after: 14 days, action: cancel_now}
"""
LATER = PLAIN.replace("after: 3 days", "after: 4 days").replace("after: 14 days", "after: 10 days")
ANY = Campaign.model_validate(
    {
        "name": "standard",
        "steps": [{"id": "day-1", "after": "1 day", "retry": True}],
        "end": {"after": "2 days", "action": "leave"},
    }
)


def case(
    number: int,
    outcome: Outcome | None = Outcome.EXHAUSTED,
    lever: Lever | None = None,
    *,
    after: timedelta = timedelta(days=14),
    **more: Any,
) -> CaseRow:
    """Make the row of a case that ended some time after its failure; without an outcome it has not ended."""
    told = {name: more.pop(name) for name in ("plan", "country", "timezone", "network") if name in more}
    failed_at = more.pop("failed_at", MONDAY)
    sample = Sample(
        failed_at,
        verdict_of(more.pop("decline", "insufficient_funds")),
        case_id=f"case_{number:05}",
        amount=more.pop("amount", 4900),
        **told,
    )
    ended_at = failed_at + after
    ending = Ending(outcome=outcome, lever=lever, at=ended_at) if outcome else None
    story = begin(ANY, sample).model_copy(update={"ending": ending, **more.pop("story", {})})
    values: dict[str, Any] = {
        "id": story.case_id,
        "workflow_id": f"w_{number}",
        "processor": "stripe",
        "account": "main",
        "invoice": f"in_{number}",
        "customer": f"cus_{number}",
        "status": "closed" if outcome else "waiting",
        "outcome": outcome,
        "lever": lever,
        "amount": story.amount,
        "currency": story.currency,
        "campaign": "standard",
        "campaign_version": 1,
        "chosen_by": "default",
        "failed_at": failed_at,
        "reserved_at": failed_at,
        "opened_at": failed_at,
        # The case itself closes only when its receipt is sent.
        "closed_at": ended_at + timedelta(hours=12) if outcome else None,
        "story": story.model_dump(mode="json", exclude_unset=True),
    }
    return CaseRow(**(values | more))


async def fill(database: Database, rows: Sequence[CaseRow], published: Sequence[str] = (PLAIN,)) -> None:
    """Keep cases, and publish campaigns."""
    async with database.begin() as session:
        for text in published:
            await campaigns.publish(session, text, file="test.yaml", author="ada", note="", now=MONDAY)
        session.add_all(rows)


async def know(database: Database, customer: str, **attributes: str) -> None:
    """Keep what the processor says about a customer."""
    async with database.begin() as session:
        await customers.keep(session, "stripe", "main", customer, MONDAY, attributes=attributes)
