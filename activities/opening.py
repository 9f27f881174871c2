"""Opening a case: the invoice is read afresh, a campaign chosen, and the reasons for not working it checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog
from temporalio import activity

import contract
import keys
from activities import choosing, claims, retriers
from activities.findings import learn_from_invoice
from activities.standing import hold_everybody
from activities.tools import Tools, give_up, is_last_try, try_again, virtual_now
from activities.turn import conclude, course_of, flagged, ids, money
from campaigns.advice import learn_from_decline
from campaigns.declines import NO_CARD, Said
from campaigns.money import spell_money
from campaigns.segments import Failure
from campaigns.story import Action, Ending, Outcome, Plan, Status, Story
from campaigns.zones import zone_of
from contract import Cancel, FactName, Line, OpenCase, Report
from errors import (
    AnswerLost,
    BadInput,
    DunwellError,
    NotKnown,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from store import attempts, campaigns, cases, customers, journal, switches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign
    from processors.protocol import Invoice
    from store.tables import CaseRow

log = structlog.get_logger()
IN_SHADOW = "in shadow: the processor goes on as it would, and nothing is charged, sent or changed by Dunwell"


class OpeningActivities:
    """What happens once, at the start of a case."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    @activity.defn(name=contract.OPEN_CASE)
    async def open_case(self, order: OpenCase) -> Report:
        """Write the case's row, or find that the database already has one that forbids it."""
        now, workflow = virtual_now(), activity.info().workflow_id
        expected = keys.workflow_id(order.processor, order.account, order.invoice, order.episode)
        if workflow != expected:
            raise give_up(
                BadInput(f"the workflow's id is {workflow}, but this invoice's is {expected}: start it so")
            )
        case_id = keys.case_id(workflow)
        row = await self._row(order, now)
        if row.id != case_id:
            raise give_up(
                BadInput(f"episode {order.episode} of {order.invoice} is not the one the database allows")
            )
        if row.opened_at is not None:
            async with self._tools.database.begin() as session:
                return await self._as_it_was(session, row, now)
        try:
            invoice = await self._tools.processor(order.processor).read_invoice(order.account, order.invoice)
        except ProcessorKeyRejected as error:
            switch = switches.reading(order.processor, order.account)
            await hold_everybody(self._tools, switch, str(error), now)
            if not is_last_try():
                raise try_again(error) from error
            return await self._unopened(order, workflow, now, error)
        except (ProcessorUnavailable, AnswerLost) as error:
            if not is_last_try():
                raise try_again(error) from error
            return await self._unopened(order, workflow, now, error)
        except (NotKnown, ProcessorRefused, BadInput) as error:
            return await self._unopened(order, workflow, now, error)
        return await self._read_and_chosen(order, invoice, workflow, now)

    async def _read_and_chosen(
        self, order: OpenCase, invoice: Invoice, workflow: str, now: datetime
    ) -> Report:
        """Choose the campaign of a case whose invoice was read, take over the processor's retries, and begin."""
        story = self._first_story(order, invoice, workflow, now)
        async with self._tools.database.read() as session:
            chosen = await choosing.choose_course(
                session, story, invoice, order.campaign, self._tools.default_campaign
            )
            customer = await customers.get(session, order.processor, order.account, invoice.customer.id)
        campaign, story = chosen.campaign, chosen.story
        if order.charged_back:
            return await self._charged_back(order, campaign, story, invoice, now)
        unworked = self._why_not_worked(campaign, invoice, customer.excluded_why if customer else None)
        lines = [chosen.why]
        if story.shadow:
            lines.append(IN_SHADOW)
        elif unworked is None and not campaign.is_holdout:
            # Only what is worked here is taken from the processor: nobody else would collect the rest.
            story, invoice, said = await self._take_over(story, invoice, now)
            lines += said
        if unworked:
            story = story.model_copy(update={"ending": unworked.model_copy(update={"at": now})})
        async with self._tools.database.begin() as session:
            await cases.note_choice(session, story.case_id, chosen.by)
            story = await self._counted(session, story, invoice, _said_of(order, invoice), now)
            return await self._open(session, campaign, story, invoice, now, lines)

    async def _charged_back(
        self, order: OpenCase, campaign: Campaign, story: Story, invoice: Invoice, now: datetime
    ) -> Report:
        """Hand a payment that was recovered and is disputed now to a person, and charge nothing."""
        line = f"the payment was charged back on {story.failed_at:%d %B %Y}: {order.charged_back}"
        review = f"{line}; decide whether to answer the dispute, or to ask the customer to pay again"
        story = flagged(story.model_copy(update={"charged_back": True, "review": review}), "charged back")
        earlier = keys.case_id(
            keys.workflow_id(story.processor, story.account, story.invoice, story.episode - 1)
        )
        async with self._tools.database.begin() as session:
            text = f"{earlier} had been recovered; {line}; it is case {story.case_id} now, and nothing is charged"
            key = f"{story.case_id}.charged back"
            if await cases.get(session, earlier):
                await journal.enter(session, earlier, "charged back", journal.FACT, text, now)
            await journal.alert(session, key, "charged back", text, now, story.case_id)
            return await self._open(session, campaign, story, invoice, now, [review])

    async def _counted(
        self, session: AsyncSession, story: Story, invoice: Invoice, said: Said, now: datetime
    ) -> Story:
        """Count the failed attempt toward the budget of its card, and obey what was said of the card."""
        if invoice.card is None or story.method != invoice.card.id or said.code in {None, NO_CARD}:
            return story
        card = claims.named(story.processor, story.account, invoice.card)
        assert card is not None
        await claims.note_failure(session, story, card, invoice.failed_charge, self._tools.rules)
        await claims.obey(session, card, self._tools.declines.judge(said, now.date()), now)
        return await claims.with_budget(session, story, card, self._tools.rules, now)

    async def _row(self, order: OpenCase, now: datetime) -> CaseRow:
        """Find the invoice's case; only where a Temporal client started the workflow is it made here."""
        async with self._tools.database.read() as session:
            row = await cases.latest(session, order.processor, order.account, order.invoice)
        if row is not None:
            return row
        known = {"customer": order.customer, "amount": order.amount or 0, "currency": order.currency or ""}
        async with self._tools.database.begin() as session:
            reserved = await cases.reserve(
                session,
                order.processor,
                order.account,
                order.invoice,
                now,
                livemode=order.livemode,
                **known,
            )
        return reserved.case

    async def _as_it_was(self, session: AsyncSession, row: CaseRow, now: datetime) -> Report:
        """Go on with the stored story: a second start changes nothing, and a closed case stays closed."""
        story = Story.model_validate(row.story)
        if row.closed_at is None:
            campaign, story = await course_of(session, story)
            return await conclude(session, campaign, story, now, ["the case goes on from the database"])
        plan = Plan(action=Action.CLOSE, id="close", at=now, why="the case is closed")
        text = (
            f"this invoice's case closed on {row.closed_at:%d %B %Y}: {row.sentence}; nothing is done again"
        )
        return Report(
            story=story,
            plan=plan,
            attributes=contract.Attributes(status=Status(row.status)),
            sentence=row.sentence,
            lines=(Line(at=now, text=text),),
        )

    async def _unopened(self, order: OpenCase, workflow: str, now: datetime, error: DunwellError) -> Report:
        """End a case that was cancelled before its invoice could be read; otherwise pass the trouble on."""
        cancels = [contract.read_news(news) for news in order.waiting if news.name == FactName.CANCEL]
        said = cancels[0] if cancels else None
        if not isinstance(said, Cancel):
            passing = isinstance(error, ProcessorUnavailable | AnswerLost | ProcessorKeyRejected)
            raise (try_again(error) if passing else give_up(error)) from error
        ending = Ending(outcome=Outcome.CANCELLED, by=said.by, why=said.why, at=now)
        async with self._tools.database.begin() as session:
            campaign, version = await campaigns.version(
                session, order.campaign or self._tools.default_campaign
            )
            story = _blank_story(order, workflow, now).model_copy(
                update={
                    "campaign": campaign.name,
                    "version": version,
                    "ending": ending,
                    "seen": (said.event,),
                }
            )
            return await conclude(session, campaign, story, now, [f"the invoice could not be read: {error}"])

    async def _take_over(
        self, story: Story, invoice: Invoice, now: datetime
    ) -> tuple[Story, Invoice, list[str]]:
        """Settle who charges the invoice from now on: never two retriers at once.

        Where the processor's own retries go on, whatever was tried, the case is opened all the same.
        """
        if invoice.processor_retries_at is None:
            return story, invoice, []
        learned = await retriers.beside(self._tools, story, invoice, (), now)
        if learned.ending:
            return story, invoice, []
        story = story.model_copy(update={"beside": learned.beside})
        if story.beside:
            return story, invoice, [retriers.standing_aside(story)]
        return story, replace(invoice, processor_retries_at=None), [retriers.SWITCHED_OFF]

    async def _open(
        self,
        session: AsyncSession,
        campaign: Campaign,
        story: Story,
        invoice: Invoice,
        now: datetime,
        more: list[str],
    ) -> Report:
        details: dict[str, Any] = {
            "email": invoice.customer.email,
            "name": invoice.customer.name,
            "locale": invoice.customer.locale,
            "country": invoice.customer.country,
            "timezone": invoice.customer.timezone,
            "attributes": dict(invoice.customer.attributes),
        }
        await customers.keep(session, story.processor, story.account, invoice.customer.id, now, **details)
        if story.ending is None:
            story = learn_from_invoice(story, invoice, await attempts.all_of(session, story.case_id), now)
        happened = "was charged back" if story.charged_back else "failed"
        lines = [
            f"{money(story)} {happened} on {story.failed_at:%d %B %Y %H:%M} UTC"
            + (f": {story.decline.replace('_', ' ')}" if story.decline else "")
            + f"; campaign {campaign.name} version {story.version}"
            + (f", arm {story.arm}" if story.arm else ""),
            *more,
        ]
        await journal.enter(session, story.case_id, "opened", journal.CASE, lines[0], now, why=more[0])
        for number, line in enumerate(more[1:]):
            await journal.enter(session, story.case_id, f"opened.{number}", journal.CASE, line, now)
        report = await conclude(session, campaign, story, now, lines)
        log.info("case.opened", **ids(story), text=lines[0])
        return report

    def _first_story(self, order: OpenCase, invoice: Invoice, workflow: str, now: datetime) -> Story:
        said = Said(None) if order.charged_back else _said_of(order, invoice)
        known: dict[str, Any] = {
            "livemode": invoice.livemode,
            "customer": invoice.customer.id,
            "subscription": invoice.subscription,
            "currency": invoice.currency,
            "failed_at": order.failed_at or invoice.failed_at or now,
            "method": order.method or (invoice.card.id if invoice.card else None),
            "has_card": invoice.card is not None or order.method is not None,
            "plan": invoice.plan,
            "interval": invoice.interval,
            "timezone": zone_of(invoice.customer.timezone, invoice.customer_country),
            "country": invoice.customer_country,
            "seen": (order.event,) if order.event else (),
        }
        if invoice.amount:
            known["amount"] = invoice.amount
        story = _blank_story(order, workflow, now).model_copy(update=known)
        if said.code is None:
            return story
        learnt = learn_from_decline(story, self._tools.declines.judge(said, now.date()), story.failed_at)
        return story.model_copy(update={**learnt, "first_decline": learnt["decline"]})

    def _why_not_worked(self, campaign: Campaign, invoice: Invoice, excluded: str | None) -> Ending | None:
        """Give the ending of a case that is not worked at all, with the reason on record."""
        if invoice.livemode != self._tools.livemode:
            mode, here = ("live", "a test one") if invoice.livemode else ("in test mode", "live")
            return Ending(
                outcome=Outcome.EXCLUDED, why=f"the invoice is {mode}, and this installation is {here}"
            )
        if excluded is not None:
            return Ending(outcome=Outcome.EXCLUDED, why=f"the customer is excluded: {excluded}")
        failure = Failure(first_payment=invoice.first_payment, sent_invoice=invoice.sent_for_payment)
        if left_alone := campaign.takes.why_left_alone(failure):
            return Ending(outcome=Outcome.EXCLUDED, why=left_alone)
        smallest = campaign.smallest(invoice.currency)
        if 0 < invoice.amount < smallest:
            owed = spell_money(invoice.amount, invoice.currency)
            why = f"{owed} is less than the campaign's minimum of {spell_money(smallest, invoice.currency)}"
            return Ending(outcome=Outcome.BELOW_MINIMUM, why=why)
        return None


def _said_of(order: OpenCase, invoice: Invoice) -> Said:
    """Gather all that was said of the failed charge: what was reported, and what the invoice tells of the same."""
    code = order.decline or invoice.decline
    same = code == invoice.decline
    return Said(
        code,
        order.advice or (invoice.advice if same else None),
        network=invoice.card.network if invoice.card else None,
        network_code=order.network_code or (invoice.network_code if same else None),
        network_advice=order.network_advice or (invoice.network_advice if same else None),
    )


def _blank_story(order: OpenCase, workflow: str, now: datetime) -> Story:
    """Begin a story with what the report of the failure tells by itself."""
    return Story(
        case_id=keys.case_id(workflow),
        workflow_id=workflow,
        processor=order.processor,
        account=order.account,
        invoice=order.invoice,
        episode=order.episode,
        livemode=order.livemode,
        customer=order.customer,
        amount=order.amount or 0,
        currency=order.currency or "",
        failed_at=order.failed_at or now,
    )
