"""Checks for what can never be: steps that no case reaches, and a segment that takes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.declines import Said
from campaigns.document import CHARGE
from campaigns.reach import (
    below_the_minimum,
    can_both_hold,
    chargeable,
    contradicts_itself,
    most_together,
    never_together,
)
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.document import Campaign
    from campaigns.forms import Form, Known
    from campaigns.source import Source
    from errors import Fault

UNREACHED = "no case ever reaches this step"
AMEND = "change 'only_if', or leave the step out"


def faults_of_segment(source: Source, campaign: Campaign, known: Known) -> Iterator[Fault]:
    """Find a segment that no failure is in."""
    takes = campaign.takes
    lacking = never_together(takes)
    if lacking:
        yield source.fault(("takes",), f"no failure is ever taken: no {lacking} is as the segment asks")
    if takes.decline and takes.decline_class:
        judged = [known.declines.judge(Said(code), known.on) for code in takes.decline]
        kinds = {verdict.kind for verdict in judged}
        if all(verdict.known for verdict in judged) and not kinds & set(takes.decline_class):
            yield source.fault(
                ("takes", "decline"),
                f"hardly a failure is taken: the decline {judged[0].code} is of the class {judged[0].kind}",
                "leave out 'decline' or 'decline_class'",
                Severity.WARNING,
            )
    too_small = below_the_minimum(takes, campaign)
    if too_small:
        yield source.fault(("takes", "amount"), f"no failure is ever worked: {too_small}")


def faults_of_reach(form: Form, known: Known) -> Iterator[Fault]:
    """Find steps that no case ever reaches, and retries that are never made."""
    takes = form.campaign.takes
    for number, step in enumerate(form.steps):
        asked = step.only_if
        contradiction = contradicts_itself(asked, known)
        if contradiction is None and (fixed := never_together(asked, takes)):
            contradiction = f"the campaign takes no {fixed} that it asks for"
        contradiction = contradiction or below_the_minimum(asked, form.campaign)
        if contradiction:
            yield form.of_step(number, f"{UNREACHED}: {contradiction}", AMEND)
            continue
        yield from _not_without_a_mail(form, number)
        yield from _too_few_charges(form, number)
        yield from _decline_not_taken(form, number)
        if step.retry and not chargeable(asked, known):
            named = ", ".join(asked.decline or asked.decline_class)
            yield form.of_step(
                number,
                f"its retry is never made: after such a decline ({named}) no card is charged again",
                "leave out 'retry', or let the step be for other declines",
            )


def _not_without_a_mail(form: Form, number: int) -> Iterator[Fault]:
    asked = form.steps[number].only_if
    if not (asked.mail_opened or asked.link_clicked):
        return
    if not any(can_both_hold(form, mail, number) for mail in form.mails if mail < number):
        what = "a mail was opened" if asked.mail_opened else "a link was used"
        yield form.of_step(
            number, f"{UNREACHED}: it asks whether {what}, and no mail is sent before it", AMEND
        )


def _too_few_charges(form: Form, number: int) -> Iterator[Fault]:
    attempts = form.steps[number].only_if.attempts
    if attempts is None:
        return
    before = [retry for retry in form.doing(CHARGE) if retry < number and can_both_hold(form, retry, number)]
    possible = len(most_together(form, before))
    if attempts.at_least > possible:
        yield form.of_step(
            number,
            f"{UNREACHED} by its schedule: it asks for {attempts.at_least} charges, and the steps before it"
            f" make {possible or 'none'}; only a new card or a person could add one",
            f"ask for {possible} or fewer" if possible else AMEND,
            Severity.WARNING,
        )


def _decline_not_taken(form: Form, number: int) -> Iterator[Fault]:
    """Find a step for declines that the segment leaves to others, with no charge before it to be declined."""
    asked, takes = form.steps[number].only_if, form.campaign.takes
    if any(retry < number for retry in form.doing(CHARGE)):
        return
    for name in ("decline", "decline_class"):
        wanted, taken = getattr(asked, name), getattr(takes, name)
        if wanted and taken and not set(wanted) & set(taken):
            yield form.of_step(
                number,
                f"{UNREACHED} before a new card is declined: the campaign takes no {name} {', '.join(wanted)}",
                AMEND,
                Severity.WARNING,
            )
