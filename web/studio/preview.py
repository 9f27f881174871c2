"""The studio's preview: what a campaign does with a made-up failure, every mail rendered, and tests of mails."""

from __future__ import annotations

import uuid
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from activities.telling import Addressee, facts_of
from campaigns.declines import Said
from campaigns.reading import read_campaign
from campaigns.segments import choose
from campaigns.story import Action
from errors import BadCampaign, BadInput, MailError
from messaging.protocol import Mail
from messaging.samples import sample_facts
from store import audit, campaigns, drafts
from web.desk import Desk, desk_of
from web.studio.agenda import by_day, entries_of, months_of
from web.studio.frame import is_htmx, page, see_other
from web.studio.gate import Editor, Person, Viewer  # noqa: TC001 - FastAPI reads the annotations
from web.studio.imagined import DEEDS, Imagined, Played, play, read_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.document import Campaign
    from campaigns.simulation import Happened
    from messaging.facts import Facts
    from messaging.rendering import Rendered

router = APIRouter()
AtDesk = Annotated[Desk, Depends(desk_of)]
DRAFT = "draft"
FIELDS = (
    "of",
    "decline",
    "failed_at",
    "amount",
    "currency",
    "country",
    "timezone",
    "plan",
    "attributes",
    "language",
    "arm",
    "deed",
    "day",
)
# A mail's own styles stand in it; it is shown in a frame that can do nothing else.
MAIL_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'self'; sandbox"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
}


@router.get("/campaigns/{name}/preview")
async def preview(name: str, request: Request, person: Viewer, desk: AtDesk) -> Response:
    """Show the form, and what comes of what was chosen in it."""
    form = dict(request.query_params)
    faults = ""
    try:
        campaign, versions = await _campaign(desk, person, name, form.get("of", ""))
    except BadCampaign as error:
        faults = f"Your draft cannot be played yet, so the published version is shown: {error}"
        campaign, versions = await _campaign(desk, person, name, "", published=True)
    words: dict[str, object] = {
        "called": name,
        "campaign": campaign,
        "form": dict.fromkeys(FIELDS, "") | form,
        "sent": form,
        "versions": versions,
        "deeds": DEEDS,
        "declines": sorted(desk.tools.declines.codes()),
        "languages": desk.tools.renderer.languages(),
        "templates": sorted(campaign.templates()),
        "query": urlencode(form),
    }
    try:
        imagined = read_form(form, campaign, desk.now(), desk.tools.renderer.languages())
        words |= await _found(desk, campaign, imagined)
    except BadInput as error:
        faults = str(error)
    if faults:
        words["fault"] = faults
    wanted = "preview_result.html" if is_htmx(request) else "preview.html"
    return page(request, wanted, status=422 if "fault" in words else 200, **words)


@router.get("/campaigns/{name}/preview/mail")
async def show_mail(name: str, request: Request, person: Viewer, desk: AtDesk) -> Response:
    """Show one mail of the preview as the customer would see it, alone in its frame."""
    _, rendered = await _mail(desk, person, name, dict(request.query_params))
    return HTMLResponse(rendered.html, headers=MAIL_HEADERS)


@router.post("/campaigns/{name}/preview/send")
async def send_test(name: str, request: Request, person: Editor, desk: AtDesk) -> Response:
    """Send the signed-in person one mail as a customer would get it, marked as a test."""
    form = {key: str(value) for key, value in (await request.form()).items() if key != "csrf"}
    template, rendered = await _mail(desk, person, name, form)
    from_name, from_address = parseaddr(desk.tools.mail_from)
    mail = Mail(
        id=f"test.{uuid.uuid4().hex}",
        to_address=person.email,
        to_name=person.name or None,
        from_address=from_address,
        from_name=from_name or None,
        subject=f"[Test] {rendered.subject}",
        html=rendered.html,
        text=rendered.text,
        locale=rendered.locale,
    )
    back = f"/studio/campaigns/{name}/preview?{urlencode({k: v for k, v in form.items() if k != 'action'})}"
    try:
        await desk.tools.sender.send(mail)
    except MailError as error:
        return see_other(request, back, f"The test was not sent: {error}", "error")
    async with desk.tools.database.begin() as session:
        await audit.write(
            session, desk.now(), person.email, "test sent", name, f"{template} in {rendered.locale}"
        )
    return see_other(request, back, f"“{rendered.subject}” is on its way to {person.email}.")


