"""Events as Stripe sends them, for tests of what they mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from processors.stripe_events import read_reports

if TYPE_CHECKING:
    from processors.protocol import Report, ReportKind

FAILED_AT = 1772442000
JsonObject = dict[str, Any]


def event(kind: str, thing: JsonObject, before: JsonObject | None = None, **more: Any) -> bytes:
    data = {"object": thing} | ({} if before is None else {"previous_attributes": before})
    body = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "created": FAILED_AT,
        "livemode": True,
        "data": data,
        "request": {"id": None, "idempotency_key": None},
    }
    return json.dumps(body | more).encode()


def only(body: bytes) -> Report:
    reports = read_reports(body)
    assert len(reports) == 1
    return reports[0]


def kinds(body: bytes) -> list[ReportKind]:
    return [report.kind for report in read_reports(body)]
