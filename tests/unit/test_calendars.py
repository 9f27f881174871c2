"""Hours by the customer's clock: across clock changes, over midnight, on holidays, and on paydays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns.calendars import Calendar, Paydays, Window, at_wall_time
from campaigns.holidays import holiday, is_working_day
from tests.unit import as_written
from tests.unit.any_campaign import COUNTRIES, MOMENTS, ZONES, windows

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE, KOLKATA, CAIRO = (
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("Africa/Cairo"),
)


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    """Read a time as clocks show it; ``fold`` is 1 for the second of two times that look alike."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def opens(
    window: Window, text: str, zone: ZoneInfo = BERLIN, country: str | None = None, fold: int = 0
) -> str:
    """Say when a window is next open, as clocks show it, with the offset from UTC."""
    at = window.next_open(local(text, zone, fold), zone, country)
    assert at.tzinfo is UTC
    return f"{at.astimezone(zone):%a %d %b %H:%M %z}"


# --- hours and days ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-06-10 08:59:59", "Wed 10 Jun 09:00 +0200"),
        ("2026-06-10 09:00", "Wed 10 Jun 09:00 +0200"),
        ("2026-06-10 14:31", "Wed 10 Jun 14:31 +0200"),
        ("2026-06-10 19:59:59", "Wed 10 Jun 19:59 +0200"),
        ("2026-06-10 20:00", "Thu 11 Jun 09:00 +0200"),
        ("2026-06-10 23:59", "Thu 11 Jun 09:00 +0200"),
    ],
)
def test_hours_begin_on_the_minute_and_their_end_is_outside(moment: str, expected: str) -> None:
    assert opens(Window(hours="09:00 to 20:00"), moment) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-06-10 21:59", "Wed 10 Jun 22:00 +0200"),
        ("2026-06-10 23:30", "Wed 10 Jun 23:30 +0200"),
        ("2026-06-11 00:00", "Thu 11 Jun 00:00 +0200"),
        ("2026-06-11 05:59", "Thu 11 Jun 05:59 +0200"),
        ("2026-06-11 06:00", "Thu 11 Jun 22:00 +0200"),
    ],
)
def test_hours_may_go_over_midnight(moment: str, expected: str) -> None:
    assert opens(Window(hours="22:00 to 06:00"), moment) == expected


def test_hours_over_midnight_on_some_days_are_the_two_ends_of_those_days() -> None:
    # The night from Monday to Tuesday is cut at midnight: a day is a day of the calendar.
    window = Window(hours="22:00 to 06:00", days="monday")
    assert opens(window, "2026-06-08 03:00") == "Mon 08 Jun 03:00 +0200"
    assert opens(window, "2026-06-08 07:00") == "Mon 08 Jun 22:00 +0200"
    assert opens(window, "2026-06-09 00:00") == "Mon 15 Jun 00:00 +0200"


def test_quiet_hours_are_taken_out_of_the_others() -> None:
    window = Window(hours=["08:00 to 12:00", "12:00 to 20:00"], quiet=["12:00 to 13:30", "19:00 to 08:30"])
    assert window.spans() == ((510, 720), (810, 1140))
    assert opens(window, "2026-06-10 12:10") == "Wed 10 Jun 13:30 +0200"
    assert opens(window, "2026-06-10 19:00") == "Thu 11 Jun 08:30 +0200"
    assert Window(quiet="22:00 to 07:00").spans() == ((420, 1320),)


def test_days_and_holidays_are_those_of_the_customers_calendar() -> None:
    window = Window(hours="09:00 to 17:00", days="weekdays", holidays=False)
    # Good Friday and Easter Monday, in Germany; in the United States neither is a holiday.
    assert opens(window, "2026-04-02 18:00", country="DE") == "Tue 07 Apr 09:00 +0200"
    assert opens(window, "2026-04-02 18:00", NEW_YORK, "US") == "Fri 03 Apr 09:00 -0400"
    assert opens(window, "2026-04-02 18:00", country=None) == "Fri 03 Apr 09:00 +0200"
    assert opens(Window(holidays=False), "2026-12-25 10:00", country="DE") == "Sun 27 Dec 00:00 +0100"


