"""What a charge does to the sandbox's books.

A charge is begun in one transaction, which fixes its answer, and finished in another, so that a slow
one can be overtaken in between. The processor does not die with its caller: a charge whose time has
come is finished by whoever opens the books next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from errors import (
    AnswerLost,
    NotKnown,
    ProcessorError,
    ProcessorKeyRejected,
    ProcessorRefused,
    ProcessorUnavailable,
)
from processors.protocol import ChargeAnswer, ChargeResult, InvoiceState, PaidBy
from processors.sandbox_books import read_time, spell_time
from processors.sandbox_script import MADE, Loss, Outcome, ScriptedAnswer, answer_at, parse_script

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from processors.protocol import ChargeRequest
    from processors.sandbox_books import Transaction

# The decline of a charge for which the customer has no card.
NO_CARD = "no_payment_method"
NEEDS_CONFIRMATION = "authentication_required"
# Stands in the books where a request was received and no charge came of it.
NOTHING = "nothing"
TOO_MANY_REQUESTS_WAIT = timedelta(seconds=1)


@dataclass(frozen=True)
class Begun:
    """A charge on its way: for how long, what befell the request, and whether its answer gets lost."""

    seconds: float = 0.0
    error: ProcessorError | None = None
    answer_lost: bool = False


def begin(books: Transaction, request: ChargeRequest, clock: float) -> Begun:
    """Take a charge request in; ``clock`` is the wall clock in seconds, by which slowness is measured.

    Raises NotKnown and ProcessorRefused; all that a script can do comes back as a value, for a
    transaction that raises would not keep the word as used up.
    """
    books.count("requests", 1)
    known = _request(books, request.key)
    if known is not None:
        _check_same(known, request)
        return Begun(seconds=0.0 if known["result"] else max(0.0, known["ready"] - clock))
    invoice = owned_invoice(books, request.account, request.invoice)
    if invoice["state"] != InvoiceState.OPEN or invoice["amount"] == 0:
        _note(books, request, None, None, ready=clock)
        _settle(books, request.key, ChargeResult.NOTHING_TO_PAY)
        return Begun()
    card = _card(books, request, invoice)
    if card is None:
        _note(books, request, None, None, ready=clock)
        _apply(books, request.key, ScriptedAnswer(Outcome.DECLINED, NO_CARD))
        return Begun()
    answer = answer_at(card["script"], card["asked"])
    books.execute("UPDATE cards SET asked = asked + 1 WHERE id = ?", (card["id"],))
    error = _befell(answer, request)
    if error is not None:
        return Begun(answer.seconds, error)
    _note(books, request, card["id"], answer, ready=clock + answer.seconds)
    if not answer.seconds:
        _apply(books, request.key, answer)
    return Begun(answer.seconds, answer_lost=answer.loss is Loss.CONNECTION)


def finish_due(books: Transaction, clock: float) -> None:
    """Finish every charge whose time has come, in the order in which they would have been answered."""
    due = books.execute(
        "SELECT key, word FROM requests WHERE result IS NULL AND ready <= ? ORDER BY ready, number", (clock,)
    )
    for row in due.fetchall():
        _apply(books, row["key"], parse_script(row["word"])[0])


def answer_of(books: Transaction, key: str, confirm_url: str) -> ChargeAnswer | ProcessorError:
    """Give what is answered to a key, now and whenever it is asked again; finishes the charge first."""
    row = _request(books, key)
    if row is not None and row["result"] is None:
        _apply(books, key, parse_script(row["word"])[0])
        row = _request(books, key)
    if row is None:
        raise NotKnown(f"the sandbox has no charge request with the key {key!r}")
    if row["word"] and parse_script(row["word"])[0].loss is Loss.SERVER_ERROR:
        return AnswerLost(
            f"the sandbox answered the charge of {row['invoice']} with a server error (500), and will do"
            f" so again for the key {key!r}: read the invoice to see what happened",
            replayed_for_key=True,
        )
    result = ChargeResult(row["result"])
    return ChargeAnswer(
        result=result,
        payment=row["payment"],
        decline=row["decline"],
        advice=row["advice"],
        confirm_url=confirm_url if result is ChargeResult.NEEDS_CUSTOMER else None,
        method=row["method"],
    )


def pay(
    books: Transaction,
    invoice: sqlite3.Row,
    at: str,
    paid_by: PaidBy,
    *,
    payment: str | None = None,
    key: str | None = None,
    method: str | None = None,
) -> str:
    """Take the invoice's money, note the event, and give the payment's id."""
    payment = payment or books.new_id("pay")
    amount = invoice["amount"]
    books.execute(
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?)", (payment, invoice["id"], amount, paid_by, at)
    )
    books.execute(
        "UPDATE invoices SET state = 'paid', paid_by = ?, payment = ?, started = NULL, pending = 0,"
        " processor_retries_at = NULL WHERE id = ?",
        (paid_by, payment, invoice["id"]),
    )
    told = {"payment": payment, "paid_by": paid_by, "method": method}
    books.add_event("invoice.paid", at, invoice_facts(books, invoice) | told, key)
    return payment


def fail(  # noqa: PLR0913
    books: Transaction,
    invoice: sqlite3.Row,
    at: str,
    decline: str,
    advice: str | None = None,
    *,
    payment: str | None = None,
    key: str | None = None,
    method: str | None = None,
) -> None:
    """Note a failed attempt on the invoice; one that needs the customer can be confirmed later."""
    needs_customer = decline == NEEDS_CONFIRMATION
    books.execute(
        "UPDATE invoices SET decline = ?, advice = ?, failed_at = ?, started = ?, pending = 0 WHERE id = ?",
        (decline, advice, at, payment if needs_customer else None, invoice["id"]),
    )
    told = {"payment": payment, "method": method, "decline": decline, "advice": advice}
    kind = "invoice.payment_action_required" if needs_customer else "invoice.payment_failed"
    books.add_event(kind, at, invoice_facts(books, invoice) | told, key)


def owned_invoice(books: Transaction, account: str, invoice: str) -> sqlite3.Row:
    """Read an invoice of an account; raises NotKnown for another account's."""
    row = books.invoice(invoice)
    if books.customer(row["customer"])["account"] != account:
        raise NotKnown(f"the sandbox has no invoice {invoice!r} in the account {account!r}")
    return row


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


