"""Never two retriers on one invoice: the processor's own retries are taken over, or Dunwell stands aside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import keys
from activities.findings import learn_from_invoice, looked_beside
from activities.tools import is_last_try, try_again
from campaigns.durations import spell_moment
from errors import AnswerLost, ProcessorError, ProcessorUnavailable
from processors.protocol import InvoiceState
from store import journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.tools import Tools
    from campaigns.story import Story
    from processors.protocol import Invoice
    from store.tables import AttemptRow

# Where the processor refuses to be taken over from, it is asked again so often.
ASKED_AGAIN = timedelta(days=1)
SWITCHED_OFF = "the processor's own retries of this invoice are switched off"
OVER = "the processor's own retries of this invoice are over: Dunwell charges from now on"


async def beside(
    tools: Tools, story: Story, invoice: Invoice, rows: Sequence[AttemptRow], now: datetime
) -> Story:
    """Take a read in, and switch the processor's own retries off where that is the setting.

    Where that fails a person is told once, and nothing is charged by us until it has succeeded. Trouble that
    may pass is raised as long as Temporal tries again.
    """
    learned = looked_beside(learn_from_invoice(story, invoice, rows, now), now)
    if learned.beside is None or learned.ending or tools.stands_aside:
        return learned
    if invoice.state is not InvoiceState.OPEN or story.livemode != tools.livemode:
        return learned
    processor = tools.processor(story.processor)
    try:
        await processor.take_over_retries(
            story.account, story.invoice, keys.take_over_key(story.workflow_id, now)
        )
    except ProcessorError as error:
        if isinstance(error, ProcessorUnavailable | AnswerLost) and not is_last_try():
            raise try_again(error) from error
        text = (
            f"the processor goes on retrying invoice {story.invoice} by itself: {error}; nothing is charged by"
            " Dunwell until these retries are switched off, which is tried once a day"
        )
        async with tools.database.begin() as session:
            await journal.alert(
                session, f"{story.case_id}.take-over", "two retriers", text, now, story.case_id
            )
        again = min(learned.beside.look_at, now + ASKED_AGAIN)
        return learned.model_copy(
            update={"beside": learned.beside.model_copy(update={"refused": True, "look_at": again})}
        )
    return learn_from_invoice(story, replace(invoice, processor_retries_at=None), rows, now)


async def told(session: AsyncSession, before: Story, after: Story, now: datetime) -> list[str]:
    """Say, and write down, who charges the invoice from now on, where that has changed."""
    if after.ending or (before.beside is None) == (after.beside is None):
        return []
    if after.beside is not None:
        line = standing_aside(after)
    elif before.beside and before.beside.refused:
        line = SWITCHED_OFF
    else:
        line = OVER
    await journal.enter(session, after.case_id, f"retriers.{now.isoformat()}", journal.CASE, line, now)
    return [line]


def standing_aside(story: Story) -> str:
    """Say that the processor charges, and Dunwell does not."""
    assert story.beside is not None
    why = ", and could not be switched off" if story.beside.refused else ""
    return (
        f"the processor's own retries of this invoice go on{why}, next on {spell_moment(story.beside.until)}:"
        " Dunwell only writes"
    )
