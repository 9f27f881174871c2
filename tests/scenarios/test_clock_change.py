"""A day is 24 hours for the planner, whatever the clocks of a customer's time zone do."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from campaigns.planner import plan
from campaigns.reading import read_campaign
from campaigns.story import Action, Story
from tests.scenarios.timeline import REFERENCE

CAMPAIGN = read_campaign(REFERENCE, file="reference")


@pytest.mark.parametrize(
    "failed_at",
    [
        datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("America/New_York")),
        datetime(2026, 10, 31, 12, tzinfo=ZoneInfo("America/New_York")),
        datetime(2026, 4, 4, 12, tzinfo=ZoneInfo("Australia/Lord_Howe")),
    ],
    ids=lambda at: f"{at:%d-%b-%H%z}",
)
def test_a_step_is_due_after_24_hours_and_not_an_instant_before(failed_at: datetime) -> None:
    story = Story(
        case_id="case_1",
        workflow_id="recovery/sandbox/main/in_1/1",
        processor="sandbox",
        account="main",
        invoice="in_1",
        failed_at=failed_at,
    )
    due = datetime.fromtimestamp(failed_at.timestamp() + 24 * 60 * 60, tz=failed_at.tzinfo)
    assert due.utcoffset() != failed_at.utcoffset()
    early = plan(CAMPAIGN, story, datetime.fromtimestamp(due.timestamp() - 0.001, tz=failed_at.tzinfo))
    assert (early.action, early.id) == (Action.CHARGE, "day-1.charge")
    assert early.at is not None
    assert early.at.timestamp() == due.timestamp()
