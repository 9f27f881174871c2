"""The budget ledger on the API: with which cards a case was tried, how often, and what is left under each limit."""

# Annotations are read by FastAPI where the routes are made, so they must not be postponed.
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from campaigns.budget import NEVER, Rules, Use
from errors import NotKnown
from store import card_attempts, cards, cases, ledger
from store.ledger_tables import CardAttemptRow, CardRow
from web.answers import caller
from web.desk import Desk, desk_of

router = APIRouter(prefix="/v1", tags=["ledger"])
AtDesk = Annotated[Desk, Depends(desk_of)]


class Tried(BaseModel):
    """One attempt with a card, whoever made it."""

    at: datetime = Field(description="When it was claimed, or seen to be made.")
    source: str = Field(description="ours, processor or checkout.")
    initiator: str = Field(description="merchant or customer: some networks count them apart.")
    amount: int = Field(description="Minor units of the currency.")
    currency: str
    state: str = Field(description="open (it may have been sent), approved, declined, given_back or refused.")
    reason: str | None = Field(description="Why it was refused or given back.")
    decline: str | None
    case_id: str | None
    invoice: str | None
    charge: str | None = Field(description="The processor's id of this one charge.")
    key: str
    fee: int | None = Field(description="What the network may bill for it, in minor units: an estimate.")
    fee_currency: str | None


class Limited(BaseModel):
    """One limit of the card's network, and how much of it is used by the kind of attempt that used most."""

    rule: str
    sentence: str
    limit: int
    margin: int = Field(description="How many are left unused under the network's limit.")
    used: int
    left: int
    free_at: datetime | None = Field(description="When one more is allowed again; null where it is now.")
    never_again: bool = Field(description="True where no time will bring it.")
    source: str
    confidence: str

    @classmethod
    def of(cls, use: Use) -> "Limited":
        """Take what may be shown from a reckoning."""
        over = use.free_at == NEVER
        return cls(
            rule=use.limit.rule,
            sentence=use.limit.said(),
            limit=use.limit.limit,
            margin=use.margin,
            used=use.used,
            left=use.left,
            free_at=None if over else use.free_at,
            never_again=over,
            source=use.limit.source,
            confidence=use.limit.confidence,
        )


class CardLedger(BaseModel):
    """A card or a mandate with every attempt that is known, and what is left."""

    processor: str
    account: str
    card: str = Field(description="The processor's fingerprint, or the payment method's id.")
    network: str | None
    country: str | None
    rail: str
    refusal: str | None = Field(description="Why there may be no attempt now; null where there may.")
    free_at: datetime | None = Field(description="When there may be one again; null with a refusal: never.")
    limits: list[Limited]
    fees: dict[str, int] = Field(description="Estimated network fees in minor units, by currency.")
    attempts: list[Tried]


def tried_of(row: CardAttemptRow) -> Tried:
    """Take what may be shown from an attempt."""
    return Tried(**{name: getattr(row, name) for name in Tried.model_fields})


async def card_ledger(session: AsyncSession, row: CardRow, rules: Rules, now: datetime) -> CardLedger:
    """Read all that the ledger knows of a card."""
    card = cards.named(row)
    standing = await ledger.left(session, card, rules, now)
    return CardLedger(
        **vars(card),
        refusal=standing.refusal,
        free_at=standing.free_at,
        limits=[Limited.of(use) for use in standing.uses],
        fees=await ledger.fees(session, card=card),
        attempts=[tried_of(one) for one in await card_attempts.all_with(session, card)],
    )


async def ledgers_of_case(
    session: AsyncSession, case_id: str, rules: Rules, now: datetime
) -> list[CardLedger]:
    """Read all that the ledger knows of the cards that were tried for a case, the latest tried first."""
    return [await card_ledger(session, row, rules, now) for row in await cards.of_case(session, case_id)]


async def ledgers_named(session: AsyncSession, name: str, rules: Rules, now: datetime) -> list[CardLedger]:
    """Find cards by a case (its id, its workflow's or its invoice's) or by name; raises NotKnown."""
    case = await cases.named(session, name)
    if case:
        found = await ledgers_of_case(session, case.id, rules, now)
    else:
        found = [await card_ledger(session, row, rules, now) for row in await cards.called(session, name)]
    if not found:
        message = (
            f"no attempt with a card is recorded for case {case.id}"
            if case
            else f"no case, workflow, invoice or card is called '{name}'"
        )
        raise NotKnown(message)
    return found


@router.get("/ledger/{name}", summary="Look at the attempts with a card", dependencies=[Depends(caller)])
async def show_ledger(name: str, desk: AtDesk) -> list[CardLedger]:
    """Show the cards of a case, or a card by its fingerprint or payment method, with what is left of each."""
    async with desk.tools.database.read() as session:
        return await ledgers_named(session, name, desk.tools.rules, desk.now())
