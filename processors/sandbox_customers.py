"""The sandbox's customers and their cards, as customers, card networks and other systems change them.

A time that is left out is the books' own: the latest they were told, or the clock's if that is later.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from keys import OWN_ACCOUNT
from processors.protocol import CARD_RAIL
from processors.sandbox_books import Books
from processors.sandbox_charges import finish_due
from processors.sandbox_script import parse_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from processors.sandbox_books import Transaction

T = TypeVar("T")


class CustomerMore(TypedDict, total=False):
    """What may be said of a customer besides; ``locale`` is a BCP 47 tag."""

    locale: str | None
    country: str | None
    timezone: str | None
    attributes: Mapping[str, str]
    account: str


class CustomerChange(TypedDict, total=False):
    """What may change about a customer; what is left out stays."""

    email: str | None
    name: str | None
    locale: str | None
    country: str | None
    timezone: str | None
    attributes: Mapping[str, str]


class CardMore(TypedDict, total=False):
    """What may be said of a card besides.

    ``fingerprint`` is the same for every copy of one card; left out, the card is one of its own. ``rail``
    is ``card``, ``ach``, ``sepa`` or ``bacs``. ``consent`` records that the customer agreed to be charged
    with it where another of theirs fails.
    """

    fingerprint: str
    rail: str
    consent: bool


class SandboxCustomers:
    """The customers in the sandbox's books."""

    def __init__(self, file: Path) -> None:
        self._books = Books(file)

    async def add_customer(
        self, customer: str, email: str | None, name: str | None, **more: Unpack[CustomerMore]
    ) -> None:
        """Add a customer without a card; raises Conflict where the id is taken."""
        values = (
            customer,
            more.get("account", OWN_ACCOUNT),
            email,
            name,
            more.get("locale"),
            more.get("country"),
            more.get("timezone"),
            json.dumps(dict(more.get("attributes", {}))),
        )
        await self._keep(
            lambda books: books.execute(
                "INSERT INTO customers (id, account, email, name, locale, country, timezone, attributes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )

    async def change_customer(
        self, customer: str, at: datetime | None = None, **changes: Unpack[CustomerChange]
    ) -> None:
        """Change a customer's details, such as an address that did not work."""

        def act(books: Transaction) -> None:
            details = replace(books.details(customer), **changes)
            books.execute(
                "UPDATE customers SET email = ?, name = ?, locale = ?, country = ?, timezone = ?,"
                " attributes = ? WHERE id = ?",
                (
                    details.email,
                    details.name,
                    details.locale,
                    details.country,
                    details.timezone,
                    json.dumps(dict(details.attributes)),
                    customer,
                ),
            )
            _tell_of_customer(books, customer, "customer.changed", at)

        await self._keep(act)

    async def delete_customer(self, customer: str, at: datetime | None = None) -> None:
        """Delete a customer as Stripe does: the cards go, the subscriptions end, invoices stay."""

        def act(books: Transaction) -> None:
            books.customer(customer)
            books.execute("UPDATE customers SET default_card = NULL WHERE id = ?", (customer,))
            books.execute("UPDATE cards SET removed = 1 WHERE customer = ?", (customer,))
            books.execute("UPDATE subscriptions SET state = 'ended' WHERE customer = ?", (customer,))
            _tell_of_customer(books, customer, "customer.deleted", at)

        await self._keep(act)

    async def add_card(
        self,
        customer: str,
        card: str,
        script: str,
        network: str = "visa",
        last4: str = "4242",
        *,
        default: bool = True,
        at: datetime | None = None,
        **more: Unpack[CardMore],
    ) -> None:
        """Give a customer a card that answers by its script; its country is the customer's.

        Anything else than a card has no ``network``. A default card is told of by two events in the same moment, as Stripe does. Raises BadInput
        for a script that cannot be read.
        """
        parse_script(script)
        rail = more.get("rail", CARD_RAIL)

        def act(books: Transaction) -> None:
            books.customer(customer)
            books.execute(
                "INSERT INTO cards (id, customer, script, network, last4, fingerprint, rail, consent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    card,
                    customer,
                    script,
                    network if rail == CARD_RAIL else None,
                    last4,
                    more.get("fingerprint"),
                    rail,
                    more.get("consent", False),
                ),
            )
            _tell_of_customer(books, customer, "card.attached", at, method=card)
            if default:
                books.execute("UPDATE customers SET default_card = ? WHERE id = ?", (card, customer))
                _tell_of_customer(books, customer, "customer.default_card_changed", at, method=card)

        await self._keep(act)

    async def set_script(self, card: str, script: str) -> None:
        """Let a card follow another script from its next charge on; nobody is told."""
        parse_script(script)

        def act(books: Transaction) -> None:
            books.card(card)
            books.execute("UPDATE cards SET script = ?, asked = 0 WHERE id = ?", (script, card))

        await self._keep(act)

    async def renew_card(
        self, card: str, script: str, at: datetime | None = None, *, fingerprint: str | None = None
    ) -> None:
        """Let the card network renew a card: the id stays, what it stands for is new.

        ``fingerprint`` is that of a card with a new number; left out, only its date of expiry is new.
        """
        parse_script(script)

        def act(books: Transaction) -> None:
            row = books.card(card)
            renewals = row["renewals"] + 1
            books.execute(
                "UPDATE cards SET script = ?, asked = 0, renewals = ?, fingerprint = coalesce(?, fingerprint)"
                " WHERE id = ?",
                (script, renewals, fingerprint, card),
            )
            told = {"method": card, "renewed": f"{card}/{renewals}"}
            _tell_of_customer(books, row["customer"], "card.renewed", at, **told)

        await self._keep(act)

    async def remove_card(self, card: str, at: datetime | None = None) -> None:
        """Remove a card; a customer whose default it was has none."""

        def act(books: Transaction) -> None:
            customer = books.card(card)["customer"]
            books.execute("UPDATE cards SET removed = 1 WHERE id = ?", (card,))
            books.execute("UPDATE customers SET default_card = NULL WHERE default_card = ?", (card,))
            _tell_of_customer(books, customer, "card.removed", at, method=card)

        await self._keep(act)

    async def close(self) -> None:
        """Give the books' file back."""
        await asyncio.to_thread(self._books.close)

    async def _keep(self, act: Callable[[Transaction], T]) -> T:
        """Run one transaction in a thread, so that the event loop is not held up."""

        def work() -> T:
            with self._books.transaction() as books:
                finish_due(books, time.time())
                return act(books)

        return await asyncio.to_thread(work)


def _tell_of_customer(books: Transaction, customer: str, kind: str, at: datetime | None, **more: str) -> None:
    data = {"account": books.customer(customer)["account"], "customer": customer, **more}
    books.add_event(kind, books.now(at), data)
