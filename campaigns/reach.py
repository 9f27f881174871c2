"""What can hold together: conditions against each other, against the segment, and against what came before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.declines import DeclineClass, Said
from campaigns.document import CHARGE
from campaigns.money import minor_units, spell_money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.conditions import Conditions
    from campaigns.document import Campaign
    from campaigns.forms import Form, Known
    from campaigns.segments import Takes

# The issuer's advice outranks the code: a decline of any code may turn out to be one of these.
BY_ADVICE = frozenset({DeclineClass.HARD, DeclineClass.NEEDS_CUSTOMER})


def never_together(*parts: Conditions | Takes) -> str | None:
    """Name what of all that is fixed in a case can never be as every part asks, or None where it can."""
    for name in ("plan", "currency"):
        if _none_in_all(getattr(part, name) for part in parts):
            return name
    names = [name for part in parts for name in part.attributes]
    for name in names:
        if _none_in_all(part.attributes.get(name, ()) for part in parts):
            return f"attribute '{name}'"
    return "amount" if _no_amount_left(parts) else None


def _none_in_all(lists: Iterable[Iterable[object]]) -> bool:
    wanted = [set(values) for values in map(tuple, lists) if values]
    return bool(wanted) and not set.intersection(*wanted)


def _no_amount_left(parts: Iterable[Conditions | Takes]) -> bool:
    """Whether no amount of any currency is in the ranges of all parts."""
    lists = [part.amount for part in parts if part.amount]
    if not lists:
        return False
    named = [set(part.currency) for part in parts if part.currency]
    allowed = set.intersection(*(set(ranges) for ranges in lists), *named)
    return not any(
        _is_open([(ranges[code].at_least, ranges[code].below) for ranges in lists], code) for code in allowed
    )


def _is_open(bounds: Iterable[tuple[str | None, str | None]], currency: str) -> bool:
    pairs = list(bounds)
    lows = [minor_units(low, currency) for low, _ in pairs if low is not None]
    highs = [minor_units(high, currency) for _, high in pairs if high is not None]
    return not highs or max(lows, default=0) < min(highs)


def below_the_minimum(part: Conditions | Takes, campaign: Campaign) -> str | None:
    """Say which amounts are not worked where a part is for no others, or None."""
    if not part.amount or not campaign.minimum:
        return None
    for currency, amounts in part.amount.items():
        least = campaign.smallest(currency)
        if amounts.below is None or minor_units(amounts.below, currency) > least:
            return None
    currency = next(iter(part.amount))
    return f"amounts below {spell_money(campaign.smallest(currency), currency)} are not worked"


def contradicts_itself(conditions: Conditions, known: Known) -> str | None:
    """Say why conditions can never all hold, or None where they can."""
    fixed = never_together(conditions)
    if fixed:
        return f"no {fixed} is as it asks"
    attempts = conditions.attempts
    if attempts and attempts.at_most is not None and attempts.at_least > attempts.at_most:
        return f"no number is {attempts.at_least} or more and {attempts.at_most} or fewer"
    if conditions.mail_opened is False and conditions.link_clicked:
        return "whose link was used, that mail was opened"
    if conditions.decline and conditions.decline_class:
        judged = {code: known.declines.judge(Said(code), known.on) for code in conditions.decline}
        kinds = {verdict.kind for verdict in judged.values()} | BY_ADVICE
        if all(verdict.known for verdict in judged.values()) and not kinds & set(conditions.decline_class):
            code = conditions.decline[0]
            return f"the decline {code} is of the class {judged[code].kind}"
    return None


def can_both_hold(form: Form, first: int, second: int) -> bool:
    """Whether one case may do both of two steps, the first of them first.

    A decline stays as it is until the card is charged again; a mail once opened stays opened.
    """
    before, after = form.steps[first].only_if, form.steps[second].only_if
    if never_together(before, after, form.campaign.takes):
        return False
    if (before.mail_opened or before.link_clicked) and after.mail_opened is False:
        return False
    if before.link_clicked and after.link_clicked is False:
        return False
    charges = len([number for number in form.doing(CHARGE) if first <= number < second])
    if not _attempts_agree(before, after, charges):
        return False
    return bool(charges) or not (
        _none_in_all((before.decline_class, after.decline_class))
        or _none_in_all((before.decline, after.decline))
    )


def _attempts_agree(before: Conditions, after: Conditions, charges: int) -> bool:
    """Whether so many charges lead from the attempts that one asks for to those of the other."""
    if before.attempts is None or after.attempts is None:
        return True
    at_most = before.attempts.at_most
    too_many = after.attempts.at_most is not None and before.attempts.at_least > after.attempts.at_most
    too_few = at_most is not None and at_most + charges < after.attempts.at_least
    return not too_many and not too_few


def chargeable(conditions: Conditions, known: Known) -> bool:
    """Whether a card is ever charged again after one of the declines that are asked for."""
    codes = conditions.decline or tuple(known.declines.codes())
    return any(
        verdict.charge_again
        for verdict in (known.declines.judge(Said(code), known.on) for code in codes)
        if not conditions.decline_class or verdict.kind in conditions.decline_class
    )


def most_together(form: Form, numbers: list[int]) -> list[int]:
    """Choose of these steps as many as one case may do, each with each of the others."""
    best: list[int] = []
    for start in range(len(numbers)):
        if len(numbers) - start <= len(best):
            break
        chosen: list[int] = []
        for number in numbers[start:]:
            if all(can_both_hold(form, earlier, number) for earlier in chosen):
                chosen.append(number)
        best = max(best, chosen, key=len)
    return best
