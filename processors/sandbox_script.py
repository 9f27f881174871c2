"""The little language in which a sandbox card says how it answers charges.

A script is a list of words divided by commas; each new charge request uses up one, and the last one
repeats for ever. ``insufficient_funds, insufficient_funds, paid`` declines twice and then pays.

    paid                   the charge goes through
    3ds                    the customer has to confirm the payment with the bank
    insufficient_funds     a decline, by any of the codes in DECLINE_CODES
    insufficient_funds/try_again_later
                           a decline with the issuer's advice
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
from enum import StrEnum

from errors import BadInput

# A hanging worker is a fault of its own, and not one that a card's script should be able to cause.
LONGEST_SECONDS = 600.0
MOST_REPETITIONS = 1000

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
ADVICE = frozenset({"do_not_try_again", "try_again_later", "confirm_card_data"})

EXPECTED = (
    "expected paid, 3ds, a decline code such as insufficient_funds (with advice:"
    " insufficient_funds/try_again_later), refused, 429, 401 or 400; before it, if wanted, slow(0.5):,"
    " lost: or 500: (these two also with the word nothing); after it, if wanted, *3"
)

WORD = re.compile(
    r"(?:slow\((?P<seconds>\d+(?:\.\d+)?)\):)?"
    r"(?:(?P<loss>lost|500):)?"
    r"(?P<core>[a-z0-9_]+)"
    r"(?:/(?P<advice>[a-z_]+))?"
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
    """One word of a script: what happens, whether the answer arrives, and after how many seconds."""

    outcome: Outcome
    decline: str | None = None
    advice: str | None = None
    loss: Loss | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        """Give the word back, so that it can be kept and read again."""
        core = self.decline if self.outcome is Outcome.DECLINED else self.outcome
        slow = f"slow({self.seconds:f}):" if self.seconds else ""
        loss = f"{self.loss}:" if self.loss else ""
        advice = f"/{self.advice}" if self.advice else ""
        return f"{slow}{loss}{core}{advice}"


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
    outcome = _outcome(match["core"])
    loss = Loss(match["loss"]) if match["loss"] else None
    seconds = float(match["seconds"] or 0)
    times = int(match["times"] or 1)
    fault = None
    if outcome is None:
        fault = "is not an answer"
    elif loss and outcome not in MADE | {Outcome.NOTHING}:
        fault = f"cannot follow {loss}:, since no answer was on its way"
    elif outcome is Outcome.NOTHING and not loss:
        fault = "needs lost: or 500: before it"
    elif match["advice"] and (outcome is not Outcome.DECLINED or match["advice"] not in ADVICE):
        fault = f"has advice other than {', '.join(sorted(ADVICE))} after a decline code"
    elif seconds > LONGEST_SECONDS:
        fault = f"is slower than {LONGEST_SECONDS:.0f} seconds"
    elif not 1 <= times <= MOST_REPETITIONS:
        fault = f"is repeated other than 1 to {MOST_REPETITIONS} times"
    if fault or outcome is None:
        raise BadInput(f"{word!r} in the card script {script!r} {fault}: {EXPECTED}")
    decline = match["core"] if outcome is Outcome.DECLINED else None
    return ScriptedAnswer(outcome, decline, match["advice"], loss, seconds), times


def _outcome(core: str) -> Outcome | None:
    if core in DECLINE_CODES:
        return Outcome.DECLINED
    if core == Outcome.DECLINED:
        return None
    try:
        return Outcome(core)
    except ValueError:
        return None
