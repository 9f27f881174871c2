"""The people who may use the studio: who they are, what they may do, and their passwords."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

import credentials
from errors import BadInput, Conflict, NotAllowed
from store import accounts
from store.accounts import NewAccount, Role
from store.studio_tables import AccountRow
from web.desk import Desk, desk_of
from web.studio.frame import PREFIX, Notice, page, see_other, sentence
from web.studio.gate import Admin

router = APIRouter(prefix="/people")
AtDesk = Annotated[Desk, Depends(desk_of)]
Typed = Annotated[str, Form()]
Chosen = Annotated[Role, Form()]
LIST = f"{PREFIX}/people"


@router.get("")
async def people(request: Request, desk: AtDesk, _: Admin) -> Response:
    """List who may use the studio, with the form that adds somebody."""
    return await _list_page(request, desk)


@router.post("")
async def add(
    request: Request,
    desk: AtDesk,
    person: Admin,
    email: Typed,
    role: Chosen,
    name: Typed = "",
    password: Typed = "",
) -> Response:
    """Add an account; a password that nobody typed is made, and shown in this one answer only."""
    typed = {"email": email, "name": name, "role": role}
    given = password or credentials.make_password()
    try:
        address = credentials.read_email(email)
        if password:
            credentials.check_password(password, address)
        new = NewAccount(address, name, role, await credentials.hash_password(given), must_change=True)
        async with desk.tools.database.begin() as session:
            row = await accounts.add(session, new, person.email, desk.now())
    except (BadInput, Conflict) as error:
        return await _list_page(request, desk, typed=typed, fault=sentence(str(error)), status=422)
    if password:
        said = f"{row.email} may now sign in, and is asked for a password of their own."
        return see_other(request, LIST, said)
    return _shown_once(request, row, given)


@router.get("/{account}")
async def one(account: str, request: Request, desk: AtDesk, _: Admin) -> Response:
    """Show one account with all that can be changed."""
    return await _person_page(request, desk, account)


@router.post("/{account}/role")
async def change_role(account: str, request: Request, desk: AtDesk, person: Admin, role: Chosen) -> Response:
    """Give a person another role; wherever they are signed in, they have to sign in again."""
    try:
        async with desk.tools.database.begin() as session:
            changed = await accounts.change_role(session, account, role, person.email, desk.now())
            row = await accounts.get(session, account)
    except NotAllowed as error:
        return await _person_page(request, desk, account, fault=str(error))
    said = (
        f"{row.email} has the role {role} from now on." if changed else f"{row.email} had that role already."
    )
    return see_other(request, f"{LIST}/{account}", said)


@router.post("/{account}/disable")
async def disable(account: str, request: Request, desk: AtDesk, person: Admin) -> Response:
    """Let a person in no more, from this moment."""
    try:
        async with desk.tools.database.begin() as session:
            await accounts.disable(session, account, person.email, desk.now())
            row = await accounts.get(session, account)
    except NotAllowed as error:
        return await _person_page(request, desk, account, fault=str(error))
    return see_other(request, f"{LIST}/{account}", f"{row.email} is disabled and signed out.")


@router.post("/{account}/enable")
async def enable(account: str, request: Request, desk: AtDesk, person: Admin) -> Response:
    """Let a person in again, with the password they had."""
    async with desk.tools.database.begin() as session:
        await accounts.enable(session, account, person.email, desk.now())
        row = await accounts.get(session, account)
    return see_other(request, f"{LIST}/{account}", f"{row.email} may sign in again.")


@router.post("/{account}/password")
async def reset_password(account: str, request: Request, desk: AtDesk, person: Admin) -> Response:
    """Make a new password for a person, shown in this one answer only."""
    made = credentials.make_password()
    new_hash = await credentials.hash_password(made)
    async with desk.tools.database.begin() as session:
        row = await accounts.give_password(
            session, account, new_hash, person.email, desk.now(), must_change=True
        )
    return _shown_once(request, row, made)


def _shown_once(request: Request, row: AccountRow, password: str) -> Response:
    # Not by way of a redirect: the password would have to be kept somewhere until the next page.
    return page(request, "password_once.html", account=row, password=password)


async def _list_page(
    request: Request,
    desk: Desk,
    *,
    typed: dict[str, str] | None = None,
    fault: str | None = None,
    status: int = 200,
) -> Response:
    async with desk.tools.database.read() as session:
        rows = await accounts.listing(session)
    words = {"typed": typed or {"email": "", "name": "", "role": Role.VIEWER}, "fault": fault}
    return page(request, "people.html", status=status, accounts=rows, **_states(desk), **words)


async def _person_page(request: Request, desk: Desk, account: str, fault: str | None = None) -> Response:
    async with desk.tools.database.read() as session:
        row = await accounts.get(session, account)
    words = {"notice": Notice("error", sentence(fault))} if fault else {}
    return page(request, "person.html", status=409 if fault else 200, account=row, **_states(desk), **words)


def _states(desk: Desk) -> dict[str, Any]:
    return {"now": desk.now(), "state_of": accounts.state_of}
