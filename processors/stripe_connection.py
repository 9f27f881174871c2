"""The HTTP client that Stripe's library sends by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import stripe

if TYPE_CHECKING:
    from collections.abc import Mapping


class StripeConnection(stripe.HTTPClient):
    """Sends by httpx, and raises what went wrong as the cause of Stripe's own error.

    Not the library's own httpx client: that one hands over bodies in a way httpx has deprecated, which
    is an error wherever warnings are, and turns every failure alike into a connection error.
    """

    name = "httpx"

    def __init__(self, *, reads: httpx.Timeout, changes: httpx.Timeout) -> None:
        """Open no connection yet; ``reads`` is how long to wait for what can simply be asked again."""
        super().__init__()
        self._reads = reads
        self._changes = changes
        self._connections = httpx.AsyncClient()

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | bytes | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request once."""
        timeout = self._reads if method.lower() == "get" else self._changes
        try:
            answer = await self._connections.request(
                method, url, headers=headers, content=post_data, timeout=timeout
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"no answer from Stripe: {type(error).__name__}"
            raise stripe.APIConnectionError(said) from error  # type: ignore[no-untyped-call]
        return answer.content, answer.status_code, answer.headers

    async def close_async(self) -> None:
        """Give back connections."""
        await self._connections.aclose()
