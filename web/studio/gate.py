"""Who may pass: who is signed in, with which role, and whether a request was really made by them."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, unquote, urlsplit

from fastapi import Depends
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from errors import NotAllowed
from store import sessions
from store.accounts import Role
from web.desk import Desk, desk_of
from web.studio.frame import PREFIX, cookie_name, is_htmx, is_secure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SIGN_IN, SIGN_OUT, PASSWORD = f"{PREFIX}/sign-in", f"{PREFIX}/sign-out", f"{PREFIX}/password"
SAFE = {"GET", "HEAD", "OPTIONS"}
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
# What an address within the studio is made of: no second slash at its head, no backslash, no control character.
WITHIN = re.compile(rf"{PREFIX}(?:/[\w.~%-]+)*/?(?:\?[\w.~%&=+:@/,!$'()*;?-]*)?", re.ASCII)


@dataclass(frozen=True)
class Person:
    """Who is signed in; ``email`` is the name under which everything is recorded."""

    account: str
    email: str
    name: str
    role: Role
    csrf: str
    must_change: bool
    signed_in: sessions.SignedIn

    @classmethod
    def of(cls, found: sessions.SignedIn) -> Person:
        """Take what pages need to know."""
        account = found.account
        return cls(
            account=account.id,
            email=account.email,
            name=account.name,
            role=Role(account.role),
            csrf=found.session.csrf,
            must_change=account.must_change,
            signed_in=found,
        )


class SignInFirst(Exception):  # noqa: N818 - named for what the person has to do
    """Nobody is signed in."""


class ChangePasswordFirst(Exception):  # noqa: N818 - likewise
    """Somebody is signed in with a password that somebody else knows."""


def signed_in(role: Role) -> Callable[[Request], AsyncIterator[Person]]:
    """Make the dependency of a route: let in whose role reaches that far, and whose request is their own."""

    async def pass_through(request: Request) -> AsyncIterator[Person]:
        try:
            yield await _passed(request, role)
        finally:
            # Where a form was read for its token alone, nobody else closes what came with it.
            await request.close()

    return pass_through


async def _passed(request: Request, role: Role) -> Person:
    person = await person_of(request)
    if person is None:
        raise SignInFirst
    request.state.person = person
    if request.method not in SAFE:
        await _check_own(request, person)
    if person.must_change and request.url.path not in {PASSWORD, SIGN_OUT}:
        raise ChangePasswordFirst
    if not person.role.allows(role):
        raise NotAllowed(
            f"this needs the role {role}, and yours is {person.role}: ask an administrator of the studio"
        )
    return person


Viewer = Annotated[Person, Depends(signed_in(Role.VIEWER))]
Editor = Annotated[Person, Depends(signed_in(Role.EDITOR))]
Operator = Annotated[Person, Depends(signed_in(Role.OPERATOR))]
Admin = Annotated[Person, Depends(signed_in(Role.ADMIN))]


async def person_of(request: Request) -> Person | None:
    """Find who is signed in with this browser, and note that they were here."""
    desk = desk_of(request)
    token = request.cookies.get(session_cookie(desk))
    if not token:
        return None
    now = desk.now()
    async with desk.tools.database.read() as session:
        found = await sessions.find(session, token, now)
    if found is None:
        return None
    if sessions.is_to_be_seen(found.session, now):
        async with desk.tools.database.begin() as session:
            await sessions.seen(session, found.session.digest, now)
    return Person.of(found)


# --- whether a request is a person's own -----------------------------------------------------------


def is_from_here(request: Request) -> bool:
    """Whether a browser made a request from one of our own pages, as far as its headers tell."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        # No browser leaves both out; a program has no cookies that another site could use.
        return True
    public = desk_of(request).settings.public_url
    host = request.headers.get("host", "")
    ours = urlsplit(str(public))
    return origin in {f"{ours.scheme}://{ours.netloc}", f"{ours.scheme}://{host}"}


async def _check_own(request: Request, person: Person) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            field = (await request.form()).get(CSRF_FIELD)
            given = None if isinstance(field, UploadFile) else field
    matches = hmac.compare_digest((given or "").encode(), person.csrf.encode())
    if not is_from_here(request) or not matches:
        raise NotAllowed(
            "this form was not sent from a page of yours, or that page is too old: open the page again, and repeat it"
        )


# --- the cookie ------------------------------------------------------------------------------------


def session_cookie(desk: Desk) -> str:
    """Name the cookie that holds a session's token."""
    return cookie_name(desk, "studio")


def keep_signed_in(desk: Desk, response: Response, token: str) -> None:
    """Give a browser its session."""
    response.set_cookie(
        session_cookie(desk),
        token,
        max_age=int(sessions.LONGEST.total_seconds()),
        secure=is_secure(desk),
        httponly=True,
        samesite="lax",
    )


def forget(desk: Desk, response: Response) -> None:
    """Take a browser's session away."""
    response.delete_cookie(session_cookie(desk), secure=is_secure(desk), httponly=True, samesite="lax")


# --- the way to the sign-in page and back ----------------------------------------------------------


def place_within(wanted: str | None) -> str:
    """Give an address to go on to: the wanted one where it is within the studio, else the studio's own.

    Another site could otherwise send people through our sign-in page to a copy of it.
    """
    if wanted and WITHIN.fullmatch(wanted) and ".." not in unquote(wanted.partition("?")[0]).split("/"):
        return wanted
    return PREFIX


def to_sign_in(request: Request) -> Response:
    """Lead to the sign-in page, and from there back to where the person was."""
    response = _detour(request, SIGN_IN)
    desk = desk_of(request)
    if session_cookie(desk) in request.cookies:
        forget(desk, response)
    return response


def to_password(request: Request) -> Response:
    """Lead to the page where the own password is changed, and from there on."""
    return _detour(request, PASSWORD)


def _detour(request: Request, path: str) -> Response:
    back = _place_of(request)
    target = path if back == PREFIX else f"{path}?next={quote(back, safe='')}"
    if is_htmx(request):
        return Response(status_code=401, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=303)


def _place_of(request: Request) -> str:
    """Find the page on which a person is: its own address, or that of the page a part was asked for from."""
    url = urlsplit(str(request.url))
    if is_htmx(request):
        url = urlsplit(request.headers.get("hx-current-url", ""))
    elif request.method not in SAFE:
        # A form's target is no page; nothing is repeated by itself.
        return PREFIX
    return place_within(url.path + (f"?{url.query}" if url.query else ""))
