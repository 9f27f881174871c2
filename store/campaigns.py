"""Published campaigns: immutable versions, and which one new cases start with."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from campaigns.checking import check_campaign
from campaigns.reading import read_campaign
from errors import Conflict, NotKnown
from store import audit
from store.database import one_at_a_time
from store.journal import plain
from store.tables import CampaignRow, CampaignVersionRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.checking import Known
    from campaigns.document import Campaign

# Where a version was written. What ships may be replaced from either of the other two.
LIBRARY_ORIGIN, FILE, STUDIO = "library", "file", "studio"
PLACES = {FILE: "a file", STUDIO: "the studio"}
HOW_TO_SEE = {
    FILE: "starter.py campaign show {name}@{version}",
    STUDIO: "begin a new draft from version {version}",
}
HOW_TO_REPLACE = {FILE: "--replaces {version}", STUDIO: "say that it replaces version {version}"}
# Who publishes what ships.
DUNWELL = "dunwell"
# Workers and web sides that start together would publish the same version twice.
PUBLISHING = 7105312
LIBRARY = Path(__file__).resolve().parent.parent / "campaigns" / "library"
DATA = Path(__file__).resolve().parent.parent / "campaigns" / "data"


def decline_codes() -> str:
    """Read the table of decline codes that ships with Dunwell, as CSV text."""
    return (DATA / "decline_codes.csv").read_text(encoding="utf-8")


def network_limits() -> str:
    """Read the limits of card networks that ship with Dunwell, as CSV text."""
    return (DATA / "network_retry_limits.csv").read_text(encoding="utf-8")


def network_fees() -> str:
    """Read what card networks bill for attempts too many, as it ships with Dunwell, as CSV text."""
    return (DATA / "network_fees.csv").read_text(encoding="utf-8")


# --- publishing ------------------------------------------------------------------------------------


async def publish(  # noqa: PLR0913 - who, why, when, and what it is to take the place of
    session: AsyncSession,
    text: str,
    *,
    file: str,
    author: str,
    note: str,
    now: datetime,
    origin: str = FILE,
    based_on: int | None = None,
    replaces: int | None = None,
    known: Known | None = None,
) -> int:
    """Make a document the version that new cases start with, and give its number.

    Raises BadCampaign where it cannot be read, or ``known`` is given and it would hurt; and Conflict where
    it would take the place of something that its author has not seen: ``based_on`` is the version it began
    from, ``replaces`` the one that it is meant to replace, wherever that was written.
    A document that is already the current version, to the letter, is not published again.
    """
    campaign = read_campaign(text, file=file)
    await one_at_a_time(session, PUBLISHING)
    row = await session.get(CampaignRow, campaign.name, with_for_update=True)
    there = await session.get(CampaignVersionRow, (campaign.name, row.current_version)) if row else None
    digest = digest_of(text)
    if there is not None and there.digest == digest:
        return there.version
    if known is not None:
        check_campaign(text, file=file, known=known)
    await _refuse_to_overwrite(session, campaign.name, there, digest, Wanted(origin, based_on, replaces))
    version = await _add_version(
        session,
        CampaignVersionRow(
            name=campaign.name,
            version=0,
            document=text,
            digest=digest,
            author=plain(author),
            note=plain(note),
            origin=origin,
            published_at=now,
        ),
    )
    if origin != LIBRARY_ORIGIN:
        # The log is of what people change.
        detail = f"version {version}: {note}"
        await audit.write(session, now, author, "publish", audit.of_campaign(campaign.name), detail)
    return version


async def rollback(  # noqa: PLR0913 - likewise
    session: AsyncSession,
    name: str,
    version: int,
    author: str,
    note: str,
    now: datetime,
    *,
    origin: str = FILE,
    based_on: int | None = None,
) -> int:
    """Publish an earlier version's document anew, and give its new number; running cases keep theirs.

    Raises NotKnown for a version that is not there, and Conflict where it is the current one, or where
    the current one is not ``based_on``, the version that the author has seen.
    """
    await one_at_a_time(session, PUBLISHING)
    there, wanted = await document(session, name), await document(session, name, version)
    if based_on is not None and based_on != there.version:
        raise Conflict(_published_meanwhile(there, based_on))
    if there.digest == wanted.digest:
        raise Conflict(
            f"campaign '{name}' is as in version {version} already: that is version {there.version}"
        )
    # It was published once. The rules for campaigns may have become stricter; what worked may still come back.
    read_campaign(wanted.document, file=f"{name} version {version}")
    made = await _add_version(
        session,
        CampaignVersionRow(
            name=name,
            version=0,
            document=wanted.document,
            digest=wanted.digest,
            author=plain(author),
            note=plain(note),
            origin=origin,
            published_at=now,
        ),
    )
    detail = f"version {made} is version {version} again: {note}"
    await audit.write(session, now, author, "roll back", audit.of_campaign(name), detail)
    return made


async def publish_library(session: AsyncSession, now: datetime) -> None:
    """Publish the campaigns that ship with Dunwell, unless an owner has published their own of that name."""
    await one_at_a_time(session, PUBLISHING)
    for path in sorted(LIBRARY.glob("*.yaml")):
        row = await session.get(CampaignRow, path.stem)
        if row is not None:
            there = await session.get(CampaignVersionRow, (path.stem, row.current_version))
            if there is not None and there.author != DUNWELL:
                continue
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
        await publish(
            session,
            text,
            file=path.name,
            author=DUNWELL,
            note="ships with Dunwell",
            now=now,
            origin=LIBRARY_ORIGIN,
        )


def digest_of(text: str) -> str:
    """Give the digest by which equal documents are known."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """Where a document comes from, which version it began from, and which it is meant to replace."""

    origin: str
    based_on: int | None
    replaces: int | None


async def _refuse_to_overwrite(
    session: AsyncSession, name: str, there: CampaignVersionRow | None, digest: str, wanted: Wanted
) -> None:
    """Raise Conflict where somebody's work would be lost without anybody having seen it."""
    expected = wanted.replaces if wanted.replaces is not None else wanted.based_on
    if there is None:
        if expected is not None:
            raise Conflict(f"campaign '{name}' was never published, so there is no version {expected} of it")
        return
    if expected is not None and expected != there.version:
        raise Conflict(_published_meanwhile(there, expected))
    if wanted.replaces is not None:
        return
    if wanted.origin == STUDIO and wanted.based_on is None and there.origin != LIBRARY_ORIGIN:
        raise Conflict(f"a campaign '{name}' is there already: {_spell(there)}; give yours another name")
    if there.origin not in {wanted.origin, LIBRARY_ORIGIN}:
        raise Conflict(
            f"campaign '{name}' was last changed in {PLACES[there.origin]}: {_spell(there)}. Take that over into"
            f" yours first ({HOW_TO_SEE[wanted.origin].format(name=name, version=there.version)}), or replace it"
            f" knowingly ({HOW_TO_REPLACE[wanted.origin].format(version=there.version)})"
        )
    if expected is None:
        await _refuse_to_undo_a_rollback(session, there, digest)


