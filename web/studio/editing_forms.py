"""The forms of the timeline: a step's time and deeds, steps added, moved and removed, the end, the rules."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from campaigns.changes import (
    AddStep,
    Change,
    ChangeEnd,
    ChangeRules,
    ChangeStep,
    ChangeTimezone,
    ChangeTitle,
    ChangeWindow,
    MoveStep,
    RemoveStep,
)
from campaigns.editing import edit
from errors import BadCampaign, BadInput, Fault, NotKnown
from web.desk import Desk, desk_of
from web.studio.editor import Said, answer, keep_typed
from web.studio.frame import sentence
from web.studio.gate import Editor, Person
from web.studio.typed import Beside, EndTyped, RulesTyped, StepTyped, TitleTyped, WindowTyped
from web.studio.workspace import Workspace, change, digest_of, open_workspace

router = APIRouter(prefix="/campaigns/{name}")
AtDesk = Annotated[Desk, Depends(desk_of)]
UNDO = "undo"


@dataclass(frozen=True)
class Edit:
    """Changes that a form asks for together; ``place`` names the form within its page.

    ``focus`` names what gets the keyboard afterwards, where the form itself is gone.
    """

    changes: tuple[Change, ...]
    place: str
    focus: str = ""


# --- steps -----------------------------------------------------------------------------------------


@router.post("/steps")
async def add_step(
    name: str, request: Request, desk: AtDesk, person: Editor, typed: Annotated[StepTyped, Form()]
) -> Response:
    """Add a step where its time puts it."""
    wanted = AddStep(
        typed.timing, typed.id.strip(), typed.arm, typed.retry, typed.access, typed.message, typed.alert
    )
    place = f"add-{typed.arm}" if typed.arm else "add"
    return await _carry_out(request, desk, person, name, typed, Edit((wanted,), place))


@router.post("/steps/{step}")
async def change_step(
    name: str, step: str, request: Request, desk: AtDesk, person: Editor, typed: Annotated[StepTyped, Form()]
) -> Response:
    """Change a step, let it change places with a neighbour, or take it out."""
    wanted: Change
    if typed.do == "remove":
        wanted = RemoveStep(step, typed.arm)
    elif typed.do == "save":
        wanted = ChangeStep(
            step,
            typed.arm,
            typed.timing,
            typed.jitter,
            typed.retry,
            typed.access,
            typed.message,
            typed.alert,
        )
    else:
        wanted = MoveStep(step, typed.do, typed.arm)
    place = f"arm-{typed.arm}--step-{step}" if typed.arm else f"step-{step}"
    focus = UNDO if typed.do == "remove" else ""
    return await _carry_out(request, desk, person, name, typed, Edit((wanted,), place, focus))


# --- the rest --------------------------------------------------------------------------------------


@router.post("/end")
async def change_end(
    name: str, request: Request, desk: AtDesk, person: Editor, typed: Annotated[EndTyped, Form()]
) -> Response:
    """Change when and how the campaign ends."""
    wanted = ChangeEnd(typed.arm, typed.after, typed.action, typed.message)
    place = f"end-{typed.arm}" if typed.arm else "end"
    edited = Edit((wanted,), place)
    return await _carry_out(request, desk, person, name, typed, edited)


@router.post("/title")
async def change_title(
    name: str, request: Request, desk: AtDesk, person: Editor, typed: Annotated[TitleTyped, Form()]
) -> Response:
    """Change what people call the campaign."""
    wanted = ChangeTitle(typed.title, typed.description)
    edited = Edit((wanted,), "title")
    return await _carry_out(request, desk, person, name, typed, edited)


@router.post("/windows/{window}")
async def change_window(
    name: str,
    window: Literal["messages", "charges"],
    request: Request,
    desk: AtDesk,
    person: Editor,
    typed: Annotated[WindowTyped, Form()],
) -> Response:
    """Change when mails or charges may go out."""
    wanted = ChangeWindow(window, typed.hours, typed.quiet, tuple(typed.days), typed.holidays)
    edited = Edit((wanted,), f"window-{window}")
    return await _carry_out(request, desk, person, name, typed, edited)


@router.post("/rules")
async def change_rules(
    name: str, request: Request, desk: AtDesk, person: Editor, typed: Annotated[RulesTyped, Form()]
) -> Response:
    """Change the rules for the whole campaign."""
    rules = ChangeRules(typed.grace, typed.spacing, typed.retries)
    edited = Edit((rules, ChangeTimezone(typed.timezone)), "rules")
    return await _carry_out(request, desk, person, name, typed, edited)


# --- carrying it out -------------------------------------------------------------------------------


async def _carry_out(
    request: Request, desk: Desk, person: Person, name: str, typed: Beside, wanted: Edit
) -> Response:
    """Edit the draft, or say why not; what was typed into the YAML meanwhile is kept in any case."""
    if typed.document is not None:
        document = typed.document.replace("\r\n", "\n")
        if digest_of(document) != typed.seen:
            await keep_typed(desk, person, name, document, typed.seen)

    def make(before: Workspace) -> str:
        text = before.document
        for part in wanted.changes:
            text = edit(text, part, before.examiner.errors)
        return text

    try:
        workspace = await change(desk, person, name, make)
    except NotKnown:
        raise
    except BadInput as error:
        workspace = await open_workspace(desk, person, name)
        refused = Said(open=wanted.place, refused=_reason(error), typed={wanted.place: typed})
        return answer(request, desk, person, workspace, refused)
    words = workspace.changed or "Nothing was changed: it says so already"
    opened = "" if wanted.focus else wanted.place
    return answer(request, desk, person, workspace, Said(words, opened, wanted.focus))


def _reason(error: BadInput) -> str:
    """Say why an edit was refused; of each fault what is wrong and the way out, for its line is not there yet."""
    if not isinstance(error, BadCampaign):
        return sentence(str(error))
    return " ".join(_told(fault) for fault in error.faults)


def _told(fault: Fault) -> str:
    where = f"Step {fault.step}: " if fault.step else ""
    suggestion = f" {sentence(fault.suggestion)}" if fault.suggestion else ""
    return f"{sentence(f'{where}{fault.what}')}{suggestion}"
