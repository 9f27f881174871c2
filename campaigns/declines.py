"""What a decline means: whether the same card may be charged again, and what to ask of the customer."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from enum import StrEnum


class DeclineClass(StrEnum):
    """Why a charge was declined, as far as it decides what to do."""

    SOFT = "soft"
    HARD = "hard"
    NEEDS_CUSTOMER = "needs-customer-action"
    FRAUD = "fraud"
    RETRY_LATER = "retry-later"


class Ask(StrEnum):
    """What only the customer can do about a decline."""

    NOTHING = "nothing"
    NEW_CARD = "new card"
    CONFIRM = "confirm"


# Bank authentication (3-D Secure): the card is good, the customer has to confirm the payment.
CONFIRM_SUBCLASS = "sca"
# What a processor answers when there was nothing to charge.
NO_CARD = "no_payment_method"
# The card may be charged again on a schedule; every other value forbids it.
CHARGEABLE = frozenset({"yes", "limited", "reconcile-first"})
# What the issuer advises outranks the decline code (facts: docs.stripe.com/declines/card).
STOPPING_ADVICE = frozenset({"do_not_try_again", "confirm_card_data"})


@dataclass(frozen=True)
class Verdict:
    """What one decline code, with the issuer's advice, means for the case.

    ``disclose`` is false where the customer must not be told the reason (lost, stolen,
    suspected fraud: docs.stripe.com/declines/codes).
    """

    code: str
    kind: DeclineClass
    charge_again: bool
    ask: Ask
    disclose: bool
    known: bool = True

    @property
    def words(self) -> str:
        """The code as ops read it: ``insufficient funds``."""
        return self.code.replace("_", " ")


class DeclineTable:
    """Decline codes with their meaning, looked up by the processor's code and the issuer's advice."""

    def __init__(self, text: str) -> None:
        """Read the CSV text of ``campaigns/data/decline_codes.csv``."""
        rows = {
            (row["code_system"] == "stripe_advice_code", row["code"]): row
            for row in csv.DictReader(io.StringIO(text))
        }
        self._codes = {code: row for (advice, code), row in rows.items() if not advice}
        self._advice = {code: row for (advice, code), row in rows.items() if advice}

    def codes(self) -> frozenset[str]:
        """Every decline code that the table knows."""
        return frozenset(self._codes)

    def judge(self, code: str | None, advice: str | None = None) -> Verdict:
        """Say what a decline means; a code that is not in the table is soft and ``known=False``."""
        name = code or "declined"
        row = self._codes.get(name)
        if advice in STOPPING_ADVICE:
            advised = self._advice[advice]
            return Verdict(
                name,
                DeclineClass(advised["class"]),
                charge_again=False,
                ask=Ask.NEW_CARD,
                disclose=advised["customer_wording"] == "disclose"
                and (row is None or row["customer_wording"] == "disclose"),
                known=row is not None,
            )
        if row is None:
            return Verdict(
                name, DeclineClass.SOFT, charge_again=True, ask=Ask.NOTHING, disclose=False, known=False
            )
        again = row["auto_retry"] in CHARGEABLE
        ask = Ask.NOTHING if again else Ask.NEW_CARD
        if row["subclass"] == CONFIRM_SUBCLASS:
            ask = Ask.CONFIRM
        return Verdict(
            name,
            DeclineClass(row["class"]),
            charge_again=again,
            ask=ask,
            disclose=row["customer_wording"] == "disclose",
        )
