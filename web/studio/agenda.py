"""What happens in a made-up case, as a person reads it: by the day of the customer, and as months on a calendar."""

from __future__ import annotations

import calendar as months
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.money import spell_money
from campaigns.story import Action, Outcome, Story

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.simulation import Happened
    from campaigns.story import Ending, Plan
    from web.studio.imagined import Imagined, Played

KINDS = {
    Action.CHARGE: "Charge",
    Action.MESSAGE: "Mail",
    Action.ACCESS: "Access",
    Action.ALERT: "Team",
    Action.END: "End",
    Action.WAIT: "Wait",
    Action.LOOK: "Check",
}
EVENTS = {
    "new card": "gives a new card",
    "opened": "opens the mail",
    "link used": "uses the link in the mail",
    "paid elsewhere": "pays in another way",
    "cancelled": "cancels",
}


@dataclass(frozen=True)
class Entry:
    """One line of the agenda; ``number`` is its place, ``action`` and ``template`` are given for mails."""

    number: int
    at: datetime
    kind: str
    what: str
    why: str
    action: str | None = None
    template: str | None = None

    @property
    def anchor(self) -> str:
        """Name the entry within its page."""
        return f"entry-{self.number}"


@dataclass(frozen=True)
class Day:
    """One day of the customer's with everything on it, and how many days after the failure it is."""

    day: date
    after: int
    entries: tuple[Entry, ...]


def entries_of(played: Played, imagined: Imagined) -> list[Entry]:
    """Put everything that happens into words, the failure first and the close last."""
    owed = spell_money(imagined.amount, imagined.currency)
    declined = imagined.decline.replace("_", " ")
    found = [
        Entry(0, imagined.failed_at.astimezone(imagined.zone), "Failure", f"{owed} failed: {declined}", "")
    ]
    for place, item in enumerate(played.happened):
        at = item.at.astimezone(imagined.zone)
        if item.plan is None:
            what = f"The customer {EVENTS.get(item.event or '', item.event or '')}"
            found.append(Entry(place + 1, at, "Customer", what, "as chosen above"))
        else:
            found.append(_of_plan(place + 1, at, item, item.plan, owed))
    last = played.happened[-1].story if played.happened else played.story
    if last.ending:
        at = (last.ending.at or imagined.failed_at).astimezone(imagined.zone)
        later = max(at, found[-1].at)
        found.append(Entry(len(found), later, "Close", f"The case closes: {_ending(last.ending)}", ""))
    return found


def _of_plan(number: int, at: datetime, item: Happened, plan: Plan, owed: str) -> Entry:
    kind = KINDS.get(plan.action, str(plan.action))
    if plan.action is Action.MESSAGE:
        what = (plan.template or "").replace("_", " ")
        return Entry(number, at, kind, what, plan.why, action=plan.id, template=plan.template)
    words = {
        Action.CHARGE: f"{owed} is charged: {_result(item.story)}",
        Action.ACCESS: f"Access becomes {plan.access}",
        Action.ALERT: plan.note or "",
        Action.END: f"The subscription: {str(plan.final_action).replace('_', ' ')}",
    }
    return Entry(number, at, kind, words.get(plan.action, plan.why), plan.why)


def _result(story: Story) -> str:
    return (
        "it goes through" if story.ending and story.ending.outcome is Outcome.RECOVERED else "it is declined"
    )


def _ending(ending: Ending) -> str:
    lever = f" by {ending.lever}" if ending.lever else ""
    return f"{ending.outcome}{lever}"


def by_day(entries: Sequence[Entry]) -> list[Day]:
    """Gather entries under their days, in order."""
    first = entries[0].at.date()
    days: dict[date, list[Entry]] = {}
    for entry in entries:
        days.setdefault(entry.at.date(), []).append(entry)
    return [Day(day, (day - first).days, tuple(found)) for day, found in days.items()]


@dataclass(frozen=True)
class Month:
    """A month as a calendar shows it: weeks of seven days, those of other months None."""

    title: str
    weeks: tuple[tuple[tuple[date, tuple[Entry, ...]] | None, ...], ...]


def months_of(days: Sequence[Day]) -> list[Month]:
    """Lay days out on the months that they fall into, weeks beginning on Monday."""
    entries = {day.day: day.entries for day in days}
    first, last = days[0].day.replace(day=1), days[-1].day
    found = []
    while first <= last:
        weeks = tuple(
            tuple((day, entries.get(day, ())) if day.month == first.month else None for day in week)
            for week in months.Calendar().monthdatescalendar(first.year, first.month)
            # Weeks in which nothing can be would only push the others down.
            if week[-1] >= days[0].day and week[0] <= last
        )
        found.append(Month(f"{first:%B %Y}", weeks))
        first = (first + timedelta(days=32)).replace(day=1)
    return found
