"""What Dunwell asks of a payment processor, and the words in which it hears back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class InvoiceState(StrEnum):
    """Where an invoice stands at the processor."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class PaidBy(StrEnum):
    """How a paid invoice came to be paid, as far as the processor can tell.

    ``ELSEWHERE`` is money that the processor did not move itself (a bank transfer marked by hand);
    ``PROCESSOR`` one of its own automatic retries; ``CUSTOMER`` a payment the customer made or
    confirmed on a page; ``REQUEST`` an API request, ours among them.
    """

    REQUEST = "request"
    PROCESSOR = "processor"
    CUSTOMER = "customer"
    ELSEWHERE = "elsewhere"


class Initiator(StrEnum):
    """Who asked for an attempt: the merchant, by us or by the processor's own retries, or the customer on a page."""

    MERCHANT = "merchant"
    CUSTOMER = "customer"


class AttemptResult(StrEnum):
    """What became of one attempt on a card or an account; ``OPEN`` is one whose answer comes in days."""

    OPEN = "open"
    DECLINED = "declined"
    APPROVED = "approved"


# What a payment method of the processor's is called that is no card, where we have a name of our own for it.
CARD_RAIL, ACH, SEPA, BACS = "card", "ach", "sepa", "bacs"


@dataclass(frozen=True)
class Card:
    """A payment method as far as it may be shown: no number, no name.

    ``fingerprint`` is the same for every stored copy of one card or bank account within one of the
    processor's accounts, whichever customer keeps it; None where the processor gives none. ``rail`` is
    ``card``, ``ach``, ``sepa``, ``bacs``, or the processor's own name of the type. ``consent`` is true
    only where it is on record that the customer agreed to be charged with this method when another of
    theirs fails; that it is stored is no such consent.
    """

    id: str
    network: str | None = None
    last4: str | None = None
    country: str | None = None
    fingerprint: str | None = None
    rail: str = CARD_RAIL
    consent: bool = False


@dataclass(frozen=True)
class CustomerDetails:
    """Who owes the invoice; kept in the database, never in a workflow.

    ``locale`` is a BCP 47 tag such as ``pt-BR``; ``attributes`` is the processor's metadata.
    """

    id: str
    email: str | None = None
    name: str | None = None
    locale: str | None = None
    country: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Invoice:
    """One invoice with its subscription and customer, as read at one moment.

    ``amount`` is what is still open, in minor units. ``failed_at`` is the time of the last failed
    attempt. ``processor_retries_at`` is when the processor itself will charge again, None for never.
    ``confirm_url`` is the page on which the customer can pay or confirm. ``pending`` is true while a
    payment has been started whose result is not known yet (one that waits for the customer's confirmation
    is not). ``payment`` is the processor's id of the payment that paid it, ``paid_key`` the idempotency key
    of the request that did, where the processor tells. ``failed_charge`` is its id of the last failed
    attempt, as in ``Attempted.charge``. ``interval`` is how often the subscription is billed (``day``, ``week``, ``month``, ``year``; each two months is ``month`` too), ``tags`` what its owner has
    tagged the customer, the subscription or the invoice with.
    """

    id: str
    state: InvoiceState
    amount: int
    currency: str
    livemode: bool
    customer: CustomerDetails
    subscription: str | None = None
    subscription_ended: bool = False
    first_payment: bool = False
    sent_for_payment: bool = False
    disputed: bool = False
    pending: bool = False
    paid_by: PaidBy | None = None
    payment: str | None = None
    paid_key: str | None = None
    card: Card | None = None
    plan: str | None = None
    interval: str | None = None
    tags: tuple[str, ...] = ()
    number: str | None = None
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    failed_at: datetime | None = None
    failed_charge: str | None = None
    processor_retries_at: datetime | None = None
    confirm_url: str | None = None

    @property
    def customer_country(self) -> str | None:
        """Where the customer lives by their address; where there is none, where their card was issued."""
        return self.customer.country or (self.card.country if self.card else None)


class ChargeResult(StrEnum):
    """What came of a charge; another outcome, unknown, is the error AnswerLost.

    ``PENDING``: the bank has been asked, and answers in days, as with direct debits. The invoice is
    ``pending`` until then, an event tells the answer, and the same key is answered ``PENDING`` for ever.
    """

    PAID = "paid"
    DECLINED = "declined"
    NEEDS_CUSTOMER = "needs_customer"
    PENDING = "pending"
    NOTHING_TO_PAY = "nothing_to_pay"


@dataclass(frozen=True)
class ChargeRequest:
    """One charge of one invoice.

    ``method`` None charges the processor's default. ``key`` is the idempotency key: the same key is
    the same charge. ``at`` is the time of the decision, for processors that keep no clock.
    """

    account: str
    invoice: str
    key: str
    at: datetime
    method: str | None = None


@dataclass(frozen=True)
class ChargeAnswer:
    """What the processor answered to a charge.

    ``network_code`` and ``network_advice`` are the card network's own words, where it passes them on.
    ``charge`` is the processor's id of this one attempt: a ``payment`` may have had several.
    """

    result: ChargeResult
    payment: str | None = None
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    confirm_url: str | None = None
    method: str | None = None
    charge: str | None = None


