"""SendGrid's sender against a provider that misbehaves: what it raises, and what was really taken."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from dataclasses import replace
from datetime import timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from errors import (
    BadInput,
    MailAnswerLost,
    MailError,
    MailRefused,
    SenderKeyRejected,
    SenderUnavailable,
)
from messaging.protocol import Mail
from messaging.sendgrid import SendGridSender
from tests.stand_ins.mail_provider import Answer, MailProvider, Misbehaviour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from messaging.protocol import Sender

KEY = "SG.secret-key"
MAIL = Mail(
    id="case_abc.day-1.message",
    to_address="ada@example.com",
    to_name="Ada Lovelace",
    from_address="billing@northwind.example",
    from_name="Northwind",
    subject="Your payment of 49,00 € did not go through",
    html="<html><body><p>Hello</p></body></html>",
    text="Hello\n",
    locale="en",
)


@pytest.fixture
async def provider() -> AsyncIterator[MailProvider]:
    async with MailProvider(KEY) as running:
        yield running


@pytest.fixture
async def sender(provider: MailProvider) -> AsyncIterator[SendGridSender]:
    made = SendGridSender(KEY, provider.url, timeout=0.5)
    yield made
    await made.close()


async def test_a_mail_is_taken_as_sendgrid_describes_it(
    provider: MailProvider, sender: SendGridSender
) -> None:
    receipt = await sender.send(MAIL)

    [entry] = provider.book
    assert receipt.reference == entry.id
    assert entry.message_id == MAIL.id
    assert entry.body["personalizations"] == [
        {
            "to": [{"email": "ada@example.com", "name": "Ada Lovelace"}],
            "custom_args": {"dunwell_message": "case_abc.day-1.message"},
        }
    ]
    assert entry.body["from"] == {"email": "billing@northwind.example", "name": "Northwind"}
    assert entry.body["subject"] == MAIL.subject
    assert [part["type"] for part in entry.body["content"]] == ["text/plain", "text/html"]


async def test_the_pay_link_is_not_rewritten_and_the_rest_is_left_to_the_account(
    provider: MailProvider, sender: SendGridSender
) -> None:
    await sender.send(MAIL)

    body = provider.book[0].body
    assert body["tracking_settings"] == {"click_tracking": {"enable": False, "enable_text": False}}
    assert "mail_settings" not in body


async def test_many_mails_at_once_are_each_taken_once(provider: MailProvider, sender: SendGridSender) -> None:
    mails = [replace(MAIL, id=f"case_{number}.day-1.message") for number in range(40)]

    receipts = await asyncio.gather(*(sender.send(mail) for mail in mails))

    assert sorted(entry.message_id for entry in provider.book) == sorted(mail.id for mail in mails)
    assert len({receipt.reference for receipt in receipts}) == 40


@pytest.mark.parametrize(
    ("order", "error", "taken"),
    [
        (Answer(401), SenderKeyRejected, 0),
        (
            Answer(403, message="The from address does not match a verified Sender Identity"),
            SenderKeyRejected,
            0,
        ),
        (Answer(404), SenderKeyRejected, 0),
        (Answer(302, {"Location": "/elsewhere"}), SenderKeyRejected, 0),
        (Answer(413, message="content too large"), MailRefused, 0),
        (Answer(429), SenderUnavailable, 0),
        (Answer(503), SenderUnavailable, 0),
        (Answer(500), MailAnswerLost, 0),
        (Answer(500, taken=True), MailAnswerLost, 1),
        (Answer(502, taken=True), MailAnswerLost, 1),
        (Answer(504, taken=True), MailAnswerLost, 1),
        (Misbehaviour.DROP_BEFORE_READING, MailError, 0),
        (Misbehaviour.DROP_AFTER_ACCEPTING, MailAnswerLost, 1),
        (Misbehaviour.HANG_AFTER_ACCEPTING, MailAnswerLost, 1),
        (Misbehaviour.BREAK_OFF_ITS_ANSWER, MailAnswerLost, 1),
    ],
    ids=str,
)
async def test_each_fault_is_named_for_what_may_have_happened(
    provider: MailProvider,
    sender: SendGridSender,
    order: Answer | Misbehaviour,
    error: type[MailError],
    taken: int,
) -> None:
    provider.misbehave(order)

    with pytest.raises(error) as raised:
        await sender.send(MAIL)

    assert len(provider.book) == taken
    assert provider.requests == 1, "a sender never tries again by itself"
    assert MAIL.id in str(raised.value)
    assert KEY not in str(raised.value)
    # Only what cannot have been taken may be called unavailable.
    assert not (taken and isinstance(raised.value, SenderUnavailable))


async def test_a_hanging_provider_is_left_after_the_time_out(
    provider: MailProvider, sender: SendGridSender
) -> None:
    provider.misbehave(Misbehaviour.HANG_AFTER_ACCEPTING)
    started = time.monotonic()

    with pytest.raises(MailAnswerLost):
        await sender.send(MAIL)

    assert time.monotonic() - started < 3


async def test_a_refused_connection_has_sent_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        sender = SendGridSender(KEY, f"http://127.0.0.1:{port}", timeout=0.5)
        with pytest.raises(SenderUnavailable, match=r"case_abc\.day-1\.message"):
            await sender.send(MAIL)
        await sender.close()


async def test_a_wrong_key_is_told_from_a_wrong_mail(provider: MailProvider) -> None:
    sender = SendGridSender("SG.another", provider.url, timeout=0.5)

    with pytest.raises(SenderKeyRejected, match="invalid, expired, or revoked"):
        await sender.send(MAIL)

    assert provider.book == []
    await sender.close()


async def test_a_refused_address_is_the_address_s_fault(
    provider: MailProvider, sender: SendGridSender
) -> None:
    provider.refused_addresses.add(MAIL.to_address)

    with pytest.raises(MailRefused) as raised:
        await sender.send(MAIL)
    await sender.send(replace(MAIL, to_address="grace@example.com"))

    assert raised.value.address_at_fault
    assert [entry.to for entry in provider.book] == ["grace@example.com"]


@pytest.mark.parametrize(
    "field", ["from.email", "content.0.value", "subject", "personalizations.0.to.0.name", None]
)
async def test_a_refused_mail_is_not_the_address_s_fault(
    provider: MailProvider, sender: SendGridSender, field: str | None
) -> None:
    provider.misbehave(Answer(400, field_name=field))

    with pytest.raises(MailRefused) as raised:
        await sender.send(MAIL)

    assert not raised.value.address_at_fault


async def test_the_description_is_what_a_wrong_mail_is_measured_by(
    provider: MailProvider, sender: SendGridSender
) -> None:
    with pytest.raises(MailRefused, match="subject") as raised:
        await sender.send(replace(MAIL, subject=""))

    assert not raised.value.address_at_fault
    assert provider.book == []


# Written out only when the test runs: a long session would make any time of its beginning the past.
IN_TWO_MINUTES_BY_DATE, IN_TWO_MINUTES_BY_SECONDS = "a date in two minutes", "seconds in two minutes"


def in_two_minutes(value: str) -> str:
    moment = time.time() + 120
    told = {
        IN_TWO_MINUTES_BY_DATE: formatdate(moment, usegmt=True),
        IN_TWO_MINUTES_BY_SECONDS: str(int(moment)),
    }
    return told.get(value, value)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "30"}, 30, 30),
        ({"Retry-After": IN_TWO_MINUTES_BY_DATE}, 60, 121),
        ({"X-RateLimit-Reset": IN_TWO_MINUTES_BY_SECONDS}, 60, 121),
        ({"X-RateLimit-Reset": "1392815263"}, 1, 1),
        ({"X-RateLimit-Reset": "99999999999"}, 3600, 3600),
    ],
    ids=str,
)
async def test_a_rate_limit_says_how_long_to_wait(
    provider: MailProvider, sender: SendGridSender, headers: dict[str, str], least: int, most: int
) -> None:
    provider.misbehave(Answer(429, {name: in_two_minutes(value) for name, value in headers.items()}))

    with pytest.raises(SenderUnavailable) as raised:
        await sender.send(MAIL)

    assert raised.value.retry_after is not None
    assert timedelta(seconds=least) <= raised.value.retry_after <= timedelta(seconds=most)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"X-RateLimit-Reset": "nan"}], ids=str)
async def test_a_rate_limit_that_says_nothing_usable_gives_no_time(
    provider: MailProvider, sender: SendGridSender, headers: dict[str, str]
) -> None:
    provider.misbehave(Answer(429, headers))

    with pytest.raises(SenderUnavailable) as raised:
        await sender.send(MAIL)

    assert raised.value.retry_after is None


async def test_nothing_of_the_key_or_the_customer_is_logged_at_any_level(
    provider: MailProvider, sender: SendGridSender, caplog: pytest.LogCaptureFixture
) -> None:
    library = logging.getLogger("python_http_client.client")
    library.setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            await sender.send(MAIL)
            provider.misbehave(Answer(400))
            with pytest.raises(MailRefused):
                await sender.send(MAIL)
    finally:
        library.setLevel(logging.NOTSET)

    for secret in (KEY, MAIL.to_address, "Lovelace", MAIL.subject):
        assert secret not in caplog.text


async def test_errors_do_not_repeat_the_customer_s_address(
    provider: MailProvider, sender: SendGridSender
) -> None:
    provider.misbehave(
        Answer(400, message=f"{MAIL.to_address} is on a list", field_name="personalizations.0.to")
    )

    with pytest.raises(MailRefused) as raised:
        await sender.send(MAIL)

    assert MAIL.to_address not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_the_key_does_not_follow_a_redirection(sender: SendGridSender, provider: MailProvider) -> None:
    async with MailProvider(KEY) as elsewhere:
        provider.misbehave(Answer(302, {"Location": f"{elsewhere.url}/v3/mail/send"}))

        with pytest.raises(SenderKeyRejected, match="redirection"):
            await sender.send(MAIL)

        assert elsewhere.requests == 0


@pytest.mark.parametrize("key", ["", "  ", "SG.with space", "SG.líne"])
def test_a_key_that_can_be_none_is_refused_at_once(key: str) -> None:
    with pytest.raises(BadInput) as raised:
        SendGridSender(key)

    assert not key.strip() or key not in str(raised.value)


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(BadInput, match="https://"):
        SendGridSender(KEY, "api.sendgrid.com")


def test_it_says_that_it_cannot_tell_a_repetition() -> None:
    sender: Sender = SendGridSender(KEY)

    assert not sender.repeatable
    assert sender.name == "sendgrid"
