"""A campaign as a timeline that a person reads at a glance: what happens on which day, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.calendars import MINUTES_A_DAY, WEEKDAYS
from campaigns.document import ONE_DAY, offset
from campaigns.editing import length_in_full
from campaigns.words import (
    ACCESS,
    ENDS,
    also_takes,
    approval_in_words,
    arms_in_words,
    conditions_in_words,
    late_payment_in_words,
    minimum_in_words,
    template_in_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from campaigns.calendars import Window
    from campaigns.document import Campaign, End, Step
    from errors import Fault

# The first of these that a step does gives its mark in the timeline.
MARKS = ("charge", "message", "access", "alert")


@dataclass(frozen=True)
class Part:
    """One thing that happens, with the kind that gives it its sign: charge, message, access, alert, ask."""

    kind: str
    title: str
    text: str
    template: str | None = None


@dataclass(frozen=True)
class Item:
    """One step as it is shown; ``share`` is how far along the campaign it comes, from 0 to 1."""

    step: Step
    arm: str
    day: str
    when: str
    share: float
    parts: tuple[Part, ...]
    conditions: tuple[str, ...]
    jitter: str
    approval: str
    line: int | None
    faults: tuple[Fault, ...]
    is_first: bool
    is_last: bool

    @property
    def anchor(self) -> str:
        """Name the step within its page."""
        return f"arm-{self.arm}--step-{self.step.id}" if self.arm else f"step-{self.step.id}"

    @property
    def kind(self) -> str:
        """Give the kind of the step's mark."""
        return next(kind for kind in MARKS if kind in self.step.kinds)


@dataclass(frozen=True)
class Ending:
    """The end as it is shown."""

    end: End
    day: str
    what: str
    late: str


@dataclass(frozen=True)
class Course:
    """The steps and the end of the campaign, or of an arm that has its own; ``note`` says whose they are.

    ``has_steps`` and ``has_end`` are false where an arm only shows what is the campaign's.
    """

    arm: str
    title: str
    note: str
    items: tuple[Item, ...]
    ending: Ending
    has_steps: bool = True
    has_end: bool = True


@dataclass(frozen=True)
class WindowShown:
    """When mails or charges go out, in words and as the form shows it."""

    key: str
    title: str
    words: str
    hours: str
    quiet: str
    days: tuple[str, ...]
    holidays: bool


@dataclass(frozen=True)
class Timeline:
    """All of a campaign that a page shows."""

    campaign: Campaign
    courses: tuple[Course, ...]
    arms: tuple[tuple[str, str], ...]
    windows: tuple[WindowShown, ...]
    rules: tuple[tuple[str, str], ...]


def timeline_of(
    campaign: Campaign, faults: Sequence[Fault] = (), lines: dict[tuple[str, str], int] | None = None
) -> Timeline:
    """Put a campaign into words; ``lines`` says where the steps of each arm stand in the text."""
    whole = [_course(campaign, "", faults, lines or {})]
    whole += [
        _course(campaign, arm.name, faults, lines or {})
        for arm in campaign.arms
        if (arm.steps or arm.end) and not arm.holdout
    ]
    return Timeline(
        campaign=campaign,
        courses=tuple(whole),
        arms=tuple((arm.name, words) for arm, words in arms_in_words(campaign.arms)),
        windows=(
            _window("messages", "Mails", campaign.calendar.messages),
            _window("charges", "Charges", campaign.calendar.charges),
        ),
        rules=tuple(_rules(campaign)),
    )


def day_in_words(length: timedelta) -> str:
    """Name a time since the failure at a glance: ``Day 3``, or in full where it is no whole day."""
    if length and not length % ONE_DAY:
        return f"Day {length // ONE_DAY}"
    return "At once" if not length else length_in_full(length)


# --- courses ---------------------------------------------------------------------------------------


