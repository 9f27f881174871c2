"""What a failure at Stripe means: nothing was done, something may have been, or never will be.

Facts: https://docs.stripe.com/error-handling, https://docs.stripe.com/error-low-level and
https://docs.stripe.com/api/idempotent_requests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import stripe

from errors import (
    AnswerLost,
    BadInput,
    NotKnown,
    ProcessorError,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.stripe_shapes import Body, expanded

if TYPE_CHECKING:
    from collections.abc import Mapping

# Raised by httpx before the first byte of a request has left.
NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
# Raised by httpx for a request that is none.
NEVER_TO_BE_SENT = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)

KEY_FAULTS = frozenset({401, 403})
REDIRECTION = 300
NOT_FOUND = 404
CONFLICT = 409
TOO_MANY = 429
SERVER_FAULT = 500


def translate(error: stripe.StripeError, doing: str, *, changes: bool) -> ProcessorError | BadInput:
    """Say what a failed request means.

    ``doing`` names the request with its ids, as in "reading invoice in_1". ``changes`` is false for
    reads: nothing can have been done by one, so that an answer that was lost is simply asked for again.
    No text of Stripe's is passed on where the key is at fault, for it quotes part of the key.
    """
    status = error.http_status
    where = f" (request {error.request_id})" if error.request_id else ""
    if isinstance(error, stripe.APIConnectionError):
        return _connection(error, doing, changes=changes)
    if status in KEY_FAULTS:
        return _key_fault(error, doing, where)
    if status == NOT_FOUND or (
        code_of(error) == "resource_missing" and details_of(error).get("param") == "customer"
    ):
        return NotKnown(f"{doing} failed: Stripe knows no such thing{where}; check the id and the account")
    if status == TOO_MANY:
        return ProcessorUnavailable(
            f"{doing} failed: Stripe has too much to do (429){where}; nothing was done, try again later",
            retry_after=_retry_after(error.headers or {}),
        )
    if status is not None and (status == CONFLICT or status >= SERVER_FAULT or status < REDIRECTION):
        return _unclear(error, doing, where, changes=changes)
    return ProcessorRefused(
        f"{doing} failed: Stripe refused it{where}: {error.user_message}; it will not be accepted as it is"
    )


def details_of(error: stripe.StripeError) -> Body:
    """Give the ``error`` object of an answer as it was sent."""
    return expanded(expanded(error.json_body).get("error"))


def code_of(error: stripe.StripeError) -> str | None:
    """Give Stripe's code of an error; the client drops it for some kinds."""
    code = details_of(error).get("code") or error.code
    return code if isinstance(code, str) else None


def _key_fault(error: stripe.StripeError, doing: str, where: str) -> ProcessorError:
    if code_of(error) == "account_invalid":
        # One connected account has taken its leave; the key is good for all others.
        return ProcessorRefused(
            f"{doing} failed: our key may not act for this account{where};"
            " let the account connect again, or cancel its cases"
        )
    # The library itself refuses a key that is empty or cannot be one, before anything is sent.
    said = f"Stripe answered {error.http_status}" if error.http_status else "it cannot be a key of Stripe's"
    return ProcessorKeyRejected(
        f"{doing} failed: {said}{where}; check DUNWELL_STRIPE_API_KEY and the permissions of that key"
    )


def _connection(error: stripe.StripeError, doing: str, *, changes: bool) -> ProcessorError:
    cause = error.__cause__
    name = type(cause or error).__name__
    if isinstance(cause, NEVER_TO_BE_SENT):
        return ProcessorRefused(
            f"{doing} failed: it cannot be sent at all ({name}); check its ids and DUNWELL_STRIPE_API_BASE"
        )
    if isinstance(cause, NOTHING_SENT):
        return ProcessorUnavailable(
            f"{doing} failed: Stripe could not be reached ({name}); nothing was sent, try again later"
        )
    if changes:
        return AnswerLost(
            f"{doing}: the answer was lost ({name}); send it again with the same idempotency key,"
            " or read what became of it"
        )
    return ProcessorUnavailable(f"{doing} failed: the answer was lost ({name}); ask again later")


def _unclear(error: stripe.StripeError, doing: str, where: str, *, changes: bool) -> ProcessorError:
    said = f"Stripe answered {error.http_status}{where}"
    if not changes:
        return ProcessorUnavailable(f"{doing} failed: {said}; ask again later")
    if error.http_status == CONFLICT:
        # The first request of this key is still being worked on.
        return AnswerLost(f"{doing}: {said}; the same key is in use, send it again with it in a while")
    return AnswerLost(
        f"{doing}: {said}; it repeats this for the same key, so read what became of it",
        replayed_for_key=True,
    )


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    # Stripe sends whole seconds; a date, which HTTP allows too, is left to the caller's own patience.
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdigit():
            return timedelta(seconds=int(value))
    return None
