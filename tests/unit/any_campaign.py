"""Any campaign that the language can say, as its author would write it, and any failure it may be for.

Campaigns are made as documents, not as models, so that tests can read for themselves what was written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns.declines import Ask, DeclineClass
from campaigns.document import AccessLevel, Campaign, FinalAction
from campaigns.story import Story
from tests.unit.test_declines import verdict_of

Document = dict[str, Any]

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
COUNTRIES = ("DE", "US", "FR", "AU", "IN")
PLANS = ("basic", "pro")
TIERS = ("gold", "silver")
CODES = ("insufficient_funds", "do_not_honor", "stolen_card", "authentication_required", "processing_error")
# The Mondays before clocks change somewhere, the week of Christmas, and a week of no interest.
WEEKS = tuple(
    datetime.fromisoformat(day).replace(tzinfo=UTC)
    for day in (
        "2026-03-02",
        "2026-03-23",
        "2026-03-30",
        "2026-06-08",
        "2026-09-28",
        "2026-10-19",
        "2026-10-26",
        "2026-12-21",
    )
)
MOMENTS = st.builds(
    lambda week, seconds: week + timedelta(seconds=seconds), st.sampled_from(WEEKS), st.integers(0, 7 * 86400)
)
LONGEST = 20 * 24
MINUTES = st.sampled_from([0, 30, 60, 90, 120, 135, 150, 180, 360, 540, 720, 1020, 1200, 1320, 1410, 1440])


def rarely(draw: st.DrawFn, of: int = 3) -> bool:
    return draw(st.integers(0, of)) == 0


def _spell(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def hours(draw: st.DrawFn) -> str:
    start, end = draw(MINUTES), draw(MINUTES)
    if start % 1440 == end % 1440:
        start, end = 9 * 60, 20 * 60
    return f"{_spell(start)} to {_spell(end)}"


@st.composite
def windows(draw: st.DrawFn) -> Document:
    found: Document = {}
    if draw(st.booleans()):
        found["hours"] = draw(hours()) if draw(st.booleans()) else ["08:00 to 12:00", draw(hours())]
    if rarely(draw):
        # With these, an hour of any day is left whatever the hours are, or the document is not valid.
        found["quiet"] = draw(st.sampled_from(["22:00 to 07:00", "12:00 to 13:00", "02:00 to 03:00"]))
    if rarely(draw):
        found["days"] = draw(
            st.sampled_from(["weekdays", "weekends", ["tuesday"], ["monday", "thursday", "sunday"]])
        )
    if rarely(draw):
        found["holidays"] = False
    return found


@st.composite
def calendars(draw: st.DrawFn) -> Document:
    found: Document = {"timezone": draw(st.sampled_from(ZONES))}
    if draw(st.booleans()):
        found["messages"] = draw(windows())
    if draw(st.booleans()):
        found["charges"] = draw(windows())
    if rarely(draw):
        days = draw(st.lists(st.sampled_from([1, 15, 25, 31, "last"]), min_size=1, max_size=2))
        found["paydays"] = {"days": days, "within": f"{draw(st.integers(1, 6))} days"}
        if rarely(draw):
            found["paydays"]["after"] = ["do_not_honor", "insufficient_funds"]
    return found


@st.composite
def conditions(draw: st.DrawFn) -> Document:
    some: dict[str, st.SearchStrategy[Any]] = {
        "decline_class": st.lists(st.sampled_from([str(kind) for kind in DeclineClass]), min_size=1),
        "decline": st.lists(st.sampled_from(CODES), min_size=1, max_size=2),
        "currency": st.sampled_from(["EUR", "USD", ["USD", "EUR"]]),
        "amount": st.sampled_from(
            [{"USD": {"at_least": "50.00"}}, {"USD": {"below": 50}, "EUR": {"below": 20.5}}]
        ),
        "plan": st.sampled_from(PLANS),
        "attributes": st.sampled_from(TIERS).map(lambda tier: {"tier": tier}),
        "attempts": st.sampled_from(
            [{"at_least": 1}, {"at_least": 2}, {"at_most": 1}, {"at_least": 1, "at_most": 2}, {"at_most": 0}]
        ),
        "mail_opened": st.booleans(),
        "link_clicked": st.booleans(),
    }
    names = draw(st.lists(st.sampled_from(sorted(some)), min_size=1, max_size=2, unique=True))
    return {name: draw(some[name]) for name in names}


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Document], int]:
    """Steps in order of time, and the hour of the end after them."""
    at = sorted(draw(st.sets(st.integers(1, LONGEST), min_size=1, max_size=6)))
    end = at[-1] + draw(st.integers(1, 120))
    from_the_end = draw(st.integers(0, len(at)))
    found = []
    for place, hour in enumerate(at):
        step: Document = {"id": f"s{place}"}
        if place < from_the_end:
            step["after"] = f"{hour} hours"
        else:
            step["before_end"] = f"{end - hour} hours"
        gap = (at[place + 1] if place + 1 < len(at) else end) - hour
        if rarely(draw):
            step["jitter"] = f"{gap * draw(st.integers(1, 59))} minutes"
        _give_it_something_to_do(draw, step)
        if rarely(draw):
            step["only_if"] = draw(conditions())
        if rarely(draw, 5):
            silence = draw(st.sampled_from(["go on", "skip"]))
            step["approval"] = {"within": f"{draw(st.integers(0, 72))} hours", "otherwise": silence}
        found.append(step)
    return found, end


def _give_it_something_to_do(draw: st.DrawFn, step: Document) -> None:
    step["retry"] = draw(st.booleans())
    if draw(st.booleans()):
        step["message"] = draw(st.sampled_from(["payment_failed", "last_notice"]))
    if rarely(draw):
        step["access"] = draw(st.sampled_from([str(level) for level in AccessLevel]))
    if rarely(draw) or not (step["retry"] or step.get("message") or step.get("access")):
        step["alert"] = "Call this customer"


@st.composite
def documents(draw: st.DrawFn, name: str = "any") -> Document:
    """A whole campaign; one without an hour to send in is refused, and so drawn again."""
    own, end = draw(steps())
    found: Document = {
        "name": name,
        "calendar": draw(calendars()),
        "steps": own,
        "end": {
            "after": f"{end} hours",
            "action": draw(st.sampled_from([str(kind) for kind in FinalAction])),
        },
    }
    if draw(st.booleans()):
        found["end"]["message"] = "subscription_ended"
    if rarely(draw):
        found["end"]["late_grace"] = f"{draw(st.integers(0, 48))} hours"
    if rarely(draw):
        found["promise"] = {"within": f"{draw(st.integers(1, 9))} days", "times": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        found["messages"] = {"receipt": "payment_received"}
    if rarely(draw):
        found["arms"] = draw(arms())
    courses = [own, *(arm.get("steps", []) for arm in found.get("arms", []))]
    charges = max(sum(step["retry"] for step in course) for course in courses)
    found["retries"] = draw(st.integers(charges, 8))
    try:
        Campaign.model_validate(found)
    except ValidationError as error:
        if "no hour is left" not in str(error):
            raise
        reject()
    return found


@st.composite
def arms(draw: st.DrawFn) -> list[Document]:
    found: list[Document] = [{"name": "a", "weight": draw(st.integers(1, 3))}]
    if draw(st.booleans()):
        own, end = draw(steps())
        found.append(
            {"name": "b", "weight": 2, "steps": own, "end": {"after": f"{end} hours", "action": "leave"}}
        )
    if draw(st.booleans()):
        found.append({"name": "holdout", "weight": draw(st.integers(1, 3)), "holdout": True})
    return found


@st.composite
def failures(draw: st.DrawFn) -> Story:
    """A case as it is opened, before a campaign is chosen for it."""
    code = draw(st.sampled_from(CODES))
    verdict = verdict_of(code)
    blocked = not verdict.charge_again and verdict.ask is not Ask.CONFIRM
    return Story(
        case_id=f"case_{draw(st.integers(0, 9))}",
        workflow_id="w",
        processor="sandbox",
        account="main",
        invoice="in_1",
        customer=f"cus_{draw(st.integers(0, 20))}",
        amount=draw(st.sampled_from([1900, 4900, 5000])),
        currency=draw(st.sampled_from(["USD", "EUR"])),
        failed_at=draw(MOMENTS),
        plan=draw(st.sampled_from([*PLANS, None])),
        country=draw(st.sampled_from([*COUNTRIES, None])),
        timezone=draw(st.sampled_from([*ZONES, None])),
        first_decline=code,
        decline=code,
        decline_class=str(verdict.kind),
        ask=verdict.ask,
        disclose=verdict.disclose,
        method="card_1",
        has_card=draw(st.integers(0, 5)) > 0,
        blocked=("card_1",) if blocked else (),
    )


ATTRIBUTES = st.sampled_from([{}, {"tier": "gold"}, {"tier": "silver"}])
