"""The audit log as a page: who changed what, and when."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from store import audit
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.frame import PREFIX, page
from web.studio.gate import Viewer

router = APIRouter()
AtDesk = Annotated[Desk, Depends(desk_of)]
PER_PAGE = 50
# Above this no database counts; a larger number in an address is a typing error.
LARGEST = 2**62


@router.get("/audit")
async def audit_log(
    request: Request,
    desk: AtDesk,
    _: Viewer,
    by: Annotated[str, Query(max_length=320)] = "",
    subject: Annotated[str, Query(max_length=400)] = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """List what was changed, the latest first, by anybody or one person, of anything or one subject."""
    filters = {"by": plain(by).strip(), "subject": plain(subject).strip()}
    async with desk.tools.database.read() as session:
        found = await audit.listing(
            session,
            filters["subject"] or None,
            filters["by"] or None,
            limit=PER_PAGE + 1,
            before=before,
        )
        authors = await audit.authors(session)
    entries = found[:PER_PAGE]
    kept = {name: value for name, value in filters.items() if value}
    older = (
        f"{PREFIX}/audit?" + urlencode({**kept, "before": entries[-1].number}) if found[PER_PAGE:] else None
    )
    return page(
        request,
        "audit.html",
        entries=entries,
        authors=authors,
        by=filters["by"],
        subject=filters["subject"],
        latest=before is None,
        newest=f"{PREFIX}/audit?{urlencode(kept)}",
        older=older,
    )
