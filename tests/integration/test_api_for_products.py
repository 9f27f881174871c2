"""The API as a product asks it: what a customer may still do, who is left alone, and how it describes itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema

from campaigns.story import Outcome
from tests.integration.web_side import API_KEY, until

if TYPE_CHECKING:
    import httpx

    from store.tables import CaseRow
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

SAID = {"by": "ops@example.com", "why": "the customer called"}


async def access(web: WebSide, customer: str) -> dict[str, Any]:
    found: dict[str, Any] = (await web.look(f"/access/{customer}")).json()
    return found


async def test_access_is_the_strictest_of_all_cases_and_is_given_back(web: WebSide) -> None:
    unknown = await access(web, "cus_access")
    assert (unknown["access"], unknown["has_access"], unknown["payment_failed"]) == ("full", True, False)
    mild = await web.failed("access")
    await web.sandbox.set_script("card_access", "insufficient_funds")
    strict = await web.failed("access_2", customer="cus_access")
    worked = await access(web, "cus_access")
    assert (worked["access"], worked["payment_failed"]) == ("full", True)
    assert sorted(worked["cases"]) == sorted([mild.id, strict.id])
    assert worked["changes_at"] is not None
    await _limit(web, strict)
    limited = await access(web, "cus_access")
    assert (limited["access"], limited["has_access"], limited["cases"][0]) == ("limited", True, strict.id)
    await web.api(f"/cases/{strict.id}/cancel", SAID)
    await web.closed("in_access_2")
    given_back = await access(web, "cus_access")
    assert (given_back["access"], given_back["cases"]) == ("full", [mild.id])
    changes = [line.text for line in await web.journal(strict.id) if line.kind == "access"]
    assert changes == ["limited", "full"]


async def _limit(web: WebSide, case: CaseRow) -> None:
    """Move every step before the one that limits access out of the way, and that one to now."""
    for step in ("first-notice", "second-try", "third-try"):
        await web.api(f"/cases/{case.id}/skip-step", {**SAID, "step": step})
    soon = datetime.now(UTC) + timedelta(seconds=1)
    moved = await web.api(
        f"/cases/{case.id}/reschedule", {**SAID, "step": "limit-access", "at": soon.isoformat()}
    )
    assert moved.json()["became"] == "granted", moved.text

    async def limited() -> bool:
        return any(line.kind == "access" for line in await web.journal(case.id))

    await until(limited)


async def test_a_customer_who_is_excluded_is_not_worked_until_taken_back(web: WebSide) -> None:
    path = "/v1/customers/sandbox/cus_excluded/exclusion"
    headers = {"Authorization": f"Bearer {API_KEY}"}
    answer = await web.http.put(path, json={"by": "ada", "why": "a friend of the house"}, headers=headers)
    assert answer.status_code == 200
    await web.post((await web.owe("excluded")).body)
    closed = await web.closed("in_excluded")
    assert closed.outcome == Outcome.EXCLUDED
    assert "a friend of the house" in closed.sentence
    assert [c for c in await web.sandbox.charges() if c.invoice == "in_excluded"] == []
    assert (await web.http.put(path, json={"by": "ada"}, headers=headers)).status_code == 422
    assert (await web.http.delete(path, headers=headers)).status_code == 204
    case = await web.failed("excluded_2", customer="cus_excluded")
    assert case.closed_at is None


async def test_a_fact_about_a_customer_is_told_to_all_open_cases_once(web: WebSide) -> None:
    first = await web.failed("whole")
    second = await web.failed("whole_2", customer="cus_whole")
    path = "/customers/sandbox/cus_whole/cancel"
    answer = await web.api(path, SAID, key="whole-1")
    told = answer.json()
    assert told["became"] == "delivered"
    assert [told["case"], *(other["case"] for other in told["others"])] == [first.id, second.id]
    for name in ("in_whole", "in_whole_2"):
        assert (await web.closed(name)).outcome == Outcome.CANCELLED
    # By now there is no open case: the answer is the one that was given.
    again = await web.api(path, SAID, key="whole-1")
    assert again.status_code == 200
    assert (again.json()["became"], again.json()["replayed"]) == ("delivered", True)
    nobody = await web.api("/customers/sandbox/cus_nobody/cancel", SAID)
    assert (nobody.status_code, nobody.json()["became"]) == (200, "no open case")


async def test_health_is_asked_without_a_key(web: WebSide) -> None:
    answer = await web.http.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["events_waiting"] >= 0


async def test_the_api_describes_itself(web: WebSide) -> None:
    description = (await web.http.get("/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    assert (description["info"]["title"], bool(description["info"]["version"])) == ("Dunwell", True)
    assert {"/webhooks/{processor}", "/v1/cases", "/v1/access/{customer}", "/health"} <= set(
        description["paths"]
    )
    for name, schema in description["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert name.isidentifier() or "-" in name
    for reference in _references(description):
        found: Any = description
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    operations = [item for path in description["paths"].values() for item in path.values()]
    assert all(item.get("summary") for item in operations)
    assert len({item["operationId"] for item in operations}) == len(operations)
    assert "/pay/{token}" not in description["paths"]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    return [found for value in part for found in _references(value)] if isinstance(part, list) else []


async def test_every_answer_tells_browsers_to_be_careful(web: WebSide) -> None:
    answers: list[httpx.Response] = [
        await web.http.get("/"),
        await web.http.get("/health"),
        await web.http.get("/nowhere"),
        await web.http.get("/v1/cases"),
        await web.http.get("/pay/nonsense"),
        await web.http.get("/static/page.css"),
        await web.http.post("/webhooks/sandbox", content=b"x"),
    ]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answers[3].headers["WWW-Authenticate"] == "Bearer"
