"""Checks of times: mails too close to each other, too many attempts, and what calendars put off too far."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.checking_waits import faults_of_waits
from campaigns.document import CHARGE, NO_TIME
from campaigns.durations import spell_duration
from campaigns.networks import EVERYWHERE
from campaigns.reach import can_both_hold, most_together
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.forms import Form, Known
    from campaigns.networks import Limit
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
    yield from faults_of_waits(form, known)
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


def _paydays_past_the_end(form: Form) -> Iterator[Fault]:
    paydays, end = form.campaign.calendar.paydays, form.campaign.end.after
    if paydays is None:
        return
    for number in form.doing(CHARGE):
        asked = form.steps[number].only_if.decline
        ready = form.latest(number) + form.answer_within(number)
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
