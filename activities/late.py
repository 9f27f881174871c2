"""Facts that come after the end of their case: written down, and told to a person where money is concerned.

A late payment may undo the final action, where the campaign says so and the processor can.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities.conversation import acting, reading
from activities.findings import is_paid
from activities.payments import SO_BEFORE, PaymentActivities
from activities.standing import Stand, stand
from activities.tools import STOPPED_HOLD, is_last_try, try_again, virtual_now
from activities.turn import flagged, spell_ending
from campaigns.document import FinalAction, LatePayment
from campaigns.durations import spell_duration
from campaigns.story import Outcome, Story
from contract import FactName, LateFact, Order
from errors import (
    AnswerLost,
    BadInput,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.protocol import ReinstateResult, SubscriptionChange
from store import cases, journal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign

log = structlog.get_logger()

PAID, REINSTATED = "paid after the end", "reinstated after a late payment"
# A payment of what was recovered, or never worked, is nobody's concern.
UNCONCERNED = frozenset(
    {Outcome.RECOVERED, Outcome.RECOVERED_ELSEWHERE, Outcome.EXCLUDED, Outcome.BELOW_MINIMUM}
)


@dataclass(frozen=True)
class Ended:
    """A case as a late fact finds it; ``how`` says in words how it ended."""

    id: str
    invoice: str
    outcome: str | None
    how: str
    shadow: bool = False


@dataclass(frozen=True)
class Finding:
    """What a late fact comes to.

    ``flag`` is what a person has to know, None where nobody is told; ``why`` says more in words.
    ``asked`` is what the processor was asked to undo, and its answer.
    """

    flag: str | None = None
    why: str = ""
    asked: str | None = None


class LateActivities(PaymentActivities):
    """Late facts; a late payment is a matter between us and the processor like any other."""

    @activity.defn(name=contract.SETTLE_FACT)
    async def settle_late_fact(self, late: LateFact) -> str:
        """Settle a fact about a closed case, once; a late payment is believed only when it has been read.

        Within the time that the campaign sets, it is told to a person or undoes the final action. What
        the processor will not or cannot do is told to a person, too.
        """
        now = virtual_now()
        async with self._tools.database.read() as session:
            row = await cases.get(session, late.case_id)
            if row is None:
                return f"{late.name} came for {late.case_id}, which is not known"
            how = row.sentence or str(row.outcome)
            ended = Ended(row.id, row.invoice, row.outcome, how, row.shadow)
            finding = await _without_reading(session, ended, late)
            story = Story.model_validate(row.story) if row.story else None
        if finding is None:
            finding = await self._look_into(story, late) if story else Finding(PAID)
        async with self._tools.database.begin() as session:
            row = await cases.get(session, late.case_id)
            if row is not None and row.story and finding.flag:
                story = flagged(Story.model_validate(row.story), finding.flag)
                row.story = story.model_dump(mode="json", exclude_unset=True)
                session.add(row)
            return await _write_down(session, ended, late, finding, now)

    async def _look_into(self, story: Story, late: LateFact) -> Finding:
        """Find out what a late payment comes to; trouble is waited out, and told where it does not pass."""
        at = await stand(self._tools, Order(story=story), reading(story))
        rule = at.campaign.end.late_payment
        # The first try's time: a later one is not to find that the time is over.
        if why := _too_late(rule, story, _came_at(late, activity.info().scheduled_time)):
            return Finding(why=why)
        if story.livemode != self._tools.livemode:
            return Finding(PAID, "the processor was not asked: only one of case and installation is live")
        try:
            return await self._ask(at, rule)
        except (BadInput, ProcessorRefused) as error:
            return Finding(PAID, f"the processor refuses: {error}")
        except (ProcessorUnavailable, AnswerLost, ProcessorKeyRejected) as error:
            if not is_last_try():
                raise try_again(error) from error
            return Finding(PAID, f"the processor did not answer: {error}")
        except Exception as error:
            # Whatever it is, it must not be tried for ever without anybody's knowing.
            if not is_last_try():
                raise
            return Finding(PAID, f"it could not be looked into: {error}")

    async def _ask(self, at: Stand, rule: LatePayment) -> Finding:
        _refuse_stopped(at)
        invoice = await self._read(at)
        if not is_paid(invoice):
            return Finding(why=f"the invoice is {invoice.state} at the processor, and so it was not believed")
        if rule.then == "alert":
            return Finding(PAID)
        if invoice.disputed:
            return Finding(PAID, "nothing is undone, for the payment is disputed")
        return await self._reinstate(at)

    async def _reinstate(self, at: Stand) -> Finding:
        story = at.story
        action = story.ending.final_action if story.ending else None
        if action in {None, FinalAction.LEAVE} or story.subscription is None:
            return Finding(PAID, "there is no final action to undo")
        words = f"final action {action.replace('_', ' ')}"
        async with self._tools.database.read() as session:
            done = await journal.entries(session, story.case_id, journal.SUBSCRIPTION)
        if any(entry.text.endswith(SO_BEFORE) for entry in done):
            # A cancellation that was the customer's own must not be taken back.
            return Finding(PAID, f"the subscription was so before the {words}, and so it was not undone")
        at = await stand(self._tools, Order(story=story), acting(story))
        _refuse_stopped(at)
        request = self._tools.processor(story.processor).reinstate(
            story.account,
            story.subscription,
            story.invoice,
            SubscriptionChange(str(action)),
            keys.reinstate_key(story.workflow_id),
        )
        try:
            result = await self._with_key(at, acting(story), request)
        except ProcessorRefused as error:
            said = f"the processor refuses to undo the {words}: {error}"
            return Finding(PAID, said, asked=said)
        if result is ReinstateResult.IMPOSSIBLE:
            said = f"the {words} cannot be undone at the processor"
            return Finding(PAID, said, asked=said)
        was = "was undone" if result is ReinstateResult.DONE else "is no longer in force"
        said = f"the {words} {was}, and the subscription goes on"
        return Finding(REINSTATED, said, asked=said)


async def settle_while_closing(
    session: AsyncSession, campaign: Campaign, story: Story, late: LateFact, now: datetime
) -> tuple[str, str | None]:
    """Settle a fact that came after the ending and before the close, where no processor can be asked.

    Gives the line that says so, and a flag where one is due. A payment by which the subscription would be
    reinstated is left to a person.
    """
    assert story.ending is not None
    how = spell_ending(story.ending)
    ended = Ended(story.case_id, story.invoice, story.ending.outcome, how, story.shadow)
    finding = await _without_reading(session, ended, late)
    if finding is None:
        rule = campaign.end.late_payment
        by_hand = "it came while the case was being closed: undo the final action by hand"
        finding = Finding(PAID, by_hand if rule.then == "reinstate" else "")
        if why := _too_late(rule, story, _came_at(late, now)):
            finding = Finding(why=why)
    return await _write_down(session, ended, late, finding, now), finding.flag


async def _without_reading(session: AsyncSession, ended: Ended, late: LateFact) -> Finding | None:
    """Say what a fact comes to by itself; None for a payment that has yet to be settled.

    A dispute, and a cancel that came while a charge was under way, are told to a person: each may call
    for money back.
    """
    if ended.shadow:
        return Finding(why="the case was in shadow: nothing was done that this could undo")
    if late.name == FactName.CANCEL:
        return Finding("cancelled meanwhile" if ended.outcome == Outcome.RECOVERED else None)
    if late.name == FactName.INVOICE_CHANGED:
        return Finding(_money_back(late.body))
    if late.name != FactName.PAYMENT_SUCCEEDED or ended.outcome in UNCONCERNED:
        return Finding()
    told = [alert.key for alert in await journal.alerts(session, ended.id)]
    if _alert_key(late) in told or await journal.has(session, ended.id, _entry_key(late)):
        # By another event, or by an earlier try whose answer was not heard.
        return Finding(why="it had been settled before")
    return None


def _too_late(rule: LatePayment, story: Story, at: datetime) -> str | None:
    """Say that a payment came after the time in which it is recognised; None where it did not."""
    ended_at = story.ending.at if story.ending else None
    if ended_at is None or at - ended_at <= rule.within:
        return None
    return (
        f"it came {spell_duration(at - ended_at)} after the end,"
        f" and a payment is recognised for {spell_duration(rule.within)}"
    )


def _came_at(late: LateFact, now: datetime) -> datetime:
    """When a fact came about: by its own word, or else now."""
    try:
        return contract.read_fact(FactName(late.name), late.body, late.event).at or now
    except ValueError:
        return now


def _money_back(body: str) -> str | None:
    """Name the dispute or refund that a change reports, if it is one."""
    try:
        what = str(json.loads(body).get("what", ""))
    except (ValueError, AttributeError):
        return None
    return what if "dispute" in what or "refund" in what else None


def _refuse_stopped(at: Stand) -> None:
    if at.stop:
        raise ProcessorUnavailable(at.stop, retry_after=STOPPED_HOLD)


async def _write_down(
    session: AsyncSession, ended: Ended, late: LateFact, finding: Finding, now: datetime
) -> str:
    """Write a fact and what came of it down, and tell a person, once; gives the line that says so."""
    how = f"the case had ended ({ended.how})"
    more = f"; {finding.why}" if finding.why else ""
    text = f"{late.name}, but {how}{more}"
    fresh = await journal.enter(session, ended.id, _entry_key(late), journal.FACT, text, now)
    if finding.asked:
        await journal.enter(session, ended.id, "late.reinstate", journal.SUBSCRIPTION, finding.asked, now)
    if finding.flag and fresh:
        told = f"{ended.id}: {finding.flag}{more}; {how}"
        await journal.alert(session, _alert_key(late), finding.flag, told, now, ended.id)
        log.warning("case.late_fact", case=ended.id, invoice=ended.invoice, fact=late.name, why=finding.flag)
    did = "gave the subscription back" if finding.flag == REINSTATED else "changed nothing"
    return f"{late.name} came after the end and {did}: {how}{more}"


def _entry_key(late: LateFact) -> str:
    return f"late.{late.event}"


def _alert_key(late: LateFact) -> str:
    """Name what a person is told: of a payment once, however many events tell of it."""
    what = "payment" if late.name == FactName.PAYMENT_SUCCEEDED else late.event
    return f"{late.case_id}.late.{what}"
