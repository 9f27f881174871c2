"""What the sandbox does when it is asked to change a subscription, or to undo such a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errors import NotKnown, ProcessorRefused
from processors.protocol import ChangeResult, ReinstateResult, SubscriptionChange
from processors.sandbox_books import SubscriptionEntry, read_time, spell_time

if TYPE_CHECKING:
    import sqlite3

    from processors.sandbox_books import Transaction

ACTIVE, ENDED = "active", "ended"
# The state in which each change leaves a subscription.
STATES = {
    SubscriptionChange.CANCEL_NOW: ENDED,
    SubscriptionChange.CANCEL_AT_PERIOD_END: "ending",
    SubscriptionChange.MARK_UNPAID: "unpaid",
    SubscriptionChange.PAUSE: "paused",
}


def carry_out(
    books: Transaction, account: str, subscription: str, change: SubscriptionChange, key: str
) -> ChangeResult:
    """Change a subscription once for its key; one that is so already, or has ended, is left as it is."""
    known = _known(books, subscription, change, key, undone=False)
    if known is not None:
        return ChangeResult(known["result"])
    state, at = _owned(books, account, subscription)["state"], books.now(None)
    result = ChangeResult.ALREADY_SO if state in {ENDED, STATES[change]} else ChangeResult.DONE
    if result is ChangeResult.DONE and change is SubscriptionChange.CANCEL_NOW:
        end_subscription(books, subscription, at, key)
    elif result is ChangeResult.DONE:
        _move(books, subscription, STATES[change])
        books.add_event("subscription.changed", at, _facts(books, subscription) | {"change": change}, key)
    _note(books, SubscriptionEntry(subscription, change, read_time(at), result, key))
    return result


def undo(
    books: Transaction, account: str, subscription: str, change: SubscriptionChange, key: str
) -> ReinstateResult:
    """Undo a change once for its key; what has ended, or is stopped in another way, is left as it is."""
    known = _known(books, subscription, change, key, undone=True)
    if known is not None:
        return ReinstateResult(known["result"])
    state, at = _owned(books, account, subscription)["state"], books.now(None)
    if state == ACTIVE:
        result = ReinstateResult.ALREADY_SO
    elif state == ENDED or state != STATES[change]:
        result = ReinstateResult.IMPOSSIBLE
    else:
        result = ReinstateResult.DONE
        _move(books, subscription, ACTIVE)
        books.add_event("subscription.changed", at, _facts(books, subscription) | {"undone": change}, key)
    _note(books, SubscriptionEntry(subscription, change, read_time(at), result, key, undone=True))
    return result


def end_subscription(books: Transaction, subscription: str, at: str, key: str | None = None) -> None:
    """End a subscription at once and note the event."""
    _move(books, subscription, ENDED)
    books.add_event("subscription.ended", at, _facts(books, subscription), key)


def subscription_calls(books: Transaction) -> tuple[SubscriptionEntry, ...]:
    """List every entry, in order."""
    rows = books.execute("SELECT * FROM subscription_calls ORDER BY number")
    return tuple(
        SubscriptionEntry(
            subscription=row["subscription"],
            change=SubscriptionChange(row["change"]),
            at=read_time(row["at"]),
            result=ReinstateResult(row["result"]) if row["undone"] else ChangeResult(row["result"]),
            key=row["key"],
            undone=bool(row["undone"]),
        )
        for row in rows
    )


def _known(
    books: Transaction, subscription: str, change: SubscriptionChange, key: str, *, undone: bool
) -> sqlite3.Row | None:
    row: sqlite3.Row | None = books.execute(
        "SELECT * FROM subscription_calls WHERE key = ?", (key,)
    ).fetchone()
    if row is None or (row["subscription"], row["change"], row["undone"]) == (subscription, change, undone):
        return row
    what = f"undoing {row['change']}" if row["undone"] else row["change"]
    raise ProcessorRefused(
        f"the key {key!r} was used for {what} of {row['subscription']}: another change needs another key"
    )


def _owned(books: Transaction, account: str, subscription: str) -> sqlite3.Row:
    row = books.subscription(subscription)
    if books.customer(row["customer"])["account"] != account:
        raise NotKnown(f"the sandbox has no subscription {subscription!r} in the account {account!r}")
    return row


def _move(books: Transaction, subscription: str, state: str) -> None:
    books.execute("UPDATE subscriptions SET state = ? WHERE id = ?", (state, subscription))


def _facts(books: Transaction, subscription: str) -> dict[str, str]:
    customer = books.subscription(subscription)["customer"]
    account = books.customer(customer)["account"]
    return {"account": account, "subscription": subscription, "customer": customer}


def _note(books: Transaction, entry: SubscriptionEntry) -> None:
    books.execute(
        "INSERT INTO subscription_calls (key, subscription, change, at, result, undone) VALUES (?, ?, ?, ?, ?, ?)",
        (entry.key, entry.subscription, entry.change, spell_time(entry.at), entry.result, entry.undone),
    )
