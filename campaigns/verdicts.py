"""Whose word decides after a decline: the network's and issuer's "never", their wait, the data, then the rest.

What was said of one charge comes from up to four mouths: the network's advice, its response code, the advice
that the processor made of them, and the processor's own code. ``docs/retries.md`` tells the rules at length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from campaigns import decline_rows
from campaigns.decline_rows import DeclineClass, DeclineRow
from campaigns.durations import spell_duration

# As ACH and SEPA write their codes: one that is not in the table is still no card's.
DEBIT_CODE = re.compile(r"^(R\d\d|[A-Z]{2}\d\d)$")
DEBITS = frozenset({"ach", "sepa"})
# The issuer or the network could not answer.
TECHNICAL = (DeclineClass.RETRY_LATER, "technical")
# Whoever wrote this word, the issuer does not want to see the card again (docs.stripe.com/declines/card).
NEVER = frozenset({"do_not_try_again", "previously_declined_do_not_retry"})
# Mastercard bills each resubmission of these within 30 days (developers.tabapay.com/docs/merchant-advice-code).
FORBIDDEN_ADVICE = {"03": timedelta(days=30), "21": timedelta(days=30)}
# How long to wait after a decline for want of funds (the same source); 02 says so of other declines, too.
LATER, WAITS = "02", frozenset({"24", "25", "26", "27", "28", "29", "30"})
TRY_LATER = "try_again_later"
NO_FUNDS = "51"
# Of Mastercard's responses these say no more than that the advice beside them is to be read.
READ_THE_ADVICE = frozenset({"79", "82", "83"})
# Rows that give no reason, so that any other word says more.
SAY_LITTLE = frozenset({"issuer-generic", "issuer-advice"})
FEW_RETRIES = 2
NO_REASON = "declined"


class Ask(StrEnum):
    """What only the customer can do about a decline."""

    NOTHING = "nothing"
    NEW_CARD = "new card"
    CONFIRM = "confirm"


@dataclass(frozen=True)
class Said:
    """All that processor, issuer and network said of one declined charge.

    ``code`` is the processor's decline code, for debits the return or reason code (R01, AM04), ``advice``
    Stripe's advice code. ``network`` is in lower case (visa, mastercard); ``network_code`` is its response
    code, and ``network_advice`` Mastercard's merchant advice code, of two digits.
    """

    code: str | None
    advice: str | None = None
    network: str | None = None
    network_code: str | None = None
    network_advice: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What one decline means for the case.

    ``disclose`` is false where the customer must not be told the reason (lost, stolen,
    suspected fraud: docs.stripe.com/declines/codes). ``known`` says whether the table has the charge's own
    code; ``at_most`` is the number of retries where nobody else gave a reason either.
    ``never_again`` is the network's or issuer's word on this card: for ``forbidden_for``, or for ever.
    ``wait`` is the time that the issuer asked for, to be kept exactly; ``timed`` says that they named the time
    themselves, so that a charge is due then, and not only that it is to be later. ``quick`` the table's own after a
    trouble of the machines, for ``quick_retries``; ``technical``: such a trouble was the reason, and the issuer was
    not heard. ``revoked``: the customer took their consent back.
    ``said_by`` names whose word decided, and ``why`` is a sentence for ops.
    """

    code: str
    kind: DeclineClass
    charge_again: bool
    ask: Ask
    disclose: bool
    known: bool = True
    never_again: bool = False
    forbidden_for: timedelta | None = None
    wait: timedelta | None = None
    timed: bool = False
    revoked: bool = False
    at_most: int | None = None
    quick: timedelta | None = None
    quick_retries: int = 0
    technical: bool = False
    said_by: str = ""
    why: str = ""

    @property
    def words(self) -> str:
        """The code as ops read it: ``insufficient funds``."""
        return self.code.replace("_", " ")


@dataclass(frozen=True)
class Word:
    """One row of the table that speaks of a charge, and how ops read whose word it is."""

    row: DeclineRow
    said_by: str

    @property
    def stops(self) -> bool:
        """Whether it forbids another charge without the customer."""
        return not self.row.chargeable

    @property
    def is_final(self) -> bool:
        """Whether it is of a class that nothing softens."""
        return self.row.kind in {DeclineClass.HARD, DeclineClass.FRAUD}


