"""A proxy on loopback that spoils answers on demand and keeps a book of all that passed through it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import httpx

from tests.stand_ins.loopback import Answer, LoopbackServer, Request

if TYPE_CHECKING:
    from typing import Self


class Fault(StrEnum):
    """What becomes of the next request; an "answer" fault strikes after the request was carried out."""

    ANSWER_LOST = "answer lost"
    ANSWER_HANGS = "answer hangs"
    ANSWER_BROKEN = "answer broken"
    REQUEST_LOST = "request lost"
    SERVER_ERROR = "server error"
    BUSY = "busy"
    KEY_IN_USE = "key in use"
    KEY_REJECTED = "key rejected"
    NOT_ALLOWED = "not allowed"


# Of a request whose answer is spoiled, the server behind the proxy gets to know.
CARRIED_OUT = frozenset({Fault.ANSWER_LOST, Fault.ANSWER_HANGS, Fault.ANSWER_BROKEN, Fault.SERVER_ERROR})


def _error(status: int, code: str | None, message: str, **headers: str) -> Answer:
    body = {"error": {"type": "api_error", "code": code, "message": message}}
    return Answer.of(body, status, request_id="req_from_the_proxy", **headers)


SPOILED = {
    Fault.ANSWER_BROKEN: Answer(200, b"<html>", {"Content-Type": "text/html"}),
    Fault.SERVER_ERROR: _error(500, None, "Something went wrong."),
    Fault.BUSY: _error(429, "lock_timeout", "Too many requests.", retry_after="7"),
    Fault.KEY_IN_USE: _error(409, "idempotency_key_in_use", "The key is in use."),
    Fault.KEY_REJECTED: _error(401, None, "Invalid API Key provided: sk_test_****1234"),
    Fault.NOT_ALLOWED: _error(403, None, "The key rk_test_****1234 lacks a permission."),
}


@dataclass(frozen=True)
class Call:
    """One request that came to the proxy, and what befell it."""

    request: Request
    fault: Fault | None
    status: int | None


class FaultProxy(LoopbackServer):
    """Passes requests on to ``target`` (``http://127.0.0.1:PORT``), save for the faults it was told."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._target = target
        self._faults: deque[tuple[Fault, str, str]] = deque()
        self._client: httpx.AsyncClient | None = None
        self._end = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(timeout=30, trust_env=False)
        return await super().__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        self._end.set()
        await super().__aexit__(*exception)
        if self._client is not None:
            await self._client.aclose()

    def spoil(self, *faults: Fault, method: str = "", path: str = "") -> None:
        """Let these befall the next requests, one each, of this method and with this end of a path."""
        self._faults.extend((fault, method, path) for fault in faults)

    def _next_fault(self, request: Request) -> Fault | None:
        if not self._faults:
            return None
        fault, method, path = self._faults[0]
        if method not in ("", request.method) or not request.path.endswith(path):
            return None
        self._faults.popleft()
        return fault

    async def answer(self, request: Request) -> Answer | None:
        fault = self._next_fault(request)
        if fault is None:
            answer = await self._pass_on(request)
            self.calls.append(Call(request, None, answer.status))
            return answer
        if fault in CARRIED_OUT:
            await self._pass_on(request)
        if fault is Fault.ANSWER_HANGS:
            self.calls.append(Call(request, fault, None))
            await self._end.wait()
        spoiled = SPOILED.get(fault)
        self.calls.append(Call(request, fault, spoiled.status if spoiled else None))
        return spoiled

    async def _pass_on(self, request: Request) -> Answer:
        assert self._client is not None
        kept = {
            name: value
            for name, value in request.headers.items()
            if name not in ("host", "connection", "content-length", "accept-encoding")
        }
        target = self._target + request.path + (f"?{request.query}" if request.query else "")
        answered = await self._client.request(request.method, target, headers=kept, content=request.body)
        dropped = ("content-length", "connection", "transfer-encoding", "content-encoding", "date", "server")
        headers = {name: value for name, value in answered.headers.items() if name not in dropped}
        return Answer(answered.status_code, answered.content, headers)
