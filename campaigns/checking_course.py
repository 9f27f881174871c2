"""Checks of what a customer goes through: the planner's own course of cases that could be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from campaigns.arms import for_case
from campaigns.declines import Ask, DeclineClass, Said
from campaigns.document import CHARGE, FinalAction
from campaigns.durations import spell_duration
from campaigns.money import minor_units, spell_money
from campaigns.schedule import FAREWELL
from campaigns.segments import Failure
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Action
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from campaigns.conditions import Conditions
    from campaigns.declines import Verdict
    from campaigns.document import Campaign
    from campaigns.forms import Form, Known
    from campaigns.segments import Takes
    from campaigns.simulation import Happened
    from errors import Fault

TAKES_AWAY = {
    FinalAction.CANCEL_NOW: "the subscription is cancelled",
    FinalAction.CANCEL_AT_PERIOD_END: "the subscription is not renewed",
    FinalAction.MARK_UNPAID: "the subscription is marked as unpaid",
    FinalAction.PAUSE: "the subscription is paused",
}
# More combinations of what conditions ask for are not played.
MOST_CASES = 48
USUAL_AMOUNT = 4900
# A final action is not out of the blue where a message names it in the last part of the campaign, or days.
LAST_PART = 1 / 3
LAST_DAYS = timedelta(days=3)
SOFT, HARD, CONFIRM = (
    "a soft decline",
    "a hard decline",
    "a decline that the customer has to confirm (3-D Secure)",
)


@dataclass(frozen=True)
class Course:
    """One case that could be, and all that happens in it when the customer does nothing."""

    path: str
    case: str
    mails: tuple[Happened, ...]
    end: Happened | None


def faults_of_course(form: Form, known: Known) -> Iterator[Fault]:
    """Find cases whose customer hears nothing, or loses the subscription without having been told."""
    courses = [course for path in _paths(form, known) for course in _courses(form, known, path)]
    silent = [course for course in courses if not course.mails]
    for path in dict.fromkeys(course.path for course in silent if course.path != SOFT):
        first = next(course for course in silent if course.path == path)
        yield form.fault(
            form.at("steps"),
            f"{path} sends the customer nothing{first.case}: nobody says what there is to do",
            "give a message to a step that is for such a case, too",
        )
    yield from _out_of_the_blue(form, known, courses)


def _out_of_the_blue(form: Form, known: Known, courses: Sequence[Course]) -> Iterator[Fault]:
    campaign = form.campaign
    consequence = TAKES_AWAY.get(campaign.end.action)
    if consequence is None:
        return
    place, unsaid = form.at("end", "action"), []
    for course in courses:
        # What sends nothing at all has been told, but for a soft decline, where that may be meant.
        if course.end is None or (not course.mails and course.path != SOFT):
            continue
        said = [mail.at for mail in course.mails if mail.plan and _says_so(mail.plan.template, known)]
        if not said:
            yield form.fault(
                place,
                f"after {course.path}{course.case} {consequence} out of the blue: no message before it says so",
                "let a step send 'last_notice' some days before the end",
            )
            return
        unsaid.append((course.end.at - said[-1], course))
    stretch = max(campaign.grace, campaign.end.after * LAST_PART, LAST_DAYS)
    if not unsaid:
        return
    longest, course = max(unsaid, key=lambda found: found[0])
    if longest > stretch:
        yield form.fault(
            place,
            f"after {course.path}{course.case} {consequence} {spell_duration(longest)} after the last message"
            " that says so",
            f"say so again in the last {spell_duration(stretch)}",
            Severity.WARNING,
        )


def _says_so(template: str | None, known: Known) -> bool:
    """Whether a mail names the end; of one that cannot be sent its own faults are told, and nothing else."""
    if template not in known.templates or known.template_faults(template):
        return True
    return known.names_the_end(template)


def _paths(form: Form, known: Known) -> Iterator[tuple[str, Verdict]]:
    """Give the declines to play: where steps ask for codes, one that they do not ask for."""
    takes, table = form.campaign.takes, known.declines
    asked = {code for step in form.steps for code in step.only_if.decline}
    verdicts = sorted(
        (table.judge(Said(code), known.on) for code in table.codes()),
        key=lambda verdict: (verdict.code in asked, verdict.code),
    )
    # A later charge may be declined in another way than the first, which the segment asks for.
    any_decline = bool(form.doing(CHARGE))
    for path, fits in (
        (SOFT, lambda verdict: verdict.kind is DeclineClass.SOFT and verdict.charge_again),
        (HARD, lambda verdict: verdict.kind is DeclineClass.HARD),
        (CONFIRM, lambda verdict: verdict.ask is Ask.CONFIRM),
    ):
        found = [
            verdict
            for verdict in verdicts
            if fits(verdict)
            and (any_decline or not takes.decline or verdict.code in takes.decline)
            and (any_decline or not takes.decline_class or verdict.kind in takes.decline_class)
        ]
        if found:
            yield path, found[0]


def _courses(form: Form, known: Known, path: tuple[str, Verdict]) -> Iterator[Course]:
    failed_at = datetime.combine(known.on, time(12), tzinfo=UTC)
    name, verdict = path
    for case in _cases(form.campaign):
        sample = Sample(
            failed_at,
            verdict,
            amount=case.amount,
            currency=case.currency,
            plan=case.plan,
            country=case.country,
        )
        story = begin(form.campaign, sample)
        campaign = for_case(form.campaign, story, case.attributes)
        happened = list(simulate(campaign, story, failed_at))
        mails = tuple(
            item
            for item in happened
            if item.plan and item.plan.action is Action.MESSAGE and item.plan.id != FAREWELL
        )
        end = next((item for item in happened if item.plan and item.plan.action is Action.END), None)
        yield Course(name, _spell_case(form.campaign, case), mails, end)


def _cases(campaign: Campaign) -> list[Failure]:
    """Make up failures of the segment that differ in all that the steps' conditions ask for."""
    asked = [step.only_if for step in campaign.steps]
    takes = campaign.takes
    currencies = takes.currency or tuple(takes.amount) or tuple(campaign.minimum) or ("USD",)
    in_steps = {code for part in asked for code in (*part.currency, *part.amount)}
    currencies = tuple(dict.fromkeys((*currencies[:1], *(in_steps & set(currencies) or in_steps))))
    plans: tuple[str | None, ...] = takes.plan or (None, *(plan for part in asked for plan in part.plan))
    parts: tuple[Takes | Conditions, ...] = (takes, *asked)
    names = sorted({name for part in parts for name in part.attributes})
    values = [
        takes.attributes.get(name)
        or ("", *(value for part in asked for value in part.attributes.get(name, ())))
        for name in names
    ]
    made = (
        Failure(
            plan=plan,
            currency=currency,
            amount=amount,
            country=takes.country[0] if takes.country else None,
            attributes=dict(zip(names, chosen, strict=True)),
        )
        for currency in currencies
        for plan in dict.fromkeys(plans)
        for amount in _amounts(campaign, currency)
        for chosen in itertools.product(*map(dict.fromkeys, values))
    )
    fitting = (case for case in made if _is_taken(campaign, case))
    return list(itertools.islice(fitting, MOST_CASES))


