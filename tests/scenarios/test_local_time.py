"""The time by the clocks of a zone to which a timeline sets its failure, on whatever day the tests are run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.scenarios.timeline import LocalTime

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("wanted", "now", "expected"),
    [
        ({"weekday": "friday"}, "2026-06-08 12:00", "2026-06-12 18:00"),
        ({"weekday": "friday"}, "2026-06-12 12:00", "2026-06-19 18:00"),  # at least a day off
        ({"weekday": "friday"}, "2026-10-01 12:00", "2026-10-30 18:00"),  # clocks change on the 25th
        ({"date": "12-24"}, "2026-12-24 12:00", "2027-12-24 18:00"),
        ({"weekday": "wednesday", "date": "12"}, "2026-06-08 12:00", "2026-08-12 18:00"),
    ],
)
def test_it_is_the_next_one_after_which_clocks_stay_as_they_are(
    wanted: dict[str, str], now: str, expected: str
) -> None:
    found = LocalTime.model_validate({"timezone": "Europe/Berlin", "hour": "18:00", **wanted})
    at = found.after(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert at == datetime.fromisoformat(expected).replace(tzinfo=BERLIN)


def test_there_is_one_on_every_day_of_the_year() -> None:
    found = LocalTime.model_validate(
        {"timezone": "Europe/Berlin", "hour": "10:00", "weekday": "wednesday", "date": "12"}
    )
    for number in range(0, 366, 7):
        now = datetime(2026, 1, 1, 15, 30, tzinfo=UTC) + timedelta(days=number)
        local = found.after(now).astimezone(BERLIN)
        assert (local.day, f"{local:%A %H:%M}") == (12, "Wednesday 10:00")
        assert local.astimezone(UTC) > now


def test_a_day_that_there_is_not_is_said_to_be_none() -> None:
    found = LocalTime.model_validate({"timezone": "UTC", "hour": "10:00", "date": "02-30"})
    with pytest.raises(ValueError, match="there is no None the 02-30"):
        found.after(datetime(2026, 1, 1, tzinfo=UTC))
