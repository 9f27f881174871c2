"""Makes the search attributes of ``search.py`` known to a Temporal server, before any case uses them.

An upsert of an attribute that the server does not know fails its workflow task for ever, so a worker
registers and checks them before it takes work. Apart from ``search.py`` because workflow code imports
that one and must not see a client.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.common import SearchAttributeIndexedValueType as ValueType
from temporalio.service import RPCError, RPCStatusCode

from errors import BadSettings, ServerUnavailable
from search import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from temporalio.client import Client
    from temporalio.common import SearchAttributeKey

# As the command lines spell them.
TYPE_NAMES = {
    ValueType.TEXT: "Text",
    ValueType.KEYWORD: "Keyword",
    ValueType.INT: "Int",
    ValueType.DOUBLE: "Double",
    ValueType.BOOL: "Bool",
    ValueType.DATETIME: "Datetime",
    ValueType.KEYWORD_LIST: "KeywordList",
}

# A condition that the server refuses for an attribute of any other type, as far as its queries can tell
# them apart: a keyword list takes what a keyword takes, and an integer what any number takes.
_CONDITIONS = {
    ValueType.KEYWORD: "`{0}` STARTS_WITH 'x'",
    ValueType.INT: "`{0}` = 1",
    ValueType.DATETIME: "`{0}` < '2000-01-01T00:00:00Z' AND `{0}` < 1",
    ValueType.KEYWORD_LIST: "`{0}` = 'x'",
}

_CALL_TIMEOUT = timedelta(seconds=10)
_NOT_ALLOWED = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED}


async def register(client: Client, *, patience: timedelta = timedelta(seconds=30)) -> tuple[str, ...]:
    """Make every search attribute of a case usable in the client's namespace; safe to repeat.

    Returns the names that were added. Where the server does not let us ask or add (Temporal Cloud),
    attributes that were made by hand are tried out and accepted.

    Raises:
        BadSettings: one exists with another type, or is missing and may not be added from here; the
            text holds the commands that mend it.
        ServerUnavailable: the server does not answer, or does not show them within ``patience``.
    """
    known = await _list(client)
    if known is None:
        missing = [key for key in KEYS if not await _is_searchable(client, [key])]
        if missing:
            raise BadSettings(_by_hand(client.namespace, missing, "this connection may not register them"))
        return ()
    _refuse_other_types(client.namespace, known)
    missing = [key for key in KEYS if key.name not in known]
    if missing:
        await _add(client, missing)
    await _wait_until_searchable(client, patience)
    return tuple(key.name for key in missing)


async def _list(client: Client) -> Mapping[str, int] | None:
    """Map the names of the namespace's own attributes to their types; None where asking is not allowed."""
    try:
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), retry=True, timeout=_CALL_TIMEOUT
        )
    except RPCError as error:
        if error.status in _NOT_ALLOWED:
            return None
        raise _unavailable(client, error) from error
    return dict(answer.custom_attributes)


def _refuse_other_types(namespace: str, known: Mapping[str, int]) -> None:
    wrong = [key for key in KEYS if known.get(key.name, key.indexed_value_type) != key.indexed_value_type]
    if not wrong:
        return
    found = ", ".join(f"{key.name} is {TYPE_NAMES[ValueType(known[key.name])]}" for key in wrong)
    names = " ".join(f"--name {key.name}" for key in wrong)
    raise BadSettings(
        f"search attributes of namespace {namespace!r} have other types than Dunwell needs: {found}.\n"
        "Give Dunwell a namespace of its own (TEMPORAL_NAMESPACE), or, if nothing else uses them, run\n"
        f"  temporal operator search-attribute remove --namespace {namespace} {names} --yes\n"
        "and start again."
    )


async def _add(client: Client, missing: Iterable[SearchAttributeKey[Any]]) -> None:
    missing = list(missing)
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for key in missing:
        # The two enumerations share their numbers, but not their types.
        request.search_attributes[key.name] = key.indexed_value_type.value  # type: ignore[assignment]
    try:
        await client.operator_service.add_search_attributes(request, retry=True, timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return  # another worker started at the same moment
        if error.status in _NOT_ALLOWED:
            reason = "this connection may not register them"
        elif error.status in {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION}:
            reason = f"the server refused them: {error.message}"
        else:
            raise _unavailable(client, error) from error
        raise BadSettings(_by_hand(client.namespace, missing, reason)) from error


async def _wait_until_searchable(client: Client, patience: timedelta) -> None:
    # Added is not yet usable: the server's own caches of a namespace are some seconds old.
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    while not await _is_searchable(client, KEYS):
        if loop.time() > deadline:
            raise ServerUnavailable(
                f"the search attributes were registered in namespace {client.namespace!r}, but the server "
                f"did not show them within {patience.total_seconds():.0f} s; start again"
            )
        await asyncio.sleep(0.2)


async def _is_searchable(client: Client, keys: Iterable[SearchAttributeKey[Any]]) -> bool:
    """Ask the way any reader may ask: a query by an unknown name, or with a wrong type, is refused."""
    query = " AND ".join(_CONDITIONS[key.indexed_value_type].format(key.name) for key in keys)
    try:
        await client.count_workflows(query, rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise _unavailable(client, error) from error
    return True


def _by_hand(namespace: str, missing: Iterable[SearchAttributeKey[Any]], reason: str) -> str:
    missing = list(missing)
    own = " ".join(f"--name {key.name} --type {TYPE_NAMES[key.indexed_value_type]}" for key in missing)
    cloud = " ".join(
        f'--search-attribute "{key.name}={TYPE_NAMES[key.indexed_value_type]}"' for key in missing
    )
    return (
        f"namespace {namespace!r} lacks search attributes, or has them with other types "
        f"({', '.join(key.name for key in missing)}), and {reason}. Create them once by hand. "
        "On a server of your own:\n"
        f"  temporal operator search-attribute create --namespace {namespace} {own}\n"
        "On Temporal Cloud:\n"
        f"  tcld namespace search-attributes add --namespace {namespace} {cloud}"
    )


def _unavailable(client: Client, error: RPCError) -> ServerUnavailable:
    return ServerUnavailable(
        f"Temporal at {client.service_client.config.target_host} did not answer about the search "
        f"attributes of namespace {client.namespace!r}: {error.message} ({error.status.name})"
    )
