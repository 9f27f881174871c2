"""What a campaign says, in sentences for people who read no YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.document import AccessLevel, FinalAction
from campaigns.durations import spell_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaigns.conditions import Conditions
    from campaigns.document import Approval, Arm, Campaign, LatePayment
    from campaigns.grammar import AmountRange, CountRange
    from campaigns.segments import Takes

ENDS = {
    FinalAction.CANCEL_NOW: "the subscription is cancelled at once",
    FinalAction.CANCEL_AT_PERIOD_END: "the subscription is cancelled at the end of the period that is paid for",
    FinalAction.MARK_UNPAID: "the subscription is marked unpaid",
    FinalAction.PAUSE: "the subscription is paused",
    FinalAction.LEAVE: "the subscription is left as it is",
}
ACCESS = {
    AccessLevel.FULL: "access becomes full again",
    AccessLevel.LIMITED: "access is limited",
    AccessLevel.BLOCKED: "access is blocked",
}


def either(words: Iterable[str]) -> str:
    """Join words of which one has to be: ``EUR, USD or GBP``."""
    *first, last = list(words)
    return f"{', '.join(first)} or {last}" if first else last


def template_in_words(template: str) -> str:
    """Name a message as people do: ``payment failed``."""
    return template.replace("_", " ").replace("-", " ")


# --- whom a campaign is for ------------------------------------------------------------------------


def takes_in_words(takes: Takes, *, is_default: bool = False) -> str:
    """Say which failures a campaign takes, in one sentence."""
    criteria = _criteria(takes)
    if criteria:
        words = f"Takes failures {'; '.join(criteria)}."
        return (
            f"{words} It is the default as well: what no segment takes comes here too."
            if is_default
            else words
        )
    if is_default:
        return "The default: takes every failure that no segment takes."
    return "Takes nothing by itself: whoever reports a failure has to name it."


def _criteria(takes: Takes) -> list[str]:
    listed = (
        ("of the plan ", takes.plan),
        ("billed by the ", takes.interval),
        ("in ", takes.currency),
        ("of customers in ", takes.country),
        ("at ", takes.processor),
        ("whose decline is ", takes.decline_class),
        ("declined for ", [code.replace("_", " ") for code in takes.decline]),
        ("of customers tagged ", takes.tags),
    )
    found = [f"{words}{either(values)}" for words, values in listed if values]
    found += [f"of {words}" for words in _amounts(takes.amount)]
    found += [f"of customers whose {name} is {either(values)}" for name, values in takes.attributes.items()]
    if takes.failure:
        first = takes.failure == "first"
        found.append("that are the customer's first" if first else "of customers who had failures before")
    if found and takes.first_payments:
        found.append("first payments at sign-up included")
    if found and takes.sent_invoices:
        found.append("invoices sent for payment included")
    return found


def also_takes(takes: Takes) -> str:
    """Say which kinds of failures, left alone as a rule, the campaign works as well; empty where none."""
    kinds = [
        ("first payments at sign-up", takes.first_payments),
        ("invoices sent for payment", takes.sent_invoices),
    ]
    asked = [words for words, is_taken in kinds if is_taken]
    return f"Works {' and '.join(asked)} too." if asked else ""


def _amounts(ranges: dict[str, AmountRange]) -> list[str]:
    words = []
    for currency, part in ranges.items():
        limits = [f"{part.at_least} or more"] if part.at_least is not None else []
        limits += [f"less than {part.below}"] if part.below is not None else []
        words.append(f"{' and '.join(limits)} {currency}")
    return [either(words)] if words else []


def minimum_in_words(campaign: Campaign) -> str:
    """Say which amounts are too small to be worked; empty where none is."""
    if not campaign.minimum:
        return ""
    least = either(f"{text} {currency}" for currency, text in campaign.minimum.items())
    return f"Failures of less than {least} are left alone."


# --- steps -----------------------------------------------------------------------------------------


def conditions_in_words(asked: Conditions) -> list[str]:
    """Say what has to hold when a step is due, each in a few words; empty where it is done in any case."""
    listed = (
        ("the decline is ", asked.decline_class),
        ("the decline is ", [code.replace("_", " ") for code in asked.decline]),
        ("the currency is ", asked.currency),
        ("the plan is ", asked.plan),
    )
    found = [f"{words}{either(values)}" for words, values in listed if values]
    found += [f"the amount is {words}" for words in _amounts(asked.amount)]
    found += [f"the customer's {name} is {either(values)}" for name, values in asked.attributes.items()]
    if asked.attempts:
        found.append(_attempts(asked.attempts))
    if asked.mail_opened is not None:
        found.append("a mail was opened by then" if asked.mail_opened else "no mail was opened by then")
    if asked.link_clicked is not None:
        found.append("a link was used by then" if asked.link_clicked else "no link was used by then")
    return found


def _attempts(count: CountRange) -> str:
    if count.at_most is None:
        return f"{count.at_least} or more charges were made"
    if count.at_least == count.at_most:
        return f"{count.at_most} charges were made"
    if not count.at_least:
        return f"no more than {count.at_most} charges were made"
    return f"{count.at_least} to {count.at_most} charges were made"


def approval_in_words(approval: Approval) -> str:
    """Say who is asked before a step, and what happens in silence."""
    silence = "it is done all the same" if approval.otherwise == "go on" else "it is left out"
    return (
        f"A person has to approve it; if nobody answers within {spell_duration(approval.within)}, {silence}."
    )


def late_payment_in_words(late: LatePayment) -> str:
    """Say what a payment does that comes after the end."""
    what = "the subscription is given back" if late.then == "reinstate" else "the team is told"
    return f"If it is paid within {spell_duration(late.within)} after that, {what}."


# --- variants --------------------------------------------------------------------------------------


def arms_in_words(arms: Sequence[Arm]) -> list[tuple[Arm, str]]:
    """Say of each arm how many customers are in it and what is different for them."""
    total = sum(arm.weight for arm in arms)
    found = []
    for arm in arms:
        share = f"{arm.weight / total:.0%} of customers" if total else "no customers"
        own = [
            name
            for name, part in (("steps", arm.steps), ("end", arm.end), ("messages", arm.messages))
            if part
        ]
        if arm.holdout:
            what = "held out: nothing is done, so that it can be seen what the processor brings by itself"
        else:
            what = f"with {' and '.join(own)} of its own" if own else "as the campaign says"
        found.append((arm, f"{share}, {what}"))
    return found
