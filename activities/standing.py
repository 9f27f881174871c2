"""The head of every step's activity: how things really stand, and what to do when a step has to wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from activities.tools import STOPPED_HOLD, Tools, virtual_now
from activities.turn import as_stored, campaign_of, conclude
from campaigns.planner import plan
from campaigns.story import Hold, Story
from store import journal, switches

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from campaigns.document import Campaign
    from campaigns.story import Plan
    from contract import Order, Report

log = structlog.get_logger()


@dataclass(frozen=True)
class Stand:
    """How things stand at the head of an activity: the story as stored, and what is really next."""

    story: Story
    campaign: Campaign
    next: Plan
    now: datetime
    stop: str | None


async def stand(tools: Tools, order: Order, *switch_names: str) -> Stand:
    """Plan again before doing anything, and look whether somebody has stopped everybody."""
    now = virtual_now()
    async with tools.database.begin() as session:
        story = await as_stored(session, order.story)
        campaign = await campaign_of(session, story)
        stop = await switches.stopped(session, *switch_names)
        if stop is not None and stop.probe_at is not None:
            may = await switches.may_probe(session, stop.name, now, now + STOPPED_HOLD)
            stop = None if may else stop
    if story.livemode != tools.livemode and not story.closed:
        why = (
            "the case is live and this installation is not"
            if story.livemode
            else "a test case in a live installation"
        )
        story = story.model_copy(update={"review": f"{why}: nothing is done"})
    reason = f"{stop.name} stopped by {stop.by}: {stop.why}" if stop else None
    return Stand(story, campaign, plan(campaign, story, now), now, reason)


async def hold_everybody(tools: Tools, switch: str, why: str, now: datetime) -> None:
    """Stop a processor account or a sender for every case, and tell a person once: its key was rejected."""
    async with tools.database.begin() as session:
        stopped = await switches.turn(
            session, switch, stop=True, by="dunwell", why=why, now=now, probe_at=now + STOPPED_HOLD
        )
        if stopped:
            text = f"{switch} is held: {why}"
            await journal.alert(session, f"{switch}.{now:%Y-%m-%dT%H:%M}", "key rejected", text, now)


class StepActivities:
    """What the activities that carry out steps have in common."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def _conclude(self, at: Stand, story: Story, *lines: str) -> Report:
        async with self._tools.database.begin() as session:
            return await conclude(session, at.campaign, story, at.now, lines)

    async def _held(self, at: Stand, action: str, length: timedelta, why: str) -> Report:
        """Leave the action undone and say when it is tried again."""
        hold = Hold(action=action, until=at.now + length, why=why)
        log.warning("case.held", case=at.story.case_id, invoice=at.story.invoice, action=action, why=why)
        return await self._conclude(at, at.story.model_copy(update={"hold": hold}), f"{action} waits: {why}")
