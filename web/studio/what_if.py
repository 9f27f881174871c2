"""What a draft would have done to past failures, beside the published version: beginning a run, and what it found."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, File, Form, UploadFile
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 - likewise

from campaigns.past_failures import COLUMNS, LARGEST_FILE, NEEDED
from errors import BadCampaign, BadInput, Conflict, NotKnown
from store import audit, campaigns, drafts, what_ifs
from store.accounts import Role
from store.journal import plain
from store.what_ifs import State
from web.desk import Desk, desk_of
from web.studio.figures_compared import Compared, compared
from web.studio.frame import PREFIX, page, see_other, sentence
from web.studio.gate import Editor, Person, Viewer  # noqa: TC001 - FastAPI reads the annotations
from web.studio.moves import STOP_POLLING
from what_if import Wanted, WhatIfRuns

if TYPE_CHECKING:
    from fastapi import FastAPI

    from store.studio_tables import DraftRow, WhatIfRow

router = APIRouter(prefix="/campaigns/{name}/what-if")
AtDesk = Annotated[Desk, Depends(desk_of)]
# The other fields of the form, and what a browser writes around a file.
ENVELOPE = 64 * 1024
USUAL_DAYS = 90
LONGEST_NAME = 100

STATE_KINDS = {
    State.RUNNING: "info",
    State.DONE: "success",
    State.FAILED: "error",
    State.CANCELLED: "warning",
    State.LOST: "error",
}


def add_to(app: FastAPI) -> None:
    """Give an application the place where runs are begun."""
    desk: Desk = app.state.desk
    app.state.what_ifs = WhatIfRuns(
        desk.tools.database,
        desk.settings.database_url,
        desk.settings.default_campaign,
        desk.settings.facts_folder,
    )


def runs_of_app(app: FastAPI) -> WhatIfRuns:
    """Find the application's runs."""
    found: WhatIfRuns = app.state.what_ifs
    return found


@router.get("")
async def what_if(name: str, request: Request, desk: AtDesk, person: Viewer) -> Response:
    """Show the form that begins a run of the own draft, and earlier runs of anybody."""
    since = (desk.now() - timedelta(days=USUAL_DAYS)).date().isoformat()
    return await _form_page(request, desk, person, name, {"source": "cases", "since": since})


