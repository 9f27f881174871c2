"""What has come of campaigns so far: figures over all cases, each report one query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import case, func
from sqlmodel import col, select

from campaigns.segments import ChosenBy
from campaigns.story import Outcome
from store.tables import CampaignRow, CampaignVersionRow, CaseRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel.ext.asyncio.session import AsyncSession
    from sqlmodel.sql.expression import SelectOfScalar

# Closed without having been worked: they say nothing about a campaign.
NOT_WORKED = frozenset({Outcome.EXCLUDED, Outcome.BELOW_MINIMUM})


@dataclass
class Money:
    """Amounts of one currency in minor units: of all closed cases, and what of it was paid."""

    closed: int = 0
    recovered: int = 0
    elsewhere: int = 0


@dataclass
class Recovery:
    """What became of cases: of a whole campaign, or of one of its arms.

    ``closed`` counts those that were worked; of them ``recovered`` were paid by what Dunwell did, and
    ``elsewhere`` in some other way. ``untaken`` are all cases, open ones too, that came to the campaign
    because no segment took them. ``shadow`` are the cases in which everything was only imagined: nothing else
    here counts them.
    """

    running: int = 0
    closed: int = 0
    recovered: int = 0
    elsewhere: int = 0
    untaken: int = 0
    shadow: int = 0
    money: dict[str, Money] = field(default_factory=dict)
    arms: dict[str, Recovery] = field(default_factory=dict)


async def recovery(session: AsyncSession) -> dict[str, Recovery]:
    """Sum up every case by campaign and arm; a case that was never opened has no campaign yet.

    The index ``cases_for_reports`` holds all that is asked for, so that no row of a case is read.
    """
    running = case((col(CaseRow.closed_at).is_(None), 1), else_=0)
    groups = (
        CaseRow.campaign,
        CaseRow.arm,
        CaseRow.currency,
        CaseRow.chosen_by,
        CaseRow.outcome,
        CaseRow.shadow,
        running,
    )
    wanted = (
        select(*groups, func.count(), func.sum(CaseRow.amount))  # type: ignore[call-overload]
        .where(CaseRow.campaign != "")
        .group_by(*groups)
    )
    found: dict[str, Recovery] = {}
    rows = (await (await session.connection()).execute(wanted)).all()
    for campaign, arm, currency, chosen_by, outcome, shadow, is_running, count, amount in rows:
        whole = found.setdefault(campaign, Recovery())
        parts = [whole, *([whole.arms.setdefault(arm, Recovery())] if arm else [])]
        for part in parts:
            if chosen_by == ChosenBy.DEFAULT:
                part.untaken += count
            if shadow:
                part.shadow += count
            elif is_running:
                part.running += count
            elif outcome not in NOT_WORKED:
                _add_closed(part, outcome, count, currency.upper(), int(amount))
    return found


def _add_closed(part: Recovery, outcome: str | None, count: int, currency: str, amount: int) -> None:
    money = part.money.setdefault(currency, Money())
    part.closed += count
    money.closed += amount
    if outcome == Outcome.RECOVERED:
        part.recovered += count
        money.recovered += amount
    elif outcome == Outcome.RECOVERED_ELSEWHERE:
        part.elsewhere += count
        money.elsewhere += amount


async def published(session: AsyncSession) -> Sequence[CampaignVersionRow]:
    """List every campaign in the version that new cases start with, by name."""
    return (await session.exec(_current_versions().order_by(CampaignVersionRow.name))).all()


async def published_one(session: AsyncSession, name: str) -> CampaignVersionRow | None:
    """Find a campaign in the version that new cases start with, if there is one of that name."""
    return (await session.exec(_current_versions().where(CampaignRow.name == name))).first()


def _current_versions() -> SelectOfScalar[CampaignVersionRow]:
    is_current = (col(CampaignRow.name) == col(CampaignVersionRow.name)) & (
        col(CampaignRow.current_version) == col(CampaignVersionRow.version)
    )
    return select(CampaignVersionRow).join(CampaignRow, is_current)
