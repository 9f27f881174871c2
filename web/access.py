"""What a product asks: does this customer still have access, and may this customer be worked at all."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from campaigns.document import AccessLevel
from contract import Said
from store import cases, customers
from web.answers import Access, caller
from web.desk import Desk, desk_of

router = APIRouter(prefix="/v1", tags=["customers"], dependencies=[Depends(caller)])
AtDesk = Annotated[Desk, Depends(desk_of)]


@router.get("/access/{customer}", summary="Ask how much access a customer keeps")
async def access(customer: str, desk: AtDesk) -> Access:
    """Give the strictest level that any open case of the customer asks for; full when there is none."""
    async with desk.tools.database.read() as session:
        rows = await cases.of_access(session, customer)
    level = AccessLevel(rows[0].access) if rows else AccessLevel.FULL
    times = [row.next_step_at for row in rows if row.next_step_at]
    return Access(
        customer=customer,
        access=level,
        has_access=level is not AccessLevel.BLOCKED,
        payment_failed=bool(rows),
        cases=[row.id for row in rows],
        changes_at=min(times, default=None),
    )


class Exclusion(BaseModel):
    """Who keeps a customer out of dunning, and why."""

    by: Said
    why: Said


@router.put("/customers/{processor}/{customer}/exclusion", summary="Keep a customer out of dunning")
async def exclude(
    processor: str,
    customer: str,
    body: Exclusion,
    desk: AtDesk,
    account: str = "main",
) -> Exclusion:
    """Work no new failure of this customer; cases that are open already go on until they are cancelled."""
    desk.tools.processor(processor)
    async with desk.tools.database.begin() as session:
        await customers.keep(
            session, processor, account, customer, desk.now(), excluded_by=body.by, excluded_why=body.why
        )
    return body


@router.delete(
    "/customers/{processor}/{customer}/exclusion", status_code=204, summary="Take an exclusion back"
)
async def include(processor: str, customer: str, desk: AtDesk, account: str = "main") -> None:
    """Work new failures of this customer again."""
    desk.tools.processor(processor)
    async with desk.tools.database.begin() as session:
        await customers.keep(
            session, processor, account, customer, desk.now(), excluded_by=None, excluded_why=None
        )
