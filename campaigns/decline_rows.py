"""The table of decline codes as it is written: its columns, its words, and what a row may not say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from campaigns.networks import needed, read_rows

if TYPE_CHECKING:
    from collections.abc import Hashable

NAME, OWNERS_NAME = "decline codes", "the owner's decline codes"
COLUMNS = (
    *("rail", "code_system", "code", "class", "subclass", "auto_retry", "min_wait_hours"),
    *("max_auto_retries", "ask_customer", "customer_wording", "processor_blocks_retry", "visa_category"),
    *("meaning", "next_step", "effective_from", "source", "confidence"),
)
STRIPE, ADVICE, OUTCOME, DUNWELL = (
    "stripe_decline_code",
    "stripe_advice_code",
    "stripe_outcome_reason",
    "dunwell",
)
VISA, MASTERCARD, MERCHANT_ADVICE = "iso8583_visa", "mastercard_response", "mastercard_mac"
BRAINTREE, ACH, SEPA = "braintree_processor", "nacha_return", "epc_reason"
RAILS = {
    **dict.fromkeys((STRIPE, ADVICE, OUTCOME, VISA, MASTERCARD, MERCHANT_ADVICE, BRAINTREE), "card"),
    ACH: "ach",
    SEPA: "sepa",
    DUNWELL: "any",
}
# Bank authentication (3-D Secure): the card is good, the customer has to confirm the payment.
CONFIRM = "sca"
# The customer took back what they had agreed to, or says that they never agreed.
REVOKED = frozenset({"consent-withdrawn", "unauthorised", "mandate", "dispute"})
SUBCLASSES = REVOKED | {
    *(CONFIRM, "account", "bank-block", "bank-request", "card-capability", "card-expired", "card-present"),
    *("data", "deceased", "deprecated", "duplicate", "funds", "issuer-advice", "issuer-contact"),
    *("issuer-generic", "issuer-policy", "issuer-risk", "legal", "lifecycle", "limit", "lost-stolen"),
    *("merchant-config", "multi-use-vcn", "no-card", "not-activated", "not-sent-to-network", "own-blocklist"),
    *("policy", "prepaid", "processor-risk", "reissued", "sanctions", "single-use-vcn", "technical", "terms"),
    "token",
}
# The card may be charged again on a schedule; every other value forbids it.
CHARGEABLE = frozenset({"yes", "limited", "reconcile-first"})
# What the rails allow to be collected a second time: Nacha's rules on reinitiation, and the banks' practice.
DEBITS_AGAIN = {"ach": frozenset({"R01", "R09"}), "sepa": frozenset({"AM04", "MS03"})}
WORDS = {
    "auto_retry": CHARGEABLE | {"no", "after-update"},
    "ask_customer": {"immediately", "after-first-retry-fails", "after-quick-retries-fail", "no"},
    "customer_wording": {"disclose", "generic"},
    "processor_blocks_retry": {"yes", "no", "unknown"},
    "subclass": SUBCLASSES,
}
# ``1``, ``1+3``, and for a processor's code with the codes of Visa's that it stands for: ``4 (01/02)``.
CATEGORY = re.compile(r"^([1-4](\+[1-4])?( \([0-9A-Z/]+\))?)?$")


class DeclineClass(StrEnum):
    """Why a charge was declined, as far as it decides what to do."""

    SOFT = "soft"
    HARD = "hard"
    NEEDS_CUSTOMER = "needs-customer-action"
    FRAUD = "fraud"
    RETRY_LATER = "retry-later"


@dataclass(frozen=True)
class DeclineRow:
    """What one code of one system means from a date on; ``effective_from`` is None where it always held.

    ``own`` is true of a row that the owner laid over ours.
    """

    rail: str
    code_system: str
    code: str
    kind: DeclineClass
    subclass: str
    auto_retry: str
    min_wait: timedelta | None
    max_retries: int
    ask_customer: str
    customer_wording: str
    processor_blocks_retry: str
    visa_category: str
    meaning: str
    next_step: str
    effective_from: date | None
    source: str
    confidence: str
    own: bool = False

    @property
    def chargeable(self) -> bool:
        """Whether the same card or account may be charged again without the customer."""
        return self.auto_retry in CHARGEABLE

    @property
    def disclose(self) -> bool:
        """Whether the customer may be told the reason."""
        return self.customer_wording == "disclose"

    @property
    def revokes(self) -> bool:
        """Whether the customer withdrew their consent."""
        return self.subclass in REVOKED

    @property
    def issuer_never(self) -> bool:
        """Whether it is of Visa's category 1: the issuer will never approve."""
        return self.visa_category.startswith("1")

    def holds(self, on: date) -> bool:
        """Whether it is in force on a day, unless a later row of the same code is."""
        return self.effective_from is None or self.effective_from <= on


