"""SendGrid's events: which requests are believed, and what they say of our mails."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from errors import BadInput, BadSettings, BadSignature
from messaging.sendgrid_events import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    EventVerifier,
    News,
    read_events,
)
from tests.stand_ins.sendgrid_events import SigningKey, body_of, mail_event

NOW = datetime(2026, 6, 12, 10, tzinfo=UTC)
KEY = SigningKey()
BODY = body_of(mail_event("open", "case_a.day-1.message", NOW, useragent="Müller/1.0"))
MESSAGE = "case_a.day-1.message"


def verify(body: bytes, headers: dict[str, str], now: datetime = NOW) -> None:
    EventVerifier(KEY.public).verify(body, headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER), now)


def test_a_signed_request_is_believed_for_five_minutes() -> None:
    headers = KEY.headers(BODY, NOW)

    for late in (timedelta(), timedelta(seconds=300), timedelta(seconds=-300)):
        verify(BODY, headers, NOW + late)
    for late in (timedelta(seconds=301), timedelta(seconds=-301), timedelta(days=365)):
        with pytest.raises(BadSignature, match="not of the last 300 seconds"):
            verify(BODY, headers, NOW + late)


@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE_HEADER: None},
        {TIMESTAMP_HEADER: None},
        {SIGNATURE_HEADER: ""},
        {SIGNATURE_HEADER: "no base64: é"},
        {SIGNATURE_HEADER: base64.b64encode(b"no signature").decode()},
        {SIGNATURE_HEADER: SigningKey().headers(BODY, NOW)[SIGNATURE_HEADER]},
        {SIGNATURE_HEADER: KEY.headers(BODY + b" ", NOW)[SIGNATURE_HEADER]},
        {TIMESTAMP_HEADER: str(int(NOW.timestamp()) + 1)},
        {TIMESTAMP_HEADER: "now"},
        {TIMESTAMP_HEADER: "9" * 40},
    ],
    ids=[
        "no signature",
        "no time",
        "an empty signature",
        "a signature that is no base64",
        "base64 that is no signature",
        "another key's signature",
        "another body's signature",
        "another second",
        "a time in words",
        "a time of forty digits",
    ],
)
def test_a_wrong_signature_gets_one_answer_whatever_is_wrong(change: dict[str, str | None]) -> None:
    headers = {name: value for name, value in (KEY.headers(BODY, NOW) | change).items() if value is not None}

    with pytest.raises(BadSignature) as refused:
        verify(BODY, headers)

    assert str(refused.value).startswith("the signature is missing or wrong")


def test_a_signed_timestamp_that_is_none_and_a_body_that_is_no_text_are_refused() -> None:
    with pytest.raises(BadSignature, match="missing or wrong"):
        verify(b"\xff\xfe", KEY.headers(b"\xff\xfe", NOW))


def test_a_key_that_is_on_no_curve_stops_with_its_setting_named() -> None:
    key = base64.b64decode(KEY.public)
    off = base64.b64encode(key[:-1] + bytes([key[-1] ^ 1])).decode()

    for unfit in (off, "nonsense"):
        with pytest.raises(BadSettings, match="DUNWELL_SENDGRID_WEBHOOK_KEY"):
            EventVerifier(unfit)


@pytest.mark.parametrize(
    ("name", "more", "news", "address_at_fault"),
    [
        ("processed", {}, News.TAKEN, False),
        ("delivered", {"response": "250 OK"}, News.TAKEN, False),
        ("open", {"sg_machine_open": False}, News.OPENED, False),
        ("open", {}, News.OPENED, False),
        ("open", {"sg_machine_open": True}, News.NOTHING, False),
        ("click", {"url": "https://example.com"}, News.CLICKED, False),
        ("bounce", {"type": "bounce", "reason": "550 5.1.1 unknown"}, News.FAILED, True),
        ("bounce", {"type": "blocked", "reason": "554 spam"}, News.FAILED, False),
        ("bounce", {"reason": "expired"}, News.FAILED, False),
        ("dropped", {"reason": "Bounced Address"}, News.FAILED, True),
        ("dropped", {"reason": "Invalid"}, News.FAILED, True),
        ("dropped", {"reason": "Spam Reporting Address"}, News.FAILED, True),
        ("dropped", {"reason": "Unsubscribed Address"}, News.FAILED, True),
        ("dropped", {"reason": "Spam Content"}, News.FAILED, False),
        ("dropped", {}, News.FAILED, False),
        ("spamreport", {}, News.UNWANTED, True),
        ("unsubscribe", {}, News.UNWANTED, True),
        ("group_unsubscribe", {}, News.NOTHING, False),
        ("deferred", {"response": "450 later"}, News.NOTHING, False),
        ("of the future", {}, News.NOTHING, False),
    ],
)
def test_each_kind_of_event_says_something(
    name: str, more: dict[str, object], news: News, *, address_at_fault: bool
) -> None:
    name = name.replace(" ", "-")
    [event] = read_events(body_of(mail_event(name, MESSAGE, NOW, **more)))

    assert (event.name, event.message, event.at) == (name, MESSAGE, NOW)
    assert (event.news, event.address_at_fault) == (news, address_at_fault)


def test_what_is_kept_says_nothing_of_who_opened_a_mail_and_where() -> None:
    reason = "550 <Ada@Example.com>: user unknown\r\nsee https://example.com"
    told = mail_event(
        "bounce", MESSAGE, NOW, type="bounce", reason=reason, ip="192.0.2.1", useragent="Mozilla/5.0", url="x"
    )
    [event] = read_events(body_of(told))

    assert event.why == "bounce: 550 <the address>: user unknown see https://example.com"
    assert event.id == told["sg_event_id"]
    assert event.reference == told["sg_message_id"]
    assert not {"ip", "useragent", "email", "url", "smtp-id"} & set(json.loads(event.body))
    assert json.loads(event.body)["dunwell_message"] == MESSAGE


def test_events_about_mails_of_others_and_events_of_no_form_are_left_out() -> None:
    mine = mail_event("open", MESSAGE, NOW)
    without_id = {key: value for key, value in mine.items() if key != "sg_event_id"}
    body = body_of(
        mail_event("open", None, NOW),
        mine,
        without_id,
        mine | {"timestamp": "later"},
        mine | {"timestamp": 10**30},
        mine | {"sg_event_id": "a\x00b"},
        mine | {"dunwell_message": ["case"]},
    )

    assert [event.id for event in read_events(body)] == [mine["sg_event_id"]]
    assert read_events(b"[1, null, []]") == ()


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'"x"', b"[" * 100_000])
def test_what_is_no_list_of_events_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        read_events(body)
