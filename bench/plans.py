"""Plans a second on one core, and cases simulated from failure to end, for a plain campaign and a rich one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.ground import Options, say
from campaigns.arms import for_case
from campaigns.declines import DeclineTable, Said
from campaigns.planner import plan
from campaigns.reading import read_campaign
from campaigns.simulation import Customer, Sample, begin, simulate
from campaigns.zones import zone_of
from store.campaigns import LIBRARY, decline_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from campaigns.document import Campaign
    from campaigns.story import Story

CASES = 300
ROUNDS = 5
FIRST_FAILURE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DECLINES = ("insufficient_funds", "generic_decline", "expired_card", "authentication_required", "lost_card")
COUNTRIES = ("DE", "US", "JP", "BR", "FR", "IN", "AU", "GB")
CUSTOMER = Customer(opens_mail_after=timedelta(hours=5))
# Everything that the language has to say about time, and a condition of every kind that a story answers.
RICH = """
name: rich
title: Everything at once
calendar:
  timezone: Europe/Berlin
  messages: {hours: 09:00 to 20:00, quiet: 12:00 to 13:00, days: weekdays, holidays: false}
  charges: {hours: 00:00 to 06:00}
  paydays: {days: [1, 15, last], after: [insufficient_funds], within: 3 days}
steps:
  - {id: first-notice, after: 1 day, jitter: 30 minutes, retry: true, message: payment_failed}
  - {id: second-try, after: 3 days, jitter: 2 hours, retry: true, only_if: {decline_class: [soft, retry-later]}}
  - {id: reminder, after: 5 days, message: payment_failed, only_if: {mail_opened: false}}
  - id: third-try
    after: 7 days
    jitter: 2 hours
    retry: true
    message: payment_failed
    only_if: {amount: {EUR: {at_least: "20.00"}, USD: {at_least: "20.00"}}, attempts: {at_most: 3}}
  - {id: limit-access, after: 14 days, retry: true, access: limited, message: access_limited}
  - {id: call, after: 18 days, alert: Call this customer, approval: {within: 2 days, otherwise: skip}}
  - {id: fifth-try, after: 21 days, jitter: 1 hour, retry: true, message: payment_failed}
  - {id: last-notice, before_end: 2 days, message: last_notice}
end: {after: 28 days, action: cancel_now, message: subscription_ended}
"""


@dataclass(frozen=True)
class Moment:
    """A case as it stands at a time at which it is planned."""

    campaign: Campaign
    story: Story
    now: datetime


async def measure(_options: Options) -> dict[str, Any]:
    """Plan and simulate the same made-up cases with both campaigns, in turns."""
    standard = read_campaign((LIBRARY / "standard.yaml").read_text(encoding="utf-8"), file="standard.yaml")
    rich = read_campaign(RICH, file="rich")
    return {name: _measured(campaign, name) for name, campaign in (("standard", standard), ("rich", rich))}


def _measured(campaign: Campaign, name: str) -> dict[str, Any]:
    begun = _failures(campaign)
    moments = [moment for course, story in begun for moment in _moments(course, story)]
    plans = _rates(lambda: [plan(at.campaign, at.story, at.now) for at in moments], len(moments))
    cases = _rates(lambda: [sum(1 for _ in _played(course, story)) for course, story in begun], len(begun))
    say(f"  {name}: {median(plans):.0f} plans/s, {median(cases):.0f} cases/s")
    return {
        "plans_a_second": round(median(plans)),
        "plans_a_second_each_round": [round(rate) for rate in plans],
        "cases_simulated_a_second": round(median(cases)),
        "cases_simulated_a_second_each_round": [round(rate) for rate in cases],
        "plans_in_a_round": len(moments),
        "cases_in_a_round": len(begun),
        "plans_of_a_case": round(len(moments) / len(begun), 1),
    }


def _failures(campaign: Campaign) -> list[tuple[Campaign, Story]]:
    """Begin cases all over the world and the year, each with the campaign as it is for it."""
    table = DeclineTable(decline_codes())
    found = []
    for number in range(CASES):
        country = COUNTRIES[number % len(COUNTRIES)]
        sample = Sample(
            failed_at=FIRST_FAILURE + timedelta(hours=29 * number),
            verdict=table.judge(Said(DECLINES[number % len(DECLINES)]), FIRST_FAILURE.date()),
            case_id=f"case_{number}",
            amount=900 + 700 * (number % 9),
            currency="EUR" if number % 3 else "USD",
            country=country,
            timezone=zone_of(None, country),
        )
        story = begin(campaign, sample)
        found.append((for_case(campaign, story, {}), story))
    return found


def _moments(course: Campaign, story: Story) -> list[Moment]:
    """List when a case is planned in its life, with all that has happened by then; once it has ended is no art."""
    begun = Moment(course, story, story.failed_at)
    played = (Moment(course, happened.story, happened.at) for happened in _played(course, story))
    return [begun, *(moment for moment in played if not moment.story.ending)]


def _played(course: Campaign, story: Story) -> Any:
    return simulate(course, story, story.failed_at, CUSTOMER)


def _rates(work: Callable[[], Sequence[object]], count: int) -> list[float]:
    """Give how many are done in a second of processor time, in each of several rounds after a first one."""
    work()
    rates = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        rates.append(count / (time.process_time() - begun))
    return rates
