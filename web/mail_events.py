"""Where SendGrid reports what became of mails: checked, and taken in with all that follows from it.

What follows is in the database alone. So an event is stored, acted on and settled in one transaction:
nothing waits for the relay, and what is delivered again finds itself done.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from errors import BadInput, BadSignature
from messaging.sendgrid_events import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    EventVerifier,
    MailEvent,
    News,
    read_events,
)
from store import cases, customers, engagement, events, journal, messages
from web.desk import Desk, desk_of
from web.webhooks import read_body

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.tables import MessageRow

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
log = structlog.get_logger()

SOURCE = "sendgrid"
# A message in one of these was handed over, and nobody knows yet whether it was taken.
IN_DOUBT = frozenset({messages.SENDING, messages.UNKNOWN})
# In these, it is over with a message whatever else is reported of it.
OVER = frozenset({messages.FAILED, messages.DROPPED})

verifier = lru_cache(EventVerifier)


@router.post(f"/{SOURCE}", summary="Take events about mails from SendGrid")
async def take_events(request: Request, desk: Annotated[Desk, Depends(desk_of)]) -> JSONResponse:
    """Answer 200 once the events of ours are taken in; those about other mails are left out.

    4xx with a reason, and nothing stored, for a request that is wrongly signed, older than five minutes,
    too large or malformed.
    """
    key = desk.settings.sendgrid_webhook_key
    if key is None:
        raise HTTPException(404, "events of SendGrid are not expected: set DUNWELL_SENDGRID_WEBHOOK_KEY")
    body, now = await read_body(request), desk.now()
    headers = request.headers
    try:
        verifier(key).verify(body, headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER), now)
        found = read_events(body)
    except BadSignature as error:
        log.warning("webhook.refused", source=SOURCE, error=str(error))
        raise HTTPException(400, str(error)) from None
    except BadInput as error:
        log.warning("webhook.malformed", source=SOURCE, error=str(error))
        raise HTTPException(400, f"not events of SendGrid: {error}") from None
    new = 0
    async with desk.tools.database.begin() as session:
        # In one order for everybody, so that two requests cannot wait for each other.
        for event in sorted(found, key=lambda event: (event.message, event.at, event.id)):
            new += await _take(session, event, now)
    return JSONResponse({"received": len(found), "new": new})


async def _take(session: AsyncSession, event: MailEvent, now: datetime) -> bool:
    """Store an event, act on it, and settle it; False where that was done before."""
    row, fresh = await events.keep(session, SOURCE, event.id, event.name, event.body, now)
    if not fresh:
        return False
    message = await messages.find(session, event.message)
    if message is None:
        done, case_id = None, None
    else:
        done, case_id = await _act(session, message, event, now), message.case_id
    state = events.HANDED_ON if done else events.IGNORED
    why = done or (f"nothing follows: {event.why}" if message else "no message of ours is concerned")
    await events.settle(session, row.number or 0, state, now, why=why, case_id=case_id)
    log.info("mail.reported", mail=event.message, case=case_id, mail_event=event.name, became=state, why=why)
    return True


async def _act(session: AsyncSession, message: MessageRow, event: MailEvent, now: datetime) -> str | None:
    """Do what follows from an event; says so in words, and None where nothing does."""
    if event.news is News.OPENED:
        await engagement.record_opened(session, message.id, min(event.at, now))
        return "the mail was opened"
    if event.news is News.CLICKED:
        await engagement.record_clicked(session, message.id, min(event.at, now))
        return "the mail's link was followed"
    if event.news is News.TAKEN and message.state in IN_DOUBT:
        message.state, message.settled_at = messages.SENT, now
        message.detail, message.reference = message.subject, message.reference or event.reference
        session.add(message)
        return f"the mail was sent after all: {event.why}"
    if event.news is News.FAILED and message.state not in OVER:
        message.state, message.settled_at, message.detail = messages.FAILED, now, event.why
        session.add(message)
        return await _tell(session, message, event, now, f"mail '{message.template}' was not delivered")
    if event.news is News.UNWANTED:
        return await _tell(session, message, event, now, f"mail '{message.template}' was not wanted")
    return None


async def _tell(
    session: AsyncSession, message: MessageRow, event: MailEvent, now: datetime, what: str
) -> str:
    """Write into the case's journal what became of a mail, and to whom nothing more is to be sent."""
    text = f"{what}: {event.why}"
    await journal.enter(session, message.case_id, f"mail.{event.id}", journal.FACT, text, now)
    case = await cases.get(session, message.case_id)
    if event.address_at_fault and message.address and case is not None:
        await customers.keep(
            session,
            case.processor,
            case.account,
            case.customer,
            now,
            refused_address=message.address,
            refused_why=event.why,
        )
    return text
