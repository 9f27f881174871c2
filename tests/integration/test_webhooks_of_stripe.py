"""Stripe's own events, in their shapes of before and after 2025, from the signature to the case."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from campaigns.story import Lever, Outcome
from store import events
from tests.integration.web_side import STRIPE_SECRET, stripe_event, until

if TYPE_CHECKING:
    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

FAILED_AT = int(time.time()) - 3600


def invoice(name: str, customer: str, **more: Any) -> dict[str, Any]:
    """Write what the invoices of every version have in common."""
    return {
        "id": name,
        "object": "invoice",
        "customer": customer,
        "currency": "eur",
        "amount_due": 2990,
        "amount_remaining": 2990,
        "amount_paid": 0,
        "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically",
        "status": "open",
        "attempt_count": 1,
    } | more


def before_2025(name: str, customer: str) -> dict[str, Any]:
    return invoice(
        name, customer, subscription=f"sub_{name}", payment_intent=f"pi_{name}", charge=f"ch_{name}"
    )


def after_2025(name: str, customer: str) -> dict[str, Any]:
    payment = {"type": "payment_intent", "payment_intent": f"pi_{name}"}
    return invoice(
        name,
        customer,
        parent={"type": "subscription_details", "subscription_details": {"subscription": f"sub_{name}"}},
        payments={"object": "list", "data": [{"is_default": True, "status": "open", "payment": payment}]},
    )


async def reported(
    web: WebSide, name: str, thing: dict[str, Any], kind: str = "invoice.payment_failed"
) -> None:
    """Sign an event as Stripe's own library does, and send it."""
    body = stripe_event(kind, thing, event=name, created=FAILED_AT)
    seconds = int(time.time())
    signed = stripe.WebhookSignature._compute_signature(f"{seconds}.{body.decode()}", STRIPE_SECRET)
    answer = await web.post(body, processor="stripe", header=f"t={seconds},v1={signed}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["received"] == name


async def open_case(web: WebSide, name: str, customer: str | None = None) -> CaseRow:
    web.stripe.owes(name, customer or f"cus_{name}", 2990, "EUR")
    await reported(web, f"evt_{name}", after_2025(name, customer or f"cus_{name}"))
    return await web.opened(name, "stripe")


@pytest.mark.parametrize("shape", [before_2025, after_2025])
async def test_a_failure_opens_a_case_with_what_the_event_says(web: WebSide, shape: Any) -> None:
    name = f"in_{shape.__name__}"
    web.stripe.owes(name, "cus_shape", 2990, "EUR")
    await reported(web, f"evt_{name}", shape(name, "cus_shape"))
    case = await web.opened(name, "stripe")
    assert (case.amount, case.currency, case.customer) == (2990, "EUR", "cus_shape")
    assert case.failed_at == datetime.fromtimestamp(FAILED_AT, UTC)
    assert (case.subscription, case.livemode) == (f"sub_{name}", False)
    described = await web.desk.temporal.get_workflow_handle(case.workflow_id).describe()
    assert case.workflow_id == f"recovery/stripe/main/{name}/1"
    assert await described.static_summary() == "€29.90 · cus_shape · standard"


async def test_an_event_of_a_connected_account_opens_a_case_of_that_account(web: WebSide) -> None:
    web.stripe.owes("in_connected", "cus_connected", 2990, "EUR")
    body = stripe_event(
        "invoice.payment_failed",
        after_2025("in_connected", "cus_connected"),
        event="evt_connected",
        account="acct_9",
    )
    assert (await web.post(body, processor="stripe")).status_code == 200
    row = await web.settled("evt_connected", "stripe")
    assert row.state == events.HANDED_ON
    assert await web.case("in_connected", "stripe") is None
    shown = (await web.look("/cases?invoice=in_connected")).json()
    assert [(case["account"], case["customer"]) for case in shown] == [("acct_9", "cus_connected")]


async def test_a_payment_that_needs_the_customer_opens_a_case_that_asks_for_confirmation(
    web: WebSide,
) -> None:
    web.stripe.owes("in_action", "cus_action", 2990, "EUR")
    await reported(
        web, "evt_action", after_2025("in_action", "cus_action"), "invoice.payment_action_required"
    )
    case = await web.opened("in_action", "stripe")
    assert case.decline == "authentication_required"
    assert case.next_step == "first-notice.message"


async def test_a_new_card_is_charged_once_though_two_events_tell_of_it(web: WebSide) -> None:
    await open_case(web, "in_card", "cus_card")
    method = {"id": "pm_new", "object": "payment_method", "customer": "cus_card", "card": {}}
    customer = {"id": "cus_card", "invoice_settings": {"default_payment_method": "pm_new"}}
    await reported(web, "evt_attached", method, "payment_method.attached")
    body = stripe_event(
        "customer.updated",
        customer,
        event="evt_default",
        data={
            "object": customer,
            "previous_attributes": {"invoice_settings": {"default_payment_method": "pm_old"}},
        },
    )
    assert (await web.post(body, processor="stripe")).status_code == 200
    closed = await web.closed("in_card", "stripe")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    charged = [request for request in web.stripe.charged if request.invoice == "in_card"]
    assert [(request.method, request.key) for request in charged] == [
        ("pm_new", f"dunwell/{closed.workflow_id}/card.pm_new/0")
    ]


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("customer.subscription.deleted", {"id": "sub_in_gone", "customer": "cus_gone"}),
        ("customer.deleted", {"id": "cus_gone"}),
    ],
)
async def test_a_cancellation_ends_the_cases_that_it_concerns(
    web: WebSide, kind: str, thing: dict[str, Any]
) -> None:
    name = f"in_gone_{kind.replace('.', '_')}"
    case = await open_case(web, name, f"cus_{name}")
    concerned = {"id": f"sub_{name}" if "subscription" in kind else f"cus_{name}", "customer": f"cus_{name}"}
    await reported(web, f"evt_end_{name}", thing | concerned, kind)
    closed = await web.closed(name, "stripe")
    assert (closed.id, closed.outcome) == (case.id, Outcome.CANCELLED)
    assert [request for request in web.stripe.charged if request.invoice == name] == []


