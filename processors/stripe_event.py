"""One of Stripe's events, taken apart from its raw JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errors import BadInput
from keys import OWN_ACCOUNT, is_ours
from processors.protocol import Report, ReportKind
from processors.stripe_shapes import Body, expanded, moment, text

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Event:
    """One event, taken apart: ``thing`` is what it is about, ``before`` what of it was different."""

    id: str
    type: str
    at: datetime
    livemode: bool
    account: str
    ours: bool
    thing: Body
    before: Body
    has_before: bool

    def report(self, kind: ReportKind, why: str, **facts: Any) -> Report:
        """Make a report of this event."""
        return Report(
            event=self.id,
            type=self.type,
            kind=kind,
            livemode=self.livemode,
            at=self.at,
            account=self.account,
            why=why,
            ours=self.ours,
            **facts,
        )

    def ignored(self, why: str) -> list[Report]:
        """Make the one report of an event of no interest."""
        return [self.report(ReportKind.IGNORED, why)]


def open_event(body: bytes) -> Event:
    """Take an event apart; raises BadInput where the body is none."""
    try:
        raw = json.loads(body)
    except ValueError:
        raise BadInput("the body of this webhook is not JSON: is it sent by Stripe?") from None
    if not isinstance(raw, dict) or raw.get("object") != "event":
        raise BadInput(
            "this webhook is no event of Stripe's: register the endpoint for snapshot events, not for thin ones"
        )
    event, kind, at = text(raw.get("id")), text(raw.get("type")), moment(raw.get("created"))
    data = expanded(raw.get("data"))
    thing = data.get("object")
    if event is None or kind is None or at is None or not isinstance(thing, dict):
        raise BadInput(f"event {event} lacks its id, its type, its time or its object: it cannot be used")
    before = data.get("previous_attributes")
    return Event(
        id=event,
        type=kind,
        at=at,
        livemode=raw.get("livemode") is True,
        account=text(raw.get("account")) or OWN_ACCOUNT,
        # Before 2017 the request was a mere id, without its key.
        ours=is_ours(text(expanded(raw.get("request")).get("idempotency_key"))),
        thing=thing,
        before=expanded(before),
        has_before=isinstance(before, dict),
    )
