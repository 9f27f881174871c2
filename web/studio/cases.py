"""Cases as pages: found by what a person has at hand, and each told on one page, for a telephone at night too."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from campaigns.declines import Verdict
from campaigns.durations import spell_duration
from campaigns.story import Outcome, Status, Story
from store import attempts, cases, customers, journal, messages
from store.tables import CaseRow
from web.desk import Desk, desk_of
from web.ledger import ledgers_of_case
from web.studio.case_timeline import Books, last_said, timeline
from web.studio.frame import PREFIX, Kind, page, sentence
from web.studio.gate import Viewer

router = APIRouter(prefix="/cases")
AtDesk = Annotated[Desk, Depends(desk_of)]
LIST = f"{PREFIX}/cases"
PER_PAGE = 50
MINUTE = timedelta(minutes=1)
STATUS_KINDS: dict[str, Kind] = {
    Status.WAITING: "info",
    Status.CHARGING: "info",
    Status.PAUSED: "warning",
    Status.NEEDS_REVIEW: "error",
    Status.CLOSED: "info",
}
RECOVERED = {Outcome.RECOVERED, Outcome.RECOVERED_ELSEWHERE}


@router.get("")
async def listed(
    request: Request,
    desk: AtDesk,
    _: Viewer,
    word: Annotated[str, Query(max_length=400)] = "",
    status: Status | Literal[""] = "",
) -> Response:
    """List the latest cases, or those that a word and a status leave; a word that names one leads to it."""
    wanted = journal.plain(word).strip()
    async with desk.tools.database.read() as session:
        found = await cases.listing(session, word=wanted or None, status=status or None, limit=PER_PAGE + 1)
    if wanted and not status and len(found) == 1:
        return RedirectResponse(f"{LIST}/{found[0].id}", status_code=303)
    return page(
        request,
        "cases.html",
        cases=found[:PER_PAGE],
        more=len(found) > PER_PAGE,
        word=wanted,
        chosen=status,
        statuses=list(Status),
        most=PER_PAGE,
        kind_of=kind_of,
    )


@router.get("/{case_id}")
async def one(case_id: str, request: Request, desk: AtDesk, _: Viewer) -> Response:
    """Tell one case: where it stands and why, what happened, and what is left of its cards."""
    now = desk.now()
    async with desk.tools.database.read() as session:
        row = await cases.get(session, journal.plain(case_id))
        if row is None:
            raise HTTPException(404, f"no case has the id {case_id}: look for it by its invoice or customer")
        books = await _books(session, desk, row, now)
        others = [
            other
            for other in await cases.open_of_customer(session, row.processor, row.account, row.customer)
            if other.id != row.id and row.customer
        ]
    story = Story.model_validate(row.story) if row.story else None
    return page(
        request,
        "case.html",
        case=row,
        story=story,
        said=_standing(row),
        kind=kind_of(row),
        kind_of=kind_of,
        due=_due(row, now),
        verdict=_verdict(desk, books, now),
        happened=timeline(books, desk.tools.declines),
        ledgers=books.ledgers,
        others=others,
        workflow=desk.temporal_page(row.workflow_id),
        now=now,
    )


def kind_of(row: CaseRow) -> Kind:
    """Give the colour of a case's badge."""
    return "success" if row.outcome in RECOVERED else STATUS_KINDS.get(row.status, "info")


async def _books(session: AsyncSession, desk: Desk, row: CaseRow, now: datetime) -> Books:
    mails = await messages.all_of(session, row.id)
    customer = await customers.get(session, row.processor, row.account, row.customer)
    known = {customer.email, customer.refused_address} if customer else set()
    known |= {mail.address for mail in mails}
    return Books(
        row=row,
        attempts=await attempts.all_of(session, row.id),
        messages=mails,
        journal=await journal.entries(session, row.id),
        alerts=await journal.alerts(session, row.id),
        ledgers=await ledgers_of_case(session, row.id, desk.tools.rules, now),
        addresses=frozenset(address for address in known if address),
    )


def _standing(row: CaseRow) -> str:
    return sentence(row.sentence) if row.sentence else "It was reported, and is about to be opened."


def _due(row: CaseRow, now: datetime) -> str:
    """Say how far the next step is, to the minute: a person at night does not reckon with time zones."""
    if row.next_step_at is None:
        return "when there is news"
    length = abs(row.next_step_at - now) // MINUTE * MINUTE
    if not length:
        return "now"
    return f"in {spell_duration(length)}" if row.next_step_at > now else f"{spell_duration(length)} ago"


def _verdict(desk: Desk, books: Books, now: datetime) -> Verdict | None:
    if not books.row.decline:
        return None
    on = books.row.failed_at or now
    return desk.tools.declines.judge(last_said(books), on.date())
