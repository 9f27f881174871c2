"""Moves of running cases to another version: how far each is, what became of every case, and who may hold it."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import Response

import keys
from campaigns.moving import PastRule
from errors import Conflict
from moves import pause_move, resume_move, stop_move
from store import audit
from store import moves as stored
from store.journal import plain
from store.moves import Became, Progress, State, spell_progress
from web.desk import Desk, desk_of
from web.studio.frame import PREFIX, Notice, page, see_other, sentence
from web.studio.gate import Operator, Viewer

router = APIRouter(prefix="/moves")
AtDesk = Annotated[Desk, Depends(desk_of)]
Said = Annotated[str, Form()]
LIST = f"{PREFIX}/moves"
PER_PAGE = 50
# A case writes who moved it and why into its own journal, and takes no more than this.
LONGEST_WHY = 500
# The status by which htmx knows that there is nothing more to ask for.
STOP_POLLING = 286
# A screen reader is told of every tenth part, not of every case.
PARTS = 10
LARGEST = 2**62


class Show(StrEnum):
    """Which cases of a move are listed."""

    ALL = "all"
    REFUSED = "refused"
    MOVED = "moved"
    CLOSED = "closed"
    UNANSWERED = "unanswered"


STATE_KINDS = {State.RUNNING: "info", State.PAUSED: "warning", State.STOPPED: "error", State.DONE: "success"}
CASE_KINDS = {
    Became.ASKED: "info",
    Became.MOVED: "success",
    Became.REFUSED: "error",
    Became.CLOSED: "info",
    Became.UNANSWERED: "warning",
}
PAST_WORDS = {PastRule.SKIP: "are left out", PastRule.ONCE: "are done once, the latest of each kind"}
DEEDS = {"pause": pause_move, "resume": resume_move, "stop": stop_move}
DONE_WORDS = {
    "pause": "The move rests once the cases that it is asking now have answered.",
    "resume": "The move goes on.",
    "stop": "The move has ended. Cases that were moved stay moved.",
}


@router.get("")
async def moves(
    request: Request, desk: AtDesk, _: Viewer, campaign: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """List moves with their states, the latest first."""
    wanted = plain(campaign).strip()
    async with desk.tools.database.read() as session:
        rows = await stored.listing(session, wanted or None, limit=PER_PAGE)
        found = [await stored.progress(session, row.id) for row in rows]
    return page(request, "moves.html", moves=found, campaign=wanted, state_kinds=STATE_KINDS, most=PER_PAGE)


@router.get("/{move}")
async def one(
    move: str,
    request: Request,
    desk: AtDesk,
    _: Viewer,
    show: Annotated[Show | None, Query()] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> Response:
    """Show one move: how far it is, what became of its cases, and what can be done with it."""
    return page(request, "move.html", **await _words(desk, move, show, after))


@router.get("/{move}/progress")
async def progress(
    move: str,
    request: Request,
    desk: AtDesk,
    _: Viewer,
    state: str = "",
    part: int = -1,
    shown: int = -1,
    show: Annotated[Show | None, Query()] = None,
) -> Response:
    """Give how far a move is, as a part of its page, with what else has changed since that page was made."""
    words = await _words(desk, move, show)
    row = words["move"]
    changed = {
        "is_told": (state, part) != (row.state, words["part"]),
        "is_turned": state != row.state,
        "is_longer": shown != words["shown"],
    }
    status = 200 if row.finished_at is None else STOP_POLLING
    return page(request, "move_progress.html", status=status, **words, **changed)


@router.post("/{move}/{deed}")
async def ask(
    move: str, deed: str, request: Request, desk: AtDesk, person: Operator, why: Said = ""
) -> Response:
    """Pause, resume or stop a move; who and why stand in the audit log."""
    if deed not in DEEDS:
        raise HTTPException(404, f"nothing like '{deed}' can be done with a move")
    said = plain(why).strip()
    if not said or len(said) > LONGEST_WHY:
        fault = "say why" if not said else f"say why in no more than {LONGEST_WHY} letters"
        return await _fault_page(request, desk, move, fault, why=said, status=422)
    try:
        await DEEDS[deed](desk, move, person.email, said)
    except Conflict as error:
        return await _fault_page(request, desk, move, str(error), why=said, status=409)
    return see_other(request, f"{LIST}/{move}", DONE_WORDS[deed])


# --- what pages show -------------------------------------------------------------------------------


async def _fault_page(
    request: Request, desk: Desk, move: str, fault: str, *, why: str, status: int
) -> Response:
    words = await _words(desk, move, None)
    return page(
        request, "move.html", status=status, why=why, notice=Notice("error", sentence(fault)), **words
    )


async def _words(desk: Desk, move_id: str, show: Show | None, after: int = 0) -> dict[str, Any]:
    """Gather everything about a move; without a wish to see others, its refusals are shown where it has any."""
    async with desk.tools.database.read() as session:
        found = await stored.progress(session, plain(move_id))
        chosen = show or (Show.REFUSED if found.refused else Show.ALL)
        became = None if chosen is Show.ALL else Became(chosen)
        cases = await stored.outcomes(session, found.move.id, became, limit=PER_PAGE + 1, after=after)
    counts = {
        Show.ALL: found.settled,
        Show.REFUSED: found.refused,
        Show.MOVED: found.moved,
        Show.CLOSED: found.closed,
        Show.UNANSWERED: found.unanswered,
    }
    more = None
    if cases[PER_PAGE:]:
        there = {"show": str(chosen), "after": cases[PER_PAGE - 1].row.number}
        more = f"{LIST}/{found.move.id}?{urlencode(there)}"
    return {
        "progress": found,
        "move": found.move,
        "said": sentence(spell_progress(found)),
        "part": _part(found),
        "kinds": [kind for kind in Show if counts[kind] or kind is not Show.UNANSWERED],
        "chosen": chosen,
        "shown": counts[chosen],
        "cases": cases[:PER_PAGE],
        "more": more,
        "spread": timedelta(seconds=found.move.spread_seconds),
        "past": PAST_WORDS[PastRule(found.move.past)],
        "state_kinds": STATE_KINDS,
        "case_kinds": CASE_KINDS,
        "temporal_page": desk.temporal_page,
        "workflow": desk.temporal_page(keys.move_workflow_id(found.move.id)),
        "subject": audit.of_move(found.move.id),
    }


def _part(progress: Progress) -> int:
    return progress.settled * PARTS // progress.total if progress.total else PARTS
