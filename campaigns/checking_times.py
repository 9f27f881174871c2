"""Checks of times: mails too close to each other, too many attempts, and what calendars put off too far."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.document import CHARGE, MESSAGE, NO_TIME
from campaigns.durations import spell_duration
from campaigns.networks import EVERYWHERE
from campaigns.reach import can_both_hold, most_together
from campaigns.suggestions import country_of_zone
from campaigns.waits import waits_of
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.calendars import Window
    from campaigns.forms import Form, Known
    from campaigns.networks import Limit
    from campaigns.waits import Gap
    from errors import Fault

# Any day will do: only what lies between two attempts counts.
FAILURE = datetime(2026, 1, 1, tzinfo=UTC)


def faults_of_times(form: Form, known: Known) -> Iterator[Fault]:
    """Find what comes too close to something else, too often, or too late."""
    yield from _mails_too_close(form)
    yield from _last_mail_too_close(form)
    retries = most_together(form, form.doing(CHARGE))
    for limit in known.networks.in_force(known.on):
        yield from _too_many_attempts(form, retries, limit)
    yield from _approvals_too_long(form)
    calendar = form.campaign.calendar
    yield from _kept_waiting(form, MESSAGE, calendar.messages, known)
    yield from _kept_waiting(form, CHARGE, calendar.charges, known)
    yield from _paydays_past_the_end(form)
    yield from _promises_past_the_end(form)


def _mails_too_close(form: Form) -> Iterator[Fault]:
    spacing, mails = form.campaign.spacing, form.mails
    for place, number in enumerate(mails):
        for earlier in reversed(mails[:place]):
            apart = form.earliest(number) - form.latest(earlier)
            if apart >= spacing:
                continue
            if can_both_hold(form, earlier, number):
                before = form.steps[earlier]
                counted = ", jitter counted in" if before.jitter else ""
                yield form.of_step(
                    number,
                    f"its mail comes {spell_duration(apart)} after that of step {before.id}{counted}; between two"
                    f" mails the campaign keeps {spell_duration(spacing)}",
                    f"not before {spell_duration(form.latest(earlier) + spacing)} after the failure",
                )
                break


def _last_mail_too_close(form: Form) -> Iterator[Fault]:
    end, spacing, mails = form.campaign.end, form.campaign.spacing, form.mails
    apart = end.after - form.latest(mails[-1]) if mails else spacing
    if end.message and apart < spacing:
        last = form.steps[mails[-1]]
        yield form.fault(
            form.at("end", "message"),
            f"the last message comes {spell_duration(apart)} after the mail of step {last.id}; between two mails"
            f" the campaign keeps {spell_duration(spacing)}",
            f"move step {last.id} to {spell_duration(max(end.after - spacing, NO_TIME))} or earlier",
        )


def _too_many_attempts(form: Form, retries: list[int], limit: Limit) -> Iterator[Fault]:
    countries = form.campaign.takes.country
    if countries and not any(limit.holds_in(country) for country in countries):
        return
    times = {FAILURE + form.earliest(number): number for number in retries}
    excess = limit.whenever().excess([FAILURE, *times])
    if excess:
        # A limit of one country binds nobody who has no customers there.
        certain = countries or limit.region.startswith(EVERYWHERE)
        count = len(limit.whenever().busiest([FAILURE, *times]))
        yield form.of_step(
            times[excess[0]],
            f"with its retry there are up to {count} attempts, the failed one among them: {limit.spelled()}",
            f"leave out {len(excess)} of the retries, or spread them"
            + ("" if certain else "; or say in 'takes' which countries there are"),
            Severity.ERROR if certain else Severity.WARNING,
        )


def _approvals_too_long(form: Form) -> Iterator[Fault]:
    end = form.campaign.end.after
    for number, step in enumerate(form.steps):
        if step.approval is None:
            continue
        answered = form.latest(number) + step.approval.within
        place = form.at("steps", number, "approval", "within")
        if answered >= end and step.approval.otherwise == "go on":
            yield form.fault(
                place,
                f"without an answer it goes on {spell_duration(answered)} after the failure, when the campaign is"
                f" over ({spell_duration(end)}), and so is never done",
                f"less than {spell_duration(end - form.latest(number))}",
            )
        elif answered >= end:
            yield form.fault(
                place,
                f"an answer may come until {spell_duration(answered)} after the failure, when the campaign is over"
                f" ({spell_duration(end)})",
                f"less than {spell_duration(end - form.latest(number))}",
                Severity.WARNING,
            )


def _kept_waiting(form: Form, kind: str, window: Window, known: Known) -> Iterator[Fault]:
    """Find what its hours, or an approval, can put off until the next of its kind, or the end."""
    numbers = form.doing(kind)
    countries = form.campaign.takes.country or country_of_zone(form.campaign.calendar.timezone)
    waits = waits_of(window, countries, known.on.year)
    for place, number in enumerate(numbers):
        ready = form.latest(number) + _approval(form, number)
        following = next(
            (later for later in numbers[place + 1 :] if can_both_hold(form, number, later)), None
        )
        until = form.campaign.end.after if following is None else form.earliest(following)
        apart = until - ready
        if apart <= NO_TIME:
            # The end is told with the approval itself.
            if following is not None:
                yield _overtaken(form, kind, number, following, "an approval")
            continue
        distance, gap = min(
            (found for one in waits for found in one.distances(apart)), default=(apart, None), key=_closest
        )
        hours = f"its hours ({window.spelled()})"
        if gap is not None and gap.length >= apart:
            reason = f"{hours}, {spell_duration(gap.length)} {gap.spelled()},"
            if following is None:
                yield _past_the_end(form, kind, number, reason, ready + gap.length)
            else:
                yield _overtaken(form, kind, number, following, reason)
        elif kind == MESSAGE and min(distance, apart) < form.campaign.spacing:
            # Without an approval, what is too close by its times alone has been told as an error.
            if apart > distance:
                yield from _brought_together(form, number, following, distance, hours)
            elif form.steps[number].approval:
                yield from _brought_together(form, number, following, apart, "an approval")


def _brought_together(
    form: Form, number: int, following: int | None, distance: timedelta, reason: str
) -> Iterator[Fault]:
    if following is None and not form.campaign.end.message:
        return
    other = "the last message" if following is None else f"that of step {form.steps[following].id}"
    yield form.of_step(
        number,
        f"kept waiting for {reason}, its mail may come only {spell_duration(distance)} before {other}; between"
        f" two mails the campaign keeps {spell_duration(form.campaign.spacing)}",
        "put more time between them, or let it wait less",
        Severity.WARNING,
    )


def _closest(found: tuple[timedelta, Gap | None]) -> tuple[timedelta, timedelta]:
    """Order by distance; where that is alike, the longest wait is the example to give."""
    distance, gap = found
    return max(distance, NO_TIME), -gap.length if gap else NO_TIME


def _approval(form: Form, number: int) -> timedelta:
    approval = form.steps[number].approval
    return approval.within if approval else NO_TIME


def _overtaken(form: Form, kind: str, number: int, following: int, reason: str) -> Fault:
    what, done = ("mail", "is sent") if kind == MESSAGE else ("retry", "is made")
    later = form.steps[following].id
    return form.of_step(
        number,
        f"its {what} may wait for {reason} until the one of step {later} is due: then only that one {done}",
        f"put more time between it and step {later}",
        Severity.WARNING,
    )


def _past_the_end(form: Form, kind: str, number: int, reason: str, late: timedelta) -> Fault:
    end = spell_duration(form.campaign.end.after)
    what, then = (
        ("mail", "then the customer is told only at the end, which is put off for it")
        if kind == MESSAGE
        else ("retry", "then it is not made")
    )
    return form.of_step(
        number,
        f"its {what} may wait for {reason} until {spell_duration(late)} after the failure, past the end at"
        f" {end}: {then}",
        "move it further from the end, or widen the hours",
        Severity.WARNING,
    )


def _paydays_past_the_end(form: Form) -> Iterator[Fault]:
    paydays, end = form.campaign.calendar.paydays, form.campaign.end.after
    if paydays is None:
        return
    for number in form.doing(CHARGE):
        asked = form.steps[number].only_if.decline
        ready = form.latest(number) + _approval(form, number)
        if (not asked or set(asked) & set(paydays.after)) and ready < end <= ready + paydays.within:
            yield form.of_step(
                number,
                f"a payday may be {spell_duration(paydays.within)} later, past the end at {spell_duration(end)}:"
                " such a retry does not wait for it",
                f"move it to {spell_duration(end - paydays.within)} or earlier, or shorten 'within'"
                if end > paydays.within
                else "shorten 'within'",
                Severity.WARNING,
            )


def _promises_past_the_end(form: Form) -> Iterator[Fault]:
    """Find promises that reach further than the campaign itself: such days are never offered."""
    promise, end = form.campaign.promise, form.campaign.end
    if promise and promise.within >= end.after:
        yield form.fault(
            ("promise", "within"),
            f"a day {spell_duration(promise.within)} ahead is past the end, {spell_duration(end.after)} after the"
            " failure: it is never offered",
            "fewer days, or a later end",
            Severity.WARNING,
        )
