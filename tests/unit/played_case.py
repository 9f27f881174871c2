"""A case played in a world that a test makes up, as workflow and activities would play it.

What is pure of theirs is used as it is: facts, wishes, what an answer to a charge means. What speaks to a
database, a processor or a mail sender is played here. Nothing is judged here: ``deeds`` lists what was done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from activities.findings import learn_from_charge, nothing_pending, without_attempt
from activities.news import take_fact
from activities.turn import judged
from activities.wishes import grant, move
from campaigns.arms import asks_for_engagement, for_case
from campaigns.declines import Said
from campaigns.document import ASK, AccessLevel
from campaigns.openings import planned_end
from campaigns.planner import plan
from campaigns.schedule import NOTICE, Due, parts
from campaigns.story import (
    Action,
    Ending,
    Hold,
    Lever,
    Outcome,
    Plan,
    Status,
    Story,
    Trigger,
    Unsettled,
)
from contract import Approve, Cancel, Fact, MoveToVersion, PaymentSucceeded, ResumeCase, Wish
from processors.protocol import ChargeAnswer, ChargeResult
from store.tables import AttemptRow
from tests.unit.test_declines import TABLE, TODAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from campaigns.document import Campaign

HOUR = timedelta(hours=1)
# What a settled case would need is far less; a case that goes on for ever is a fault.
MOST_TURNS = 600
# More than this at one moment would be a loop without time passing.
MOST_AT_ONCE = 60


@dataclass(frozen=True)
class Event:
    """Something that happens to a case; ``what`` is a fact, a wish, or one of the words below.

    ``opened`` and ``clicked`` are the customer's, ``away`` takes the workers away for ``length``,
    ``paid`` and ``confirmed`` pay the invoice, which is told to the case as a change to look at.
    """

    at: datetime
    what: Fact | Wish | str
    length: timedelta = timedelta(0)


@dataclass(frozen=True)
class Deed:
    """One thing that was done for a case: when, by which plan, on which course, and the story before."""

    at: datetime
    plan: Plan
    course: Campaign
    document: int
    before: Story

    @property
    def is_mail(self) -> bool:
        return self.plan.action is Action.MESSAGE

    @property
    def is_scheduled_charge(self) -> bool:
        """Whether the calendar made this charge, and not the asking after one whose fate is unknown."""
        return self.plan.trigger is Trigger.SCHEDULE and self.before.unsettled is None


@dataclass
class World:
    """What the world does: ``events`` in any order, and what comes of each charge and each mail in turn.

    ``documents`` are the versions of the campaign, the first of which the case begins with. ``charges`` are
    decline codes or ``paid``, ``confirm``, ``lost``, ``unavailable``, ``nothing to pay``; ``mails`` are
    ``sent`` or ``unavailable``. The last of each is repeated. ``answers_after`` is how long the team takes to
    approve what it is asked; None where nobody answers, unless an event is an approval.
    """

    documents: Sequence[Campaign]
    attributes: Mapping[str, object] = field(default_factory=dict)
    events: Sequence[Event] = ()
    charges: Sequence[str] = ("insufficient_funds",)
    mails: Sequence[str] = ("sent",)
    answers_after: timedelta | None = None
    through_json: bool = False


class PlayedCase:
    """One case in one world, from its opening to its close."""

    def __init__(self, world: World, story: Story) -> None:
        self.world = world
        self.story = story
        self.now = story.failed_at
        self.deeds: list[Deed] = []
        self.plans: list[tuple[datetime, Plan]] = []
        self.stories: list[tuple[datetime, Story]] = []
        self.answers: list[tuple[datetime, Wish, bool]] = []
        self.opened_at: datetime | None = None
        self.clicked_at: datetime | None = None
        self.document = 0
        self._paid: Ending | None = None
        self._away_until = story.failed_at
        self._events = sorted(world.events, key=lambda event: event.at)
        self._inbox: list[Event] = []
        self._charges, self._mails = _turns(world.charges), _turns(world.mails)

    def play(self) -> PlayedCase:
        """Play until the case is closed; raises AssertionError where it makes no progress."""
        self._conclude(self._course())
        moment, at_once = self.now, 0
        for _ in range(MOST_TURNS):
            if self.story.closed:
                return self
            self._turn()
            at_once = at_once + 1 if self.now == moment else 0
            moment = self.now
            assert at_once < MOST_AT_ONCE, f"no time passes: {[deed.plan.id for deed in self.deeds[-8:]]}"
        raise AssertionError(f"the case does not end: {[str(at) + p.id for at, p in self.plans[-8:]]}")

    @property
    def plan(self) -> Plan:
        return self.plans[-1][1]

    def course_of(self, story: Story) -> Campaign:
        return for_case(self.world.documents[self.document], story, self.world.attributes)

    def parts_of(self, deed: Deed) -> list[Due]:
        """List the parts of all steps as they stood when something was done."""
        return parts(deed.course, deed.before)

    def end_of(self, deed: Deed) -> datetime:
        return planned_end(deed.course, deed.before)

    def story_at(self, at: datetime, deed: Deed) -> Story:
        """Give the story as it stood when something came due that was done later, or the one before it."""
        known = [story for when, story in self.stories if when < at]
        found = deed.before if deed.at <= at or not known else known[-1]
        return found.model_copy(update={"opened_at": self.opened_at, "clicked_at": self.clicked_at})

    # --- the workflow --------------------------------------------------------------------------------

    def _turn(self) -> None:
        """What the workflow's loop does once: take news, do what is due, or rest."""
        if self.now >= self._away_until:
            if self._inbox or (
                self.plan.action is Action.WAIT and self.plan.at is not None and self.plan.at <= self.now
            ):
                self._take_news()
                return
            if self.plan.action is not Action.WAIT and self.plan.at is not None and self.plan.at <= self.now:
                self._carry_out(self.plan)
                return
        self._rest()

    def _rest(self) -> None:
        times = [event.at for event in self._events[:1]]
        if self.now < self._away_until:
            times.append(self._away_until)
        elif self.plan.at is not None:
            times.append(self.plan.at)
        if not times:
            # A person looks at what waits for one.
            help_ = ResumeCase if self.story.paused else Approve
            self._events = [Event(self.now + 6 * HOUR, help_(by="ops", why="looked at"))]
            return
        self.now = max(self.now, min(times))
        while self._events and self._events[0].at <= self.now:
            self._happen(self._events.pop(0))

    def _happen(self, event: Event) -> None:
        if event.what == "away":
            self._away_until = max(self._away_until, event.at + event.length)
        elif event.what == "opened":
            self.opened_at = self.opened_at or event.at
        elif event.what == "clicked":
            self.opened_at, self.clicked_at = self.opened_at or event.at, self.clicked_at or event.at
        elif event.what in {"paid", "confirmed"}:
            lever = Lever.CUSTOMER if event.what == "confirmed" else None
            outcome = Outcome.RECOVERED if lever else Outcome.RECOVERED_ELSEWHERE
            self._paid = self._paid or Ending(outcome=outcome, lever=lever)
            self._inbox.append(replace(event, what=PaymentSucceeded(event=f"paid {event.at}", at=event.at)))
        else:
            self._inbox.append(event)

    # --- the activities ------------------------------------------------------------------------------

    def _course(self) -> Campaign:
        """Read the campaign as it is for the case, and what the customer did with our mails."""
        if asks_for_engagement(self.world.documents[self.document]):
            known = {"opened_at": self.opened_at, "clicked_at": self.clicked_at}
            self.story = self.story.model_copy(update=known)
        return self.course_of(self.story)

    def _take_news(self) -> None:
        course, news = self._course(), self._inbox
        self._inbox = []
        self.story = judged(course, self.story, self.now)
        for event in sorted(news, key=lambda event: not isinstance(event.what, Cancel)):
            if isinstance(event.what, Fact):
                if self.story.ending is None:
                    self.story = take_fact(self.story, event.what, course, TABLE, self.now).story
                continue
            assert isinstance(event.what, Wish)
            course = self._take_wish(event.what, course)
        self._conclude(course)

    def _take_wish(self, wish: Wish, course: Campaign) -> Campaign:
        if isinstance(wish, MoveToVersion):
            target = self.world.documents[wish.version - 1]
            story, answer, course = move(self.story, wish, course, target, self.world.attributes, self.now)
            self.document = wish.version - 1 if answer.granted else self.document
        else:
            story, answer = grant(self.story, wish, f"wish-{len(self.answers)}", course, self.now)
        self.answers.append((self.now, wish, answer.granted))
        self.story = story
        return course

    def _carry_out(self, ordered: Plan) -> None:
        course = self._course()
        self.story = judged(course, self.story, self.now)
        step = plan(course, self.story, self.now)
        assert step.at is None or step.at >= self.now
        if (step.action, step.id) == (ordered.action, ordered.id) and step.at == self.now:
            acts = {
                Action.CHARGE: self._charge,
                Action.MESSAGE: self._send,
                Action.ACCESS: self._note,
                Action.ALERT: self._note,
                Action.END: self._end,
                Action.LOOK: self._look,
            }
            acts[step.action](step, course)
        self._conclude(course)

    def _did(self, step: Plan, course: Campaign) -> None:
        self.deeds.append(Deed(self.now, step, course, self.document, self.story))

    def _done(self, step: Plan, **more: Any) -> None:
        done = {"done": {**self.story.done, step.id: self.now}, "hold": None}
        self.story = self.story.model_copy(update=done | more)

    def _hold(self, step: Plan, length: timedelta) -> None:
        hold = Hold(action=step.id, until=self.now + length, why="not to be reached")
        self.story = self.story.model_copy(update={"hold": hold})

    def _look(self, _step: Plan, _course: Campaign) -> None:
        changes: dict[str, object] = {"look": None}
        if self._paid:
            changes |= {**nothing_pending(), "ending": self._paid.model_copy(update={"at": self.now})}
        self.story = self.story.model_copy(update=changes)

    def _charge(self, step: Plan, course: Campaign) -> None:
        if self._paid:
            self._look(step, course)
            return
        answer = next(self._charges)
        if answer == "unavailable":
            self._hold(step, HOUR)
            return
        self._did(step, course)
        if answer == "lost":
            self._lose(step)
        elif answer == "nothing to pay":
            self.story = without_attempt(self.story, step.id)
        else:
            result = {"paid": ChargeResult.PAID, "confirm": ChargeResult.NEEDS_CUSTOMER}.get(
                answer, ChargeResult.DECLINED
            )
            code, _, advice = answer.partition("/mac")
            given = ChargeAnswer(result, decline=code if result is ChargeResult.DECLINED else None)
            said = Said(code, network="mastercard" if advice else None, network_advice=advice or None)
            verdict = TABLE.judge(said, TODAY) if result is ChargeResult.DECLINED else None
            known: dict[str, Any] = {
                "attempt": step.id,
                "key": step.id,
                "state": "sending",
                "currency": self.story.currency,
            }
            row = AttemptRow(trigger=step.trigger or "schedule", method=step.method, **known)
            self.story = learn_from_charge(self.story, row, given, verdict, self.now)

    def _lose(self, step: Plan) -> None:
        """Nobody knows what became of a charge; after twenty hours a person has to look."""
        since = self.story.unsettled.since if self.story.unsettled else self.now
        doubt = Unsettled(
            id=step.id,
            trigger=step.trigger or Trigger.SCHEDULE,
            method=step.method,
            since=since,
            until=self.now + HOUR,
        )
        review = "nobody knows" if self.now - since >= 20 * HOUR else None
        self.story = self.story.model_copy(update={"unsettled": doubt, "review": review})

    def _send(self, step: Plan, course: Campaign) -> None:
        if step.not_after and self.now >= step.not_after and step.id != NOTICE:
            self._settle_mail(step)
            return
        if self._paid and not self.story.ending:
            self._look(step, course)
            return
        if next(self._mails) == "unavailable":
            self._hold(step, HOUR)
            return
        self._did(step, course)
        self._settle_mail(step)

    def _settle_mail(self, step: Plan) -> None:
        notice = None if self.story.card_notice == step.id else self.story.card_notice
        self._done(step, card_notice=notice)

    def _note(self, step: Plan, course: Campaign) -> None:
        self._did(step, course)
        self._done(step, access=step.access or self.story.access)
        if step.id.endswith(f".{ASK}") and self.world.answers_after is not None:
            approval = Approve(by="ops", why="looks right", step=step.step)
            self._events.append(Event(self.now + self.world.answers_after, approval))
            self._events.sort(key=lambda event: event.at)

    def _end(self, step: Plan, course: Campaign) -> None:
        if self._paid:
            self._look(step, course)
            return
        self._did(step, course)
        ending = Ending(outcome=Outcome.EXHAUSTED, final_action=step.final_action, at=self.now)
        self._done(step, ending=ending)

    def _conclude(self, course: Campaign) -> None:
        """The tail of every activity: pass over what is gone, plan, close."""
        self.story = judged(course, self.story, self.now)
        changes: dict[str, object] = {}
        if self.story.hold and self.story.hold.until <= self.now:
            changes["hold"] = None
        if self.story.ending:
            changes["access"] = AccessLevel.FULL
        if course.is_holdout:
            changes["pending"] = None
        self.story = self.story.model_copy(update=changes)
        upcoming = plan(course, self.story, self.now)
        if upcoming.action is Action.CLOSE:
            self.story = self.story.model_copy(update={"closed": True, "hold": None})
        if self.world.through_json:
            upcoming = Plan.model_validate_json(upcoming.model_dump_json())
            self.story = Story.model_validate_json(self.story.model_dump_json(exclude_unset=True))
        assert upcoming.at is None or upcoming.at >= self.now, upcoming
        assert upcoming.at is not None or self.story.status(self.now) in {Status.PAUSED, Status.NEEDS_REVIEW}
        self.plans.append((self.now, upcoming))
        self.stories.append((self.now, self.story))


def _turns(words: Sequence[str]) -> Iterator[str]:
    yield from words
    while True:
        yield words[-1]
