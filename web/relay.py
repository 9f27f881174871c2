"""Hands on what is in the inbox: at once when it arrives, and again until Temporal has taken it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog
from temporalio.service import RPCError

from contract import FactName, OpenCase, read_fact
from errors import DunwellError
from store import cases, events
from web.intake import Became, Delivery, open_case, tell
from web.reports import hand_on

if TYPE_CHECKING:
    from store.tables import EventRow
    from web.desk import Desk

log = structlog.get_logger()

API = "api"
IDLE_SECONDS = 1.0
# Several at once, since each waits for Temporal; few enough to leave it room.
AT_ONCE = 16


async def deliver(desk: Desk, row: EventRow) -> list[Delivery] | None:
    """Hand one stored event on and write down what became of it; None when it has to wait."""
    try:
        deliveries = await _deliver(desk, row)
    except (RPCError, OSError, RuntimeError) as error:
        await _postpone(desk, row, str(error))
        return None
    except (DunwellError, ValueError) as error:
        async with desk.tools.database.begin() as session:
            await events.settle(session, row.number or 0, events.FAILED, desk.now(), why=str(error))
        log.exception(
            "event.failed", source=row.source, source_event=row.event, type=row.type, error=str(error)
        )
        return [Delivery(Became.IGNORED, str(error))]
    await settle(desk, row, deliveries)
    first = deliveries[0]
    log.info(
        "event.handed_on",
        source=row.source,
        source_event=row.event,
        type=row.type,
        became=first.became,
        case=first.case,
    )
    return deliveries


async def settle(desk: Desk, row: EventRow, deliveries: list[Delivery]) -> None:
    """Write down what became of an event, so that a repetition gets the same answer."""
    idle = all(delivery.became in {Became.IGNORED, Became.NO_CASE} for delivery in deliveries)
    async with desk.tools.database.begin() as session:
        await events.settle(
            session,
            row.number or 0,
            events.IGNORED if idle else events.HANDED_ON,
            desk.now(),
            why="; ".join(delivery.sentence for delivery in deliveries),
            case_id=deliveries[0].case,
            answer={"deliveries": [asdict(delivery) for delivery in deliveries]},
        )


async def _deliver(desk: Desk, row: EventRow) -> list[Delivery]:
    if row.source != API:
        found = desk.tools.processor(row.source).reports(row.body.encode())
        return [delivery for report in found for delivery in await hand_on(desk, row.source, report)]
    kept = json.loads(row.body)
    if row.type == "open_case":
        return [await open_case(desk, OpenCase.model_validate(kept["order"]), row.event)]
    fact = read_fact(FactName(row.type), json.dumps(kept["fact"]), row.event)
    async with desk.tools.database.read() as session:
        if "customer" in kept:
            rows = await cases.open_of_customer(session, *kept["customer"])
        else:
            found_row = await cases.get(session, kept["case"])
            rows = [found_row] if found_row else []
    if not rows:
        return [Delivery(Became.NO_CASE, "no open case is concerned")]
    return await tell(desk, rows, FactName(row.type), fact)


async def _postpone(desk: Desk, row: EventRow, why: str) -> None:
    log.warning(
        "event.postponed",
        source=row.source,
        source_event=row.event,
        type=row.type,
        tries=row.tries,
        error=why,
    )
    async with desk.tools.database.begin() as session:
        await events.postpone(session, row.number or 0, row.tries, why, desk.now())


async def run_relay(desk: Desk) -> None:
    """Hand on what waits, until cancelled; a database that is away stops it only for a moment."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(row: EventRow) -> None:
        async with limit:
            await deliver(desk, row)

    while True:
        try:
            async with desk.tools.database.begin() as session:
                due = await events.claim_due(session, desk.now())
            await asyncio.gather(*(one(row) for row in due))
        except Exception as error:  # noqa: BLE001 - whatever it was, the next round tries again
            log.warning("relay.trouble", error=str(error))
            due = ()
        if not due:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(desk.wake.wait(), IDLE_SECONDS)
            desk.wake.clear()