async def _refuse_to_undo_a_rollback(session: AsyncSession, there: CampaignVersionRow, digest: str) -> None:
    """Raise Conflict where a file that was rolled back is published again, as the next run of a CI would."""
    alike = {row.digest: row.version for row in await history(session, there.name) if row is not there}
    earlier, left = alike.get(there.digest), alike.get(digest)
    if earlier is not None and left is not None and earlier < left:
        raise Conflict(
            f"this is version {left} of '{there.name}', which was rolled back to version {earlier}: {_spell(there)}."
            f" Change the file, or publish it knowingly ({HOW_TO_REPLACE[FILE].format(version=there.version)})"
        )


def _published_meanwhile(there: CampaignVersionRow, expected: int) -> str:
    return (
        f"the current version of '{there.name}' is {there.version} and not {expected}: {_spell(there)}."
        f" Look at what it changed, and begin from it"
    )


def _spell(row: CampaignVersionRow) -> str:
    note = f" ({row.note})" if row.note else ""
    return f"version {row.version} by {row.author}, {row.published_at:%d %b %Y %H:%M} UTC{note}"


async def _add_version(session: AsyncSession, new: CampaignVersionRow) -> int:
    """Keep a version under the next number, and let new cases start with it."""
    found = await session.exec(
        select(func.max(CampaignVersionRow.version)).where(CampaignVersionRow.name == new.name)
    )
    new.version = (found.one() or 0) + 1
    row = await session.get(CampaignRow, new.name)
    if row is None:
        row = CampaignRow(name=new.name, current_version=new.version)
    row.current_version = new.version
    session.add(row)
    await session.flush()
    session.add(new)
    await session.flush()
    return new.version


# --- finding ---------------------------------------------------------------------------------------


async def names(session: AsyncSession) -> list[str]:
    """Name every campaign that was ever published."""
    return list((await session.exec(select(CampaignRow.name).order_by(CampaignRow.name))).all())


async def history(session: AsyncSession, name: str) -> list[CampaignVersionRow]:
    """List every version of a campaign, the newest first; none where it was never published."""
    found = await session.exec(
        select(CampaignVersionRow)
        .where(CampaignVersionRow.name == name)
        .order_by(col(CampaignVersionRow.version).desc())
    )
    return list(found.all())


async def document(session: AsyncSession, name: str, version: int | None = None) -> CampaignVersionRow:
    """Give one version as it was published, or the one that new cases start with; raises NotKnown."""
    if version is None:
        version = await _current_number(session, name)
    row = await session.get(CampaignVersionRow, (name, version))
    if row is None:
        await _current_number(session, name)
        raise NotKnown(f"campaign '{name}' has no version {version}")
    return row


async def _current_number(session: AsyncSession, name: str) -> int:
    row = await session.get(CampaignRow, name)
    if row is None:
        there_are = ", ".join(await names(session)) or "none"
        raise NotKnown(f"no campaign is called '{name}': there are {there_are}")
    return row.current_version


async def current(session: AsyncSession) -> list[Campaign]:
    """Give every campaign in the version that new cases start with."""
    rows = (await session.exec(select(CampaignRow).order_by(CampaignRow.name))).all()
    return [(await version(session, row.name, row.current_version))[0] for row in rows]


# By database, name and number: a version never changes, and every activity asks for one.
_READ: dict[tuple[str, str, int], Campaign] = {}


async def version(session: AsyncSession, name: str, number: int | None = None) -> tuple[Campaign, int]:
    """Give a campaign in one version, or in the one for new cases; raises NotKnown."""
    if number is None:
        number = await _current_number(session, name)
    key = (str(session.get_bind().engine.url), name, number)
    if key not in _READ:
        stored = await document(session, name, number)
        _READ[key] = read_campaign(stored.document, file=f"{name} version {number}")
    return _READ[key], number
