"""Where processors report what happened: checked, stored, answered, and only then handed on."""

from __future__ import annotations

import json
import re
from typing import Annotated

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from errors import BadInput, BadSignature
from store import events
from web.desk import Desk, desk_of
from web.relay import deliver

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
log = structlog.get_logger()

# Ids and types as processors write them; anything else could not be stored by every database.
PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
# Stripe's largest events are a few hundred kilobytes; more than this is not an event.
LARGEST_BODY = 1024 * 1024


async def read_body(request: Request) -> bytes:
    """Read a body of bounded size; a longer one is refused before it is in memory."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(
                413, f"the body is larger than {LARGEST_BODY} bytes: this is no webhook event"
            )
    return body


@router.post("/{processor}", summary="Take an event of a payment processor")
async def take_event(
    processor: str,
    request: Request,
    tasks: BackgroundTasks,
    desk: Annotated[Desk, Depends(desk_of)],
) -> JSONResponse:
    """Answer 200 once the event is stored; what it means to cases is worked out after the answer.

    4xx with a reason, and nothing stored, for an event that is unsigned, wrongly signed, older than five
    minutes, too large or malformed.
    """
    known = desk.tools.processors.get(processor)
    if known is None:
        raise HTTPException(
            404, f"no processor is called '{processor}': configure it, or correct the address"
        )
    body = await read_body(request)
    signature = request.headers.get("stripe-signature")
    try:
        known.verify(body, signature)
        reports = known.reports(body)
        text = body.decode()
        event_id, kind = _identity(text)
    except BadSignature as error:
        log.warning("webhook.refused", source=processor, error=str(error))
        raise HTTPException(400, str(error)) from None
    except (BadInput, ValueError, RecursionError) as error:
        log.warning("webhook.malformed", source=processor, error=str(error))
        raise HTTPException(400, f"not an event of {processor}: {error}") from None
    async with desk.tools.database.begin() as session:
        row, fresh = await events.keep(session, processor, event_id, kind, text, desk.now())
    if fresh:
        tasks.add_task(deliver, desk, row)
    return JSONResponse(
        {
            "received": event_id,
            "new": fresh,
            "means": [{"kind": report.kind, "why": report.why} for report in reports],
        }
    )


def _identity(text: str) -> tuple[str, str]:
    event = json.loads(text)
    event_id, kind = event.get("id"), event.get("type")
    if not all(isinstance(part, str) and PRINTABLE.fullmatch(part) for part in (event_id, kind)):
        raise BadInput("it has no id or no type")
    return str(event_id), str(kind)
