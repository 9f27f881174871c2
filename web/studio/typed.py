"""The forms of the timeline as they are filled in: by what a campaign says, and then by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from campaigns.changes import Timing
from campaigns.editing import length_in_full

if TYPE_CHECKING:
    from campaigns.document import Campaign, End, Step


class Beside(BaseModel):
    """What every form sends along: the YAML as it stands in its field, and the digest of what was there first."""

    document: str | None = None
    seen: str = ""


class StepTyped(Beside):
    """A step's form, of one that is there or of a new one."""

    do: Literal["save", "earlier", "later", "remove"] = "save"
    arm: str = ""
    id: str = ""
    time: str = ""
    counted: Literal["after", "before_end"] = "after"
    jitter: str = ""
    retry: bool = False
    access: str = ""
    message: str = ""
    alert: str = ""

    @property
    def timing(self) -> Timing:
        """When the step is."""
        return Timing(self.time, before_end=self.counted == "before_end")


class EndTyped(Beside):
    """The form of an end."""

    arm: str = ""
    after: str = ""
    action: str = ""
    message: str = ""


class TitleTyped(Beside):
    """The form of what people call the campaign."""

    title: str = ""
    description: str = ""


class WindowTyped(Beside):
    """The form of the hours and days of mails or of charges."""

    hours: str = ""
    quiet: str = ""
    days: list[str] = []
    holidays: bool = False


class RulesTyped(Beside):
    """The form of the rules for the whole campaign."""

    grace: str = ""
    spacing: str = ""
    retries: int = 0
    timezone: str = ""


def form_of_step(step: Step, arm: str) -> StepTyped:
    """Fill in a step's form."""
    length = step.after if step.before_end is None else step.before_end
    assert length is not None
    return StepTyped(
        arm=arm,
        id=step.id,
        time=length_in_full(length),
        counted="after" if step.before_end is None else "before_end",
        jitter=length_in_full(step.jitter) if step.jitter else "",
        retry=step.retry,
        access=step.access or "",
        message=step.message or "",
        alert=step.alert or "",
    )


def form_of_end(end: End, arm: str) -> EndTyped:
    """Fill in the form of an end."""
    return EndTyped(arm=arm, after=length_in_full(end.after), action=end.action, message=end.message or "")


def form_of_rules(campaign: Campaign) -> RulesTyped:
    """Fill in the form of the rules."""
    return RulesTyped(
        grace=length_in_full(campaign.grace) if campaign.grace else "",
        spacing=length_in_full(campaign.spacing),
        retries=campaign.retries,
        timezone=campaign.calendar.timezone,
    )
