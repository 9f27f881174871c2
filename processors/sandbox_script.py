"""The little language in which a sandbox card says how it answers charges.

A script is a list of words divided by commas; each new charge request uses up one, and the last one
repeats for ever. ``insufficient_funds, insufficient_funds, paid`` declines twice and then pays.

    paid                   the charge goes through
    3ds                    the customer has to confirm the payment with the bank
    insufficient_funds     a decline, by any of the codes in DECLINE_CODES
    insufficient_funds/try_again_later
                           a decline with the issuer's advice
    insufficient_funds/mac27, do_not_honor/net05
                           a decline with Mastercard's advice code 27, or with the response 05 of the
                           card's network; up to one of each kind: call_issuer/do_not_try_again/mac03/net41
    pending(5d):paid, pending(5d):R01
                           a direct debit: its bank answers in five days (or 12h, 30m, 20s) that it was
                           paid, or that it was returned, by any of the codes in DEBIT_CODES
    refused                the connection is refused: no charge, and the key is not used up
    429, 401, 400          too many requests; a wrong API key; a request that is wrong: no charge
    lost:paid              the charge is made, its answer is lost; the same key is told the truth
    lost:nothing           the connection breaks before the charge is made; the caller cannot tell
    500:paid, 500:nothing  a server error, repeated for the same key, with or without the charge
    slow(0.5):paid         the charge takes half a second; the word after the colon may be any other
    paid*3                 the same answer three times
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from errors import BadInput

# A hanging worker is a fault of its own, and not one that a card's script should be able to cause.
LONGEST_SECONDS = 600.0
MOST_REPETITIONS = 1000
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

# What processors answer (facts: docs.stripe.com/declines/codes); a test compares the list with the
# table that judges them, which this room may not import.
_CODES = """
    approve_with_id authentication_not_handled authentication_required call_issuer card_not_supported
    card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again duplicate_transaction
    expired_card fraudulent generic_decline highest_risk_level incorrect_address incorrect_cvc
    incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account invalid_amount
    invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin
    issuer_not_available lost_card merchant_blacklist mobile_device_authentication_required
    new_account_information_available no_action_taken no_payment_method not_permitted offline_pin_required
    online_or_offline_pin_required pickup_card pin_try_exceeded previously_declined_do_not_retry
    processing_error reenter_transaction restricted_card revocation_of_all_authorizations
    revocation_of_authorization security_violation service_not_allowed stolen_card stop_payment_order
    testmode_decline transaction_not_allowed try_again_later withdrawal_count_limit_exceeded
"""
DECLINE_CODES = frozenset(_CODES.split())
# Why banks return debits: Nacha's codes for ACH, and the EPC's reasons for SEPA.
_DEBIT_CODES = """
    R01 R02 R03 R04 R05 R06 R07 R08 R09 R10 R11 R12 R13 R14 R15 R16 R20 R29 R51
    AC01 AC04 AC06 AG02 AM04 AM05 MD01 MD06 MD07 MS02 MS03 SL01
