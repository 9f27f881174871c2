"""The customer's page: change the card without a password, from a link in a mail."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from campaigns.money import spell_money
from errors import BadInput, BadToken, ProcessorError
from processors.sandbox import SandboxProcessor
from store import cases
from web import clicks
from web.desk import Desk, desk_of

if TYPE_CHECKING:
    from store.tables import CaseRow

router = APIRouter(tags=["customers"], include_in_schema=False)
AtDesk = Annotated[Desk, Depends(desk_of)]
log = structlog.get_logger()
templates = Jinja2Templates(directory=Path(__file__).parent / "pages")


def _page(request: Request, name: str, status: int = 200, **words: object) -> HTMLResponse:
    return templates.TemplateResponse(request, name, words, status_code=status)


def _nothing_left(request: Request) -> HTMLResponse:
    text = "This payment is no longer open. Thank you!"
    return _page(request, "notice.html", title="Nothing left to do", text=text)


async def _case_of(desk: Desk, token: str) -> CaseRow:
    case_id = desk.links.case_of(token, desk.now())
    async with desk.tools.database.read() as session:
        row = await cases.get(session, case_id)
    if row is None:
        raise BadToken("this link belongs to nothing we know: use the one in the latest mail")
    return row


@router.get("/pay/{token}")
async def change_card(token: str, request: Request, desk: AtDesk) -> Response:
    """Lead to the page where the card is changed; opening the link itself does nothing but count."""
    try:
        row = await _case_of(desk, token)
    except BadToken as error:
        return _page(request, "notice.html", 404, title="This link does not work", text=str(error))
    if clicks.is_a_click(request.method, request.headers):
        await clicks.note(desk, token, row.id)
    if row.closed_at is not None:
        return _page(
            request,
            "notice.html",
            title="Nothing left to do",
            text="This payment is no longer open. Thank you!",
        )
    processor = desk.tools.processors.get(row.processor)
    if isinstance(processor, SandboxProcessor):
        owed = spell_money(row.amount, row.currency)
        return _page(
            request, "sandbox_card.html", owed=owed, invoice=row.invoice, cards=processor.test_cards()
        )
    try:
        if processor is None:
            raise ProcessorError(f"no processor is called {row.processor}")  # noqa: TRY301
        back = f"{str(desk.settings.public_url).rstrip('/')}/pay/{token}/back"
        return RedirectResponse(await processor.card_page(row.account, row.customer, back), status_code=303)
    except ProcessorError as error:
        log.warning("pay.unavailable", case=row.id, invoice=row.invoice, error=str(error))
        text = "The page for your card cannot be opened right now. Please try the same link again in a few minutes."
        return _page(request, "notice.html", 503, title="Please try again shortly", text=text)


@router.get("/pay/{token}/back")
async def come_back(token: str, request: Request, desk: AtDesk) -> Response:
    """Thank a customer who returns from the processor's page."""
    try:
        await _case_of(desk, token)
    except BadToken as error:
        return _page(request, "notice.html", 404, title="This link does not work", text=str(error))
    text = "If you changed your card, we charge it now and send you a receipt. You can close this page."
    return _page(request, "notice.html", title="Thank you", text=text)


@router.post("/pay/{token}")
async def give_test_card(
    token: str, request: Request, desk: AtDesk, card: Annotated[int, Form()]
) -> Response:
    """Take one of the sandbox's test cards as the customer's new one."""
    try:
        row = await _case_of(desk, token)
    except BadToken as error:
        return _page(request, "notice.html", 404, title="This link does not work", text=str(error))
    if row.closed_at is not None:
        return _nothing_left(request)
    processor = desk.tools.processors.get(row.processor)
    if not isinstance(processor, SandboxProcessor):
        raise HTTPException(404, "test cards exist only with the sandbox processor")
    samples = processor.test_cards()
    if not 0 <= card < len(samples):
        raise HTTPException(422, f"there is no test card {card}: choose one from the page")
    sample = samples[card]
    await processor.add_card(
        row.customer,
        f"card_{uuid.uuid4().hex[:12]}",
        sample.script,
        network=sample.network,
        last4=sample.last4,
    )
    text = f"Your {sample.network.title()} ending in {sample.last4} is saved. We charge it now and tell you by mail."
    return _page(request, "notice.html", title="Thank you", text=text)


@router.get("/sandbox/pay/{invoice}")
async def confirm_page(invoice: str, request: Request, desk: AtDesk) -> Response:
    """Play the bank's confirmation page for the sandbox."""
    _sandbox(desk)
    return _page(request, "sandbox_confirm.html", invoice=invoice)


@router.post("/sandbox/pay/{invoice}")
async def confirm(invoice: str, request: Request, desk: AtDesk) -> Response:
    """Confirm the payment, as a customer does at the bank."""
    try:
        await _sandbox(desk).confirm(invoice, desk.now())
    except (BadInput, ProcessorError) as error:
        return _page(request, "notice.html", 409, title="Nothing to confirm", text=str(error))
    return _page(request, "notice.html", title="Confirmed", text="Thank you, the payment is confirmed.")


def _sandbox(desk: Desk) -> SandboxProcessor:
    processor = desk.tools.processors.get("sandbox")
    if not isinstance(processor, SandboxProcessor):
        raise HTTPException(404, "this page exists only with the sandbox processor")
    return processor
