"""What cases in shadow imagined, beside what the processor did with the same invoices: each report one query."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select
from sqlmodel import col

from campaigns.story import Lever, Outcome, Trigger
from store import attempts, journal, messages
from store.card_attempts import Source
from store.ledger_tables import CardAttemptRow
from store.reports import NOT_WORKED
from store.tables import AttemptRow, CaseRow, EntryRow, MessageRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass
class Shadowed:
    """The cases of one campaign that were, or are, in shadow.

    ``imagined`` and ``declined`` count charges by the decline code on which they were made: those that Dunwell
    would have made, and the processor's own that were declined; None is a failure without a code. ``withheld``
    are charges that the budget of the card would have kept Dunwell from, ``spared`` the processor's that Dunwell
    would not have made, by reason. ``billed`` counts the processor's attempts for which its network bills a fee,
    and ``fees`` estimates these in minor units by currency. ``recovered_after`` is the time from each failure to
    its payment by the processor's own retry; ``late`` counts payments that came after the imagined end.
    """

    cases: int = 0
    running: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    recovered_after: list[timedelta] = field(default_factory=list)
    late: int = 0
    imagined: dict[str | None, int] = field(default_factory=dict)
    declined: dict[str | None, int] = field(default_factory=dict)
    withheld: int = 0
    spared: dict[str, int] = field(default_factory=dict)
    billed: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    mails: dict[str, int] = field(default_factory=dict)

    @property
    def recovered(self) -> int:
        """Count the cases that the processor's own retries recovered."""
        return len(self.recovered_after)

    @property
    def made(self) -> int:
        """Count the charges that the processor made by itself, the last of a recovered case among them."""
        return sum(self.declined.values()) + self.recovered


async def compared(session: AsyncSession, campaign: str | None = None) -> dict[str, Shadowed]:
    """Sum up every case in shadow that was worked, by campaign; or those of one campaign."""
    found: dict[str, Shadowed] = {}
    which = _worked(campaign)
    await _count_cases(session, which, found)
    await _count_recovered(session, which, found)
    await _count_charges(session, which, found)
    await _count_mails(session, which, found)
    await _count_entries(session, which, found)
    await _add_fees(session, which, found)
    return found


def _worked(campaign: str | None) -> list[ColumnElement[bool]]:
    which: list[ColumnElement[bool]] = [
        col(CaseRow.shadow).is_(True),
        func.coalesce(col(CaseRow.outcome), "").not_in([str(outcome) for outcome in NOT_WORKED]),
    ]
    if campaign:
        which.append(col(CaseRow.campaign) == campaign)
    return which


async def _rows(session: AsyncSession, wanted: Any) -> Sequence[Any]:
    return (await (await session.connection()).execute(wanted)).all()


async def _count_cases(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    groups = (col(CaseRow.campaign), col(CaseRow.outcome), col(CaseRow.lever))
    wanted = select(*groups, func.count()).where(*which).group_by(*groups)
    for campaign, outcome, lever, count in await _rows(session, wanted):
        part = found.setdefault(campaign, Shadowed())
        part.cases += count
        if outcome is None:
            part.running += count
        elif outcome != Outcome.RECOVERED or lever != Lever.PROCESSOR:
            how = f"{outcome} by {lever}" if lever else str(outcome)
            part.ended[how] = part.ended.get(how, 0) + count


async def _count_recovered(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    paid_at = col(CaseRow.story)["ending"]["at"].as_string()
    by_processor = (col(CaseRow.outcome) == Outcome.RECOVERED, col(CaseRow.lever) == Lever.PROCESSOR)
    wanted = select(col(CaseRow.campaign), col(CaseRow.failed_at), paid_at).where(*which, *by_processor)
    for campaign, failed_at, at in await _rows(session, wanted):
        found[campaign].recovered_after.append(max(timedelta(), datetime.fromisoformat(at) - failed_at))


async def _count_charges(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    # Stripe's events of a failure do not say why: then it is what the case stands on.
    decline = func.coalesce(col(AttemptRow.decline), col(CaseRow.decline))
    groups = (col(CaseRow.campaign), col(AttemptRow.trigger), col(AttemptRow.state), decline)
    wanted = (
        select(*groups, func.count())
        .join(CaseRow, col(CaseRow.id) == col(AttemptRow.case_id))
        .where(*which)
        .group_by(*groups)
    )
    for campaign, trigger, state, code, count in await _rows(session, wanted):
        if state == attempts.SHADOW:
            found[campaign].imagined[code] = found[campaign].imagined.get(code, 0) + count
        elif trigger == Trigger.PROCESSOR:
            found[campaign].declined[code] = found[campaign].declined.get(code, 0) + count


async def _count_mails(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    groups = (col(CaseRow.campaign), col(MessageRow.template))
    wanted = (
        select(*groups, func.count())
        .join(CaseRow, col(CaseRow.id) == col(MessageRow.case_id))
        .where(*which, col(MessageRow.state) == messages.SHADOW)
        .group_by(*groups)
    )
    for campaign, template, count in await _rows(session, wanted):
        found[campaign].mails[template] = count


async def _count_entries(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    joined = select(col(CaseRow.campaign), col(EntryRow.text), func.count()).join(
        CaseRow, col(CaseRow.id) == col(EntryRow.case_id)
    )
    groups = (col(CaseRow.campaign), col(EntryRow.text))
    spared = joined.where(*which, col(EntryRow.kind) == journal.SPARED).group_by(*groups)
    for campaign, why, count in await _rows(session, spared):
        found[campaign].spared[why] = count
    withheld = joined.where(*which, col(EntryRow.kind) == journal.WITHHELD).group_by(*groups)
    for campaign, _, count in await _rows(session, withheld):
        found[campaign].withheld += count
    late = (
        select(col(CaseRow.campaign), func.count(func.distinct(col(CaseRow.id))))
        .join(EntryRow, col(CaseRow.id) == col(EntryRow.case_id))
        .where(*which, col(CaseRow.outcome) == Outcome.EXHAUSTED)
        .where(col(EntryRow.kind) == journal.FACT, col(EntryRow.key).startswith("late."))
        .where(col(EntryRow.text).startswith("payment_succeeded,"))
        .group_by(col(CaseRow.campaign))
    )
    for campaign, count in await _rows(session, late):
        found[campaign].late = count


async def _add_fees(
    session: AsyncSession, which: list[ColumnElement[bool]], found: dict[str, Shadowed]
) -> None:
    same = and_(
        col(CardAttemptRow.processor) == col(CaseRow.processor),
        col(CardAttemptRow.account) == col(CaseRow.account),
        col(CardAttemptRow.invoice) == col(CaseRow.invoice),
    )
    wanted = (
        select(
            col(CaseRow.campaign),
            col(CardAttemptRow.fee_currency),
            func.count(),
            func.sum(col(CardAttemptRow.fee)),
        )
        .join(CardAttemptRow, same)
        .where(
            *which,
            col(CardAttemptRow.source) == Source.PROCESSOR,
            col(CardAttemptRow.fee).is_not(None),
            # The failure itself was before any choice.
            col(CardAttemptRow.at) > col(CaseRow.failed_at),
        )
        .group_by(col(CaseRow.campaign), col(CardAttemptRow.fee_currency))
    )
    for campaign, currency, count, fee in await _rows(session, wanted):
        found[campaign].billed += count
        found[campaign].fees[currency] = int(fee)
