"""How often a card has been tried under each rule, and when it may be tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import budget
from campaigns.budget import NEVER, Charge, Initiator, Result, Tried
from campaigns.networks import Limit, NetworkLimits
from store.campaigns import network_limits

LIMITS = NetworkLimits(network_limits())
TODAY = date(2026, 6, 1)
FIRST = datetime(2026, 6, 1, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHARGE = Charge(4900, "USD", invoice="in_1")
[VISA] = LIMITS.limits_for("visa", TODAY)
MASTERCARD = LIMITS.limits_for("mastercard", TODAY, "DE")
[ELO] = LIMITS.limits_for("elo", TODAY, "BR")
[NACHA] = LIMITS.limits_for(None, TODAY, rail="ach")


def tried(at: datetime, **changed: object) -> Tried:
    made = Tried(at, CHARGE.amount, CHARGE.currency, invoice=CHARGE.invoice)
    return replace(made, **changed)  # type: ignore[arg-type]


def daily(count: int, **changed: object) -> list[Tried]:
    return [tried(FIRST + DAY * number, **changed) for number in range(count)]


# --- one rule after another ------------------------------------------------------------------------


def test_a_card_is_free_again_when_its_oldest_attempt_falls_out_of_the_window() -> None:
    [use] = budget.uses([VISA], daily(19), CHARGE, FIRST + 19 * DAY, margin=1)
    assert (use.used, use.allowed, use.left, use.free_at) == (19, 19, 0, FIRST + 30 * DAY)
    assert use.refusal() == (
        "Visa allows 20 attempts on one card with one merchant for one amount in 30 days; 19 used, margin 1"
    )
    [use] = budget.uses([VISA], daily(19), CHARGE, FIRST + 30 * DAY, margin=1)
    assert (use.used, use.left, use.free_at) == (18, 1, None)
    assert use.said() == "18 of 20 attempts used in 30 days"
    [use] = budget.uses([VISA], daily(25), CHARGE, FIRST + 25 * DAY)
    # Five too many were made by others: all of them have to fall out, and one more.
    assert (use.used, use.free_at) == (25, FIRST + 35 * DAY)


def test_another_amount_or_another_initiator_is_counted_apart_where_the_network_does() -> None:
    done = daily(20)
    for other in (Charge(4901, "USD"), Charge(4900, "EUR"), Charge(4900, "USD", Initiator.CUSTOMER)):
        assert budget.uses([VISA], done, other, FIRST + 20 * DAY)[0].used == 0
    early = replace(VISA, by_initiator=False)
    assert budget.uses([early], done, Charge(4900, "USD", Initiator.CUSTOMER), FIRST + 20 * DAY)[0].used == 20
    day, month = sorted(MASTERCARD, key=lambda limit: limit.rule)
    burst = [tried(FIRST + HOUR * number) for number in range(10)]
    [first, second] = budget.uses(MASTERCARD, burst, Charge(100, "USD"), FIRST + 10 * HOUR)
    assert (first.limit, first.used, first.free_at) == (day, 10, FIRST + DAY)
    assert (second.limit, second.used, second.free_at) == (month, 0, None)


def test_an_approval_resets_visa_and_nobody_else() -> None:
    done = [*daily(15), tried(FIRST + 15 * DAY, result=Result.APPROVED), tried(FIRST + 16 * DAY)]
    assert budget.uses([VISA], done, CHARGE, FIRST + 17 * DAY)[0].used == 1
    month = next(limit for limit in MASTERCARD if limit.rule == "mastercard-month")
    assert budget.uses([month], done, CHARGE, FIRST + 17 * DAY)[0].used == 16
    # Another amount's approval says nothing about this one, and what is open may yet be declined.
    other = [*daily(15), tried(FIRST + 15 * DAY, amount=1, result=Result.APPROVED)]
    assert budget.uses([VISA], other, CHARGE, FIRST + 17 * DAY)[0].used == 15
    doubtful = [tried(FIRST, result=Result.OPEN), tried(FIRST + DAY, result=Result.APPROVED)]
    assert budget.uses([VISA], doubtful, CHARGE, FIRST + 2 * DAY)[0].used == 1


def test_a_calendar_month_frees_a_card_on_its_first() -> None:
    december = datetime(2026, 12, 20, tzinfo=UTC)
    done = [tried(december + HOUR * number) for number in range(15)]
    [use] = budget.uses([ELO], done, CHARGE, december + DAY)
    assert (use.used, use.free_at) == (15, datetime(2027, 1, 1, tzinfo=UTC))
    assert budget.uses([ELO], done, CHARGE, datetime(2027, 1, 1, tzinfo=UTC))[0].free_at is None


def test_a_debit_is_initiated_again_twice_within_180_days_and_then_never() -> None:
    assert budget.uses([NACHA], daily(2), CHARGE, FIRST + 5 * DAY, margin=1)[0].left == 1
    [use] = budget.uses([NACHA], daily(3), CHARGE, FIRST + 5 * DAY, margin=1)
    assert (use.used, use.allowed, use.free_at) == (3, 3, NEVER)
    [late] = budget.uses([NACHA], daily(1), CHARGE, FIRST + 180 * DAY)
    assert (late.used, late.left, late.free_at) == (1, 0, NEVER)
    # Next month's invoice is another debit; one whose invoice nobody knows may be this one's.
    assert budget.uses([NACHA], daily(3), replace(CHARGE, invoice="in_2"), FIRST + 30 * DAY)[0].used == 0
    assert budget.uses([NACHA], daily(3, invoice=None), CHARGE, FIRST + 30 * DAY)[0].used == 3


def test_the_tightest_comes_first_and_all_must_be_free() -> None:
    burst = [tried(FIRST + HOUR * number) for number in range(10)]
    slow = [tried(FIRST - DAY * number) for number in range(2, 27)]
    found = budget.uses(MASTERCARD, [*slow, *burst], CHARGE, FIRST + 10 * HOUR)
    assert [use.limit.rule for use in found] == ["mastercard-month", "mastercard-day"]
    assert budget.free_at(found) == found[0].free_at == FIRST - 26 * DAY + 30 * DAY
    assert budget.free_at(budget.uses(MASTERCARD, [], CHARGE, FIRST)) is None


def test_a_margin_never_takes_all() -> None:
    [use] = budget.uses([replace(VISA, limit=2)], [], CHARGE, FIRST, margin=5)
    assert (use.allowed, use.left) == (1, 1)


def test_with_no_charge_named_the_kind_that_used_most_is_meant() -> None:
    done = [*daily(3), *daily(7, amount=100)]
    [use] = budget.tightest([VISA], done, FIRST + 8 * DAY)
    assert use.used == 7
    assert [use.used for use in budget.tightest(MASTERCARD, [], FIRST)] == [0, 0]


def test_an_attempt_too_many_is_found_by_what_was_before_it() -> None:
    done = daily(22)
    over = [one for one in done if budget.exceeded([VISA], [other for other in done if other != one], one)]
    assert over == done[20:]


# --- properties ------------------------------------------------------------------------------------

SMALL = [
    replace(VISA, limit=3, window=timedelta(days=3)),
    replace(VISA, limit=2, window=timedelta(hours=30), by_amount=False, by_initiator=False),
    replace(VISA, limit=4, window=None, resets_after_approval=False),
    replace(NACHA, limit=2, window=timedelta(days=4)),
]
moments = st.integers(0, 40 * 6).map(lambda number: FIRST + timedelta(hours=4) * number)
charges = st.builds(
    Charge,
    st.sampled_from([100, 200]),
    st.just("USD"),
    st.sampled_from(Initiator),
    st.sampled_from([None, "in_1", "in_2"]),
)
attempts = st.builds(
    lambda at, charge, result: Tried(
        at, charge.amount, charge.currency, charge.initiator, result, charge.invoice
    ),
    moments,
    charges,
    st.sampled_from(Result),
)


def most_in_a_window(limit: Limit, made: list[Tried]) -> int:
    """Count, in the plainest way, the most attempts that lie in any one window of a limit."""
    times = [one.at for one in made]
    if limit.window is None:
        return max(
            (sum((at.year, at.month) == (end.year, end.month) for at in times) for end in times), default=0
        )
    assert limit.window is not None
    return max((sum(end - limit.window < at <= end for at in times) for end in times), default=0)


def alike(limit: Limit, one: Charge) -> tuple[object, ...]:
    """Name what a limit counts together; None of an invoice is left out by the caller."""
    return (
        (one.amount, one.currency) if limit.by_amount else None,
        one.initiator if limit.by_initiator else None,
        one.invoice if limit.by_invoice else None,
    )


@given(
    limit=st.sampled_from(SMALL),
    asked=st.lists(st.tuples(moments, charges, st.sampled_from([Result.OPEN, Result.DECLINED])), max_size=40),
    margin=st.integers(0, 2),
)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_a_limit_is_never_overrun_whatever_the_order_of_the_attempts(
    limit: Limit, asked: list[tuple[datetime, Charge, Result]], margin: int
) -> None:
    made: list[Tried] = []
    for at, charge, result in asked:
        if limit.by_invoice and charge.invoice is None:
            continue
        [use] = budget.uses([limit], made, charge, at, margin)
        if use.free_at is None:
            made.append(Tried(at, charge.amount, charge.currency, charge.initiator, result, charge.invoice))
    for kind in {alike(limit, one.charge) for one in made}:
        together = [one for one in made if alike(limit, one.charge) == kind]
        allowed = max(limit.limit - margin, 1) if limit.rail == "card" else limit.limit
        assert most_in_a_window(limit, together) <= allowed


@given(
    limit=st.sampled_from(SMALL),
    made=st.lists(attempts, max_size=30),
    charge=charges,
    at=moments,
    margin=st.integers(0, 2),
)
@settings(derandomize=True, deadline=None, max_examples=500)
def test_free_at_is_the_earliest_moment_at_which_one_more_is_allowed(
    limit: Limit, made: list[Tried], charge: Charge, at: datetime, margin: int
) -> None:
    def is_free(moment: datetime) -> bool:
        return budget.uses([limit], made, charge, moment, margin)[0].free_at is None

    [use] = budget.uses([limit], made, charge, at, margin)
    if use.free_at is None:
        assert use.used < use.allowed
        assert use.left == use.allowed - use.used > 0
    elif use.free_at == NEVER:
        assert limit.from_first
        assert not is_free(at + timedelta(days=4000))
    else:
        assert use.free_at > at
        assert is_free(use.free_at)
        assert not is_free(use.free_at - timedelta(microseconds=1))
        steps = [at + (use.free_at - at) * share / 7 for share in range(7)]
        assert not any(is_free(moment) for moment in steps)


@given(made=st.lists(attempts, max_size=30), charge=charges, at=moments)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_an_approval_wipes_out_what_was_declined_before_it_and_nothing_else(
    made: list[Tried], charge: Charge, at: datetime
) -> None:
    limit = SMALL[0]
    approved = Tried(at, charge.amount, charge.currency, charge.initiator, Result.APPROVED, charge.invoice)
    with_it = budget.uses([limit], [*made, approved], charge, at)[0]
    without = [
        one
        for one in made
        if alike(limit, one.charge) != alike(limit, charge)
        or one.result is not Result.DECLINED
        or one.at >= at
    ]
    assert with_it.used == budget.uses([limit], without, charge, at)[0].used
    other = replace(charge, amount=charge.amount + 1)
    assert budget.uses([limit], [*made, approved], other, at) == budget.uses([limit], made, other, at)


@given(made=st.lists(attempts, max_size=20), charge=charges, at=moments)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_initiators_that_are_counted_apart_do_not_touch_each_other(
    made: list[Tried], charge: Charge, at: datetime
) -> None:
    [limit] = SMALL[:1]
    own = [one for one in made if one.initiator is charge.initiator]
    assert budget.uses([limit], made, charge, at) == budget.uses([limit], own, charge, at)
