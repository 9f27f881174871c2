"""What an edit would do to running cases, worked out while the page waits: for publishing, and before a move."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotations
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - likewise

from campaigns.moving import Moving, PastRule
from campaigns.reading import read_campaign
from errors import BadCampaign
from moves import Effects, effects_of
from store import campaigns, drafts
from store import moves as stored
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.effect_words import groups_of, spell_totals
from web.studio.frame import page
from web.studio.gate import Person, Viewer  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from datetime import datetime

    from fastapi import FastAPI

    from campaigns.document import Campaign

log = structlog.get_logger()

router = APIRouter(prefix="/campaigns/{name}")
AtDesk = Annotated[Desk, Depends(desk_of)]
DRAFT = "draft"
# A case takes some milliseconds; of more than these, those that were looked at stand for the others.
MOST_CASES = 10_000
# A page is answered at once where this is enough, and asks again where not.
PATIENCE = 1.0
# Cases go on meanwhile: what was found is shown again for so long, and no longer.
FRESH = timedelta(minutes=2)
AT_ONCE, KEPT = 2, 16
NO_TIME = timedelta(0)
SPREADS = (
    NO_TIME,
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=12),
    timedelta(days=1),
)
USUAL_SPREAD = timedelta(hours=1)
LONGEST_SPREAD = timedelta(days=7)


# --- working it out --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What is to be worked out: a text as a version of a campaign, and how cases would be moved to it."""

    campaign: str
    digest: str
    version: int
    past: PastRule
    spread: timedelta


@dataclass
class Run:
    """One question being worked out, or answered; ``total`` is how many cases will be looked at."""

    begun: datetime
    total: int = 0
    running: int = 0
    seen: int = 0
    task: asyncio.Task[Effects] = field(init=False)

    @property
    def is_done(self) -> bool:
        """Whether there is an answer, or an error; what was dropped half way is asked for again."""
        return self.task.done() and not self.task.cancelled()


@dataclass
class EffectRuns:
    """Effects that were asked for of late, by this process; nobody waits for the same work twice."""

    _runs: OrderedDict[Question, Run] = field(default_factory=OrderedDict)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def look(self, desk: Desk, question: Question, campaign: Campaign) -> Run:
        """Begin to work a question out unless that was done just now, and wait for a moment."""
        run = self._runs.get(question)
        if run is None or _is_stale(run, desk.now()):
            run = self._runs[question] = self._begin(desk, question, campaign)
        self._runs.move_to_end(question)
        while len(self._runs) > KEPT:
            _, dropped = self._runs.popitem(last=False)
            dropped.task.cancel()
        await asyncio.wait({run.task}, timeout=PATIENCE)
        return run

    async def close(self) -> None:
        """Stop what nobody will ask for any more."""
        for run in self._runs.values():
            run.task.cancel()
        await asyncio.gather(*(run.task for run in self._runs.values()), return_exceptions=True)

    def _begin(self, desk: Desk, question: Question, campaign: Campaign) -> Run:
        run = Run(desk.now())
        run.task = asyncio.create_task(self._work(run, desk, question, campaign), name="effects of an edit")
        # Whoever asked may have gone away meanwhile, and nobody else would hear of it.
        run.task.add_done_callback(_tell_trouble)
        return run

    async def _work(self, run: Run, desk: Desk, question: Question, campaign: Campaign) -> Effects:
        def told(seen: int) -> None:
            run.seen = seen

        target = Moving(campaign, question.version, question.past, question.spread)
        async with self._room, desk.tools.database.read() as session:
            run.running = await stored.count_running(session, question.campaign, but=question.version)
            run.total = min(run.running, MOST_CASES)
            return await effects_of(session, target, desk.now(), most=MOST_CASES, told=told)


def _tell_trouble(task: asyncio.Task[Effects]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("effects.trouble", error=repr(task.exception()))


def _is_stale(run: Run, now: datetime) -> bool:
    if not run.task.done():
        return False
    return run.task.cancelled() or run.task.exception() is not None or run.begun + FRESH < now


def add_to(app: FastAPI) -> None:
    """Give an application the place where its effects are worked out."""
    app.state.effects = EffectRuns()


def effects_of_app(app: FastAPI) -> EffectRuns:
    """Find the application's effects."""
    found: EffectRuns = app.state.effects
    return found


def digest_of(text: str) -> str:
    """Name a text by what is in it."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- the part of a page ----------------------------------------------------------------------------


class Asked(BaseModel):
    """Which effects a page asks for: of ``of`` (the own draft, or a version) on running cases that are moved so.

    ``button`` asks for the button that carries it out, which is there only once the numbers are.
    """

    of: str = DRAFT
    past: PastRule = PastRule.SKIP
    spread: int = Field(default=0, ge=0, le=int(LONGEST_SPREAD.total_seconds()))
    button: str = ""


@router.get("/effects")
async def effects(
    name: str, request: Request, desk: AtDesk, person: Viewer, asked: Annotated[Asked, Query()]
) -> Response:
    """Give the effects of a draft or a version on running cases, or how far they are worked out."""
    name = plain(name)
    text, version = await _wanted(desk, person, name, asked.of)
    try:
        campaign = read_campaign(text, file=name)
    except BadCampaign as error:
        raise HTTPException(422, f"this cannot be read as a campaign: {error.faults[0]}") from error
    question = Question(name, digest_of(text), version, asked.past, timedelta(seconds=asked.spread))
    run = await effects_of_app(request.app).look(desk, question, campaign)
    words: dict[str, Any] = {"run": run, "name": name, "version": version, "asked": asked}
    if run.is_done:
        found = run.task.result()
        words["summary"], words["groups"] = found.summary, groups_of(found, desk)
        words["totals"] = spell_totals(found.summary)
    return page(request, "effects.html", **words)


async def _wanted(desk: Desk, person: Person, name: str, of: str) -> tuple[str, int]:
    """Give the text, and the version's number that it has or would get."""
    async with desk.tools.database.read() as session:
        history = await campaigns.history(session, name)
        draft = await drafts.get(session, name, person.account)
    if of != DRAFT:
        found = next((row for row in history if str(row.version) == of), None)
        if found is None:
            raise HTTPException(404, f"campaign '{name}' has no version '{of}'")
        return found.document, found.version
    if draft is None:
        raise HTTPException(404, f"you have no draft of campaign '{name}'")
    return draft.document, history[0].version + 1 if history else 1
