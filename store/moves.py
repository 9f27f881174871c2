"""Moves of running cases to another version: who asked for one, how far it is, what became of each case."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select, update

from errors import BadInput, Conflict, NotKnown
from store import audit
from store.database import execute, insert_once, touched
from store.journal import plain
from store.studio_tables import MoveCaseRow, MoveRow
from store.tables import CampaignVersionRow, CaseRow, CustomerRow, EntryRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.moving import PastRule


class State(StrEnum):
    """Where a move stands; the last two are for good."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


class Became(StrEnum):
    """What became of one case; one that is ``asked`` has not answered yet, one ``unanswered`` did not in time."""

    ASKED = "asked"
    MOVED = "moved"
    REFUSED = "refused"
    CLOSED = "closed"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Wanted:
    """What a person wants: running cases of a campaign to go on with a version of it."""

    campaign: str
    version: int
    by: str
    why: str
    past: PastRule
    spread: timedelta


@dataclass(frozen=True)
class Progress:
    """How far a move is; ``left`` are the cases that are still to be asked or to answer."""

    move: MoveRow
    moved: int = 0
    refused: int = 0
    closed: int = 0
    unanswered: int = 0
    left: int = 0

    @property
    def settled(self) -> int:
        """How many cases have been dealt with."""
        return self.moved + self.refused + self.closed + self.unanswered

    @property
    def total(self) -> int:
        """How many cases there are in all, those found only on the way included."""
        return self.settled + self.left


@dataclass(frozen=True)
class Claimed:
    """A case that a move is to ask; ``again`` where it was asked before, since ``asked_at``, and did not answer."""

    case: CaseRow
    asked_at: datetime
    again: bool


@dataclass(frozen=True)
class Running:
    """A running case and its customer, as far as known."""

    case: CaseRow
    customer: CustomerRow | None

    @property
    def name(self) -> str:
        """Call the customer by what people know: the name, else the address, else the processor's id."""
        known = (self.customer.name or self.customer.email) if self.customer else None
        return known or self.case.customer


@dataclass(frozen=True)
class Outcome:
    """What became of one case, with the case's customer."""

    row: MoveCaseRow
    running: Running


# --- the move itself -------------------------------------------------------------------------------


async def begin(session: AsyncSession, move_id: str, wanted: Wanted, now: datetime) -> MoveRow:
    """Write a move down; raises NotKnown, BadInput for a time below zero, and Conflict where one goes on."""
    if wanted.spread < timedelta(0):
        raise BadInput("the time to spread over cannot be below zero")
    if await session.get(CampaignVersionRow, (wanted.campaign, wanted.version)) is None:
        raise NotKnown(f"campaign '{wanted.campaign}' has no version {wanted.version}")
    row = MoveRow(
        id=move_id,
        campaign=wanted.campaign,
        version=wanted.version,
        by=wanted.by,
        why=wanted.why,
        past=wanted.past,
        spread_seconds=int(wanted.spread.total_seconds()),
        state=State.RUNNING,
        total=await count_running(session, wanted.campaign, but=wanted.version),
        started_at=now,
    )
    if await insert_once(session, MoveRow, **row.model_dump()) is None:
        going = await going_on(session, wanted.campaign)
        which = f"move {going.id} to version {going.version} is {going.state}" if going else "a move goes on"
        raise Conflict(f"{which} for campaign '{wanted.campaign}': let it end, or stop it first")
    detail = (
        f"campaign {wanted.campaign} to version {wanted.version}, {row.total} cases; steps in the past:"
        f" {wanted.past}; spread over {wanted.spread}; {wanted.why}"
    )
    await audit.write(session, now, wanted.by, "move begun", audit.of_move(move_id), detail)
    return row


async def get(session: AsyncSession, move_id: str) -> MoveRow:
    """Find a move; raises NotKnown."""
    row = await session.get(MoveRow, move_id)
    if row is None:
        raise NotKnown(f"no move is called '{move_id}': see 'starter.py moves'")
    return row


async def going_on(session: AsyncSession, campaign: str) -> MoveRow | None:
    """Find the move of a campaign that has not ended; there is at most one."""
    wanted = select(MoveRow).where(MoveRow.campaign == campaign, col(MoveRow.finished_at).is_(None))
    return (await session.exec(wanted)).first()


