"""The API of billing services: report a failure, tell a case a fact, put a wish to it, look at it."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, Field, create_model
from temporalio.service import RPCError

from contract import FACTS, WISHES, Fact, FactName, OpenCase, Wish, WishName
from store import attempts, cases, events, journal, messages
from store.tables import CaseRow, EventRow
from web.answers import (
    Answer,
    Caller,
    CaseDetails,
    CaseSummary,
    IdempotencyKey,
    attempt_of,
    caller,
    entry_of,
    message_of,
)
from web.desk import Desk, desk_of
from web.intake import Became, Delivery, ask, is_unreachable
from web.relay import API, deliver, settle

router = APIRouter(prefix="/v1", tags=["cases"])
AtDesk = Annotated[Desk, Depends(desk_of)]


class FailedPayment(OpenCase):
    """A failed payment of an invoice at a processor; only ``processor`` and ``invoice`` are needed."""

    episode: int = Field(default=1, exclude=True, json_schema_extra={"readOnly": True})
    event: str | None = Field(default=None, exclude=True)
    charged_back: None = Field(default=None, exclude=True)
    carried: None = Field(default=None, exclude=True)
    waiting: tuple[()] = Field(default=(), exclude=True)


@router.post("/cases", summary="Report a failed payment")
async def report_failure(
    body: FailedPayment, key: IdempotencyKey, by: Caller, desk: AtDesk, response: Response
) -> Answer:
    """Open a case for a failed invoice, or say which case has it already, or how that one ended."""
    if body.processor not in desk.tools.processors:
        known = ", ".join(sorted(desk.tools.processors)) or "none"
        raise HTTPException(422, f"no processor is called '{body.processor}': configured are {known}")
    order = OpenCase.model_validate(body.model_dump(exclude_unset=True))
    kept = {"order": order.model_dump(mode="json", exclude_unset=True)}
    return await _take(desk, response, f"{by}:{key}", "open_case", kept)


@router.get("/cases", summary="List cases", dependencies=[Depends(caller)])
async def list_cases(
    desk: AtDesk,
    status: str | None = None,
    outcome: str | None = None,
    customer: str | None = None,
    invoice: str | None = None,
    limit: Annotated[int, Field(ge=1, le=1000)] = 100,
) -> list[CaseSummary]:
    """List cases, the latest first."""
    async with desk.tools.database.read() as session:
        rows = await cases.listing(
            session, status=status, outcome=outcome, customer=customer, invoice=invoice, limit=limit
        )
    return [CaseSummary.of(row) for row in rows]


@router.get("/cases/{case_id}", summary="Look at a case", dependencies=[Depends(caller)])
async def show_case(case_id: str, desk: AtDesk) -> CaseDetails:
    """Show a case with its attempts, messages and journal."""
    row = await _find(desk, case_id)
    async with desk.tools.database.read() as session:
        return CaseDetails(
            **CaseSummary.of(row).model_dump(),
            attempts=[attempt_of(item) for item in await attempts.all_of(session, case_id)],
            messages=[message_of(item) for item in await messages.all_of(session, case_id)],
            journal=[entry_of(item) for item in await journal.entries(session, case_id)],
        )


def _fact_route(name: FactName, kind: type[Fact]) -> Callable[..., Any]:
    """Make the route that tells one case a fact; the idempotency key is the fact's event."""
    shape: type[BaseModel] = _body_of(kind)

    async def route(
        case_id: str,
        body: shape,  # type: ignore[valid-type]
        key: IdempotencyKey,
        by: Caller,
        desk: AtDesk,
        response: Response,
    ) -> Answer:
        row = await _find(desk, case_id)
        kept = {"case": row.id, "fact": _as_json(body)}
        return await _take(desk, response, f"{by}:{key}", name, kept)

    return route


def _customer_fact_route(name: FactName, kind: type[Fact]) -> Callable[..., Any]:
    """Make the route that tells all open cases of a customer a fact about the customer."""
    shape: type[BaseModel] = _body_of(kind)

    async def route(  # noqa: PLR0913, PLR0917 - each is a part of the request
        processor: str,
        customer: str,
        body: shape,  # type: ignore[valid-type]
        key: IdempotencyKey,
        by: Caller,
        desk: AtDesk,
        response: Response,
        account: str = "main",
    ) -> Answer:
        kept = {"customer": [processor, account, customer], "fact": _as_json(body)}
        return await _take(desk, response, f"{by}:{key}", name, kept)

    return route


