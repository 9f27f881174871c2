"""What happens to the sandbox's invoices from outside, and a look into its books."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict, Unpack

from errors import BadInput
from processors.protocol import ChargeResult, Initiator, InvoiceState, PaidBy
from processors.sandbox_attempts import Said, fail, invoice_facts, new_attempt, pay
from processors.sandbox_books import ChargeEntry, SandboxEvent, read_time, spell_time
from processors.sandbox_charges import finish_debits, paid_total
from processors.sandbox_customers import SandboxCustomers
from processors.sandbox_subscriptions import ENDED, end_subscription, subscription_calls

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from processors.sandbox_books import SubscriptionEntry, Transaction

TROUBLE = "trouble"
REFUSALS = "take-overs refused"


class InvoiceMore(TypedDict, total=False):
    """What may be said of an invoice besides.

    ``subscription`` left out is one of the invoice's own, named ``sub_`` and the invoice's id; None
    is an invoice without one.
    """

    subscription: str | None
    plan: str | None
    interval: str | None
    tags: Sequence[str]
    number: str | None
    first_payment: bool
    sent_for_payment: bool
    state: InvoiceState
    processor_retries_at: datetime | None


class FailureMore(TypedDict, total=False):
    """What may be said of a failed attempt besides.

    ``method`` left out is the default card. ``by_customer`` is an attempt that the customer made
    themselves, at a checkout or on the page of the invoice.
    """

    network_code: str | None
    network_advice: str | None
    method: str | None
    by_customer: bool


class SandboxDrive(SandboxCustomers):
    """The world around the sandbox processor."""

    async def add_invoice(
        self, invoice: str, customer: str, amount: int, currency: str = "USD", **more: Unpack[InvoiceMore]
    ) -> None:
        """Add an open invoice over minor units, and its subscription where that is new."""
        subscription = more.get("subscription", f"sub_{invoice}")
        retries_at = more.get("processor_retries_at")

        def act(books: Transaction) -> None:
            books.customer(customer)
            if subscription is not None:
                books.execute(
                    "INSERT OR IGNORE INTO subscriptions (id, customer) VALUES (?, ?)",
                    (subscription, customer),
                )
            books.execute(
                "INSERT INTO invoices (id, customer, subscription, state, amount, currency, first_payment,"
                " sent_for_payment, plan, number, processor_retries_at, interval, tags)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    invoice,
                    customer,
                    subscription,
                    more.get("state", InvoiceState.OPEN),
                    amount,
                    currency.upper(),
                    more.get("first_payment", False),
                    more.get("sent_for_payment", False),
                    more.get("plan"),
                    more.get("number"),
                    spell_time(retries_at) if retries_at else None,
                    more.get("interval"),
                    json.dumps(list(more.get("tags", ()))),
                ),
            )

        await self._keep(act)

    # --- what happens to an invoice ----------------------------------------------------------------

    async def fail(
        self,
        invoice: str,
        at: datetime,
        decline: str,
        advice: str | None = None,
        **more: Unpack[FailureMore],
    ) -> None:
        """Let the processor's own attempt fail, as on the day it is due; any code, also an unknown one."""
        said = Said(decline, advice, more.get("network_code"), more.get("network_advice"))
        who = Initiator.CUSTOMER if more.get("by_customer") else Initiator.MERCHANT

        def act(books: Transaction) -> None:
            row = _open_invoice(books, invoice)
            card = _asked(books, row, more.get("method"))
            fail(books, row, spell_time(at), new_attempt(books, card, who), said)

        await self._keep(act)

    async def retry_itself(
        self, invoice: str, at: datetime, decline: str | None = None, **more: Unpack[FailureMore]
    ) -> None:
        """Let the processor's automatic retry go through, or be declined."""
        if decline is not None:
            await self.fail(invoice, at, decline, **more)
        else:
            await self._pay(invoice, at, PaidBy.PROCESSOR)

    async def plan_retry(self, invoice: str, next_at: datetime | None = None) -> None:
        """Let the processor plan its own next charge; None is that it gives up."""

        def act(books: Transaction) -> None:
            _open_invoice(books, invoice)
            planned = spell_time(next_at) if next_at else None
            books.execute("UPDATE invoices SET processor_retries_at = ? WHERE id = ?", (planned, invoice))

        await self._keep(act)

    async def refuse_take_over(self, times: int) -> None:
        """Let the next so many requests to switch the processor's own retries off be refused."""
        await self._keep(
            lambda books: books.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (REFUSALS, times))
        )

    async def pay_elsewhere(self, invoice: str, at: datetime) -> None:
        """Let a bank transfer be marked by hand."""
        await self._pay(invoice, at, PaidBy.ELSEWHERE)

    async def confirm(self, invoice: str, at: datetime, method: str | None = None) -> None:
        """Let the customer confirm the payment that waits for it, or pay on the page, with any card of theirs."""
        await self._pay(invoice, at, PaidBy.CUSTOMER, method)

    async def expire_confirmation(self, invoice: str, at: datetime) -> None:
        """Let the bank give up waiting for the customer; the invoice stays open, and its page begins anew."""

        def act(books: Transaction) -> None:
            row = _open_invoice(books, invoice)
            if row["started"] is None:
                raise BadInput(f"no payment of the sandbox's invoice {invoice} waits for the customer")
            books.execute("UPDATE invoices SET started = NULL WHERE id = ?", (invoice,))
            _tell_of_invoice(books, invoice, "invoice.confirmation_expired", at)

        await self._keep(act)

    async def settle(self, at: datetime) -> None:
        """Let every bank answer that is due by then, as time would where the books can see it pass."""
        await self._keep(lambda books: finish_debits(books, spell_time(at)))

    async def set_pending(self, invoice: str, *, pending: bool) -> None:
        """Let a payment be under way whose result is not known yet, such as a direct debit."""

        def act(books: Transaction) -> None:
            books.invoice(invoice)
            books.execute("UPDATE invoices SET pending = ? WHERE id = ?", (pending, invoice))

        await self._keep(act)

    async def void(self, invoice: str, at: datetime) -> None:
        """Take the invoice back: nothing is owed."""
        await self._keep(lambda books: _move(books, invoice, InvoiceState.VOID, "invoice.voided", at))

    async def mark_uncollectible(self, invoice: str, at: datetime) -> None:
        """Give the invoice up."""
        kind = "invoice.marked_uncollectible"
        await self._keep(lambda books: _move(books, invoice, InvoiceState.UNCOLLECTIBLE, kind, at))

    async def change_amount(self, invoice: str, amount: int, at: datetime) -> None:
        """Change what is still open, in minor units, as a credit note does."""

        def act(books: Transaction) -> None:
            _open_invoice(books, invoice)
            books.execute("UPDATE invoices SET amount = ? WHERE id = ?", (amount, invoice))
            _tell_of_invoice(books, invoice, "invoice.amount_changed", at)

        await self._keep(act)

    async def dispute(self, invoice: str, at: datetime) -> None:
        """Let the customer dispute the payment at the bank."""

        def act(books: Transaction) -> None:
            books.execute("UPDATE invoices SET disputed = 1 WHERE id = ?", (books.invoice(invoice)["id"],))
            _tell_of_invoice(books, invoice, "invoice.disputed", at)

        await self._keep(act)

    async def close_dispute(self, invoice: str, at: datetime, *, won: bool) -> None:
        """Let the bank decide; ``won`` is the seller's view, and only then is the invoice undisputed."""

        def act(books: Transaction) -> None:
            books.invoice(invoice)
            books.execute("UPDATE invoices SET disputed = ? WHERE id = ?", (not won, invoice))
            result = "won" if won else "lost"
            _tell_of_invoice(books, invoice, "invoice.dispute_closed", at, result=result)

        await self._keep(act)

    async def refund(self, invoice: str, at: datetime) -> None:
        """Give the payment back; the invoice stays paid, as it does at Stripe."""
        await self._keep(lambda books: _tell_of_invoice(books, invoice, "invoice.refunded", at))

    async def cancel_subscription(self, subscription: str, at: datetime) -> None:
        """Let the customer or another system cancel the subscription; nothing if it has ended."""

        def act(books: Transaction) -> None:
            if books.subscription(subscription)["state"] != ENDED:
                end_subscription(books, subscription, spell_time(at))

        await self._keep(act)

    async def set_trouble(self, reads: int) -> None:
        """Let the next so many reads of an invoice fail, by whatever process."""
        await self._keep(
            lambda books: books.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (TROUBLE, reads))
        )

    # --- what the books say ------------------------------------------------------------------------

    async def charges(self) -> tuple[ChargeEntry, ...]:
        """List every new charge request that was acted on, in order of arrival."""
        return await self._keep(_charges)

    async def subscription_calls(self) -> tuple[SubscriptionEntry, ...]:
        """List every new request to change a subscription or to undo a change, in order."""
        return await self._keep(subscription_calls)

    async def requests(self) -> int:
        """Count the charge requests that arrived, replays and refused ones among them."""
        return await self._keep(lambda books: books.count("requests", 0))

    async def paid_total(self, invoice: str) -> int:
        """Add up the money taken for an invoice, in minor units; more than its amount is a double charge."""
        return await self._keep(lambda books: paid_total(books, invoice))

    async def events(self, after: int = 0) -> tuple[SandboxEvent, ...]:
        """List the events whose number is above ``after``, in order."""

        def act(books: Transaction) -> tuple[SandboxEvent, ...]:
            rows = books.execute(
                "SELECT number, id, type, body FROM events WHERE number > ? ORDER BY number", (after,)
            )
            return tuple(SandboxEvent(r["number"], r["id"], r["type"], r["body"].encode()) for r in rows)

        return await self._keep(act)

    async def _pay(self, invoice: str, at: datetime, paid_by: PaidBy, method: str | None = None) -> None:
        def act(books: Transaction) -> None:
            row = _open_invoice(books, invoice)
            by_customer = paid_by is PaidBy.CUSTOMER
            attempt = new_attempt(
                books,
                None if paid_by is PaidBy.ELSEWHERE else _asked(books, row, method),
                Initiator.CUSTOMER if by_customer else Initiator.MERCHANT,
                payment=row["started"] if by_customer else None,
            )
            pay(books, row, spell_time(at), paid_by, attempt)

        await self._keep(act)


