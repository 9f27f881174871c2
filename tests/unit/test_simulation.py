"""What a campaign is said to do before it does it: the same as is done, for every kind of customer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from campaigns.arms import for_case
from campaigns.document import AccessLevel, Approval, Campaign, End, FinalAction, Step
from campaigns.simulation import Customer, Happened, Sample, begin, simulate
from campaigns.story import Action, Outcome, Story
from contract import CardUpdated
from tests.unit.any_campaign import ATTRIBUTES, Document, documents, failures
from tests.unit.planner_story import DAY_0, day
from tests.unit.played_case import Event, PlayedCase, World
from tests.unit.test_declines import verdict_of

DAY = timedelta(days=1)
COURSE = Campaign(
    name="any",
    messages={"receipt": "payment_received"},
    steps=(
        Step(id="day-1", after=DAY, retry=True, message="payment_failed"),
        Step(id="day-3", after=3 * DAY, retry=True, access="limited", message="access_limited"),
        Step(id="day-5", after=5 * DAY, alert="Call this customer", only_if={"mail_opened": False}),
        Step(id="day-6", after=6 * DAY, message="last_notice", only_if={"link_clicked": True}),
    ),
    end=End(after=14 * DAY, action=FinalAction.CANCEL_NOW, message="subscription_ended"),
)
# What every customer gets on the first three days.
BEGINNING = [
    (1, "day-1.charge"),
    (1, "day-1.message"),
    (3, "day-3.charge"),
    (3, "day-3.access"),
    (3, "day-3.message"),
]
ENDING = [(14, "end.action"), (14, "end.message")]


def happened(
    customer: Customer, decline: str = "insufficient_funds", course: Campaign = COURSE
) -> list[Happened]:
    case = begin(course, Sample(DAY_0, verdict_of(decline)))
    return list(simulate(course, case, DAY_0, customer))


def told(found: list[Happened]) -> list[tuple[float, str]]:
    return [((item.at - DAY_0) / DAY, item.event or (item.plan.id if item.plan else "")) for item in found]


def test_a_customer_who_does_nothing_gets_everything() -> None:
    found = happened(Customer())
    assert told(found) == [*BEGINNING, (5, "day-5.alert"), *ENDING]
    assert found[-1].story.ending is not None
    assert found[-1].story.ending.outcome is Outcome.EXHAUSTED
    assert [item.story.access for item in found[2:4]] == [AccessLevel.FULL, AccessLevel.LIMITED]


def test_a_customer_who_opens_mails_and_uses_links_gets_what_is_for_such() -> None:
    opened = told(happened(Customer(opens_mail_after=DAY)))
    assert opened == [*BEGINNING[:2], (2, "opened"), *BEGINNING[2:], (4, "opened"), *ENDING]
    used = told(happened(Customer(uses_link_after=2.5 * DAY)))
    assert used == [
        *BEGINNING,
        (3.5, "link used"),
        (5.5, "link used"),
        (6, "day-6.message"),
        (8.5, "link used"),
        *ENDING,
    ]


def test_a_mail_that_is_opened_too_late_counts_for_nothing() -> None:
    assert (5, "day-5.alert") in told(happened(Customer(opens_mail_after=4.5 * DAY)))


@pytest.mark.parametrize(
    ("works", "follows"),
    [(True, [(4, "end.message")]), (False, [(4, "card.new-card.message"), (5, "day-5.alert"), *ENDING])],
)
def test_a_new_card_is_charged_at_once(works: bool, follows: list[tuple[float, str]]) -> None:  # noqa: FBT001
    found = happened(Customer(new_card_after=4 * DAY, new_card_works=works))
    assert told(found) == [*BEGINNING, (4, "new card"), (4, "card.new-card"), *follows]


@pytest.mark.parametrize(
    ("decline", "mails"),
    [
        ("insufficient_funds", ["card_declined", "access_limited"]),
        ("stolen_card", ["new_card_needed", "card_declined", "access_limited"]),
        ("authentication_required", ["confirm_payment", "confirm_payment", "access_limited"]),
    ],
)
def test_a_new_card_that_is_declined_is_declined_alike(decline: str, mails: list[str]) -> None:
    found = happened(
        Customer(new_card_after=DAY if decline == "insufficient_funds" else 2 * DAY, new_card_works=False),
        decline,
    )
    sent = [item.plan.template for item in found if item.plan and item.plan.action is Action.MESSAGE]
    assert sent[: len(mails)] == mails
    charges = [item.plan.id for item in found if item.plan and item.plan.action is Action.CHARGE]
    # A card that was declined for good, or a payment that waits to be confirmed, is not charged on schedule.
    assert charges == (
        ["card.new-card", "day-3.charge"] if decline == "insufficient_funds" else ["card.new-card"]
    )


def test_a_customer_who_pays_or_cancels_is_left_alone_at_once() -> None:
    paid = happened(Customer(pays_elsewhere_after=2 * DAY))
    assert told(paid) == [*BEGINNING[:2], (2, "paid elsewhere")]
    cancelled = happened(Customer(cancels_after=2 * DAY))
    assert told(cancelled) == [*BEGINNING[:2], (2, "cancelled")]
    assert cancelled[-1].story.ending is not None
    assert cancelled[-1].story.ending.by == "customer"


def test_a_charge_that_goes_through_ends_the_case_with_a_receipt() -> None:
    assert told(happened(Customer(paid_by_charge=2))) == [*BEGINNING[:3], (3, "end.message")]


@pytest.mark.parametrize(
    ("approves", "done"),
    [(True, [(1, "day-1.ask"), (1, "day-1.message")]), (False, [(1, "day-1.ask"), (3, "day-1.message")])],
)
def test_a_team_approves_at_once_or_never(approves: bool, done: list[tuple[float, str]]) -> None:  # noqa: FBT001
    approval = Approval(within=2 * DAY, otherwise="go on")
    step = Step(id="day-1", after=DAY, message="last_notice", approval=approval)
    course = Campaign(name="any", steps=(step,), end=End(after=14 * DAY, action=FinalAction.LEAVE))
    assert told(happened(Customer(approves=approves), course=course)) == [*done, (14, "end.action")]


def test_a_long_campaign_is_played_to_its_end() -> None:
    steps = tuple(
        Step(
            id=f"s{n}",
            after=n * DAY,
            message="payment_failed",
            alert="Look",
            access=AccessLevel.LIMITED if n % 2 else AccessLevel.FULL,
        )
        for n in range(1, 201)
    )
    course = Campaign(name="long", steps=steps, end=End(after=300 * DAY, action=FinalAction.LEAVE))
    found = told(happened(Customer(opens_mail_after=timedelta(hours=1)), course=course))
    assert found[-1] == (300.0, "end.action")
    assert len([action for _, action in found if action.endswith(".message")]) == 200


def test_a_case_that_has_begun_is_gone_on_with() -> None:
    case = begin(COURSE, Sample(DAY_0, verdict_of("insufficient_funds")))
    done = {"day-1.charge": day(1), "day-1.message": day(1)}
    running = case.model_copy(update={"done": done, "last_charge_at": day(1), "scheduled_charges": 1})
    assert told(list(simulate(COURSE, running, day(2)))) == [*BEGINNING[2:], (5, "day-5.alert"), *ENDING]


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.generate, Phase.shrink],
)
@given(
    document=documents(), failure=failures(), attributes=ATTRIBUTES, hours=st.integers(0, 400), data=st.data()
)
def test_what_is_simulated_is_what_workflow_and_activities_do(
    document: Document, failure: Story, attributes: Document, hours: int, data: st.DataObject
) -> None:
    """The preview, the effects of a draft and the comparison with the past are all made of this."""
    campaign = Campaign.model_validate(document)
    arms = [arm.name for arm in campaign.arms]
    case = failure.model_copy(update={"arm": data.draw(st.sampled_from(arms))}) if arms else failure
    gives = data.draw(st.sampled_from(["nothing", "new card"]))
    course = for_case(campaign, case, attributes)
    card = timedelta(hours=hours) if gives == "new card" else None
    answer = case.decline or "insufficient_funds"
    expected = [
        (item.at, item.plan.id)
        for item in simulate(
            course,
            case,
            case.failed_at,
            Customer(new_card_after=card, new_card_works=False),
            verdict_of(answer),
        )
        if item.plan
    ]
    at = case.failed_at + timedelta(hours=hours)
    events = [Event(at, CardUpdated(event="evt", method="new-card", at=at))] if card is not None else []
    world = World([campaign], attributes, events, charges=[answer])
    played = PlayedCase(world, case).play()
    assert [(deed.at, deed.plan.id) for deed in played.deeds] == expected
