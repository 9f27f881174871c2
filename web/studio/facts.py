"""The facts that retries go by, as a page: what each decline means, and how often a card may be tried."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from campaigns.decline_rows import RAILS, DeclineRow
from store.journal import plain
from web.desk import Desk, desk_of
from web.studio.frame import page
from web.studio.gate import Viewer

router = APIRouter()
AtDesk = Annotated[Desk, Depends(desk_of)]
SYSTEMS = {
    "stripe_decline_code": "Stripe",
    "stripe_advice_code": "Stripe's advice",
    "stripe_outcome_reason": "Stripe's outcome",
    "iso8583_visa": "Visa",
    "mastercard_mac": "Mastercard advice",
    "mastercard_response": "Mastercard",
    "braintree_processor": "Braintree",
    "nacha_return": "ACH returns",
    "epc_reason": "SEPA reasons",
    "dunwell": "Dunwell",
}
RAIL_NAMES = {"card": "Cards", "ach": "ACH debits", "sepa": "SEPA debits"}
AGAIN = {
    "yes": "yes",
    "limited": "a few times",
    "reconcile-first": "after a look whether it was paid",
    "after-update": "once the card is updated",
    "no": "no",
}
ASKED = {
    "immediately": "at once",
    "after-first-retry-fails": "when another charge fails",
    "after-quick-retries-fail": "when the quick tries fail",
    "no": "no",
}


@dataclass(frozen=True)
class Shown:
    """What a filter leaves: the rows of one rail and system that have a word in them."""

    rail: str
    system: str
    word: str

    def has(self, row: DeclineRow) -> bool:
        """Whether a row is shown; a word is looked for in all that people read of it."""
        read = f"{row.code} {row.meaning} {row.next_step} {row.kind} {row.subclass} {row.source}".lower()
        return (
            (not self.rail or row.rail == self.rail)
            and (not self.system or row.code_system == self.system)
            and all(part in read for part in self.word.lower().split())
        )


@router.get("/facts")
async def facts(
    request: Request,
    desk: AtDesk,
    _: Viewer,
    rail: Annotated[str, Query(max_length=20)] = "",
    system: Annotated[str, Query(max_length=40)] = "",
    word: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show what holds today: the decline codes that a filter leaves, and every network's limits."""
    today = desk.now().date()
    shown = Shown(rail, system, plain(word).strip())
    rows = desk.tools.declines.in_force(today)
    found = [row for row in rows if shown.has(row)]
    limits = [
        limit for name in sorted(set(RAILS.values())) for limit in desk.tools.limits.in_force(today, name)
    ]
    return page(
        request,
        "facts.html",
        rows=found,
        count=len(rows),
        own=sum(row.own for row in rows),
        limits=limits,
        shown=shown,
        systems=SYSTEMS,
        rails=RAIL_NAMES,
        again=AGAIN,
        asked=ASKED,
        today=today,
    )
