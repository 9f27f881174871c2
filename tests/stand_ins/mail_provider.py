"""A fake SendGrid that checks each request, keeps a book of what it took, and misbehaves on demand.

    async with MailProvider() as provider:
        sender = SendGridSender("SG.key", provider.url)
        provider.misbehave(Misbehaviour.DROP_AFTER_ACCEPTING)
        ...
        assert [entry.message_id for entry in provider.book] == ["case_1.day-1.message"]

Requests are checked against Twilio's published description (``tsg_mail_v3.json``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jsonschema import Draft202012Validator, FormatChecker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

DESCRIPTION = Path(__file__).with_name("tsg_mail_v3.json")
REQUEST = "#/components/requestBodies/PostMailSend/content/application~1json/schema"
LARGEST_CUSTOM_ARGUMENTS = 10_000
REASONS = {
    202: "Accepted",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Misbehaviour(Enum):
    """What the provider can do wrong besides answering with a status."""

    DROP_AFTER_ACCEPTING = auto()
    DROP_BEFORE_READING = auto()
    HANG_AFTER_ACCEPTING = auto()
    BREAK_OFF_ITS_ANSWER = auto()


@dataclass(frozen=True)
class Answer:
    """A status to answer with, in place of taking the mail; ``taken`` enters it in the book all the same."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "as the test asked"
    field_name: str | None = None
    taken: bool = False


@dataclass(frozen=True)
class Entry:
    """One mail that the provider took."""

    id: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def message_id(self) -> str:
        arguments: dict[str, str] = self.body["personalizations"][0].get("custom_args", {})
        return next(iter(arguments.values()), "")

    @property
    def to(self) -> str:
        address: str = self.body["personalizations"][0]["to"][0]["email"]
        return address


class MailProvider:
    """Serves on loopback while entered; ``book`` is what it took, ``requests`` counts every request.

    ``on_taking`` is called for each mail that it takes, before it answers.
    """

    def __init__(self, key: str = "SG.key") -> None:
        self.key = key
        self.book: list[Entry] = []
        self.requests = 0
        self.refused_addresses: set[str] = set()
        self.on_taking: Callable[[Entry], Awaitable[None]] | None = None
        self._orders: deque[Answer | Misbehaviour] = deque()
        self._connections: set[asyncio.Task[None]] = set()
        description = json.loads(DESCRIPTION.read_text())
        self._validator = Draft202012Validator(
            {"$ref": REQUEST, "components": description["components"]},
            format_checker=FormatChecker(["email"]),
        )

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def misbehave(self, order: Answer | Misbehaviour, times: int = 1) -> None:
        """Do this to the next requests, in the order asked."""
        self._orders.extend([order] * times)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        self.requests += 1
        order = self._orders.popleft() if self._orders else None
        if order is Misbehaviour.DROP_BEFORE_READING:
            return
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        answer = self._refusal(lines[0], headers, content)
        if answer is None and (not isinstance(order, Answer) or order.taken):
            self.book.append(Entry(f"sg-{len(self.book) + 1}.{time.time_ns()}", json.loads(content), headers))
            if self.on_taking is not None:
                await self.on_taking(self.book[-1])
        if order is Misbehaviour.DROP_AFTER_ACCEPTING:
            return
        if order is Misbehaviour.HANG_AFTER_ACCEPTING:
            await asyncio.sleep(3600)
        if isinstance(order, Answer):
            answer = order
        _write(writer, answer, "" if answer else self.book[-1].id, whole=not isinstance(order, Misbehaviour))
        await writer.drain()

    def _refusal(self, request: str, headers: dict[str, str], content: bytes) -> Answer | None:
        """Judge a request as SendGrid would; None takes it."""
        method, path, _ = request.split(" ", 2)
        if path != "/v3/mail/send":
            return Answer(404, message="not found")
        if method != "POST":
            return Answer(405, message="method not allowed")
        if headers.get("authorization") != f"Bearer {self.key}":
            return Answer(401, message="The provided authorization grant is invalid, expired, or revoked")
        if headers.get("content-type") != "application/json":
            return Answer(415, message="Content-Type should be application/json.")
        fault = next(self._faults(json.loads(content)), None)
        return Answer(400, message=fault[1], field_name=fault[0]) if fault else None

    def _faults(self, body: Any) -> Iterator[tuple[str, str]]:
        """Find what is wrong with a mail: the field and why."""
        for error in self._validator.iter_errors(body):
            yield ".".join(str(step) for step in error.absolute_path), error.message
        kinds = [item["type"] for item in body.get("content", [])]
        if kinds != sorted(kinds, key=lambda kind: {"text/plain": 0, "text/html": 1}.get(kind, 2)):
            yield "content", "text/plain comes first, then text/html"
        for place, person in enumerate(body["personalizations"]):
            if len(json.dumps(person.get("custom_args", {}))) > LARGEST_CUSTOM_ARGUMENTS:
                yield f"personalizations.{place}.custom_args", "too large"
            if person["to"][0]["email"] in self.refused_addresses:
                yield f"personalizations.{place}.to.0.email", "Does not contain a valid address."


def _write(writer: asyncio.StreamWriter, answer: Answer | None, entry_id: str, *, whole: bool) -> None:
    status = answer.status if answer else 202
    body = b""
    headers = {"Connection": "close"}
    if answer:
        headers |= answer.headers
        body = json.dumps({"errors": [{"message": answer.message, "field": answer.field_name}]}).encode()
    else:
        headers["X-Message-Id"] = entry_id
    # An answer that is broken off promises more than comes.
    headers["Content-Length"] = str(len(body) if whole else len(body) + 10)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} {REASONS[status]}\r\n{head}\r\n".encode() + body)
