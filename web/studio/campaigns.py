"""The list of campaigns: whom each is for, in which order they are asked, what came of them; and new ones."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from campaigns.changes import ChangeName
from campaigns.document import Campaign
from campaigns.durations import spell_moment
from campaigns.editing import edit
from campaigns.grammar import Name
from campaigns.reading import read_campaign
from campaigns.words import also_takes, takes_in_words
from errors import BadCampaign, BadInput, Conflict
from store import breakers, drafts, reports
from store.accounts import Role
from store.campaigns import LIBRARY
from store.drafts import Drafted
from store.journal import plain
from store.reports import Recovery
from store.tables import CampaignVersionRow
from web.desk import Desk, desk_of
from web.studio.figures import Figures, figures_of
from web.studio.frame import PREFIX, page, see_other, sentence
from web.studio.gate import Editor, Person, Viewer

router = APIRouter(prefix="/campaigns")
AtDesk = Annotated[Desk, Depends(desk_of)]
Typed = Annotated[str, Form(max_length=2000)]
LIST = f"{PREFIX}/campaigns"
NEW = "new"
# A campaign of this name could never be opened: its address is that of the page for a new one.
TAKEN = frozenset({NEW})
# No campaign's name has a colon in it.
SHIPPED = "shipped:"


@dataclass(frozen=True)
class Listed:
    """One campaign of the list; ``place`` is when it is asked, None where it takes nothing by its segment."""

    row: CampaignVersionRow
    campaign: Campaign | None
    is_default: bool
    place: int | None
    takes: str
    also: str
    figures: Figures
    arms: tuple[Figures, ...]
    untaken: int
    shadow: int
    drafts: tuple[Drafted, ...]

    @property
    def title(self) -> str:
        """What people call it."""
        return (self.campaign.title if self.campaign else "") or self.row.name


@router.get("")
async def campaigns(request: Request, desk: AtDesk, person: Viewer) -> Response:
    """List the campaigns in the order in which they are asked, with what came of each."""
    async with desk.tools.database.read() as session:
        rows = await reports.published(session)
        sums = await reports.recovery(session)
        begun = await drafts.listing(session)
        held = await breakers.open_ones(session)
    read = await asyncio.to_thread(lambda: [(row, read_version(row)) for row in rows])
    listed = _in_order_of_asking(read, sums, begun, desk.tools.default_campaign)
    names = {row.name for row in rows}
    return page(
        request,
        "campaigns.html",
        listed=listed,
        unpublished=[draft for draft in begun if draft.campaign not in names],
        segments=sum(item.place is not None for item in listed),
        untaken=sum(item.untaken for item in listed),
        default=desk.tools.default_campaign,
        held=[(breakers.subject(row.name), row.why, spell_moment(row.until)) for row in held],
        may_edit=person.role.allows(Role.EDITOR),
    )


def _in_order_of_asking(
    read: list[tuple[CampaignVersionRow, Campaign | None]],
    sums: dict[str, Recovery],
    begun: Sequence[Drafted],
    default: str,
) -> list[Listed]:
    """Put those with a segment first, in order of priority, then the default, then those that are only named."""

    def order(pair: tuple[CampaignVersionRow, Campaign | None]) -> tuple[int, int, str]:
        row, campaign = pair
        if campaign is not None and campaign.takes.is_segment:
            return 0, campaign.takes.priority or 0, row.name
        return (1, 0, row.name) if row.name == default else (2, 0, row.name)

    listed: list[Listed] = []
    for row, campaign in sorted(read, key=order):
        part = sums.get(row.name, Recovery())
        is_segment = campaign is not None and campaign.takes.is_segment
        listed.append(
            Listed(
                row=row,
                campaign=campaign,
                is_default=row.name == default,
                place=len(listed) + 1 if is_segment else None,
                takes=takes_in_words(campaign.takes, is_default=row.name == default) if campaign else "",
                also="" if is_segment or campaign is None else also_takes(campaign.takes),
                figures=figures_of(row.name, part),
                arms=tuple(figures_of(arm, found) for arm, found in sorted(part.arms.items())),
                untaken=part.untaken,
                shadow=part.shadow,
                drafts=tuple(draft for draft in begun if draft.campaign == row.name),
            )
        )
    return listed


def read_version(row: CampaignVersionRow) -> Campaign | None:
    """Read what was published; None where an older release took what this one cannot read."""
    return _read(row.name, row.version, row.document)


@lru_cache(maxsize=512)
def _read(name: str, version: int, document: str) -> Campaign | None:
    try:
        return read_campaign(document, file=f"{name} version {version}")
    except BadCampaign:
        return None


# --- a new campaign --------------------------------------------------------------------------------


@router.get(f"/{NEW}")
async def ask_for_new(request: Request, desk: AtDesk, _: Editor, source: str = "") -> Response:
    """Show the form in which a new campaign is named, and from which one it is copied."""
    return await _new_page(request, desk, {"name": "", "title": "", "source": plain(source)})


@router.post(f"/{NEW}")
async def begin_new(
    request: Request, desk: AtDesk, person: Editor, name: Typed, title: Typed = "", source: Typed = ""
) -> Response:
    """Begin the draft of a new campaign, as a copy of another."""
    typed = {"name": plain(name).strip(), "title": plain(title).strip(), "source": plain(source)}
    try:
        await _begin(desk, person, typed)
    except (BadInput, Conflict) as error:
        reason = error.faults[0].what if isinstance(error, BadCampaign) else str(error)
        return await _new_page(request, desk, typed, fault=sentence(reason), status=422)
    said = "This is your draft: nobody is charged or written to by it until it is published."
    return see_other(request, f"{LIST}/{typed['name']}", said, "info")


async def _begin(desk: Desk, person: Person, typed: dict[str, str]) -> None:
    name = typed["name"]
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise BadInput(
            f"'{name}' is no name: take small letters, digits, '-' and '_', a letter first"
        ) from None
    if name in TAKEN:
        raise BadInput(f"no campaign can be called '{name}': take another name")
    async with desk.tools.database.read() as session:
        sources = _sources(await reports.published(session))
    if name in sources:
        raise Conflict(f"there is a campaign '{name}' already: take another name, or change that one")
    if typed["source"] not in sources:
        raise BadInput("choose the campaign that it begins as a copy of")
    copy = ChangeName(name, typed["title"] or name.replace("-", " ").replace("_", " ").capitalize())
    document = await asyncio.to_thread(edit, sources[typed["source"]].document, copy)
    async with desk.tools.database.begin() as session:
        if await drafts.get(session, name, person.account):
            raise Conflict(f"you have a draft of '{name}' already: go on with it, or take another name")
        await drafts.begin(session, name, person.account, person.email, desk.now(), document, None)


async def _new_page(
    request: Request, desk: Desk, typed: dict[str, str], fault: str | None = None, status: int = 200
) -> Response:
    async with desk.tools.database.read() as session:
        sources = _sources(await reports.published(session))
    choices = [(value, source.title) for value, source in sources.items()]
    words = {"sources": choices, "typed": typed, "fault": fault, "default": desk.tools.default_campaign}
    return page(request, "campaign_new.html", status=status, **words)


@dataclass(frozen=True)
class Source:
    """A text that a new campaign may begin as a copy of."""

    title: str
    document: str


def _sources(rows: Sequence[CampaignVersionRow]) -> dict[str, Source]:
    """List every campaign, and those that ship with Dunwell as they ship where an owner has changed them."""
    found: dict[str, Source] = {}
    for row in rows:
        campaign = read_version(row)
        found[row.name] = Source((campaign.title if campaign else "") or row.name, row.document)
    for path in sorted(LIBRARY.glob("*.yaml")):
        name, document = path.stem, path.read_text(encoding="utf-8")
        if name not in found or found[name].document != document:
            found[f"{SHIPPED}{name}"] = Source(f"{name}, as it ships with Dunwell", document)
    return found