@dataclass(frozen=True)
class Heard:
    """The words that count, by the mouth that they come from; ``said`` is all that there was to hear."""

    said: Said
    network_advice: Word | None = None
    response: Word | None = None
    advice: Word | None = None
    code: Word | None = None

    @property
    def name(self) -> str:
        """The charge's own code, whether or not it is known."""
        return self.said.code or NO_REASON

    @property
    def words(self) -> tuple[Word, ...]:
        """The words in the order in which they are heard."""
        return tuple(
            word for word in (self.network_advice, self.response, self.advice, self.code) if word is not None
        )

    @property
    def may_be_told(self) -> bool:
        """Whether the customer may be told the reason: not where one word says no, nor a code unheard of."""
        return self.code is not None and all(word.row.disclose for word in self.words)

    @property
    def later(self) -> Word | None:
        """The word that asks to come again later: Mastercard's own before what Stripe made of it."""
        named = (
            (self.network_advice, WAITS | {LATER}),
            (self.advice, {TRY_LATER}),
            (self.code, {TRY_LATER}),
        )
        return next(
            (word for word, codes in named if word and not word.stops and word.row.code in codes), None
        )


def fits(advice: DeclineRow, said: Said) -> bool:
    """Whether Mastercard's advice belongs to the decline that it came with: 24 to 30 come with 51 alone."""
    return advice.code not in WAITS or said.network_code in {None, NO_FUNDS}


def decide(heard: Heard) -> Verdict:
    """Let the first rule that applies decide: never, the wait, the data and the customer, the rest."""
    forbidden = [word for word in heard.words if _forbids(word.row, heard.said.network)]
    if forbidden:
        return _never(heard, forbidden)
    if stop := _stop(heard):
        return _stopped(heard, stop)
    if not heard.words and _is_debit(heard.said):
        return _unknown_debit(heard)
    return _again(heard)


# --- never again -----------------------------------------------------------------------------------


def _forbids(row: DeclineRow, network: str | None) -> bool:
    """Whether a row is the network's or issuer's "never" on a card of a network.

    A processor's code that stands for one of Visa's category 1 says it of Visa's cards, and of those whose
    network nobody named.
    """
    if row.revokes or row.code in NEVER or _ban(row):
        return True
    return row.issuer_never and (row.code_system == decline_rows.VISA or network in {None, "visa"})


def _ban(row: DeclineRow) -> timedelta | None:
    return FORBIDDEN_ADVICE.get(row.code) if row.code_system == decline_rows.MERCHANT_ADVICE else None


def _never(heard: Heard, forbidden: list[Word]) -> Verdict:
    # The longest ban holds; of equal ones the first that is heard is named, and a revocation before any.
    longest = max(forbidden, key=lambda word: _ban(word.row) or timedelta.max)
    ban, revocation = _ban(longest.row), next((word for word in forbidden if word.row.revokes), None)
    word, revoked = revocation or longest, revocation is not None
    span = f"not charged again for {spell_duration(ban)}" if ban else "never charged again"
    what = "the customer took their consent back" if revoked else _meaning(word.row)
    ask = "; ask whether they meant to cancel" if revoked else ""
    return Verdict(
        heard.name,
        word.row.kind,
        charge_again=False,
        ask=Ask.NEW_CARD,
        disclose=heard.may_be_told,
        known=heard.code is not None,
        never_again=True,
        forbidden_for=ban,
        revoked=revoked,
        said_by=word.said_by,
        why=f"{what} ({_inside(word)}): {span} on this card{ask}",
    )


# --- what the customer has to do -------------------------------------------------------------------


def _stop(heard: Heard) -> Word | None:
    """Find the word that leaves it to the customer: advice before codes, and what nothing softens first."""
    codes = [word for word in (heard.response, heard.code) if word and word.stops]
    if heard.later:
        codes = [word for word in codes if not _is_vague(word.row)]
    final = [word for word in codes if word.is_final]
    funds_later = heard.later and heard.later.row.code in WAITS and heard.said.network_code == NO_FUNDS
    if funds_later and not final:
        # The issuer itself named want of funds and a time: that outranks what the processor reads into it.
        return None
    advised = [word for word in (heard.network_advice, heard.advice) if word and word.stops]
    confirm = [word for word in codes if word.row.subclass == decline_rows.CONFIRM]
    return next(iter((*advised, *final, *confirm, *codes)), None)


