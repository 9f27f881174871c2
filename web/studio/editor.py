"""One campaign: its timeline and its YAML, each following the other, and the draft that both are of."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from campaigns.calendars import WEEKDAYS
from campaigns.merging import merge
from campaigns.words import ENDS, takes_in_words, template_in_words
from errors import BadInput, Conflict, NotKnown
from store import campaigns, drafts
from store.accounts import Role
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.frame import PREFIX, Notice, is_htmx, page, see_other
from web.studio.gate import Editor, Person, Viewer
from web.studio.timeline import Timeline, timeline_of
from web.studio.typed import StepTyped, form_of_end, form_of_rules, form_of_step
from web.studio.workspace import Workspace, change, lines_of, open_workspace

router = APIRouter(prefix="/campaigns/{name}")
AtDesk = Annotated[Desk, Depends(desk_of)]
Typed = Annotated[str, Form()]
UNDONE = "Undone: "


@dataclass(frozen=True)
class Said:
    """How a change ended, for the page that follows.

    ``open`` names the form that stays open, ``focus`` what gets the keyboard where the part that had it is
    gone. ``refused`` is why nothing was changed, and ``typed`` what stands in the form nevertheless.
    """

    text: str = ""
    open: str = ""
    focus: str = ""
    refused: str = ""
    typed: dict[str, Any] = field(default_factory=dict)


@router.get("")
async def show(
    name: str,
    request: Request,
    desk: AtDesk,
    person: Viewer,
    opened: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show a campaign as a timeline and as YAML: the own draft where there is one, else what is published."""
    workspace = await open_workspace(desk, person, name)
    return _page(request, desk, person, workspace, Said(open=plain(opened)))


# --- the YAML --------------------------------------------------------------------------------------


@router.post("/yaml")
async def save_yaml(
    name: str, request: Request, desk: AtDesk, person: Editor, document: Typed = "", seen: Typed = ""
) -> Response:
    """Keep the YAML as it was typed, with whatever is wrong in it; the timeline follows."""
    # A browser sends every line of a text field with a carriage return.
    workspace = await keep_typed(desk, person, name, document.replace("\r\n", "\n"), seen)
    if not is_htmx(request):
        return see_other(request, f"{PREFIX}/campaigns/{workspace.name}", said_of_yaml(workspace))
    words = words_of(desk, person, workspace, Said(said_of_yaml(workspace)))
    return page(request, "campaign_followed.html", **words)


def said_of_yaml(workspace: Workspace) -> str:
    """Say how the timeline follows the YAML."""
    if not workspace.changed:
        return "Nothing was changed."
    errors = len(workspace.checked.errors)
    saved = f"Saved with {errors} error{'' if errors == 1 else 's'}" if errors else "Saved"
    if workspace.is_stale:
        return f"{saved}. The timeline shows the last state that could be read."
    return f"{saved}. {workspace.changed}."


async def keep_typed(desk: Desk, person: Person, name: str, typed: str, seen: str) -> Workspace:
    """Keep what was typed over the text whose digest is ``seen``; raises Conflict where that is another now."""

    def make(before: Workspace) -> str:
        if seen and before.digest != seen and before.document != typed:
            raise Conflict(
                "your draft was changed in another window since this page was opened, so that what you typed"
                " here was not saved: copy what you need of it, and open the page again"
            )
        return typed

    return await change(desk, person, name, make)


# --- the draft -------------------------------------------------------------------------------------


@router.post("/undo")
async def undo(name: str, request: Request, desk: AtDesk, person: Editor) -> Response:
    """Take the latest change back; taking that back brings the change again."""
    before = await open_workspace(desk, person, name)
    if before.draft is None or before.draft.before is None:
        raise BadInput("there is nothing to undo: your draft was not changed, or is gone")
    old, done = before.draft.before, before.draft.change
    said = done.removeprefix(UNDONE) if done.startswith(UNDONE) else f"{UNDONE}{done}"

    def make(now: Workspace) -> str:
        if now.document != before.document:
            raise Conflict("your draft was changed meanwhile, in another window: look at it again")
        return old

    workspace = await change(desk, person, name, make, said)
    return answer(request, desk, person, workspace, Said(said, focus="undo"))


