"""Publishing campaigns: versions that never change, files and studio that never overwrite each other unseen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.checking import Known
from campaigns.declines import DeclineTable
from campaigns.networks import NetworkLimits
from errors import BadCampaign, Conflict, NotKnown
from store import audit, campaigns
from store.campaigns import FILE, STUDIO
from store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
KNOWN = Known(
    declines=DeclineTable(campaigns.decline_codes()),
    networks=NetworkLimits(campaigns.network_limits()),
    templates=frozenset(
        [
            "payment_failed",
            "last_notice",
            "new_card_needed",
            "confirm_payment",
            "did_you_mean_to_cancel",
            "card_declined",
            "payment_received",
            "access_limited",
            "subscription_ended",
        ]
    ),
    template_faults=lambda _: (),
    names_the_end=lambda name: name == "last_notice",
    on=NOW.date(),
)


def text(days: int = 14) -> str:
    return (
        "name: gentle\n"
        "steps:\n"
        "  - {id: day-1, after: 1 day, retry: true, message: payment_failed}\n"
        "  - {id: last, after: 12 days, message: last_notice}\n"
        f"end: {{after: {days} days, action: cancel_now}}\n"
    )


@dataclass
class Press:
    """Publishes, each time a minute later and in a transaction of its own, as people do."""

    database: Database
    now: datetime = NOW

    async def publish(
        self,
        document: str,
        origin: str = FILE,
        *,
        by: str = "ada",
        based_on: int | None = None,
        replaces: int | None = None,
    ) -> int:
        self.now += timedelta(minutes=1)
        async with self.database.begin() as session:
            return await campaigns.publish(
                session,
                document,
                file="gentle.yaml",
                author=by,
                note=f"{origin} says so",
                now=self.now,
                origin=origin,
                based_on=based_on,
                replaces=replaces,
                known=KNOWN,
            )

    async def roll_back(self, version: int, *, based_on: int | None = None) -> int:
        self.now += timedelta(minutes=1)
        async with self.database.begin() as session:
            return await campaigns.rollback(
                session, "gentle", version, "bob", "it was better", self.now, origin=STUDIO, based_on=based_on
            )

    async def versions(self) -> list[tuple[int, str, str]]:
        async with self.database.read() as session:
            return [
                (row.version, row.origin, row.author) for row in await campaigns.history(session, "gentle")
            ]

    async def audited(self) -> list[tuple[str, str, str]]:
        async with self.database.read() as session:
            rows = await audit.listing(session, audit.of_campaign("gentle"))
            return [(row.by, row.action, row.detail) for row in reversed(rows)]


@pytest.fixture
async def press(database_url: str) -> AsyncIterator[Press]:
    database = Database(database_url)
    yield Press(database)
    await database.close()


async def test_a_version_is_kept_with_who_when_why_and_from_where(press: Press) -> None:
    assert [await press.publish(text(14)), await press.publish(text(16)), await press.publish(text(16))] == [
        1,
        2,
        2,
    ]
    async with press.database.read() as session:
        first, current = (
            await campaigns.document(session, "gentle", 1),
            await campaigns.document(session, "gentle"),
        )
        newest, older = await campaigns.history(session, "gentle")
        assert await campaigns.names(session) == ["gentle"]
        assert await campaigns.history(session, "nothing") == []
    assert (first.document, current.document) == (text(14), text(16))
    assert (newest.version, older.version) == (2, 1)
    assert (newest.author, newest.note, newest.origin) == ("ada", "file says so", FILE)
    assert newest.published_at == NOW + timedelta(minutes=2)
    assert await press.audited() == [
        ("ada", "publish", "version 1: file says so"),
        ("ada", "publish", "version 2: file says so"),
    ]


async def test_what_would_hurt_is_not_published(press: Press) -> None:
    with pytest.raises(BadCampaign, match="out of the blue"):
        await press.publish(text().replace("last_notice", "payment_failed"))
    with pytest.raises(BadCampaign, match="not before the end"):
        await press.publish(text(11))
    assert await press.versions() == []
    assert await press.audited() == []


async def test_the_studio_does_not_overwrite_a_file_unseen(press: Press) -> None:
    await press.publish(text(14))
    with pytest.raises(Conflict) as caught:
        await press.publish(text(16), STUDIO, by="eve", based_on=1)
    assert str(caught.value) == (
        "campaign 'gentle' was last changed in a file: version 1 by ada, 01 Jun 2026 09:01 UTC (file says so). Take"
        " that over into yours first (begin a new draft from version 1), or replace it knowingly (say that it"
        " replaces version 1)"
    )
    assert await press.publish(text(16), STUDIO, by="eve", based_on=1, replaces=1) == 2
    assert await press.publish(text(17), STUDIO, by="eve", based_on=2) == 3


async def test_a_file_does_not_overwrite_the_studio_unseen(press: Press) -> None:
    assert await press.publish(text(14), STUDIO, by="eve") == 1
    with pytest.raises(Conflict) as caught:
        await press.publish(text(16))
    assert str(caught.value) == (
        "campaign 'gentle' was last changed in the studio: version 1 by eve, 01 Jun 2026 09:01 UTC (studio says so)."
        " Take that over into yours first (starter.py campaign show gentle@1), or replace it knowingly (--replaces 1)"
    )
    assert await press.publish(text(16), replaces=1) == 2
    assert await press.publish(text(17)) == 3
    assert await press.versions() == [(3, FILE, "ada"), (2, FILE, "ada"), (1, STUDIO, "eve")]


async def test_the_same_text_conflicts_with_nothing(press: Press) -> None:
    await press.publish(text(14), STUDIO, by="eve")
    assert await press.publish(text(14)) == 1
    assert await press.versions() == [(1, STUDIO, "eve")]


async def test_whoever_was_slower_is_told_who_was_quicker(press: Press) -> None:
    await press.publish(text(14), STUDIO, by="eve")
    await press.publish(text(15), STUDIO, by="bob", based_on=1)
    for said in ({"based_on": 1}, {"based_on": 2, "replaces": 1}):
        with pytest.raises(
            Conflict, match=r"the current version of 'gentle' is 2 and not 1: version 2 by bob"
        ):
            await press.publish(text(16), STUDIO, by="eve", **said)
    with pytest.raises(Conflict, match="a campaign 'gentle' is there already: version 2 by bob"):
        # A draft of a new campaign that somebody else has made meanwhile.
        await press.publish(text(16), STUDIO, by="eve")
    with pytest.raises(Conflict, match="was never published, so there is no version 3"):
        await press.publish(text(16).replace("gentle", "other"), STUDIO, by="eve", based_on=3)


async def test_of_two_at_once_one_is_refused(press: Press) -> None:
    await press.publish(text(14), STUDIO)
    other = Press(Database(press.database.url.render_as_string(hide_password=False)), press.now)
    answers = await asyncio.gather(
        press.publish(text(15), STUDIO, based_on=1),
        other.publish(text(16), STUDIO, based_on=1),
        return_exceptions=True,
    )
    await other.database.close()
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "int"]
    assert [version for version, _, _ in await press.versions()] == [2, 1]


async def test_rolling_back_is_publishing_the_earlier_version(press: Press) -> None:
    for days in (14, 15, 16):
        await press.publish(text(days))
    with pytest.raises(Conflict, match="the current version of 'gentle' is 3 and not 2"):
        await press.roll_back(1, based_on=2)
    assert await press.roll_back(1, based_on=3) == 4
    with pytest.raises(Conflict, match="is as in version 1 already: that is version 4"):
        await press.roll_back(1)
    with pytest.raises(NotKnown, match="campaign 'gentle' has no version 9"):
        await press.roll_back(9)
    async with press.database.read() as session:
        campaign, number = await campaigns.version(session, "gentle")
    assert (campaign.end.after, number) == (timedelta(days=14), 4)
    assert (await press.audited())[-1] == ("bob", "roll back", "version 4 is version 1 again: it was better")


async def test_a_file_that_was_rolled_back_does_not_come_back_by_itself(press: Press) -> None:
    await press.publish(text(14))
    await press.publish(text(15))
    async with press.database.begin() as session:
        await campaigns.rollback(session, "gentle", 1, "ada", "too long", press.now)
    with pytest.raises(
        Conflict, match="this is version 2 of 'gentle', which was rolled back to version 1: version 3"
    ):
        await press.publish(text(15))
    assert await press.publish(text(15), replaces=3) == 4
    assert await press.publish(text(16)) == 5


async def test_what_ships_gives_way_to_an_owners_own_and_never_takes_its_place(press: Press) -> None:
    async with press.database.begin() as session:
        await campaigns.publish_library(session, NOW)
        await campaigns.publish_library(session, NOW)
        rows = [await campaigns.history(session, name) for name in await campaigns.names(session)]
    assert [[(row.version, row.origin, row.author) for row in versions] for versions in rows] == [
        [(1, "library", "dunwell")],
        [(1, "library", "dunwell")],
    ]
    mine = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8").replace("28 days", "30 days")
    assert await press.publish(mine) == 2
    async with press.database.begin() as session:
        await campaigns.publish_library(session, NOW)
        assert (await campaigns.document(session, "standard")).version == 2
    async with press.database.begin() as session:
        # Whoever goes back to what ships keeps that, whatever ships with the next release.
        assert await campaigns.rollback(session, "standard", 1, "ada", "as it was", NOW) == 3
        await campaigns.publish_library(session, NOW)
        assert (await campaigns.document(session, "standard")).version == 3


async def test_a_name_or_version_that_is_not_there(press: Press) -> None:
    await press.publish(text())
    async with press.database.read() as session:
        with pytest.raises(NotKnown, match="no campaign is called 'gentel': there are gentle"):
            await campaigns.document(session, "gentel", 1)
        with pytest.raises(NotKnown, match="campaign 'gentle' has no version 2"):
            await campaigns.document(session, "gentle", 2)