@router.post("", max_body_size=LARGEST_FILE + ENVELOPE)
async def begin(
    name: str,
    request: Request,
    desk: AtDesk,
    person: Editor,
    source: Annotated[str, Form()] = "cases",
    since: Annotated[str, Form(max_length=40)] = "",
    csv: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Begin to try the own draft on past cases, or on the failures of a file."""
    typed = {"source": source, "since": since}
    try:
        draft = await _draft(desk, person, name)
        if source == "file":
            wanted = await _of_file(draft, person, csv)
        else:
            wanted = Wanted(draft.document, person.email, since=_read_day(since))
        run = await runs_of_app(request.app).begin(wanted)
    except (BadInput, Conflict) as error:
        fault = (
            f"the draft cannot be read: {error.faults[0]}" if isinstance(error, BadCampaign) else str(error)
        )
        return await _form_page(request, desk, person, name, typed, fault=sentence(fault))
    async with desk.tools.database.begin() as session:
        subject = audit.of_campaign(draft.campaign)
        await audit.write(session, desk.now(), person.email, "what-if begun", subject, wanted.source)
    return see_other(request, f"{PREFIX}/campaigns/{draft.campaign}/what-if/{run}")


@router.get("/{run}")
async def one(name: str, run: str, request: Request, desk: AtDesk, person: Viewer) -> Response:
    """Show how far a run is, or what it found."""
    words = await _words(desk, person, name, run)
    return page(request, "what_if_run.html", **words)


@router.get("/{run}/progress")
async def progress(name: str, run: str, request: Request, desk: AtDesk, person: Viewer) -> Response:
    """Give how far a run is, or what it found, as a part of its page."""
    words = await _words(desk, person, name, run)
    status = 200 if words["state"] is State.RUNNING else STOP_POLLING
    return page(request, "what_if_state.html", status=status, is_part=True, **words)


@router.post("/{run}/cancel")
async def cancel(name: str, run: str, request: Request, desk: AtDesk, person: Editor) -> Response:
    """Let a run end without a result."""
    async with desk.tools.database.begin() as session:
        row = await _of_campaign(session, name, run)
        cancelled = await what_ifs.cancel(session, row.id, person.email, desk.now())
        if cancelled:
            subject = audit.of_campaign(row.campaign)
            await audit.write(session, desk.now(), person.email, "what-if cancelled", subject, row.source)
    said = "The run is cancelled." if cancelled else "The run had ended already."
    path = f"{PREFIX}/campaigns/{row.campaign}/what-if"
    return see_other(request, path, said, "success" if cancelled else "info")


# --- what is asked for -----------------------------------------------------------------------------


async def _draft(desk: Desk, person: Person, name: str) -> DraftRow:
    async with desk.tools.database.read() as session:
        draft = await drafts.get(session, name, person.account)
    if draft is None:
        raise NotKnown(f"you have no draft of {plain(name)}: change something first, to see what it would do")
    return draft


def _read_day(text: str) -> datetime | None:
    """Read a day as browsers write it; None where it is left out. Raises BadInput."""
    if not text.strip():
        return None
    try:
        return datetime.combine(date.fromisoformat(text.strip()), time(), UTC)
    except ValueError:
        raise BadInput(
            f"'{text}' is no day: write it as in 2026-01-31, or leave it out for all cases"
        ) from None


async def _of_file(draft: DraftRow, person: Person, csv: UploadFile | None) -> Wanted:
    """Take a file over, into one of our own that the run deletes; raises BadInput where there is none."""
    if csv is None or not csv.filename:
        raise BadInput("choose a CSV file of failures")
    kept = await asyncio.to_thread(_keep, csv)
    file_name = plain(Path(csv.filename).name)[:LONGEST_NAME]
    return Wanted(draft.document, person.email, csv=kept, csv_name=file_name)


def _keep(csv: UploadFile) -> Path:
    with tempfile.NamedTemporaryFile(prefix="dunwell-what-if-", suffix=".csv", delete=False) as kept:
        shutil.copyfileobj(csv.file, kept)
    return Path(kept.name)


# --- what pages show -------------------------------------------------------------------------------


async def _form_page(
    request: Request, desk: Desk, person: Person, name: str, typed: dict[str, str], fault: str = ""
) -> Response:
    name = plain(name)
    async with desk.tools.database.read() as session:
        draft = await drafts.get(session, name, person.account)
        has_versions = bool(await campaigns.history(session, name))
        rows = await what_ifs.listing(session, name)
    if draft is None and not has_versions:
        raise NotKnown(f"no campaign is called '{name}'")
    states = [(row, what_ifs.state_of(row, desk.now())) for row in rows]
    return page(
        request,
        "what_if.html",
        status=422 if fault else 200,
        name=name,
        draft=draft,
        has_versions=has_versions,
        runs=states,
        typed=typed,
        fault=fault,
        columns=COLUMNS,
        needed=NEEDED,
        largest=LARGEST_FILE // 1024**2,
        state_kinds=STATE_KINDS,
        may_edit=person.role.allows(Role.EDITOR),
    )


async def _words(desk: Desk, person: Person, name: str, run: str) -> dict[str, Any]:
    async with desk.tools.database.read() as session:
        row = await _of_campaign(session, name, run)
        has_versions = bool(await campaigns.history(session, row.campaign))
    found = what_ifs.comparison_of(row)
    shown: Compared | None = compared(found) if found else None
    return {
        "name": row.campaign,
        "run": row,
        "state": what_ifs.state_of(row, desk.now()),
        "state_kinds": STATE_KINDS,
        "found": found,
        "shown": shown,
        "has_versions": has_versions,
        "may_edit": person.role.allows(Role.EDITOR),
    }


async def _of_campaign(session: Any, name: str, run: str) -> WhatIfRow:
    row = await what_ifs.get(session, plain(run))
    if row.campaign != name:
        raise NotKnown(f"campaign '{name}' has no what-if run '{run}'")
    return row
