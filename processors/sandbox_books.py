"""The sandbox processor's books: one SQLite file, and what can be read back from it.

Several processes may keep the same books at once. Every operation is one transaction that takes the
writing lock at its start, so that two charges with one key can never both be new.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from errors import BadInput, Conflict, NotKnown, ProcessorUnavailable
from processors.protocol import (
    Card,
    ChangeResult,
    ChargeResult,
    CustomerDetails,
    ReinstateResult,
    SubscriptionChange,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# How long one process waits for another to finish writing.
PATIENCE_SECONDS = 30.0

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS customers (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, email TEXT, name TEXT, locale TEXT, country TEXT,
        timezone TEXT, attributes TEXT NOT NULL, default_card TEXT, deleted INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS cards (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers (id), script TEXT NOT NULL,
        asked INTEGER NOT NULL DEFAULT 0, network TEXT, last4 TEXT, renewals INTEGER NOT NULL DEFAULT 0,
        removed INTEGER NOT NULL DEFAULT 0, fingerprint TEXT, rail TEXT NOT NULL DEFAULT 'card',
        consent INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS subscriptions (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers (id),
        state TEXT NOT NULL DEFAULT 'active')""",
    """CREATE TABLE IF NOT EXISTS invoices (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers (id),
        subscription TEXT REFERENCES subscriptions (id), state TEXT NOT NULL, amount INTEGER NOT NULL,
        currency TEXT NOT NULL, first_payment INTEGER NOT NULL, sent_for_payment INTEGER NOT NULL,
        plan TEXT, number TEXT, disputed INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
        paid_by TEXT, payment TEXT, started TEXT, decline TEXT, advice TEXT, failed_at TEXT,
        processor_retries_at TEXT, interval TEXT, tags TEXT NOT NULL DEFAULT '[]',
        network_code TEXT, network_advice TEXT, failed_charge TEXT)""",
    """CREATE TABLE IF NOT EXISTS requests (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, invoice TEXT NOT NULL,
        asked_method TEXT, method TEXT, at TEXT NOT NULL, word TEXT, ready REAL NOT NULL,
        result TEXT, payment TEXT, decline TEXT, advice TEXT, amount INTEGER NOT NULL,
        network_code TEXT, network_advice TEXT, charge TEXT, due TEXT)""",
    "CREATE INDEX IF NOT EXISTS requests_in_flight ON requests (ready) WHERE result IS NULL",
    """CREATE TABLE IF NOT EXISTS payments (
        id TEXT NOT NULL, invoice TEXT NOT NULL REFERENCES invoices (id), amount INTEGER NOT NULL,
        paid_by TEXT NOT NULL, at TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS subscription_calls (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, subscription TEXT NOT NULL,
        change TEXT NOT NULL, at TEXT NOT NULL, result TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, at TEXT NOT NULL,
        body TEXT NOT NULL)""",
)
# Made last, since books of an earlier version get its column only by then.
INDEXES = (
    "CREATE INDEX IF NOT EXISTS requests_with_the_bank ON requests (invoice) WHERE result = 'pending'",
)
# Columns that books of an earlier version lack.
ADDED = (
    ("invoices", "interval", "TEXT"),
    ("invoices", "tags", "TEXT NOT NULL DEFAULT '[]'"),
    ("subscription_calls", "undone", "INTEGER NOT NULL DEFAULT 0"),
    ("cards", "fingerprint", "TEXT"),
    ("cards", "rail", "TEXT NOT NULL DEFAULT 'card'"),
    ("cards", "consent", "INTEGER NOT NULL DEFAULT 0"),
    ("invoices", "network_code", "TEXT"),
    ("invoices", "network_advice", "TEXT"),
    ("invoices", "failed_charge", "TEXT"),
    ("requests", "network_code", "TEXT"),
    ("requests", "network_advice", "TEXT"),
    ("requests", "charge", "TEXT"),
    ("requests", "due", "TEXT"),
)


@dataclass(frozen=True)
class ChargeEntry:
    """One charge request that was acted on; a replay of its key is none, nor is one never acted on.

    ``method`` is the card that was asked, None where the customer had none. ``result`` is what the
    processor knows, whether or not the answer arrived.
    """

    key: str
    invoice: str
    method: str | None
    at: datetime
    result: ChargeResult
    decline: str | None = None
    amount: int = 0
    payment: str | None = None


@dataclass(frozen=True)
class SubscriptionEntry:
    """One request to change a subscription, or where ``undone`` to undo that change; a replay of its key is none.

    ``at`` is the books' own time, for the request carries none.
    """

    subscription: str
    change: SubscriptionChange
    at: datetime
    result: ChangeResult | ReinstateResult
    key: str
    undone: bool = False