"""
DEBIT_CODES = frozenset(_DEBIT_CODES.split())
# Scripts are read in small letters.
_DECLINES = {code.lower(): code for code in DECLINE_CODES | DEBIT_CODES}
ADVICE = frozenset({"do_not_try_again", "try_again_later", "confirm_card_data"})

EXPECTED = (
    "expected paid, 3ds, a decline code such as insufficient_funds (with advice:"
    " insufficient_funds/try_again_later, or with the network's words: /mac27, /net05), refused, 429, 401 or"
    " 400; before it, if wanted, slow(0.5):, lost: or 500: (these two also with the word nothing), and"
    " pending(5d):; after it, if wanted, *3"
)

WORD = re.compile(
    r"(?:slow\((?P<seconds>\d+(?:\.\d+)?)\):)?"
    r"(?:(?P<loss>lost|500):)?"
    r"(?:pending\((?P<later>\d{1,7}(?:\.\d+)?)(?P<unit>[smhd])\):)?"
    r"(?P<core>[a-z0-9_]+)"
    r"(?:/(?P<advice>[a-z_]+))?"
    r"(?:/mac(?P<network_advice>\d\d))?"
    r"(?:/net(?P<network_code>[0-9a-z]{2}))?"
    r"(?:\*(?P<times>\d+))?"
)


class Outcome(StrEnum):
    """What the processor makes of a charge request; the values are the words of the script."""

    PAID = "paid"
    NEEDS_CUSTOMER = "3ds"
    DECLINED = "declined"
    NOTHING = "nothing"
    UNREACHABLE = "refused"
    TOO_MANY_REQUESTS = "429"
    KEY_REJECTED = "401"
    BAD_REQUEST = "400"


# The request got as far as the charge: its key is used up and what came of it is in the books.
MADE = frozenset({Outcome.PAID, Outcome.NEEDS_CUSTOMER, Outcome.DECLINED})


class Loss(StrEnum):
    """What becomes of the answer on its way back."""

    CONNECTION = "lost"
    SERVER_ERROR = "500"


@dataclass(frozen=True)
class ScriptedAnswer:
    """One word of a script: what happens, whether the answer arrives, and after how many seconds.

    ``later`` is how long the bank takes, which is answered ``PENDING`` meanwhile.
    """

    outcome: Outcome
    decline: str | None = None
    advice: str | None = None
    loss: Loss | None = None
    seconds: float = 0.0
    network_code: str | None = None
    network_advice: str | None = None
    later: timedelta | None = None

    def __str__(self) -> str:
        """Give the word back, so that it can be kept and read again."""
        core = self.decline if self.outcome is Outcome.DECLINED else self.outcome
        slow = f"slow({self.seconds:f}):" if self.seconds else ""
        loss = f"{self.loss}:" if self.loss else ""
        later = f"pending({self.later.total_seconds():f}s):" if self.later else ""
        advice = f"/{self.advice}" if self.advice else ""
        network_advice = f"/mac{self.network_advice}" if self.network_advice else ""
        network_code = f"/net{self.network_code}" if self.network_code else ""
        return f"{slow}{loss}{later}{core}{advice}{network_advice}{network_code}"


def parse_script(text: str) -> tuple[ScriptedAnswer, ...]:
    """Read a script, repetitions written out; raises BadInput with the word at fault."""
    answers: list[ScriptedAnswer] = []
    for word in text.lower().split(","):
        answer, times = _parse_word(word.strip(), text)
        answers.extend([answer] * times)
    return tuple(answers)


def answer_at(script: str, asked: int) -> ScriptedAnswer:
    """Give the answer to a card's charge request after ``asked`` earlier ones."""
    answers = parse_script(script)
    return answers[min(asked, len(answers) - 1)]


def _parse_word(word: str, script: str) -> tuple[ScriptedAnswer, int]:
    match = WORD.fullmatch(word)
    if match is None:
        raise BadInput(f"{word!r} in the card script {script!r} is not an answer: {EXPECTED}")
    answer = ScriptedAnswer(
        outcome=_outcome(match["core"]) or Outcome.NOTHING,
        decline=_DECLINES.get(match["core"]),
        advice=match["advice"],
        loss=Loss(match["loss"]) if match["loss"] else None,
        seconds=float(match["seconds"] or 0),
        network_code=match["network_code"] and match["network_code"].upper(),
        network_advice=match["network_advice"],
        later=timedelta(**{UNITS[match["unit"]]: float(match["later"])}) if match["later"] else None,
    )
    times = int(match["times"] or 1)
    fault = _fault(answer, times) if _outcome(match["core"]) else "is not an answer"
    if fault:
        raise BadInput(f"{word!r} in the card script {script!r} {fault}: {EXPECTED}")
    return answer, times


def _fault(answer: ScriptedAnswer, times: int) -> str | None:
    loss, outcome = answer.loss, answer.outcome
    if loss and outcome not in MADE | {Outcome.NOTHING}:
        return f"cannot follow {loss}:, since no answer was on its way"
    if outcome is Outcome.NOTHING and not loss:
        return "needs lost: or 500: before it"
    if answer.later and outcome not in {Outcome.PAID, Outcome.DECLINED}:
        return "cannot follow pending(…):, since a bank only pays or returns"
    if answer.advice and (outcome is not Outcome.DECLINED or answer.advice not in ADVICE):
        return f"has advice other than {', '.join(sorted(ADVICE))} after a decline code"
    if (answer.network_code or answer.network_advice) and outcome is not Outcome.DECLINED:
        return "has a network's words after something else than a decline code"
    if answer.seconds > LONGEST_SECONDS:
        return f"is slower than {LONGEST_SECONDS:.0f} seconds"
    if not 1 <= times <= MOST_REPETITIONS:
        return f"is repeated other than 1 to {MOST_REPETITIONS} times"
    return None


def _outcome(core: str) -> Outcome | None:
    if core in _DECLINES:
        return Outcome.DECLINED
    if core == Outcome.DECLINED:
        return None
    try:
        return Outcome(core)
    except ValueError:
        return None