@router.post("/discard")
async def discard(name: str, request: Request, desk: AtDesk, person: Editor) -> Response:
    """Throw the own draft away, and show what is published."""
    async with desk.tools.database.begin() as session:
        row = await drafts.get(session, name, person.account, locked=True)
        if row is None:
            raise NotKnown(f"you have no draft of {name}: it was discarded, or published")
        await drafts.discard(session, row, person.email, desk.now())
    place = f"{PREFIX}/campaigns" if row.base_version is None else f"{PREFIX}/campaigns/{row.campaign}"
    return see_other(request, place, f"Your draft of {row.campaign} is discarded.")


@router.post("/rebase")
async def rebase(name: str, request: Request, desk: AtDesk, person: Editor, keep: Typed = "both") -> Response:
    """Take what was published meanwhile as the base: with the own changes on top of it, or in their place."""
    workspace = await open_workspace(desk, person, name)
    draft, current = workspace.draft, workspace.current
    if draft is None or current is None or not workspace.is_behind:
        raise Conflict(f"nothing was published since your draft of {name} began: look at it again")
    document: str | None = draft.document
    if keep != "mine":
        async with desk.tools.database.read() as session:
            base = await campaigns.document(session, name, draft.base_version) if draft.base_version else None
        document = merge(base.document if base else "", draft.document, current.document)
    if document is None:
        return _page(request, desk, person, workspace, Said(), status=409, clash=True)
    checked = await asyncio.to_thread(workspace.examiner.check, document)
    said = f"Your changes go on from version {current.version}"
    text = drafts.Text(document, checked.campaign is not None, said)
    async with desk.tools.database.begin() as session:
        row = await drafts.get(session, name, person.account, locked=True)
        if row is None or row.document != draft.document:
            raise Conflict("your draft was changed meanwhile, in another window: look at it again")
        await drafts.rebase(session, row, text, current.version, desk.now())
    return see_other(request, f"{PREFIX}/campaigns/{row.campaign}", f"{said}.")


# --- answers ---------------------------------------------------------------------------------------


def answer(request: Request, desk: Desk, person: Person, workspace: Workspace, said: Said) -> Response:
    """Show what came of a change: the parts of the page that follow, or without htmx a page of its own."""
    status = 422 if said.refused else 200
    if is_htmx(request):
        words = words_of(desk, person, workspace, said)
        return page(request, "campaign_changed.html", status=status, **words)
    if said.refused:
        return _page(request, desk, person, workspace, said, status=status)
    opened = f"?opened={said.open}#{said.open}" if said.open else ""
    return see_other(request, f"{PREFIX}/campaigns/{workspace.name}{opened}", f"{said.text}.")


def _page(
    request: Request,
    desk: Desk,
    person: Person,
    workspace: Workspace,
    said: Said,
    status: int = 200,
    *,
    clash: bool = False,
) -> Response:
    words = words_of(desk, person, workspace, said)
    if said.refused:
        words["notice"] = Notice("error", f"Nothing was changed. {said.refused}")
    words["clash"] = clash
    return page(request, "campaign.html", status=status, **words)


def words_of(desk: Desk, person: Person, workspace: Workspace, said: Said) -> dict[str, Any]:
    """Gather what the parts of the page show."""
    shown = workspace.shown
    timeline: Timeline | None = None
    if shown is not None:
        fresh = not workspace.is_stale
        timeline = timeline_of(
            shown,
            workspace.checked.faults if fresh else (),
            lines_of(workspace.document) if fresh else {},
        )
    is_default = workspace.name == desk.tools.default_campaign
    return {
        "workspace": workspace,
        "name": workspace.name,
        "title": (shown.title if shown else "") or workspace.name,
        "timeline": timeline,
        "takes": takes_in_words(shown.takes, is_default=is_default) if shown else "",
        "templates": {
            template: template_in_words(template) for template in sorted(desk.tools.renderer.names())
        },
        "lines": workspace.document.count("\n") + 1,
        "fault_lines": {fault.line: fault.severity for fault in reversed(workspace.checked.faults)},
        "may_edit": person.role.allows(Role.EDITOR),
        # In the timeline only what is shown can be changed.
        "may_change": person.role.allows(Role.EDITOR) and not workspace.is_stale,
        "said": said,
        # Of the forms of one group a browser lets one be open; those that are about to go must not count.
        "group": f"change-{secrets.token_hex(4)}",
        "form_of_step": form_of_step,
        "form_of_end": form_of_end,
        "empty_form": StepTyped(),
        "rules_form": form_of_rules(shown) if shown else None,
        "final_actions": ENDS,
        "weekdays": WEEKDAYS,
        "here": "campaign",
        "has_versions": workspace.current is not None,
        "clash": False,
        "oob": False,
    }
