"""The studio's what-if: a draft tried on a file or on past cases, how far it is, what it found, and what it cannot know."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from campaigns.comparison import Figure
from store import what_ifs
from store.accounts import Role
from store.studio_tables import WhatIfRow
from store.what_ifs import MOST_AT_ONCE, SILENCE, State
from tests.integration.running_cases import running_case
from tests.integration.studio_side import ORIGIN
from tests.integration.test_studio_publish import LATER, draft, said
from web.studio.figures_compared import _row, compared
from web.studio.what_if import runs_of_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from campaigns.comparison import Comparison
    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA, EVE = "ada@example.com", "eve@example.com"
WHAT_IF = "/studio/campaigns/standard/what-if"
GOOD = """\
id,failed_at,settled_at,decline,amount,currency,country
in_1,2026-03-02T09:00:00Z,,insufficient_funds,49.00,EUR,DE
in_2,2026-03-02T09:00:00Z,2026-03-06T09:00:00Z,insufficient_funds,49.00,EUR,DE
in_3,2026-03-03T09:00:00Z,,stolen_card,49.00,EUR,DE
"""


@pytest.fixture(autouse=True)
async def _ended(studio: Studio) -> AsyncIterator[None]:
    """End the processes that a test has begun."""
    yield
    await runs_of_app(studio.app).close()


async def upload(browser: Browser, content: bytes, name: str = "march.csv") -> httpx.Response:
    """Send the form with a file, as a browser does."""
    answer = await browser.http.post(
        WHAT_IF,
        data={"csrf": browser.csrf, "source": "file"},
        files={"csv": (name, content, "text/csv")},
        headers={"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
    )
    browser._seen(answer)
    return answer


async def ended(browser: Browser, path: str) -> httpx.Response:
    """Ask for the part of the page that is polled, until there is nothing more to ask for."""
    for _ in range(600):
        answer = await browser.open(f"{path}/progress", **{"HX-Request": "true"})
        if answer.status_code == 286:
            return answer
        assert answer.status_code == 200
        assert "<progress" in answer.text
        await asyncio.sleep(0.1)
    raise AssertionError("the run does not end")


async def run_of(studio: Studio, path: str) -> WhatIfRow:
    async with studio.desk.tools.database.read() as session:
        return await what_ifs.get(session, path.rsplit("/", 1)[1])


async def comparison(studio: Studio, path: str) -> Comparison:
    found = what_ifs.comparison_of(await run_of(studio, path))
    assert found is not None
    return found


async def test_a_draft_is_tried_on_a_file_beside_the_published_version(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await browser.open(WHAT_IF)
    assert "whether another timing would have been paid" in said(browser)
    await draft(studio, ADA)
    answer = await upload(browser, GOOD.encode())
    assert answer.status_code == 303
    path = answer.headers["location"]
    page = await browser.open(path)
    assert "ada@example.com's draft, tried on the failures in march.csv, beside version 1." in said(browser)
    assert "after: 5 days" in page.text
    done = await ended(browser, path)
    assert 'id="run-said" hx-swap-oob' in done.text
    await browser.open(path)
    shown, found = said(browser), await comparison(studio, path)
    assert found.failures == 3
    assert "Nobody can know whether another timing would have been paid" in shown
    assert f"Of 3 failures {found.changed} would have gone otherwise with the draft." in shown
    rows = compared(found).rows
    assert {row.what for row in rows} >= {"failures taken", "charges", "mails", "days with full access"}
    for row in rows:
        assert (
            " ".join(part for part in (row.what, row.published, row.draft, row.difference) if part) in shown
        )
    assert (await run_of(studio, path)).state == State.DONE
    log = [entry[:2] for entry in await studio.log() if "what-if" in entry[1]]
    assert log == [(ADA, "what-if begun")]


async def test_faults_of_a_file_are_shown_by_line(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA)
    await browser.open(WHAT_IF)
    bad = (
        GOOD.replace("2026-03-02T09:00:00Z,,", "2026-03-02,,")
        .replace("in_3,", "in_3,,")
        .replace("EUR,DE", "EUX,DE", 2)
    )
    for content, faults in (
        (
            bad.encode(),
            [
                "bad.csv:2: failed_at: '2026-03-02' does not say in which zone",
                "bad.csv:3: currency: 'EUX' is no currency",
                "bad.csv:4: has 8 fields, and the heading has 7",
            ],
        ),
        (
            b"when,currency,amount\n",
            [
                "bad.csv:1: the column 'when' means nothing here",
                "bad.csv:1: the column 'failed_at' is missing",
            ],
        ),
        ("\u00e4".encode("latin-1") + GOOD.encode(), ["bad.csv is not UTF-8"]),
    ):
        answer = await upload(browser, content, "../folder/bad.csv")
        await ended(browser, answer.headers["location"])
        assert "It came to nothing" in said(browser)
        for fault in faults:
            assert fault in said(browser)
        assert (await run_of(studio, answer.headers["location"])).state == State.FAILED


async def test_a_draft_is_tried_on_past_cases_since_a_day(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    now = studio.desk.now()
    for name, days in (("ann", 40), ("bob", 35), ("cyd", 3), ("old", 400)):
        await running_case(studio.desk.tools, name, now, days=days)
    await draft(studio, ADA)
    await browser.open(WHAT_IF)
    answer = await browser.send(
        WHAT_IF, source="cases", since=(now.date().replace(year=now.year - 1)).isoformat()
    )
    path = answer.headers["location"]
    await ended(browser, path)
    # Cyd's case runs still, and nobody knows what will become of it.
    assert (await comparison(studio, path)).failures == 2
    answer = await browser.send(WHAT_IF, source="cases", since="")
    path = answer.headers["location"]
    await ended(browser, path)
    assert (await comparison(studio, path)).failures == 3
    await browser.open(WHAT_IF)
    assert "ada@example.com all cases done 3" in said(browser)


async def test_what_cannot_be_tried_is_said_at_once(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await browser.open(WHAT_IF)
    assert "You have no draft of this campaign." in said(browser)
    answer = await browser.send(WHAT_IF, source="cases")
    assert answer.status_code == 422
    await draft(studio, ADA, "name: standard\nsteps: []\n")
    answer = await browser.send(WHAT_IF, source="cases")
    assert answer.status_code == 422
    assert "The draft cannot be read" in said(browser)
    await browser.send("/studio/campaigns/standard/discard")
    await draft(studio, ADA)
    for fields, fault in (
        ({"source": "cases", "since": "yesterday"}, "'yesterday' is no day: write it as in 2026-01-31"),
        ({"source": "file"}, "Choose a CSV file of failures."),
    ):
        assert (await browser.send(WHAT_IF, **fields)).status_code == 422
        assert fault in said(browser)
    async with studio.desk.tools.database.read() as session:
        assert await what_ifs.listing(session) == []


async def test_a_file_that_is_too_large_is_refused(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA)
    await browser.open(WHAT_IF)
    over = b"x" * 1024
    answer = await browser.http.post(
        WHAT_IF,
        content=over,
        headers={
            "Origin": ORIGIN,
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": str(200 * 1024**2),
        },
    )
    assert answer.status_code == 413
    # More than any other form of the studio may hold.
    answer = await upload(browser, GOOD.encode() + b"\n" * 2 * 1024**2)
    assert answer.status_code == 303


async def test_a_run_is_cancelled_by_whoever_may_begin_one(studio: Studio) -> None:
    browser, viewer = await studio.signed_in(ADA, Role.EDITOR), await studio.signed_in(EVE)
    now = datetime.now(UTC)
    row = WhatIfRow(
        id="whatif_1",
        campaign="standard",
        by=ADA,
        source="all cases",
        document=LATER,
        state="",
        against=1,
        started_at=now,
        seen_at=now,
    )
    async with studio.desk.tools.database.begin() as session:
        await what_ifs.begin(session, row, now)
    path = f"{WHAT_IF}/whatif_1"
    page = await viewer.open(path)
    assert "Counting the failures" in said(viewer)
    assert "Cancel" not in page.text
    assert (await viewer.send(f"{path}/cancel")).status_code == 403
    await browser.open(path)
    assert (await browser.send(f"{path}/cancel")).status_code == 303
    assert (await browser.open(f"{path}/progress")).status_code == 286
    assert "No result: cancelled by ada@example.com, after 0 of 0 failures." in said(browser)
    assert (await browser.send(f"{path}/cancel")).status_code == 303
    await browser.open(WHAT_IF)
    assert "The run had ended already." in said(browser)
    assert [entry[:2] for entry in await studio.log() if "what-if" in entry[1]] == [
        (ADA, "what-if cancelled")
    ]


async def test_a_run_whose_process_died_is_shown_as_lost(studio: Studio) -> None:
    viewer = await studio.signed_in(EVE)
    silent = datetime.now(UTC) - 2 * SILENCE
    row = WhatIfRow(
        id="whatif_1",
        campaign="standard",
        by=ADA,
        source="all cases",
        document=LATER,
        state="",
        against=1,
        started_at=silent,
        seen_at=silent,
    )
    async with studio.desk.tools.database.begin() as session:
        await what_ifs.begin(session, row, silent)
    await viewer.open(f"{WHAT_IF}/whatif_1")
    assert "nothing has been heard of it since" in said(viewer)


async def test_only_so_many_go_on_at_once(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA)
    now = datetime.now(UTC)
    for number in range(MOST_AT_ONCE):
        row = WhatIfRow(
            id=f"whatif_{number}",
            campaign="other",
            by=EVE,
            source="all cases",
            document=LATER,
            state="",
            started_at=now,
            seen_at=now,
        )
        async with studio.desk.tools.database.begin() as session:
            await what_ifs.begin(session, row, now)
    await browser.open(WHAT_IF)
    answer = await browser.send(WHAT_IF, source="cases")
    assert answer.status_code == 422
    assert "what-if runs go on already" in said(browser)
    # A run of another campaign is not found under this one.
    assert (await browser.open(f"{WHAT_IF}/whatif_0")).status_code == 404
    assert (await browser.open("/studio/campaigns/nobody/what-if")).status_code == 404


@pytest.mark.parametrize(
    ("what", "published", "draft_", "words"),
    [
        ("charges", 10, 8, "2 charges fewer"),
        ("charges beyond a card network's limit", 0, 1, "1 charges more beyond a card network's limit"),
        ("mail payment_failed", 4, 1200, "1,196 mails more of the kind “payment failed”"),
        ("days with limited access", 10.5, 8, "2.5 days fewer with limited access"),
        ("days until the end, on average", 27.0, 26.1, "0.9 days fewer until the end, on average"),
        ("days until the end, on average", 27.0, 27.01, ""),
        ("in arm b", 3, 5, "2 failures more in arm b"),
    ],
)
def test_a_difference_is_said_as_people_do(what: str, published: float, draft_: float, words: str) -> None:
    assert _row(Figure(what=what, published=published, draft=draft_)).word == words
