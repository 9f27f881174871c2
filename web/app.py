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

from errors import BadInput, DunwellError
from store import events
from web import access, cases, pay, webhooks
from web.pay import templates
from web.relay import run_relay

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
    for room in (webhooks, cases, access, pay):
        app.include_router(room.router)
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
    async def bad_input(_: Request, error: BadInput) -> JSONResponse:
        return _problem(400, str(error))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}" for item in error.errors()
        ]
        return _problem(422, "; ".join(faults))

    @app.exception_handler(SQLAlchemyError)
    async def no_database(_: Request, error: SQLAlchemyError) -> JSONResponse:
        # A processor that gets no 200 delivers again: nothing is lost.
        log.error("database.trouble", error=str(error.__class__.__name__))
        return _problem(
            503, "the database does not answer: send this again later", headers={"Retry-After": "10"}
        )

    @app.exception_handler(RPCError)
    async def no_temporal(_: Request, error: RPCError) -> JSONResponse:
        log.error("temporal.trouble", error=str(error))
        return _problem(503, "Temporal does not answer: send this again later", headers={"Retry-After": "10"})

    @app.exception_handler(DunwellError)
    async def trouble(_: Request, error: DunwellError) -> JSONResponse:
        log.error("web.trouble", error=str(error))
        return _problem(503, str(error), headers={"Retry-After": "30"})


def _problem(status: int, reason: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=headers)


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    return response
