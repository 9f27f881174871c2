"""Processes that start in the same moment find the same secrets, and make one database and its campaigns once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from settings import local_settings
from store import schema
from store.campaigns import publish_library
from store.database import Database
from store.tables import CampaignVersionRow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Databases

TOGETHER = 8


def test_everybody_who_starts_at_once_has_the_same_secrets(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        with ThreadPoolExecutor(TOGETHER) as pool:
            found = list(pool.map(lambda _, folder=folder: local_settings(folder), range(TOGETHER)))
        secrets = {(one.secret_key, one.api_keys) for one in found}
        assert len(secrets) == 1
        assert sorted(path.name for path in folder.iterdir()) == ["api.key", "secret.key"]
        assert (folder / "secret.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_new_database_is_made_once_however_many_start(databases: Databases, kind: str) -> None:
    def start(url: str) -> list[tuple[str, int]]:
        schema.upgrade(url)
        return asyncio.run(published(url))

    with ThreadPoolExecutor(TOGETHER) as pool:
        for _ in range(5):
            url = databases.empty(kind)
            assert list(pool.map(start, [url] * TOGETHER)) == [[("demo", 1), ("standard", 1)]] * TOGETHER
            assert schema.differences(url) == []


async def published(url: str) -> list[tuple[str, int]]:
    """Publish what ships, as every process does when it starts, and list all that is published."""
    database = Database(url)
    async with database.begin() as session:
        await publish_library(session, datetime.now(UTC))
    async with database.read() as session:
        rows = (await session.exec(select(CampaignVersionRow))).all()
    await database.close()
    return sorted((row.name, row.version) for row in rows)


async def test_the_library_is_published_once_however_many_start(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(TOGETHER)]
    now = datetime.now(UTC)

    async def start(database: Database) -> None:
        async with database.begin() as session:
            await publish_library(session, now)

    await asyncio.gather(*(start(database) for database in databases))
    async with databases[0].read() as session:
        rows = (await session.exec(select(CampaignVersionRow))).all()
    assert sorted((row.name, row.version) for row in rows) == [("demo", 1), ("standard", 1)]
    for database in databases:
        await database.close()
