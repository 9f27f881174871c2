"""What people sign in with: addresses are spelled in one way, passwords are hashed and not guessable."""

from __future__ import annotations

import threading
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher

import credentials
from errors import BadInput

PASSWORD = "a horse, a battery and a staple"


class WatchedHasher(PasswordHasher):
    """Writes down what it is asked for, and in which thread."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{"time_cost": 1, "memory_cost": 8, "parallelism": 1, **parameters})
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Hash as ever."""
        self.asked.append("hash")
        self.threads.add(threading.current_thread().name)
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        """Verify as ever."""
        self.asked.append("verify")
        self.threads.add(threading.current_thread().name)
        return super().verify(hash, password)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> WatchedHasher:
    """Let everything be hashed by one that is watched."""
    hasher = WatchedHasher()
    monkeypatch.setattr(credentials, "hasher", hasher)
    return hasher


# --- e-mail addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["ada@example.com", " Ada@Example.COM ", "ADA@EXAMPLE.com\n"])
def test_an_address_is_spelled_in_one_way(typed: str) -> None:
    assert credentials.read_email(typed) == "ada@example.com"


@pytest.mark.parametrize(
    "typed",
    ["", "ada", "ada@example", "ada@exa mple.com", "Ada <ada@example.com>", "a@b.c\x00", "@", "x" * 999],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(BadInput, match="is not an e-mail address"):
        credentials.read_email(typed)


# --- the choice of a password ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("eleven char", "too short"),
        ("x" * 257, "too long"),
        ("abababababababab", "same few characters"),
        ("my name is Grace.Hopper!", "holds the e-mail address"),
    ],
)
def test_a_password_that_could_be_guessed_is_refused(password: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        credentials.check_password(password, "grace.hopper@example.com")


@pytest.mark.parametrize("password", ["twelve chars", "längst kein Passwort", "x" * 250 + "abcd"])
def test_any_other_password_is_taken(password: str) -> None:
    credentials.check_password(password, "grace.hopper@example.com")


def test_a_short_name_before_the_at_may_turn_up_in_a_password() -> None:
    credentials.check_password("an adamant staple", "ada@example.com")


def test_a_made_password_is_long_random_and_readable() -> None:
    made = {credentials.make_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        credentials.check_password(password, "ada@example.com")
        assert len(password) == 24
        assert set(password) <= {*credentials.LETTERS, "-"}
    assert not set(credentials.LETTERS) & set("0o1liuv")
    assert set("".join(made)) == {*credentials.LETTERS, "-"}


# --- hashing ----------------------------------------------------------------------------------------


async def test_a_password_is_kept_as_argon2id_with_the_librarys_own_parameters() -> None:
    stored = await credentials.hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in stored
    assert not credentials.is_outdated(stored)
    assert await credentials.is_password(PASSWORD, stored)
    assert not await credentials.is_password(PASSWORD + " ", stored)
    assert stored != await credentials.hash_password(PASSWORD)


async def test_the_same_letters_are_the_same_password_whatever_the_keyboard_makes_of_them(
    watched: WatchedHasher,
) -> None:
    stored = await credentials.hash_password("ein Schl\u00fcssel, \ufb01ndig")
    assert await credentials.is_password("ein Schlu\u0308ssel, findig", stored)


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    older = WatchedHasher().hash(PASSWORD)
    assert credentials.is_outdated(older)
    assert await credentials.is_password(PASSWORD, older)


async def test_nobodys_password_costs_one_hash_as_well(watched: WatchedHasher) -> None:
    stored = await credentials.hash_password(PASSWORD)
    watched.asked.clear()
    assert not await credentials.is_password("another password", stored)
    assert not await credentials.is_password("another password", None)
    assert watched.asked == ["verify", "hash"]


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$v=19$m=8,t=1,p=1$short$short", "$2b$12$abc"])
async def test_a_hash_that_is_none_lets_nobody_in(watched: WatchedHasher, stored: str) -> None:
    assert not await credentials.is_password(PASSWORD, stored)


async def test_hashing_leaves_the_loop_free(watched: WatchedHasher) -> None:
    stored = await credentials.hash_password(PASSWORD)
    await credentials.is_password(PASSWORD, stored)
    await credentials.is_password(PASSWORD, None)
    assert threading.current_thread().name not in watched.threads
    assert all(name.startswith("passwords") for name in watched.threads)


async def test_the_work_for_an_endless_password_is_bounded(watched: WatchedHasher) -> None:
    stored = await credentials.hash_password("x" * 256)
    assert not await credentials.is_password("x" * 10_000_000, stored)
    assert not await credentials.is_password("x" * 257, stored)