class SubscriptionChange(StrEnum):
    """What can be done to a subscription at the end of a campaign."""

    CANCEL_NOW = "cancel_now"
    CANCEL_AT_PERIOD_END = "cancel_at_period_end"
    MARK_UNPAID = "mark_unpaid"
    PAUSE = "pause"


class ChangeResult(StrEnum):
    """What came of changing a subscription."""

    DONE = "done"
    ALREADY_SO = "already_so"


class ReinstateResult(StrEnum):
    """What came of undoing a final action.

    ``ALREADY_SO``: the action is no longer in force, and the subscription goes on. ``IMPOSSIBLE``: the
    processor cannot take the subscription up again, or somebody else has stopped it since; a person decides.
    """

    DONE = "done"
    ALREADY_SO = "already_so"
    IMPOSSIBLE = "impossible"


class ReportKind(StrEnum):
    """What a processor's event means to a case."""

    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    CARD_UPDATED = "card_updated"
    CANCELLED = "cancelled"
    INVOICE_CHANGED = "invoice_changed"
    CUSTOMER_CHANGED = "customer_changed"
    CUSTOMER_DELETED = "customer_deleted"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    DISPUTE_CLOSED = "dispute_closed"
    ATTEMPTED = "attempted"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Attempted:
    """One attempt on a card or an account that reached the network, whoever asked for it.

    ``charge`` is the processor's id of it, the same in every event that tells of it. ``method`` is the
    stored method it was made with, None for one given only this once. ``amount`` is in minor units.
    ``result`` ``OPEN`` is followed by another event of the same ``charge``.
    """

    charge: str
    result: AttemptResult
    initiator: Initiator
    at: datetime
    amount: int
    currency: str
    method: str | None = None
    fingerprint: str | None = None
    network: str | None = None
    rail: str = CARD_RAIL
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None


@dataclass(frozen=True)
class Report:
    """One event in Dunwell's words.

    A report names its ``invoice``, or else its ``subscription`` or ``customer``: every open case of
    those is told. ``payment`` is the processor's id of the payment it is about. ``ours`` says that a
    request of ours caused it. ``renewed`` marks a card whose id stayed and whose contents changed: a
    text that differs for each renewal. ``unconfirmed`` marks
    a change by which the bank's confirmation did not come. ``attempted`` is what networks count, in a report of any kind that
    knows of it; ``ATTEMPTED`` is one that says nothing besides. ``why`` says in words what happened, or
    why it is ignored.
    """

    event: str
    type: str
    kind: ReportKind
    livemode: bool
    at: datetime
    account: str
    why: str
    invoice: str | None = None
    subscription: str | None = None
    customer: str | None = None
    payment: str | None = None
    amount: int | None = None
    currency: str | None = None
    method: str | None = None
    renewed: str | None = None
    decline: str | None = None
    advice: str | None = None
    first_payment: bool = False
    sent_for_payment: bool = False
    ours: bool = False
    network_code: str | None = None
    network_advice: str | None = None
    attempted: Attempted | None = None
    unconfirmed: bool = False


class Processor(Protocol):
    """A payment processor.

    Every method raises ProcessorUnavailable when nothing was done, AnswerLost when something may have
    been done, ProcessorRefused when the request will never be accepted, ProcessorKeyRejected when the
    credentials are at fault, NotKnown when there is no such invoice.
    """

    name: str

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        """Read an invoice with its subscription, customer and card as they are now."""
        ...

    async def read_card(self, account: str, customer: str, method: str | None) -> Card | None:
        """Read a stored method of the customer's, or with None the one that is charged where none is named.

        None where the customer has no such method, or none at all. The default is the customer's: one of
        a subscription or an invoice is told by ``read_invoice``.
        """
        ...

    async def read_methods(self, account: str, customer: str) -> Sequence[Card]:
        """Read every stored method of the customer's that can be charged without them, the default first.

        A processor that was told of consent to charge one in place of another says so in ``consent``.
        """
        ...

    async def charge(self, request: ChargeRequest) -> ChargeAnswer:
        """Charge an invoice once for its key; a decline is an answer, not an error."""
        ...

    async def take_over_retries(self, account: str, invoice: str, key: str) -> None:
        """Stop the processor's own retries of this invoice."""
        ...

    async def change_subscription(
        self, account: str, subscription: str, invoice: str, change: SubscriptionChange, key: str
    ) -> ChangeResult:
        """Carry out a final action; a subscription that is already so is no error."""
        ...

    async def reinstate(
        self, account: str, subscription: str, invoice: str, final_action: SubscriptionChange, key: str
    ) -> ReinstateResult:
        """Undo a final action, after a late payment, as far as the processor can.

        Only what the action did is undone, never what anybody else did; no new subscription is made.
        """
        ...

    async def card_page(self, account: str, customer: str, return_url: str) -> str:
        """Make a fresh page at the processor on which the customer can change the card."""
        ...

    def verify(self, body: bytes, signature: str | None) -> None:
        """Check a webhook's signature over its raw body, and its age; raises BadSignature."""
        ...

    def reports(self, body: bytes) -> Sequence[Report]:
        """Turn an event into what it means; raises BadInput where it is no event at all.

        One event may mean several things, in order. An event of no interest is one report of kind
        ``IGNORED``.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
