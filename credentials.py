"""What people sign in to the studio with: e-mail addresses and passwords, and how they are checked."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email

from errors import BadInput

SHORTEST, LONGEST = 12, 256
FEWEST_KINDS = 5
# A shorter name before the @ turns up in words that have nothing to do with it.
TELLING = 4
# Without what looks alike on paper or sounds alike on the telephone: 0 and o, 1 and l and i, u and v.
LETTERS = "abcdefghjkmnpqrstwxyz23456789"
GROUPS, GROUP = 5, 4

hasher = PasswordHasher()
# Each hash takes 64 MiB and a while: more at once would let anybody who asks often use up the machine.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


def read_email(text: str) -> str:
    """Give an address in the form in which accounts are kept; raises BadInput."""
    try:
        found = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError as error:
        raise BadInput(f"'{text[:320]}' is not an e-mail address: {error}") from None
    return found.normalized.lower()


def check_password(password: str, email: str) -> None:
    """Refuse a password that could be guessed; raises BadInput that says what to do."""
    if len(password) < SHORTEST:
        raise BadInput(f"the password is too short: take {SHORTEST} characters or more, a few words will do")
    if len(password) > LONGEST:
        raise BadInput(f"the password is too long: take {LONGEST} characters or fewer")
    if len(set(password)) < FEWEST_KINDS:
        raise BadInput("the password repeats the same few characters: take something less regular")
    name = email.partition("@")[0]
    if len(name) >= TELLING and name in password.lower():
        raise BadInput("the password holds the e-mail address: take something that has nothing to do with it")


def make_password() -> str:
    """Make a password that can be read aloud, of 97 random bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))


async def hash_password(password: str) -> str:
    """Hash a password with today's parameters."""
    return await asyncio.get_running_loop().run_in_executor(_threads, hasher.hash, _spelled(password))


async def is_password(password: str, stored: str | None) -> bool:
    """Whether a password is the one that was hashed; ``stored`` is None where there is no account.

    Then one is hashed all the same, so that the time taken does not tell who has an account.
    """
    return await asyncio.get_running_loop().run_in_executor(
        _threads, _is_password, _spelled(password), stored
    )


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with parameters other than today's."""
    return hasher.check_needs_rehash(stored)


def _is_password(password: str, stored: str | None) -> bool:
    if stored is None:
        hasher.hash(password)
        return False
    try:
        return hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _spelled(password: str) -> str:
    # Keyboards compose the same letter from different characters. The limit bounds the work for a stranger.
    return unicodedata.normalize("NFKC", password[: LONGEST + 1])
