"""Any case of any campaign in any world, played to its end: what the tests of the planner's rules draw."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from campaigns.arms import assign
from campaigns.document import Campaign
from campaigns.moving import PastRule
from contract import (
    Approve,
    Cancel,
    CardUpdated,
    MoveToVersion,
    PauseCase,
    PaymentFailed,
    PaymentSucceeded,
    PromiseToPay,
    Reschedule,
    ResumeCase,
    RetryNow,
    SkipStep,
)
from tests.unit import as_written
from tests.unit.any_campaign import ATTRIBUTES, CODES, MOMENTS, Document, documents, failures
from tests.unit.played_case import Deed, Event, PlayedCase, World

if TYPE_CHECKING:
    from campaigns.story import Story

WHO: dict[str, Any] = {"by": "ops", "why": "asked"}
TROUBLE = ["paid", "paid", "paid", "confirm", "lost", "unavailable", "nothing to pay"]
ANSWERS = st.sampled_from([*CODES, *["insufficient_funds"] * 5, *TROUBLE])
AFTER = st.integers(0, 25 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
STEPS = st.none() | st.sampled_from(["s0", "s1", "s2", "s3", "end"])
AT_LEISURE = timedelta(hours=1)


class Played:
    """A case that was played, with what its campaigns' documents say."""

    def __init__(self, versions: list[Document], world: World, story: Story) -> None:
        self.versions, self.world, self.story = versions, world, story
        self.case = PlayedCase(world, story).play()

    def __repr__(self) -> str:
        return f"Played({self.versions}, {self.world.events}, {self.world.charges}, {self.story!r})"

    @property
    def deeds(self) -> list[Deed]:
        return self.case.deeds

    def document(self, deed: Deed) -> Document:
        return self.versions[deed.document]

    def step(self, deed: Deed) -> Document | None:
        """Find what the document says of the step that a deed belongs to; None for the end and all else."""
        if deed.plan.step in {None, "end"}:
            return None
        return as_written.step_of(self.document(deed), deed.before.arm, deed.plan.step or "")

    def is_awake(self, at: datetime) -> bool:
        """Whether the customer gave a card, or was said to have paid, not long before a moment."""
        deeds = [
            event.at
            for event in self.world.events
            if event.what == "confirmed"
            or isinstance(event.what, PaymentSucceeded)
            or (isinstance(event.what, CardUpdated) and not event.what.renewed)
        ]
        return any(timedelta(0) <= at - deed <= AT_LEISURE for deed in deeds)


def _event(draw: st.DrawFn, number: int, at: datetime, versions: int) -> Event:
    event, later = f"evt_{number}", at + draw(AFTER)
    card = draw(st.sampled_from(["card_1", "card_2", "card_3"]))
    past, spread = draw(st.sampled_from(PastRule)), timedelta(hours=draw(st.sampled_from([0, 5])))
    some: list[Any] = [
        CardUpdated(event=event, method=card, at=at),
        CardUpdated(event=event, method=card, renewed=event, at=at),
        Cancel(event=event, by="customer"),
        PaymentFailed(event=event, decline=draw(st.sampled_from(CODES))),
        PaymentSucceeded(event=event, at=at),
        PromiseToPay(event=event, on=later),
        PauseCase(until=draw(st.none() | st.just(later)), **WHO),
        ResumeCase(**WHO),
        RetryNow(**WHO),
        SkipStep(step=draw(STEPS), **WHO),
        Reschedule(step=draw(STEPS), at=later, **WHO),
        Approve(**WHO),
        Approve(**WHO),
        *[MoveToVersion(version=draw(st.integers(1, versions)), past=past, spread=spread, **WHO)] * 2,
        *("opened", "clicked", "paid", "confirmed", "away", "away"),
    ]
    return Event(at, draw(st.sampled_from(some)), timedelta(minutes=draw(st.integers(1, 10 * 24 * 60))))


@st.composite
def played(draw: st.DrawFn) -> Played:
    """A case of any campaign in any world, played to its end."""
    versions = draw(st.lists(documents(), min_size=1, max_size=2))
    story = begun(versions[0], draw(failures()))
    times = [story.failed_at + draw(AFTER) for _ in range(draw(st.integers(0, 6)))]
    world = World(
        documents=[Campaign.model_validate(version) for version in versions],
        attributes=draw(ATTRIBUTES),
        events=[_event(draw, number, at, len(versions)) for number, at in enumerate(times)],
        # No trouble lasts for ever.
        charges=[*draw(st.lists(ANSWERS, max_size=5)), draw(st.sampled_from(CODES))],
        answers_after=draw(st.none() | st.integers(0, 60).map(lambda hours: timedelta(hours=hours))),
        mails=draw(st.sampled_from([["sent"], [*["unavailable"] * 3, "sent"]])),
    )
    return Played(versions, world, story)


@st.composite
def undisturbed(draw: st.DrawFn) -> Played:
    """A case in a world in which only time passes, and the customer reads mails."""
    document = draw(documents())
    story = begun(document, draw(failures()))
    events = [
        Event(story.failed_at + draw(AFTER), what)
        for what in draw(st.lists(st.sampled_from(["opened", "clicked"]), max_size=2))
    ]
    campaign = Campaign.model_validate(document)
    world = World([campaign], draw(ATTRIBUTES), events, charges=[draw(st.sampled_from(CODES))])
    return Played([document], world, story)


def begun(document: Document, failure: Story) -> Story:
    """Begin a case as opening it does: with an arm."""
    arm = assign(Campaign.model_validate(document), f"sandbox/main/{failure.customer}")
    return failure.model_copy(update={"campaign": "any", "version": 1, "arm": arm})


@st.composite
def plain(draw: st.DrawFn) -> Played:
    """A case of a campaign of hours and paydays alone, without anything that depends on the case."""
    document = draw(documents())
    document.pop("arms", None)
    # An extra charge hangs on what the issuer answered.
    document["extra_charges"] = False
    for step in document["steps"]:
        for part in ("only_if", "approval", "jitter", "access"):
            step.pop(part, None)
        if not (step["retry"] or "message" in step or "alert" in step):
            step["alert"] = "Call this customer"
    # Quarters of an hour, so that a clock can be gone through.
    failed_at = draw(MOMENTS).replace(minute=0, second=0)
    story = begun(document, draw(failures())).model_copy(update={"failed_at": failed_at})
    world = World([Campaign.model_validate(document)], charges=[story.decline or ""])
    return Played([document], world, story)
