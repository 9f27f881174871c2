"""The campaign studio: signed-in people change campaigns here, see the effect, and publish.

A part of the studio is a module with a router of its own, included below; its routes take ``gate.Viewer`` (or
``Editor``, ``Operator``, ``Admin``) and answer with ``frame.page`` or ``frame.see_other``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from web.studio import (
    audit_log,
    campaigns,
    cases,
    editing_forms,
    editor,
    effects,
    facts,
    gate,
    history,
    move_now,
    moves,
    people,
    preview,
    publish,
    shadow,
    sign_in,
    what_if,
)
from web.studio.bound import TriesByAddress
from web.studio.frame import PREFIX, is_studio

if TYPE_CHECKING:
    from starlette.requests import Request

# A form fits well into it; a route that takes files gives a limit of its own.
LARGEST_FORM = 1024 * 1024

router = APIRouter(prefix=PREFIX, include_in_schema=False, max_body_size=LARGEST_FORM)


@router.get("")
async def first_page() -> Response:
    """Lead to the list of campaigns."""
    return RedirectResponse(f"{PREFIX}/campaigns", status_code=303)


PARTS = (
    sign_in,
    people,
    audit_log,
    campaigns,
    editor,
    editing_forms,
    preview,
    history,
    effects,
    publish,
    move_now,
    what_if,
    moves,
    cases,
    facts,
    shadow,
)
for part in PARTS:
    router.include_router(part.router)


def add_to(app: FastAPI) -> None:
    """Add the studio to the application, after everything that has routes under its prefix."""
    app.state.tries = TriesByAddress()
    effects.add_to(app)
    what_if.add_to(app)
    app.include_router(router)

    @app.get(PREFIX + "/{path:path}", include_in_schema=False)
    async def no_page(path: str, _: gate.Viewer) -> Response:
        if path.endswith("/") or not path:
            return RedirectResponse(f"{PREFIX}/{path}".rstrip("/"), status_code=303)
        # Only who is signed in learns which pages there are.
        raise HTTPException(404, f"there is no page '{path}' in the studio")

    @app.exception_handler(gate.SignInFirst)
    async def sign_in_first(request: Request, _: gate.SignInFirst) -> Response:
        return gate.to_sign_in(request)

    @app.exception_handler(gate.ChangePasswordFirst)
    async def change_password_first(request: Request, _: gate.ChangePasswordFirst) -> Response:
        return gate.to_password(request)


async def close(app: FastAPI) -> None:
    """Stop what is being worked out for pages that nobody will see any more."""
    await effects.effects_of_app(app).close()
    await what_if.runs_of_app(app).close()


__all__ = ["add_to", "close", "is_studio", "router"]