def _is_vague(row: DeclineRow) -> bool:
    return row.code_system == decline_rows.MASTERCARD and row.code in READ_THE_ADVICE


def _stopped(heard: Heard, word: Word) -> Verdict:
    ask = Ask.CONFIRM if word.row.subclass == decline_rows.CONFIRM else Ask.NEW_CARD
    if ask is Ask.CONFIRM:
        why = f"the bank wants the customer to confirm the payment ({_inside(word)})"
    elif word.row.auto_retry == "after-update":
        why = f"{_meaning(word.row)} ({_inside(word)}): the card updater first, then the customer"
    else:
        why = f"{_meaning(word.row)} ({_inside(word)}): not charged again before the customer acts"
    return Verdict(
        heard.name,
        word.row.kind,
        charge_again=False,
        ask=ask,
        disclose=heard.may_be_told,
        known=heard.code is not None,
        said_by=word.said_by,
        why=why,
    )


def _is_debit(said: Said) -> bool:
    return said.network in DEBITS or bool(said.code and DEBIT_CODE.match(said.code))


def _unknown_debit(heard: Heard) -> Verdict:
    return Verdict(
        heard.name,
        DeclineClass.HARD,
        charge_again=False,
        ask=Ask.NEW_CARD,
        disclose=False,
        known=False,
        said_by="the rules of direct debits",
        why=f"{heard.name} is not in the table, and a debit is collected again for want of funds alone",
    )


# --- again -----------------------------------------------------------------------------------------


def _again(heard: Heard) -> Verdict:
    later, reason = heard.later, _reason(heard)
    wait = later.row.min_wait if later else None
    quick = reason is not None and reason.row.kind is DeclineClass.RETRY_LATER and wait is None
    unheard_of = heard.code is None and heard.response is None
    speaker = later or reason
    return Verdict(
        heard.name,
        reason.row.kind if reason else DeclineClass.SOFT,
        charge_again=True,
        ask=Ask.NOTHING,
        disclose=heard.may_be_told,
        known=heard.code is not None,
        wait=wait,
        timed=later is not None and later.row.code in WAITS,
        at_most=FEW_RETRIES if unheard_of else None,
        quick=reason.row.min_wait if reason and quick else None,
        quick_retries=reason.row.max_retries if reason and quick else 0,
        technical=reason is not None and (reason.row.kind, reason.row.subclass) == TECHNICAL,
        said_by=speaker.said_by if speaker else "nobody",
        why=_why_again(heard, reason, wait, quick=quick),
    )


def _reason(heard: Heard) -> Word | None:
    """Choose the word that names the reason: the network's, unless it says little and another says more."""
    spoken = [word for word in (heard.response, heard.code, *heard.words) if word and not word.stops]
    telling = (word for word in spoken if word.row.subclass not in SAY_LITTLE)
    return next(iter((*telling, *spoken)), None)


def _why_again(heard: Heard, reason: Word | None, wait: timedelta | None, *, quick: bool) -> str:
    if heard.later and wait:
        named = heard.later.said_by.removeprefix("Mastercard ")
        return f"the issuer asked for {spell_duration(wait)} ({named})"
    if heard.code is None and heard.response is None:
        what = (
            f"the decline code {heard.name} is not in the table" if heard.said.code else "no reason was given"
        )
        return f"{what}: soft, {FEW_RETRIES} retries at most"
    assert reason is not None
    what = f"{_meaning(reason.row)} ({_inside(reason)})"
    if quick and reason.row.min_wait:
        return f"{what}: again after {spell_duration(reason.row.min_wait)}"
    return f"{what}: it may be charged again"


def _inside(word: Word) -> str:
    """Give whose word it is as it stands between brackets: ``Visa 41, category 1``."""
    return word.said_by.replace(" (", ", ").removesuffix(")")


def _meaning(row: DeclineRow) -> str:
    """Give the meaning as it stands inside a sentence."""
    return row.meaning[:1].lower() + row.meaning[1:] if row.meaning[1:2].islower() else row.meaning
