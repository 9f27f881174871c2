"""The rules of money and mail, for any campaign of the whole language and any order of events."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from campaigns.arms import assign
from campaigns.document import ASK, KINDS, Campaign
from campaigns.moving import PastRule
from campaigns.planner import plan
from campaigns.schedule import FAREWELL, NOTICE
from campaigns.story import Action, Outcome, Story
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
from tests.unit.any_campaign import ATTRIBUTES, CODES, Document, documents, failures
from tests.unit.played_case import Deed, Event, PlayedCase, World

WHO: dict[str, Any] = {"by": "ops", "why": "asked"}
TROUBLE = ["paid", "confirm", "lost", "unavailable", "nothing to pay"]
ANSWERS = st.sampled_from([*CODES, *["insufficient_funds"] * 5, *TROUBLE])
AFTER = st.integers(0, 25 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
STEPS = st.none() | st.sampled_from(["s0", "s1", "s2", "s3", "end"])
AT_LEISURE = timedelta(hours=1)

any_order = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    # Explaining a failure traces every line, which takes minutes.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


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

    def just_before(self, at: datetime, *deeds: str) -> bool:
        """Whether the customer gave a card, or confirmed, not long before a moment."""
        return any(
            timedelta(0) <= at - event.at <= AT_LEISURE
            and (
                (event.what == "confirmed" and "confirmed" in deeds)
                or (isinstance(event.what, CardUpdated) and not event.what.renewed and "card" in deeds)
            )
            for event in self.world.events
        )


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
        MoveToVersion(version=draw(st.integers(1, versions)), past=past, spread=spread, **WHO),
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


# --- the end ---------------------------------------------------------------------------------------


@any_order
@given(played())
def test_after_an_end_nothing_is_charged_and_after_the_close_nothing_is_done(found: Played) -> None:
    for deed in found.deeds:
        assert deed.before.ending is None or deed.plan.id == FAREWELL
        assert not deed.before.closed
    closed = found.case.story
    assert closed.closed
    course = found.case.course_of(closed)
    for days in (0, 1, 40):
        upcoming = plan(course, closed, found.case.now + timedelta(days=days))
        assert upcoming.action is Action.CLOSE


@any_order
@given(played())
def test_every_case_ends_and_its_final_action_is_not_before_the_end(found: Played) -> None:
    ended = [deed for deed in found.deeds if deed.plan.action is Action.END]
    ending = found.case.story.ending
    assert ending is not None
    assert len(ended) == (ending.outcome is Outcome.EXHAUSTED)
    for deed in ended:
        end = as_written.course(found.document(deed), deed.before.arm)["end"]
        planned = deed.before.failed_at + as_written.length(end["after"])
        assert deed.at >= deed.before.moved.get("end", planned)
        told = deed.before.done.get(NOTICE)
        if told is not None:
            assert deed.at >= told + as_written.length(end.get("late_grace", "24 hours"))


@any_order
@given(played())
def test_no_step_is_done_once_the_end_has_come(found: Played) -> None:
    for deed in found.deeds:
        if found.step(deed) and deed.before.unsettled is None:
            part = next(part for part in found.case.parts_of(deed) if part.id == deed.plan.id)
            assert part.at < found.case.end_of(deed)


# --- hours -----------------------------------------------------------------------------------------


@any_order
@given(played())
def test_no_mail_leaves_outside_its_hours_but_to_a_customer_who_waits_for_it(found: Played) -> None:
    for deed in found.deeds:
        if not deed.is_mail or as_written.may_go(found.document(deed), "messages", deed.at, deed.before):
            continue
        ending = deed.before.ending
        if deed.plan.id == deed.before.card_notice:
            assert found.just_before(deed.at, "card"), deed
        else:
            assert ending is not None, deed
            assert ending.outcome is Outcome.RECOVERED, deed
            assert found.just_before(deed.at, "card", "confirmed"), deed


@any_order
@given(played())
def test_no_charge_of_the_schedule_is_made_outside_its_hours_unless_a_person_moved_it(found: Played) -> None:
    put = {wish.step for _, wish, granted in found.case.answers if isinstance(wish, Reschedule) and granted}
    for deed in found.deeds:
        if deed.is_scheduled_charge and not put & {deed.plan.step, None}:
            assert as_written.may_go(found.document(deed), "charges", deed.at, deed.before), deed


# --- times -----------------------------------------------------------------------------------------


@any_order
@given(played())
def test_no_step_is_done_before_its_anchor(found: Played) -> None:
    for deed in found.deeds:
        step = found.step(deed)
        if step is not None:
            assert deed.at >= as_written.anchor(found.document(deed), deed.before, step), deed


@any_order
@given(undisturbed())
def test_jitter_makes_a_step_later_by_no_more_than_its_share(found: Played) -> None:
    for deed in found.deeds:
        step = found.step(deed)
        # What keeps no hours shows the step's own time: a question, and an alert of a step that does not charge.
        free = deed.plan.action is Action.ALERT and not (step and (step["retry"] or "approval" in step))
        if step is not None and (free or deed.plan.id.endswith(f".{ASK}")):
            late = deed.at - as_written.anchor(found.document(deed), deed.before, step)
            assert timedelta(0) <= late <= as_written.length(step.get("jitter", "0 hours"))


@any_order
@given(undisturbed())
def test_what_is_foreseen_comes_at_its_time(found: Played) -> None:
    """Whoever looks at a case sees what is done next, and when, unless the customer decides it."""
    if any(word in str(found.versions) for word in ("mail_opened", "link_clicked")):
        return
    for before, deed in pairwise([None, *found.deeds]):
        moment = before.at if before else found.story.failed_at
        if deed is None or deed.at == moment or deed.plan.id in {NOTICE, FAREWELL}:
            continue
        foreseen = [upcoming for at, upcoming in found.case.plans if at == moment][-1]
        assert (foreseen.id, foreseen.at) == (deed.plan.id, deed.at)


# --- sameness --------------------------------------------------------------------------------------


@any_order
@given(played())
def test_the_same_inputs_give_the_same_plans(found: Played) -> None:
    again = PlayedCase(found.world, found.story).play()
    assert again.plans == found.case.plans
    assert again.deeds == found.case.deeds


@any_order
@given(played())
def test_being_written_and_read_changes_nothing(found: Played) -> None:
    world = World(**(found.world.__dict__ | {"through_json": True}))
    world.documents = [
        Campaign.model_validate_json(campaign.model_dump_json()) for campaign in world.documents
    ]
    assert list(world.documents) == list(found.world.documents)
    again = PlayedCase(world, found.story).play()
    assert again.plans == found.case.plans
    assert again.story == found.case.story


# --- how often -------------------------------------------------------------------------------------


@any_order
@given(played())
def test_nothing_is_done_twice(found: Played) -> None:
    # A charge whose fate is unknown is asked after under its own id, which is not another charge.
    times = Counter(deed.plan.id for deed in found.deeds if deed.before.unsettled is None)
    assert not [action for action, number in times.items() if number > 1]


@any_order
@given(played())
def test_there_are_never_more_charges_on_schedule_than_the_limit(found: Played) -> None:
    made = 0
    for deed in found.deeds:
        if deed.is_scheduled_charge:
            made += 1
            assert made <= found.document(deed)["retries"]


@any_order
@given(played())
def test_of_all_that_is_due_after_an_outage_one_charge_is_made_and_one_mail_sent(found: Played) -> None:
    mails = Counter(deed.at for deed in found.deeds if deed.is_mail and deed.plan.id != FAREWELL)
    charges = Counter(deed.at for deed in found.deeds if deed.is_scheduled_charge)
    assert max([*mails.values(), *charges.values()], default=0) <= 1


# --- who gets what ---------------------------------------------------------------------------------


@any_order
@given(played())
def test_a_customer_in_the_holdout_gets_nothing(found: Played) -> None:
    for deed in found.deeds:
        if as_written.is_holdout(found.document(deed), deed.before.arm):
            assert deed.plan.action is Action.END or deed.before.unsettled
            assert deed.plan.final_action in {None, "leave"}
            assert deed.before.access == "full"


@any_order
@given(played())
def test_a_step_is_done_only_if_its_conditions_hold_when_it_is_due(found: Played) -> None:
    begun_steps: set[str] = set()
    for deed in found.deeds:
        step = found.step(deed)
        if step is None or deed.before.unsettled or step["id"] in begun_steps:
            continue
        if deed.plan.id.rpartition(".")[2] in KINDS:
            begun_steps.add(step["id"])
        due = next(part.at for part in found.case.parts_of(deed) if part.id == deed.plan.id)
        wanted = step.get("only_if", {})
        held = as_written.holds(wanted, found.case.story_at(due, deed), found.world.attributes, due)
        assert held, (deed, due)


@any_order
@given(played())
def test_without_an_approval_a_step_waits_and_then_does_what_its_author_said(found: Played) -> None:
    approved = [at for at, wish, granted in found.case.answers if isinstance(wish, Approve) and granted]
    for deed in found.deeds:
        step = found.step(deed)
        if (
            step is None
            or "approval" not in step
            or deed.plan.id.endswith(f".{ASK}")
            or deed.before.unsettled
        ):
            continue
        asked = deed.before.done.get(f"{step['id']}.{ASK}")
        assert asked is not None, deed
        over = asked + as_written.length(step["approval"]["within"])
        answered = any(asked <= at <= deed.at for at in approved)
        assert answered or (step["approval"]["otherwise"] == "go on" and deed.at >= over), deed
