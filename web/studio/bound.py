"""How many wrong passwords one client may try at the sign-in page, whatever accounts it tries them on."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

if TYPE_CHECKING:
    from datetime import datetime

MOST_TRIES, WITHIN = 20, timedelta(minutes=10)
# Above this, the address that was quiet the longest is forgotten: memory is bounded, whoever asks.
MOST_ADDRESSES = 10_000


class TriesByAddress:
    """Wrong passwords of late, by the client's address; kept in memory, for each web side by itself."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, deque[datetime]] = OrderedDict()

    def begin(self, address: str, now: datetime) -> timedelta | None:
        """Count a try before its password is looked at; gives how long to wait instead, if it is one too many."""
        tries = self._tries.setdefault(_network(address), deque(maxlen=MOST_TRIES))
        self._tries.move_to_end(_network(address))
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        while tries and tries[0] <= now - WITHIN:
            tries.popleft()
        if len(tries) >= MOST_TRIES:
            return tries[0] + WITHIN - now
        tries.append(now)
        return None

    def was_right(self, address: str) -> None:
        """Take a try back whose password was right: many people may sit behind one address."""
        tries = self._tries.get(_network(address))
        if tries:
            tries.pop()


def _network(address: str) -> str:
    """Give what one client can have many addresses of: with IPv6, a whole network of 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def address_of(request: Request) -> str:
    """Give a client's address; behind a proxy that uvicorn trusts, the one that the proxy says."""
    return request.client.host if request.client else "unknown"


def tries_of(request: Request) -> TriesByAddress:
    """Find the application's count of tries."""
    found: TriesByAddress = request.app.state.tries
    return found
