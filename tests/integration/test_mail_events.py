"""What becomes of mails after they were handed over: SendGrid's events, and clicks on our own link."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlmodel import col, select
from temporalio.client import Client

import keys
from plugin import dunwell_plugin
from settings import load_settings
from store import cases, customers, events, journal, messages
from store.tables import EventRow, MessageRow
from tests.stand_ins.sendgrid_events import SigningKey, body_of, mail_event
from web.app import make_app
from web.desk import Desk
from web.mail_events import SOURCE
from web.webhooks import LARGEST_BODY
from wiring import make_links, open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from store.tables import CaseRow, CustomerRow, EntryRow

KEY = SigningKey()
ADDRESS = "ada@example.com"
STEP = "day-1.message"
# Events carry whole seconds.
NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
)
BROWSER = {"User-Agent": PHONE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@dataclass
class Side:
    """The web side on a database, without Temporal: nothing of what is tested here needs it."""

    desk: Desk
    http: httpx.AsyncClient

    async def mailed(self, invoice: str, *steps: str, state: str = messages.SENT) -> CaseRow:
        """Give an open case for which mails were handed over, one a minute."""
        async with self.desk.tools.database.begin() as session:
            reserved = await cases.reserve(session, "sandbox", "main", invoice, NOW, customer="cus_ada")
            await customers.keep(session, "sandbox", "main", "cus_ada", NOW, email=ADDRESS)
            for count, step in enumerate(steps or (STEP,)):
                await messages.claim(
                    session,
                    reserved.case.id,
                    step,
                    "payment_failed",
                    NOW + count * MINUTE,
                    state=state,
                    address=ADDRESS,
                    subject="Your payment did not go through",
                )
        return reserved.case

    async def report(self, *reported: dict[str, Any], **headers: str) -> httpx.Response:
        """Report events as SendGrid does, in one request."""
        body = body_of(*reported)
        signed = KEY.headers(body, datetime.now(UTC)) | headers
        return await self.http.post("/webhooks/sendgrid", content=body, headers=signed)

    async def message(self, case: CaseRow, step: str = STEP) -> MessageRow:
        async with self.desk.tools.database.read() as session:
            row = await messages.get(session, case.id, step)
        assert row is not None
        return row

    async def seen(self, case: CaseRow, step: str = STEP) -> tuple[datetime | None, datetime | None]:
        row = await self.message(case, step)
        return row.opened_at, row.clicked_at

    async def inbox(self) -> Sequence[EventRow]:
        async with self.desk.tools.database.read() as session:
            return (await session.exec(select(EventRow).order_by(col(EventRow.number)))).all()

    async def customer(self) -> CustomerRow:
        async with self.desk.tools.database.read() as session:
            row = await customers.get(session, "sandbox", "main", "cus_ada")
        assert row is not None
        return row

    async def journal(self, case: CaseRow) -> Sequence[EntryRow]:
        async with self.desk.tools.database.read() as session:
            return await journal.entries(session, case.id)

    async def open(self, names: str, **headers: str | None) -> httpx.Response:
        """Open the link that names a case or a message, in a browser unless told otherwise."""
        token = self.desk.links.token(names, datetime.now(UTC))
        sent = {name: value for name, value in (BROWSER | headers).items() if value is not None}
        return await self.http.get(f"/pay/{token}", headers=sent)


@asynccontextmanager
async def opened_side(database_url: str, folder: Path, **more: Any) -> AsyncIterator[Side]:
    settings = load_settings(
        database_url=database_url,
        sandbox_file=folder / "sandbox.db",
        mail_folder=folder / "mails",
        secret_key="a key for links that only tests sign",
        **more,
    )
    async with AsyncExitStack() as stack:
        tools = await stack.enter_async_context(open_tools(settings, NOW))
        # Never connected: nothing here starts the relay, and no route asks Temporal.
        client = await Client.connect("127.0.0.1:1", lazy=True, plugins=[dunwell_plugin()])
        desk = Desk(settings, tools, client, make_links(settings))
        transport = httpx.ASGITransport(make_app(desk))
        http = httpx.AsyncClient(transport=transport, base_url="http://dunwell.example")
        yield Side(desk, await stack.enter_async_context(http))


@pytest.fixture
async def side(database_url: str, tmp_path: Path) -> AsyncIterator[Side]:
    async with opened_side(database_url, tmp_path, sendgrid_webhook_key=KEY.public) as opened:
        yield opened


# --- which requests are believed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble", ["unsigned", "by somebody else", "of another body", "no base64", "another time", "too old"]
)
async def test_what_sendgrid_did_not_just_sign_does_nothing(side: Side, trouble: str) -> None:
    case = await side.mailed("in_1")
    body = body_of(mail_event("open", keys.message_id(case.id, STEP), NOW))
    now = datetime.now(UTC)
    signed = KEY.headers(body, now)
    headers = {
        "unsigned": {},
        "by somebody else": SigningKey().headers(body, now),
        "of another body": KEY.headers(body + b" ", now),
        "no base64": signed | {"X-Twilio-Email-Event-Webhook-Signature": "nonsense"},
        "another time": signed | {"X-Twilio-Email-Event-Webhook-Timestamp": str(int(now.timestamp()) + 2)},
        "too old": KEY.headers(body, now - timedelta(seconds=310)),
    }[trouble]

    answer = await side.http.post("/webhooks/sendgrid", content=body, headers=headers)

    assert answer.status_code == 400
    wrong = "the signature is missing or wrong: is DUNWELL_SENDGRID_WEBHOOK_KEY this webhook's?"
    old = "the signature is not of the last 300 seconds: is the clock right?"
    assert answer.json() == {"error": old if trouble == "too old" else wrong}
    assert await side.inbox() == []
    assert await side.seen(case) == (None, None)


@pytest.mark.parametrize("body", [b"", b"{}", b"no json", b'"open"'])
async def test_what_is_no_list_of_events_is_refused_though_it_is_signed(side: Side, body: bytes) -> None:
    headers = KEY.headers(body, datetime.now(UTC))
    answer = await side.http.post("/webhooks/sendgrid", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("not events of SendGrid: ")


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(side: Side) -> None:
    body = b"[" + b" " * LARGEST_BODY + b"]"
    answer = await side.http.post(
        "/webhooks/sendgrid", content=body, headers=KEY.headers(body, datetime.now(UTC))
    )

    assert answer.status_code == 413
    assert await side.inbox() == []


async def test_without_a_key_nothing_is_expected_of_sendgrid(database_url: str, tmp_path: Path) -> None:
    async with opened_side(database_url, tmp_path) as side:
        answer = await side.report(mail_event("open", "case_a.day-1.message", NOW))

        assert answer.status_code == 404
        assert "DUNWELL_SENDGRID_WEBHOOK_KEY" in answer.json()["error"]
        assert await side.inbox() == []


# --- what follows from events ------------------------------------------------------------------------


async def test_an_opening_and_a_click_are_written_down_the_first_of_each(side: Side) -> None:
    case = await side.mailed("in_1", STEP, "day-3.message")
    message = keys.message_id(case.id, STEP)

    answer = await side.report(
        mail_event("open", message, NOW - 3 * MINUTE),
        mail_event("open", message, NOW - 4 * MINUTE, sg_machine_open=False),
        mail_event("click", message, NOW - 2 * MINUTE),
        mail_event("click", message, NOW - MINUTE),
    )

    assert (answer.status_code, answer.json()) == (200, {"received": 4, "new": 4})
    assert await side.seen(case) == (NOW - 4 * MINUTE, NOW - 2 * MINUTE)
    assert await side.seen(case, "day-3.message") == (None, None)


async def test_a_time_that_is_yet_to_come_counts_as_now(side: Side) -> None:
    case = await side.mailed("in_1")
    before = datetime.now(UTC)

    await side.report(mail_event("open", keys.message_id(case.id, STEP), NOW + timedelta(days=3)))

    opened_at, _ = await side.seen(case)
    assert opened_at is not None
    assert before <= opened_at <= datetime.now(UTC)


async def test_an_event_is_kept_without_what_it_says_of_a_person(side: Side) -> None:
    case = await side.mailed("in_1")
    event = mail_event(
        "open", keys.message_id(case.id, STEP), NOW - MINUTE, ip="192.0.2.7", useragent="Mozilla/5.0"
    )

    await side.report(event)

    [row] = await side.inbox()
    assert (row.source, row.event, row.type) == (SOURCE, event["sg_event_id"], "open")
    assert (row.state, row.why, row.case_id) == (events.HANDED_ON, "the mail was opened", case.id)
    assert row.settled_at is not None
    assert not any(told in row.body for told in ("192.0.2.7", "Mozilla", ADDRESS))


async def test_a_replay_and_a_second_delivery_do_nothing(side: Side) -> None:
    case = await side.mailed("in_1")
    message = keys.message_id(case.id, STEP)
    bounce = mail_event("bounce", message, NOW, type="bounce", reason="550 unknown")
    opened = mail_event("open", message, NOW - MINUTE)
    assert (await side.report(opened, bounce, bounce)).json() == {"received": 3, "new": 2}
    async with side.desk.tools.database.begin() as session:
        await customers.keep(session, "sandbox", "main", "cus_ada", NOW, refused_address=None)
    before = await side.message(case), await side.inbox(), await side.journal(case)

    answers = [await side.report(opened, bounce), await side.report(bounce)]

    assert [answer.json()["new"] for answer in answers] == [0, 0]
    assert (await side.message(case), await side.inbox(), await side.journal(case)) == before
    assert (await side.customer()).refused_address is None


async def test_a_machine_that_opens_a_mail_is_nobody(side: Side) -> None:
    case = await side.mailed("in_1")

    await side.report(mail_event("open", keys.message_id(case.id, STEP), NOW, sg_machine_open=True))

    assert await side.seen(case) == (None, None)
    [row] = await side.inbox()
    assert (row.state, row.case_id) == (events.IGNORED, case.id)
    assert row.why == "nothing follows: opened by a machine before anybody could see it"


async def test_mails_of_others_are_no_concern_of_ours(side: Side) -> None:
    case = await side.mailed("in_1")

    answer = await side.report(
        mail_event("open", None, NOW),
        mail_event("bounce", "case_of_another_installation.day-1.message", NOW, type="bounce"),
    )

    assert answer.json() == {"received": 1, "new": 1}
    [row] = await side.inbox()
    assert (row.state, row.why) == (events.IGNORED, "no message of ours is concerned")
    assert await side.seen(case) == (None, None)
    assert (await side.customer()).refused_address is None


@pytest.mark.parametrize("name", ["processed", "delivered"])
@pytest.mark.parametrize("state", [messages.UNKNOWN, messages.SENDING])
async def test_a_mail_in_doubt_is_settled_as_sent(side: Side, name: str, state: str) -> None:
    case = await side.mailed("in_1", state=state)

    await side.report(mail_event(name, keys.message_id(case.id, STEP), NOW, sg_message_id="sg-1.filter"))

    row = await side.message(case)
    assert (row.state, row.detail, row.reference) == (
        messages.SENT,
        "Your payment did not go through",
        "sg-1.filter",
    )
    assert row.settled_at is not None


@pytest.mark.parametrize("state", [messages.SENT, messages.FAILED, messages.DROPPED, messages.WAITING])
async def test_a_mail_that_is_not_in_doubt_stays_as_it_is(side: Side, state: str) -> None:
    case = await side.mailed("in_1", state=state)
    before = await side.message(case)

    await side.report(mail_event("delivered", keys.message_id(case.id, STEP), NOW))

    assert await side.message(case) == before
    assert [row.state for row in await side.inbox()] == [events.IGNORED]


@pytest.mark.parametrize(
    ("name", "more", "refused"),
    [
        ("bounce", {"type": "bounce", "reason": f"550 <{ADDRESS}>: user unknown"}, True),
        ("bounce", {"type": "blocked", "reason": "554 looks like spam"}, False),
        ("dropped", {"reason": "Bounced Address"}, True),
        ("dropped", {"reason": "Spam Content"}, False),
    ],
)
async def test_a_mail_that_came_back_has_failed_and_a_bad_address_is_not_tried_again(
    side: Side, name: str, more: dict[str, str], *, refused: bool
) -> None:
    case = await side.mailed("in_1")

    await side.report(mail_event(name, keys.message_id(case.id, STEP), NOW, **more))

    row, customer = await side.message(case), await side.customer()
    why = f"{name}: {more['reason']}".replace(ADDRESS, "the address")
    assert (row.state, row.detail) == (messages.FAILED, why)
    assert (customer.refused_address, customer.refused_why) == ((ADDRESS, why) if refused else (None, None))
    assert customer.email == ADDRESS
    [line] = await side.journal(case)
    assert line.text == f"mail 'payment_failed' was not delivered: {why}"


async def test_what_is_reported_of_a_mail_that_failed_already_changes_nothing(side: Side) -> None:
    case = await side.mailed("in_1")
    message = keys.message_id(case.id, STEP)
    await side.report(mail_event("bounce", message, NOW, type="blocked", reason="554 no"))
    before = await side.message(case)

    await side.report(
        mail_event("dropped", message, NOW, reason="Bounced Address"), mail_event("delivered", message, NOW)
    )

    assert await side.message(case) == before
    assert len(await side.journal(case)) == 1


@pytest.mark.parametrize("name", ["spamreport", "unsubscribe"])
async def test_who_wants_no_mails_gets_no_more_though_this_one_was_sent(side: Side, name: str) -> None:
    case = await side.mailed("in_1")
    before = await side.message(case)

    await side.report(mail_event(name, keys.message_id(case.id, STEP), NOW))

    customer = await side.customer()
    assert (customer.refused_address, customer.refused_why) == (ADDRESS, name)
    assert await side.message(case) == before
    assert [line.text for line in await side.journal(case)] == [
        f"mail 'payment_failed' was not wanted: {name}"
    ]


@pytest.mark.parametrize("name", ["deferred", "group_unsubscribe", "account_status_change"])
async def test_nothing_follows_from_other_events(side: Side, name: str) -> None:
    case = await side.mailed("in_1")
    before = await side.message(case), await side.customer()

    assert (await side.report(mail_event(name, keys.message_id(case.id, STEP), NOW))).status_code == 200

    assert (await side.message(case), await side.customer()) == before
    assert [row.state for row in await side.inbox()] == [events.IGNORED]


# --- clicks on our own link --------------------------------------------------------------------------


async def test_a_link_that_a_person_follows_counts_for_the_mail_that_it_stood_in(side: Side) -> None:
    case = await side.mailed("in_1", STEP, "day-3.message")
    before = datetime.now(UTC)

    answer = await side.open(keys.message_id(case.id, STEP))

    assert answer.status_code == 200
    opened_at, clicked_at = await side.seen(case)
    assert opened_at == clicked_at
    assert clicked_at is not None
    assert before <= clicked_at <= datetime.now(UTC)
    assert await side.seen(case, "day-3.message") == (None, None)
    await side.open(keys.message_id(case.id, STEP))
    assert await side.seen(case) == (opened_at, clicked_at)


async def test_a_link_that_names_no_mail_counts_for_the_last_one_that_was_sent(side: Side) -> None:
    case = await side.mailed("in_1", STEP, "day-3.message")
    async with side.desk.tools.database.begin() as session:
        await messages.claim(
            session, case.id, "day-5.message", "last_notice", NOW + 9 * MINUTE, state=messages.DROPPED
        )

    await side.open(case.id)

    assert await side.seen(case) == (None, None)
    assert None not in await side.seen(case, "day-3.message")
    assert await side.seen(case, "day-5.message") == (None, None)


async def test_a_link_of_a_case_without_mails_opens_all_the_same(side: Side) -> None:
    async with side.desk.tools.database.begin() as session:
        case = (await cases.reserve(session, "sandbox", "main", "in_1", NOW)).case

    assert (await side.open(case.id)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Mozilla/5.0 (compatible; bingbot/2.0)"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Barracuda Sentinel (EE)"},
        {"Sec-Fetch-Mode": None, "User-Agent": "Mozilla/5.0 BingPreview/1.0b"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36"},
        {"Sec-Fetch-Mode": None, "User-Agent": "curl/8.5.0"},
        {"Sec-Fetch-Mode": None, "User-Agent": ""},
    ],
    ids=str,
)
async def test_a_program_that_looks_at_a_link_is_nobody(side: Side, headers: dict[str, str | None]) -> None:
    case = await side.mailed("in_1")

    assert (await side.open(keys.message_id(case.id, STEP), **headers)).status_code == 200
    token = side.desk.links.token(keys.message_id(case.id, STEP), datetime.now(UTC))
    await side.http.head(f"/pay/{token}", headers=BROWSER)

    assert await side.seen(case) == (None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": None, "Sec-Fetch-Dest": None},
        {"User-Agent": "Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/120.0 Mobile Safari/537.36"},
    ],
    ids=str,
)
async def test_old_browsers_and_odd_telephones_are_people(side: Side, headers: dict[str, str | None]) -> None:
    case = await side.mailed("in_1")

    await side.open(keys.message_id(case.id, STEP), **headers)

    assert None not in await side.seen(case)


async def test_a_link_that_is_not_good_counts_for_nothing(side: Side) -> None:
    case = await side.mailed("in_1")
    token = side.desk.links.token(keys.message_id(case.id, STEP), datetime.now(UTC))

    for bad in (token[:-4] + "AAAA", side.desk.links.token("case_nobody.day-1.message", datetime.now(UTC))):
        assert (await side.http.get(f"/pay/{bad}", headers=BROWSER)).status_code == 404

    assert await side.seen(case) == (None, None)
