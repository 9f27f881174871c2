"""A campaign as each of its arms has it, and what a check has to know besides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from campaigns.document import MESSAGE, NO_TIME
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, timedelta

    from campaigns.declines import DeclineTable
    from campaigns.document import Campaign, Step
    from campaigns.networks import NetworkLimits
    from campaigns.source import Place, Source
    from errors import Fault


@dataclass(frozen=True)
class Known:
    """What there is beside the document, on the day ``on`` of the check.

    ``template_faults`` says all that keeps a template from being sent, and ``names_the_end`` whether its text
    tells the customer what becomes of the subscription.
    """

    declines: DeclineTable
    networks: NetworkLimits
    templates: frozenset[str]
    template_faults: Callable[[str], tuple[str, ...]]
    names_the_end: Callable[[str], bool]
    on: date
    processors: frozenset[str] = field(default=frozenset({"stripe", "sandbox"}))


@dataclass(frozen=True)
class Form:
    """The campaign as the customers of one arm get it; ``arm`` is None where there is but one form.

    ``campaign`` has the arm's own parts in place of the campaign's, and ``places`` says where each stands.
    """

    source: Source
    campaign: Campaign
    arm: str | None
    places: dict[str, Place]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order of time."""
        return self.campaign.steps

    def at(self, part: str, *inner: str | int) -> Place:
        """Give the place of something in the steps, the end or the messages."""
        return (*self.places[part], *inner)

    def fault(
        self,
        place: Place,
        what: str,
        suggestion: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Fault:
        """Make a fault of this form."""
        found = self.source.fault(place, what, suggestion, severity)
        return found if found.arm else replace(found, arm=self.arm)

    def of_step(
        self, number: int, what: str, suggestion: str | None = None, severity: Severity = Severity.ERROR
    ) -> Fault:
        """Make a fault of a step."""
        return self.fault(self.at("steps", number), what, suggestion, severity)

    def earliest(self, number: int) -> timedelta:
        """Give the earliest time of a step, since the failure."""
        step = self.steps[number]
        return (
            step.after if step.after is not None else self.campaign.end.after - (step.before_end or NO_TIME)
        )

    def latest(self, number: int) -> timedelta:
        """Give the latest time of a step, with the whole of its jitter."""
        return self.earliest(number) + self.steps[number].jitter

    def answer_within(self, number: int) -> timedelta:
        """Give how long a step waits at most for an approval."""
        approval = self.steps[number].approval
        return approval.within if approval else NO_TIME

    @property
    def longest_jitter(self) -> timedelta:
        """The longest jitter of a step: of that each case has its share where hours kept something waiting."""
        return max(step.jitter for step in self.steps)

    def doing(self, kind: str) -> list[int]:
        """List the steps that do something of a kind, by their positions."""
        return [number for number, step in enumerate(self.steps) if kind in step.kinds]

    @property
    def mails(self) -> list[int]:
        """The steps that send a mail, by their positions."""
        return self.doing(MESSAGE)


def forms_of(source: Source, campaign: Campaign) -> tuple[Form, ...]:
    """Give the campaign as each arm has it, holdouts left out; without arms there is one form."""
    parts = ("steps", "end", "messages")
    working = [(number, arm) for number, arm in enumerate(campaign.arms) if not arm.holdout]
    if not working:
        return (Form(source, campaign, None, {part: (part,) for part in parts}),)
    found = []
    for number, arm in working:
        own = {part: getattr(arm, part) for part in parts if getattr(arm, part) is not None}
        places: dict[str, Place] = {
            part: ("arms", number, part) if part in own else (part,) for part in parts
        }
        name = arm.name if len(working) > 1 else None
        found.append(Form(source, campaign.model_copy(update=own | {"arms": ()}), name, places))
    return tuple(found)


def merged(faults: Iterator[Fault], forms: tuple[Form, ...]) -> list[Fault]:
    """Tell once, without an arm, what is so in every arm; in order of lines."""
    arms: dict[Fault, list[str | None]] = {}
    for fault in faults:
        arms.setdefault(replace(fault, arm=None), []).append(fault.arm)
    found: list[Fault] = []
    for fault, where in arms.items():
        everywhere = len(set(where)) == len(forms) > 1
        found += [fault] if everywhere else [replace(fault, arm=arm) for arm in dict.fromkeys(where)]
    return sorted(found, key=lambda fault: fault.line)
