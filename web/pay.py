"""The customer's page: settle an open payment without a password, from a link in a mail.

Opening any of it does nothing but count a click. What does something is a POST, which the token in its
path binds to the link; its answer leads to a page that may be loaded again.
"""

from __future__ import annotations

import json
import uuid
from datetime import date  # noqa: TC003 - FastAPI reads the annotation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

import keys
from campaigns.money import spell_money
from contract import Cancel, FactName, PromiseToPay
from errors import BadInput, BadToken, NotKnown, ProcessorError
from processors.protocol import SubscriptionChange
from processors.sandbox import SandboxProcessor
from store import cases, events
from web import clicks
from web.desk import Desk, desk_of
from web.offers import Offers, offers_of
from web.relay import API, deliver

if TYPE_CHECKING:
    from contract import Fact
    from processors.protocol import Processor
    from store.tables import CaseRow, EventRow

router = APIRouter(tags=["customers"], include_in_schema=False)
AtDesk = Annotated[Desk, Depends(desk_of)]
log = structlog.get_logger()
templates = Jinja2Templates(directory=Path(__file__).parent / "pages")
# A browser holds the page that a form leads on to, the bank's, to the same rule as the form. The sandbox's
# bank is at the public address, which on a machine of one's own may have no TLS.
FORMS_LEAD_ON = (
    "default-src 'none'; style-src 'self'; form-action 'self' https: {public};"
    " base-uri 'none'; frame-ancestors 'none'"
)
# An invoice that is gone at the processor is the owner's trouble, and no page of an API to the customer.
TROUBLE = (ProcessorError, NotKnown)
CANCELLED = "the customer cancelled on the page of their mail"


def _page(request: Request, name: str, status: int = 200, **words: object) -> HTMLResponse:
    return templates.TemplateResponse(request, name, words, status_code=status)


def _notice(
    request: Request, offers: Offers, title: str, text: str, status: int = 200, back: str | None = None
) -> Response:
    say, lang = offers.reader.say, offers.reader.language
    link = (back, say("back")) if back else None
    return _page(request, "notice.html", status, lang=lang, title=say(title), text=text, back=link)


def _no_such_link(request: Request, error: BadToken) -> Response:
    # Whose link it is nobody knows, and so neither in which language to say it.
    return _page(request, "notice.html", 404, title="This link does not work", text=str(error))


async def _case_of(desk: Desk, token: str) -> CaseRow:
    case_id = desk.links.case_of(token, desk.now())
    async with desk.tools.database.read() as session:
        row = await cases.get(session, case_id)
    if row is None:
        raise BadToken("this link belongs to nothing we know: use the one in the latest mail")
    return row


async def _opened(
    request: Request, desk: Desk, token: str, *, others: bool = False
) -> tuple[CaseRow, Offers] | Response:
    """Find what a link is for, or give the page that says why there is nothing to be done with it.

    ``others``: what else the customer owes is reason enough. A choice about the link's own payment, made on a
    page that was open while it was settled, must not become one about another.
    """
    try:
        row = await _case_of(desk, token)
    except BadToken as error:
        return _no_such_link(request, error)
    offers = await offers_of(desk, row)
    # A receipt may still wait for its hour, but there is nothing to pay any more.
    if offers.settled and offers.owed and not others:
        return _notice(request, offers, "thanks", offers.reader.say("closed"), back=f"/pay/{token}")
    if offers.settled and not offers.owed:
        return _notice(request, offers, "closed_title", offers.reader.say("closed"))
    return row, offers


# --- pages -----------------------------------------------------------------------------------------


@router.get("/pay/{token}")
async def choose(token: str, request: Request, desk: AtDesk) -> Response:
    """Show what is owed and what may be done about it; where only the card may be changed, lead there."""
    found = await _opened(request, desk, token, others=True)
    if clicks.is_a_click(request.method, request.headers):
        await _count(desk, token)
    if isinstance(found, Response):
        return found
    row, offers = found
    if offers.only_the_card:
        return await _card(request, desk, token, row, offers)
    title, intro = _headed(offers)
    say, lang = offers.reader.say, offers.reader.language
    page = _page(
        request, "pay.html", lang=lang, title=title, intro=intro, say=say, offers=offers, token=token
    )
    public = urlsplit(str(desk.settings.public_url))
    policy = FORMS_LEAD_ON.format(public=f"{public.scheme}://{public.netloc}")
    page.headers["Content-Security-Policy"] = policy
    return page