@pytest.mark.parametrize(
    ("day", "country", "name"),
    [
        (date(2026, 10, 3), "DE", "German Unity Day"),
        (date(2026, 10, 31), "DE", None),  # a holiday of some of its states only
        (date(2026, 7, 14), "FR", "National Day"),
        (date(2026, 5, 8), "FR", "Victory Day"),
        (date(2026, 11, 26), "US", "Thanksgiving Day"),
        (date(2026, 7, 3), "US", "Independence Day (observed)"),
        (date(2026, 7, 14), "DE", None),
        (date(2026, 1, 1), "XX", None),
        (date(2026, 1, 1), None, None),
    ],
)
def test_public_holidays_are_those_of_a_whole_country(
    day: date, country: str | None, name: str | None
) -> None:
    assert holiday(day, country) == name
    assert holiday(day, country and country.lower()) == name


# --- clock changes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "window", "moment", "expected"),
    [
        # 29 March 2026 in Berlin: 02:00 is followed by 03:00.
        (BERLIN, "02:30 to 05:00", "2026-03-28 23:00", "Sun 29 Mar 03:00 +0200"),
        (BERLIN, "02:10 to 02:50", "2026-03-28 23:00", "Mon 30 Mar 02:10 +0200"),
        (BERLIN, "09:00 to 20:00", "2026-03-28 21:00", "Sun 29 Mar 09:00 +0200"),
        # 25 October 2026 in Berlin: 03:00 is followed by 02:00.
        (BERLIN, "02:30 to 05:00", "2026-10-24 23:00", "Sun 25 Oct 02:30 +0200"),
        (BERLIN, "09:00 to 20:00", "2026-10-24 21:00", "Sun 25 Oct 09:00 +0100"),
        # 8 March and 1 November 2026 in New York.
        (NEW_YORK, "02:15 to 02:45", "2026-03-07 23:00", "Mon 09 Mar 02:15 -0400"),
        (NEW_YORK, "02:15 to 09:00", "2026-03-07 23:00", "Sun 08 Mar 03:00 -0400"),
        (NEW_YORK, "01:30 to 03:00", "2026-10-31 23:00", "Sun 01 Nov 01:30 -0400"),
        # 4 October and 5 April 2026 on Lord Howe Island: half an hour.
        (LORD_HOWE, "02:15 to 05:00", "2026-10-03 23:00", "Sun 04 Oct 02:30 +1100"),
        (LORD_HOWE, "01:45 to 05:00", "2026-04-04 23:00", "Sun 05 Apr 01:45 +1100"),
        # No change anywhere.
        (KOLKATA, "02:30 to 05:00", "2026-03-28 23:00", "Sun 29 Mar 02:30 +0530"),
        # 24 April 2026 in Cairo: the day begins at 01:00.
        (CAIRO, "00:00 to 06:00", "2026-04-23 22:00", "Fri 24 Apr 01:00 +0300"),
    ],
)
def test_an_hour_stays_that_hour_when_clocks_change(
    zone: ZoneInfo, window: str, moment: str, expected: str
) -> None:
    assert opens(Window(hours=window), moment, zone) == expected


@pytest.mark.parametrize(
    ("zone", "window", "moment", "fold", "expected"),
    [
        # The second 01:00 of the night follows the first 01:59, and the window is open again.
        (NEW_YORK, "00:00 to 01:30", "2026-11-01 01:45", 0, "Sun 01 Nov 01:00 -0500"),
        (NEW_YORK, "01:30 to 01:40", "2026-11-01 01:50", 0, "Sun 01 Nov 01:30 -0500"),
        (NEW_YORK, "01:30 to 01:40", "2026-11-01 01:10", 1, "Sun 01 Nov 01:30 -0500"),
        (NEW_YORK, "01:30 to 01:40", "2026-11-01 01:50", 1, "Mon 02 Nov 01:30 -0500"),
        (BERLIN, "02:30 to 02:40", "2026-10-25 02:50", 0, "Sun 25 Oct 02:30 +0100"),
        (LORD_HOWE, "01:30 to 01:40", "2026-04-05 01:50", 0, "Sun 05 Apr 01:30 +1030"),
        # 29 October 2026 in Cairo: 24:00 is followed by 23:00 of the same day.
        (CAIRO, "23:00 to 23:30", "2026-10-29 23:45", 0, "Thu 29 Oct 23:00 +0200"),
    ],
)
def test_hours_that_are_shown_twice_are_open_twice(
    zone: ZoneInfo, window: str, moment: str, fold: int, expected: str
) -> None:
    assert opens(Window(hours=window), moment, zone, fold=fold) == expected