def _request(books: Transaction, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = books.execute("SELECT * FROM requests WHERE key = ?", (key,)).fetchone()
    return row


def _check_same(known: sqlite3.Row, request: ChargeRequest) -> None:
    if (known["invoice"], known["asked_method"]) != (request.invoice, request.method):
        raise ProcessorRefused(
            f"the key {request.key!r} was used for the invoice {known['invoice']} and the card"
            f" {known['asked_method'] or 'by default'}, and now comes with {request.invoice} and"
            f" {request.method or 'the default'}: another charge needs another key"
        )


def _card(books: Transaction, request: ChargeRequest, invoice: sqlite3.Row) -> sqlite3.Row | None:
    if request.method is None:
        default = books.customer(invoice["customer"])["default_card"]
        return None if default is None else books.card(default)
    try:
        card = books.card(request.method)
    except NotKnown:
        card = None
    if card is None or card["customer"] != invoice["customer"]:
        raise ProcessorRefused(
            f"the customer {invoice['customer']} has no card {request.method!r}:"
            " it was removed, or is another customer's"
        )
    return card


def _befell(answer: ScriptedAnswer, request: ChargeRequest) -> ProcessorError | None:
    """Give the error of a request that never became a charge and leaves its key unused."""
    about = f"the sandbox's script for the charge of {request.invoice}"
    match answer.outcome:
        case Outcome.UNREACHABLE:
            return ProcessorUnavailable(f"{about} refused the connection: try again later")
        case Outcome.TOO_MANY_REQUESTS:
            return ProcessorUnavailable(
                f"{about} says too many requests (429): try again later", retry_after=TOO_MANY_REQUESTS_WAIT
            )
        case Outcome.KEY_REJECTED:
            return ProcessorKeyRejected(f"{about} rejects the API key (401): mend the key")
        case Outcome.BAD_REQUEST:
            return ProcessorRefused(f"{about} refuses the request (400): it will stay refused")
        case Outcome.NOTHING if answer.loss is Loss.CONNECTION:
            return AnswerLost(f"{about} broke the connection: the same key tells what happened")
        case _:
            return None


def _note(
    books: Transaction,
    request: ChargeRequest,
    card: str | None,
    answer: ScriptedAnswer | None,
    *,
    ready: float,
) -> None:
    books.execute(
        "INSERT INTO requests (key, invoice, asked_method, method, at, word, ready, amount)"
        " SELECT ?, id, ?, ?, ?, ?, ?, amount FROM invoices WHERE id = ?",
        (
            request.key,
            request.method,
            card,
            spell_time(request.at),
            str(answer) if answer else None,
            ready,
            request.invoice,
        ),
    )


def _apply(books: Transaction, key: str, answer: ScriptedAnswer) -> None:
    """Let an answer take effect, on the invoice as it is by now."""
    request = _request(books, key)
    assert request is not None
    invoice = books.invoice(request["invoice"])
    if answer.outcome not in MADE:
        _settle(books, key, NOTHING)
    elif invoice["state"] != InvoiceState.OPEN or invoice["amount"] == 0:
        _settle(books, key, ChargeResult.NOTHING_TO_PAY)
    elif answer.outcome is Outcome.PAID:
        payment = pay(books, invoice, request["at"], PaidBy.REQUEST, key=key, method=request["method"])
        _settle(books, key, ChargeResult.PAID, payment)
    else:
        needs_customer = answer.outcome is Outcome.NEEDS_CUSTOMER
        decline = NEEDS_CONFIRMATION if needs_customer else answer.decline or NOTHING
        result = ChargeResult.NEEDS_CUSTOMER if needs_customer else ChargeResult.DECLINED
        payment = books.new_id("pay")
        fail(
            books,
            invoice,
            request["at"],
            decline,
            answer.advice,
            payment=payment,
            key=key,
            method=request["method"],
        )
        _settle(books, key, result, payment, decline, answer.advice)


def _settle(
    books: Transaction,
    key: str,
    result: str,
    payment: str | None = None,
    decline: str | None = None,
    advice: str | None = None,
) -> None:
    books.execute(
        "UPDATE requests SET result = ?, payment = ?, decline = ?, advice = ? WHERE key = ?",
        (result, payment, decline, advice, key),
    )


def paid_total(books: Transaction, invoice: str) -> int:
    """Add up the money taken for an invoice, in minor units; more than its amount is a double charge."""
    books.invoice(invoice)
    row = books.execute("SELECT sum(amount) AS total FROM payments WHERE invoice = ?", (invoice,)).fetchone()
    return int(row["total"] or 0)


def in_flight(books: Transaction, invoice: str) -> bool:
    """Whether a charge of the invoice has been begun and not finished."""
    query = "SELECT 1 FROM requests WHERE result IS NULL AND invoice = ?"
    return books.execute(query, (invoice,)).fetchone() is not None


class Times(TypedDict):
    """The times of an invoice that are kept as text."""

    failed_at: datetime | None
    processor_retries_at: datetime | None


def times_of(invoice: sqlite3.Row) -> Times:
    """Read an invoice's times."""
    failed_at, retries_at = invoice["failed_at"], invoice["processor_retries_at"]
    return Times(
        failed_at=read_time(failed_at) if failed_at else None,
        processor_retries_at=read_time(retries_at) if retries_at else None,
    )