def _headed(offers: Offers) -> tuple[str, str]:
    """Give the page's heading and what it begins with."""
    say, facts = offers.reader.say, {"company": offers.company, "failed_on": offers.failed_on}
    if offers.revoked:
        return say("meant_title"), say("meant", **facts)
    if not offers.owed:
        return say("title", company=offers.company), say("still_open", failed_on=offers.failed_on)
    return say("title_several", company=offers.company), say(
        "rest_open" if offers.settled else "several_open"
    )


async def _count(desk: Desk, token: str) -> None:
    try:
        await clicks.note(desk, token, desk.links.case_of(token, desk.now()))
    except BadToken:
        return


@router.get("/pay/{token}/back")
async def come_back(token: str, request: Request, desk: AtDesk) -> Response:
    """Thank a customer who returns from the processor's page, whose payment may be through already."""
    try:
        row = await _case_of(desk, token)
    except BadToken as error:
        return _no_such_link(request, error)
    offers = await offers_of(desk, row)
    return _notice(request, offers, "thanks", offers.reader.say("came_back"))


# --- the card --------------------------------------------------------------------------------------


@router.get("/pay/{token}/card")
async def change_card(token: str, request: Request, desk: AtDesk) -> Response:
    """Lead to the processor's page where the card is changed."""
    found = await _opened(request, desk, token, others=True)
    return found if isinstance(found, Response) else await _card(request, desk, token, *found)


async def _card(request: Request, desk: Desk, token: str, row: CaseRow, offers: Offers) -> Response:
    processor = desk.tools.processors.get(row.processor)
    if isinstance(processor, SandboxProcessor):
        owed = offers.total or spell_money(row.amount, row.currency)
        return _page(
            request,
            "sandbox_card.html",
            owed=owed,
            invoices=[one.invoice for one in offers.owed] or [row.invoice],
            cards=processor.test_cards(),
            token=token,
        )
    try:
        back = f"{str(desk.settings.public_url).rstrip('/')}/pay/{token}/back"
        page = await _processor(desk, row).card_page(row.account, row.customer, back)
    except TROUBLE as error:
        return _away(request, row, offers, error)
    return RedirectResponse(page, status_code=303)


@router.post("/pay/{token}/card")
async def give_test_card(
    token: str, request: Request, desk: AtDesk, card: Annotated[int, Form()]
) -> Response:
    """Take one of the sandbox's test cards as the customer's new one."""
    found = await _opened(request, desk, token, others=True)
    if isinstance(found, Response):
        return found
    row, _ = found
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


# --- the bank's confirmation -----------------------------------------------------------------------


@router.post("/pay/{token}/confirm")
async def confirm_at_the_bank(token: str, request: Request, desk: AtDesk) -> Response:
    """Lead to the bank's confirmation, where the invoice as it is now still has one."""
    found = await _opened(request, desk, token)
    if isinstance(found, Response):
        return found
    row, offers = found
    if not offers.confirm:
        return RedirectResponse(f"/pay/{token}", status_code=303)
    try:
        invoice = await _processor(desk, row).read_invoice(row.account, row.invoice)
    except TROUBLE as error:
        return _away(request, row, offers, error)
    if invoice.confirm_url is None:
        text = offers.reader.say("nothing_asked")
        return _notice(request, offers, "thanks", text, back=f"/pay/{token}/card")
    return RedirectResponse(invoice.confirm_url, status_code=303)


# --- a promise -------------------------------------------------------------------------------------


@router.post("/pay/{token}/promise")
async def promise(token: str, request: Request, desk: AtDesk, day: Annotated[date, Form()]) -> Response:
    """Take a promise to pay on one of the days that the page offers."""
    found = await _opened(request, desk, token)
    if isinstance(found, Response):
        return found
    row, offers = found
    event = f"page:{row.id}:promise:{day}"
    if not await _was_told(desk, event):
        choice = offers.chosen(day)
        if choice is None:
            text = offers.reader.say("day_gone")
            return _notice(request, offers, "day_gone_title", text, 409, back=f"/pay/{token}")
        await _tell(desk, row, FactName.PROMISE_TO_PAY, PromiseToPay(event=event, on=choice.at))
    return RedirectResponse(f"/pay/{token}/promised/{day}", status_code=303)


