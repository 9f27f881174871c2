"""The web application: routes, limits and headers, and the relay that runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from errors import BadInput, Conflict, DunwellError, NotAllowed, NotKnown
from store import events
from web import access, cases, ledger, mail_events, pay, studio, webhooks
from web.pay import templates
from web.relay import run_relay
from web.studio import frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from web.desk import Desk

log = structlog.get_logger()
VERSION = "0.1.0"
HERE = Path(__file__).parent
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # A customer's link is a key: no other site may learn it from a Referer.
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def make_app(desk: Desk) -> FastAPI:
    """Make the application around a desk; the relay runs for as long as the application does."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = desk
        relay = asyncio.create_task(run_relay(desk), name="relay")
        try:
            yield
        finally:
            relay.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relay
            await studio.close(app)

    app = FastAPI(
        title="Dunwell",
        version=VERSION,
        summary="Recovers failed subscription payments.",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere; the description itself is enough for any viewer.
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    # SendGrid's address stands before that of any processor.
    for room in (mail_events, webhooks, cases, ledger, access, pay):
        app.include_router(room.router)
    studio.add_to(app)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.middleware("http")(_with_headers)
    _add_errors(app)
    _add_home(app, desk)
    return app


def _add_home(app: FastAPI, desk: Desk) -> None:
    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> HTMLResponse:
        url = desk.settings.temporal_ui_url
        return templates.TemplateResponse(request, "home.html", {"temporal_ui": str(url) if url else None})

    @app.get("/health", tags=["operations"], summary="Ask whether the web side works")
    async def health() -> JSONResponse:
        """Answer 200 while webhooks can be stored; Temporal being away only delays what is stored."""
        async with desk.tools.database.read() as session:
            waiting = await events.waiting(session)
        return JSONResponse({"status": "ok", "events_waiting": waiting})


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(BadInput)
    async def bad_input(request: Request, error: BadInput) -> Response:
        status = 403 if isinstance(error, NotAllowed) else 404 if isinstance(error, NotKnown) else 400
        return _problem(request, status, str(error))

    @app.exception_handler(Conflict)
    async def excluded(request: Request, error: Conflict) -> Response:
        return _problem(request, 409, str(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _problem(request, error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        faults = [
            f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}" for item in error.errors()
        ]
        return _problem(request, 422, "; ".join(faults))

    @app.exception_handler(SQLAlchemyError)
    async def no_database(request: Request, error: SQLAlchemyError) -> Response:
        # A processor that gets no 200 delivers again: nothing is lost.
        log.error("database.trouble", error=str(error.__class__.__name__))
        return _problem(
            request, 503, "the database does not answer: send this again later", headers={"Retry-After": "10"}
        )

    @app.exception_handler(RPCError)
    async def no_temporal(request: Request, error: RPCError) -> Response:
        log.error("temporal.trouble", error=str(error))
        return _problem(
            request, 503, "Temporal does not answer: send this again later", headers={"Retry-After": "10"}
        )

    @app.exception_handler(DunwellError)
    async def trouble(request: Request, error: DunwellError) -> Response:
        log.error("web.trouble", error=str(error))
        return _problem(request, 503, str(error), headers={"Retry-After": "30"})


def _problem(request: Request, status: int, reason: str, headers: Any = None) -> Response:
    if studio.is_studio(request):
        return frame.trouble(request, status, reason, headers)
    return JSONResponse({"error": reason}, status_code=status, headers=headers)


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in (frame.HEADERS if studio.is_studio(request) else HEADERS).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    return response
