"""A small payment processor of ours, for trying campaigns without live money.

It keeps books of its own, so that what was charged can be checked against what Dunwell believes, and
each of its cards follows a script (see ``sandbox_script``). Where a real processor would have a person,
a bank or another system act, ``sandbox_drive`` has a method that a test or the sandbox's page calls.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from errors import AnswerLost, NotKnown, ProcessorError, ProcessorRefused, ProcessorUnavailable
from processors import sandbox_events
from processors.protocol import Invoice, InvoiceState, PaidBy
from processors.sandbox_attempts import invoice_facts
from processors.sandbox_charges import (
    answer_of,
    begin,
    in_flight,
    owned_invoice,
    times_of,
)
from processors.sandbox_drive import REFUSALS, TROUBLE, SandboxDrive
from processors.sandbox_subscriptions import ENDED, carry_out, undo

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from processors.protocol import (
        Card,
        ChangeResult,
        ChargeAnswer,
        ChargeRequest,
        ReinstateResult,
        Report,
        SubscriptionChange,
    )
    from processors.sandbox_books import Transaction

# Where the web side serves the page on which the customer pays or confirms an invoice.
PAY_PATH = "/sandbox/pay/"


@dataclass(frozen=True)
class SampleCard:
    """A card that somebody trying Dunwell can give on the sandbox's page."""

    label: str
    script: str
    network: str
    last4: str


SAMPLE_CARDS = (
    SampleCard("A card that works", "paid", "visa", "4242"),
    SampleCard("Declined: insufficient funds", "insufficient_funds", "visa", "9995"),
    SampleCard("Declined twice, then works", "insufficient_funds*2, paid", "mastercard", "4444"),
    SampleCard("Declined: expired", "expired_card", "visa", "0069"),
    SampleCard("Declined: reported stolen", "stolen_card", "mastercard", "9979"),
    SampleCard("Declined: the bank says never again", "do_not_honor/do_not_try_again", "visa", "0002"),
    SampleCard("Needs confirmation by the bank", "3ds", "visa", "3155"),
    SampleCard("Charged, but the answer gets lost", "lost:paid", "amex", "0005"),
    SampleCard("Declined: try again in four days", "insufficient_funds/mac27, paid", "mastercard", "5100"),
)