@dataclass(frozen=True)
class SandboxEvent:
    """One event as it would be sent: ``body`` is what is signed and posted, ``number`` its place."""

    number: int
    id: str
    type: str
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body, read."""
        content: dict[str, Any] = json.loads(self.body)
        return content


class Books:
    """The file, opened at first use and again after ``close``; each transaction blocks its thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Keep everything that is done inside, or nothing if it raises.

        Raises Conflict where an id is taken already, ProcessorUnavailable where the file cannot be
        used or another process did not let go of it in time.
        """
        with self._lock:
            try:
                connection = self._connection = self._connection or _open(self._file)
                with _all_or_nothing(connection):
                    yield Transaction(connection)
            except sqlite3.IntegrityError as error:
                raise Conflict(f"the sandbox's books already hold such an id: {error}") from error
            except (sqlite3.OperationalError, OSError) as error:
                raise ProcessorUnavailable(
                    f"the sandbox's books in {self._file} cannot be used ({error}): try again later"
                ) from error

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Transaction:
    """One look into the books, or one change of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute

    def customer(self, customer: str) -> sqlite3.Row:
        """Read a customer; raises NotKnown."""
        return self._one("customer", customer, "SELECT * FROM customers WHERE id = ?")

    def card(self, card: str) -> sqlite3.Row:
        """Read a card that has not been removed; raises NotKnown."""
        return self._one("card", card, "SELECT * FROM cards WHERE id = ? AND NOT removed")

    def subscription(self, subscription: str) -> sqlite3.Row:
        """Read a subscription; raises NotKnown."""
        return self._one("subscription", subscription, "SELECT * FROM subscriptions WHERE id = ?")

    def invoice(self, invoice: str) -> sqlite3.Row:
        """Read an invoice; raises NotKnown."""
        return self._one("invoice", invoice, "SELECT * FROM invoices WHERE id = ?")

    def details(self, customer: str) -> CustomerDetails:
        """Read a customer in the protocol's words."""
        row = self.customer(customer)
        return CustomerDetails(
            id=row["id"],
            email=row["email"],
            name=row["name"],
            locale=row["locale"],
            country=row["country"],
            timezone=row["timezone"],
            attributes=json.loads(row["attributes"]),
        )

    def default_card(self, customer: str) -> Card | None:
        """Read the card that is charged where none is named; its country is the customer's."""
        default = self.customer(customer)["default_card"]
        return None if default is None else self.shown_card(default)

    def shown_card(self, card: str) -> Card:
        """Read a card in the protocol's words; raises NotKnown for one that has been removed."""
        row = self.card(card)
        return Card(
            id=row["id"],
            network=row["network"],
            last4=row["last4"],
            country=self.customer(row["customer"])["country"],
            fingerprint=fingerprint_of(row),
            rail=row["rail"],
            consent=bool(row["consent"]),
        )

    def shown_cards(self, customer: str) -> list[Card]:
        """Read all of a customer's cards, the default first, then in the order in which they were given."""
        default = self.customer(customer)["default_card"]
        query = "SELECT id FROM cards WHERE customer = ? AND NOT removed ORDER BY id IS NOT ?, rowid"
        return [self.shown_card(row["id"]) for row in self.execute(query, (customer, default)).fetchall()]

    def count(self, name: str, step: int) -> int:
        """Add to a number that is kept under a name, and give what it then is."""
        row = self.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + ? RETURNING value",
            (name, step, step),
        ).fetchone()
        return int(row["value"])

    def new_id(self, prefix: str) -> str:
        """Make an id that no other books have given: ``evt_5f0c9a1e_000007``, in order of making."""
        books = self.execute("SELECT value FROM facts WHERE name = 'books'").fetchone()["value"]
        return f"{prefix}_{books}_{self.count(prefix, 1):06d}"

    def now(self, at: datetime | None) -> str:
        """Give the time to date a change with: the one told, else the latest known, as text.

        Books that are kept by a test live in the test's time, which runs ahead of the clock.
        """
        if at is not None:
            return spell_time(at)
        latest = self.execute("SELECT max(at) AS at FROM events").fetchone()["at"]
        return max(latest or "", spell_time(datetime.now(UTC)))

    def add_event(self, kind: str, at: str, data: Mapping[str, object], key: str | None = None) -> str:
        """Note what happened, in the format that ``sandbox_events`` describes; gives the event's id."""
        identifier = self.new_id("evt")
        body = json.dumps(
            {
                "id": identifier,
                "type": kind,
                "created": int(read_time(at).timestamp()),
                "livemode": False,
                "request_key": key,
                "data": {name: value for name, value in data.items() if value is not None},
            }
        )
        self.execute(
            "INSERT INTO events (id, type, at, body) VALUES (?, ?, ?, ?)", (identifier, kind, at, body)
        )
        return identifier

    def _one(self, noun: str, identifier: str, query: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self.execute(query, (identifier,)).fetchone()
        if row is None:
            raise NotKnown(f"the sandbox has no {noun} {identifier!r}")
        return row


def fingerprint_of(card: sqlite3.Row) -> str:
    """Give what is the same for every copy of one card; a card of which nothing was said is one of its own."""
    return card["fingerprint"] or f"fp_{card['id']}"


def spell_time(at: datetime) -> str:
    """Write an aware time as text that sorts by time; raises BadInput for one without a time zone."""
    if at.tzinfo is None:
        raise BadInput(f"the time {at} has no time zone: expected an aware one, in UTC")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def read_time(text: str) -> datetime:
    """Read what ``spell_time`` wrote."""
    return datetime.fromisoformat(text)


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        file, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        _set_journal(connection)
        # Kept after a killed process, if not after a power cut: enough for money that is not real.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        with _all_or_nothing(connection):
            for statement in SCHEMA:
                connection.execute(statement)
            _add_columns(connection)
            for statement in INDEXES:
                connection.execute(statement)
            connection.execute("INSERT OR IGNORE INTO facts VALUES ('books', ?)", (secrets.token_hex(4),))
    except BaseException:
        connection.close()
        raise
    return connection


def _add_columns(connection: sqlite3.Connection) -> None:
    """Bring books that an earlier version began up to date; what is in them stays."""
    for table, column, meaning in ADDED:
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {meaning}")


def _set_journal(connection: sqlite3.Connection) -> None:
    """Turn WAL on; SQLite does not wait for a writer here as it does everywhere else, so we do."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
