"""Promises to pay: which days a customer may choose, when the card is charged then, and what is refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.news import take_fact
from campaigns.calendars import Calendar
from campaigns.declines import Ask
from campaigns.document import Campaign, Promise
from campaigns.promises import days_to_choose
from campaigns.story import Action, Ending, Outcome, Pause, Story, Trigger, UnderWay
from contract import PromiseToPay
from tests.unit.planner_story import CAMPAIGN, day, next_of, story
from tests.unit.test_declines import TABLE


def offering(within: float = 7, times: int = 1, **calendar: Any) -> Campaign:
    promise = Promise(within=timedelta(days=within), times=times)
    return CAMPAIGN.model_copy(update={"promise": promise, "calendar": Calendar(**calendar)})


def offered(campaign: Campaign, case: Story, now: float = 2) -> list[str]:
    return [f"{choice.at:%a %d %H:%M}" for choice in days_to_choose(campaign, case, day(now))]


def told(campaign: Campaign, case: Story, on: datetime, now: float = 2) -> tuple[Story, str]:
    fact = PromiseToPay(event=f"evt_{on:%d%H}", on=on)
    taken = take_fact(case, fact, campaign, TABLE, day(now))
    [line] = taken.lines
    return taken.story, line


def test_the_days_to_choose_are_the_next_ones_in_the_morning() -> None:
    assert offered(offering(within=3), story()) == ["Thu 05 09:00", "Fri 06 09:00", "Sat 07 09:00"]


def test_they_are_days_of_the_customer_s_clocks_and_of_the_campaign_s_hours() -> None:
    # Wednesday 09:00 in UTC is Thursday in Auckland already.
    there = story(timezone="Pacific/Auckland")
    assert [choice.day for choice in days_to_choose(offering(within=1.5), there, day(2.2))] == [
        date(2026, 3, 6)
    ]
    weekdays = offering(charges={"hours": "18:00 to 20:00", "days": "weekdays"})
    assert offered(weekdays, story(timezone="Europe/Berlin")) == [
        *("Thu 05 17:00", "Fri 06 17:00", "Mon 09 17:00", "Tue 10 17:00", "Wed 11 17:00"),
    ]


def test_a_day_past_the_end_is_not_offered() -> None:
    assert offered(offering(), story(), now=11) == ["Sat 14 09:00", "Sun 15 09:00"]


@pytest.mark.parametrize(
    "changes",
    [
        {"promises": 1},
        {"has_card": False},
        {"ask": Ask.CONFIRM},
        {"blocked": ("card_1",)},
        {"review": "something is wrong"},
        {"paused": Pause(by="ops", why="a call")},
        {"ending": Ending(outcome=Outcome.RECOVERED)},
        {"closed": True},
        {"under_way": UnderWay(id="day-1.charge", trigger=Trigger.SCHEDULE, since=day(1), until=day(9))},
    ],
)
def test_nothing_is_offered_that_would_not_be_taken_or_kept(changes: dict[str, Any]) -> None:
    assert offered(offering(), story(**changes)) == []


def test_nothing_is_offered_where_the_campaign_says_nothing_of_it() -> None:
    assert offered(CAMPAIGN, story()) == []


def test_what_is_promised_is_charged_on_that_day_and_counted() -> None:
    campaign = offering()
    kept, line = told(campaign, story(), day(5))
    assert line == "the customer promised to pay on 07 March 2026: messages rest until then"
    assert (kept.promise_at, kept.promises) == (day(5), 1)
    step = next_of(kept, 2, campaign)
    assert (step.action, step.at, step.trigger) == (Action.CHARGE, day(5), Trigger.CUSTOMER)
    again, line = told(campaign, kept, day(6))
    assert line == "a promise to pay on 08 March 2026 was not taken: the campaign takes 1 in one case"
    assert (again.promise_at, again.promises) == (day(5), 1)


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (1.0, "it is not before the campaign's end"),
        (2.0, "it is not before the campaign's end"),
        (14.0, "it is not before the campaign's end"),
        (10.0, "it is more than 7 days away"),
    ],
)
def test_a_promise_outside_the_limits_is_refused_in_a_plain_line(on: float, why: str) -> None:
    refused, line = told(offering(), story(), day(on))
    assert line == f"a promise to pay on {day(on):%d %B %Y} was not taken: {why}"
    assert (refused.promise_at, refused.promises) == (None, 0)


def test_without_limits_of_the_campaign_a_promise_is_taken_until_the_end() -> None:
    kept, _ = told(CAMPAIGN, story(promises=3), day(13))
    assert (kept.promise_at, kept.promises) == (day(13), 4)


def test_a_promise_for_the_night_waits_for_the_hours_of_charges() -> None:
    campaign = offering(charges={"hours": "09:00 to 20:00"})
    kept, _ = told(campaign, story(), day(5) - timedelta(hours=6))
    assert kept.promise_at == day(5)
    late = offering(within=12, charges={"hours": "09:00 to 10:00"})
    _, line = told(late, story(), day(13.5))
    assert line.endswith("it is not before the campaign's end")


@given(st.integers(0, 14 * 48), st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]))
def test_every_day_that_is_offered_is_taken_and_kept_on_that_day(half_hours: int, timezone: str) -> None:
    campaign = offering(charges={"hours": "22:00 to 06:00", "days": ["tuesday", "saturday"]})
    case, now = story(timezone=timezone), half_hours / 48
    for choice in days_to_choose(campaign, case, day(now)):
        kept, _ = told(campaign, case, choice.at, now)
        assert kept.promise_at == choice.at
        assert choice.at.astimezone(campaign.calendar.zone(timezone)).date() == choice.day
        assert next_of(kept, now, campaign).at == choice.at
