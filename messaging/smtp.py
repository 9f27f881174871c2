"""Mails through an SMTP server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from errors import BadInput, MailAnswerLost, MailError, MailRefused, SenderKeyRejected, SenderUnavailable
from messaging.mime import mime_message
from messaging.protocol import Mail, Receipt

if TYPE_CHECKING:
    from email.message import EmailMessage

PORTS = {"smtp": 587, "smtps": 465}
GO_AHEAD, ACCEPTED = 354, 250
LAST_TEMPORARY = 499
AUTHENTICATION_REQUIRED = 530
# 5.7 is policy (relaying denied, blocked sender): it says nothing about the recipient's address.
POLICY = re.compile(r"^5\.7\.")
LONGEST_ANSWER = 200


@dataclass(frozen=True)
class _Server:
    secure: bool
    host: str
    port: int
    user: str | None
    password: str

    @property
    def is_here(self) -> bool:
        """Whether the server is this machine, where nobody listens on the line."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class SmtpSender:
    """Hands mails to one SMTP server, on a connection of its own for each.

    STARTTLS is used wherever it is offered; a password never goes over a line in the clear. SMTP
    cannot tell a repetition, so ``repeatable`` is false: only an answer lost after the whole mail was
    handed over is MailAnswerLost, everything before it is known not to have been accepted.
    """

    name = "smtp"
    repeatable = False

    def __init__(self, url: str, *, timeout: float = 20.0, connections: int = 4) -> None:
        """Take ``smtp://USER:PASSWORD@HOST:PORT`` (587 by default) or ``smtps://…`` (465).

        ``timeout`` is in seconds and limits each wait for the server. Raises BadInput for another
        kind of URL; the text never repeats it, for it holds the password.
        """
        self._server = _read_url(url)
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="smtp")

    async def send(self, mail: Mail) -> Receipt:
        """Hand a mail over; ``reference`` is its Message-ID. Raises the errors of ``Sender.send``."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, mail)

    async def close(self) -> None:
        """Wait for mails that are being handed over, at most for the time-out."""
        await asyncio.to_thread(self._threads.shutdown)

    def _send(self, mail: Mail) -> Receipt:
        message = mime_message(mail)
        connection: smtplib.SMTP | None = None
        try:
            connection = self._connect()
            self._introduce(connection)
            _hand_over(connection, mail, message)
        except MailError:
            raise
        except (OSError, smtplib.SMTPException) as error:
            # Whatever breaks before the last line of the mail leaves it unaccepted (RFC 5321, 4.1.1.4).
            raise SenderUnavailable(
                f"mail {mail.id}: {self._server.host}:{self._server.port} could not be used:"
                f" {_readable(str(error), mail)}"
            ) from None
        finally:
            if connection is not None:
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    connection.quit()
                connection.close()
        return Receipt(reference=str(message["Message-ID"]))

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.secure:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(server.host, server.port, timeout=self._timeout, context=context)
        connection = smtplib.SMTP(server.host, server.port, timeout=self._timeout)
        try:
            connection.ehlo_or_helo_if_needed()
            if connection.has_extn("starttls"):
                connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
        return connection

    def _introduce(self, connection: smtplib.SMTP) -> None:
        server = self._server
        connection.ehlo_or_helo_if_needed()
        if server.user is None:
            return
        if not isinstance(connection.sock, ssl.SSLSocket) and not server.is_here:
            raise SenderKeyRejected(
                f"{server.host}:{server.port} offers no encryption, and the password is not sent without:"
                " use smtps://, or a server that offers STARTTLS"
            )
        try:
            connection.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:
            if error.smtp_code <= LAST_TEMPORARY:
                raise
            raise SenderKeyRejected(
                f"{server.host}:{server.port} rejects the user name or password of the SMTP URL"
                f" (answer {error.smtp_code})"
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise SenderKeyRejected(
                f"{server.host}:{server.port} takes no log-in here: leave user and password out of the URL"
            ) from None


def _hand_over(connection: smtplib.SMTP, mail: Mail, message: EmailMessage) -> None:
    sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    international = not (sender + recipient).isascii()
    if international and not connection.has_extn("smtputf8"):
        raise MailRefused(
            f"mail {mail.id}: the server cannot carry an address with letters beyond ASCII",
            address_at_fault=True,
        )
    options = ["SMTPUTF8", "BODY=8BITMIME"] if international else []
    code, answer = connection.mail(sender, options)
    if code != ACCEPTED:
        raise _refusal(mail, code, answer, address_at_fault=False)
    code, answer = connection.rcpt(recipient)
    if code not in {ACCEPTED, 251}:
        raise _refusal(mail, code, answer, address_at_fault=not POLICY.match(answer.decode("latin-1")))
    code, answer = connection.docmd("DATA")
    if code != GO_AHEAD:
        raise _refusal(mail, code, answer, address_at_fault=False)
    content = message.as_bytes()
    # A line that starts with a dot gets another one: a dot alone is what ends the mail.
    connection.send(re.sub(rb"^\.", b"..", content, flags=re.MULTILINE) + b".\r\n")
    try:
        code, answer = connection.getreply()
    except (OSError, smtplib.SMTPException):
        raise MailAnswerLost(
            f"mail {mail.id}: the connection was lost after the whole mail had been handed over; find out"
            " whether it arrived before sending it again"
        ) from None
    if code != ACCEPTED:
        raise _refusal(mail, code, answer, address_at_fault=False)


def _refusal(mail: Mail, code: int, answer: bytes | str, *, address_at_fault: bool) -> MailError:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    said = f"mail {mail.id}: the SMTP server answered {code} {_readable(text, mail)}"
    if code <= LAST_TEMPORARY:
        return SenderUnavailable(said)
    if code == AUTHENTICATION_REQUIRED:
        return SenderKeyRejected(f"{said}: give a user and password in the SMTP URL")
    return MailRefused(said, address_at_fault=address_at_fault)


def _readable(text: str, mail: Mail) -> str:
    """Shorten a server's words and take the customer's address out: errors are shown to ops."""
    return " ".join(text.replace(mail.to_address, "the address").split())[:LONGEST_ANSWER]


def _read_url(url: str) -> _Server:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadInput("the SMTP URL is not of the form smtp://USER:PASSWORD@HOST:PORT or smtps://…")
    return _Server(
        secure=parts.scheme == "smtps",
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
    )
