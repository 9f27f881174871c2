"""What a campaign does to a case from here on: the planner's own answers, one after the other.

Nothing is copied from the planner; only what the world answers is made up: charges are declined alike
unless said otherwise, mails arrive, and the customer does what ``Customer`` says.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from campaigns.advice import learn_from_decline, new_card
from campaigns.document import ASK
from campaigns.due import overtaken
from campaigns.planner import AWAKE, plan
from campaigns.schedule import Timetable
from campaigns.story import Action, Ending, Lever, Outcome, Pending, Plan, Story, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from campaigns.declines import Ask, Verdict
    from campaigns.document import Campaign

# A plan that never ended would be a fault of the planner: no case takes so many turns, in all and for each step.
MOST_TURNS, MOST_TURNS_A_STEP = 400, 20
NEW_CARD = "new-card"


@dataclass(frozen=True)
class Customer:
    """What the customer of a simulated case does; all times are since the failure, or since each mail.

    ``paid_by_charge`` is the number of the scheduled charge that goes through. ``approves`` says whether
    the team approves what it is asked to, at once.
    """

    opens_mail_after: timedelta | None = None
    uses_link_after: timedelta | None = None
    new_card_after: timedelta | None = None
    new_card_works: bool = True
    pays_elsewhere_after: timedelta | None = None
    cancels_after: timedelta | None = None
    paid_by_charge: int | None = None
    approves: bool = False


@dataclass(frozen=True)
class Happened:
    """One thing that happens: an action of the campaign's with its ``plan``, or what the customer did.

    ``story`` is the case as it stands afterwards.
    """

    at: datetime
    story: Story
    plan: Plan | None = None
    event: str | None = None


@dataclass(frozen=True)
class Sample:
    """What is known of a made-up failure; ``amount`` in minor units."""

    failed_at: datetime
    verdict: Verdict
    case_id: str = "preview"
    amount: int = 0
    currency: str = "USD"
    plan: str | None = None
    country: str | None = None
    timezone: str | None = None
    network: str | None = None
    arm: str = ""
    has_card: bool = True


def begin(campaign: Campaign, sample: Sample) -> Story:
    """Begin the story of a made-up failure, as opening a case would."""
    verdict = sample.verdict
    story = Story(
        case_id=sample.case_id,
        workflow_id=sample.case_id,
        processor="preview",
        account="preview",
        invoice="preview",
        failed_at=sample.failed_at,
        amount=sample.amount,
        currency=sample.currency,
        plan=sample.plan,
        country=sample.country,
        timezone=sample.timezone,
        network=sample.network,
        campaign=campaign.name,
        arm=sample.arm,
        first_decline=verdict.code,
        method="card",
    )
    learnt = learn_from_decline(story, verdict, sample.failed_at)
    has_card = sample.has_card and learnt.get("has_card", True)
    return story.model_copy(update={**learnt, "has_card": has_card})


@dataclass(order=True)
class _Event:
    at: datetime
    order: int
    name: str = field(compare=False)


class _World:
    """The customer's deeds to come, in order of time."""

    def __init__(self, customer: Customer, story: Story, now: datetime) -> None:
        self._customer = customer
        self._events: list[_Event] = []
        self._count = 0
        for name, after in (
            ("new card", customer.new_card_after),
            ("paid elsewhere", customer.pays_elsewhere_after),
            ("cancelled", customer.cancels_after),
        ):
            if after is not None and story.failed_at + after >= now:
                self.add(story.failed_at + after, name)

    def add(self, at: datetime, name: str) -> None:
        self._count += 1
        heapq.heappush(self._events, _Event(at, self._count, name))

    def mail_arrived(self, at: datetime) -> None:
        if self._customer.opens_mail_after is not None:
            self.add(at + self._customer.opens_mail_after, "opened")
        if self._customer.uses_link_after is not None:
            self.add(at + self._customer.uses_link_after, "link used")

    def next_before(self, at: datetime | None) -> _Event | None:
        if self._events and (at is None or self._events[0].at <= at):
            return heapq.heappop(self._events)
        return None