async def listing(
    session: AsyncSession, campaign: str | None = None, *, limit: int = 50
) -> Sequence[MoveRow]:
    """List moves, the latest first."""
    wanted = select(MoveRow).order_by(col(MoveRow.started_at).desc(), col(MoveRow.id)).limit(limit)
    if campaign is not None:
        wanted = wanted.where(MoveRow.campaign == campaign)
    return (await session.exec(wanted)).all()


async def turn(
    session: AsyncSession, move_id: str, state: State, now: datetime, *, by: str, why: str
) -> bool:
    """Bring a move into another state, with who and why in the audit log; False where it is in it or has ended."""
    ended = state in {State.STOPPED, State.DONE}
    changed = await touched(
        session,
        update(MoveRow)
        .where(
            col(MoveRow.id) == move_id, col(MoveRow.finished_at).is_(None), col(MoveRow.state) != str(state)
        )
        .values(state=str(state), finished_at=now if ended else None)
        .returning(col(MoveRow.id)),
    )
    if changed is None:
        return False
    action = {State.RUNNING: "resumed"}.get(state, str(state))
    await audit.write(session, now, by, f"move {action}", audit.of_move(move_id), why)
    return True


# --- its cases -------------------------------------------------------------------------------------


def _to_move(move: MoveRow) -> ColumnElement[bool]:
    """Say which cases a move is for: those open on another version.

    Cases that opened on a later version after the move began are not its business: another version was
    published meanwhile.
    """
    return and_(
        col(CaseRow.campaign) == move.campaign,
        col(CaseRow.closed_at).is_(None),
        col(CaseRow.outcome).is_(None),
        or_(
            col(CaseRow.campaign_version) < move.version,
            and_(col(CaseRow.campaign_version) > move.version, col(CaseRow.reserved_at) <= move.started_at),
        ),
    )


async def claim(session: AsyncSession, move: MoveRow, after: str, limit: int, now: datetime) -> list[Claimed]:
    """Take the next cases to ask, by id, and write down that they are asked.

    Those that were asked before and have not answered come again: whoever asked may have died. So the same
    ``after`` gives the same cases, and each that has answered once is never asked again.
    """
    known = select(MoveCaseRow.case_id).where(MoveCaseRow.move_id == move.id)
    fresh = select(CaseRow).where(_to_move(move), col(CaseRow.id) > after, col(CaseRow.id).not_in(known))
    asked = (
        select(CaseRow, MoveCaseRow.at)
        .join(MoveCaseRow, col(MoveCaseRow.case_id) == col(CaseRow.id))
        .where(MoveCaseRow.move_id == move.id, MoveCaseRow.state == Became.ASKED, col(CaseRow.id) > after)
    )
    found = [
        Claimed(row, now, again=False)
        for row in await session.exec(fresh.order_by(col(CaseRow.id)).limit(limit))
    ]
    found += [
        Claimed(row, at, again=True)
        for row, at in await session.exec(asked.order_by(col(CaseRow.id)).limit(limit))
    ]
    found = sorted(found, key=lambda claimed: claimed.case.id)[:limit]
    for claimed in found:
        if claimed.again:
            continue
        await insert_once(
            session,
            MoveCaseRow,
            move_id=move.id,
            case_id=claimed.case.id,
            from_version=claimed.case.campaign_version,
            state=Became.ASKED,
            answer="",
            at=claimed.asked_at,
        )
    return found


async def settle(
    session: AsyncSession, move_id: str, case_id: str, became: Became, answer: str, now: datetime
) -> None:
    """Write down what became of a case, once: what stands there first stays."""
    await execute(
        session,
        update(MoveCaseRow)
        .where(
            col(MoveCaseRow.move_id) == move_id,
            col(MoveCaseRow.case_id) == case_id,
            col(MoveCaseRow.state) == str(Became.ASKED),
        )
        .values(state=str(became), answer=plain(answer), at=now),
    )


async def answer_of(session: AsyncSession, case_id: str, wish_id: str) -> str | None:
    """Give what a case has written about a wish in its journal, or None where it has not taken it."""
    wanted = select(EntryRow.text).where(EntryRow.case_id == case_id, EntryRow.key == f"wish.{wish_id}")
    return (await session.exec(wanted)).first()