async def recovered(web: WebSide, name: str, customer: str) -> CaseRow:
    """Let a case be recovered by our own charge."""
    case = await open_case(web, name, customer)
    answer = await web.api(f"/cases/{case.id}/retry-now", {"by": "ops", "why": "a call"})
    assert answer.json()["became"] == "granted"
    closed = await web.closed(name, "stripe")
    assert closed.outcome == Outcome.RECOVERED
    return closed


@pytest.mark.parametrize(
    ("kind", "thing", "words"),
    [
        # Today's disputes and charges name a payment and no invoice.
        (
            "charge.dispute.closed",
            {"object": "dispute", "charge": "ch_x", "reason": "fraudulent", "status": "lost"},
            "dispute",
        ),
        ("charge.refunded", {"object": "charge", "refunded": True, "amount_refunded": 2990}, "refund"),
    ],
)
async def test_money_that_goes_back_is_known_by_its_payment_and_told_to_a_person(
    web: WebSide, kind: str, thing: dict[str, Any], words: str
) -> None:
    name = f"in_{kind.replace('.', '_')}"
    case = await recovered(web, name, f"cus_{name}")
    money = {"id": f"x_{name}", "amount": 2990, "currency": "eur", "payment_intent": f"pi_{name}"}
    await reported(web, f"evt_back_{name}", thing | money, kind)
    row = await web.settled(f"evt_back_{name}", "stripe")
    assert (row.state, row.case_id) == (events.HANDED_ON, case.id), row.why
    await until(lambda: web.late_facts(case.id))
    [alert] = await web.alerts(case.id)
    assert words in alert.kind
    again = await web.case(name, "stripe")
    assert again is not None
    assert (again.outcome, again.closed_at) == (Outcome.RECOVERED, case.closed_at)


async def test_a_dispute_of_a_recovered_payment_opens_the_next_case_of_its_invoice(web: WebSide) -> None:
    first = await recovered(web, "in_disputed", "cus_disputed")
    dispute = {
        "id": "dp_1",
        "object": "dispute",
        "charge": "ch_x",
        "reason": "fraudulent",
        "status": "needs_response",
        "amount": 2990,
        "currency": "eur",
        "payment_intent": "pi_in_disputed",
    }
    await reported(web, "evt_disputed", dispute, "charge.dispute.created")
    await web.settled("evt_disputed", "stripe")
    second = await web.opened("in_disputed", "stripe")
    assert (second.episode, second.status) == (2, "needs review")
    assert "payment pi_in_disputed is disputed: fraudulent" in second.sentence
    await reported(web, "evt_lost", dispute | {"status": "lost"}, "charge.dispute.closed")
    row = await web.settled("evt_lost", "stripe")
    assert (row.case_id, await web.late_facts(first.id)) == (second.id, [])


async def test_a_refund_of_one_payment_disturbs_no_other_case_of_the_customer(web: WebSide) -> None:
    case = await open_case(web, "in_undisturbed", "cus_undisturbed")
    charge = {
        "id": "ch_other",
        "object": "charge",
        "customer": "cus_undisturbed",
        "amount": 100,
        "amount_refunded": 100,
        "refunded": True,
        "currency": "eur",
        "payment_intent": "pi_of_something_else",
    }
    await reported(web, "evt_other_refund", charge, "charge.refunded")
    row = await web.settled("evt_other_refund", "stripe")
    assert row.state == events.IGNORED, row.why
    assert [line.key for line in await web.journal(case.id)] == ["opened"]


@pytest.mark.parametrize(
    "body", [{"object": "v2.core.event", "id": "evt_thin", "type": "v2.x"}, {"id": "evt_1"}]
)
async def test_what_is_no_snapshot_event_is_refused(web: WebSide, body: dict[str, Any]) -> None:
    before = await web.counts()
    answer = await web.http.post("/webhooks/stripe", json=body)
    assert answer.status_code == 400
    signed = await web.post(str(body).replace("'", '"').encode(), processor="stripe")
    assert signed.status_code == 400
    assert "no event of Stripe's" in signed.json()["error"]
    assert await web.counts() == before
