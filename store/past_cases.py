"""Cases that have ended, read as failures of the past: page by page, so that any number of them fits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from campaigns.document import NO_TIME
from campaigns.past_failures import PastFailure
from campaigns.segments import ChosenBy
from campaigns.story import Lever, Outcome
from store.tables import CaseRow, CustomerRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import timedelta

    from sqlalchemy import ColumnElement

    from store.database import Database

PAGE = 1000
# What no campaign worked, whoever is asked.
UNWORKED = (Outcome.EXCLUDED, Outcome.BELOW_MINIMUM)
# How a case ends by the campaign itself, or was never worked: nothing from outside is known of it.
BY_ITSELF = frozenset({Outcome.EXHAUSTED, Outcome.EXCLUDED, Outcome.BELOW_MINIMUM})
# What the database does not tell about a case, in a person's words.
NOT_KEPT = (
    "Only failures whose case has ended are looked at, and none of excluded customers.",
    "What became of a failure below a campaign's minimum is not known: nothing from outside ends it here.",
    "Of tags only the customer's own are kept, and not whether a payment was the first one, at sign-up.",
)


async def count(database: Database, since: datetime | None = None) -> int:
    """Count the failures that ``pages`` gives."""
    async with database.read() as session:
        found = await session.exec(select(func.count()).select_from(CaseRow).where(*_wanted(since)))
        return found.one()


async def pages(database: Database, since: datetime | None = None) -> AsyncGenerator[list[PastFailure], None]:
    """Give every case that has ended and whose payment failed at some time or later, a page at a time."""
    after = ""
    while True:
        rows = await _page(database, since, after)
        if not rows:
            return
        after = rows[-1].id
        yield [_failure(row) for row in rows]


def _wanted(since: datetime | None) -> list[ColumnElement[bool]]:
    wanted = [
        col(CaseRow.closed_at).is_not(None),
        col(CaseRow.outcome) != Outcome.EXCLUDED,
        col(CaseRow.failed_at).is_not(None),
        # A case that was cancelled before its invoice could be read tells nothing.
        col(CaseRow.currency) != "",
    ]
    return [*wanted, col(CaseRow.failed_at) >= since] if since else wanted


async def _page(database: Database, since: datetime | None, after: str) -> Sequence[Any]:
    wanted = (
        # Single columns: a page of whole rows takes twice the time.
        select(  # type: ignore[call-overload]
            CaseRow.id,
            CaseRow.processor,
            CaseRow.account,
            CaseRow.customer,
            CaseRow.amount,
            CaseRow.currency,
            CaseRow.campaign,
            CaseRow.chosen_by,
            CaseRow.outcome,
            CaseRow.lever,
            CaseRow.shadow,
            CaseRow.failed_at,
            CaseRow.closed_at,
            CaseRow.story,
            CustomerRow.attributes,
            _had_others().label("repeated"),
        )
        .join(
            CustomerRow,
            and_(
                col(CustomerRow.processor) == CaseRow.processor,
                col(CustomerRow.account) == CaseRow.account,
                col(CustomerRow.id) == CaseRow.customer,
            ),
            isouter=True,
        )
        .where(*_wanted(since), col(CaseRow.id) > after)
        .order_by(CaseRow.id)
        .limit(PAGE)
    )
    async with database.read() as session:
        rows: Sequence[Any] = (await session.exec(wanted)).all()
    return rows


def _had_others() -> ColumnElement[bool]:
    """Whether the customer had a case before that was worked, as opening one asks it."""
    earlier = aliased(CaseRow)
    return exists().where(
        col(earlier.processor) == CaseRow.processor,
        col(earlier.account) == CaseRow.account,
        col(earlier.customer) == CaseRow.customer,
        col(earlier.reserved_at) < CaseRow.reserved_at,
        col(earlier.opened_at).is_not(None),
        or_(col(earlier.outcome).is_(None), col(earlier.outcome).not_in(UNWORKED)),
    )


def _failure(row: Any) -> PastFailure:
    story, attributes = row.story, row.attributes or {}
    customer = f"{row.processor}/{row.account}/{row.customer}" if row.customer else ""
    tags = str(attributes.get("tags") or "").split(",")
    return PastFailure(
        id=row.id,
        failed_at=row.failed_at,
        decline=story.get("first_decline"),
        amount=row.amount,
        currency=row.currency,
        processor=row.processor,
        customer=customer,
        plan=story.get("plan"),
        interval=story.get("interval"),
        country=story.get("country"),
        timezone=story.get("timezone"),
        network=story.get("network"),
        attributes=attributes,
        tags=tuple(tag.strip() for tag in tags if tag.strip()),
        repeated=row.repeated,
        # Who had none at the end, and was never charged, had none at the beginning.
        has_card=story.get("has_card", True) or story.get("charges", 0) > 0,
        campaign=row.campaign if row.chosen_by == ChosenBy.NAMED else None,
        settled_after=_settled_after(row),
    )


def _settled_after(row: Any) -> timedelta | None:
    """Say how long after the failure something from outside ended the case, or None where nothing did."""
    if row.outcome in BY_ITSELF or row.lever in {Lever.SCHEDULED_RETRY, Lever.BACKUP}:
        return None
    if row.shadow and row.lever == Lever.PROCESSOR:
        # A campaign that acts takes these retries over, so that its steps stand in their place.
        return None
    # A case closes only when its receipt has gone, which may have to wait for its hours.
    ended = (row.story.get("ending") or {}).get("at")
    ended_at = datetime.fromisoformat(ended) if ended else row.closed_at
    after: timedelta = ended_at - row.failed_at
    return max(NO_TIME, after)
