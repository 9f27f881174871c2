"""Mails to customers, each claimed in the outbox before it is handed over and settled after."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities import retriers
from activities.findings import learn_from_invoice
from activities.standing import Stand, StepActivities, hold_everybody, release, stand
from activities.telling import Addressee, facts_of
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
from campaigns.schedule import NOTICE
from campaigns.story import Action, Story
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
from messaging.protocol import Mail
from store import attempts, customers, journal, messages, switches

if TYPE_CHECKING:
    from campaigns.story import Plan
    from processors.protocol import Invoice
    from store.tables import CustomerRow

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
        sender = self._tools.sender
        at = await stand(self._tools, order, switches.MESSAGES, switches.of_sender(sender.name))
        step = at.next
        if step.action is not Action.MESSAGE or step.id != order.plan.id or (step.at and step.at > at.now):
            return await self._conclude(at, at.story)
        if step.not_after and at.now >= step.not_after and step.id != NOTICE:
            return await self._settled(
                at, at.story, step, Result(messages.DROPPED, "it would no longer be true")
            )
        if at.stop:
            return await self._held(at, step.id, STOPPED_HOLD, at.stop)
        try:
            story, invoice = await self._read(at)
        except (ProcessorUnavailable, AnswerLost, ProcessorKeyRejected) as error:
            if not is_last_try():
                raise try_again(error) from error
            return await self._held(at, step.id, UNAVAILABLE_HOLD, f"the invoice could not be read: {error}")
        except (NotKnown, ProcessorRefused) as error:
            raise give_up(error) from error
        if (story.ending and not at.story.ending) or (story.pending and not at.story.pending):
            return await self._conclude(at, story)
        try:
            result = await self._send(at, story, step, invoice)
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
        await release(self._tools, at, switches.of_sender(sender.name))
        return await self._settled(at, story, step, result)

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

    async def _read(self, at: Stand) -> tuple[Story, Invoice]:
        story = at.story
        invoice = await self._tools.processor(story.processor).read_invoice(story.account, story.invoice)
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
        return learn_from_invoice(story, invoice, rows, at.now), invoice

    async def _send(self, at: Stand, story: Story, step: Plan, invoice: Invoice) -> Result:
        """Claim, render, hand over; what an earlier try left behind decides whether it may be repeated."""
        sender = self._tools.sender
        async with self._tools.database.begin() as session:
            customer = await customers.get(session, story.processor, story.account, story.customer)
            why_not = _undeliverable(customer)
            if why_not is not None or customer is None or customer.email is None:
                return Result(messages.FAILED, why_not or "the customer has no address")
            mail = self._mail(at, story, step, invoice, customer)
            if story.shadow:
                return Result(messages.SHADOW, "written by a case in shadow, and handed to nobody")
            template = step.template or ""
            fresh = await messages.claim(
                session, story.case_id, step.id, template, at.now, sender=sender.name
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
            row.subject = mail.subject
            session.add(row)
        try:
            receipt = await sender.send(mail)
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
            raise
        return Result(messages.SENT, mail.subject, receipt.reference)

    def _mail(self, at: Stand, story: Story, step: Plan, invoice: Invoice, customer: CustomerRow) -> Mail:
        card = invoice.card if invoice.card and story.method in {None, invoice.card.id} else None
        addressee = Addressee(
            locale=customer.locale or "en",
            company=parseaddr(self._tools.mail_from)[0] or "Billing",
            link=self._tools.link(keys.message_id(story.case_id, step.id), at.now),
            name=customer.name,
            invoice_number=invoice.number,
            card_network=card.network if card else None,
            card_last4=card.last4 if card else None,
            confirm_link=invoice.confirm_url,
        )
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


def _undeliverable(customer: CustomerRow | None) -> str | None:
    """Say why nothing is even tried: no address, or one that was refused and has not changed."""
    if customer is None or not customer.email:
        return "the customer has no mail address"
    if customer.refused_address == customer.email:
        return f"not tried: this address was refused ({customer.refused_why})"
    return None
