"""What a case in shadow does in place of charging, and of ending a subscription: it decides, and writes it down.

The invoice is read and the ledger is asked as ever; nothing is claimed, sent or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from activities import claims
from activities.conversation import Conversation, network_of
from activities.findings import learn_from_imagined
from activities.turn import conclude, flagged, ids, money
from campaigns.declines import Said
from campaigns.story import Ending, Outcome, Story, Trigger
from store import attempts, journal

if TYPE_CHECKING:
    from activities.standing import Stand
    from campaigns.story import Plan
    from contract import Report
    from store.ledger import Claim

log = structlog.get_logger()
# Stands in the ending of a case whose final action nobody carried out.
NOTHING_DONE = "in shadow, so that nothing was done"


class Imagining(Conversation):
    """The acts of a case in shadow."""

    async def _imagined_charge(self, at: Stand, step: Plan) -> Report:
        """Write down that the invoice would be charged now, or why the card's budget would forbid it."""
        invoice = await self._read(at)
        story = await self._learn(at, invoice)
        if story.ending:
            return await self._conclude(at, story)
        card = await claims.card_of(self._tools, story, invoice, step.method)
        trigger = step.trigger or Trigger.SCHEDULE
        said = Said(story.decline, network=network_of(card, story))
        verdict = self._tools.declines.judge(said, at.now.date()) if story.decline else None
        async with self._tools.database.begin() as session:
            decision = await claims.would_claim(session, story, card, self._tools.rules, at.now)
            if decision.granted:
                imagined = {"state": attempts.SHADOW, "method": step.method, "decline": story.decline}
                await attempts.record(session, story, step.id, trigger, at.now, **imagined)
                line = f"shadow: {money(story)} would be charged ({trigger}); counted as declined"
                story = learn_from_imagined(story, step.id, trigger, verdict, at.now)
                story = await claims.with_budget(session, story, card, self._tools.rules, at.now)
            else:
                line, story = self._would_be_refused(story, step, decision, at)
                await journal.enter(session, story.case_id, step.id, journal.WITHHELD, line, at.now)
            report = await conclude(session, at.campaign, story, at.now, [line])
        log.info("payment.imagined", **ids(story), attempt=step.id, granted=decision.granted, text=line)
        return report

    def _would_be_refused(self, story: Story, step: Plan, decision: Claim, at: Stand) -> tuple[str, Story]:
        line = f"shadow: charge {step.id} would not be made: {decision.reason}"
        return line, flagged(claims.refused(story, step, decision, at.now), "charge refused")

    async def _imagined_end(self, at: Stand, step: Plan) -> Report:
        """End the case as its campaign would, and leave the subscription as it is."""
        story = await self._learn(at, await self._read(at))
        if story.ending or story.pending:
            return await self._conclude(at, story)
        action = at.campaign.end.action
        line = f"shadow: final action {str(action).replace('_', ' ')} would be asked of the processor"
        ending = Ending(outcome=Outcome.EXHAUSTED, final_action=action, at=at.now, why=NOTHING_DONE)
        done = {**story.done, step.id: at.now}
        story = story.model_copy(update={"ending": ending, "done": done, "hold": None})
        async with self._tools.database.begin() as session:
            await journal.enter(session, story.case_id, step.id, journal.SHADOW, line, at.now)
            log.info("subscription.imagined", **ids(story), action=str(action))
            return await conclude(session, at.campaign, story, at.now, [line])
