"""What a charge does to the sandbox's books.

A charge is begun in one transaction, which fixes its answer, and finished in another, so that a slow
one can be overtaken in between. The processor does not die with its caller: a charge whose time has
come is finished by whoever opens the books next.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
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
from processors.sandbox_attempts import (
    NEEDS_CONFIRMATION,
    Attempt,
    Said,
    fail,
    new_attempt,
    pay,
    said_in,
)
from processors.sandbox_books import read_time, spell_time
from processors.sandbox_script import MADE, Loss, Outcome, ScriptedAnswer, answer_at, parse_script

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from processors.protocol import ChargeRequest
    from processors.sandbox_books import Transaction

# The decline of a charge for which the customer has no card.
NO_CARD = "no_payment_method"
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
    finish_debits(books, spell_time(request.at))
    known = _request(books, request.key)
    if known is not None:
        _check_same(known, request)
        return Begun(seconds=0.0 if known["result"] else max(0.0, known["ready"] - clock))
    invoice = owned_invoice(books, request.account, request.invoice)
    if not _is_owed(invoice):
        _note(books, request, None, None, ready=clock)
        _settle(books, request.key, ChargeResult.NOTHING_TO_PAY)
        return Begun()
    if _is_with_the_bank(books, request.invoice):
        return Begun(error=_another_under_way(request))
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
    """Finish every charge whose time has come, in the order in which they would have been answered.

    A charge is slow by the wall clock; a bank answers by the books' own time, which may run ahead of it.
    """
    due = books.execute(
        "SELECT key, word FROM requests WHERE result IS NULL AND ready <= ? ORDER BY ready, number", (clock,)
    )
    for row in due.fetchall():
        _apply(books, row["key"], parse_script(row["word"])[0])
    finish_debits(books)


def finish_debits(books: Transaction, until: str | None = None) -> None:
    """Let the banks answer that are due by a time, or by the books' own; each answers at its own time."""
    if books.execute("SELECT 1 FROM requests WHERE result = 'pending' LIMIT 1").fetchone() is None:
        return
    due = books.execute(
        "SELECT * FROM requests WHERE result = 'pending' AND due <= ? ORDER BY due, number",
        (until or books.now(None),),
    )
    for row in due.fetchall():
        # Nobody asks when a bank answers, so that the event names no request.
        attempt = Attempt(row["payment"], row["charge"], row["method"])
        _answer(books, row, row["due"], attempt, parse_script(row["word"])[0])


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
    if row["due"]:
        return ChargeAnswer(ChargeResult.PENDING, row["payment"], method=row["method"], charge=row["charge"])
    result = ChargeResult(row["result"])
    return ChargeAnswer(
        result=result,
        payment=row["payment"],
        decline=row["decline"],
        advice=row["advice"],
        network_code=row["network_code"],
        network_advice=row["network_advice"],
        charge=row["charge"],
        confirm_url=confirm_url if result is ChargeResult.NEEDS_CUSTOMER else None,
        method=row["method"],
    )


def owned_invoice(books: Transaction, account: str, invoice: str) -> sqlite3.Row:
    """Read an invoice of an account; raises NotKnown for another account's."""
    row = books.invoice(invoice)
    if books.customer(row["customer"])["account"] != account:
        raise NotKnown(f"the sandbox has no invoice {invoice!r} in the account {account!r}")
    return row


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
    if answer.outcome not in MADE:
        _settle(books, key, NOTHING)
        return
    attempt = new_attempt(books, request["method"], key=key)
    if answer.later and _is_owed(books.invoice(request["invoice"])):
        _settle(books, key, ChargeResult.PENDING, attempt)
        due = spell_time(read_time(request["at"]) + answer.later)
        books.execute("UPDATE requests SET due = ? WHERE key = ?", (due, key))
        return
    _answer(books, request, request["at"], attempt, answer)


def _answer(
    books: Transaction, request: sqlite3.Row, at: str, attempt: Attempt, answer: ScriptedAnswer
) -> None:
    """Let the answer to an attempt that was made take effect, on the invoice as it is by now."""
    key, invoice = request["key"], books.invoice(request["invoice"])
    if not _is_owed(invoice):
        _settle(books, key, ChargeResult.NOTHING_TO_PAY)
    elif answer.outcome is Outcome.PAID:
        pay(books, invoice, at, PaidBy.REQUEST, attempt)
        _settle(books, key, ChargeResult.PAID, attempt)
    else:
        needs_customer = answer.outcome is Outcome.NEEDS_CUSTOMER
        said = said_in(answer, NEEDS_CONFIRMATION if needs_customer else answer.decline or NOTHING)
        fail(books, invoice, at, attempt, said)
        result = ChargeResult.NEEDS_CUSTOMER if needs_customer else ChargeResult.DECLINED
        _settle(books, key, result, attempt, said)


def _is_owed(invoice: sqlite3.Row) -> bool:
    return bool(invoice["state"] == InvoiceState.OPEN and invoice["amount"])


def _settle(
    books: Transaction, key: str, result: str, attempt: Attempt | None = None, said: Said | None = None
) -> None:
    made = (attempt.payment, attempt.charge if attempt.method else None) if attempt else (None, None)
    why = astuple(said) if said else (None, None, None, None)
    books.execute(
        "UPDATE requests SET result = ?, payment = ?, charge = ?, decline = ?, advice = ?, network_code = ?,"
        " network_advice = ? WHERE key = ?",
        (result, *made, *why, key),
    )


def paid_total(books: Transaction, invoice: str) -> int:
    """Add up the money taken for an invoice, in minor units; more than its amount is a double charge."""
    books.invoice(invoice)
    row = books.execute("SELECT sum(amount) AS total FROM payments WHERE invoice = ?", (invoice,)).fetchone()
    return int(row["total"] or 0)


def in_flight(books: Transaction, invoice: str) -> bool:
    """Whether a charge of the invoice has been begun and not finished, or is with the bank."""
    query = "SELECT 1 FROM requests WHERE result IS NULL AND invoice = ?"
    begun = books.execute(query, (invoice,)).fetchone() is not None
    return begun or _is_with_the_bank(books, invoice)


def _is_with_the_bank(books: Transaction, invoice: str) -> bool:
    query = "SELECT 1 FROM requests WHERE result = 'pending' AND invoice = ?"
    return books.execute(query, (invoice,)).fetchone() is not None


def _another_under_way(request: ChargeRequest) -> ProcessorUnavailable:
    return ProcessorUnavailable(
        f"the sandbox did not charge {request.invoice}: another payment of it is with the bank;"
        " wait for what it answers"
    )


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
