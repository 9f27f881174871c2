"""Campaigns in shadow, as a page: what they would have done, beside what the processor did by itself."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from shadow_report import UNKNOWN, rows_of, sentences
from store.shadow import compared
from web.desk import Desk, desk_of
from web.studio.frame import page
from web.studio.gate import Viewer

router = APIRouter()
AtDesk = Annotated[Desk, Depends(desk_of)]


@router.get("/shadow")
async def shadow(request: Request, desk: AtDesk, _: Viewer) -> Response:
    """Compare every campaign that has cases in shadow with the processor's own retries."""
    async with desk.tools.database.read() as session:
        found = await compared(session)
    declines, today = desk.tools.declines, desk.now().date()
    parts = [
        (name, rows_of(part, declines, today), list(sentences(part))) for name, part in sorted(found.items())
    ]
    return page(request, "shadow.html", parts=parts, unknown=UNKNOWN)