class SandboxProcessor(SandboxDrive):
    """The sandbox as a payment processor; it moves no money, and livemode is always false.

    ``file`` holds the books and may be shared by processes. ``public_url`` is the web side as
    customers reach it, from which the address of the page to pay or confirm on is made.

    A customer without a card is declined with the code ``no_payment_method``. A charge of an invoice
    that is not open, or of nothing, is answered ``nothing_to_pay`` and uses up no word of the script.
    An open invoice always has a ``confirm_url``; it is ``pending`` while a slow charge is on its way, a debit
    is with the bank or ``set_pending`` says so, not while the customer is asked to confirm.

    A bank answers by the books' own time: the latest that a request or a driving method has told, or the
    wall clock's if that is later; an event tells of it. Until then other charges are not taken.
    """

    name = "sandbox"

    def __init__(self, file: Path, webhook_secret: str, *, public_url: str = "http://127.0.0.1:8321") -> None:
        super().__init__(file)
        self._secret = webhook_secret
        self._pay_url = public_url.rstrip("/") + PAY_PATH

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        """Read an invoice as it is now; raises ProcessorUnavailable while ``set_trouble`` lasts."""

        def act(books: Transaction) -> Invoice | None:
            if books.count(TROUBLE, 0) > 0:
                books.count(TROUBLE, -1)
                return None
            return _invoice(books, owned_invoice(books, account, invoice), self._pay_url)

        found = await self._keep(act)
        if found is None:
            raise ProcessorUnavailable(
                f"the sandbox was told to fail this read of {invoice}: try again later"
            )
        return found

    async def read_card(self, account: str, customer: str, method: str | None) -> Card | None:
        """Read a card of the customer's, or with None their default; None where there is no such card.

        Raises NotKnown for a customer that the account does not have.
        """
        cards = await self._cards(account, customer)
        if method is None:
            return await self._keep(lambda books: books.default_card(customer))
        return next((card for card in cards if card.id == method), None)

    async def read_methods(self, account: str, customer: str) -> Sequence[Card]:
        """Read every card of the customer's, the default first; ``add_card`` was told of consent."""
        return await self._cards(account, customer)

    async def charge(self, request: ChargeRequest) -> ChargeAnswer:
        """Charge as the card's script says; the same key gives the same answer and no new charge.

        A request with a key whose charge is still on its way waits for it.
        """
        begun = await self._keep(lambda books: begin(books, request, time.time()))
        if begun.seconds:
            await asyncio.sleep(begun.seconds)
        if begun.error:
            raise begun.error
        confirm_url = self._pay_url + request.invoice
        try:
            answer = await self._keep(partial(answer_of, key=request.key, confirm_url=confirm_url))
        except ProcessorUnavailable as error:
            raise AnswerLost(f"the charge of {request.invoice} was begun, and then: {error}") from error
        if isinstance(answer, ProcessorError):
            raise answer
        if begun.answer_lost:
            raise AnswerLost(
                f"the sandbox lost the answer to the charge of {request.invoice}: the same key tells it"
            )
        return answer

    async def take_over_retries(self, account: str, invoice: str, key: str) -> None:
        """Forget when the sandbox would charge by itself; raises ProcessorRefused as often as it was told to."""

        def act(books: Transaction) -> bool:
            row = owned_invoice(books, account, invoice)
            if row["processor_retries_at"] is None:
                return False
            if books.count(REFUSALS, 0) > 0:
                books.count(REFUSALS, -1)
                return True
            books.execute("UPDATE invoices SET processor_retries_at = NULL WHERE id = ?", (invoice,))
            books.add_event("invoice.retries_stopped", books.now(None), invoice_facts(books, row), key)
            return False

        if await self._keep(act):
            raise ProcessorRefused(f"the sandbox was told to go on retrying {invoice} by itself")

    async def change_subscription(
        self,
        account: str,
        subscription: str,
        invoice: str,  # noqa: ARG002 -- the protocol's, for processors that need it
        change: SubscriptionChange,
        key: str,
    ) -> ChangeResult:
        """Change a subscription; one that is so already, or has ended, is left as it is.

        The same key gives the same answer and no new entry in the books.
        """
        return await self._keep(lambda books: carry_out(books, account, subscription, change, key))

    async def reinstate(
        self,
        account: str,
        subscription: str,
        invoice: str,  # noqa: ARG002 -- the protocol's, for processors that need it
        final_action: SubscriptionChange,
        key: str,
    ) -> ReinstateResult:
        """Undo a final action as Stripe would: what has ended stays so.

        The same key gives the same answer and no new entry in the books.
        """
        return await self._keep(lambda books: undo(books, account, subscription, final_action, key))

    async def card_page(self, account: str, customer: str, return_url: str) -> str:  # noqa: ARG002
        """Give the empty text: the web side serves the sandbox's card page itself.

        Raises NotKnown for a customer that the account does not have.
        """

        def act(books: Transaction) -> str:
            if books.customer(customer)["account"] != account:
                raise NotKnown(f"the sandbox has no customer {customer!r} in the account {account!r}")
            return ""

        return await self._keep(act)

    async def _cards(self, account: str, customer: str) -> list[Card]:
        def act(books: Transaction) -> list[Card]:
            if books.customer(customer)["account"] != account:
                raise NotKnown(f"the sandbox has no customer {customer!r} in the account {account!r}")
            return books.shown_cards(customer)

        return await self._keep(act)

    def sign(self, body: bytes) -> str:
        """Make the signature header of an event that is sent now."""
        return sandbox_events.sign(body, self._secret, int(time.time()))

    def verify(self, body: bytes, signature: str | None) -> None:
        """Check an event's signature over its raw body, and its age; raises BadSignature."""
        sandbox_events.verify(body, signature, self._secret)

    def reports(self, body: bytes) -> Sequence[Report]:
        """Turn an event into what it means; raises BadInput where it is no event of the sandbox's."""
        return sandbox_events.reports(body)

    @staticmethod
    def test_cards() -> tuple[SampleCard, ...]:
        """List the cards that the sandbox's page offers."""
        return SAMPLE_CARDS


def _invoice(books: Transaction, row: sqlite3.Row, pay_url: str) -> Invoice:
    state = InvoiceState(row["state"])
    ended = row["subscription"] is not None and books.subscription(row["subscription"])["state"] == ENDED
    return Invoice(
        id=row["id"],
        state=state,
        amount=0 if state is InvoiceState.PAID else row["amount"],
        currency=row["currency"],
        livemode=False,
        customer=books.details(row["customer"]),
        subscription=row["subscription"],
        subscription_ended=ended,
        first_payment=bool(row["first_payment"]),
        sent_for_payment=bool(row["sent_for_payment"]),
        disputed=bool(row["disputed"]),
        pending=bool(row["pending"]) or in_flight(books, row["id"]),
        paid_by=PaidBy(row["paid_by"]) if row["paid_by"] else None,
        payment=row["payment"],
        card=books.default_card(row["customer"]),
        plan=row["plan"],
        interval=row["interval"],
        tags=tuple(json.loads(row["tags"])),
        number=row["number"],
        decline=row["decline"],
        advice=row["advice"],
        network_code=row["network_code"],
        network_advice=row["network_advice"],
        failed_charge=row["failed_charge"],
        confirm_url=pay_url + row["id"] if state is InvoiceState.OPEN else None,
        **times_of(row),
    )
