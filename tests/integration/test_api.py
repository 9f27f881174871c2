"""The API of billing services: who may ask, what is answered, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
from temporalio.client import WorkflowQueryFailedError

from campaigns.story import Lever, Outcome, Status
from contract import FACTS, WISHES, FactName, WishName
from tests.integration.web_side import API_KEY, until
from web.intake import told

if TYPE_CHECKING:
    from temporalio.client import Client

    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

SAID = {"by": "ops@example.com", "why": "the customer called"}
LATER = datetime.now(UTC) + timedelta(days=2)
WRONG_KEYS = (None, "Bearer", "Bearer wrong", f"Bearer {API_KEY}x", f"Basic {API_KEY}", API_KEY)


async def status_of(web: WebSide, case: CaseRow) -> str:
    return str((await web.look(f"/cases/{case.id}")).json()["status"])


async def test_a_failure_that_is_reported_opens_a_case(web: WebSide) -> None:
    await web.owe("told")
    report = {
        "processor": "sandbox",
        "invoice": "in_told",
        "customer": "cus_told",
        "amount": 4900,
        "currency": "USD",
        "failed_at": "2026-03-02T09:00:00Z",
        "decline": "do_not_honor",
        "episode": 7,
    }
    report["failed_at"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    answer = await web.api("/cases", report)
    assert answer.status_code == 200
    said = answer.json()
    assert said["became"] == "opened"
    case = await web.opened("in_told")
    assert (said["case"], said["workflow"]) == (case.id, case.workflow_id)
    assert case.episode == 1
    assert case.failed_at == datetime.fromisoformat(str(report["failed_at"]))
    shown = (await web.look(f"/cases/{case.id}")).json()
    assert (shown["decline"], shown["amount"], shown["campaign"]) == ("do_not_honor", 4900, "standard")
    assert [line["kind"] for line in shown["journal"]] == ["case"]
    assert "example.com" not in str(shown)
    listed = (await web.look("/cases?customer=cus_told&status=waiting")).json()
    assert [row["id"] for row in listed] == [case.id]


async def test_a_failure_that_is_reported_in_two_ways_is_one_case(web: WebSide) -> None:
    case = await web.failed("two_ways")
    answer = await web.api("/cases", {"processor": "sandbox", "invoice": "in_two_ways"})
    assert (answer.status_code, answer.json()["became"], answer.json()["case"]) == (
        200,
        "already open",
        case.id,
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"invoice": "in_x"}, "processor: "),
        ({"processor": "sandbox"}, "invoice: "),
        ({"processor": "paypal", "invoice": "in_x"}, "no processor is called 'paypal'"),
        ({"processor": "sandbox", "invoice": "in x; drop"}, "invoice: "),
        ({"processor": "sandbox", "invoice": "in_x", "amount": -1}, "amount: "),
        ({"processor": "sandbox", "invoice": "in_x", "failed_at": "2026-03-02T09:00:00"}, "failed_at: "),
        ([], ""),
        ("text", ""),
    ],
)
async def test_a_report_that_cannot_be_used_is_refused_with_a_reason(
    web: WebSide, body: object, reason: str
) -> None:
    before = await web.counts()
    answer = await web.api("/cases", body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(reason)
    assert await web.counts() == before


async def test_every_route_wants_a_key_and_leaves_no_trace_without_one(web: WebSide) -> None:
    case = await web.failed("guarded")
    before = await web.counts()
    paths = (await web.http.get("/openapi.json")).json()["paths"]
    routes = [
        (method, path.format(case_id=case.id, customer="cus_guarded", processor="sandbox", name="in_guarded"))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/")
    ]
    assert len(routes) >= len(FACTS) + len(WISHES) + 6
    for method, path in routes:
        # One route shows every way to be wrong; all share the one lock.
        wrong = WRONG_KEYS if path == "/v1/cases" else (None, f"Bearer {API_KEY}x")
        for given in wrong:
            headers = {"Idempotency-Key": "k"} | ({"Authorization": given} if given is not None else {})
            answer = await web.http.request(
                method, path, headers=headers, json={} if method != "get" else None
            )
            assert answer.status_code == 401, (method, path, given)
            assert "API key" in answer.json()["error"]
    assert await web.counts() == before
    assert (await web.look("/cases")).status_code == 200


async def test_every_fact_and_wish_has_a_route(web: WebSide) -> None:
    paths = (await web.http.get("/openapi.json")).json()["paths"]
    for name in (*FactName, *WishName):
        assert "post" in paths[f"/v1/cases/{{case_id}}/{name.replace('_', '-')}"]


async def test_the_same_request_again_gets_the_same_answer_and_does_nothing(web: WebSide) -> None:
    await web.owe("replay")
    report = {"processor": "sandbox", "invoice": "in_replay"}
    first = await web.api("/cases", report, key="replay-1")
    case = await web.opened("in_replay")
    before = await web.counts()
    again = [await web.api("/cases", report, key="replay-1") for _ in range(2)]
    for answer in again:
        assert answer.status_code == 200
        assert answer.json() == {**first.json(), "replayed": True}
    assert await web.counts() == before
    card = {"method": "card_replay"}
    told = [await web.api(f"/cases/{case.id}/card-updated", card, key="replay-2") for _ in range(3)]
    assert [answer.json()["replayed"] for answer in told] == [False, True, True]
    assert len({answer.json()["sentence"] for answer in told}) == 1
    assert (await web.counts()).events == before.events + 1


async def test_the_same_request_twice_in_the_same_moment_is_done_once(web: WebSide) -> None:
    await web.owe("hasty")
    report = {"processor": "sandbox", "invoice": "in_hasty"}
    before = await web.counts()
    answers = await asyncio.gather(*(web.api("/cases", report, key="hasty-1") for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["case"] for answer in answers}) == 1
    after = await web.counts()
    assert (after.events - before.events, after.cases - before.cases) == (1, 1)


async def test_a_key_that_was_used_for_another_request_is_refused(web: WebSide) -> None:
    case = await web.failed("conflict")
    assert (await web.api(f"/cases/{case.id}/cancel", SAID, key="conflict-1")).status_code == 200
    before = await web.counts()
    others = [
        await web.api(f"/cases/{case.id}/cancel", {**SAID, "why": "another"}, key="conflict-1"),
        await web.api(f"/cases/{case.id}/invoice-changed", {}, key="conflict-1"),
        await web.api("/cases", {"processor": "sandbox", "invoice": "in_conflict"}, key="conflict-1"),
    ]
    assert [answer.status_code for answer in others] == [409] * 3
    assert all("was used for another request" in answer.json()["error"] for answer in others)
    assert await web.counts() == before


async def test_a_key_belongs_to_its_caller(web: WebSide) -> None:
    case = await web.failed("callers")
    mine = await web.api(f"/cases/{case.id}/invoice-changed", {"what": "mine"}, key="shared")
    headers = {"Idempotency-Key": "shared", "Authorization": "Bearer another-key-of-somebody"}
    theirs = await web.http.post(
        f"/v1/cases/{case.id}/invoice-changed", json={"what": "theirs"}, headers=headers
    )
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert not theirs.json()["replayed"]


async def test_a_wish_keeps_its_key_too(web: WebSide) -> None:
    case = await web.failed("wish_key")
    first = await web.api(f"/cases/{case.id}/pause", SAID, key="wish-1")
    again = await web.api(f"/cases/{case.id}/pause", SAID, key="wish-1")
    assert first.json()["became"] == again.json()["became"] == "granted"
    assert (first.json()["sentence"], again.json()["replayed"]) == (again.json()["sentence"], True)
    other = await web.api(f"/cases/{case.id}/resume", SAID, key="wish-1")
    assert other.status_code == 409
    assert await status_of(web, case) == "paused"
    wishes = [line for line in await web.journal(case.id) if line.kind == "wish"]
    assert len(wishes) == 1


async def test_a_request_without_an_idempotency_key_is_refused(web: WebSide) -> None:
    case = await web.failed("keyless")
    before = await web.counts()
    for path in ("/v1/cases", f"/v1/cases/{case.id}/cancel", f"/v1/cases/{case.id}/pause"):
        headers = {"Authorization": f"Bearer {API_KEY}"}
        body = {"processor": "sandbox", "invoice": "in_keyless", **SAID}
        answer = await web.http.post(path, json=body, headers=headers)
        assert answer.status_code == 422
        assert "Idempotency-Key" in answer.json()["error"]
        answer = await web.http.post(path, json=body, headers={**headers, "Idempotency-Key": ""})
        assert answer.status_code == 422
    assert await web.counts() == before


async def test_a_new_card_is_charged_at_once(web: WebSide) -> None:
    case = await web.failed("card", "insufficient_funds")
    await web.sandbox.add_card("cus_card", "card_card_new", "paid")
    answer = await web.api(f"/cases/{case.id}/card-updated", {"method": "card_card_new"})
    assert (answer.status_code, answer.json()["became"]) == (200, "delivered")
    closed = await web.closed("in_card")
    assert (closed.outcome, closed.lever) == (Outcome.RECOVERED, Lever.CARD_UPDATE)
    charges = [charge for charge in await web.sandbox.charges() if charge.invoice == "in_card"]
    assert [charge.method for charge in charges] == ["card_card_new"]


async def test_a_payment_is_believed_only_when_the_processor_says_so(web: WebSide) -> None:
    case = await web.failed("paid")
    await web.api(f"/cases/{case.id}/payment-succeeded")
    await until(lambda: _read_again(web, case, "a payment was reported"))
    assert await status_of(web, case) == "waiting"
    await web.sandbox.pay_elsewhere("in_paid", datetime.now(UTC))
    await web.api(f"/cases/{case.id}/payment-succeeded")
    assert (await web.closed("in_paid")).outcome == Outcome.RECOVERED_ELSEWHERE


async def _read_again(web: WebSide, case: CaseRow, text: str) -> bool:
    return any(text in line.text for line in await web.journal(case.id))


async def test_an_invoice_that_changed_is_read_again(web: WebSide) -> None:
    case = await web.failed("changed")
    await web.sandbox.void("in_changed", datetime.now(UTC))
    await web.api(f"/cases/{case.id}/invoice-changed", {"what": "somebody voided it"})
    assert (await web.closed("in_changed")).outcome == Outcome.VOIDED


async def test_a_promise_and_another_failure_are_taken(web: WebSide) -> None:
    case = await web.failed("promise", "insufficient_funds")
    answer = await web.api(f"/cases/{case.id}/promise-to-pay", {"on": LATER.isoformat()})
    assert answer.json()["became"] == "delivered"
    await until(lambda: _read_again(web, case, "promised to pay"))
    failed = {"decline": "stolen_card", "method": "card_promise"}
    assert (await web.api(f"/cases/{case.id}/payment-failed", failed)).json()["became"] == "delivered"
    await until(lambda: _read_again(web, case, "declined: stolen card"))
    assert [item["trigger"] for item in (await web.look(f"/cases/{case.id}")).json()["attempts"]] == [
        "processor"
    ]


@pytest.mark.parametrize(
    ("fact", "body"),
    [
        ("promise-to-pay", {}),
        ("promise-to-pay", {"on": "soon"}),
        ("promise-to-pay", {"on": "2030-01-01T00:00:00"}),
        ("card-updated", {"method": 7}),
        ("cancel", {"by": {}}),
        ("payment-failed", {"by": "magic"}),
        ("payment-succeeded", []),
    ],
)
async def test_a_fact_that_cannot_be_read_is_refused_and_not_stored(
    web: WebSide, fact: str, body: object
) -> None:
    case = await web.case("in_unread") or await web.failed("unread")
    before = await web.counts()
    answer = await web.api(f"/cases/{case.id}/{fact}", body)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert await web.counts() == before


async def test_a_cancel_says_by_whom_and_why_and_a_closed_case_is_a_normal_answer(web: WebSide) -> None:
    case = await web.failed("cancel")
    await web.api(f"/cases/{case.id}/cancel", {"by": "customer", "why": "moved away"})
    closed = await web.closed("in_cancel")
    assert (closed.outcome, closed.ended_by) == (Outcome.CANCELLED, "customer")
    before = await web.sandbox.charges()
    asked: list[tuple[str, Any]] = [
        ("card-updated", {"method": "card_cancel"}),
        ("cancel", SAID),
        ("payment-succeeded", {}),
        *(("retry-now", SAID), ("pause", SAID), ("resume", SAID), ("approve", SAID)),
        *(("skip-step", SAID), ("move-to-version", {**SAID, "version": 1})),
        ("reschedule", {**SAID, "at": LATER.isoformat()}),
    ]
    for path, body in asked:
        answer = await web.api(f"/cases/{case.id}/{path}", body)
        assert answer.status_code == 200, path
        said = answer.json()
        assert (said["became"], said["outcome"], said["case"]) == ("closed", "cancelled", case.id)
        assert "cancelled by customer: moved away" in said["sentence"]
    assert len(await until(lambda: _late(web, case, 3))) == 3
    assert await web.sandbox.charges() == before
    answer = await web.api("/cases", {"processor": "sandbox", "invoice": "in_cancel"})
    assert (answer.status_code, answer.json()["became"]) == (200, "closed")


async def _late(web: WebSide, case: CaseRow, count: int) -> list[str] | None:
    found = await web.late_facts(case.id)
    return found if len(found) >= count else None


class OutOfBreath:
    """A Temporal whose workers are all too busy to answer a query."""

    def get_workflow_handle(self, _: str) -> Self:
        return self

    async def query(self, *_: object, **__: object) -> object:
        raise WorkflowQueryFailedError("[TMPRL1101] Potential deadlock detected")


async def test_a_case_is_told_from_the_database_where_no_worker_can_answer(web: WebSide) -> None:
    case = await web.failed("unanswered")
    found = await told(dataclasses.replace(web.desk, temporal=cast("Client", OutOfBreath())), case)
    assert (found.case_id, found.workflow_id, found.status) == (case.id, case.workflow_id, Status.WAITING)
    assert found.sentence == case.sentence
    assert [line.text for line in found.timeline] == [line.text for line in await web.journal(case.id)]


async def test_a_case_that_nobody_knows_is_not_found(web: WebSide) -> None:
    before = await web.counts()
    assert (await web.look("/cases/case_nobody")).status_code == 404
    for name in (*FactName, *WishName):
        body = {"on": LATER.isoformat(), "at": LATER.isoformat(), "version": 1}
        body |= SAID if name in WISHES else {}
        answer = await web.api(f"/cases/case_nobody/{name.replace('_', '-')}", body)
        assert (answer.status_code, answer.json()["error"]) == (404, "no case has the id case_nobody")
    assert await web.counts() == before


async def test_wishes_are_granted_or_refused_with_a_reason_and_recorded(web: WebSide) -> None:
    case = await web.failed("wishes", "insufficient_funds")

    async def wish(name: str, **more: object) -> tuple[str, str]:
        answer = await web.api(f"/cases/{case.id}/{name}", {**SAID, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["became"], answer.json()["sentence"]

    assert await wish("resume") == ("refused", "the case is not paused")
    assert (await wish("pause"))[0] == "granted"
    assert await status_of(web, case) == "paused"
    assert (await wish("resume"))[0] == "granted"
    assert await wish("approve") == ("refused", "the case does not wait for anybody")
    became, sentence = await wish("skip-step", step="day-99")
    assert (became, "there is no step 'day-99'" in sentence) == ("refused", True)
    assert (await wish("skip-step", step="first-notice"))[0] == "granted"
    became, sentence = await wish("reschedule", at="2020-01-01T00:00:00Z")
    assert (became, "is past: give a later time" in sentence) == ("refused", True)
    moved = LATER.replace(microsecond=0)
    assert (await wish("reschedule", at=moved.isoformat(), step="second-try"))[0] == "granted"
    became, sentence = await wish("move-to-version", version=99)
    assert (became, "has no version 99" in sentence) == ("refused", True)
    assert (await wish("retry-now"))[0] == "granted"
    lines = [line for line in await web.journal(case.id) if line.kind == "wish"]
    assert [(line.by, line.why) for line in lines] == [(SAID["by"], SAID["why"])] * 10
    assert [("granted" in line.text) for line in lines].count(True) == 5

    async def at_rest() -> bool:
        row = await web.case("in_wishes")
        return row is not None and row.next_step_at == moved

    await until(at_rest)
    assert [c.invoice for c in await web.sandbox.charges()].count("in_wishes") == 1


@pytest.mark.parametrize(
    "body", [{}, {"by": "ops"}, {"why": "x"}, {"by": " ", "why": "x"}, {**SAID, "until": 7}]
)
async def test_a_wish_without_who_and_why_is_refused(web: WebSide, body: dict[str, object]) -> None:
    case = await web.case("in_nameless") or await web.failed("nameless")
    assert (await web.api(f"/cases/{case.id}/pause", body)).status_code in (
        {422} if "until" not in body else {200, 422}
    )
    assert [line for line in await web.journal(case.id) if line.by == "ops"] == []
