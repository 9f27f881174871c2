"""Signing in, signing out, and changing one's own password."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
import math
from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import Response

import credentials
from errors import BadInput, NotAllowed
from store import accounts, sessions
from store.studio_tables import AccountRow
from web.desk import Desk, desk_of
from web.studio import gate
from web.studio.bound import address_of, tries_of
from web.studio.frame import page, see_other, sentence
from web.studio.gate import Viewer, place_within

router = APIRouter()
AtDesk = Annotated[Desk, Depends(desk_of)]
Typed = Annotated[str, Form()]
Next = Annotated[str, Query(alias="next")]
NextField = Annotated[str, Form(alias="next")]
log = structlog.get_logger()
LONGEST_EMAIL = 320

# The same for an unknown address, a wrong password, a disabled account and one that rests.
REFUSED = (
    "This e-mail address and password do not go together. After several wrong passwords an account rests for a"
    " while; an administrator can give it a new one."
)

WRONG_CURRENT = "This is not your current password. After several wrong ones your account rests for a while."


class TooManyTries(HTTPException):
    """A client has tried so many wrong passwords that it has to wait."""

    def __init__(self, wait: timedelta) -> None:
        """Say how long, in whole minutes."""
        minutes = math.ceil(wait.total_seconds() / 60)
        super().__init__(
            429,
            f"there were too many wrong passwords from your network: try again in {minutes} min",
            headers={"Retry-After": str(minutes * 60)},
        )


async def checked(request: Request, desk: Desk, email: str, password: str) -> AccountRow | None:
    """Look at an e-mail address and a password; None where they do not let anybody in.

    Raises TooManyTries where the client has to wait.
    """
    tries, address, now = tries_of(request), address_of(request), desk.now()
    wait = tries.begin(address, now)
    if wait:
        raise TooManyTries(wait)
    async with desk.tools.database.begin() as session:
        tried = await accounts.begin_try(session, _spelled(email), now)
    # Outside of the transaction: nobody's write waits for the hash.
    if await credentials.is_password(password, tried.password_hash if tried else None):
        tries.was_right(address)
        return tried
    log.warning("studio.wrong_password", address=address, account=tried.id if tried else None)
    if tried is not None:
        async with desk.tools.database.begin() as session:
            await accounts.note_wrong(session, tried, address, now)
    return None


def _spelled(email: str) -> str:
    """Spell an address as accounts are kept; what is none belongs to nobody."""
    try:
        return credentials.read_email(email[:LONGEST_EMAIL])
    except BadInput:
        return ""


# --- in and out ------------------------------------------------------------------------------------


@router.get("/sign-in")
async def ask(request: Request, next_page: Next = "") -> Response:
    """Show the form, or lead on who is signed in already."""
    if await gate.person_of(request) is not None:
        return see_other(request, place_within(next_page))
    return page(request, "sign_in.html", next=place_within(next_page), email="", fault=None)


@router.post("/sign-in")
async def sign_in(
    request: Request, desk: AtDesk, email: Typed, password: Typed, next_page: NextField = ""
) -> Response:
    """Begin a session for the right e-mail address and password; an earlier one of this browser ends."""
    if not gate.is_from_here(request):
        raise NotAllowed("this form was not sent from our own sign-in page: open it, and sign in there")
    tried = await checked(request, desk, email, password)
    token = None
    if tried is not None:
        outdated = credentials.is_outdated(tried.password_hash)
        new_hash = await credentials.hash_password(password) if outdated else None
        before = request.cookies.get(gate.session_cookie(desk))
        async with desk.tools.database.begin() as session:
            if before:
                await sessions.end(session, sessions.digest_of(before))
            token = await accounts.sign_in(session, tried, desk.now(), new_hash=new_hash)
    if token is None:
        words = {"next": place_within(next_page), "email": email[:LONGEST_EMAIL], "fault": REFUSED}
        return page(request, "sign_in.html", status=401, **words)
    response = see_other(request, place_within(next_page))
    gate.keep_signed_in(desk, response, token)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, desk: AtDesk, person: Viewer) -> Response:
    """End this session, and no other of the same person."""
    async with desk.tools.database.begin() as session:
        await accounts.sign_out(session, person.signed_in, desk.now())
    response = see_other(request, gate.SIGN_IN, "You are signed out.")
    gate.forget(desk, response)
    return response


# --- the own password ------------------------------------------------------------------------------


@router.get("/password")
async def ask_for_password(request: Request, _: Viewer, next_page: Next = "") -> Response:
    """Show the form with which a person changes the own password."""
    return _password_page(request, next_page)


@router.post("/password")
async def change_password(
    request: Request,
    desk: AtDesk,
    person: Viewer,
    current: Typed,
    new: Typed,
    repeated: Typed,
    next_page: NextField = "",
) -> Response:
    """Keep a new password after the right old one; every other browser of this person is signed out."""
    fault = _fault_of(person.email, current, new, repeated)
    if fault:
        return _password_page(request, next_page, fault, status=422)
    tried = await checked(request, desk, person.email, current)
    token = None
    if tried is not None:
        new_hash = await credentials.hash_password(new)
        async with desk.tools.database.begin() as session:
            token = await accounts.change_password(session, tried, new_hash, desk.now())
    if token is None:
        return _password_page(request, next_page, WRONG_CURRENT, status=422)
    said = "Your password is changed. Wherever else you were signed in, you are no longer."
    response = see_other(request, place_within(next_page), said)
    gate.keep_signed_in(desk, response, token)
    return response


def _fault_of(email: str, current: str, new: str, repeated: str) -> str | None:
    if new != repeated:
        return "The new password and its repetition differ: type both again."
    if new == current:
        return "The new password is the old one: take another."
    try:
        credentials.check_password(new, email)
    except BadInput as error:
        return sentence(str(error))
    return None


def _password_page(
    request: Request, next_page: str, fault: str | None = None, *, status: int = 200
) -> Response:
    words = {"next": place_within(next_page), "fault": fault, "shortest": credentials.SHORTEST}
    return page(request, "password.html", status=status, **words)