@router.get("/pay/{token}/promised/{day}")
async def promised(token: str, day: date, request: Request, desk: AtDesk) -> Response:
    """Thank for a promise that was taken."""
    found = await _opened(request, desk, token)
    if isinstance(found, Response):
        return found
    row, offers = found
    told = await _told(desk, f"page:{row.id}:promise:{day}")
    if told is None:
        return RedirectResponse(f"/pay/{token}", status_code=303)
    on = PromiseToPay.model_validate({"event": told.event, **json.loads(told.body)["fact"]}).on
    text = offers.reader.say("promised", day=offers.reader.day(on))
    return _notice(request, offers, "thanks", text)


# --- cancelling ------------------------------------------------------------------------------------


@router.get("/pay/{token}/cancel")
async def ask_again(token: str, request: Request, desk: AtDesk) -> Response:
    """Ask once more whether the subscription is to be cancelled."""
    found = await _opened(request, desk, token)
    if isinstance(found, Response):
        return found
    _, offers = found
    if not offers.may_cancel:
        return RedirectResponse(f"/pay/{token}", status_code=303)
    reader = offers.reader
    return _page(request, "pay_cancel.html", lang=reader.language, say=reader.say, offers=offers, token=token)


@router.post("/pay/{token}/cancel")
async def cancel(token: str, request: Request, desk: AtDesk) -> Response:
    """Cancel the subscription at the processor, then tell the case; asked twice, it is done once."""
    found = await _opened(request, desk, token)
    if isinstance(found, Response):
        return found
    row, offers = found
    if not offers.may_cancel:
        return RedirectResponse(f"/pay/{token}", status_code=303)
    change = SubscriptionChange.CANCEL_NOW
    try:
        if row.subscription:
            key = keys.subscription_key(row.workflow_id, change)
            processor = _processor(desk, row)
            await processor.change_subscription(row.account, row.subscription, row.invoice, change, key)
    except TROUBLE as error:
        return _away(request, row, offers, error)
    fact = Cancel(event=f"page:{row.id}:cancel", by="customer", why=CANCELLED)
    await _tell(desk, row, FactName.CANCEL, fact)
    return RedirectResponse(f"/pay/{token}/cancelled", status_code=303)


@router.get("/pay/{token}/cancelled")
async def cancelled(token: str, request: Request, desk: AtDesk) -> Response:
    """Say that the subscription is cancelled, whether or not the case has heard of it yet."""
    try:
        row = await _case_of(desk, token)
    except BadToken as error:
        return _no_such_link(request, error)
    if not await _was_told(desk, f"page:{row.id}:cancel"):
        return RedirectResponse(f"/pay/{token}", status_code=303)
    offers = await offers_of(desk, row)
    return _notice(request, offers, "cancelled_title", offers.reader.say("cancelled"))


# --- parts -----------------------------------------------------------------------------------------


def _processor(desk: Desk, row: CaseRow) -> Processor:
    processor = desk.tools.processors.get(row.processor)
    if processor is None:
        raise ProcessorError(f"no processor is called {row.processor}")
    return processor


def _away(request: Request, row: CaseRow, offers: Offers, error: Exception) -> Response:
    log.warning("pay.unavailable", case=row.id, invoice=row.invoice, error=str(error))
    return _notice(request, offers, "away_title", offers.reader.say("away"), 503)


async def _told(desk: Desk, event: str) -> EventRow | None:
    async with desk.tools.database.read() as session:
        return await events.get(session, API, event)


async def _was_told(desk: Desk, event: str) -> bool:
    return await _told(desk, event) is not None


async def _tell(desk: Desk, row: CaseRow, name: FactName, fact: Fact) -> None:
    """Store what the customer decided, and hand it on; while Temporal is away the relay does so later."""
    said = fact.model_dump(mode="json", exclude={"event"}, exclude_unset=True)
    body = json.dumps({"case": row.id, "fact": said}, sort_keys=True)
    async with desk.tools.database.begin() as session:
        kept, fresh = await events.keep(session, API, fact.event, name, body, desk.now())
    if fresh:
        await deliver(desk, kept)


# --- the sandbox's bank ----------------------------------------------------------------------------


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
