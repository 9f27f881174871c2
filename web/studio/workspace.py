"""A campaign as one person works on it: their draft or what is published, checked, with who else is at it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from campaigns.checking import Checked, check
from campaigns.differences import differences
from campaigns.source import Source
from errors import BadInput, Conflict, Fault, NotKnown
from store import drafts, reports
from store.accounts import Role
from store.journal import plain
from wiring import known_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.document import Campaign
    from store.drafts import Drafted
    from store.studio_tables import DraftRow
    from store.tables import CampaignVersionRow
    from web.desk import Desk
    from web.studio.gate import Person

# Far above any campaign; what is longer is no campaign, and would keep a processor busy.
LONGEST_DOCUMENT = 100_000
# Somebody else's write can come between reading a draft and keeping it, but not again and again.
TRIES = 5
# Of a change that is many at once, the first of them are named.
SAID, LONGEST_SAID = 2, 200


@dataclass(frozen=True)
class Workspace:
    """What a person sees of a campaign; ``current`` is the version for new cases, None for one not there yet.

    ``shown`` is what the timeline shows: the text as a campaign, or while it has faults that keep it from
    being one, the last text that was one. ``changed`` says what this request has changed, if anything.
    """

    name: str
    document: str
    checked: Checked
    shown: Campaign | None
    examiner: Examiner
    current: CampaignVersionRow | None = None
    draft: DraftRow | None = None
    others: tuple[Drafted, ...] = ()
    changed: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether the timeline shows an older state than the text."""
        return self.checked.campaign is None

    @property
    def is_behind(self) -> bool:
        """Whether another version was published since the draft began."""
        if self.draft is None or self.current is None:
            return False
        return self.draft.base_version != self.current.version

    @property
    def digest(self) -> str:
        """Tell this text from any other, so that no window overwrites what another one saved."""
        return digest_of(self.document)


def digest_of(document: str) -> str:
    """Give a text's short digest."""
    return hashlib.sha256(document.encode()).hexdigest()[:16]


class Examiner:
    """Checks texts of one campaign, each once; a check takes a while, so that it is asked for in a thread."""

    def __init__(self, desk: Desk, name: str) -> None:
        """Take what has to be known once for all checks."""
        self.name = name
        self._known = known_of(desk.tools, desk.now())
        self._checked: dict[str, Checked] = {}

    def check(self, document: str) -> Checked:
        """Find everything that is wrong in a text, its name included; raises BadInput for one without end."""
        if len(document) > LONGEST_DOCUMENT:
            raise BadInput(f"this is longer than any campaign: {LONGEST_DOCUMENT:,} characters are the most")
        if document not in self._checked:
            checked = check(document, file=f"{self.name}.yaml", known=self._known)
            self._checked[document] = self._with_its_name(document, checked)
        return self._checked[document]

    def errors(self, document: str) -> tuple[Fault, ...]:
        """List what would keep a text from being published."""
        return self.check(document).errors

    def _with_its_name(self, document: str, checked: Checked) -> Checked:
        named = checked.campaign.name if checked.campaign else self.name
        if named == self.name:
            return checked
        fault = Fault(
            f"{self.name}.yaml",
            Source(document, "").line(("name",)),
            None,
            f"the name is '{named}' here, but this is the campaign '{self.name}', whose name cannot change",
            f"write 'name: {self.name}', or begin a new campaign as a copy of this one",
        )
        return replace(checked, faults=(fault, *checked.faults))


async def open_workspace(desk: Desk, person: Person, name: str) -> Workspace:
    """Give a campaign as a person works on it; raises NotKnown where there is none of that name."""
    async with desk.tools.database.read() as session:
        current = await reports.published_one(session, plain(name))
        may_edit = person.role.allows(Role.EDITOR)
        draft = await drafts.get(session, name, person.account) if may_edit else None
        everybody = await drafts.listing(session, plain(name))
    if draft is None and current is None:
        raise NotKnown(f"no campaign is called '{name}': see the list of campaigns")
    document = draft.document if draft else current.document if current else ""
    examiner = Examiner(desk, name)
    checked = await asyncio.to_thread(examiner.check, document)
    shown = checked.campaign
    if shown is None and draft is not None:
        shown = (await asyncio.to_thread(examiner.check, draft.readable)).campaign
    others = tuple(drafted for drafted in everybody if drafted.account_id != person.account)
    return Workspace(name, document, checked, shown, examiner, current, draft, others)


async def change(
    desk: Desk,
    person: Person,
    name: str,
    make: Callable[[Workspace], str],
    said: str = "",
) -> Workspace:
    """Make a new text of a draft, which begins with the first change.

    ``said`` names what is new in it, where that is not simply how it differs from the text before.

    Raises what ``make`` raises, and then nothing is changed; Conflict where somebody else is always faster.
    """
    for _ in range(TRIES):
        before = await open_workspace(desk, person, name)
        document = plain(await asyncio.to_thread(make, before))
        if document == before.document:
            return before
        checked = await asyncio.to_thread(before.examiner.check, document)
        words = said or what_changed(before.checked.campaign, checked.campaign)
        text = drafts.Text(document, checked.campaign is not None, words)
        row = await _keep(desk, person, before, text)
        if row is not None:
            shown = checked.campaign or before.shown
            return replace(
                before, document=document, checked=checked, shown=shown, draft=row, changed=text.change
            )
    raise Conflict(f"the draft of {name} is changed by somebody else all the time: try again")


def what_changed(old: Campaign | None, new: Campaign | None) -> str:
    """Say in a few words what is another in a new text."""
    if old is None or new is None:
        return "The YAML was edited"
    found = [str(difference) for difference in differences(old, new)]
    if not found:
        return "The YAML was edited, and says the same as before"
    more = f"; and {len(found) - SAID} more" if len(found) > SAID else ""
    words = "; ".join(text[:LONGEST_SAID] for text in found[:SAID])
    return f"{words[:1].upper()}{words[1:]}{more}"


async def _keep(desk: Desk, person: Person, before: Workspace, text: drafts.Text) -> DraftRow | None:
    """Keep a draft's new text; None where it has changed since it was looked at."""
    now = desk.now()
    async with desk.tools.database.begin() as session:
        row = await drafts.get(session, before.name, person.account, locked=True)
        if row is None and before.draft is None and before.current is not None:
            current = before.current
            row = await drafts.begin(
                session, before.name, person.account, person.email, now, current.document, current.version
            )
        if row is None:
            raise NotKnown(f"your draft of {before.name} is gone: it was discarded, or published")
        if row.document != before.document:
            return None
        await drafts.keep(session, row, text, now)
    return row


def lines_of(document: str) -> dict[tuple[str, str], int]:
    """Say on which line each step stands, by its arm (empty for the campaign's own) and id."""
    source = Source(document, "")
    places: list[tuple[str, tuple[str | int, ...], object]] = [("", ("steps",), source.data.get("steps"))]
    for number, arm in enumerate(source.data.get("arms") or ()):
        places.append((arm["name"], ("arms", number, "steps"), arm.get("steps")))
    return {
        (arm, step["id"]): source.line((*path, place))
        for arm, path, steps in places
        for place, step in enumerate(steps if isinstance(steps, list) else ())
    }