async def progress(session: AsyncSession, move_id: str) -> Progress:
    """Count what became of the cases of a move; raises NotKnown."""
    move = await get(session, move_id)
    found = await session.exec(
        select(MoveCaseRow.state, func.count())
        .where(MoveCaseRow.move_id == move_id)
        .group_by(col(MoveCaseRow.state))
    )
    counts: Counter[str] = Counter(dict(found.all()))
    left = 0
    if move.finished_at is None:
        left = counts[Became.ASKED] + await _unasked(session, move)
    return Progress(
        move,
        moved=counts[Became.MOVED],
        refused=counts[Became.REFUSED],
        closed=counts[Became.CLOSED],
        unanswered=counts[Became.UNANSWERED] + (counts[Became.ASKED] if move.finished_at else 0),
        left=left,
    )


def spell_progress(progress: Progress) -> str:
    """Say in a sentence how far a move is."""
    counts = (
        (progress.moved, "moved"),
        (progress.refused, "refused"),
        (progress.closed, "closed meanwhile"),
        (progress.unanswered, "without an answer"),
        (progress.left, "to come"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{progress.total} cases: {said}" if said else "there was no case to move"


async def _unasked(session: AsyncSession, move: MoveRow) -> int:
    known = select(MoveCaseRow.case_id).where(MoveCaseRow.move_id == move.id)
    wanted = select(func.count()).select_from(CaseRow).where(_to_move(move), col(CaseRow.id).not_in(known))
    return (await session.exec(wanted)).one()


async def being_opened(session: AsyncSession) -> bool:
    """Whether any case is being opened: it may have chosen its campaign's version before the latest was there."""
    wanted = select(CaseRow.id).where(col(CaseRow.opened_at).is_(None), col(CaseRow.closed_at).is_(None))
    return (await session.exec(wanted.limit(1))).first() is not None


async def outcomes(
    session: AsyncSession,
    move_id: str,
    became: Became | None = None,
    *,
    limit: int = 50,
    after: int = 0,
) -> list[Outcome]:
    """List what became of each case, in the order in which they were asked; ``after`` is the last one's number."""
    wanted = (
        select(MoveCaseRow, CaseRow, CustomerRow)
        .join(CaseRow, col(CaseRow.id) == col(MoveCaseRow.case_id))
        .join(CustomerRow, _of_case(), isouter=True)
        .where(MoveCaseRow.move_id == move_id, col(MoveCaseRow.number) > after)
        .order_by(col(MoveCaseRow.number))
        .limit(limit)
    )
    if became is not None:
        wanted = wanted.where(MoveCaseRow.state == became)
    found = await session.exec(wanted)
    return [Outcome(row, Running(case, customer)) for row, case, customer in found.all()]


# --- running cases ---------------------------------------------------------------------------------


async def running_page(
    session: AsyncSession, campaign: str, *, but: int | None = None, after: str = "", limit: int = 200
) -> list[Running]:
    """Give a page of a campaign's running cases by id, each with its customer; ``but`` leaves a version out."""
    wanted = (
        select(CaseRow, CustomerRow)
        .join(CustomerRow, _of_case(), isouter=True)
        .where(*_running(campaign, but), col(CaseRow.id) > after)
        .order_by(col(CaseRow.id))
        .limit(limit)
    )
    return [Running(case, customer) for case, customer in (await session.exec(wanted)).all()]


async def count_running(session: AsyncSession, campaign: str, *, but: int | None = None) -> int:
    """Count a campaign's running cases; ``but`` leaves those on a version out."""
    wanted = select(func.count()).select_from(CaseRow).where(*_running(campaign, but))
    return (await session.exec(wanted)).one()


async def running_by_version(session: AsyncSession, campaign: str) -> dict[int, int]:
    """Count a campaign's running cases by the version that they run on."""
    found = await session.exec(
        select(CaseRow.campaign_version, func.count())
        .where(*_running(campaign, None))
        .group_by(col(CaseRow.campaign_version))
        .order_by(col(CaseRow.campaign_version))
    )
    return dict(found.all())


def _running(campaign: str, but: int | None) -> list[ColumnElement[bool]]:
    conditions = [
        col(CaseRow.campaign) == campaign,
        col(CaseRow.closed_at).is_(None),
        col(CaseRow.outcome).is_(None),
    ]
    return conditions if but is None else [*conditions, col(CaseRow.campaign_version) != but]


def _of_case() -> ColumnElement[bool]:
    return and_(
        col(CustomerRow.processor) == col(CaseRow.processor),
        col(CustomerRow.account) == col(CaseRow.account),
        col(CustomerRow.id) == col(CaseRow.customer),
    )
