"""A campaign in shadow imagines, and one beside the processor's own retries charges nothing: the rules of both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.findings import (
    learn_from_imagined,
    learn_from_invoice,
    left_to_processor,
    looked_beside,
)
from activities.news import take_fact
from activities.turn import sentence
from activities.wishes import grant, move
from campaigns.checking import check
from campaigns.declines import Ask
from campaigns.document import Mode
from campaigns.due import next_charge_at, overtaken
from campaigns.effects import Change, effect_of
from campaigns.moving import Moving
from campaigns.simulation import simulate
from campaigns.story import Action, Advised, Beside, Pending, Trigger, UnderWay
from contract import MoveToVersion, PaymentFailed, RetryNow
from processors.protocol import CustomerDetails, Invoice, InvoiceState
from shadow_report import rows_of, sentences
from store.shadow import Shadowed
from tests.unit.checked_campaign import ANY_TEMPLATE, GOOD, TOP
from tests.unit.planner_story import CAMPAIGN, day, next_of, story
from tests.unit.test_declines import TABLE, verdict_of

WHO: dict[str, Any] = {"by": "ops@example.com", "why": "to see"}
SHADOW = CAMPAIGN.model_copy(update={"mode": Mode.SHADOW})
BESIDE = Beside(until=day(2), look_at=day(2) + timedelta(hours=1))


def invoice(retries_at: float | None) -> Invoice:
    at = None if retries_at is None else day(retries_at)
    customer = CustomerDetails("cus_1")
    return Invoice("in_1", InvoiceState.OPEN, 4900, "USD", False, customer, processor_retries_at=at)


# --- in shadow ---------------------------------------------------------------------------------------


def test_an_imagined_charge_counts_as_declined_for_the_schedule_and_for_nothing_else() -> None:
    before = story(shadow=True)
    after = learn_from_imagined(
        before, "day-1.charge", Trigger.SCHEDULE, verdict_of("insufficient_funds"), day(1)
    )
    assert after == before.model_copy(
        update={
            "done": {"day-1.charge": day(1)},
            "scheduled_charges": 1,
            "last_charge_at": day(1),
            "decline_class": "soft",
        }
    )
    assert (after.charges, after.ask) == (0, Ask.NOTHING)


def test_a_new_card_that_nobody_asked_is_not_called_declined() -> None:
    pending = Pending(id="card.card_2", trigger=Trigger.CARD_UPDATED, method="card_2")
    before = story(shadow=True, method="card_2", decline="stolen_card", pending=pending)
    after = learn_from_imagined(
        before, "card.card_2", Trigger.CARD_UPDATED, verdict_of("stolen_card"), day(2)
    )
    assert (after.pending, after.card_notice, after.blocked) == (None, None, ())


def test_in_shadow_the_processors_own_retries_hinder_nothing() -> None:
    assert learn_from_invoice(story(shadow=True), invoice(2), [], day(1)).beside is None


@pytest.mark.parametrize(
    ("case", "spared"),
    [
        (story(shadow=True), None),
        (story(shadow=True, blocked=("card_1",)), "the card was declined for good (insufficient funds)"),
        (story(shadow=True, has_card=False), "the customer has no card on file"),
        (
            story(shadow=True, advised=Advised(id="a", at=day(3), why="the issuer asked for 3 days")),
            "the issuer asked for 3 days",
        ),
        (story(shadow=True, advised=Advised(id="a", at=day(3), why="trouble", exact=False)), None),
        (story(blocked=("card_1",)), None),
    ],
)
def test_a_charge_of_the_processors_that_dunwell_would_not_make_is_named(
    case: Any, spared: str | None
) -> None:
    fact = PaymentFailed(event="evt_1", at=day(2), decline="insufficient_funds")
    assert take_fact(case, fact, SHADOW, TABLE, day(2)).spared == spared


def test_a_charge_that_the_customer_made_is_none_of_the_processors() -> None:
    fact = PaymentFailed(event="evt_1", at=day(2), by=Trigger.CUSTOMER)
    assert take_fact(story(shadow=True, has_card=False), fact, SHADOW, TABLE, day(2)).spared is None


def test_nobody_can_charge_a_case_in_shadow_by_hand() -> None:
    after, answer = grant(story(shadow=True), RetryNow(**WHO), "wish-1", SHADOW, day(2))
    assert (after.pending, answer.granted) == (None, False)
    assert answer.answer == "the case is in shadow, where nothing is charged"


@pytest.mark.parametrize("shadow", [True, False])
def test_a_case_does_not_change_between_shadow_and_live(shadow: bool) -> None:  # noqa: FBT001 - both ways
    before = story(shadow=shadow, campaign="fortnight", version=1)
    old, new = (SHADOW, CAMPAIGN) if shadow else (CAMPAIGN, SHADOW)
    after, answer, follows = move(before, MoveToVersion(version=2, **WHO), old, new, {}, day(2))
    assert (after, follows) == (before, old)
    assert not answer.granted
    assert "what was only imagined would count as done" in answer.answer
    effect = effect_of(before, old, Moving(new, 2), {}, day(2))
    assert (effect.changes, effect.refused) == (frozenset({Change.REFUSED}), answer.answer)


def test_a_case_in_shadow_moves_to_another_version_in_shadow() -> None:
    before = story(shadow=True, campaign="fortnight", version=1)
    _, answer, _ = move(before, MoveToVersion(version=2, **WHO), SHADOW, SHADOW, {}, day(2))
    assert answer.granted


# --- beside the processor's own retries --------------------------------------------------------------


def test_nothing_is_charged_while_the_processor_charges_and_mails_go_on() -> None:
    case = story(beside=BESIDE)
    mail = next_of(case, 1)
    assert (mail.action, mail.id) == (Action.MESSAGE, "day-1.message")
    assert "no charge: the processor's own retries go on, next on 04 Mar 2026 09:00 UTC" in mail.why
    assert overtaken(CAMPAIGN, case, day(1)) == ("day-1.charge",)
    assert next_charge_at(CAMPAIGN, case, day(1)) == day(2)


def test_the_processor_is_asked_after_its_retry_whether_it_goes_on() -> None:
    case = story(beside=BESIDE, done={"day-1.message": day(1)}, passed=("day-1.charge",))
    look = next_of(case, 1.5)
    assert (look.action, look.at) == (Action.LOOK, BESIDE.look_at)
    later = learn_from_invoice(case, invoice(4), [], BESIDE.look_at)
    assert later.beside == Beside(until=day(4), look_at=day(4) + timedelta(hours=1))
    over = learn_from_invoice(case, invoice(None), [], BESIDE.look_at)
    assert (over.beside, next_of(over, 2.5).id) == (None, "day-3.charge")


@pytest.mark.parametrize(
    "waits",
    [
        {"beside": BESIDE},
        {"under_way": UnderWay(id="day-1.charge", trigger=Trigger.SCHEDULE, since=day(1), until=day(3))},
    ],
)
def test_looking_ahead_takes_what_is_waited_for_to_be_over(waits: dict[str, Any]) -> None:
    found = [happened.plan.id for happened in simulate(CAMPAIGN, story(**waits), day(1.5)) if happened.plan]
    assert found[0] == ("day-1.message" if "beside" in waits else "look")
    assert found.count("look") == 1
    assert found[-1] == "end.action"
    assert "day-7.charge" in found


def test_a_retry_that_is_late_is_asked_for_each_hour_and_after_a_day_each_day() -> None:
    hour, later = timedelta(hours=1), day(4)
    case = looked_beside(story(beside=BESIDE), BESIDE.look_at)
    assert case.beside == Beside(until=day(2), look_at=BESIDE.look_at + hour)
    assert looked_beside(case, BESIDE.look_at) == case
    assert looked_beside(case, later).beside == Beside(until=day(2), look_at=later + timedelta(days=1))


def test_a_mails_read_does_not_put_the_look_off() -> None:
    case = story(beside=BESIDE, done={"day-1.message": day(1)}, passed=("day-1.charge",))
    assert learn_from_invoice(case, invoice(2), [], BESIDE.look_at).beside == BESIDE
    assert next_of(case, 2.5).action is Action.LOOK


def test_a_declined_retry_of_the_processor_is_looked_into_at_once() -> None:
    fact = PaymentFailed(event="evt_1", at=day(2), decline="insufficient_funds")
    taken = take_fact(story(beside=BESIDE), fact, CAMPAIGN, TABLE, day(2)).story
    assert next_of(taken, 2).action is Action.LOOK
    assert take_fact(story(), fact, CAMPAIGN, TABLE, day(2)).story.look is None


def test_a_new_card_is_left_to_the_processor_and_a_promise_with_it() -> None:
    pending = Pending(id="card.card_2", trigger=Trigger.CARD_UPDATED, method="card_2")
    left = left_to_processor(story(beside=BESIDE, pending=pending, promise_at=day(3)), "card.card_2")
    assert (left.pending, left.promise_at, left.passed) == (None, None, ())


def test_nobody_charges_by_hand_while_the_processor_does() -> None:
    _, answer = grant(story(beside=BESIDE), RetryNow(**WHO), "wish-1", CAMPAIGN, day(1))
    assert not answer.granted
    assert "two would charge one invoice" in answer.answer


# --- what is said of it ------------------------------------------------------------------------------


def test_a_check_warns_of_an_approval_that_nobody_is_asked_for() -> None:
    asking = GOOD.replace(
        "    retry: true\n    message: payment_failed\n  - id: day-3",
        "    retry: true\n    message: payment_failed\n    approval: {within: 12h, otherwise: skip}\n  - id: day-3",
    )
    live = check(TOP + asking, file="gentle.yaml", known=ANY_TEMPLATE)
    shadow = check(f"{TOP}mode: shadow\n{asking}", file="gentle.yaml", known=ANY_TEMPLATE)
    [more] = [
        fault.what for fault in shadow.warnings if fault.what not in {old.what for old in live.warnings}
    ]
    assert more == (
        "in shadow nobody is asked for an approval: the step is always skipped after the time to answer"
    )


def test_where_a_case_in_shadow_stands_is_not_said_as_if_it_were_to_be_done() -> None:
    case = story(shadow=True)
    assert sentence(case, next_of(case, 0), day(0)).startswith("in shadow: next charge on 03 Mar 2026")


# --- the report --------------------------------------------------------------------------------------


def test_the_report_sets_what_was_imagined_beside_what_was_done() -> None:
    found = Shadowed(
        cases=4,
        running=1,
        ended={"exhausted": 1},
        recovered_after=[timedelta(days=3), timedelta(days=5)],
        late=1,
        imagined={"insufficient_funds": 6, None: 1},
        declined={"insufficient_funds": 4, "stolen_card": 2},
        withheld=1,
        spared={"the card was declined for good (stolen card)": 2},
        billed=2,
        fees={"USD": 20},
        mails={"payment_failed": 5},
    )
    rows = {row.what: (row.dunwell, row.processor) for row in rows_of(found, TABLE, day(0).date())}
    assert rows["charges"] == ("7", "8")
    assert rows["declined: hard"] == ("0", "2")
    assert rows["declined: no code"] == ("1", "0")
    assert rows["paid"] == ("not known", "2")
    assert list(sentences(found)) == [
        "4 cases in shadow, of which 1 still run.",
        (
            "2 recovered by the processor's own retries, half of them within 4 days of the failure, the last"
            " after 5 days."
        ),
        "1 exhausted.",
        "1 of these paid after the end that Dunwell would have made.",
        "2 of the processor's charges Dunwell would not have made:",
        "2: the card was declined for good (stolen card).",
        "2 of the processor's charges are billed by their network: $0.20 by our estimate.",
        "Mails that would have gone out: payment_failed 5.",
    ]
