"""Clicks on the link of a mail: whose they are, and which mail they count for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import keys
from store import cases, messages
from tests.integration.mail_side import BROWSER, MINUTE, NOW, STEP, Side, opened_side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def side(database_url: str, tmp_path: Path) -> AsyncIterator[Side]:
    async with opened_side(database_url, tmp_path) as opened:
        yield opened


async def test_a_link_that_a_person_follows_counts_for_the_mail_that_it_stood_in(side: Side) -> None:
    case = await side.mailed("in_1", STEP, "day-3.message")
    before = datetime.now(UTC)

    answer = await side.open(keys.message_id(case.id, STEP))

    assert answer.status_code == 200
    opened_at, clicked_at = await side.seen(case)
    assert opened_at == clicked_at
    assert clicked_at is not None
    assert before <= clicked_at <= datetime.now(UTC)
    assert await side.seen(case, "day-3.message") == (None, None)
    await side.open(keys.message_id(case.id, STEP))
    assert await side.seen(case) == (opened_at, clicked_at)


async def test_a_link_that_names_no_mail_counts_for_the_last_one_that_was_sent(side: Side) -> None:
    case = await side.mailed("in_1", STEP, "day-3.message")
    async with side.desk.tools.database.begin() as session:
        await messages.claim(
            session, case.id, "day-5.message", "last_notice", NOW + 9 * MINUTE, state=messages.DROPPED
        )

    await side.open(case.id)

    assert await side.seen(case) == (None, None)
    assert None not in await side.seen(case, "day-3.message")
    assert await side.seen(case, "day-5.message") == (None, None)


async def test_a_link_of_a_case_without_mails_opens_all_the_same(side: Side) -> None:
    async with side.desk.tools.database.begin() as session:
        case = (await cases.reserve(session, "sandbox", "main", "in_1", NOW)).case

    assert (await side.open(case.id)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Mozilla/5.0 (compatible; bingbot/2.0)"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Barracuda Sentinel (EE)"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Mozilla/5.0 BingPreview/1.0b"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36"},
        {"Sec-Fetch-Mode": None, "User-Agent": "curl/8.5.0"},
        {"Sec-Fetch-Mode": None, "User-Agent": ""},
    ],
    ids=str,
)
async def test_a_program_that_looks_at_a_link_is_nobody(side: Side, headers: dict[str, str | None]) -> None:
    case = await side.mailed("in_1")

    assert (await side.open(keys.message_id(case.id, STEP), **headers)).status_code == 200
    token = side.desk.links.token(keys.message_id(case.id, STEP), datetime.now(UTC))
    await side.http.head(f"/pay/{token}", headers=BROWSER)

    assert await side.seen(case) == (None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": None, "Sec-Fetch-Dest": None},
        {"User-Agent": "Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/120.0 Mobile Safari/537.36"},
    ],
    ids=str,
)
async def test_old_browsers_and_odd_telephones_are_people(side: Side, headers: dict[str, str | None]) -> None:
    case = await side.mailed("in_1")

    await side.open(keys.message_id(case.id, STEP), **headers)

    assert None not in await side.seen(case)


async def test_a_link_that_is_not_good_counts_for_nothing(side: Side) -> None:
    case = await side.mailed("in_1")
    token = side.desk.links.token(keys.message_id(case.id, STEP), datetime.now(UTC))

    for bad in (token[:-4] + "AAAA", side.desk.links.token("case_nobody.day-1.message", datetime.now(UTC))):
        assert (await side.http.get(f"/pay/{bad}", headers=BROWSER)).status_code == 404

    assert await side.seen(case) == (None, None)
