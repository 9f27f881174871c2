"""Mails through Twilio SendGrid's v3 API.

Open tracking and everything under ``mail_settings`` are left to the account. Click tracking is switched
off: it would replace the link to change a card, which is a key by itself, by one that leads through
another host, where it is recorded, and that looks to a careful reader like phishing.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError as PlainHTTPError
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler

from python_http_client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from errors import BadInput, MailAnswerLost, MailError, MailRefused, SenderKeyRejected, SenderUnavailable
from messaging.protocol import Mail, Receipt
from messaging.wording import plain_name, single_line

if TYPE_CHECKING:
    from collections.abc import Mapping

API_BASE = "https://api.sendgrid.com"
# The name under which SendGrid's events bring our message id back.
MESSAGE_ID_ARGUMENT = "dunwell_message"
ACCEPTED = 202
# Wrong for every mail alike: the key, its permissions, the sender's identity, the API's address (404,
# 405) or the region the account lives in (451).
SETTINGS_AT_FAULT = frozenset({401, 403, 404, 405, 451})
NOT_TAKEN = frozenset({408, 425, 429, 503})
# A proxy's or server's failure that may have come after SendGrid took the mail.
PERHAPS_TAKEN = 500
RECIPIENT = re.compile(r"personalizations\.\d+\.to\b(?!.*\.name$)")
LONGEST_WAIT = timedelta(hours=1)
LONGEST_ANSWER = 300


class SendGridSender:
    """Hands mails to SendGrid, which has no idempotency key: ``repeatable`` is false.

    What happened to a mail whose answer was lost is told by SendGrid's Event Webhook, whose events
    carry our message id under ``dunwell_message``.
    """

    name = "sendgrid"
    repeatable = False

    def __init__(
        self, api_key: str, api_base: str | None = None, *, timeout: float = 20.0, connections: int = 4
    ) -> None:
        """Take the key, and another address of the API than SendGrid's own (the EU's, say).

        ``timeout`` is in seconds and limits each wait on the connection. Raises BadInput for a key or
        an address that can be none; the text does not repeat the key.
        """
        # http.client would put an unfit key, whole, into the text of its ValueError.
        if not re.fullmatch(r"[\x21-\x7e]+", api_key.strip()):
            raise BadInput("the SendGrid API key is empty or holds a character that no key has")
        base = (api_base or API_BASE).rstrip("/")
        if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", base):
            raise BadInput(f"{base!r} is no address of an API: it starts with https://")
        _keep_secrets_out_of_logs()
        self._key = api_key.strip()
        self._base = base
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="sendgrid")

    async def send(self, mail: Mail) -> Receipt:
        """Hand a mail over; ``reference`` is SendGrid's message id. Raises the errors of ``Sender.send``."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, mail)

    async def close(self) -> None:
        """Wait for mails that are being handed over, at most for the time-out."""
        await asyncio.to_thread(self._threads.shutdown)

    def _send(self, mail: Mail) -> Receipt:
        # A client for each mail: it holds no connection, and keeps headers for whoever shares it.
        api = SendGridAPIClient(api_key=self._key, host=self._base)
        api.client = _Client(
            host=self._base,
            request_headers=api.client.request_headers,
            version=3,
            timeout=self._timeout,
        )
        try:
            response = api.send(_body(mail))
        except HTTPError as error:
            raise _refusal(mail, error.status_code, error.headers, error.body) from None
        except URLError as error:
            # urllib raises this only while it connects and sends: the request never was complete.
            raise SenderUnavailable(
                f"mail {mail.id}: SendGrid could not be reached: {_readable(str(error.reason), mail)}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise MailAnswerLost(
                f"mail {mail.id}: SendGrid was handed the mail, but its answer was lost"
                f" ({type(error).__name__}); wait for its events before sending it again"
            ) from None
        if response.status_code != ACCEPTED:
            raise MailAnswerLost(
                f"mail {mail.id}: SendGrid answered {response.status_code} in place of {ACCEPTED}; wait for its"
                " events before sending it again"
            )
        return Receipt(reference=response.headers.get("X-Message-Id") or mail.id)


