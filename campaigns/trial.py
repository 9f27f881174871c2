"""One campaign tried on past failures: what it does to each, and all of it added up.

The planner itself is asked; nothing is copied from it. Only what the world answers is made up, and
``comparison.UNKNOWN`` says openly what nobody can know.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from campaigns.arms import assign, for_case
from campaigns.comparison import Tally
from campaigns.declines import NO_CARD
from campaigns.document import NO_TIME, AccessLevel, FinalAction
from campaigns.grammar import amounts_hold
from campaigns.segments import Failure, choose
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from campaigns.declines import DeclineTable, Verdict
    from campaigns.document import Campaign
    from campaigns.networks import Limit, NetworkLimits
    from campaigns.past_failures import PastFailure
    from campaigns.story import Story

ONE_DAY = timedelta(days=1)
# Far more than codes, arms and conditions make; a file with a code of its own in each row has to fit, too.
MOST_KEPT = 10_000


@dataclass(frozen=True)
class World:
    """What holds for every failure, whichever campaign takes it.

    ``others`` are the campaigns beside the one that is tried, which stands in for the one of its name among
    them; ``default`` names the one for what no segment takes.
    """

    declines: DeclineTable
    limits: NetworkLimits
    default: str
    others: tuple[Campaign, ...] = ()


class Reach(StrEnum):
    """Whether a campaign works a failure, and if not, why."""

    TAKEN = "taken"
    ANOTHER = "goes to another campaign"
    LEFT_ALONE = "left alone"
    SMALL = "below the minimum"


class Deed(NamedTuple):
    """One thing that a campaign does, so long after the failure; ``access`` is the level from then on."""

    after: timedelta
    action: Action
    template: str | None
    access: AccessLevel
    final_action: FinalAction | None


@dataclass(frozen=True)
class Course:
    """What a campaign does to one failure; all times are since the failure.

    ``mails`` are templates with their times, ``access`` are levels with the time from which each holds.
    ``final_action`` is None where something from outside ended the case first.
    """

    arm: str
    charges: tuple[timedelta, ...]
    mails: tuple[tuple[str, timedelta], ...]
    alerts: tuple[timedelta, ...]
    access: tuple[tuple[AccessLevel, timedelta], ...]
    ended_after: timedelta
    final_action: FinalAction | None

    def access_times(self) -> Iterator[tuple[AccessLevel, timedelta]]:
        """Say how long each level held, until the end."""
        ends = [*(since for _, since in self.access[1:]), self.ended_after]
        for (level, since), until in zip(self.access, ends, strict=True):
            yield level, until - since


class Trial:
    """One campaign tried on failure after failure, with all that it does added up."""

    def __init__(self, campaign: Campaign, world: World) -> None:
        self._campaign = campaign
        self._candidates = (*(other for other in world.others if other.name != campaign.name), campaign)
        self._world = world
        self._alike = _Alike(campaign)
        self._limits: dict[tuple[str, date, str | None], tuple[Limit, ...]] = {}
        self._counts: Counter[str] = Counter()
        self._arms: Counter[str] = Counter()
        self._mails: Counter[str] = Counter()
        self._final: Counter[FinalAction] = Counter()
        self._access = dict.fromkeys(AccessLevel, NO_TIME)
        self._length = NO_TIME

    def take(self, failure: PastFailure, verdict: Verdict) -> Course | None:
        """Add what the campaign does to a failure; gives None where it does not work it."""
        reach = self.reach(failure, verdict)
        self._counts[reach] += 1
        if reach is not Reach.TAKEN:
            return None
        course = self.course(failure, verdict)
        self._counts["charges"] += len(course.charges)
        self._counts["blocked"] += self._blocked(failure, course.charges)
        self._counts["alerts"] += len(course.alerts)
        self._mails.update(template for template, _ in course.mails)
        self._length += course.ended_after
        if course.arm:
            self._arms[course.arm] += 1
        if course.final_action is None:
            self._counts["settled"] += 1
        else:
            self._final[course.final_action] += 1
        for level, length in course.access_times():
            self._access[level] += length
        return course

    def reach(self, failure: PastFailure, verdict: Verdict) -> Reach:
        """Say whether the campaign works a failure, as it would be decided when its case is opened."""
        asked = _asked(failure, verdict)
        name = failure.campaign or choose(self._candidates, asked, self._world.default).name
        if name != self._campaign.name:
            return Reach.ANOTHER
        if self._campaign.takes.why_left_alone(asked):
            return Reach.LEFT_ALONE
        if 0 < failure.amount < self._campaign.smallest(failure.currency):
            return Reach.SMALL
        return Reach.TAKEN

    def course(self, failure: PastFailure, verdict: Verdict) -> Course:
        """Play a failure from its beginning until the campaign, or something from outside, ends it."""
        arm = assign(self._campaign, failure.customer or failure.id)
        story = _first_story(self._campaign, failure, verdict, arm)
        own = for_case(self._campaign, story, failure.attributes)
        return _course(arm, self._alike.deeds(own, story, verdict), failure.settled_after)

    def tally(self) -> Tally:
        """Give the sums so far."""
        return Tally(
            taken=self._counts[Reach.TAKEN],
            small=self._counts[Reach.SMALL],
            left_alone=self._counts[Reach.LEFT_ALONE],
            arms=dict(sorted(self._arms.items())),
            charges=self._counts["charges"],
            blocked=self._counts["blocked"],
            mails=dict(sorted(self._mails.items())),
            alerts=self._counts["alerts"],
            access_days={level: length / ONE_DAY for level, length in self._access.items()},
            settled=self._counts["settled"],
            final_actions=dict(sorted(self._final.items())),
            days=self._length / ONE_DAY,
        )

    def _blocked(self, failure: PastFailure, charges: Sequence[timedelta]) -> int:
        """Count the charges beyond a limit of the card's network, as it holds on the day of each.

        The failed attempt is the card's first.
        """
        times = [failure.failed_at, *(failure.failed_at + after for after in charges)]
        return sum(
            any(at in limit.excess(times) for limit in self._limits_on(failure, at, len(times)))
            for at in times[1:]
        )

    def _limits_on(self, failure: PastFailure, at: datetime, attempts: int) -> Iterator[Limit]:
        """Give the limits that so many attempts can go beyond at all."""
        if not failure.network:
            return
        key = (failure.network, at.date(), failure.country)
        if key not in self._limits:
            self._limits[key] = self._world.limits.limits_for(*key)
        yield from (limit for limit in self._limits[key] if attempts > limit.limit)


class _Alike:
    """What the campaign does to cases, played once for all cases to which it must do the same.

    That is so where nothing depends on the hour, the day or the case's own share of a jitter.
    """

    def __init__(self, campaign: Campaign) -> None:
        calendar = campaign.calendar
        steps = [*campaign.steps, *(step for arm in campaign.arms for step in arm.steps or ())]
        self._by_the_clock = (
            not calendar.messages.is_always_open
            or not calendar.charges.is_always_open
            or calendar.paydays is not None
            or any(step.jitter > NO_TIME for step in steps)
        )
        self._played: dict[tuple[object, ...], tuple[Deed, ...]] = {}

    def deeds(self, own: Campaign, story: Story, verdict: Verdict) -> Iterable[Deed]:
        """Give what the campaign, as it is for the case, does to it if nothing from outside ends it.

        ``verdict`` is that of every declined charge.
        """
        if self._by_the_clock:
            return _deeds(own, story, verdict)
        alike = (
            story.arm,
            tuple(step.id for step in own.steps),
            verdict,
            story.has_card,
            tuple(
                amounts_hold(step.only_if.amount, story.amount, story.currency)
                for step in own.steps
                if step.only_if.amount
            ),
        )
        if alike not in self._played:
            if len(self._played) == MOST_KEPT:
                self._played.clear()
            self._played[alike] = tuple(_deeds(own, story, verdict))
        return self._played[alike]


def _first_story(campaign: Campaign, failure: PastFailure, verdict: Verdict, arm: str) -> Story:
    sample = Sample(
        failed_at=failure.failed_at,
        verdict=verdict,
        case_id=failure.id,
        amount=failure.amount,
        currency=failure.currency,
        plan=failure.plan,
        country=failure.country,
        timezone=failure.timezone,
        network=failure.network,
        arm=arm,
        has_card=failure.has_card and failure.decline != NO_CARD,
    )
    return begin(campaign, sample)


def _deeds(own: Campaign, story: Story, verdict: Verdict) -> Iterator[Deed]:
    for happened in simulate(own, story, story.failed_at, verdict=verdict):
        done = happened.plan
        if done is not None:
            after = happened.at - story.failed_at
            yield Deed(after, done.action, done.template, happened.story.access, done.final_action)


def _course(arm: str, deeds: Iterable[Deed], settled_after: timedelta | None) -> Course:
    """Put together what is done to a case; what comes from outside comes before what is done in that moment."""
    charges, mails, alerts = [], [], []
    access = [(AccessLevel.FULL, NO_TIME)]
    ended_after, final_action = settled_after, None
    for deed in deeds:
        if final_action is None and settled_after is not None and settled_after <= deed.after:
            break
        if deed.action is Action.CHARGE:
            charges.append(deed.after)
        elif deed.action is Action.MESSAGE:
            mails.append((deed.template or "", deed.after))
        elif deed.action is Action.ALERT:
            alerts.append(deed.after)
        elif deed.action is Action.ACCESS:
            access.append((deed.access, deed.after))
        elif deed.action is Action.END:
            ended_after, final_action = deed.after, deed.final_action
    assert ended_after is not None
    return Course(arm, tuple(charges), tuple(mails), tuple(alerts), tuple(access), ended_after, final_action)


def _asked(failure: PastFailure, verdict: Verdict) -> Failure:
    """Say what segments ask about a failure."""
    return Failure(
        processor=failure.processor,
        plan=failure.plan,
        interval=failure.interval,
        amount=failure.amount,
        currency=failure.currency,
        country=failure.country,
        decline=verdict.code,
        decline_class=str(verdict.kind),
        attributes=failure.attributes,
        tags=failure.tags,
        repeated=failure.repeated,
        first_payment=failure.first_payment,
        sent_invoice=failure.sent_invoice,
    )
