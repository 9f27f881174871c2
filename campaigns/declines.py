"""The table of decline codes: what a code means on a day, and what is made of all that was said of a charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns import decline_rows
from campaigns.decline_rows import DeclineClass, DeclineRow, read_table
from campaigns.verdicts import DEBIT_CODE, Ask, Heard, Said, Verdict, Word, decide, fits

if TYPE_CHECKING:
    from datetime import date

__all__ = ["NO_CARD", "Ask", "DeclineClass", "DeclineTable", "Said", "Verdict"]

# What a processor answers when there was nothing to charge.
NO_CARD = "no_payment_method"
# Where a charge's own code may come from; no code stands in two of them.
SYSTEMS = (
    *(decline_rows.STRIPE, decline_rows.OUTCOME, decline_rows.DUNWELL),
    *(decline_rows.BRAINTREE, decline_rows.ACH, decline_rows.SEPA),
)
SPOKEN = {
    decline_rows.STRIPE: "decline code {code}",
    decline_rows.DUNWELL: "decline code {code}",
    decline_rows.OUTCOME: "outcome {code}",
    decline_rows.ADVICE: "advice {code}",
    decline_rows.VISA: "Visa {code}",
    decline_rows.MASTERCARD: "Mastercard {code}",
    decline_rows.MERCHANT_ADVICE: "Mastercard advice {code}",
    decline_rows.BRAINTREE: "Braintree {code}",
    decline_rows.ACH: "ACH return {code}",
    decline_rows.SEPA: "SEPA reason {code}",
}
# Nothing for a retry to know: a virtual card that may be used many times.
INFORMATION = "multi-use-vcn"


class DeclineTable:
    """Decline codes with their meaning on a day, as Dunwell ships them and as the owner overrides them."""

    def __init__(self, text: str, overrides: str = "") -> None:
        """Read the CSV text of ``campaigns/data/decline_codes.csv``, and of the owner's own if there is one.

        Raises ValueError with the line of what cannot be used. A row of the owner's takes the place of all
        of ours of the same system and code, from its date on.
        """
        rows = read_table(text) + read_table(overrides, own=True)
        self._rows: dict[tuple[str, str], list[DeclineRow]] = {}
        for row in rows:
            self._rows.setdefault((row.code_system, row.code), []).append(row)
        for found in self._rows.values():
            found.sort(key=_rank)

    def codes(self, *systems: str) -> frozenset[str]:
        """Every code that a charge may be declined with, or those of the systems named."""
        return frozenset(code for system, code in self._rows if system in (systems or SYSTEMS))

    def in_force(self, on: date) -> tuple[DeclineRow, ...]:
        """Give the row of each code that holds on a day, in the order of the table."""
        found = (self._row(system, code, on) for system, code in self._rows)
        return tuple(row for row in found if row is not None)

    def judge(self, said: Said, on: date) -> Verdict:
        """Say what a decline means on a day; a code that is not in the table is soft and ``known=False``."""
        advice = None
        if said.network in {None, "mastercard"}:
            advice = self._word(decline_rows.MERCHANT_ADVICE, said.network_advice, on)
        if advice and (advice.row.subclass == INFORMATION or not fits(advice.row, said)):
            advice = None
        heard = Heard(
            said,
            network_advice=advice,
            response=self._response(said, on),
            advice=self._word(decline_rows.ADVICE, said.advice, on),
            code=next(filter(None, (self._word(system, said.code, on) for system in SYSTEMS)), None),
        )
        return decide(heard)

    def _response(self, said: Said, on: date) -> Word | None:
        """Give the network's response; of an unknown network only what Visa and Mastercard agree on.

        The same two digits mean other things elsewhere: 82 is a wrong security code with one of them, and a
        matter of policy with the other.
        """
        code = said.network_code
        if said.network == "visa":
            return self._word(decline_rows.VISA, code, on)
        if said.network == "mastercard":
            return self._word(decline_rows.MASTERCARD, code, on)
        if code and DEBIT_CODE.match(code):
            return self._word(decline_rows.ACH, code, on) or self._word(decline_rows.SEPA, code, on)
        one, other = self._row(decline_rows.VISA, code, on), self._row(decline_rows.MASTERCARD, code, on)
        if one and other and one.kind is other.kind and one.chargeable == other.chargeable:
            # Mastercard's row has no category: what Visa forbids for good it forbids to its own cards.
            return Word(other, f"network code {code}")
        return None

    def _word(self, system: str, code: str | None, on: date) -> Word | None:
        row = self._row(system, code, on)
        if row is None:
            return None
        category = f" (category {row.visa_category})" if system == decline_rows.VISA else ""
        return Word(row, SPOKEN[system].format(code=row.code) + category)

    def _row(self, system: str, code: str | None, on: date) -> DeclineRow | None:
        found = self._rows.get((system, code or ""), ())
        return next((row for row in reversed(found) if row.holds(on)), None)


def _rank(row: DeclineRow) -> tuple[bool, bool, str]:
    return row.own, row.effective_from is not None, str(row.effective_from)
