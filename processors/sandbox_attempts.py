"""What the sandbox's attempts on cards and accounts leave in its books, and what is told of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from processors.protocol import AttemptResult, Initiator, PaidBy
from processors.sandbox_books import fingerprint_of

if TYPE_CHECKING:
    import sqlite3

    from processors.sandbox_books import Transaction
    from processors.sandbox_script import ScriptedAnswer

NEEDS_CONFIRMATION = "authentication_required"


@dataclass(frozen=True)
class Attempt:
    """One attempt: who asked, and under which ids; ``method`` None where no card was asked at all."""

    payment: str
    charge: str
    method: str | None
    initiator: Initiator = Initiator.MERCHANT
    key: str | None = None


@dataclass(frozen=True)
class Said:
    """What was said of an attempt that failed, by the processor, the issuer and the card network."""

    decline: str
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None


def said_in(answer: ScriptedAnswer, decline: str) -> Said:
    """Take the words of a script's answer, under the decline code that it comes to."""
    return Said(decline, answer.advice, answer.network_code, answer.network_advice)


def new_attempt(
    books: Transaction,
    method: str | None,
    initiator: Initiator = Initiator.MERCHANT,
    *,
    payment: str | None = None,
    key: str | None = None,
) -> Attempt:
    """Begin an attempt of a new payment, or another one of a ``payment`` that was begun before."""
    return Attempt(payment or books.new_id("pay"), books.new_id("ch"), method, initiator, key)


def pay(books: Transaction, invoice: sqlite3.Row, at: str, paid_by: PaidBy, attempt: Attempt) -> str:
    """Take the invoice's money, note the event, and give the payment's id."""
    amount = invoice["amount"]
    books.execute(
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?)", (attempt.payment, invoice["id"], amount, paid_by, at)
    )
    books.execute(
        "UPDATE invoices SET state = 'paid', paid_by = ?, payment = ?, started = NULL, pending = 0,"
        " processor_retries_at = NULL WHERE id = ?",
        (paid_by, attempt.payment, invoice["id"]),
    )
    told = {"paid_by": paid_by} | _told(books, attempt, AttemptResult.APPROVED)
    books.add_event("invoice.paid", at, invoice_facts(books, invoice) | told, attempt.key)
    return attempt.payment


def fail(books: Transaction, invoice: sqlite3.Row, at: str, attempt: Attempt, said: Said) -> None:
    """Note a failed attempt on the invoice; one that needs the customer can be confirmed later."""
    needs_customer = said.decline == NEEDS_CONFIRMATION
    books.execute(
        "UPDATE invoices SET decline = ?, advice = ?, network_code = ?, network_advice = ?, failed_at = ?,"
        " failed_charge = ?, started = ?, pending = 0 WHERE id = ?",
        (
            said.decline,
            said.advice,
            said.network_code,
            said.network_advice,
            at,
            attempt.charge if attempt.method else None,
            attempt.payment if needs_customer else None,
            invoice["id"],
        ),
    )
    told = _told(books, attempt, AttemptResult.DECLINED) | asdict(said)
    kind = "invoice.payment_action_required" if needs_customer else "invoice.payment_failed"
    books.add_event(kind, at, invoice_facts(books, invoice) | told, attempt.key)


def invoice_facts(books: Transaction, invoice: sqlite3.Row) -> dict[str, object]:
    """Collect what every event about an invoice says of it."""
    return {
        "account": books.customer(invoice["customer"])["account"],
        "invoice": invoice["id"],
        "subscription": invoice["subscription"],
        "customer": invoice["customer"],
        "amount": invoice["amount"],
        "currency": invoice["currency"],
        "first_payment": bool(invoice["first_payment"]),
        "sent_for_payment": bool(invoice["sent_for_payment"]),
    }


def _told(books: Transaction, attempt: Attempt, result: AttemptResult) -> dict[str, object]:
    """Say what an event tells of an attempt; where no card was asked, there is no charge to count."""
    told: dict[str, object] = {"payment": attempt.payment, "method": attempt.method}
    if attempt.method is None:
        return told
    # Also of a card that was removed between the question and the answer.
    card = books.execute("SELECT * FROM cards WHERE id = ?", (attempt.method,)).fetchone()
    return told | {
        "charge": attempt.charge,
        "initiator": attempt.initiator,
        "attempted": result,
        "fingerprint": fingerprint_of(card),
        "network": card["network"],
        "rail": card["rail"],
    }