def _course(
    campaign: Campaign, arm: str, faults: Sequence[Fault], lines: dict[tuple[str, str], int]
) -> Course:
    own = next((part for part in campaign.arms if part.name == arm), None)
    steps = own.steps if own and own.steps else campaign.steps
    end = own.end if own and own.end else campaign.end
    items = [
        Item(
            step=step,
            arm=arm,
            day=day_in_words(offset(step, end)),
            when=_when(step),
            share=min(1.0, offset(step, end) / end.after) if end.after else 0.0,
            parts=tuple(_parts(step)),
            conditions=tuple(conditions_in_words(step.only_if)),
            jitter=length_in_full(step.jitter) if step.jitter else "",
            approval=approval_in_words(step.approval) if step.approval else "",
            line=lines.get((arm if own and own.steps else "", step.id)),
            faults=tuple(fault for fault in faults if fault.step == step.id and fault.arm in {None, arm}),
            is_first=place == 0,
            is_last=place == len(steps) - 1,
        )
        for place, step in enumerate(steps)
    ]
    if own is None:
        title, note = "What happens", _whose(campaign)
    else:
        title = f"Arm {arm}"
        note = "" if own.steps else "The steps are the campaign's; the end is its own."
    return Course(
        arm=arm,
        title=title,
        note=note,
        items=tuple(items),
        ending=_ending(end),
        has_steps=own is None or bool(own.steps),
        has_end=own is None or bool(own.end),
    )


def _whose(campaign: Campaign) -> str:
    own = [arm.name for arm in campaign.arms if arm.steps]
    alike = [arm.name for arm in campaign.arms if not arm.steps and not arm.holdout]
    if not own:
        return ""
    if not alike:
        return "Every arm has steps of its own; these are for nobody now."
    return f"For {'arm' if len(alike) == 1 else 'arms'} {', '.join(alike)}; others have steps of their own, below."


def _when(step: Step) -> str:
    if step.before_end is not None:
        return f"{length_in_full(step.before_end)} before the end"
    assert step.after is not None
    return f"{length_in_full(step.after)} after the failure" if step.after else "when the payment fails"


def _parts(step: Step) -> list[Part]:
    found = []
    if step.approval:
        found.append(Part("ask", "Approval", approval_in_words(step.approval)))
    if step.retry:
        found.append(Part("charge", "Charge", "the card is charged again"))
    if step.access:
        found.append(Part("access", "Access", ACCESS[step.access]))
    if step.message:
        found.append(Part("message", "Mail", template_in_words(step.message), step.message))
    if step.alert:
        found.append(Part("alert", "Team", step.alert))
    return found


def _ending(end: End) -> Ending:
    return Ending(
        end=end,
        day=day_in_words(end.after),
        what=ENDS[end.action],
        late=late_payment_in_words(end.late_payment),
    )


# --- the rest --------------------------------------------------------------------------------------


def _window(key: str, title: str, window: Window) -> WindowShown:
    return WindowShown(
        key=key,
        title=title,
        words=window.spelled(),
        hours=_hours(window.hours),
        quiet=_hours(window.quiet),
        days=window.days or WEEKDAYS,
        holidays=window.holidays,
    )


def _hours(spans: tuple[tuple[int, int], ...]) -> str:
    """Write stretches of hours for a form; one that goes past midnight was read as two and becomes one again."""
    begin = next((span for span in spans if span[0] == 0), None)
    until = next((span for span in spans if span[1] == MINUTES_A_DAY), None)
    whole = list(spans)
    if begin and until and begin != until:
        whole = [span for span in spans if span not in {begin, until}] + [(until[0], begin[1])]
    return ", ".join(f"{a // 60:02}:{a % 60:02} to {b // 60:02}:{b % 60:02}" for a, b in whole)


def _rules(campaign: Campaign) -> list[tuple[str, str]]:
    calendar = campaign.calendar
    found = [
        (
            "Access",
            f"stays full for {length_in_full(campaign.grace)}, whatever else happens"
            if campaign.grace
            else "",
        ),
        ("Charges", f"no more than {campaign.retries} on schedule, and every limit of the card networks"),
        (
            "Mails",
            f"at least {length_in_full(campaign.spacing)} between two to one customer"
            if campaign.spacing
            else "",
        ),
        ("Small amounts", minimum_in_words(campaign)),
        ("Also worked", also_takes(campaign.takes)),
        (
            "Once it is paid",
            f"the mail {template_in_words(campaign.messages.receipt)} is sent"
            if campaign.messages.receipt
            else "",
        ),
    ]
    if campaign.promise:
        times = "once" if campaign.promise.times == 1 else f"{campaign.promise.times} times"
        within = length_in_full(campaign.promise.within)
        found.append(
            ("Promises to pay", f"a customer may choose a day up to {within} ahead, {times} in a case")
        )
    if calendar.paydays:
        days = ", ".join("the last" if day == "last" else str(day) for day in calendar.paydays.days)
        after = " or ".join(code.replace("_", " ") for code in calendar.paydays.after)
        within = length_in_full(calendar.paydays.within)
        found.append(("Paydays", f"after {after}, a charge waits up to {within} for day {days} of the month"))
    return [(name, words) for name, words in found if words]
