"""Charges within the budget of their card: claimed in the ledger before they are sent, settled after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.advice import with_card_blocked
from campaigns.budget import Charge, Result
from campaigns.story import Advised, Story, Trigger
from keys import seen_key
from processors.protocol import ChargeResult
from store import card_attempts, cards, ledger
from store.card_attempts import Attempt, Source
from store.cards import Card
from store.ledger import Claim

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.tools import Tools
    from campaigns.budget import Rules
    from campaigns.declines import Verdict
    from campaigns.story import Plan
    from processors import protocol
    from processors.protocol import ChargeAnswer, Invoice
    from store.tables import AttemptRow

RESULTS = {
    ChargeResult.PAID: Result.APPROVED,
    ChargeResult.DECLINED: Result.DECLINED,
    # The issuer was asked, and wants the customer: networks count it as they count a decline.
    ChargeResult.NEEDS_CUSTOMER: Result.DECLINED,
    ChargeResult.PENDING: Result.OPEN,
}
UNLIMITED = Claim(granted=True, fresh=False, reason="nothing is known of a card to be counted")


async def card_of(tools: Tools, story: Story, invoice: Invoice, method: str | None) -> Card | None:
    """Name the card that a charge would be made with, as the ledger knows it; None where there is none.

    Only a card that is not the one in force is read from the processor.
    """
    found = invoice.card
    if method is not None and (found is None or found.id != method):
        processor = tools.processor(story.processor)
        found = await processor.read_card(story.account, invoice.customer.id, method)
    return named(story.processor, story.account, found)


async def charged_with(tools: Tools, row: AttemptRow, otherwise: Card | None) -> Card | None:
    """Name the card that an attempt was claimed with: what is charged by default may be another by now."""
    async with tools.database.read() as session:
        return await cards.of_attempt(session, row.key) or otherwise


def named(processor: str, account: str, card: protocol.Card | None) -> Card | None:
    """Give a processor's card as the ledger knows it: by its fingerprint, else by its id."""
    if card is None:
        return None
    return Card(processor, account, card.fingerprint or card.id, card.network, card.country, card.rail)


async def claim(
    session: AsyncSession, story: Story, row: AttemptRow, card: Card | None, rules: Rules, now: datetime
) -> Claim:
    """Claim an attempt in the ledger, in the transaction that claims it for the case.

    One that an earlier try may have sent is never refused, only counted: its key tells what became of it. A release
    without a ledger has left such ones, and so has a read that did not tell the card.
    """
    if card is None:
        return UNLIMITED
    attempt = Attempt(
        row.key, row.amount, row.currency, invoice=story.invoice, case_id=story.case_id, source=Source.OURS
    )
    if row.claimed_at != now:
        await ledger.note(session, card, attempt, Result.OPEN, rules, row.claimed_at)
        return Claim(granted=True, fresh=False, reason="this attempt may have been sent before")
    return await ledger.claim(session, card, attempt, rules, now)


async def would_claim(
    session: AsyncSession, story: Story, card: Card | None, rules: Rules, now: datetime
) -> Claim:
    """Say what a claim would be answered; nothing is written, and so nothing is used up."""
    if card is None:
        return UNLIMITED
    found = await ledger.left(
        session, card, rules, now, Charge(story.amount, story.currency, invoice=story.invoice)
    )
    return Claim(
        granted=found.refusal is None,
        fresh=True,
        reason=found.refusal or "",
        rule=found.rule,
        free_at=found.free_at,
        uses=found.uses,
    )


async def note_failure(
    session: AsyncSession, story: Story, card: Card, charge: str | None, rules: Rules
) -> None:
    """Count the attempt that failed before the case was opened; the processor made it, or its customer's page.

    ``charge`` is the processor's id of it, by which an event that tells of the same is known.
    """
    attempt = Attempt(
        seen_key(story.processor, story.account, charge or story.case_id),
        story.amount,
        story.currency,
        source=Source.PROCESSOR,
        invoice=story.invoice,
        case_id=story.case_id,
        charge=charge,
    )
    await ledger.note(session, card, attempt, Result.DECLINED, rules, story.failed_at, decline=story.decline)


async def give_back(session: AsyncSession, row: AttemptRow, why: str, now: datetime) -> None:
    """Give an attempt back of which it is proven that it was not made."""
    if await card_attempts.of_key(session, row.key) is not None:
        await ledger.give_back(session, row.key, why, now)


async def settle(
    session: AsyncSession, row: AttemptRow, answer: ChargeAnswer, rules: Rules, now: datetime
) -> None:
    """Write down what came of an attempt; one that a release without a ledger had claimed is left out."""
    if await card_attempts.of_key(session, row.key) is None:
        return
    result = RESULTS[answer.result]
    await ledger.settle(session, row.key, result, rules, now, charge=answer.charge, decline=answer.decline)


async def obey(session: AsyncSession, card: Card | None, verdict: Verdict | None, now: datetime) -> None:
    """Keep a card from every case's charges where the network or the issuer forbids it."""
    if card is None or verdict is None or not verdict.never_again:
        return
    until = now + verdict.forbidden_for if verdict.forbidden_for else None
    await ledger.forbid(session, card, until, verdict.why or verdict.words, now)


async def with_budget(
    session: AsyncSession, story: Story, card: Card | None, rules: Rules, now: datetime
) -> Story:
    """Give the story with how often its card has been tried, for every reason of a charge."""
    words = ""
    if card is not None:
        charge = Charge(story.amount, story.currency, invoice=story.invoice)
        found = (await ledger.left(session, card, rules, now, charge)).uses
        words = found[0].said() if found else ""
    return story.model_copy(update={"budget": words})


def refused(story: Story, step: Plan, decision: Claim, now: datetime) -> Story:
    """Take in that a charge may not be made: put off until the budget allows it, or not with this card at all.

    What is put off becomes a charge of the schedule: the mails of a step must not wait for it. An earlier try is
    not in doubt any more: only what was proven not to have been made is claimed anew.
    """
    changes: dict[str, object] = {"hold": None, "promise_at": None, "unsettled": None}
    if decision.uses:
        # Others may have tried the card since this case last did: the next sentence must not contradict itself.
        changes["budget"] = decision.uses[0].said()
    if story.pending and story.pending.id == step.id:
        changes["pending"] = None
    if step.trigger is Trigger.BACKUP:
        # Only tried in passing: there may be yet another stored card.
        changes |= {"passed": (*story.passed, step.id), "sought": ()}
    elif step.method != story.method:
        # A new card came meanwhile, of which nothing is said.
        changes["passed"] = (*story.passed, step.id)
    elif decision.free_at is None:
        story = with_card_blocked(story)
        changes |= {"passed": (*story.passed, step.id), "advised": None}
    else:
        name = f"budget.{now:%Y-%m-%dT%H%M%S}"
        changes["advised"] = Advised(id=name, at=decision.free_at, why=decision.reason, firm=True)
    return story.model_copy(update=changes)
