"""What is played once for many failures is what would be played for each: by rule, for any campaign."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.arms import assign, for_case
from campaigns.document import NO_TIME, AccessLevel, Campaign
from campaigns.past_failures import PastFailure
from campaigns.schedule import Timetable, parts
from campaigns.simulation import Customer, Sample, begin, simulate
from campaigns.story import Action
from campaigns.trial import Course, Trial
from campaigns.what_if import compare
from tests.unit.any_campaign import (
    ATTRIBUTES,
    CODES,
    COUNTRIES,
    MOMENTS,
    PLANS,
    ZONES,
    documents,
)
from tests.unit.past import MONDAY, PLAIN, WORLD, campaign, failure
from tests.unit.test_declines import verdict_of

if TYPE_CHECKING:
    import pytest

# What no segment takes is for the campaign that is drawn.
ANY_WORLD = replace(WORLD, default="any")
HOURS = st.integers(0, 21 * 24).map(lambda hours: timedelta(hours=hours))
FAILURES = st.builds(
    PastFailure,
    id=st.integers(0, 99).map(lambda number: f"case_{number}"),
    failed_at=MOMENTS,
    decline=st.sampled_from([*CODES, "no_payment_method", None]),
    amount=st.sampled_from([1900, 4900, 5000]),
    currency=st.sampled_from(["USD", "EUR"]),
    customer=st.integers(0, 20).map(lambda number: f"sandbox/main/cus_{number}"),
    plan=st.sampled_from([*PLANS, None]),
    country=st.sampled_from([*COUNTRIES, None]),
    timezone=st.sampled_from([*ZONES, None]),
    attributes=ATTRIBUTES,
    has_card=st.booleans(),
    settled_after=st.none() | HOURS,
)
CUSTOMERS = st.builds(
    Customer,
    opens_mail_after=st.none() | HOURS,
    uses_link_after=st.none() | HOURS,
    new_card_after=st.none() | HOURS,
    new_card_works=st.booleans(),
    paid_by_charge=st.none() | st.integers(1, 3),
    approves=st.booleans(),
)


def played(campaign: Campaign, failure: PastFailure) -> Course:
    """Play one failure by itself, with a customer who pays elsewhere."""
    arm = assign(campaign, failure.customer)
    sample = Sample(
        failure.failed_at,
        verdict_of(failure.decline),
        case_id=failure.id,
        amount=failure.amount,
        currency=failure.currency,
        plan=failure.plan,
        country=failure.country,
        timezone=failure.timezone,
        arm=arm,
        has_card=failure.has_card and failure.decline != "no_payment_method",
    )
    story = begin(campaign, sample)
    own = for_case(campaign, story, failure.attributes)
    done: dict[Action, list[Any]] = {action: [] for action in Action}
    access = [(AccessLevel.FULL, NO_TIME)]
    for happened in simulate(
        own,
        story,
        failure.failed_at,
        Customer(pays_elsewhere_after=failure.settled_after),
        sample.verdict,
    ):
        story, after = happened.story, happened.at - failure.failed_at
        if happened.plan is None:
            continue
        done[happened.plan.action].append((happened.plan.template, after))
        if happened.plan.action is Action.ACCESS:
            access.append((story.access, after))
    assert story.ending is not None
    assert story.ending.at is not None
    return Course(
        arm=arm,
        charges=tuple(after for _, after in done[Action.CHARGE]),
        mails=tuple(done[Action.MESSAGE]),
        alerts=tuple(after for _, after in done[Action.ALERT]),
        access=tuple(access),
        ended_after=story.ending.at - failure.failed_at,
        final_action=story.ending.final_action,
    )


@settings(max_examples=150, deadline=None)
@given(documents(), st.lists(FAILURES, min_size=1, max_size=8))
def test_a_failure_among_many_is_played_as_one_alone(
    document: dict[str, Any], failures: list[PastFailure]
) -> None:
    course = Campaign.model_validate(document)
    trial = Trial(course, WORLD)
    for one in failures:
        assert trial.course(one, verdict_of(one.decline)) == played(course, one)


@settings(max_examples=150, deadline=None)
@given(documents(), FAILURES, CUSTOMERS, st.dictionaries(st.sampled_from(["s0", "s1", "s2", "end"]), HOURS))
def test_a_timetable_that_is_kept_is_as_good_as_a_new_one(
    document: dict[str, Any], failure: PastFailure, customer: Customer, moved: dict[str, timedelta]
) -> None:
    course = Campaign.model_validate(document)
    story = begin(course, Sample(failure.failed_at, verdict_of(failure.decline), case_id=failure.id))
    put = {step: failure.failed_at + after for step, after in moved.items()}
    story = story.model_copy(update={"moved": put, "timezone": failure.timezone, "country": failure.country})
    kept = Timetable(course)
    for happened in simulate(course, story, failure.failed_at, customer, verdict_of(failure.decline)):
        assert kept.parts(happened.story) == parts(course, happened.story)


def test_what_is_kept_of_failures_that_are_played_once_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"USD": {"at_least": "50.00"}}
    steps = [PLAIN["steps"][0], PLAIN["steps"][1] | {"only_if": {"amount": large}}]
    trial = Trial(campaign(steps=steps), WORLD)
    verdict = verdict_of("insufficient_funds")
    for cents in range(4900, 5100):
        trial.take(failure(amount=cents), verdict)
    assert (trial.tally().charges, len(trial._alike._played)) == (300, 2)
    monkeypatch.setattr("campaigns.trial.MOST_KEPT", 10)
    for number in range(100):
        trial.take(failure(decline=f"code_{number}"), verdict_of(f"code_{number}"))
        assert len(trial._alike._played) <= 10
    assert trial.tally().taken == 300


@settings(max_examples=150, deadline=None)
@given(documents(), documents(), st.lists(FAILURES, min_size=1, max_size=4))
def test_every_change_can_be_told_in_words(
    draft: dict[str, Any], published: dict[str, Any], failures: list[PastFailure]
) -> None:
    found = compare(Campaign.model_validate(draft), Campaign.model_validate(published), failures, ANY_WORLD)
    assert found.failures == found.draft.taken == len(failures)
    assert len(found.examples) == found.changed
    for example in found.examples:
        assert example.changes


def test_a_timetable_sees_that_a_step_which_a_person_moved_was_begun() -> None:
    """Its charge was made at the person's time; what is left of it keeps to the hours again."""
    nights = campaign(calendar={"charges": {"hours": "00:00 to 06:00"}})
    noon = MONDAY.replace(day=5, hour=12)
    story = begin(nights, Sample(MONDAY, verdict_of("insufficient_funds")))
    put = story.model_copy(update={"moved": {"day-3": noon}})
    kept = Timetable(nights)
    assert [part.at for part in kept.parts(put) if part.step.id == "day-3"] == [noon, noon]
    begun = put.model_copy(update={"done": {"day-3.charge": noon}})
    assert kept.parts(begun) == parts(nights, begun) != kept.parts(put)
