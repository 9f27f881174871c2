"""Whether opening a customer's link is a person's click, and which mail it was a click in.

Mail servers and mail programs follow links too, to look for malware or to show a preview. A browser that
a person opens says in its headers that it navigates. Where these are lacking, as in old browsers, the
name that a program gives itself has to do; a scanner that passes itself off as a browser is counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from store import engagement, messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from web.desk import Desk

log = structlog.get_logger()
# Programs that fetch links and say so. (Cubot makes telephones.)
PROGRAMS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|scan|preview|prefetch|proxy|headless|monitor|barracuda|mimecast|proofpoint|symantec"
    r"|trendmicro|fireeye|safelinks|facebookexternalhit|whatsapp|slack|skype|curl|wget|python|java/|libwww"
    r"|go-http-client|okhttp|node-fetch|axios|microsoft office",
    re.IGNORECASE,
)


def is_a_click(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request looks like a person who follows a link, and not like a program that looks at it."""
    if method != "GET" or "prefetch" in f"{headers.get('sec-purpose', '')} {headers.get('purpose', '')}":
        return False
    mode = headers.get("sec-fetch-mode")
    if mode is not None and mode != "navigate":
        return False
    program = headers.get("user-agent", "")
    return bool(program) and not PROGRAMS.search(program)


async def note(desk: Desk, token: str, case_id: str) -> None:
    """Write down that a link was followed; without its database the page does what it can all the same.

    A link made before links named their message counts for the mail that the customer got last.
    """
    try:
        async with desk.tools.database.begin() as session:
            message = desk.links.message_of(token, desk.now())
            if message is None:
                latest = await messages.latest_sent(session, case_id)
                message = latest.id if latest else None
            if message is not None:
                await engagement.record_clicked(session, message, desk.now())
    except SQLAlchemyError as error:
        log.warning("click.not_noted", case=case_id, error=type(error).__name__)
