"""Publishing a draft: what is wrong with it, what is new in it, what it does to running cases, and then doing it.

Two pages: one on which the person chooses, and one that names the numbers and asks once more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotations
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 - likewise

from campaigns.moving import PastRule
from errors import BadCampaign, Conflict, NotKnown, ServerUnavailable
from moves import begin_move
from store import campaigns, drafts
from store import moves as stored
from store.accounts import Role
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.differences import Differences, differences_of
from web.studio.effects import LONGEST_SPREAD, SPREADS, USUAL_SPREAD, digest_of
from web.studio.frame import PREFIX, Notice, page, see_other, sentence
from web.studio.gate import Editor, Person  # noqa: TC001 - FastAPI reads the annotations
from web.studio.workspace import open_workspace
from wiring import known_of

if TYPE_CHECKING:
    from campaigns.checking import Checked
    from store.studio_tables import DraftRow, MoveRow
    from store.tables import CampaignVersionRow

log = structlog.get_logger()

router = APIRouter(prefix="/campaigns/{name}/publish")
AtDesk = Annotated[Desk, Depends(desk_of)]
LONGEST_NOTE = 500


class Cases(StrEnum):
    """Which cases a new version is for."""

    NEW = "new"
    RUNNING = "running"


class Wish(BaseModel):
    """What a person chose; ``digest`` names the text that they saw, ``based_on`` the version that was current.

    ``based_on`` is 0 where there was none. ``replaces`` is the version that they let go of although it came from
    elsewhere, or came after the one that they began from.
    """

    note: str = ""
    cases: Cases = Cases.NEW
    past: PastRule = PastRule.SKIP
    spread: int = int(USUAL_SPREAD.total_seconds())
    digest: str = ""
    based_on: int = 0
    replaces: int | None = None

    @property
    def said(self) -> str:
        """Give the note as it is kept."""
        return plain(self.note).strip()

    @property
    def is_for_running(self) -> bool:
        """Whether running cases are to be moved too."""
        return self.cases is Cases.RUNNING


Chosen = Annotated[Wish, Form()]


@dataclass(frozen=True)
class Standing:
    """Where a draft stands: its text, what was found in it, what is published now, and who runs on what."""

    name: str
    draft: DraftRow
    checked: Checked
    history: tuple[CampaignVersionRow, ...]
    running: dict[int, int]
    going_on: MoveRow | None

    @property
    def current(self) -> CampaignVersionRow | None:
        """Give the version that new cases start with; None where there is none yet."""
        return self.history[0] if self.history else None

    @property
    def version(self) -> int:
        """Give the number that the draft would get."""
        return self.current.version + 1 if self.current else 1

    @property
    def digest(self) -> str:
        """Name the text."""
        return digest_of(self.draft.document)

    @property
    def is_new(self) -> bool:
        """Whether it says anything else than what is published."""
        return self.current is None or self.current.digest != self.digest

    @property
    def meanwhile(self) -> tuple[CampaignVersionRow, ...]:
        """List what was published since the draft began, the latest first."""
        base = self.draft.base_version or 0
        return tuple(row for row in self.history if row.version > base)

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether the current version was not made in the studio, but published from a file."""
        return self.current is not None and self.current.origin == campaigns.FILE

    @property
    def replaces(self) -> int | None:
        """Name the version that can only be replaced by saying so."""
        if self.current is None or not (self.meanwhile or self.is_from_elsewhere):
            return None
        return self.current.version

    @property
    def earlier(self) -> CampaignVersionRow | None:
        """Give the earlier version that says the same, to the letter: publishing it is rolling back to it."""
        return next((row for row in self.history[1:] if row.digest == self.digest), None)

    @property
    def may_be_published(self) -> bool:
        """Whether nothing in the text is in the way.

        What was published once may come back, though the rules for campaigns have become stricter since.
        """
        return self.checked.campaign is not None and (self.earlier is not None or not self.checked.errors)

    @property
    def on_others(self) -> int:
        """Count the running cases that a move would ask."""
        return sum(self.running.values())


@router.get("")
async def publishing(name: str, request: Request, desk: AtDesk, person: Editor, note: str = "") -> Response:
    """Show what publishing the own draft would do, with the choice of how."""
    standing = await _standing(desk, person, name)
    if standing is None:
        return page(request, "publish_nothing.html", name=plain(name))
    return _choice(request, standing, Wish(note=note))


@router.post("/confirm")
async def confirm(name: str, request: Request, desk: AtDesk, person: Editor, wish: Chosen) -> Response:
    """Name what is about to happen, and ask once more."""
    standing = await _standing(desk, person, name)
    if standing is None:
        return page(request, "publish_nothing.html", name=plain(name), status=409)
    faults = _faults(standing, wish, person)
    if faults:
        return _choice(request, standing, wish, faults)
    spread = timedelta(seconds=wish.spread)
    return page(
        request, "publish_confirm.html", name=standing.name, standing=standing, wish=wish, spread=spread
    )


