"""What would hurt in a campaign, found before anybody is charged or written to.

``reading.py`` finds what does not parse or cannot be meant; all of that are errors. What is found here:

=========================================================================================  =======
found                                                                                      kind
=========================================================================================  =======
a template that does not exist or cannot be sent, anywhere in the campaign                 error
a decline, country, currency, interval or processor that is not known, another being near  error
the same where no other is near: it may be new                                             warning
a segment that no failure is in, or whose amounts are all below the minimum                error
a segment whose declines and classes do not go together                                    warning
a step that no case ever reaches: its conditions contradict each other, the segment or
the minimum, or it asks what became of a mail when none was sent                           error
a step that asks for more charges than are made before it                                  warning
a step for declines that the segment does not take, with no charge before it               warning
a retry for declines after which no card is charged again                                  error
two mails closer than ``spacing``, in any arm, jitter and the end's message counted in     error
more attempts on one card than a card network allows in its window                         error
the same for a limit of one country, where the segment names no countries                  warning
a hard decline, or one that the customer has to confirm, that sends nothing                error
a final action that takes something away, and no message says so before it                 error
the same where the last message that says so is long past                                  warning
an approval that lets a step go on when the campaign is over                               error
an approval that may come then                                                             warning
hours or days that can put a mail, after its charge, or a retry off until the next one, or
past the end                                                                               warning
the same for an answer that lets an older step go on after a newer one                     warning
hours, a charge that a mail follows, a share of jitter at an opening, or an approval, that
can bring two mails closer together than ``spacing``                                       warning
a payday that can be past the end                                                          warning
promises to pay for days that are past the end whenever they are made                      warning
``reinstate`` after ``cancel_now``, which no processor can undo                            error
holdouts that get more than half of the customers; an arm that gets none                   warning
an approval in shadow, which nobody is asked for                                           warning
=========================================================================================  =======

An error keeps a campaign from being published. A warning is shown, and stops only a strict check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.checking_course import faults_of_course
from campaigns.checking_reach import faults_of_reach, faults_of_segment
from campaigns.checking_times import faults_of_times
from campaigns.checking_words import faults_in_templates, faults_in_words, faults_in_words_of_steps
from campaigns.document import FinalAction, Mode
from campaigns.forms import Known, forms_of, merged
from campaigns.reading import campaign_from
from campaigns.source import Source
from errors import BadCampaign, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.document import Campaign
    from campaigns.forms import Form
    from errors import Fault

__all__ = ["Checked", "Known", "check", "check_campaign"]

HALF = 0.5


@dataclass(frozen=True)
class Checked:
    """What a check found; ``campaign`` is None where the document could not be read as one."""

    campaign: Campaign | None
    faults: tuple[Fault, ...]

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What keeps the campaign from being published."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What is only shown."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.WARNING)


def check_campaign(text: str, *, file: str, known: Known) -> Campaign:
    """Give a document's campaign; raises BadCampaign with all its faults where one of them is an error."""
    checked = check(text, file=file, known=known)
    if checked.campaign is None or checked.errors:
        raise BadCampaign(checked.faults)
    return checked.campaign


def check(text: str, *, file: str, known: Known) -> Checked:
    """Find all faults of a document, errors and warnings, in order of lines."""
    try:
        source = Source(text, file)
        campaign = campaign_from(source)
    except BadCampaign as bad:
        return Checked(None, bad.faults)
    forms = forms_of(source, campaign)
    found = [*_of_the_whole(source, campaign, known)]
    found += merged((fault for form in forms for fault in _of_a_form(form, known)), forms)
    return Checked(campaign, tuple(sorted(dict.fromkeys(found), key=lambda fault: fault.line)))


def _of_the_whole(source: Source, campaign: Campaign, known: Known) -> Iterator[Fault]:
    yield from faults_in_words(source, campaign, known)
    yield from faults_of_segment(source, campaign, known)
    yield from _faults_of_arms(source, campaign)


def _of_a_form(form: Form, known: Known) -> Iterator[Fault]:
    yield from faults_in_templates(form, known)
    yield from faults_in_words_of_steps(form, known)
    yield from faults_of_reach(form, known)
    yield from faults_of_times(form, known)
    yield from faults_of_course(form, known)
    yield from _faults_of_end(form)
    yield from _faults_in_shadow(form)


def _faults_in_shadow(form: Form) -> Iterator[Fault]:
    if form.campaign.mode is not Mode.SHADOW:
        return
    for number, step in enumerate(form.steps):
        if step.approval:
            becomes = "always goes on" if step.approval.otherwise == "go on" else "is always skipped"
            yield form.fault(
                form.at("steps", number, "approval"),
                f"in shadow nobody is asked for an approval: the step {becomes} after the time to answer",
                "leave the approval out, or know that the comparison is of unanswered ones",
                Severity.WARNING,
            )


def _faults_of_end(form: Form) -> Iterator[Fault]:
    end = form.campaign.end
    if end.late_payment.then == "reinstate" and end.action is FinalAction.CANCEL_NOW:
        yield form.fault(
            form.at("end", "late_payment", "then"),
            "a late payment cannot give back a subscription that is cancelled at once",
            "'then: alert', or an action that can be undone: mark_unpaid, pause, cancel_at_period_end",
        )


def _faults_of_arms(source: Source, campaign: Campaign) -> Iterator[Fault]:
    total = sum(arm.weight for arm in campaign.arms)
    for number, arm in enumerate(campaign.arms):
        if arm.weight == 0:
            yield source.fault(
                ("arms", number, "weight"),
                "with a weight of 0 no new customer is in it",
                "give it a weight, or leave it out once its cases have ended",
                Severity.WARNING,
            )
    held = sum(arm.weight for arm in campaign.arms if arm.holdout)
    if held > total * HALF:
        number = next(number for number, arm in enumerate(campaign.arms) if arm.holdout)
        yield source.fault(
            ("arms", number, "weight"),
            f"{held} of {total} customers are held out: for more than half of them nothing is done",
            "give the holdout less weight",
            Severity.WARNING,
        )