def _asked(books: Transaction, invoice: sqlite3.Row, method: str | None) -> str | None:
    """Give the card that is asked: the one named, which the books must have, or the customer's default."""
    if method is not None:
        return str(books.card(method)["id"])
    default: str | None = books.customer(invoice["customer"])["default_card"]
    return default


def _open_invoice(books: Transaction, invoice: str) -> sqlite3.Row:
    row = books.invoice(invoice)
    if row["state"] not in {InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE}:
        raise BadInput(f"the sandbox's invoice {invoice} is {row['state']}: only an open one can do that")
    return row


def _move(books: Transaction, invoice: str, state: InvoiceState, kind: str, at: datetime) -> None:
    _open_invoice(books, invoice)
    books.execute(
        "UPDATE invoices SET state = ?, started = NULL, processor_retries_at = NULL WHERE id = ?",
        (state, invoice),
    )
    _tell_of_invoice(books, invoice, kind, at)


def _tell_of_invoice(books: Transaction, invoice: str, kind: str, at: datetime, **more: str) -> None:
    row = books.invoice(invoice)
    data = invoice_facts(books, row) | {"payment": row["payment"]} | more
    books.add_event(kind, spell_time(at), data)


def _charges(books: Transaction) -> tuple[ChargeEntry, ...]:
    rows = books.execute(
        "SELECT * FROM requests WHERE result IS NOT NULL AND result != 'nothing' ORDER BY number"
    )
    return tuple(
        ChargeEntry(
            key=row["key"],
            invoice=row["invoice"],
            method=row["method"],
            at=read_time(row["at"]),
            result=ChargeResult(row["result"]),
            decline=row["decline"],
            amount=row["amount"],
            payment=row["payment"],
        )
        for row in rows
    )
