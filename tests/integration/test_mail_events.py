"""What SendGrid reports of mails that were handed over: believed or not, taken in once, and acted on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import keys
from store import customers, events, messages
from tests.integration.mail_side import ADDRESS, KEY, MINUTE, NOW, STEP, Side, opened_side
from tests.stand_ins.sendgrid_events import SigningKey, body_of, mail_event
from web.mail_events import SOURCE
from web.webhooks import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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


async def test_what_is_delivered_several_times_in_one_moment_is_taken_in_once(side: Side) -> None:
    first, second = await side.mailed("in_1"), await side.mailed("in_2")
    reported = [
        mail_event("bounce", keys.message_id(case.id, STEP), NOW, type="bounce", reason="550 unknown")
        for case in (first, second)
    ]

    orders = [reported, reported[::-1], reported, reported[::-1]]
    answers = await asyncio.gather(*(side.report(*order) for order in orders))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(answer.json()["new"] for answer in answers) == 2
    assert [row.state for row in await side.inbox()] == [events.HANDED_ON] * 2
    assert [len(await side.journal(case)) for case in (first, second)] == [1, 1]


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