def _wish_route(name: WishName, kind: type[Wish]) -> Callable[..., Any]:
    """Make the route that puts a person's wish to a case; the idempotency key is the update's id."""

    async def route(case_id: str, body: kind, key: IdempotencyKey, by: Caller, desk: AtDesk) -> Answer:  # type: ignore[valid-type]
        row = await _find(desk, case_id)
        request = json.dumps({"case": row.id, "wish": _as_json(body)}, sort_keys=True)
        event, kind = f"{by}:{key}", f"wish.{name}"
        async with desk.tools.database.begin() as session:
            kept, fresh = await events.keep(session, API, event, kind, request, desk.now(), events.ASKED)
        if not fresh and (answer := _earlier_answer(kept, kind, request)):
            return answer
        try:
            delivery = await ask(desk, row, name, body, event)
        except RPCError as error:
            if not is_unreachable(error):
                raise
            message = "Temporal is not to be reached; a wish is not kept: ask again later"
            raise HTTPException(503, message, headers={"Retry-After": "30"}) from None
        await settle(desk, kept, [delivery])
        return _answer([delivery])

    return route


def _as_json(body: BaseModel) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_unset=True)


def _body_of(kind: type[Fact]) -> type[BaseModel]:
    fields: Any = {
        name: (field.annotation, field) for name, field in kind.model_fields.items() if name != "event"
    }
    return create_model(f"{kind.__name__}Body", __doc__=kind.__doc__, **fields)


def _add_routes() -> None:
    for fact_name, fact in FACTS.items():
        path = fact_name.replace("_", "-")
        about = (fact.__doc__ or "").splitlines()[0]
        router.add_api_route(
            f"/cases/{{case_id}}/{path}",
            _fact_route(fact_name, fact),
            methods=["POST"],
            response_model=Answer,
            name=fact_name,
            summary=about,
        )
        if fact_name in {FactName.CARD_UPDATED, FactName.CANCEL}:
            router.add_api_route(
                f"/customers/{{processor}}/{{customer}}/{path}",
                _customer_fact_route(fact_name, fact),
                methods=["POST"],
                response_model=Answer,
                name=f"customer_{fact_name}",
                summary=f"{about} (all open cases of a customer)",
            )
    for wish_name, wish in WISHES.items():
        router.add_api_route(
            f"/cases/{{case_id}}/{wish_name.replace('_', '-')}",
            _wish_route(wish_name, wish),
            methods=["POST"],
            response_model=Answer,
            name=wish_name,
            summary=(wish.__doc__ or "").splitlines()[0],
        )


_add_routes()


async def _find(desk: Desk, case_id: str) -> CaseRow:
    async with desk.tools.database.read() as session:
        row = await cases.get(session, case_id)
    if row is None:
        raise HTTPException(404, f"no case has the id {case_id}")
    return row


async def _take(desk: Desk, response: Response, event: str, kind: str, kept: dict[str, Any]) -> Answer:
    """Store a report, hand it on, and say what became of it; 202 while Temporal is away."""
    body = json.dumps(kept, sort_keys=True)
    async with desk.tools.database.begin() as session:
        row, fresh = await events.keep(session, API, event, kind, body, desk.now())
    if not fresh and (answer := _earlier_answer(row, kind, body)):
        return answer
    deliveries = await deliver(desk, row)
    if deliveries is None:
        response.status_code = 202
        return Answer(
            became=Became.KEPT, sentence="Temporal is not to be reached; this is kept and delivered later"
        )
    return _answer(deliveries)


def _earlier_answer(row: EventRow, kind: str, body: str) -> Answer | None:
    """Give the answer that this idempotency key has had, or refuse it for another request."""
    if (row.type, row.body) != (kind, body):
        raise HTTPException(409, "this Idempotency-Key was used for another request: choose a new one")
    if not row.answer:
        return None
    return _answer([Delivery(**item) for item in row.answer["deliveries"]], replayed=True)


def _answer(deliveries: list[Delivery], *, replayed: bool = False) -> Answer:
    answers = [
        Answer(
            became=Became(item.became),
            sentence=item.sentence,
            case=item.case,
            workflow=item.workflow,
            outcome=item.outcome,
            replayed=replayed,
        )
        for item in deliveries
    ]
    return answers[0].model_copy(update={"others": answers[1:]})
