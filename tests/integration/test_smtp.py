"""SMTP's sender against real servers on loopback: what arrives, and what each refusal is called."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from errors import BadInput, MailAnswerLost, MailError, MailRefused, SenderKeyRejected, SenderUnavailable
from messaging.protocol import Mail
from messaging.smtp import SmtpSender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from email.message import EmailMessage
    from pathlib import Path

MAIL = Mail(
    id="case_abc.day-1.message",
    to_address="ada@example.com",
    to_name="Ada Lovelace, née Byron",
    from_address="billing@northwind.example",
    from_name="Northwind",
    subject="Your payment of 49,00 € did not go through",
    html=f"<html><body><p>{'Grüße ' * 300}</p></body></html>",
    text=f"Grüße\n.\n..two dots\n{'long ' * 400}\n",
    locale="en",
)


@dataclass
class Sink:
    """Takes mails, and answers as the test asks."""

    received: list[bytes] = field(default_factory=list)
    recipients: dict[str, str] = field(default_factory=dict)
    on_mail: str | None = None
    on_data: str | None = None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's own name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.on_mail or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.on_data:
            return self.on_data
        self.received.append(envelope.content)
        return "250 OK"


@contextlib.contextmanager
def serving(sink: Sink, **options: Any) -> Iterator[str]:
    controller = Controller(sink, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def send(url: str, mail: Mail = MAIL) -> str:
    sender = SmtpSender(url, timeout=0.5)
    try:
        return (await sender.send(mail)).reference
    finally:
        await sender.close()


async def test_a_mail_arrives_whole() -> None:
    sink = Sink()
    with serving(sink) as address:
        reference = await send(f"smtp://{address}")

    [content] = sink.received
    message: EmailMessage = message_from_bytes(content, policy=default)
    plain, marked_up = message.get_body(["plain"]), message.get_body(["html"])
    assert plain is not None
    assert marked_up is not None
    assert message["Message-ID"] == reference == "<case_abc.day-1.message@northwind.example>"
    assert message["Subject"] == MAIL.subject
    assert message["To"].addresses[0].display_name == MAIL.to_name
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message.get_content_type() == "multipart/alternative"
    assert plain.get_content().replace("\r\n", "\n") == MAIL.text, "lines of dots and long lines come through"
    assert marked_up.get_content().strip() == MAIL.html
    assert content.isascii()


async def test_an_address_that_is_refused_is_at_fault() -> None:
    sink = Sink(recipients={MAIL.to_address: f"550 5.1.1 <{MAIL.to_address}>: user unknown"})
    with serving(sink) as address:
        with pytest.raises(MailRefused, match="550") as raised:
            await send(f"smtp://{address}")
        await send(f"smtp://{address}", replace(MAIL, to_address="grace@example.com"))

    assert raised.value.address_at_fault
    assert MAIL.to_address not in str(raised.value)
    assert len(sink.received) == 1


@pytest.mark.parametrize(
    ("sink", "error"),
    [
        (Sink(recipients={MAIL.to_address: "450 4.2.0 greylisted"}), SenderUnavailable),
        (Sink(recipients={MAIL.to_address: "554 5.7.1 relay access denied"}), MailRefused),
        (Sink(on_mail="451 4.3.0 try later"), SenderUnavailable),
        (Sink(on_mail="550 5.1.8 sender unknown"), MailRefused),
        (Sink(on_mail="530 5.7.0 authentication required"), SenderKeyRejected),
        (Sink(on_data="452 4.3.1 disk full"), SenderUnavailable),
        (Sink(on_data="552 5.3.4 too big"), MailRefused),
    ],
    ids=lambda value: str(value)[:90],
)
async def test_a_refusal_that_says_nothing_about_the_address(sink: Sink, error: type[MailError]) -> None:
    with serving(sink) as address, pytest.raises(error) as raised:
        await send(f"smtp://{address}")

    assert sink.received == []
    assert MAIL.id in str(raised.value)
    assert not getattr(raised.value, "address_at_fault", False)


@dataclass
class LogIn:
    """Takes one user's password, and counts what it was shown."""

    answer: AuthResult
    shown: list[bytes] = field(default_factory=list)

    def __call__(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.shown.append(data.password)
        return self.answer


async def test_it_logs_in_with_the_url_s_user_and_password() -> None:
    sink, log_in = Sink(), LogIn(AuthResult(success=True))
    with serving(sink, authenticator=log_in, auth_require_tls=False) as address:
        await send(f"smtp://billing%40northwind:p%2Fw%3A@{address}")

    assert log_in.shown == [b"p/w:"]
    assert len(sink.received) == 1


async def test_a_wrong_password_holds_all_mail() -> None:
    sink, log_in = Sink(), LogIn(AuthResult(success=False, handled=False))
    with (
        serving(sink, authenticator=log_in, auth_require_tls=False) as address,
        pytest.raises(SenderKeyRejected) as raised,
    ):
        await send(f"smtp://billing:secret@{address}")

    assert "secret" not in str(raised.value)
    assert sink.received == []


async def test_a_log_in_that_fails_for_a_while_is_tried_again_later() -> None:
    log_in = LogIn(AuthResult(success=False, handled=False, message="454 4.7.0 try later"))
    with (
        serving(Sink(), authenticator=log_in, auth_require_tls=False) as address,
        pytest.raises(SenderUnavailable),
    ):
        await send(f"smtp://billing:secret@{address}")


async def test_a_server_that_takes_no_log_in() -> None:
    with serving(Sink()) as address, pytest.raises(SenderKeyRejected, match="takes no log-in"):
        await send(f"smtp://billing:secret@{address}")


async def test_a_password_does_not_leave_the_machine_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    # This machine under a name that is not known to be it.
    sink, log_in = Sink(), LogIn(AuthResult(success=True))
    monkeypatch.setattr("messaging.smtp._Server.is_here", False)
    with (
        serving(sink, authenticator=log_in, auth_require_tls=False) as address,
        pytest.raises(SenderKeyRejected, match="no encryption"),
    ):
        await send(f"smtp://billing:secret@{address}")

    assert log_in.shown == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for loopback; its key stands in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, signed, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    kind = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *kind, *name, "-keyout", key, "-out", signed], check=True, capture_output=True)
    both.write_text(signed.read_text() + key.read_text())
    return both


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_starttls_is_used_where_it_is_offered(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr("messaging.smtp._Server.is_here", False)
    sink, log_in = Sink(), LogIn(AuthResult(success=True))
    options = {"tls_context": tls(certificate), "require_starttls": True, "authenticator": log_in}
    with serving(sink, **options) as address:
        await send(f"smtp://billing:secret@{address}")

    assert log_in.shown == [b"secret"]
    assert len(sink.received) == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(certificate: Path) -> None:
    sink, log_in = Sink(), LogIn(AuthResult(success=True))
    with (
        serving(sink, tls_context=tls(certificate), authenticator=log_in) as address,
        pytest.raises(SenderUnavailable, match="certificate"),
    ):
        await send(f"smtp://billing:secret@{address}")

    assert log_in.shown == []
    assert sink.received == []


async def test_tls_from_the_start(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    sink = Sink()
    async with secured(sink, tls(certificate)) as address:
        await send(f"smtps://{address}")

    assert len(sink.received) == 1


@contextlib.asynccontextmanager
async def secured(sink: Sink, context: ssl.SSLContext) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_nobody_listens() -> None:
    with pytest.raises(SenderUnavailable):
        await send(f"smtp://127.0.0.1:{free_port()}")


async def test_a_server_that_speaks_no_tls_is_not_used_in_its_place() -> None:
    sink = Sink()
    with serving(sink) as address, pytest.raises(SenderUnavailable):
        await send(f"smtps://{address}")

    assert sink.received == []


@contextlib.asynccontextmanager
async def breaking_at(point: str) -> AsyncIterator[str]:
    """Serve SMTP that goes silent or away at a point: greeting, RCPT, DATA, end, or end-hang."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await converse(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if point == "greeting":
            return
        if point == "greeting-refused":
            writer.write(b"554 no service here\r\n")
            return
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line[:4].decode().upper().strip()
            if verb == point:
                return
            if verb == "DATA":
                writer.write(b"354 go ahead\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(2 if point == "end-hang" else 0)
                return
            writer.write(b"250 OK\r\n")

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("point", ["greeting", "greeting-refused", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_connection_lost_before_the_mail_was_handed_over_took_nothing(point: str) -> None:
    async with breaking_at(point) as address:
        with pytest.raises(SenderUnavailable):
            await send(f"smtp://{address}")


@pytest.mark.parametrize("point", ["end", "end-hang"])
async def test_a_connection_lost_after_the_mail_was_handed_over_may_have_taken_it(point: str) -> None:
    async with breaking_at(point) as address:
        with pytest.raises(MailAnswerLost, match="find out"):
            await send(f"smtp://{address}")


async def test_a_name_cannot_bring_a_header_of_its_own() -> None:
    sink = Sink()
    with serving(sink) as address:
        await send(f"smtp://{address}", replace(MAIL, to_name="Ada\r\nBcc: Byron"))
        with pytest.raises(MailRefused) as raised:
            await send(f"smtp://{address}", replace(MAIL, subject="Hello\r\nBcc: all@example.com"))

    [content] = sink.received
    message: EmailMessage = message_from_bytes(content, policy=default)
    assert message["To"].addresses[0].display_name == "Ada Bcc: Byron"
    assert "Bcc" not in message
    assert not raised.value.address_at_fault


@pytest.mark.parametrize(
    "to", ["", "ada", "ada@", "ada@example.com\r\nBcc: all@example.com", "a b@example.com"]
)
async def test_an_address_that_is_none_is_refused(to: str) -> None:
    sink = Sink()
    with serving(sink) as address, pytest.raises(MailRefused) as raised:
        await send(f"smtp://{address}", replace(MAIL, to_address=to))

    assert raised.value.address_at_fault
    assert sink.received == []


async def test_an_address_in_another_script_needs_a_server_that_carries_it() -> None:
    mail = replace(MAIL, to_address="ада@example.com")
    able, unable = Sink(), Sink()
    with serving(able, enable_SMTPUTF8=True) as address:
        await send(f"smtp://{address}", mail)
    with serving(unable, enable_SMTPUTF8=False) as address, pytest.raises(MailRefused) as raised:
        await send(f"smtp://{address}", mail)

    assert raised.value.address_at_fault
    assert "ада@example.com".encode() in able.received[0]
    assert unable.received == []


@pytest.mark.parametrize("url", ["", "http://host", "smtp://", "smtp://user:secret@host:port", "secret"])
def test_a_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadInput) as raised:
        SmtpSender(url)

    assert "secret" not in str(raised.value)
