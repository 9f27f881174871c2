"""What an answer of the processor means for the story: whose card, whose payment, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.findings import ENDED_THERE, learn_from_charge, learn_from_invoice
from campaigns.story import Lever, Outcome, Pending, Story, Trigger
from processors.protocol import (
    Card,
    ChargeAnswer,
    ChargeResult,
    CustomerDetails,
    Invoice,
    InvoiceState,
    PaidBy,
)
from store.tables import AttemptRow
from tests.unit.test_declines import verdict_of

DAY_0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = DAY_0 + timedelta(days=3)
STOLEN = verdict_of("stolen_card")


def story(**told: object) -> Story:
    known = {
        "case_id": "case_1",
        "workflow_id": "recovery/stripe/main/in_1/1",
        "processor": "stripe",
        "account": "main",
        "invoice": "in_1",
        "failed_at": DAY_0,
        "method": "pm_old",
    }
    return Story.model_validate({**known, **told})


def invoice(state: InvoiceState = InvoiceState.OPEN, **told: object) -> Invoice:
    known = {"id": "in_1", "amount": 4900, "currency": "USD", "livemode": False}
    return Invoice(state=state, customer=CustomerDetails("cus_1"), **{**known, **told})  # type: ignore[arg-type]


def attempt(name: str, trigger: Trigger, state: str = "sending", method: str | None = "pm_old") -> AttemptRow:
    return AttemptRow(
        case_id="case_1",
        attempt=name,
        key=f"dunwell/recovery/stripe/main/in_1/1/{name}/1",
        trigger=trigger,
        state=state,
        method=method,
        amount=4900,
        currency="USD",
        claimed_at=NOW,
    )


def test_a_first_card_seen_by_a_read_is_charged_at_once_and_its_webhook_then_changes_nothing() -> None:
    learned = learn_from_invoice(story(method=None, has_card=False), invoice(card=Card("pm_1")), [], NOW)
    assert learned.pending == Pending(id="card.pm_1", trigger=Trigger.CARD_UPDATED, method="pm_1")
    assert (learned.has_card, learned.method) == (True, "pm_1")
    assert "card:pm_1:" in learned.seen


def test_a_first_card_that_was_declined_for_good_is_not_charged_again() -> None:
    blocked = story(method=None, has_card=False, blocked=("pm_1",))
    learned = learn_from_invoice(blocked, invoice(card=Card("pm_1")), [], NOW)
    assert (learned.pending, learned.has_card) == (None, False)


def test_the_decline_of_the_old_card_says_nothing_of_the_new_one() -> None:
    late = attempt("day-3.charge", Trigger.SCHEDULE)
    answer = ChargeAnswer(ChargeResult.DECLINED, decline="stolen_card")
    learned = learn_from_charge(story(method="pm_new"), late, answer, STOLEN, NOW)
    assert (learned.blocked, learned.charges, learned.done) == ((), 1, {"day-3.charge": NOW})
    same = learn_from_charge(story(), late, answer, STOLEN, NOW)
    assert same.blocked == ("pm_old",)


@pytest.mark.parametrize(
    ("paid_key", "paid_by", "outcome", "lever"),
    [
        # An earlier try of the attempt, under its first suffix, is ours as well.
        (
            "dunwell/recovery/stripe/main/in_1/1/day-3.charge/0",
            None,
            Outcome.RECOVERED,
            Lever.SCHEDULED_RETRY,
        ),
        ("their-own-key", PaidBy.REQUEST, Outcome.RECOVERED_ELSEWHERE, None),
        (None, PaidBy.REQUEST, Outcome.RECOVERED, Lever.SCHEDULED_RETRY),
        (None, PaidBy.PROCESSOR, Outcome.RECOVERED, Lever.PROCESSOR),
        (None, PaidBy.CUSTOMER, Outcome.RECOVERED, Lever.CUSTOMER),
        (None, PaidBy.ELSEWHERE, Outcome.RECOVERED_ELSEWHERE, None),
    ],
)
def test_a_paid_invoice_is_credited_to_whoever_paid_it(
    paid_key: str | None, paid_by: PaidBy | None, outcome: Outcome, lever: Lever | None
) -> None:
    paid = invoice(InvoiceState.PAID, amount=0, paid_key=paid_key, paid_by=paid_by)
    ending = learn_from_invoice(story(), paid, [attempt("day-3.charge", Trigger.SCHEDULE)], NOW).ending
    assert ending is not None
    assert (ending.outcome, ending.lever) == (outcome, lever)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"state": InvoiceState.VOID}, Outcome.VOIDED),
        ({"state": InvoiceState.UNCOLLECTIBLE}, Outcome.UNCOLLECTIBLE),
        ({"disputed": True}, Outcome.DISPUTED),
        ({"subscription_ended": True}, Outcome.CANCELLED),
        ({"amount": 0}, Outcome.RECOVERED_ELSEWHERE),
    ],
)
def test_what_is_no_longer_owed_ends_the_case(told: dict[str, object], outcome: Outcome) -> None:
    ending = learn_from_invoice(story(), invoice(**told), [], NOW).ending  # type: ignore[arg-type]
    assert ending is not None
    assert ending.outcome is outcome
    assert (ending.by == ENDED_THERE) == (outcome is Outcome.CANCELLED)


def test_a_customer_lives_where_the_address_says_and_else_where_the_card_was_issued() -> None:
    german, swiss = CustomerDetails("cus_1", country="DE"), Card("pm_old", country="CH")
    read = [
        learn_from_invoice(story(country="FR"), replace(invoice(), customer=customer, card=card), [], NOW)
        for customer, card in (
            (german, swiss),
            (CustomerDetails("cus_1"), swiss),
            (CustomerDetails("cus_1"), None),
        )
    ]
    assert [found.country for found in read] == ["DE", "CH", "FR"]