# --- parts -----------------------------------------------------------------------------------------


async def _campaign(
    desk: Desk, person: Person, name: str, of: str, *, published: bool = False
) -> tuple[Campaign, list[tuple[str, str]]]:
    """Give the person's draft, or a published version, and the choice among them; raises BadCampaign."""
    async with desk.tools.database.read() as session:
        draft = await drafts.get(session, name, person.account)
        history = await campaigns.history(session, name)
        if not history and draft is None:
            raise HTTPException(404, f"no campaign is called '{name}'")
        versions = [(str(row.version), f"version {row.version}") for row in history]
        if draft is not None and not published:
            versions.insert(0, (DRAFT, "your draft"))
        of = of or versions[0][0]
        if of not in {value for value, _ in versions}:
            raise HTTPException(404, f"campaign '{name}' has no version '{of}'")
        if of == DRAFT:
            assert draft is not None
            return read_campaign(draft.document, file=f"your draft of {name}"), versions
        return (await campaigns.version(session, name, int(of)))[0], versions


async def _found(desk: Desk, campaign: Campaign, imagined: Imagined) -> dict[str, object]:
    """Play the failure, and say which campaign would take it."""
    verdict = desk.tools.declines.judge(Said(imagined.decline), imagined.failed_at.date())
    if not verdict.known:
        raise BadInput(f"no decline code is called '{imagined.decline}'")
    played = play(campaign, imagined, verdict)
    days = by_day(entries_of(played, imagined))
    async with desk.tools.database.read() as session:
        published = await campaigns.current(session)
    others = [other for other in published if other.name != campaign.name]
    choice = choose([*others, campaign], imagined.failure(desk.tools.declines), desk.tools.default_campaign)
    subjects = {
        number + 1: _render(desk, played, number, item, imagined).subject
        for number, item in enumerate(played.happened)
        if item.plan and item.plan.action is Action.MESSAGE
    }
    return {
        "imagined": imagined,
        "days": days,
        "months": months_of(days),
        "choice": choice,
        "subjects": subjects,
        "arm": played.story.arm,
    }


async def _mail(desk: Desk, person: Person, name: str, form: Mapping[str, str]) -> tuple[str, Rendered]:
    """Render the mail that a form names: one that the preview shows, or any template."""
    campaign, _ = await _campaign(desk, person, name, form.get("of", ""))
    imagined = read_form(form, campaign, desk.now(), desk.tools.renderer.languages())
    template = form.get("template", "")
    if template:
        facts = sample_facts(
            locale=imagined.language,
            timezone=imagined.timezone,
            amount=imagined.amount,
            currency=imagined.currency,
            failed_at=imagined.failed_at,
            company=_company(desk),
            final_action=str(campaign.end.action),
        )
        return template, desk.tools.renderer.render(template, facts)
    played = play(
        campaign, imagined, desk.tools.declines.judge(Said(imagined.decline), imagined.failed_at.date())
    )
    for number, item in enumerate(played.happened):
        if item.plan and item.plan.id == form.get("action") and item.plan.action is Action.MESSAGE:
            return item.plan.template or "", _render(desk, played, number, item, imagined)
    raise HTTPException(404, "this preview has no such mail: it was changed meanwhile")


def _render(desk: Desk, played: Played, number: int, item: Happened, imagined: Imagined) -> Rendered:
    assert item.plan is not None
    facts: Facts = facts_of(
        played.campaign,
        played.before(number),
        item.plan.id,
        item.at,
        Addressee(
            locale=imagined.language,
            company=_company(desk),
            link=f"{str(desk.settings.public_url).rstrip('/')}/pay/preview",
            name="Ada Lovelace",
            invoice_number="INV-0042",
            card_network="visa" if imagined.has_card else None,
            card_last4="4242" if imagined.has_card else None,
            confirm_link=f"{str(desk.settings.public_url).rstrip('/')}/pay/preview",
        ),
    )
    return desk.tools.renderer.render(item.plan.template or "", facts)


def _company(desk: Desk) -> str:
    return parseaddr(desk.tools.mail_from)[0] or "Billing"
