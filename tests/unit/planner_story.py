"""What tests of the planner share: a campaign of fourteen days, a case on it, and cases of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from campaigns.declines import Ask
from campaigns.document import AccessLevel, Campaign, End, FinalAction, Messages, Step
from campaigns.planner import plan
from campaigns.story import (
    Ending,
    Hold,
    Outcome,
    Pause,
    Pending,
    Plan,
    Story,
    Trigger,
    Unsettled,
)

DAY_0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RETRY_DAYS = (1, 3, 5, 7)
CAMPAIGN = Campaign(
    name="fortnight",
    steps=tuple(
        Step(id=f"day-{number}", after=timedelta(days=number), retry=True, message="payment_failed")
        for number in RETRY_DAYS
    ),
    end=End(after=timedelta(days=14), action=FinalAction.CANCEL_NOW),
)


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def story(**more: Any) -> Story:
    ids = {"case_id": "case_1", "workflow_id": "w", "processor": "p", "account": "main", "invoice": "in_1"}
    return Story(**(ids | {"failed_at": DAY_0, "method": "card_1", "decline": "insufficient_funds"} | more))


def next_of(case: Story, now: float, campaign: Campaign = CAMPAIGN) -> Plan:
    return plan(campaign, case, day(now))


# --- any campaign, any case ------------------------------------------------------------------------

HOURS = st.integers(0, 24 * 30).map(lambda hours: timedelta(hours=hours))
TIMES = HOURS.map(lambda after: DAY_0 + after)
ACCESS = st.none() | st.sampled_from(AccessLevel)


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    offsets = sorted(draw(st.sets(st.integers(1, 24 * 20), min_size=1, max_size=6)))
    steps = []
    for number, hours in enumerate(offsets):
        retry, message = draw(st.booleans()), draw(st.none() | st.sampled_from(["payment_failed", "other"]))
        access = draw(ACCESS)
        if not (retry or message or access):
            retry = True
        steps.append(
            Step(id=f"s{number}", after=timedelta(hours=hours), retry=retry, message=message, access=access)
        )
    end = End(
        after=timedelta(hours=offsets[-1] + draw(st.integers(1, 200))),
        action=draw(st.sampled_from(FinalAction)),
        message=draw(st.none() | st.just("farewell")),
    )
    receipt = draw(st.none() | st.just("receipt"))
    return Campaign(name="any", steps=tuple(steps), end=end, messages=Messages(receipt=receipt))


@st.composite
def stories(draw: st.DrawFn, campaign: Campaign) -> Story:
    actions = [f"{step.id}.{kind}" for step in campaign.steps for kind in ("charge", "access", "message")]
    actions += ["end.notice", "end.action", "end.message"]
    some = st.sampled_from(actions)
    times = draw(st.lists(TIMES, min_size=3, max_size=3))
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "pending": st.builds(Pending, id=st.just("card.x"), trigger=st.sampled_from(Trigger)),
        "card_notice": st.just("card.x.message"),
        "look": st.just("a payment was reported"),
        "promise_at": TIMES,
        "hold": st.builds(Hold, action=some, until=TIMES, why=st.just("held")),
        "unsettled": st.just(
            Unsettled(id="s0.charge", trigger=Trigger.SCHEDULE, since=times[0], until=times[1])
        ),
        "paused": st.builds(Pause, by=st.just("ops"), why=st.just("asked"), until=st.none() | TIMES),
        "review": st.just("something is wrong"),
        "ending": st.builds(Ending, outcome=st.sampled_from(Outcome), at=st.none() | TIMES),
        "last_charge_at": TIMES,
    }
    # Each of these is rare in a case, and so it is here.
    changes = {name: draw(value) for name, value in maybe.items() if draw(st.integers(0, 7)) == 0}
    return story(
        done=draw(st.dictionaries(some, TIMES, max_size=6)),
        passed=tuple(draw(st.lists(some, max_size=4))),
        moved=draw(
            st.dictionaries(st.sampled_from([s.id for s in campaign.steps] + ["end"]), TIMES, max_size=2)
        ),
        has_card=draw(st.booleans()),
        blocked=("card_1",) if draw(st.booleans()) else (),
        ask=draw(st.sampled_from(Ask)),
        scheduled_charges=draw(st.integers(0, 9)),
        access=draw(st.sampled_from(AccessLevel)),
        **changes,
    )