def test_a_time_of_day_that_is_left_out_is_the_moment_of_the_change() -> None:
    assert at_wall_time(date(2026, 3, 29), 150, BERLIN) == local("2026-03-29 03:00")
    assert at_wall_time(date(2026, 10, 25), 150, BERLIN) == local("2026-10-25 02:30", fold=0)
    assert at_wall_time(date(2026, 10, 4), 135, LORD_HOWE) == local("2026-10-04 02:30", LORD_HOWE)
    assert at_wall_time(date(2026, 3, 28), 1440, BERLIN) == local("2026-03-29 00:00")


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    document=windows(),
    moment=MOMENTS,
    zone=st.sampled_from(ZONES),
    country=st.sampled_from([*COUNTRIES, None]),
)
def test_the_next_open_moment_is_open_and_no_earlier_one_is(
    document: dict[str, Any], moment: datetime, zone: str, country: str | None
) -> None:
    try:
        window = Calendar(messages=document).messages
    except ValidationError:
        return
    at = window.next_open(moment, ZoneInfo(zone), country)
    assert at >= moment
    assert as_written.is_open(document, at, ZoneInfo(zone), country)
    # Hours begin on the minute, and so do clock changes.
    minute = moment
    while minute < at:
        assert not as_written.is_open(document, minute, ZoneInfo(zone), country), minute
        minute = minute.replace(second=0, microsecond=0) + timedelta(minutes=1)


# --- what is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "spans"),
    [
        ("9:00 to 17:30", ((540, 1050),)),
        ("09:00-17:30", ((540, 1050),)),
        ("00:00 to 24:00", ((0, 1440),)),
        ("24:00 to 06:00", ((0, 360),)),
        ("22:00 to 00:00", ((1320, 1440),)),
        ("22:00 to 24:00", ((1320, 1440),)),
        (["18:00 to 20:00", "08:00 to 09:00"], ((480, 540), (1080, 1200))),
    ],
)
def test_hours_are_read_as_people_write_them(
    written: str | list[str], spans: tuple[tuple[int, int], ...]
) -> None:
    window = Window(hours=written)
    assert window.hours == spans
    assert Window.model_validate(window.model_dump(mode="json")) == window
    assert Window(hours=window.hours) == window


@pytest.mark.parametrize(
    "written",
    [
        "9 to 5",
        "25:00 to 26:00",
        "09:60 to 10:00",
        "24:30 to 25:00",
        "09:00 to 09:00",
        "soon",
        "",
        9,
        [[9, 10]],
        [[9]],
    ],
)
def test_what_is_no_stretch_of_hours_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError, match="write it as in '09:00 to 20:00'"):
        Window(hours=written)


def test_a_window_without_an_hour_is_refused() -> None:
    with pytest.raises(ValidationError, match="messages: no hour is left"):
        Calendar(messages={"hours": "09:00 to 17:00", "quiet": "08:00 to 18:00"})
    with pytest.raises(ValidationError, match="charges: no hour is left"):
        Calendar(charges={"quiet": "00:00 to 24:00"})


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(), "at any time"),
        (Window(hours="09:00 to 20:00", days="weekdays"), "09:00 to 20:00 on weekdays"),
        (Window(quiet="22:00 to 07:00", holidays=False), "07:00 to 22:00 not on public holidays"),
        (Window(days=["monday", "friday"]), "on monday, friday"),
    ],
)
def test_a_window_says_when_it_is_open(window: Window, words: str) -> None:
    assert window.spelled() == words


