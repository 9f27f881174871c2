"""Moving running cases to the version that is published already: what it would do, and to begin it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotations
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 - likewise

from campaigns.moving import PastRule
from errors import Conflict
from moves import begin_move
from store import campaigns
from store import moves as stored
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.effects import LONGEST_SPREAD, SPREADS, USUAL_SPREAD
from web.studio.frame import PREFIX, page, see_other, sentence
from web.studio.gate import Operator  # noqa: TC001 - FastAPI reads the annotation
from web.studio.moves import LONGEST_WHY

if TYPE_CHECKING:
    from collections.abc import Sequence

router = APIRouter(prefix="/campaigns/{name}/move")
AtDesk = Annotated[Desk, Depends(desk_of)]


class Wish(BaseModel):
    """How running cases are to be moved, and why; ``version`` is the one that the person saw."""

    version: int = 0
    past: PastRule = PastRule.SKIP
    spread: int = int(USUAL_SPREAD.total_seconds())
    why: str = ""

    @property
    def said(self) -> str:
        """Give the reason as it is kept."""
        return plain(self.why).strip()


@router.get("")
async def looking(name: str, request: Request, desk: AtDesk, _: Operator) -> Response:
    """Show what moving running cases to the current version would do, with the choice of how."""
    return await _page(request, desk, plain(name), Wish())


@router.post("")
async def move(
    name: str, request: Request, desk: AtDesk, person: Operator, wish: Annotated[Wish, Form()]
) -> Response:
    """Begin to move every running case of another version."""
    name = plain(name)
    async with desk.tools.database.read() as session:
        _, current = await campaigns.version(session, name)
    faults = []
    if wish.version != current:
        faults.append(f"version {current} was published meanwhile: look at what that would do")
    if not wish.said or len(wish.said) > LONGEST_WHY:
        faults.append(f"say why, in no more than {LONGEST_WHY} letters")
    if not 0 <= wish.spread <= LONGEST_SPREAD.total_seconds():
        faults.append("the time to spread over is too long")
    if faults:
        return await _page(request, desk, name, wish, faults)
    spread = timedelta(seconds=wish.spread)
    try:
        begun = await begin_move(desk, name, current, person.email, wish.said, wish.past, spread)
    except Conflict as error:
        return await _page(request, desk, name, wish, [str(error)], status=409)
    return see_other(
        request, f"{PREFIX}/moves/{begun.id}", f"Running cases are being moved to version {current}."
    )


async def _page(
    request: Request, desk: Desk, name: str, wish: Wish, faults: Sequence[str] = (), status: int = 422
) -> Response:
    async with desk.tools.database.read() as session:
        _, current = await campaigns.version(session, name)
        running = await stored.running_by_version(session, name)
        going_on = await stored.going_on(session, name)
    running.pop(current, None)
    words: dict[str, Any] = {"running": running, "going_on": going_on, "spreads": SPREADS}
    words["faults"] = [sentence(fault) for fault in faults]
    return page(
        request,
        "move_now.html",
        status=status if faults else 200,
        name=name,
        version=current,
        wish=wish,
        **words,
    )