@router.post("")
async def publish(name: str, request: Request, desk: AtDesk, person: Editor, wish: Chosen) -> Response:
    """Publish the draft as it was confirmed, and begin to move running cases where that was chosen."""
    standing = await _standing(desk, person, name)
    if standing is None:
        return page(request, "publish_nothing.html", name=plain(name), status=409)
    faults = _faults(standing, wish, person)
    if faults:
        return _choice(request, standing, wish, faults)
    try:
        version = await _publish(desk, person, standing, wish)
    except (BadCampaign, Conflict) as error:
        # Somebody was quicker: the page is made again from what is there now.
        now_there = await _standing(desk, person, name)
        return _choice(request, now_there or standing, wish, (str(error),))
    log.info("campaign.published", campaign=name, version=version, by=person.email)
    if wish.is_for_running:
        return await _move(request, desk, person, name, version, wish)
    said = f"Version {version} of {name} is published: new cases start with it."
    return see_other(request, f"{PREFIX}/campaigns/{name}/history", said)


# --- doing it --------------------------------------------------------------------------------------


async def _publish(desk: Desk, person: Person, standing: Standing, wish: Wish) -> int:
    """Publish what was seen, over what was seen, and let the draft go; raises BadCampaign and Conflict."""
    name, by, now, earlier = standing.name, person.email, desk.now(), standing.earlier
    known = await asyncio.to_thread(known_of, desk.tools, now)
    async with desk.tools.database.begin() as session:
        draft = await drafts.get(session, name, person.account, locked=True)
        if draft is None or digest_of(draft.document) != wish.digest:
            raise Conflict("your draft was changed meanwhile, in another window: look at it again")
        if earlier is not None:
            version = await campaigns.rollback(
                session,
                name,
                earlier.version,
                by,
                wish.said,
                now,
                origin=campaigns.STUDIO,
                based_on=wish.based_on,
            )
        else:
            version = await campaigns.publish(
                session,
                draft.document,
                file=f"{name}.yaml",
                author=by,
                note=wish.said,
                now=now,
                origin=campaigns.STUDIO,
                based_on=wish.based_on or None,
                replaces=wish.replaces,
                known=known,
            )
        await drafts.publish(session, draft)
    return version


async def _move(
    request: Request, desk: Desk, person: Person, name: str, version: int, wish: Wish
) -> Response:
    """Begin the move; where that cannot be, the version stays published, and the person is told."""
    published = f"Version {version} of {name} is published: new cases start with it."
    spread = timedelta(seconds=wish.spread)
    try:
        move = await begin_move(desk, name, version, person.email, wish.said, wish.past, spread)
    except (Conflict, ServerUnavailable) as error:
        log.warning("move.not-begun", campaign=name, version=version, error=str(error))
        said = f"{published} Running cases are not being moved: {error}"
        return see_other(request, f"{PREFIX}/campaigns/{name}/history", said, "warning")
    return see_other(request, f"{PREFIX}/moves/{move.id}", f"{published} Running cases are being moved.")


# --- what pages show -------------------------------------------------------------------------------


async def _standing(desk: Desk, person: Person, name: str) -> Standing | None:
    """Gather all about the own draft of a campaign; None where there is none."""
    try:
        workspace = await open_workspace(desk, person, name)
    except NotKnown:
        return None
    if workspace.draft is None:
        return None
    name = workspace.draft.campaign
    async with desk.tools.database.read() as session:
        history = await campaigns.history(session, name)
        running = await stored.running_by_version(session, name)
        going_on = await stored.going_on(session, name)
    return Standing(name, workspace.draft, workspace.checked, tuple(history), running, going_on)


def _faults(standing: Standing, wish: Wish, person: Person) -> tuple[str, ...]:
    """Say everything that keeps a draft from being published as it is wished."""
    found = []
    if not standing.may_be_published:
        found.append("the draft has errors: mend them first")
    if not standing.is_new:
        found.append("the draft says what is published already: there is nothing to publish")
    if wish.digest != standing.digest:
        found.append("your draft was changed meanwhile, in another window: look at it again")
    if not wish.said:
        found.append("say in a note what this changes, and why")
    elif len(wish.said) > LONGEST_NOTE:
        found.append(f"the note is too long: {LONGEST_NOTE} letters are the most")
    if wish.based_on != (standing.current.version if standing.current else 0):
        found.append("another version was published while you looked at this page: look at what is new now")
    elif standing.replaces is not None and wish.replaces != standing.replaces:
        found.append(f"say that version {standing.replaces} may be replaced, or go on from it")
    if wish.is_for_running:
        found += _faults_of_move(standing, wish, person)
    return tuple(found)


def _faults_of_move(standing: Standing, wish: Wish, person: Person) -> list[str]:
    found = []
    if not person.role.allows(Role.OPERATOR):
        found.append("moving running cases needs the role operator: publish for new cases, and ask one")
    if standing.going_on:
        found.append("another move of this campaign goes on: let it end, or stop it first")
    if not 0 <= wish.spread <= LONGEST_SPREAD.total_seconds():
        found.append("the time to spread over is too long")
    return found


def _choice(request: Request, standing: Standing, wish: Wish, faults: tuple[str, ...] = ()) -> Response:
    words: dict[str, Any] = {
        "name": standing.name,
        "standing": standing,
        "wish": wish,
        "spreads": SPREADS,
        "faults": [sentence(fault) for fault in faults],
        "found": _found(standing),
        "may_move": request.state.person.role.allows(Role.OPERATOR),
    }
    if faults:
        words["notice"] = Notice("error", "It was not published. What is in the way stands below.")
    return page(request, "publish.html", status=422 if faults else 200, **words)


def _found(standing: Standing) -> Differences | None:
    """Compare the draft with what is published, where both can be read."""
    if standing.current is None:
        return None
    return differences_of(standing.current.document, standing.draft.document)