def simulate(
    campaign: Campaign,
    story: Story,
    now: datetime,
    customer: Customer = Customer(),
    verdict: Verdict | None = None,
) -> Iterator[Happened]:
    """Yield everything that happens in a case from ``now`` until it is closed.

    ``campaign`` is the case's own, as ``for_case`` gives it. ``verdict`` is what every declined charge says, and
    with it when the card may be tried again; left out, all that the first one said, but for that.
    """
    world, timetable = _World(customer, story, now), Timetable(campaign)
    answers = _Answers(customer, story.ask, verdict)
    asks = any(not step.only_if.ask_nothing for step in campaign.steps)
    for _ in range(MOST_TURNS + MOST_TURNS_A_STEP * len(campaign.steps)):
        every = timetable.parts(story)
        gone = overtaken(campaign, story, now, every)
        if gone:
            story = story.model_copy(update={"passed": (*story.passed, *gone)})
            every = timetable.parts(story)
        upcoming = plan(campaign, story, now, every)
        event = world.next_before(upcoming.at if upcoming.action is not Action.CLOSE else now)
        if event is not None and not story.ending:
            now = max(now, event.at)
            story = _after_event(story, event)
            yield Happened(now, story, event=event.name)
            continue
        if upcoming.action is Action.CLOSE or upcoming.at is None:
            return
        if upcoming.at > now:
            now = upcoming.at
            if asks or upcoming.action is Action.WAIT:
                # What has come due in between is judged before anything is done, as activities do.
                continue
        story = _after_action(story, upcoming, now, answers)
        if upcoming.action is Action.MESSAGE:
            world.mail_arrived(now)
        yield Happened(now, story, plan=upcoming)
    raise AssertionError(f"the case of {campaign.name} does not end: it has come to {now:%d %B %Y}")


def _after_event(story: Story, event: _Event) -> Story:
    changes: dict[str, object] = {}
    if event.name == "opened":
        changes["opened_at"] = story.opened_at or event.at
    elif event.name == "link used":
        changes |= {
            "opened_at": story.opened_at or event.at,
            "clicked_at": story.clicked_at or event.at,
        }
    elif event.name == "new card":
        pending = Pending(id=f"card.{NEW_CARD}", trigger=Trigger.CARD_UPDATED, method=NEW_CARD)
        changes |= {
            **new_card(NEW_CARD),
            "pending": pending,
            "awake_until": event.at + AWAKE,
        }
    elif event.name == "paid elsewhere":
        changes["ending"] = Ending(outcome=Outcome.RECOVERED_ELSEWHERE, at=event.at)
    elif event.name == "cancelled":
        changes["ending"] = Ending(outcome=Outcome.CANCELLED, by="customer", at=event.at)
    return story.model_copy(update=changes)


@dataclass(frozen=True)
class _Answers:
    """How the world answers: the customer, and every declined charge; ``asked`` is what the first one asked for."""

    customer: Customer
    asked: Ask
    verdict: Verdict | None

    def declined(self, story: Story, now: datetime, *, new_card: bool) -> dict[str, object]:
        """Give the changes that a declined charge makes: for good, or until the customer confirms, as the first."""
        if self.verdict is not None:
            return learn_from_decline(story, self.verdict, now)
        if not new_card:
            return {}
        changes: dict[str, object] = {"ask": self.asked}
        if story.blocked:
            changes["blocked"] = (*story.blocked, NEW_CARD)
        return changes


def _after_action(story: Story, done: Plan, now: datetime, answers: _Answers) -> Story:
    changes: dict[str, object] = {"done": {**story.done, done.id: now}}
    if done.action is Action.CHARGE:
        changes |= _after_charge(story.model_copy(update=changes), done, now, answers)
    elif done.action is Action.MESSAGE and story.card_notice == done.id:
        changes["card_notice"] = None
    elif done.action is Action.ACCESS and done.access:
        changes["access"] = done.access
    elif done.action is Action.ALERT and done.id.endswith(f".{ASK}") and answers.customer.approves:
        changes["done"] = {**story.done, done.id: now, f"{done.step}.approved": now}
    elif done.action is Action.LOOK:
        # What was waited for is taken to be over: the bank has said no, the processor has given up.
        changes |= {"look": None, "under_way": None, "beside": None}
    elif done.action is Action.END:
        changes["ending"] = Ending(outcome=Outcome.EXHAUSTED, final_action=done.final_action, at=now)
    if story.hold and story.hold.action == done.id:
        changes["hold"] = None
    return story.model_copy(update=changes)


def _after_charge(story: Story, done: Plan, now: datetime, answers: _Answers) -> dict[str, object]:
    scheduled = story.scheduled_charges + (done.trigger is Trigger.SCHEDULE)
    changes: dict[str, object] = {
        "charges": story.charges + 1,
        "scheduled_charges": scheduled,
        "last_charge_at": now,
        "advised": None,
        "pending": None,
        "unsettled": None,
        "promise_at": None,
    }
    new_card = done.trigger is Trigger.CARD_UPDATED
    if new_card and answers.customer.new_card_works:
        changes["ending"] = Ending(outcome=Outcome.RECOVERED, lever=Lever.CARD_UPDATE, at=now)
        return changes
    if done.trigger is Trigger.SCHEDULE and scheduled == answers.customer.paid_by_charge:
        changes["ending"] = Ending(outcome=Outcome.RECOVERED, lever=Lever.SCHEDULED_RETRY, at=now)
        return changes
    if new_card:
        changes["card_notice"] = f"{done.id}.message"
    return changes | answers.declined(story.model_copy(update=changes), now, new_card=new_card)
