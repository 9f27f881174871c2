"""The budget ledger: no attempt is made with a card that its network's limits, or its word, forbid.

An attempt is claimed here before it is sent: the check and the claim are one transaction, in which the card's row
is locked, so that two cases on one card cannot overrun a limit together. Attempts of others (the processor's own
retries, the customer at checkout) are noted and count alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from campaigns import budget
from campaigns.budget import Charge, Initiator, Result, Tried
from campaigns.durations import spell_moment
from campaigns.network_fees import NEVER
from errors import NotKnown
from store import card_attempts, cards
from store.card_attempts import COUNTING, Source, State
from store.database import insert_once
from store.journal import plain
from store.ledger_tables import CardAttemptRow, CardRow

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.budget import Rules, Use
    from campaigns.networks import Limit
    from store.card_attempts import Attempt
    from store.cards import Card


@dataclass(frozen=True)
class Claim:
    """Whether an attempt may be made, and why.

    ``fresh`` says that this call claimed it: otherwise it was claimed before, and may have been sent. ``rule`` is
    the limit that refused it, None where the card is forbidden. ``free_at`` is when it is worth asking again, and
    None with a refusal means: no time will bring it. ``uses`` are the limits, the tightest first.
    """

    granted: bool
    fresh: bool
    reason: str
    rule: str | None = None
    free_at: datetime | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Standing:
    """How a card stands for one more attempt; ``uses`` are the limits, the tightest first.

    ``refusal`` says why there may be none now, None where there may. ``rule`` and ``free_at`` are as of a claim.
    """

    card: CardRow
    refusal: str | None
    rule: str | None
    free_at: datetime | None
    uses: tuple[Use, ...]


async def claim(session: AsyncSession, card: Card, attempt: Attempt, rules: Rules, now: datetime) -> Claim:
    """Claim one attempt before it is sent, or say why there may be none; in a write transaction.

    A second claim with the same key finds the first, and does not count twice. One that was refused or given
    back is decided anew. A refusal is recorded with its reason.
    """
    row = await cards.hold(session, card, now)
    earlier = await card_attempts.held(session, attempt.key)
    if earlier is not None and earlier.state in COUNTING:
        return Claim(granted=True, fresh=False, reason="this attempt was claimed before")
    charge = Charge(attempt.amount, attempt.currency, attempt.initiator, attempt.invoice)
    decided = _claim_of(await _standing(session, row, rules, now, charge))
    state = State.OPEN if decided.granted else State.REFUSED
    reason = None if decided.granted else decided.reason
    if earlier is None:
        values = _values(row, attempt) | {"state": state, "reason": reason, "at": now}
        if await insert_once(session, CardAttemptRow, **values) is None:
            # Claimed in the same moment with another card: that one was the first.
            return await claim(session, card, attempt, rules, now)
        return decided
    for name, value in _values(row, attempt).items():
        setattr(earlier, name, value)
    earlier.state, earlier.reason, earlier.at, earlier.settled_at = state, reason, now, None
    session.add(earlier)
    await session.flush()
    return decided


async def settle(
    session: AsyncSession,
    key: str,
    result: Result,
    rules: Rules,
    now: datetime,
    *,
    charge: str | None = None,
    decline: str | None = None,
) -> None:
    """Write down what came of an attempt; the last word holds, and saying it again changes nothing.

    ``charge`` is the processor's id of it: where a webhook told of that charge before, the two are one attempt
    from now on. ``Result.OPEN`` only adds the id. Raises NotKnown where nothing was claimed under the key.
    """
    row = await _of_key(session, key)
    await _settle(session, row, result, rules, now, charge, decline)


async def give_back(session: AsyncSession, key: str, why: str, now: datetime) -> bool:
    """Give an attempt back that was proven never to have been sent; False where it is not open.

    Only for a claim that was ``fresh``: an earlier try of the same attempt may have been sent.
    Raises NotKnown where nothing was claimed under the key.
    """
    row = await _of_key(session, key)
    if row.state != State.OPEN:
        return False
    row.state, row.reason, row.settled_at = State.GIVEN_BACK, plain(why), now
    session.add(row)
    await session.flush()
    return True


async def note(
    session: AsyncSession,
    card: Card,
    attempt: Attempt,
    result: Result,
    rules: Rules,
    at: datetime,
    *,
    decline: str | None = None,
) -> bool:
    """Write down an attempt that somebody made at ``at``, or what came of it; False where it was known.

    It is known by its key, or by the processor's id of the charge: then only what is open is settled by it.
    """
    row = await cards.hold(session, card, at)
    known = await card_attempts.held(session, attempt.key)
    if known is None and attempt.charge:
        known = await card_attempts.held_charge(session, row.processor, row.account, attempt.charge)
    is_new = known is None
    if known is None:
        values = _values(row, attempt) | {"charge": attempt.charge, "state": State.OPEN, "at": at}
        if await insert_once(session, CardAttemptRow, **values) is None:
            # Told of in the same moment with another card.
            return await note(session, card, attempt, result, rules, at, decline=decline)
        known = await card_attempts.held(session, attempt.key)
        assert known is not None
    elif known.case_id is None and attempt.case_id is not None:
        # A webhook told of the charge before there was a case.
        known.case_id = attempt.case_id
        session.add(known)
    if known.state not in {State.APPROVED, State.DECLINED}:
        await _settle(session, known, result, rules, at, attempt.charge, decline)
    return is_new


async def forbid(session: AsyncSession, card: Card, until: datetime | None, why: str, now: datetime) -> None:
    """Keep a card from being tried, by a network's or an issuer's word: until a time, or for good (None).

    It holds for every case on the card. What was said before is never made shorter.
    """
    row = await cards.hold(session, card, now)
    if row.forbidden_for_good or (until and row.forbidden_until and until <= row.forbidden_until):
        return
    if cards.forbidden(row, now) is None:
        row.forbidden_at = now
    row.forbidden_until, row.forbidden_for_good, row.forbidden_why = until, until is None, plain(why)
    session.add(row)
    await session.flush()


async def left(
    session: AsyncSession, card: Card, rules: Rules, now: datetime, charge: Charge | None = None
) -> Standing:
    """Say how a card stands for one more attempt; with no ``charge``, for the kind that has used most.

    A card that was never tried stands as one that was not.
    """
    row = await session.get(CardRow, (card.processor, card.account, card.card))
    if row is None:
        row = CardRow(seen_at=now, **vars(card))
    return await _standing(session, row, rules, now, charge)


async def fees(
    session: AsyncSession,
    *,
    card: Card | None = None,
    case_id: str | None = None,
    since: datetime | None = None,
) -> dict[str, int]:
    """Estimate what networks bill for attempts too many, in minor units by currency: of a card, a case, or all."""
    wanted = select(CardAttemptRow.fee_currency, func.sum(CardAttemptRow.fee)).where(
        col(CardAttemptRow.fee).is_not(None)
    )
    if card is not None:
        wanted = wanted.where(*card_attempts.of_card(card))
    if case_id is not None:
        wanted = wanted.where(CardAttemptRow.case_id == case_id)
    if since is not None:
        wanted = wanted.where(col(CardAttemptRow.at) >= since)
    found = await session.exec(wanted.group_by(col(CardAttemptRow.fee_currency)))
    return {str(currency): int(amount or 0) for currency, amount in found.all()}


async def _of_key(session: AsyncSession, key: str) -> CardAttemptRow:
    """Find an attempt and hold it, its card before it: in the order in which a claim holds them."""
    card = (
        await session.exec(
            select(CardAttemptRow.processor, CardAttemptRow.account, CardAttemptRow.card).where(
                CardAttemptRow.key == key
            )
        )
    ).first()
    row = None
    if card is not None:
        await cards.hold_again(session, *card)
        row = await card_attempts.held(session, key)
    if row is None:
        message = f"no attempt was claimed under the key {key}: claim it before it is sent"
        raise NotKnown(message)
    return row


async def _standing(
    session: AsyncSession, row: CardRow, rules: Rules, now: datetime, charge: Charge | None
) -> Standing:
    found = await _uses(session, row, rules, now, charge)
    free, refusal, rule = budget.free_at(found), None, None
    if (forbidden := cards.forbidden(row, now)) is not None:
        refusal = forbidden
        free = budget.NEVER if row.forbidden_for_good else _later(free, row.forbidden_until)
    elif free is not None:
        when = "not again" if free == budget.NEVER else f"free again {spell_moment(free)}"
        refusal, rule = f"{found[0].refusal()}; {when}", found[0].limit.rule
    return Standing(row, refusal, rule, None if free == budget.NEVER else free, found)


def _claim_of(found: Standing) -> Claim:
    if found.refusal is None:
        reason = found.uses[0].said() if found.uses else "no limit is known for this card"
        return Claim(granted=True, fresh=True, reason=reason, uses=found.uses)
    return Claim(
        granted=False,
        fresh=True,
        reason=found.refusal,
        rule=found.rule,
        free_at=found.free_at,
        uses=found.uses,
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at), default=None)


def _limits(row: CardRow, rules: Rules, on: date) -> tuple[Limit, ...]:
    return rules.limits.limits_for(row.network, on, row.country, row.rail)


async def _uses(
    session: AsyncSession, row: CardRow, rules: Rules, now: datetime, charge: Charge | None
) -> tuple[Use, ...]:
    limits = _limits(row, rules, now.astimezone(UTC).date())
    if not limits:
        return ()
    tried = await card_attempts.tried(session, row, limits, now)
    if charge is None:
        return budget.tightest(limits, tried, now, rules.margin)
    return budget.uses(limits, tried, charge, now, rules.margin)


async def _settle(
    session: AsyncSession,
    row: CardAttemptRow,
    result: Result,
    rules: Rules,
    now: datetime,
    charge: str | None,
    decline: str | None,
) -> None:
    if row.state not in COUNTING:
        # It was sent after all; when is not known better.
        row.at, row.reason, row.state = now, None, State.OPEN
    if charge and row.charge is None:
        await _take_charge(session, row, charge)
    if result is not Result.OPEN and row.state != result:
        row.state, row.settled_at = State(result), now
    if result is Result.DECLINED:
        row.decline = row.decline or decline
        row.fee, row.fee_currency = await _fee(session, row, rules)
    elif result is Result.APPROVED:
        row.decline, row.fee, row.fee_currency = None, None, None
    session.add(row)
    await session.flush()


async def _take_charge(session: AsyncSession, row: CardAttemptRow, charge: str) -> None:
    """Give an attempt its charge; where that was told of before as somebody else's, the two become one."""
    twin = await card_attempts.held_charge(session, row.processor, row.account, charge)
    if twin is not None and twin.source == Source.OURS:
        # Two claims of ours cannot be one charge: both go on counting, and a person may look.
        return
    if twin is not None:
        await session.delete(twin)
        await session.flush()
    row.charge = charge


