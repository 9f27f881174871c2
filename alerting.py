"""Passes alerts on to people: each once into the log, and as a mail where an address is set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parseaddr
from html import escape
from typing import TYPE_CHECKING

import structlog

from errors import MailAnswerLost, MailError
from messaging.protocol import Mail
from store import journal

if TYPE_CHECKING:
    from activities.tools import Tools
    from store.tables import AlertRow

log = structlog.get_logger()
ROUND_SECONDS = 5.0


async def run_alerting(tools: Tools) -> None:
    """Tell people what they have to know, until cancelled; what could not be mailed is tried again."""
    while True:
        try:
            await tell_people(tools)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next round tries again
            log.warning("alerting.trouble", error=str(error))
        await asyncio.sleep(ROUND_SECONDS)


async def tell_people(tools: Tools) -> int:
    """Pass on every alert that nobody was told yet; gives how many there were."""
    async with tools.database.begin() as session:
        rows = await journal.claim_untold(session, datetime.now(UTC))
    for row in rows:
        log.error("alert", kind=row.kind, case=row.case_id, text=row.text)
        if tools.alert_to is None:
            continue
        try:
            await tools.sender.send(_mail(tools, row, tools.alert_to))
        except MailAnswerLost as error:
            log.warning("alert.mail_may_be_lost", kind=row.kind, case=row.case_id, error=str(error))
        except MailError as error:
            log.warning("alert.mail_postponed", kind=row.kind, case=row.case_id, error=str(error))
            async with tools.database.begin() as session:
                await journal.untell(session, row.key)
    return len(rows)


def _mail(tools: Tools, row: AlertRow, address: str) -> Mail:
    name, sender = parseaddr(tools.mail_from)
    subject = f"Dunwell: {row.kind}" + (f" ({row.case_id})" if row.case_id else "")
    return Mail(
        id=f"alert.{row.at:%Y%m%dT%H%M%S}.{row.case_id or 'all'}",
        to_address=parseaddr(address)[1],
        to_name=None,
        from_address=sender,
        from_name=name or None,
        subject=subject,
        html=f"<p>{escape(row.text)}</p>",
        text=row.text,
        locale="en",
    )
