"""A mail that a release before left waiting is sent, and known to all cases of its customer."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.testing import ActivityEnvironment

from activities.messages import MessageActivities
from contract import Order
from store import campaigns, messages
from tests.integration.shop import CAMPAIGN, NINE, opened

if TYPE_CHECKING:
    from pathlib import Path

WRITING = CAMPAIGN.replace("retry: true", "message: payment_failed")
DAY = timedelta(days=1)


async def test_a_mail_that_waited_has_its_level_when_it_is_sent(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path) as shop:
        async with shop.tools.database.begin() as session:
            await campaigns.publish(session, WRITING, file="kind", author="tests", note="", now=NINE)
        await shop.fails("ada", "insufficient_funds", NINE)
        story, step = shop.stories["in_ada"], shop.plans["in_ada"]
        async with shop.tools.database.begin() as session:
            waiting = {"state": messages.WAITING}
            await messages.claim(session, story.case_id, step.id, step.template or "", NINE, **waiting)
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, current_attempt_scheduled_time=NINE + DAY)
        report = await environment.run(
            MessageActivities(shop.tools).send_message, Order(story=story, plan=step)
        )
        assert list(report.story.done) == ["day-1.message"]
        async with shop.tools.database.read() as session:
            sent = await messages.get(session, story.case_id, step.id)
        assert sent is not None
        assert (sent.state, sent.level) == (messages.SENT, 1)
