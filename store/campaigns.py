"""Published campaigns: immutable versions, and which one new cases start with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import col, select

from campaigns.reading import read_campaign
from errors import NotKnown
from store.database import one_at_a_time
from store.tables import CampaignRow, CampaignVersionRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign

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


async def publish(
    session: AsyncSession,
    text: str,
    *,
    file: str,
    author: str,
    note: str,
    now: datetime,
) -> int:
    """Check a document and make it the version that new cases start with; raises BadCampaign.

    A document that is already the current version, to the letter, is not published again.
    """
    campaign = read_campaign(text, file=file)
    await one_at_a_time(session, PUBLISHING)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = await session.get(CampaignRow, campaign.name, with_for_update=True)
    if row is not None:
        current = await session.get(CampaignVersionRow, (campaign.name, row.current_version))
        if current is not None and current.digest == digest:
            return row.current_version
    found = await session.exec(
        select(CampaignVersionRow.version)
        .where(CampaignVersionRow.name == campaign.name)
        .order_by(col(CampaignVersionRow.version).desc())
        .limit(1)
    )
    version = (found.first() or 0) + 1
    if row is None:
        row = CampaignRow(name=campaign.name, current_version=version)
    row.current_version = version
    session.add(row)
    await session.flush()
    session.add(
        CampaignVersionRow(
            name=campaign.name,
            version=version,
            document=text,
            digest=digest,
            author=author,
            note=note,
            published_at=now,
        )
    )
    return version


async def publish_library(session: AsyncSession, now: datetime) -> None:
    """Publish the campaigns that ship with Dunwell, unless an owner has published their own of that name."""
    await one_at_a_time(session, PUBLISHING)
    for path in sorted(LIBRARY.glob("*.yaml")):
        row = await session.get(CampaignRow, path.stem)
        if row is not None:
            current = await session.get(CampaignVersionRow, (path.stem, row.current_version))
            if current is not None and current.author != "dunwell":
                continue
        text = path.read_text(encoding="utf-8")
        await publish(
            session,
            text,
            file=path.name,
            author="dunwell",
            note="ships with Dunwell",
            now=now,
        )


async def current(session: AsyncSession) -> list[Campaign]:
    """Give every campaign in the version that new cases start with."""
    rows = (await session.exec(select(CampaignRow).order_by(CampaignRow.name))).all()
    return [(await version(session, row.name, row.current_version))[0] for row in rows]


# By database, name and number: a version never changes, and every activity asks for one.
_READ: dict[tuple[str, str, int], Campaign] = {}


async def version(session: AsyncSession, name: str, number: int | None = None) -> tuple[Campaign, int]:
    """Give a campaign in one version, or in the one for new cases; raises NotKnown."""
    if number is None:
        row = await session.get(CampaignRow, name)
        if row is None:
            known = (await session.exec(select(CampaignRow.name).order_by(CampaignRow.name))).all()
            raise NotKnown(f"no campaign is called '{name}': there are {', '.join(known) or 'none'}")
        number = row.current_version
    key = (str(session.get_bind().engine.url), name, number)
    if key not in _READ:
        stored = await session.get(CampaignVersionRow, (name, number))
        if stored is None:
            raise NotKnown(f"campaign '{name}' has no version {number}")
        _READ[key] = read_campaign(stored.document, file=f"{name} version {number}")
    return _READ[key], number
