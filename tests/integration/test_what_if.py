"""What-if runs: their table, and their processes with progress, cancelling and failures."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import what_if
from campaigns.comparison import UNKNOWN, Comparison, Tally
from campaigns.story import Outcome
from errors import BadCampaign, Conflict, NotKnown
from store import what_ifs
from store.database import Database
from store.past_cases import NOT_KEPT
from store.studio_tables import WhatIfRow
from store.what_ifs import State
from tests.integration.past_cases import LATER, MONDAY, PLAIN, case, fill
from what_if import Wanted, WhatIfRuns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY = timedelta(days=1)
HEAD = "id,failed_at,amount,currency,settled_at"
# More than a process tries within a few seconds.
MANY = 20_000
# No two failures of such a campaign are alike, so that each has to be played.
SLOW = LATER + "calendar: {messages: {hours: 09:00 to 20:00}}\n"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def runs(database: Database, database_url: str) -> AsyncIterator[WhatIfRuns]:
    begun = WhatIfRuns(database, database_url, "standard")
    yield begun
    await begun.close()


def row(run: str, **more: Any) -> WhatIfRow:
    values: dict[str, Any] = {
        "id": run,
        "campaign": "standard",
        "by": "ada",
        "source": "all cases",
        "document": PLAIN,
        "state": "",
        "started_at": MONDAY,
        "seen_at": MONDAY,
    }
    return WhatIfRow(**(values | more))


async def looked_at(database: Database, run: str) -> WhatIfRow:
    async with database.read() as session:
        return await what_ifs.get(session, run)


async def ended(database: Database, runs: WhatIfRuns, wanted: Wanted) -> WhatIfRow:
    """Begin a run and wait for its end."""
    run = await runs.begin(wanted)
    async with asyncio.timeout(60):
        await runs.ended(run)
    return await looked_at(database, run)


async def begun_to_try(database: Database, run: str) -> WhatIfRow:
    """Wait until a run has tried some failures."""
    for _ in range(600):
        found = await looked_at(database, run)
        if found.done:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing was tried: {found}")


def failures(path: Path, *rows: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    return path


def many(path: Path) -> Path:
    rows = (f"in_{number},2026-03-02T09:{number % 60:02}:00Z,49.00,USD," for number in range(MANY))
    return failures(path, *rows)


# --- the table of runs ---------------------------------------------------------------------------------


async def test_a_run_is_written_down_from_its_beginning_to_its_end(database: Database) -> None:
    found = Comparison(failures=3, draft=Tally(taken=3, charges=6))
    later = MONDAY + timedelta(seconds=5)
    async with database.begin() as session:
        await what_ifs.begin(session, row("one"), MONDAY)
        assert await what_ifs.tell_progress(session, "one", 1, 3, later)
    running = await looked_at(database, "one")
    assert (running.state, running.done, running.total, running.seen_at) == (State.RUNNING, 1, 3, later)
    assert what_ifs.comparison_of(running) is None
    async with database.begin() as session:
        assert await what_ifs.finish(session, "one", found, later)
        # It has ended: nothing can be said of it any more.
        assert not await what_ifs.tell_progress(session, "one", 2, 3, later)
        assert not await what_ifs.fail(session, "one", "too late", later)
        assert not await what_ifs.cancel(session, "one", "ada", later)
    done = await looked_at(database, "one")
    assert (done.state, done.done, done.total, done.finished_at) == (State.DONE, 3, 3, later)
    assert what_ifs.comparison_of(done) == found


async def test_who_cancels_a_run_is_kept_and_its_process_is_told(database: Database) -> None:
    async with database.begin() as session:
        await what_ifs.begin(session, row("one"), MONDAY)
        assert await what_ifs.cancel(session, "one", "ada", MONDAY)
        assert not await what_ifs.tell_progress(session, "one", 2, 3, MONDAY)
        assert not await what_ifs.finish(session, "one", Comparison(failures=3, draft=Tally()), MONDAY)
    found = await looked_at(database, "one")
    assert (found.state, found.why, found.result) == (State.CANCELLED, "cancelled by ada", None)


async def test_a_run_that_has_fallen_silent_is_lost(database: Database) -> None:
    async with database.begin() as session:
        await what_ifs.begin(session, row("one"), MONDAY)
    found = await looked_at(database, "one")
    assert what_ifs.state_of(found, MONDAY + timedelta(seconds=60)) is State.RUNNING
    assert what_ifs.state_of(found, MONDAY + timedelta(seconds=61)) is State.LOST


async def test_two_runs_at_once_are_enough_but_lost_ones_do_not_count(database: Database) -> None:
    async with database.begin() as session:
        await what_ifs.begin(session, row("one"), MONDAY)
        await what_ifs.begin(session, row("two"), MONDAY)
    for later in (timedelta(0), timedelta(seconds=59)):
        with pytest.raises(Conflict, match="2 what-if runs go on already"):
            async with database.begin() as session:
                await what_ifs.begin(session, row("three"), MONDAY + later)
    async with database.begin() as session:
        await what_ifs.begin(session, row("three"), MONDAY + timedelta(seconds=61))


async def test_runs_are_listed_the_latest_first_of_one_campaign_or_all(database: Database) -> None:
    async with database.begin() as session:
        for number, campaign in enumerate(["standard", "premium", "standard"]):
            # An hour apart, so that the one before is lost.
            at = MONDAY + timedelta(hours=number)
            await what_ifs.begin(session, row(f"run_{number}", campaign=campaign), at)
    async with database.read() as session:
        assert [run.id for run in await what_ifs.listing(session)] == ["run_2", "run_1", "run_0"]
        assert [run.id for run in await what_ifs.listing(session, limit=1)] == ["run_2"]
        assert [run.id for run in await what_ifs.listing(session, "premium")] == ["run_1"]
        with pytest.raises(NotKnown, match="no what-if run 'other'"):
            await what_ifs.get(session, "other")


# --- a process for each run ------------------------------------------------------------------------------


async def test_a_draft_is_tried_on_past_cases_in_a_process_of_its_own(
    database: Database, runs: WhatIfRuns
) -> None:
    rows = [case(1), case(2, Outcome.CANCELLED, after=2 * DAY), case(3, failed_at=MONDAY - DAY)]
    await fill(database, rows)
    found = await ended(database, runs, Wanted(LATER, by="ada", since=MONDAY))
    assert (found.state, found.why, found.against) == (State.DONE, "", 1)
    assert (found.campaign, found.by, found.document) == ("standard", "ada", LATER)
    assert found.source == "the cases since 02 Mar 2026 09:00 UTC"
    comparison = what_ifs.comparison_of(found)
    assert comparison is not None
    # Until the end on day 14 or 10, and one until it was cancelled on day 2.
    assert (comparison.failures, comparison.changed) == (2, 1)
    assert comparison.published is not None
    assert (comparison.published.days, comparison.draft.days) == (16, 12)
    assert [example.id for example in comparison.examples] == ["case_00001"]
    assert comparison.unknown == (*UNKNOWN, *NOT_KEPT)


async def test_a_draft_is_tried_on_a_file_which_is_deleted(
    database: Database, runs: WhatIfRuns, tmp_path: Path
) -> None:
    await fill(database, [case(1)])
    file = failures(
        tmp_path / "x.csv",
        "in_7,2026-03-02T09:00:00Z,49.00,USD,",
        "in_8,2026-03-02T09:00:00Z,49.00,USD,2026-03-04T09:00:00Z",
    )
    found = await ended(database, runs, Wanted(LATER, by="ada", csv=file, csv_name="march.csv"))
    comparison = what_ifs.comparison_of(found)
    assert comparison is not None
    assert (found.source, comparison.draft.days) == ("the failures in march.csv", 12)
    assert comparison.unknown == UNKNOWN
    assert not file.exists()


async def test_a_new_campaign_is_tried_alone(database: Database, runs: WhatIfRuns) -> None:
    await fill(database, [case(1, plan="pro"), case(2)])
    new = LATER.replace("name: standard", "name: pro\ntakes: {priority: 1, plan: pro}")
    found = await ended(database, runs, Wanted(new, by="ada"))
    comparison = what_ifs.comparison_of(found)
    assert comparison is not None
    assert (found.against, comparison.published, comparison.draft.taken) == (None, None, 1)


async def test_the_other_published_campaigns_take_what_is_theirs(
    database: Database, runs: WhatIfRuns
) -> None:
    pro = PLAIN.replace("name: standard", "name: pro\ntakes: {priority: 1, plan: pro}")
    await fill(database, [case(1, plan="pro"), case(2)], published=(PLAIN, pro))
    found = what_ifs.comparison_of(await ended(database, runs, Wanted(LATER, by="ada")))
    assert found is not None
    assert found.published is not None
    assert (found.failures, found.draft.taken, found.published.taken) == (2, 1, 1)


async def test_a_run_tells_how_far_it_is_and_can_be_cancelled(
    database: Database, runs: WhatIfRuns, tmp_path: Path
) -> None:
    await fill(database, [])
    file = many(tmp_path / "many.csv")
    run = await runs.begin(Wanted(SLOW, by="ada", csv=file))
    at_first = await begun_to_try(database, run)
    assert 0 < at_first.done < at_first.total == MANY
    async with database.begin() as session:
        assert await what_ifs.cancel(session, run, "bob", datetime.now(UTC))
    async with asyncio.timeout(what_if.STOPS_WITHIN):
        await runs.ended(run)
    found = await looked_at(database, run)
    assert (found.state, found.why, found.result) == (State.CANCELLED, "cancelled by bob", None)
    assert found.done < MANY
    assert not file.exists()


async def test_a_run_whose_process_is_killed_has_failed(
    database: Database, runs: WhatIfRuns, tmp_path: Path
) -> None:
    await fill(database, [])
    run = await runs.begin(Wanted(SLOW, by="ada", csv=many(tmp_path / "many.csv")))
    await begun_to_try(database, run)
    os.kill(runs.process_id(run), signal.SIGKILL)
    await runs.ended(run)
    found = await looked_at(database, run)
    assert (found.state, found.why) == (State.FAILED, "its process was ended by signal 9")


async def test_a_run_ends_with_whoever_began_it(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await fill(database, [])
    runs = WhatIfRuns(database, database_url, "standard")
    run = await runs.begin(Wanted(SLOW, by="ada", csv=many(tmp_path / "many.csv")))
    await begun_to_try(database, run)
    await runs.close()
    found = await looked_at(database, run)
    assert (found.state, found.why) == (State.FAILED, "what began it was stopped")


async def test_a_file_with_faults_fails_with_all_of_them(
    database: Database, runs: WhatIfRuns, tmp_path: Path
) -> None:
    await fill(database, [])
    file = failures(tmp_path / "x.csv", "in_7,soon,49.00,USD,", "in_8,2026-03-02T09:00:00Z,49.00,USS,")
    found = await ended(database, runs, Wanted(LATER, by="ada", csv=file, csv_name="march.csv"))
    assert found.state == State.FAILED
    assert found.why.split("\n") == [
        "march.csv:2: failed_at: 'soon' is no time: write it as in 2026-03-02T09:00:00Z",
        "march.csv:3: currency: 'USS' is no currency: did you mean 'USD'?",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"id;failed_at\nM\xfcller", "march.csv is not UTF-8: save it as CSV in UTF-8"),
        (None, "march.csv cannot be read: "),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_a_sentence(
    database: Database, runs: WhatIfRuns, tmp_path: Path, content: bytes | None, why: str
) -> None:
    await fill(database, [])
    file = tmp_path / "x.csv"
    if content is not None:
        file.write_bytes(content)
    found = await ended(database, runs, Wanted(LATER, by="ada", csv=file, csv_name="march.csv"))
    assert found.state == State.FAILED
    assert found.why.startswith(why)


async def test_what_cannot_begin_leaves_nothing_behind(
    database: Database, runs: WhatIfRuns, tmp_path: Path
) -> None:
    await fill(database, [])
    file = failures(tmp_path / "x.csv")
    with pytest.raises(BadCampaign):
        await runs.begin(Wanted("name: standard", by="ada", csv=file))
    assert not file.exists()
    async with database.read() as session:
        assert await what_ifs.listing(session) == []
