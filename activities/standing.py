"""The head of every step's activity: how things really stand, and what to do when a step has to wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from activities import retriers
from activities.tools import STOPPED_HOLD, Tools, virtual_now
from activities.turn import as_stored, conclude, course_of, ids, judged
from campaigns.planner import plan
from campaigns.story import Hold, Story
from store import journal, switches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from campaigns.document import Campaign
    from campaigns.story import Plan
    from contract import Order, Report
    from store.tables import SwitchRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Stand:
    """How things stand at the head of an activity: the story as stored, and what is really next.

    ``stop`` says why nothing may be done now. ``probing`` names the stops that this activity may try
    out, for everybody: what then works is released.
    """

    story: Story
    campaign: Campaign
    next: Plan
    now: datetime
    stop: str | None = None
    probing: frozenset[str] = frozenset()


async def stand(tools: Tools, order: Order, *switch_names: str) -> Stand:
    """Plan again before doing anything, and look whether somebody has stopped everybody."""
    now = virtual_now()
    async with tools.database.read() as session:
        story = await as_stored(session, order.story)
        campaign, story = await course_of(session, story)
        story = judged(campaign, story, now)
        if story.shadow:
            # What is only imagined waits for nobody's stop, and cannot try one out.
            switch_names = tuple(
                name for name in switch_names if name == switches.reading(story.processor, story.account)
            )
        stops = await switches.stopped(session, *switch_names)
    if story.livemode != tools.livemode and not story.closed:
        why = (
            "the case is live and this installation is not"
            if story.livemode
            else "a test case in a live installation"
        )
        story = story.model_copy(update={"review": f"{why}: nothing is done"})
    stop, probing = await _probe(tools, stops, now) if stops else (None, frozenset[str]())
    return Stand(story, campaign, plan(campaign, story, now), now, stop, probing)


async def _probe(
    tools: Tools, stops: Sequence[SwitchRow], now: datetime
) -> tuple[str | None, frozenset[str]]:
    """Claim the right to try a stop out where it is time; anybody else's stop is a reason to wait."""
    probing = set()
    async with tools.database.begin() as session:
        for row in stops:
            if row.probe_at and await switches.may_probe(session, row.name, now, now + STOPPED_HOLD):
                probing.add(row.name)
    reasons = [f"{row.name} stopped by {row.by}: {row.why}" for row in stops if row.name not in probing]
    return (reasons[0] if reasons else None), frozenset(probing)


async def hold_everybody(tools: Tools, switch: str, why: str, now: datetime) -> None:
    """Stop a processor account or a sender for every case, and tell a person once: its key was rejected."""
    async with tools.database.begin() as session:
        stopped = await switches.turn(
            session, switch, stop=True, by="dunwell", why=why, now=now, probe_at=now + STOPPED_HOLD
        )
        if stopped:
            text = f"{switch} is held: {why}"
            await journal.alert(session, f"{switch}.{now:%Y-%m-%dT%H:%M}", "key rejected", text, now)


async def release(tools: Tools, at: Stand, switch: str) -> None:
    """Let everybody go on, where this activity has just found that a stopped thing works again."""
    if switch not in at.probing:
        return
    async with tools.database.begin() as session:
        await switches.turn(session, switch, stop=False, by="dunwell", why="the key works again", now=at.now)


def with_hold(story: Story, hold: Hold, now: datetime) -> Story:
    """Give the story with one more thing that waits; what waits already goes on doing so, until the sooner time.

    Were it forgotten, two that wait would be due in turn, again and again at one moment.
    """
    earlier = story.hold
    if earlier is not None and earlier.until > now:
        others = tuple(action for action in (earlier.action, *earlier.also) if action != hold.action)
        hold = hold.model_copy(update={"also": others, "until": min(hold.until, earlier.until)})
    return story.model_copy(update={"hold": hold})


class StepActivities:
    """What the activities that carry out steps have in common."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def _conclude(self, at: Stand, story: Story, *lines: str) -> Report:
        async with self._tools.database.begin() as session:
            changed = await retriers.told(session, at.story, story, at.now)
            return await conclude(session, at.campaign, story, at.now, [*changed, *lines])

    async def _held(self, at: Stand, action: str, length: timedelta, why: str) -> Report:
        """Leave the action undone and say when it is tried again."""
        hold = Hold(action=action, until=at.now + length, why=why)
        log.warning("case.held", **ids(at.story), action=action, why=why, until=hold.until.isoformat())
        return await self._conclude(at, with_hold(at.story, hold, at.now), f"{action} waits: {why}")
