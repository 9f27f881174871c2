"""The versions of a campaign: who published what and when, how any two differ, and the way back to an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, HTTPException
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 - likewise

from errors import NotKnown
from store import campaigns, drafts
from store import moves as stored
from store.accounts import Role
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.differences import differences_of
from web.studio.frame import PREFIX, page, see_other
from web.studio.gate import Editor, Viewer  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.tables import CampaignVersionRow

router = APIRouter(prefix="/campaigns/{name}/history")
AtDesk = Annotated[Desk, Depends(desk_of)]
ORIGINS = {
    campaigns.LIBRARY_ORIGIN: "ships with Dunwell",
    campaigns.FILE: "file",
    campaigns.STUDIO: "studio",
}


@router.get("")
async def history(name: str, request: Request, desk: AtDesk, person: Viewer) -> Response:
    """List the versions of a campaign, the latest first, with how many cases run on each."""
    versions = await _versions(desk, name)
    name = versions[0].name
    async with desk.tools.database.read() as session:
        running = await stored.running_by_version(session, name)
        going_on = await stored.going_on(session, name)
        draft = await drafts.get(session, name, person.account)
    others = sum(count for number, count in running.items() if number != versions[0].version)
    return page(
        request,
        "history.html",
        name=name,
        versions=versions,
        running=running,
        others=others,
        going_on=going_on,
        draft=draft,
        origins=ORIGINS,
        may_edit=person.role.allows(Role.EDITOR),
        may_move=person.role.allows(Role.OPERATOR),
    )


@router.get("/compare")
async def compare(
    name: str, request: Request, desk: AtDesk, _: Viewer, old: int = 0, new: int = 0
) -> Response:
    """Show how two versions differ: in words, and line by line."""
    versions = await _versions(desk, name)
    name = versions[0].name
    new = new or versions[0].version
    old = old or max(new - 1, versions[-1].version)
    before, after = _among(versions, name, old), _among(versions, name, new)
    found = differences_of(before.document, after.document)
    return page(
        request,
        "compare.html",
        name=name,
        versions=versions,
        before=before,
        after=after,
        found=found,
        origins=ORIGINS,
    )


@router.get("/{version}")
async def one(name: str, version: int, request: Request, desk: AtDesk, person: Viewer) -> Response:
    """Show one version as it was written."""
    versions = await _versions(desk, name)
    name = versions[0].name
    row = _among(versions, name, version)
    async with desk.tools.database.read() as session:
        running = await stored.running_by_version(session, name)
        draft = await drafts.get(session, name, person.account)
    return page(
        request,
        "version.html",
        name=name,
        row=row,
        current=versions[0],
        running=running.get(version, 0),
        draft=draft,
        origins=ORIGINS,
        may_edit=person.role.allows(Role.EDITOR),
    )


@router.post("/{version}/roll-back")
async def roll_back(
    name: str,
    version: int,
    request: Request,
    desk: AtDesk,
    person: Editor,
    replace: Annotated[str, Form()] = "",
) -> Response:
    """Make an earlier version the own draft, so that it can be published again, with its effects seen first."""
    versions = await _versions(desk, name)
    name = versions[0].name
    row, current = _among(versions, name, version), versions[0]
    path = f"{PREFIX}/campaigns/{name}"
    if row.version == current.version:
        return see_other(request, f"{path}/history", f"Version {version} is the current one.", "info")
    change = f"back to version {version}"
    async with desk.tools.database.begin() as session:
        draft = await drafts.get(session, name, person.account, locked=True)
        if draft is not None and not replace:
            said = "You have a draft of this campaign: say that it may be replaced, or publish or discard it."
            return see_other(request, f"{path}/history/{version}", said, "warning")
        text = drafts.Text(row.document, readable=True, change=change)
        if draft is None:
            await drafts.begin(
                session, name, person.account, person.email, desk.now(), row.document, current.version
            )
        else:
            await drafts.rebase(session, draft, text, current.version, desk.now())
    return see_other(
        request,
        f"{path}/publish?note=Back+to+version+{version}",
        f"Your draft says what version {version} says. Look at what that does, and publish it.",
        "info",
    )


async def _versions(desk: Desk, name: str) -> Sequence[CampaignVersionRow]:
    async with desk.tools.database.read() as session:
        found = await campaigns.history(session, plain(name))
    if not found:
        raise NotKnown(f"no campaign is called '{plain(name)}'")
    return found


def _among(versions: Sequence[CampaignVersionRow], name: str, number: int) -> CampaignVersionRow:
    found = next((row for row in versions if row.version == number), None)
    if found is None:
        raise HTTPException(404, f"campaign '{name}' has no version {number}")
    return found