def read_table(text: str, *, own: bool = False) -> tuple[DeclineRow, ...]:
    """Read the CSV text of a table, Dunwell's or the owner's; raises ValueError with the table and the line."""
    return read_rows(text, OWNERS_NAME if own else NAME, COLUMNS, partial(_read, own=own), _key)


def _key(row: DeclineRow) -> tuple[Hashable, ...]:
    return row.code_system, row.code, row.effective_from


def _read(line: dict[str, str], *, own: bool) -> DeclineRow:
    needed(line, "code", "meaning", "source", "confidence")
    if RAILS.get(line["code_system"]) != line["rail"]:
        message = f"no rail {line['rail']!r} has codes of {line['code_system']!r}"
        raise ValueError(message)
    for name, words in WORDS.items():
        if line[name] not in words:
            message = f"{line[name]!r} is no {name}: {', '.join(sorted(words))}"
            raise ValueError(message)
    if not CATEGORY.match(line["visa_category"]):
        message = f"{line['visa_category']!r} is no visa_category: '2', '1+3' or '4 (01/02)'"
        raise ValueError(message)
    row = DeclineRow(
        rail=line["rail"],
        code_system=line["code_system"],
        code=line["code"],
        kind=_class(line["class"]),
        subclass=line["subclass"],
        auto_retry=line["auto_retry"],
        min_wait=timedelta(hours=_number(line, "min_wait_hours")) if line["min_wait_hours"] else None,
        max_retries=_number(line, "max_auto_retries"),
        ask_customer=line["ask_customer"],
        customer_wording=line["customer_wording"],
        processor_blocks_retry=line["processor_blocks_retry"],
        visa_category=line["visa_category"],
        meaning=line["meaning"],
        next_step=line["next_step"],
        effective_from=_date(line["effective_from"]),
        source=line["source"],
        confidence=line["confidence"],
        own=own,
    )
    _refuse_contradiction(row)
    return row


def _refuse_contradiction(row: DeclineRow) -> None:
    """Raise ValueError where a row would have a card charged that must not be."""
    message = None
    if row.chargeable and row.kind in {DeclineClass.HARD, DeclineClass.FRAUD}:
        message = f"a decline of the class {row.kind} is not charged again: auto_retry is 'no'"
    elif row.chargeable and row.issuer_never:
        message = "Visa forbids every reattempt after a decline of its category 1: auto_retry is 'no'"
    elif row.chargeable and row.rail in DEBITS_AGAIN and row.code not in DEBITS_AGAIN[row.rail]:
        again = " and ".join(sorted(DEBITS_AGAIN[row.rail]))
        message = f"only {again} are collected again on this rail: auto_retry is 'no'"
    elif row.chargeable and (row.min_wait is None or not row.max_retries):
        message = "what is charged again needs min_wait_hours and max_auto_retries"
    if message:
        raise ValueError(message)


def _class(value: str) -> DeclineClass:
    try:
        return DeclineClass(value)
    except ValueError:
        message = f"{value!r} is no class: {', '.join(sorted(DeclineClass))}"
        raise ValueError(message) from None


def _number(line: dict[str, str], name: str) -> int:
    if not line[name].isascii() or not line[name].isdigit():
        message = f"{line[name]!r} is no {name}: a whole number"
        raise ValueError(message)
    return int(line[name])


def _date(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        message = f"{value!r} is no effective_from: a date like 2026-10-25, or nothing where it always held"
        raise ValueError(message) from None
