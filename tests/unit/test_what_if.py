"""What a draft would have done to past failures: each story with its sums, reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.comparison import UNKNOWN, Comparison, Example, Figure, Tally
from campaigns.document import AccessLevel
from campaigns.networks import NetworkLimits
from campaigns.what_if import compare
from tests.unit.past import MONDAY, PLAIN, WORLD, campaign, days, failure, with_step

if TYPE_CHECKING:
    from campaigns.document import Campaign
    from campaigns.past_failures import PastFailure

# What PLAIN does to a card with no money, when nothing from outside ends the case.
EXHAUSTED = Tally(
    taken=1,
    charges=2,
    mails={"access_limited": 1, "last_notice": 1, "payment_failed": 2, "subscription_ended": 1},
    access_days={"full": 7, "limited": 7, "blocked": 0},
    final_actions={"cancel_now": 1},
    days=14,
)
NOBODY = Tally(access_days={"full": 0, "limited": 0, "blocked": 0})


def tried(*failures: PastFailure, on: Campaign | None = None, **world: Any) -> Tally:
    """Give what one campaign does to failures."""
    return compare(on or campaign(), None, failures, replace(WORLD, **world)).draft


# --- one campaign ------------------------------------------------------------------------------------


def test_a_failure_that_nothing_settles_goes_to_the_end() -> None:
    assert tried(failure()) == EXHAUSTED


def test_what_came_from_outside_ends_a_case_when_it_came() -> None:
    assert tried(failure(settled_after=days(8))) == Tally(
        taken=1,
        charges=2,
        mails={"access_limited": 1, "payment_failed": 2},
        access_days={"full": 7, "limited": 1, "blocked": 0},
        settled=1,
        days=8,
    )


def test_what_came_in_the_moment_of_a_step_came_before_it() -> None:
    found = tried(failure(settled_after=days(3)))
    assert (found.charges, found.mails, found.days) == (1, {"payment_failed": 1}, 3)


def test_what_came_after_the_end_changes_nothing_any_more() -> None:
    assert tried(failure(settled_after=days(14) + timedelta(seconds=1))) == EXHAUSTED


def test_a_card_that_was_declined_for_good_is_not_charged_and_its_owner_is_told_so() -> None:
    assert tried(failure(decline="stolen_card")) == EXHAUSTED.model_copy(
        update={
            "charges": 0,
            "mails": {"access_limited": 1, "last_notice": 1, "new_card_needed": 2, "subscription_ended": 1},
        }
    )


@pytest.mark.parametrize("lacking", [{"has_card": False}, {"decline": "no_payment_method"}])
def test_where_there_is_no_card_none_is_charged(lacking: dict[str, Any]) -> None:
    found = tried(failure(**lacking))
    assert (found.charges, found.mails["new_card_needed"]) == (0, 2)


def test_mails_wait_for_their_hours_in_the_customers_zone() -> None:
    """The failure is at nine in the morning in London, and so at five or six in the evening in Tokyo."""
    office = campaign(calendar={"timezone": "Europe/London", "messages": {"hours": "12:00 to 17:00"}})
    london, tokyo = failure(1, timezone="Europe/London"), failure(2, timezone="Asia/Tokyo")
    for one, waits in ((london, timedelta(hours=3)), (tokyo, timedelta(hours=18))):
        # The access is taken with its mail, and the last mail comes after the end.
        found = tried(one, on=office)
        assert found.access_days[AccessLevel.LIMITED] == (days(7) - waits) / days(1)
        assert found.mails == EXHAUSTED.mails


def test_alerts_and_questions_to_the_team_are_counted_and_nobody_answers() -> None:
    asking = with_step("day-3", alert="Call them", approval={"within": "1 day", "otherwise": "skip"})
    found = tried(failure(), on=asking)
    assert (found.alerts, found.charges, found.mails["payment_failed"]) == (1, 1, 1)
    going_on = with_step("day-3", alert="Call them", approval={"within": "1 day", "otherwise": "go on"})
    found = tried(failure(), on=going_on)
    assert (found.alerts, found.charges, found.mails["payment_failed"]) == (2, 2, 2)


def test_nobody_opens_a_mail() -> None:
    for opened, mails in ((True, 1), (False, 2)):
        step = with_step("day-3", only_if={"mail_opened": opened})
        assert tried(failure(), on=step).mails["payment_failed"] == mails


# --- which failures it takes ---------------------------------------------------------------------------


def test_only_the_campaigns_own_segment_is_taken() -> None:
    pro = campaign(name="pro", takes={"priority": 20, "plan": ["pro"]})
    found = tried(failure(1, plan="pro"), failure(2, plan="basic"), on=pro, others=(campaign(),))
    assert found.taken == 1


def test_a_campaign_that_is_asked_before_takes_what_is_its_own() -> None:
    pro = campaign(name="pro", takes={"priority": 20, "plan": ["pro"]})
    first = campaign(name="large", takes={"priority": 10, "amount": {"USD": {"at_least": "100.00"}}})
    failures = [failure(1, plan="pro"), failure(2, plan="pro", amount=10000)]
    assert tried(*failures, on=pro, others=(first,)).taken == 1
    assert tried(*failures, on=pro).taken == 2


def test_the_default_takes_what_no_segment_takes() -> None:
    first = campaign(name="large", takes={"priority": 10, "amount": {"USD": {"at_least": "100.00"}}})
    assert tried(failure(1), failure(2, amount=10000), others=(first,)).taken == 1
    assert tried(failure(1), failure(2, amount=10000), others=(first,), default="another") == NOBODY


def test_a_failure_goes_to_the_campaign_that_was_named_for_it() -> None:
    pro = campaign(name="pro", takes={"priority": 20, "plan": ["pro"]})
    failures = [failure(1, campaign="pro"), failure(2, plan="pro", campaign="plain")]
    assert tried(*failures, on=pro, others=(campaign(),)).taken == 1


@pytest.mark.parametrize(
    ("criterion", "yes", "no"),
    [
        ({"decline_class": ["hard"]}, {"decline": "stolen_card"}, {}),
        ({"decline": ["insufficient_funds"]}, {}, {"decline": "do_not_honor"}),
        ({"country": ["DE"]}, {"country": "DE"}, {"country": "AT"}),
        ({"interval": ["year"]}, {"interval": "year"}, {"interval": "month"}),
        ({"processor": ["stripe"]}, {}, {"processor": "sandbox"}),
        ({"attributes": {"tier": ["gold"]}}, {"attributes": {"tier": "gold"}}, {}),
        ({"tags": ["vip"]}, {"tags": ("new", "vip")}, {"tags": ("new",)}),
        ({"failure": "repeated"}, {"repeated": True}, {}),
    ],
)
def test_every_criterion_of_a_segment_is_asked(
    criterion: dict[str, Any], yes: dict[str, Any], no: dict[str, Any]
) -> None:
    segment = campaign(name="segment", takes={"priority": 1, **criterion})
    assert tried(failure(**yes), on=segment).taken == 1
    assert tried(failure(**no), on=segment) == NOBODY


def test_small_amounts_and_first_payments_are_counted_apart() -> None:
    least = campaign(minimum={"USD": "10.00"})
    found = tried(
        failure(1, amount=999),
        failure(2, amount=1000),
        failure(3, amount=999, currency="EUR"),
        failure(4, first_payment=True),
        failure(5, sent_invoice=True),
        on=least,
    )
    assert (found.taken, found.small, found.left_alone) == (2, 1, 2)


# --- limits of card networks -----------------------------------------------------------------------------

RULES = """rule,rail,network,region,scope,window,limit,apart,reset_by,effective_from,source,confidence
visa,card,visa,everywhere,one card,30 days,3,,,2021-01-01,a test,high
visa,card,visa,everywhere,one card,30 days,5,,,2026-04-01,a test,high
brazil,card,mastercard,BR,one card,24 hours,1,,,2021-01-01,a test,high
"""
DAILY = campaign(
    steps=[{"id": f"day-{day}", "after": f"{day} days", "retry": True} for day in range(1, 7)]
    + [{"id": "last", "after": "7 days", "message": "last_notice"}]
)


@pytest.mark.parametrize(
    ("card", "blocked"),
    [
        # The failed attempt is the first, so that the third charge is the fourth attempt.
        ({"network": "visa"}, 4),
        ({"network": "visa", "settled_after": days(4)}, 1),
        # From the first of April on, five are allowed: the fifth and sixth charge come after it.
        ({"network": "visa", "failed_at": MONDAY.replace(day=28)}, 3),
        ({"network": "visa", "failed_at": MONDAY.replace(month=5)}, 2),
        # Each charge comes 24 hours after the attempt before it, and so alone in its window.
        ({"network": "mastercard", "country": "BR"}, 0),
        ({"network": "mastercard", "country": "DE"}, 0),
        ({"network": None}, 0),
    ],
)
def test_charges_beyond_the_networks_limit_of_their_day_are_counted(
    card: dict[str, Any], blocked: int
) -> None:
    assert tried(failure(**card), on=DAILY, limits=NetworkLimits(RULES)).blocked == blocked


def test_a_limit_of_one_country_counts_for_its_cards() -> None:
    twice_a_day = campaign(
        steps=[
            {"id": "morning", "after": "1 day", "retry": True},
            {"id": "evening", "after": "36 hours", "retry": True, "message": "payment_failed"},
        ]
    )
    for country, blocked in (("BR", 1), ("DE", 0)):
        card = failure(network="mastercard", country=country)
        assert tried(card, on=twice_a_day, limits=NetworkLimits(RULES)).blocked == blocked


# --- arms ----------------------------------------------------------------------------------------------

HALVES = campaign(
    arms=[
        {"name": "a", "weight": 1},
        {"name": "b", "weight": 1, "end": {"after": "20 days", "action": "pause"}},
        {"name": "holdout", "weight": 1, "holdout": True},
    ]
)


def test_each_failure_is_played_in_the_arm_of_its_customer() -> None:
    found = tried(*(failure(number) for number in range(300)), on=HALVES)
    a, b, holdout = found.arms["a"], found.arms["b"], found.arms["holdout"]
    assert a + b + holdout == 300
    assert min(a, b, holdout) > 60
    # A holdout gets nothing, and is left when the campaign is over.
    assert found.charges == 2 * (a + b)
    assert found.mails == {
        "access_limited": a + b,
        "last_notice": a + b,
        "payment_failed": 2 * (a + b),
        # The end of arm b sends none.
        "subscription_ended": a,
    }
    assert found.final_actions == {"cancel_now": a, "leave": holdout, "pause": b}
    assert found.days == 14 * (a + holdout) + 20 * b


def test_a_customer_is_in_the_same_arm_with_every_failure() -> None:
    found = tried(*(replace(failure(number), customer="stripe/main/cus_1") for number in range(9)), on=HALVES)
    assert [*found.arms.values()] == [9]


# --- a draft beside the published version ----------------------------------------------------------------


def test_a_draft_that_is_the_published_version_changes_nothing() -> None:
    found = compare(campaign(), campaign(), [failure()], WORLD)
    assert found == Comparison(failures=1, draft=EXHAUSTED, published=EXHAUSTED)
    assert {figure.difference for figure in found.figures()} == {0}


def test_a_later_charge_and_a_step_more_are_compared() -> None:
    """The second charge a day later, a third on day 5, and the end two days later."""
    more = {"id": "day-5", "after": "5 days", "retry": True}
    steps = [PLAIN["steps"][0], PLAIN["steps"][1] | {"after": "4 days"}, more, *PLAIN["steps"][2:]]
    draft = campaign(steps=steps, end=PLAIN["end"] | {"after": "16 days"})
    failures = [failure(1), failure(2, settled_after=days(3.5)), failure(3, settled_after=days(2))]
    found = compare(draft, campaign(), failures, WORLD)
    assert found.figures() == (
        Figure(what="failures taken", published=3, draft=3),
        # Of the first 2 and 3, of the second 2 and 1, of the third 1 and 1.
        Figure(what="charges", published=5, draft=5),
        Figure(what="mails", published=8, draft=7),
        Figure(what="mail access_limited", published=1, draft=1),
        Figure(what="mail last_notice", published=1, draft=1),
        Figure(what="mail payment_failed", published=5, draft=4),
        Figure(what="mail subscription_ended", published=1, draft=1),
        Figure(what="days with full access", published=12.5, draft=12.5),
        Figure(what="days with limited access", published=7, draft=9),
        Figure(what="ended from outside", published=2, draft=2),
        Figure(what="final action: cancel now", published=1, draft=1),
        Figure(what="days until the end, on average", published=19.5 / 3, draft=21.5 / 3),
    )
    assert found.changed == 2
    assert found.examples == (
        Example(
            id="case_1",
            changes=(
                "3 charges instead of 2",
                "limited access for 9 days instead of 7 days",
                "ends 16 days after the failure instead of 14 days",
                "charge 2 after 4 days instead of 3 days",
                "mail 2 after 4 days instead of 3 days",
            ),
        ),
        Example(id="case_2", changes=("1 charge instead of 2", "1 mail instead of 2")),
    )


def test_a_failure_that_only_one_of_them_takes_is_said_to_be() -> None:
    draft = campaign(minimum={"USD": "50.00"})
    found = compare(draft, campaign(), [failure()], WORLD)
    assert (found.draft.small, found.draft.taken, found.published.taken) == (1, 0, 1)  # type: ignore[union-attr]
    assert found.examples == (Example(id="case_1", changes=("not taken by the draft",)),)
    back = compare(campaign(), draft, [failure()], WORLD)
    assert back.examples == (Example(id="case_1", changes=("taken by the draft only",)),)
    named = [(figure.what, figure.published, figure.draft) for figure in back.figures()]
    assert named[:2] == [("failures taken", 0, 1), ("below the minimum", 1, 0)]


def test_changes_of_arm_end_and_first_times_are_told() -> None:
    draft = with_step("day-1", after="2 days").model_copy(
        update={"end": campaign(end=PLAIN["end"] | {"action": "pause"}).end}
    )
    found = compare(draft, campaign(), [failure()], WORLD)
    assert found.examples[0].changes == (
        "pause instead of cancel now",
        "charge 1 after 2 days instead of 1 day",
        "mail 1 after 2 days instead of 1 day",
    )
    another = with_step("day-7", message="last_notice")
    assert compare(another, campaign(), [failure()], WORLD).examples[0].changes == (
        "last notice instead of access limited",
    )
    one_arm = campaign(arms=[{"name": "only", "weight": 1}])
    assert compare(one_arm, campaign(), [failure()], WORLD).examples[0].changes == (
        "in arm only instead of none",
    )


def test_the_examples_are_the_five_with_most_changes_and_always_the_same() -> None:
    """The longer a case runs, the more of its mails and charges come an hour later; the end itself does not."""
    draft = campaign(
        steps=[
            {**step, "after": f"{int(str(step['after']).split()[0]) * 24 + 1} hours"}
            for step in PLAIN["steps"]
        ]
    )
    ends = [2, 4, 8, 13, None, 2, 4, None]
    failures = [failure(number, settled_after=end and days(end)) for number, end in enumerate(ends)]
    found = compare(draft, campaign(), failures, WORLD)
    assert found.changed == 8
    assert [example.id for example in found.examples] == ["case_3", "case_4", "case_7", "case_2", "case_1"]


def test_codes_that_nobody_knows_are_told_with_how_often_they_occur() -> None:
    codes = ["odd_code", "insufficient_funds", "even_code", "odd_code", None]
    found = compare(campaign(), campaign(), [failure(decline=code) for code in codes], WORLD)
    assert found.unknown_declines == {"odd_code": 2, "even_code": 1}
    assert found.draft.charges == 10


def test_a_campaign_that_was_never_published_is_shown_alone() -> None:
    found = compare(campaign(), None, [failure()], WORLD)
    assert (found.published, found.changed, found.examples) == (None, 0, ())
    assert {figure.published for figure in found.figures()} == {None}
    assert {figure.difference for figure in found.figures()} == {None}


def test_nothing_to_try_gives_nothing() -> None:
    assert compare(campaign(), campaign(), [], WORLD) == Comparison(
        failures=0, draft=NOBODY, published=NOBODY
    )


def test_a_comparison_says_what_nobody_can_know_also_once_it_is_stored() -> None:
    found = compare(with_step("day-3", after="4 days"), campaign(), [failure()], WORLD)
    assert found.unknown == UNKNOWN
    assert "whether another timing would have been paid" in UNKNOWN[0]
    stored = found.model_dump(mode="json")
    assert stored["unknown"] == list(UNKNOWN)
    assert Comparison.model_validate(stored) == found