def _amounts(campaign: Campaign, currency: str) -> Iterable[int]:
    """Give amounts on both sides of every border that a condition draws in a currency."""
    parts: tuple[Takes | Conditions, ...] = (campaign.takes, *(step.only_if for step in campaign.steps))
    ranges = [part.amount[currency] for part in parts if currency in part.amount]
    borders = {
        minor_units(text, currency) for found in ranges for text in (found.at_least, found.below) if text
    }
    least = campaign.smallest(currency)
    amounts = {amount for border in borders for amount in (border, border - 1) if amount >= least}
    return sorted(amounts) or [max(USUAL_AMOUNT, least)]


def _is_taken(campaign: Campaign, case: Failure) -> bool:
    """Whether the segment takes a failure, as far as it was made up."""
    takes = campaign.takes.model_copy(
        update={
            "interval": (),
            "processor": (),
            "decline": (),
            "decline_class": (),
            "tags": (),
            "failure": None,
        }
    )
    return takes.why_not(case) is None


def _spell_case(campaign: Campaign, case: Failure) -> str:
    """Name what is particular about a case, where steps ask for it."""
    asked = [step.only_if for step in campaign.steps]
    said = []
    if any(part.plan for part in asked):
        said.append(f"plan {case.plan}" if case.plan else "any other plan")
    if any(part.amount for part in asked):
        said.append(spell_money(case.amount, case.currency))
    elif any(part.currency for part in asked):
        said.append(case.currency)
    for name in {name: None for part in asked for name in part.attributes}:
        value = case.attributes.get(name)
        said.append(f"{name} {value}" if value else f"no {name}")
    return f" ({', '.join(said)})" if said else ""