def test_the_zone_is_the_customers_where_it_is_known() -> None:
    calendar = Calendar(timezone="America/New_York")
    assert calendar.zone("Asia/Kolkata").key == "Asia/Kolkata"
    assert calendar.zone(None).key == "America/New_York"
    assert calendar.zone("Mars/Olympus").key == "America/New_York"
    assert Calendar().zone(None).key == "UTC"
    for wrong in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValidationError, match="is no time zone"):
            Calendar(timezone=wrong)


# --- paydays -----------------------------------------------------------------------------------------


def paid_on(days: list[Any], month: str, country: str | None = "DE") -> list[int]:
    first = date.fromisoformat(f"{month}-01")
    every = [first + timedelta(days=number) for number in range(31)]
    return [
        day.day for day in every if day.month == first.month and Paydays(days=days).is_payday(day, country)
    ]


@pytest.mark.parametrize(
    ("days", "month", "country", "found"),
    [
        ([15], "2026-06", "DE", [15]),
        ([15], "2026-03", "DE", [13]),  # the 15th is a Sunday
        ([1], "2026-02", "DE", [27]),  # that of March, which is a Sunday
        ([1], "2026-01", "DE", [30]),
        ([1], "2025-12", "DE", [1, 31]),  # New Year's Day is a holiday
        (["last"], "2026-02", "DE", [27]),  # the 28th is a Saturday
        (["last"], "2028-02", "DE", [29]),
        ([31], "2026-04", "DE", [30]),  # a month without a 31st
        ([30], "2026-02", "US", [27]),
        ([1, 15, "last"], "2026-07", "US", [1, 15, 31]),
        ([3], "2026-04", "DE", [2, 30]),  # Good Friday; and that of May, after Labour Day
        ([3], "2026-04", "US", [3]),
        ([6, 7], "2026-04", "DE", [2, 7]),  # the 6th is Easter Monday
        ([6], "2026-03", "IL", [5]),  # where Friday belongs to the weekend
        ([8], "2026-03", "IL", [8]),
    ],
)
def test_wages_arrive_on_the_working_day_before_a_day_off(
    days: list[Any], month: str, country: str, found: list[int]
) -> None:
    assert paid_on(days, month, country) == found


def test_a_working_day_is_one_of_the_country() -> None:
    friday, sunday = date(2026, 3, 6), date(2026, 3, 8)
    assert [is_working_day(friday, country) for country in ("DE", "IL", None)] == [True, False, True]
    assert [is_working_day(sunday, country) for country in ("DE", "IL", None)] == [False, True, False]


@pytest.mark.parametrize(
    ("within", "moment", "expected"),
    [
        ("3 days", "2026-06-11 18:30", "2026-06-11 18:30"),  # the 15th is four days off
        ("3 days", "2026-06-12 18:30", "2026-06-15 18:30"),
        ("3 days", "2026-06-15 23:59", "2026-06-15 23:59"),  # today
        ("3 days", "2026-06-16 00:00", "2026-06-16 00:00"),
        ("1 day", "2026-06-14 00:00:30", "2026-06-15 00:00:30"),
        ("12 hours", "2026-06-14 00:00", "2026-06-14 00:00"),
        # From Friday to Monday it is 73 hours where clocks are set back, and a day is always 24.
        ("3 days", "2026-10-23 09:00", "2026-10-23 09:00"),
        ("4 days", "2026-10-23 09:00", "2026-10-26 09:00"),
    ],
)
def test_a_charge_waits_for_the_same_hour_of_a_payday_that_is_near(
    within: str, moment: str, expected: str
) -> None:
    paydays = Paydays(days=[15, 26], within=within)
    assert paydays.next_payday(local(moment), BERLIN, "DE") == local(expected)


def test_a_payday_at_an_hour_that_is_left_out_is_the_moment_of_the_change() -> None:
    # A Sunday, which is a working day in Israel, by the clock of Berlin.
    changed = Paydays(days=[29]).next_payday(local("2026-03-28 02:30:10"), BERLIN, "IL")
    assert changed == local("2026-03-29 03:00:10")
