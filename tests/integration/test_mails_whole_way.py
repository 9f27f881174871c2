"""A mail's whole way: from a case to SendGrid, and back as SendGrid's events about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import embedded
import keys
from store import customers, engagement, messages
from store.engagement import Engagement
from tests.integration.web_side import opened_web_side, until
from tests.stand_ins.mail_provider import MailProvider, Misbehaviour
from tests.stand_ins.sendgrid_events import SigningKey, body_of, mail_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.tables import CaseRow, MessageRow
    from tests.conftest import Databases
    from tests.integration.web_side import WebSide
    from tests.stand_ins.mail_provider import Entry

KEY = SigningKey()
SAID = {"by": "ops", "why": "a call"}
STEP = "first-notice.message"


@pytest.fixture
async def provider() -> AsyncIterator[MailProvider]:
    async with MailProvider("SG.key") as running:
        yield running


@pytest.fixture
async def web(databases: Databases, tmp_path: Path, provider: MailProvider) -> AsyncIterator[WebSide]:
    if embedded.find_binary() is None:
        pytest.skip("no temporal binary for this platform")
    settings: dict[str, Any] = {
        "sendgrid_api_key": provider.key,
        "sendgrid_api_base": provider.url,
        "sendgrid_webhook_key": KEY.public,
        "mail_from": "Northwind <billing@northwind.example>",
    }
    async with (
        embedded.run_server(None, ui=False) as server,
        opened_web_side(databases.fresh("sqlite"), tmp_path, server.address, **settings) as side,
    ):
        yield side


async def report(web: WebSide, *events: dict[str, Any]) -> None:
    body = body_of(*events)
    headers = KEY.headers(body, datetime.now(UTC))
    answer = await web.http.post("/webhooks/sendgrid", content=body, headers=headers)
    assert answer.status_code == 200


async def mailed(web: WebSide, name: str) -> tuple[CaseRow, MessageRow]:
    """Let a payment fail, and wait until its first mail was handed over and settled."""
    case = await web.failed(name, "insufficient_funds")
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    moved = await web.api(f"/cases/{case.id}/reschedule", {**SAID, "step": "first-notice", "at": soon})
    assert moved.json()["became"] == "granted"
    return case, await settled(web, case)


async def settled(web: WebSide, case: CaseRow) -> MessageRow:
    async def row() -> MessageRow | None:
        async with web.desk.tools.database.read() as session:
            found = await messages.get(session, case.id, STEP)
        return found if found and found.settled_at else None

    return await until(row)


async def test_the_link_and_the_events_of_a_mail_lead_back_to_it(
    web: WebSide, provider: MailProvider
) -> None:
    case, message = await mailed(web, "whole")
    [entry] = provider.book
    text = entry.body["content"][0]["value"]
    token = text.partition("/pay/")[2].split()[0]

    assert message.state == messages.SENT
    assert entry.message_id == keys.message_id(case.id, STEP) == web.desk.links.message_of(token)
    assert web.desk.links.case_of(token) == case.id
    opened_at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=30)
    await report(web, mail_event("open", entry.message_id, opened_at))
    await web.http.get(f"/pay/{token}", headers={"User-Agent": "Mozilla/5.0", "Sec-Fetch-Mode": "navigate"})
    async with web.desk.tools.database.read() as session:
        seen = await engagement.of_case(session, case.id)
    assert seen.opened_at == opened_at
    assert seen.clicked_at is not None
    assert seen == Engagement(opened_at, seen.clicked_at)


async def test_a_mail_whose_answer_was_lost_is_settled_by_its_event(
    web: WebSide, provider: MailProvider
) -> None:
    provider.misbehave(Misbehaviour.DROP_AFTER_ACCEPTING)
    case, message = await mailed(web, "lost")
    assert message.state == messages.UNKNOWN

    await report(web, mail_event("delivered", message.id, datetime.now(UTC)))

    message = await settled(web, case)
    assert (message.state, message.detail) == (messages.SENT, message.subject)
    assert message.subject == provider.book[0].body["subject"]
    assert len(provider.book) == 1


async def test_a_mail_that_comes_back_before_the_provider_has_answered_stays_failed(
    web: WebSide, provider: MailProvider
) -> None:
    async def drop(entry: Entry) -> None:
        await report(
            web, mail_event("dropped", entry.message_id, datetime.now(UTC), reason="Bounced Address")
        )

    provider.on_taking = drop
    case, _ = await mailed(web, "dropped")

    async def answered() -> bool:
        row = await web.case("in_dropped")
        return row is not None and STEP in row.story["done"]

    await until(answered)
    message = await settled(web, case)
    assert (message.state, message.detail) == (messages.FAILED, "dropped: Bounced Address")
    async with web.desk.tools.database.read() as session:
        customer = await customers.get(session, case.processor, case.account, case.customer)
    assert customer is not None
    assert customer.refused_address == customer.email == "dropped@example.com"
