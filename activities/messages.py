"""Mails to customers, each claimed in the outbox before it is handed over and settled after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import parseaddr
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities import retriers, together
from activities.findings import is_paid, learn_from_invoice
from activities.standing import Stand, StepActivities, hold_everybody, release, stand
from activities.telling import Addressee, facts_of
from activities.together import Unsaid
from activities.tools import (
    STOPPED_HOLD,
    UNAVAILABLE_HOLD,
    give_up,
    is_last_try,
    try_again,
    virtual_now,
)
from activities.turn import as_stored, conclude, course_of, flagged, ids, judged
from campaigns.planner import plan
from campaigns.schedule import FAREWELL, NOTICE
from campaigns.story import Action, Story
from campaigns.together import level_of
from contract import Order, Report
from errors import (
    AnswerLost,
    BadInput,
    MailAnswerLost,
    MailRefused,
    NotKnown,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
    SenderKeyRejected,
    SenderUnavailable,
)
from messaging.facts import Owed
from messaging.protocol import Mail
from processors.protocol import InvoiceState
from store import attempts, cases, customers, journal, messages, switches

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.story import Plan
    from processors.protocol import Invoice
    from store.tables import CustomerRow, MessageRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Result:
    """What became of one mail: its state in the outbox, and in words."""

    state: str
    detail: str
    reference: str | None = None
    address_at_fault: bool = False


class MessageActivities(StepActivities):
    """Everything that speaks to a mail sender, and the access level that a message announces."""

    @activity.defn(name=contract.SEND_MESSAGE)
    async def send_message(self, order: Order) -> Report:
        """Send one message, once, and only while what it says is true."""
        assert order.plan is not None
        at = await stand(self._tools, order, switches.MESSAGES, switches.of_sender(self._tools.sender.name))
        step = at.next
        if _is_not_due(at, order.plan.id):
            return await self._conclude(at, at.story)
        if step.not_after and at.now >= step.not_after and step.id != NOTICE:
            return await self._settled(
                at, at.story, step, Result(messages.DROPPED, "it would no longer be true")
            )
        if at.stop:
            return await self._held(at, step.id, STOPPED_HOLD, at.stop)
        try:
            story, invoice, owed = await self._read(at, step)
        except (ProcessorUnavailable, AnswerLost, ProcessorKeyRejected) as error:
            if not is_last_try():
                raise try_again(error) from error
            return await self._held(at, step.id, UNAVAILABLE_HOLD, f"the invoice could not be read: {error}")
        except (NotKnown, ProcessorRefused) as error:
            raise give_up(error) from error
        if (story.ending and not at.story.ending) or (story.pending and not at.story.pending):
            return await self._conclude(at, story)
        return await self._say(at, story, step, invoice, owed)

    @activity.defn(name=contract.SET_ACCESS)
    async def set_access(self, order: Order) -> Report:
        """Set the access level that the product is told when it asks."""
        now = virtual_now()
        async with self._tools.database.begin() as session:
            story = await as_stored(session, order.story)
            campaign, story = await course_of(session, story)
            story = judged(campaign, story, now)
            step = plan(campaign, story, now)
            lines = []
            if step.action is Action.ACCESS and step.access and (step.at is None or step.at <= now):
                lines = [
                    f"shadow: access would be set: {step.access}"
                    if story.shadow
                    else f"access set: {step.access}"
                ]
                kind, text = (
                    (journal.SHADOW, lines[0]) if story.shadow else (journal.ACCESS, str(step.access))
                )
                await journal.enter(session, story.case_id, step.id, kind, text, now, why=step.why)
                done = {**story.done, step.id: now}
                story = story.model_copy(update={"access": step.access, "done": done})
                log.info("access.set", **ids(story), step=step.id, access=str(step.access))
            return await conclude(session, campaign, story, now, lines)

    # --- parts ---------------------------------------------------------------------------------

    async def _say(
        self, at: Stand, story: Story, step: Plan, invoice: Invoice, owed: tuple[Owed, ...]
    ) -> Report:
        sender = self._tools.sender
        try:
            result = await self._send(at, story, step, invoice, owed)
        except SenderKeyRejected as error:
            await hold_everybody(self._tools, switches.of_sender(sender.name), str(error), at.now)
            return await self._held(at, step.id, STOPPED_HOLD, f"the mail sender rejected our key: {error}")
        except SenderUnavailable as error:
            if not is_last_try():
                raise try_again(error) from error
            return await self._held(
                at, step.id, UNAVAILABLE_HOLD, f"the mail sender was not to be reached: {error}"
            )
        except BadInput as error:
            raise give_up(error) from error
        if isinstance(result, Unsaid):
            return await self._left_unsaid(at, story, step, result)
        await release(self._tools, at, switches.of_sender(sender.name))
        return await self._settled(at, story, step, result)

    async def _read(self, at: Stand, step: Plan) -> tuple[Story, Invoice, tuple[Owed, ...]]:
        """Read the case's invoice, and all that the customer owes where it is more than that one."""
        story = at.story
        invoice = await self._tools.processor(story.processor).read_invoice(story.account, story.invoice)
        owed = await self._owed(story, step, invoice)
        async with self._tools.database.begin() as session:
            rows = await attempts.all_of(session, story.case_id)
            await customers.keep(
                session,
                story.processor,
                story.account,
                invoice.customer.id,
                at.now,
                email=invoice.customer.email,
                name=invoice.customer.name,
                locale=invoice.customer.locale,
                timezone=invoice.customer.timezone,
            )
        return learn_from_invoice(story, invoice, rows, at.now), invoice, owed

    async def _owed(self, story: Story, step: Plan, invoice: Invoice) -> tuple[Owed, ...]:
        """List what the customer owes, oldest first, as it is now; nothing where no other invoice is open."""
        async with self._tools.database.read() as session:
            rows = await cases.beside(session, story)
        processor = self._tools.processor(story.processor)
        found = []
        for row in rows:
            try:
                other = await processor.read_invoice(row.account, row.invoice)
            except NotKnown:
                # Its own case finds that out, and tells a person.
                continue
            if other.state is InvoiceState.OPEN and not is_paid(other):
                since = row.failed_at or story.failed_at
                found.append((since, Owed(other.number, other.amount, other.currency, since)))
        if found and step.id != FAREWELL:
            own = Owed(invoice.number, invoice.amount, invoice.currency, story.failed_at)
            found.append((story.failed_at, own))
        return tuple(owed for _, owed in sorted(found, key=lambda one: one[0]))

    async def _send(
        self, at: Stand, story: Story, step: Plan, invoice: Invoice, owed: tuple[Owed, ...]
    ) -> Result | Unsaid:
        """Claim, render, hand over; what an earlier try left behind decides whether it may be repeated.

        Whether another case of the customer has the word is looked at in the same transaction.
        """
        sender = self._tools.sender
        async with self._tools.database.begin() as session:
            customer = await customers.get(session, story.processor, story.account, story.customer)
            why_not = _undeliverable(customer)
            if why_not is not None or customer is None or customer.email is None:
                return Result(messages.FAILED, why_not or "the customer has no address")
            pays_all = bool(owed) and step.id != FAREWELL and await together.card_pays_all(session, story)
            addressee = replace(
                self._addressee(at, story, step, invoice, customer), all_owed=owed, card_pays_all=pays_all
            )
            if story.shadow:
                self._mail(at, story, step, addressee, customer)
                return Result(messages.SHADOW, "written by a case in shadow, and handed to nobody")
            so_far = await together.conversation(session, story, step.id, at.now)
            if unsaid := await self._why_unsaid(session, at, story, step, so_far):
                return unsaid
            addressee = replace(addressee, told_before=so_far.heard is not None)
            mail = self._mail(at, story, step, addressee, customer)
            level = level_of(at.campaign, step.id)
            fresh = await messages.claim(
                session, story.case_id, step.id, step.template or "", at.now, sender=sender.name, level=level
            )
            row = await messages.get(session, story.case_id, step.id)
            assert row is not None
            if row.state in {messages.SENT, messages.FAILED, messages.UNKNOWN, messages.DROPPED}:
                return Result(row.state, row.detail or row.state, row.reference)
            if not fresh and row.state == messages.SENDING and not sender.repeatable:
                return Result(
                    messages.UNKNOWN, "a worker stopped while it was being sent; it is not sent again"
                )
            row.state, row.address, row.locale = messages.SENDING, customer.email, mail.locale
            row.subject, row.level = mail.subject, level
            session.add(row)
        return await self._handed_over(story, step, row, mail)

    async def _handed_over(self, story: Story, step: Plan, row: MessageRow, mail: Mail) -> Result:
        """Hand a claimed mail over; what was proven not to be taken may be sent again."""
        try:
            receipt = await self._tools.sender.send(mail)
        except MailRefused as error:
            return Result(messages.FAILED, str(error), address_at_fault=error.address_at_fault)
        except MailAnswerLost as error:
            return Result(
                messages.UNKNOWN, f"the sender's answer was lost, and it is not sent again: {error}"
            )
        except (SenderUnavailable, SenderKeyRejected):
            async with self._tools.database.begin() as session:
                row.state = messages.WAITING
                session.add(row)
                await together.give_turn_back(session, story, step.id)
            raise
        return Result(messages.SENT, mail.subject, receipt.reference)

    async def _why_unsaid(
        self, session: AsyncSession, at: Stand, story: Story, step: Plan, so_far: together.Conversation
    ) -> Unsaid | None:
        """Take the customer's turn, and say why it is not this message's; one that may be out keeps it."""
        row = await messages.get(session, story.case_id, step.id)
        if row is not None and row.state not in {messages.WAITING, messages.SENDING}:
            return None
        if not await together.take_turn(session, story, step.id):
            return Unsaid(together.TAKEN, together.a_moment(story))
        if row is not None and row.state == messages.SENDING:
            return None
        unsaid = await together.why_unsaid(session, at, story, step, so_far)
        if unsaid is not None:
            await together.give_turn_back(session, story, step.id)
        return unsaid

    async def _left_unsaid(self, at: Stand, story: Story, step: Plan, unsaid: Unsaid) -> Report:
        if unsaid.wait is not None:
            return await self._held(at, step.id, unsaid.wait, unsaid.why)
        # Passed and not done: whoever was not told of the end by this mail is told before it comes.
        story = story.model_copy(update={"passed": (*story.passed, step.id), "hold": None})
        line = f"mail '{step.template}' is not sent: {unsaid.why}"
        async with self._tools.database.begin() as session:
            await messages.claim(session, story.case_id, step.id, step.template or "", at.now)
            row = await messages.get(session, story.case_id, step.id)
            assert row is not None
            row.state, row.detail, row.settled_at = messages.DROPPED, unsaid.why, at.now
            session.add(row)
            return await conclude(session, at.campaign, story, at.now, [line])

    def _addressee(
        self,
        at: Stand,
        story: Story,
        step: Plan,
        invoice: Invoice,
        customer: CustomerRow,
    ) -> Addressee:
        card = invoice.card if invoice.card and story.method in {None, invoice.card.id} else None
        return Addressee(
            locale=customer.locale or "en",
            company=parseaddr(self._tools.mail_from)[0] or "Billing",
            link=self._tools.link(keys.message_id(story.case_id, step.id), at.now),
            name=customer.name,
            invoice_number=invoice.number,
            card_network=card.network if card else None,
            card_last4=card.last4 if card else None,
            confirm_link=invoice.confirm_url,
        )

    def _mail(self, at: Stand, story: Story, step: Plan, addressee: Addressee, customer: CustomerRow) -> Mail:
        facts = facts_of(at.campaign, story, step.id, at.now, addressee)
        rendered = self._tools.renderer.render(step.template or "", facts)
        from_name, from_address = parseaddr(self._tools.mail_from)
        return Mail(
            id=keys.message_id(story.case_id, step.id),
            to_address=customer.email or "",
            to_name=customer.name,
            from_address=from_address,
            from_name=from_name or None,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
        )

    async def _settled(self, at: Stand, story: Story, step: Plan, result: Result) -> Report:
        words = {messages.SENT: "sent", messages.UNKNOWN: "may have been sent", messages.DROPPED: "dropped"}
        # The subject stays in the database: an owner may have put a customer's name into it.
        reason = "" if result.state == messages.SENT else f": {result.detail}"
        line = f"mail '{step.template}' {words.get(result.state, 'not sent')}{reason}"
        if result.state == messages.SHADOW:
            line = f"shadow: mail '{step.template}' would be sent"
        update: dict[str, object] = {"done": {**story.done, step.id: at.now}, "hold": None}
        if story.card_notice == step.id:
            update["card_notice"] = None
        story = story.model_copy(update=update)
        if result.state in {messages.FAILED, messages.UNKNOWN}:
            story = flagged(story, f"mail {result.state}")
        async with self._tools.database.begin() as session:
            await together.give_turn_back(session, story, step.id)
            values = {"state": result.state, "sender": self._tools.sender.name}
            await messages.claim(session, story.case_id, step.id, step.template or "", at.now, **values)
            row = await messages.get(session, story.case_id, step.id)
            assert row is not None
            # The provider may have told by now that it could not deliver what it took.
            if (row.state, result.state) != (messages.FAILED, messages.SENT):
                row.state, row.detail, row.reference = result.state, result.detail, result.reference
                row.settled_at = at.now
            session.add(row)
            if result.address_at_fault:
                await customers.keep(
                    session,
                    story.processor,
                    story.account,
                    story.customer,
                    at.now,
                    refused_address=row.address,
                    refused_why=result.detail,
                )
            changed = await retriers.told(session, at.story, story, at.now)
            report = await conclude(session, at.campaign, story, at.now, [*changed, line])
        log.info(
            "message.settled",
            **ids(story),
            message=step.id,
            state=result.state,
            detail=reason.strip(": ") or None,
        )
        return report


def _is_not_due(at: Stand, message: str) -> bool:
    step = at.next
    return step.action is not Action.MESSAGE or step.id != message or bool(step.at and step.at > at.now)


def _undeliverable(customer: CustomerRow | None) -> str | None:
    """Say why nothing is even tried: no address, or one that was refused and has not changed."""
    if customer is None or not customer.email:
        return "the customer has no mail address"
    if customer.refused_address == customer.email:
        return f"not tried: this address was refused ({customer.refused_why})"
    return None
