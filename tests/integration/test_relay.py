"""What arrives while Temporal is away is kept, and delivered when it is back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

import embedded
from campaigns.story import Lever, Outcome
from local import free_port
from store import cases, events
from tests.integration.web_side import opened_web_side, until
from web.relay import deliver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Databases
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)
pytestmark = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary for this platform")

SAID = {"by": "ops", "why": "a call"}


async def test_what_came_while_temporal_was_away_is_delivered_when_it_is_back(
    tmp_path: Path, databases: Databases
) -> None:
    port = free_port()
    address, url = f"127.0.0.1:{port}", databases.fresh("sqlite")
    server = embedded.run_server(tmp_path / "temporal", ui=False, port=port)
    await server.__aenter__()
    async with opened_web_side(url, tmp_path, address) as web:
        known = await web.failed("known", "insufficient_funds")
        await server.__aexit__(None, None, None)
        failed = await web.owe("away")
        started = time.monotonic()
        answer = await web.post(failed.body)
        assert (answer.status_code, answer.json()["new"]) == (200, True)
        assert time.monotonic() - started < 2
        told = await web.happened(web.sandbox.add_card("cus_known", "card_known_new", "paid"))
        for event in told:
            assert (await web.post(event.body)).status_code == 200
        assert (await web.post(failed.body)).json()["new"] is False
        for event in (failed, *told):
            row = await web.event(event.id)
            assert row is not None
            assert row.state == events.PENDING
        health = (await web.http.get("/health")).json()
        assert health == {"status": "ok", "events_waiting": 3}
        kept, refused = await asyncio.gather(
            web.api(f"/cases/{known.id}/invoice-changed", {"what": "a look"}, key="kept-1"),
            web.api(f"/cases/{known.id}/pause", SAID),
        )
        assert (kept.status_code, kept.json()["became"]) == (202, "kept")
        assert refused.status_code == 503
        assert "a wish is not kept" in refused.json()["error"]
        async with embedded.run_server(tmp_path / "temporal", ui=False, port=port):
            for event in (failed, *told):
                assert (await web.settled(event.id)).state in {events.HANDED_ON, events.IGNORED}
            closed = await web.closed("in_known")
            assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
            case = await web.opened("in_away")
            assert (case.closed_at, case.status) == (None, "waiting")
            charges = [charge.invoice for charge in await web.sandbox.charges()]
            assert charges == ["in_known"]
            again = await web.api(f"/cases/{known.id}/invoice-changed", {"what": "a look"}, key="kept-1")
            assert again.status_code == 200
            assert again.json()["replayed"]
            await until(lambda: _nothing_waits(web))


async def _nothing_waits(web: WebSide) -> bool:
    return bool((await web.http.get("/health")).json()["events_waiting"] == 0)


async def test_a_fact_that_overtakes_the_report_of_its_failure_is_not_lost(web: WebSide) -> None:
    """The failure was stored and its case reserved; Temporal went away before the workflow was started."""
    failed = await web.owe("overtaken", "insufficient_funds")
    told = await web.happened(web.sandbox.add_card("cus_overtaken", "card_overtaken_new", "paid"))
    now = web.desk.now()
    async with web.desk.tools.database.begin() as session:
        await cases.reserve(session, "sandbox", "main", "in_overtaken", now, customer="cus_overtaken")
        for event in (*told, failed):
            await events.keep(session, "sandbox", event.id, event.type, event.body.decode(), now)
    for event in (*told, failed):
        row = await web.event(event.id)
        assert row is not None
        await deliver(web.desk, row)
    closed = await web.closed("in_overtaken")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    assert [alert.kind for alert in await web.alerts(closed.id)] == []


async def test_what_a_web_side_that_was_killed_had_stored_is_delivered_by_another(web: WebSide) -> None:
    event = await web.owe("orphan")
    long_ago = web.desk.now() - events.CLAIM * 2
    async with web.desk.tools.database.begin() as session:
        await events.keep(session, "sandbox", event.id, event.type, event.body.decode(), long_ago)
    row = await web.settled(event.id)
    assert row.state == events.HANDED_ON
    assert (await web.opened("in_orphan")).id == row.case_id
