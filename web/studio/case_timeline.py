"""What happened in a case, in order of time: charges, mails, news and wishes, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.declines import Said
from campaigns.money import spell_money
from campaigns.story import Trigger
from store import attempts, journal, messages
from store.card_attempts import Source, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from campaigns.declines import DeclineTable
    from store.tables import AlertRow, AttemptRow, CaseRow, EntryRow, MessageRow
    from web.ledger import CardLedger, Tried
    from web.studio.frame import Kind

TRIGGERS = {
    Trigger.SCHEDULE: "on schedule",
    Trigger.CARD_UPDATED: "since there is a new card",
    Trigger.BACKUP: "with another stored card",
    Trigger.OPERATOR: "since an operator asked for it",
    Trigger.CUSTOMER: "by the customer",
    Trigger.PROCESSOR: "by the processor",
}
SOURCES = {
    Source.OURS: "by Dunwell",
    Source.PROCESSOR: "by the processor",
    Source.CHECKOUT: "by the customer",
}
CHARGED: dict[str, tuple[str, Kind]] = {
    attempts.SENDING: ("not answered yet", "warning"),
    attempts.PENDING: ("with the bank", "info"),
    attempts.NOT_MADE: ("not made", "info"),
    attempts.SHADOW: ("only imagined", "info"),
    "paid": ("paid", "success"),
    "declined": ("declined", "error"),
    "needs_customer": ("to be confirmed by the customer", "warning"),
    State.OPEN: ("not answered yet", "warning"),
    State.APPROVED: ("paid", "success"),
    State.GIVEN_BACK: ("not made", "info"),
    State.REFUSED: ("refused", "warning"),
}
MAILED: dict[str, tuple[str, Kind]] = {
    messages.SENDING: ("being sent", "info"),
    messages.SENT: ("sent", "success"),
    messages.FAILED: ("failed", "error"),
    messages.DROPPED: ("not sent", "info"),
    messages.UNKNOWN: ("not known whether sent", "warning"),
    messages.WAITING: ("waits", "info"),
    messages.SHADOW: ("only imagined", "info"),
}
# The detail of these is a subject, not a reason, and a subject may name the customer.
WITHOUT_REASON = {messages.SENDING, messages.SENT, messages.SHADOW}
JOURNAL = {
    journal.ACCESS: "Access: {}",
    journal.SUBSCRIPTION: "Subscription: {}",
    journal.SUBSCRIPTION_ASKED: "Asked of the processor: {}",
    journal.SPARED: "Spared: {}",
}
HIDDEN = "(address)"


@dataclass(frozen=True)
class Happened:
    """One line of the timeline; ``order`` sorts what happened in the same moment, as it must have been.

    ``step`` is the action's id, by which the campaign and the Temporal UI know it.
    """

    at: datetime
    order: int
    what: str
    result: str = ""
    kind: Kind = "info"
    why: str = ""
    step: str = ""


@dataclass(frozen=True)
class Books:
    """All that is written down about a case; ``addresses`` are what no page of the studio shows."""

    row: CaseRow
    attempts: Sequence[AttemptRow]
    messages: Sequence[MessageRow]
    journal: Sequence[EntryRow]
    alerts: Sequence[AlertRow]
    ledgers: Sequence[CardLedger]
    addresses: frozenset[str]


def timeline(books: Books, declines: DeclineTable) -> list[Happened]:
    """Tell what happened, oldest first."""
    found = [
        *_charges(books, declines),
        *(_mail(message, books.addresses) for message in books.messages),
        *(_entry(entry, books.addresses) for entry in books.journal),
        *(_alert(alert, books.addresses) for alert in books.alerts),
    ]
    return sorted(found, key=lambda one: (one.at, one.order))


def last_said(books: Books) -> Said:
    """Gather all that is known to have been said of the decline that the case stands on."""
    decline = books.row.decline
    network = books.ledgers[0].network if books.ledgers else books.row.story.get("network")
    declined = (one for one in reversed(books.attempts) if one.state == "declined" and one.decline == decline)
    last = next(declined, None)
    return _said(last, network) if last else Said(decline, network=network)


def _said(row: AttemptRow, network: str | None) -> Said:
    return Said(row.decline, row.advice, network, row.network_code, row.network_advice)


# --- charges ---------------------------------------------------------------------------------------


def _charges(books: Books, declines: DeclineTable) -> Iterator[Happened]:
    """Tell of our attempts with the ledger's word on each, and of others' by the ledger alone.

    What is only kept as having been seen is told by the journal, which has heard of it from the same fact.
    """
    counted = {one.key: (one, ledger.network) for ledger in books.ledgers for one in _of_case(ledger, books)}
    for row in books.attempts:
        tried, network = counted.pop(row.key, (None, None))
        if row.state == attempts.SHADOW or not row.key.startswith("seen/"):
            yield _ours(row, tried, network or books.row.story.get("network"), declines)
    for tried, network in counted.values():
        yield _of_ledger(tried, network, declines)


def _of_case(ledger: CardLedger, books: Books) -> Iterable[Tried]:
    row = books.row
    begun = row.failed_at or row.reserved_at
    return (
        one
        for one in ledger.attempts
        if one.case_id == row.id or (one.case_id is None and one.invoice == row.invoice and one.at >= begun)
    )


def _ours(row: AttemptRow, tried: Tried | None, network: str | None, declines: DeclineTable) -> Happened:
    state, why = row.state, ""
    if state == attempts.NOT_MADE and tried is not None:
        state, why = tried.state, tried.reason or ""
    elif state == attempts.NOT_MADE:
        why = "it never left us" if row.doubt else "there was nothing to pay"
    elif state == attempts.SENDING and row.doubt:
        why = "its answer was lost: nothing more is charged before the invoice shows what became of it"
    elif row.decline:
        why = declines.judge(_said(row, network), row.claimed_at.date()).why
    result, kind = CHARGED[state]
    charge = f"Charge of {spell_money(row.amount, row.currency)} {TRIGGERS[Trigger(row.trigger)]}"
    return Happened(row.claimed_at, 1, charge, result, kind, _with_fee(why, tried), row.attempt)


def _of_ledger(tried: Tried, network: str | None, declines: DeclineTable) -> Happened:
    why = tried.reason or ""
    if tried.decline:
        why = declines.judge(Said(tried.decline, network=network), tried.at.date()).why
    result, kind = CHARGED[tried.state]
    charge = f"Charge of {spell_money(tried.amount, tried.currency)} {SOURCES[Source(tried.source)]}"
    return Happened(tried.at, 1, charge, result, kind, _with_fee(why, tried))


def _with_fee(why: str, tried: Tried | None) -> str:
    if tried is None or not tried.fee or not tried.fee_currency:
        return why
    fee = f"the network may bill {spell_money(tried.fee, tried.fee_currency)} for it"
    return f"{why}; {fee}" if why else fee


# --- mails, and what the journal holds --------------------------------------------------------------


def _mail(row: MessageRow, addresses: frozenset[str]) -> Happened:
    result, kind = MAILED[row.state]
    parts = [] if row.state in WITHOUT_REASON else [row.detail or ""]
    parts += [f"opened {row.opened_at:%d %b %H:%M} UTC"] if row.opened_at else []
    parts += [f"its link was used {row.clicked_at:%d %b %H:%M} UTC"] if row.clicked_at else []
    why = _without("; ".join(filter(None, parts)), addresses)
    language = f", in {row.locale}" if row.locale else ""
    return Happened(row.claimed_at, 2, f"Mail {row.template}{language}", result, kind, why, row.action)


def _entry(row: EntryRow, addresses: frozenset[str]) -> Happened:
    # What could not be read follows in the lines below the first, and may hold anything.
    text = _without(row.text.splitlines()[0] if row.text else row.kind, addresses)
    # A wish says who and why itself.
    said = [_without(word, addresses) for word in (row.why, row.by and f"by {row.by}") if word]
    why = "; ".join(word for word in said if word not in text)
    order = 0 if row.key.startswith("opened") else 3
    what = JOURNAL[row.kind].format(text) if row.kind in JOURNAL else text[:1].upper() + text[1:]
    return Happened(row.at, order, what, why=why)


def _alert(row: AlertRow, addresses: frozenset[str]) -> Happened:
    return Happened(row.at, 4, "A person was told", row.kind, "warning", _without(row.text, addresses))


def _without(text: str, addresses: frozenset[str]) -> str:
    for address in addresses:
        text = text.replace(address, HIDDEN)
    return text