async def _fee(session: AsyncSession, row: CardAttemptRow, rules: Rules) -> tuple[int | None, str | None]:
    """Estimate what a declined attempt costs where it was one too many; the dearest, since none is billed twice."""
    card = await session.get(CardRow, (row.processor, row.account, row.card))
    assert card is not None
    on = row.at.astimezone(UTC).date()
    limits = _limits(card, rules, on)
    one = Tried(row.at, row.amount, row.currency, Initiator(row.initiator), invoice=row.invoice)
    before = await card_attempts.tried(session, card, limits, row.at, but=row.key)
    broken = [limit.rule for limit in budget.exceeded(limits, before, one)]
    if card.network and card.forbidden_at and card.forbidden_at < row.at and cards.forbidden(card, row.at):
        broken.append(NEVER.format(network=card.network.lower()))
    found = (rules.fees.of(rule, on, card.country, rules.home) for rule in broken)
    fee = max((fee for fee in found if fee), key=lambda fee: fee.amount, default=None)
    return (fee.amount, fee.currency) if fee else (None, None)


def _values(row: CardRow, attempt: Attempt) -> dict[str, object]:
    return {
        "processor": row.processor,
        "account": row.account,
        "card": row.card,
        "key": attempt.key,
        "case_id": attempt.case_id,
        "invoice": attempt.invoice,
        "source": attempt.source,
        "initiator": attempt.initiator,
        "amount": attempt.amount,
        "currency": attempt.currency,
    }
