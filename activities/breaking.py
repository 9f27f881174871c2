"""Charges to a processor or an issuer range that does not answer: counted, held, and let go on gently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

from campaigns import breaker
from campaigns.durations import spell_moment
from campaigns.networks import CARD
from campaigns.story import Trigger
from store import attempts, breakers, journal
from store.breakers import Route

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.standing import Stand
    from activities.tools import Tools
    from campaigns.declines import Verdict
    from campaigns.story import Plan, Story
    from store.breaker_tables import BreakerRow
    from store.cards import Card

log = structlog.get_logger()
# Nobody's charge in particular: how a breaker that opened or closed by itself is signed.
OURSELVES = "dunwell"


@dataclass(frozen=True)
class Held:
    """Until when a charge is held, and why."""

    until: datetime
    why: str


def route_of(story: Story, card: Card | None = None) -> Route:
    """Name the way of a case's charge; only a card has an issuer that answers while one waits."""
    if card is None or card.rail != CARD:
        return Route(story.processor, story.account)
    return Route(story.processor, story.account, card.network, card.country)


async def held(tools: Tools, at: Stand, step: Plan, name: str | None) -> Held | None:
    """Say until when a charge is held by an open breaker; None where it may be made, if only as a trial.

    A charge for which somebody waits is never held, and neither is one of which nobody knows whether it was made.
    """
    if tools.breaker is None or name is None or (step.trigger or Trigger.SCHEDULE) is not Trigger.SCHEDULE:
        return None
    async with tools.database.read() as session:
        found = await breakers.open_ones(session, name)
        if not found or await attempts.in_doubt(session, at.story.case_id, step.id):
            return None
    async with tools.database.begin() as session:
        row = await breakers.hold(session, name)
        if row is None:
            return None
        gate = breakers.gate_of(row)
        lent = breaker.let_through(tools.breaker, gate, at.now)
        if lent is not None:
            breakers.keep(session, row, lent)
            return None
        until = breaker.comes_back_at(tools.breaker, gate, at.story.case_id, at.now)
        return Held(until, f"{row.why}: charges are let through again gently from {spell_moment(gate.until)}")


async def note_away(tools: Tools, at: Stand) -> None:
    """Take in that the processor did not answer a charge: of one charge's technical tries only the first counts."""
    if tools.breaker is None:
        return
    route = route_of(at.story)
    async with tools.database.begin() as session:
        if activity.info().attempt == 1:
            await breakers.count(session, route, at.story.case_id, at.now, away=True)
        await _answered(session, tools.breaker, route.of_processor, at.now, away=True)


async def note_answer(
    session: AsyncSession, tools: Tools, at: Stand, card: Card | None, verdict: Verdict | None
) -> None:
    """Take in that the processor answered a charge, and what that says of the card's issuer."""
    if tools.breaker is None:
        return
    route = route_of(at.story, card)
    issuer_away = verdict is not None and verdict.technical
    await breakers.count(session, route, at.story.case_id, at.now, away=False, issuer_away=issuer_away)
    await _answered(session, tools.breaker, route.of_processor, at.now, away=False)
    if route.of_issuer:
        await _answered(session, tools.breaker, route.of_issuer, at.now, away=issuer_away)


async def _answered(
    session: AsyncSession, rule: breaker.BreakerRule, name: str, now: datetime, *, away: bool
) -> None:
    """Open, keep open or close a breaker after one more answer."""
    if not await breakers.open_ones(session, name):
        if away:
            await _open_if_due(session, rule, name, now)
        return
    row = await breakers.hold(session, name)
    if row is None:
        return
    gate = breaker.answered(rule, breakers.gate_of(row), now, away=away)
    if gate is not None:
        breakers.keep(session, row, gate)
        return
    breakers.close(session, row, by=OURSELVES, why="charges are answered again", now=now)
    await tell_closed(session, row, now)


async def _open_if_due(session: AsyncSession, rule: breaker.BreakerRule, name: str, now: datetime) -> None:
    recent, usual = await breakers.recent(session, name, rule, now)
    if not breaker.is_to_open(rule, recent, usual):
        return
    why = breaker.why_opened(breakers.subject(name), recent, rule)
    gate = breaker.opened(rule, now)
    if await breakers.open_one(session, name, gate, by=OURSELVES, why=why, now=now):
        text = (
            f"{why}: scheduled charges are held, and let through again gently from {spell_moment(gate.until)}"
        )
        await journal.alert(session, f"{name}.{now.isoformat()}", "breaker opened", text, now)
        log.warning("breaker.opened", breaker=name, why=why, until=gate.until.isoformat())


async def tell_closed(session: AsyncSession, row: BreakerRow, now: datetime) -> None:
    """Tell a person, once, that charges go on."""
    text = f"{breakers.subject(row.name)}: charges go on as planned; they were held since {spell_moment(row.since)}"
    await journal.alert(session, f"{row.name}.{row.since.isoformat()}.closed", "breaker closed", text, now)
    log.info("breaker.closed", breaker=row.name)
