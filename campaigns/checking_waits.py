"""Checks of what hours and approvals can do: put a mail or a retry off until another is near, or past the end."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

from campaigns.document import CHARGE, MESSAGE, NO_TIME
from campaigns.durations import spell_duration
from campaigns.reach import can_both_hold
from campaigns.suggestions import country_of_zone
from campaigns.waits import SECOND, Apart, course_of, nearest
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from campaigns.forms import Form, Known
    from campaigns.waits import Course, Meeting, Wait
    from errors import Fault

Pair = tuple[int, int | None]
# Whose holidays are looked at where a campaign does not say which countries it takes.
LIKELY_COUNTRIES = ("US", "GB", "DE", "FR", "JP")


class Near(NamedTuple):
    """Where a step comes too near to another, or to the end; ``charged``: as long as the other's card is charged."""

    meeting: Meeting
    charged: bool


def faults_of_waits(form: Form, known: Known) -> Iterator[Fault]:
    """Find what its hours, or an approval, can put off until another of its kind, or the end."""
    for kind in (MESSAGE, CHARGE):
        numbers = form.doing(kind)
        for place, number in enumerate(numbers):
            following = [later for later in numbers[place + 1 :] if can_both_hold(form, number, later)]
            found = (_of_a_pair(form, kind, (number, other), known) for other in (*following, None))
            yield from islice(filter(None, found), 1)


def _of_a_pair(form: Form, kind: str, pair: Pair, known: Known) -> Fault | None:
    """Find whether a step can be kept waiting until another is near, or the end with its message."""
    number, other = pair
    apart = _apart(form, number, other)
    spaced = kind == MESSAGE and (other is not None or form.campaign.end.message)
    spacing = form.campaign.spacing if spaced else NO_TIME
    if apart.least <= NO_TIME and other is not None:
        return _comes_after(form, kind, number, other, "an approval")
    if apart.least <= NO_TIME:
        # That the answer may be too late is told with the approval itself; it may also come just in time.
        return (
            _brought_together(form, number, _named(form, other), NO_TIME, "an approval") if spacing else None
        )
    found = _nearest(form, kind, pair, apart._replace(near=max(spacing, SECOND)), known)
    if found is not None and found.meeting.distance < apart.least:
        return _told(form, kind, pair, found)
    # Without an approval, what is too close by its times alone has been told as an error.
    if apart.least < spacing and form.steps[number].approval:
        return _brought_together(form, number, _named(form, other), apart.least, "an approval")
    return None


def _apart(form: Form, number: int, other: int | None) -> Apart:
    earliest, latest = form.earliest(number), form.latest(number) + form.answer_within(number)
    if other is None:
        end = form.campaign.end.after
        return Apart(end - latest, end - earliest)
    return Apart(form.earliest(other) - latest, form.latest(other) + form.answer_within(other) - earliest)


def _nearest(form: Form, kind: str, pair: Pair, apart: Apart, known: Known) -> Near | None:
    """Find where two steps, or a step and the end, come nearest, with and without charges before their mails.

    Of those that are alike, that of an ordinary week, and of a card that is charged, is the example to give.
    """
    found = None
    for country in _countries(form, kind):
        firsts, seconds = (tuple(_courses(form, kind, number, country, known)) for number in pair)
        for (_, first), (charged, second) in product(firsts, seconds):
            meeting = nearest(first, second, apart)
            if meeting is not None:
                found, apart = Near(meeting, charged), apart._replace(near=meeting.distance)
            if apart.near <= NO_TIME:
                return found
    return found


def _countries(form: Form, kind: str) -> tuple[str | None, ...]:
    calendar = form.campaign.calendar
    if calendar.charges.holidays and (kind == CHARGE or calendar.messages.holidays):
        return (None,)
    return (None, *(form.campaign.takes.country or country_of_zone(calendar.timezone) or LIKELY_COUNTRIES))


def _courses(
    form: Form, kind: str, number: int | None, country: str | None, known: Known
) -> Iterator[tuple[bool, Course]]:
    """Give what a step, or the end, waits for: a mail follows its charge, unless the card is not charged any more."""
    calendar, year = form.campaign.calendar, known.on.year
    charges, mails = (CHARGE, calendar.charges), ((MESSAGE, calendar.messages),) * (kind == MESSAGE)
    if number is None:
        yield True, course_of(mails, country, year, NO_TIME)
        return
    follows = form.steps[number].retry and not calendar.charges.is_always_open
    if follows or kind == CHARGE:
        yield True, course_of((charges, *mails), country, year, form.longest_jitter)
    if kind == MESSAGE:
        yield not follows, course_of(mails, country, year, form.longest_jitter)


def _told(form: Form, kind: str, pair: Pair, found: Near) -> Fault:
    """Say what becomes of a step that is kept waiting until another is near."""
    (number, other), wait, distance = pair, found.meeting.first, found.meeting.distance
    reason = _reason(form, kind, wait)
    proviso = "" if found.charged else ", if the card is not charged any more"
    long = f"{reason}, {spell_duration(wait.length)} {wait.spelled()},"
    if other is None and distance <= NO_TIME:
        late = form.latest(number) + form.answer_within(number) + wait.length
        return _past_the_end(form, kind, number, long, late)
    if other is not None and distance == NO_TIME:
        return _overtaken(form, kind, number, other, long, proviso)
    if other is not None and distance < NO_TIME:
        return _comes_after(form, kind, number, other, long, proviso)
    return _brought_together(form, number, _named(form, other) + proviso, distance, reason)


def _reason(form: Form, kind: str, wait: Wait) -> str:
    """Name what a step waits for, in that order."""
    calendar = form.campaign.calendar
    own, window = "its hours", calendar.charges if kind == CHARGE else calendar.messages
    words = {kind: f"{own} ({window.spelled()})"}
    if kind == MESSAGE:
        words[CHARGE] = f"its charge (cards are charged {calendar.charges.spelled()})"
    reasons = [words[gap.kind] for gap in wait.gaps]
    if wait.is_spread:
        reasons.append(f"its share of the longest jitter ({spell_duration(form.longest_jitter)})")
    return ", then ".join(reasons)


def _named(form: Form, other: int | None) -> str:
    return "the last message" if other is None else f"that of step {form.steps[other].id}"


def _brought_together(form: Form, number: int, other: str, distance: timedelta, reason: str) -> Fault:
    only = f"only {spell_duration(distance)}" if distance else "just"
    return form.of_step(
        number,
        f"kept waiting for {reason}, its mail may come {only} before {other}; between"
        f" two mails the campaign keeps {spell_duration(form.campaign.spacing)}",
        "put more time between them, or let it wait less",
        Severity.WARNING,
    )


def _overtaken(form: Form, kind: str, number: int, following: int, reason: str, proviso: str) -> Fault:
    what, done = ("mail", "is sent") if kind == MESSAGE else ("retry", "is made")
    later = form.steps[following].id
    return form.of_step(
        number,
        f"its {what} may wait for {reason} until the one of step {later} is due{proviso}: then only that one"
        f" {done}",
        f"put more time between it and step {later}",
        Severity.WARNING,
    )


def _comes_after(form: Form, kind: str, number: int, following: int, reason: str, proviso: str = "") -> Fault:
    what, done = ("mail", "sent") if kind == MESSAGE else ("retry", "made")
    later = form.steps[following].id
    return form.of_step(
        number,
        f"its {what} may wait for {reason} until the one of step {later} has been {done}{proviso}: then it"
        " comes after that one",
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
