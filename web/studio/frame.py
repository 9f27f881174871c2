"""What every page of the studio has in common: the layout, the headers, notices, and errors as pages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from itsdangerous import BadSignature, URLSafeSerializer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from campaigns.durations import spell_duration
from campaigns.money import spell_money
from store.accounts import Role
from web.desk import desk_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.requests import Request

    from web.desk import Desk
    from web.studio.gate import Person

HERE = Path(__file__).resolve().parents[1]
PREFIX = "/studio"
Kind = Literal["info", "success", "warning", "error"]
KINDS: tuple[Kind, ...] = ("info", "success", "warning", "error")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # What a page shows is for who is signed in now, and not for whoever presses "back" after them.
    "Cache-Control": "no-store",
    # With "no-referrer" a browser would send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HTMX = {
    "includeIndicatorStyles": False,
    "allowEval": False,
    "allowScriptTags": False,
    "selfRequestsOnly": True,
    # Pages must not stay in the browser's storage after sign-out.
    "historyCacheSize": 0,
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        # A form that is shown again with what is wrong in it.
        {"code": "422", "swap": True},
        {
            "code": "[45]..",
            "swap": True,
            "error": True,
            "target": "#messages",
            "swapOverride": "innerHTML show:top",
        },
    ],
}
TITLES = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    413: "Too large",
    422: "Not understood",
    429: "Too many tries",
    503: "Try again shortly",
}
LONGEST_NOTICE = 1000


@dataclass(frozen=True)
class Link:
    """An entry of the navigation, and the least role that sees it."""

    title: str
    path: str
    role: Role = Role.VIEWER


NAVIGATION = (
    Link("Campaigns", f"{PREFIX}/campaigns"),
    Link("Cases", f"{PREFIX}/cases"),
    Link("Shadow", f"{PREFIX}/shadow"),
    Link("Moves", f"{PREFIX}/moves"),
    Link("Declines and limits", f"{PREFIX}/facts"),
    Link("Audit log", f"{PREFIX}/audit"),
    Link("People", f"{PREFIX}/people", Role.ADMIN),
)


@dataclass(frozen=True)
class Notice:
    """A sentence at the head of a page: how what was just done has ended."""

    kind: Kind
    text: str


# --- the templates ---------------------------------------------------------------------------------


@cache
def static(name: str) -> str:
    """Give the address of a static file with its content's mark, so that no browser keeps an older one."""
    mark = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={mark}"


def moment(value: datetime | None, empty: str = "never") -> Markup:
    """Write a time for people and for programs."""
    if value is None:
        return Markup("<span>{}</span>").format(empty)
    shown = f"{value:%d %b %Y, %H:%M}\N{NO-BREAK SPACE}UTC".lstrip("0")
    return Markup('<time datetime="{}">{}</time>').format(f"{value:%Y-%m-%dT%H:%M:%SZ}", shown)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "pages" / "studio"),
        autoescape=True,
        # A misspelt name must be an error, not an empty place.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "duration": spell_duration, "money": spell_money}
    environment.globals |= {"static": static, "htmx_config": json.dumps(HTMX), "Role": Role}
    return environment


templates = Jinja2Templates(env=_environment())


def page(request: Request, name: str, /, *, status: int = 200, **words: Any) -> HTMLResponse:
    """Render a page of ``web/pages/studio`` with what the layout needs, and ``words`` of its own.

    The layout knows ``person`` (None before sign-in), ``csrf``, ``navigation``, ``livemode`` and ``notice``; a
    ``notice`` among the words takes the place of the one that was kept by :func:`see_other`.
    """
    person: Person | None = getattr(request.state, "person", None)
    desk = desk_of(request)
    kept = _kept_notice(request, desk)
    known = {
        "person": person,
        "csrf": person.csrf if person else "",
        "navigation": [link for link in NAVIGATION if person and person.role.allows(link.role)],
        "path": request.url.path,
        "livemode": desk.settings.livemode,
        "notice": kept,
    }
    response = templates.TemplateResponse(request, name, known | words, status_code=status)
    if _notice_cookie(desk) in request.cookies:
        response.delete_cookie(_notice_cookie(desk), secure=is_secure(desk), httponly=True, samesite="lax")
    return response


# --- going on to another page ----------------------------------------------------------------------


def is_secure(desk: Desk) -> bool:
    """Whether people reach the studio through TLS, so that cookies may insist on it."""
    return desk.settings.public_url.scheme == "https"


def cookie_name(desk: Desk, what: str) -> str:
    """Name a cookie; with TLS in such a way that no other host and no plain connection can set it."""
    return f"__Host-dunwell-{what}" if is_secure(desk) else f"dunwell-{what}"


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a part of a page; a boosted link asks for a whole one."""
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


def see_other(request: Request, path: str, said: str | None = None, kind: Kind = "success") -> Response:
    """Lead on to a page after something was done, with a sentence to be shown there once."""
    if is_htmx(request):
        response = Response(status_code=204, headers={"HX-Redirect": path})
    else:
        response = RedirectResponse(path, status_code=303)
    if said:
        desk = desk_of(request)
        response.set_cookie(
            _notice_cookie(desk),
            _signer(desk).dumps([kind, said[:LONGEST_NOTICE]]),
            max_age=60,
            secure=is_secure(desk),
            httponly=True,
            samesite="lax",
        )
    return response


def _notice_cookie(desk: Desk) -> str:
    return cookie_name(desk, "notice")


def _kept_notice(request: Request, desk: Desk) -> Notice | None:
    kept = request.cookies.get(_notice_cookie(desk))
    if not kept:
        return None
    try:
        kind, text = _signer(desk).loads(kept)
    except (BadSignature, ValueError, TypeError):
        return None
    return Notice(kind, text)


def _signer(desk: Desk) -> URLSafeSerializer:
    key = desk.settings.secret_key
    # wiring.make_links has refused to start without one.
    assert key is not None
    return URLSafeSerializer(key.get_secret_value(), salt="studio-notice")


# --- errors ----------------------------------------------------------------------------------------


def is_studio(request: Request) -> bool:
    """Whether a request is for a page of the studio, and its answer for a person."""
    path = request.url.path
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def sentence(reason: str) -> str:
    """Write an error's text as a sentence for a page."""
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith((".", "!", "?")) else ".")


def trouble(request: Request, status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """Say what went wrong: as a page, or where htmx asked, as a notice among the page's messages."""
    title = TITLES.get(status, "This did not work")
    reason = sentence(reason)
    if is_htmx(request):
        response: Response = templates.TemplateResponse(
            request, "notice.html", {"notice": Notice("error", reason)}, status_code=status
        )
        response.headers["HX-Retarget"] = "#messages"
        response.headers["HX-Reswap"] = "innerHTML show:#messages:top"
    else:
        response = page(request, "error.html", status=status, title=title, reason=reason)
    response.headers.update(headers or {})
    return response