class _Client(Client):  # type: ignore[misc]
    """The library's client, which follows no redirection: it would take the API key along."""

    def _build_client(self, name: str | None = None) -> _Client:
        path = [*self._url_path, name] if name else self._url_path
        return _Client(
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=path,
            timeout=self.timeout,
        )

    def _make_request(self, opener: Any, request: Any, timeout: float | None = None) -> Any:
        opener.add_handler(_NoRedirection())
        return super()._make_request(opener, request, timeout)


class _NoRedirection(HTTPRedirectHandler):
    handler_order = 100  # before urllib's own

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        raise PlainHTTPError(req.full_url, code, msg, headers, fp)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _keep_secrets_out_of_logs() -> None:
    """Let nothing out of the library's logger: at DEBUG it writes the API key, names and addresses.

    A filter on the logger itself holds whatever levels and handlers are configured later.
    """
    logger = logging.getLogger("python_http_client.client")
    if _nothing not in logger.filters:
        logger.addFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False


def _body(mail: Mail) -> dict[str, Any]:
    return {
        "personalizations": [
            {
                "to": [_person(mail.to_address, plain_name(mail.to_name))],
                # Kept by SendGrid unredacted, so it is our id and nothing about the customer.
                "custom_args": {MESSAGE_ID_ARGUMENT: mail.id},
            }
        ],
        "from": _person(mail.from_address, single_line(mail.from_name or "")),
        "subject": mail.subject,
        "content": [
            {"type": "text/plain", "value": mail.text},
            {"type": "text/html", "value": mail.html},
        ],
        # Asks automatic replies (holidays, ticket systems) not to answer.
        "headers": {"Auto-Submitted": "auto-generated", "Content-Language": mail.locale},
        "tracking_settings": {"click_tracking": {"enable": False, "enable_text": False}},
    }


def _person(address: str, name: str | None) -> dict[str, str]:
    return {"email": address, "name": name} if name else {"email": address}


def _refusal(mail: Mail, status: int, headers: Mapping[str, str], body: bytes) -> MailError:
    """Turn an answer into an error.

    SendGrid documents 500 as an error on one of its servers and says nothing about the mail's fate;
    502 and 504 come from proxies that may have passed it on. These count as lost answers, so that
    its events decide. 503 (and 429) are given in place of taking a request, so that nothing is lost
    by trying again.
    """
    errors = _errors(body)
    said = "; ".join(f"{field}: {text}" if field else text for field, text in errors)
    answer = f"mail {mail.id}: SendGrid answered {status}" + (f" ({_readable(said, mail)})" if said else "")
    if status in NOT_TAKEN:
        return SenderUnavailable(f"{answer}; it was not accepted", retry_after=_retry_after(headers))
    if status in SETTINGS_AT_FAULT:
        return SenderKeyRejected(f"{answer}: check the API key, its permissions and the sender's address")
    if status >= PERHAPS_TAKEN:
        return MailAnswerLost(f"{answer}; it may have been accepted: wait for its events")
    if status < 400:  # noqa: PLR2004
        return SenderKeyRejected(f"{answer}, a redirection: check the address of the API")
    at_fault = any(RECIPIENT.match(field) for field, _ in errors)
    return MailRefused(answer, address_at_fault=at_fault)


def _errors(body: bytes) -> list[tuple[str, str]]:
    """Read ``{"errors": [{"field": …, "message": …}]}``; anything else is no error that we can name."""
    try:
        found = json.loads(body)["errors"]
        return [(str(item.get("field") or ""), str(item.get("message") or "")) for item in found]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long to wait: seconds or a date in Retry-After, else SendGrid's X-RateLimit-Reset.

    The latter is a moment in Unix seconds. A clock that is off must not make us wait for days.
    """
    now = time.time()
    wait: float
    try:
        if given := headers.get("Retry-After"):
            wait = float(given) if given.isdigit() else parsedate_to_datetime(given).timestamp() - now
        elif reset := headers.get("X-RateLimit-Reset"):
            wait = float(reset) - now
        else:
            return None
        return min(max(timedelta(seconds=wait), timedelta(seconds=1)), LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None


def _readable(text: str, mail: Mail) -> str:
    """Shorten SendGrid's words and take the customer's address out: errors are shown to ops."""
    return " ".join(text.replace(mail.to_address, "the address").split())[:LONGEST_ANSWER]
