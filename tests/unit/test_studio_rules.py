"""The rules of the studio's door that need no database: roles, pauses, bounds, and where people may be sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.accounts import FREE_TRIES, LONGEST_PAUSE, Role, State, pause_after, state_of
from store.studio_tables import AccountRow
from web.studio.bound import MOST_ADDRESSES, MOST_TRIES, WITHIN, TriesByAddress
from web.studio.gate import place_within

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


# --- roles ------------------------------------------------------------------------------------------


def test_each_role_allows_what_those_before_it_allow() -> None:
    order = ["viewer", "editor", "operator", "admin"]
    assert list(Role) == order
    for place, role in enumerate(order):
        allowed = [needed for needed in order if Role(role).allows(Role(needed))]
        assert allowed == order[: place + 1]


def test_every_role_says_what_it_means() -> None:
    assert len({role.meaning for role in Role}) == len(Role)


def account(**more: Any) -> AccountRow:
    known: dict[str, Any] = {
        "id": "account_1",
        "email": "ada@example.com",
        "role": "viewer",
        "password_hash": "",
    }
    return AccountRow(**{**known, "created_at": NOW, "created_by": "test", **more})


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (account(), State.ACTIVE),
        (account(must_change=True), State.MUST_CHANGE),
        (account(must_change=True, locked_until=NOW + timedelta(seconds=1)), State.RESTS),
        (account(locked_until=NOW), State.ACTIVE),
        (account(active=False, locked_until=NOW + timedelta(hours=1)), State.DISABLED),
    ],
)
def test_the_state_of_an_account_is_what_hinders_most(row: AccountRow, state: State) -> None:
    assert state_of(row, NOW) is state


# --- pauses and bounds -----------------------------------------------------------------------------


def test_the_pause_doubles_with_each_wrong_password_and_ends_at_an_hour() -> None:
    assert [pause_after(failures) for failures in range(FREE_TRIES)] == [None] * FREE_TRIES
    pauses = [pause_after(failures) for failures in range(FREE_TRIES, FREE_TRIES + 9)]
    seconds = [pause.total_seconds() for pause in pauses if pause]
    assert seconds == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert pause_after(10**9) == LONGEST_PAUSE


def test_one_client_tries_so_often_and_then_waits() -> None:
    tries = TriesByAddress()
    for number in range(MOST_TRIES):
        assert tries.begin("192.0.2.1", NOW + timedelta(seconds=number)) is None
    late = NOW + timedelta(minutes=1)
    assert tries.begin("192.0.2.1", late) == NOW + WITHIN - late
    assert tries.begin("192.0.2.2", late) is None
    # A try that was not looked at prolongs nothing.
    assert tries.begin("192.0.2.1", NOW + WITHIN) is None
    assert tries.begin("192.0.2.1", NOW + WITHIN) == timedelta(seconds=1)


def test_a_right_password_is_no_try() -> None:
    tries = TriesByAddress()
    for _ in range(10 * MOST_TRIES):
        assert tries.begin("192.0.2.1", NOW) is None
        tries.was_right("192.0.2.1")
    tries.was_right("192.0.2.9")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("a.socket", "another.socket", False),
    ],
)
def test_a_client_is_known_by_its_network(one: str, other: str, *, same: bool) -> None:
    tries = TriesByAddress()
    for _ in range(MOST_TRIES):
        tries.begin(one, NOW)
    assert (tries.begin(other, NOW) is not None) is same


def test_the_memory_for_clients_is_bounded() -> None:
    tries = TriesByAddress()
    for number in range(MOST_ADDRESSES + 50):
        tries.begin(f"client {number}", NOW)
    assert len(tries._tries) == MOST_ADDRESSES
    assert "client 49" not in tries._tries
    assert "client 50" in tries._tries


# --- where people may be sent after they have signed in ------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "/studio",
        "/studio/",
        "/studio/campaigns",
        "/studio/campaigns/premium-eu_2.1",
        "/studio/audit?by=ada%40example.com&subject=campaign+premium&before=12",
        "/studio/audit?by=ada@example.com",
        "/studio/campaigns/%C3%BCber?at=2026-03-02T09:00:00Z",
    ],
)
def test_a_place_within_the_studio_is_kept(place: str) -> None:
    assert place_within(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "",
        None,
        "/",
        "https://evil.example/studio",
        "//evil.example/studio",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/studio\\@evil.example",
        "/studio@evil.example",
        "/studio.evil.example",
        "/studio//evil.example",
        "/studio/..//evil.example",
        "/studio/../v1/cases",
        "/studio/%2e%2e/%2e%2e/",
        "/studio/.%2E/pay",
        "/studio/people\r\nSet-Cookie: a=b",
        "/studio/people\n",
        "/studio/\tpeople",
        " /studio",
        "studio",
        "javascript:alert(1)",
        "/studio/<script>",
        "/studio#@evil.example",
        "/studio?next=//evil.example#x",
        "/studio/" + "\u2028",
        "/studiö",
    ],
)
def test_any_other_place_becomes_the_studios_own(place: str | None) -> None:
    assert place_within(place) == "/studio"
