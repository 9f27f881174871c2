"""What has happened in a case so far, and what comes next: the planner's input and its answer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from campaigns.declines import Ask
from campaigns.document import AccessLevel, FinalAction
from campaigns.durations import Moment

if TYPE_CHECKING:
    from datetime import datetime


class Status(StrEnum):
    """Where a case stands."""

    WAITING = "waiting"
    CHARGING = "charging"
    PAUSED = "paused"
    NEEDS_REVIEW = "needs review"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a case ended."""

    RECOVERED = "recovered"
    RECOVERED_ELSEWHERE = "recovered elsewhere"
    CANCELLED = "cancelled"
    EXHAUSTED = "exhausted"
    VOIDED = "voided"
    UNCOLLECTIBLE = "uncollectible"
    DISPUTED = "disputed"
    EXCLUDED = "excluded"
    BELOW_MINIMUM = "below minimum"


class Trigger(StrEnum):
    """What caused a charge; only ``schedule`` counts toward a campaign's limit."""

    SCHEDULE = "schedule"
    CARD_UPDATED = "card_updated"
    BACKUP = "backup"
    OPERATOR = "operator"
    CUSTOMER = "customer"
    PROCESSOR = "processor"


class Lever(StrEnum):
    """What recovered a payment."""

    SCHEDULED_RETRY = "scheduled retry"
    CARD_UPDATE = "card update"
    BACKUP = "another stored card"
    CUSTOMER = "customer"
    OPERATOR = "operator"
    PROCESSOR = "processor"


LEVERS = {
    Trigger.SCHEDULE: Lever.SCHEDULED_RETRY,
    Trigger.CARD_UPDATED: Lever.CARD_UPDATE,
    Trigger.BACKUP: Lever.BACKUP,
    Trigger.OPERATOR: Lever.OPERATOR,
    Trigger.CUSTOMER: Lever.CUSTOMER,
    Trigger.PROCESSOR: Lever.PROCESSOR,
}


class Value(BaseModel):
    """A frozen value that travels through Temporal: new fields have defaults, unknown ones are dropped."""

    model_config = ConfigDict(frozen=True)


class Pending(Value):
    """A charge to be made at once, outside the schedule; ``method`` None is the processor's default."""

    id: str
    trigger: Trigger
    method: str | None = None


class Hold(Value):
    """An action that could not be done, or had better wait, and when to try it again.

    ``also`` are other actions that wait for the same time.
    """

    action: str
    until: Moment
    why: str
    also: tuple[str, ...] = ()

    def covers(self, action: str) -> bool:
        """Whether an action is held."""
        return action == self.action or action in self.also


class Advised(Value):
    """When the card may be tried again, by the issuer's word or after a trouble of the machines, and why.

    ``exact``: the issuer asked for it, and nothing is charged on schedule before. ``timed``: a charge is due
    then, also where no step of the campaign has one by that time; ``id`` is that charge's. ``firm``: it holds for
    a step that a person has put to another time, too.
    """

    id: str
    at: Moment
    why: str
    exact: bool = True
    timed: bool = True
    firm: bool = False


class Pause(Value):
    """A person's stop of everything scheduled; ``until`` None lasts until somebody resumes."""

    by: str
    why: str
    until: Moment | None = None


class Unsettled(Value):
    """A charge of which nobody knows whether it was made."""

    id: str
    trigger: Trigger
    method: str | None = None
    since: Moment
    until: Moment


class UnderWay(Value):
    """A charge that the bank has and answers in days; ``until`` is when it is asked for if nobody tells."""

    id: str
    trigger: Trigger
    method: str | None = None
    since: Moment
    until: Moment


class Beside(Value):
    """The processor's own retries of the invoice, which go on; while they do, nothing is charged by us.

    ``until`` is when the processor charges next, ``look_at`` when it is asked whether it still will. ``refused``
    says that they were to be switched off, and that this failed.
    """

    until: Moment
    look_at: Moment
    refused: bool = False


class Ending(Value):
    """The outcome that has been reached, with whatever names it fully."""

    outcome: Outcome
    lever: Lever | None = None
    by: str | None = None
    final_action: FinalAction | None = None
    at: Moment | None = None
    why: str = ""


class Story(Value):
    """The state of one case: all that a plan depends on besides the campaign and the time.

    ``done`` maps an action's id (``day-1.charge``) to when it was done; ``passed`` lists those that
    never will be, because something later took their place, the step is for other cases, or a person
    skipped them. ``timezone`` is None where neither the customer's own nor their country's only one is
    known. ``put_past`` are those among ``passed`` that only a move to another version left behind: a further
    move takes them up again. ``opened_at`` and ``clicked_at`` are the first time that a mail was opened or a link used.
    ``awake_until`` is how long the customer waits for an answer to what they did by hand, at whatever hour.
    ``few_until`` is how many scheduled charges there may be while the decline code is one that nobody knows.
    ``sought`` are the cards in whose place another stored one was looked for and there is none left to try.
    ``charged_back``: the payment had been recovered and was disputed, so that nothing is charged and a person decides.
    ``revoked`` says that the customer told the bank to stop such payments. ``budget`` says how often the card has
    been tried, such as ``3 of 20 attempts used``. In ``shadow`` everything is only imagined: what is done, passed,
    counted or taken away is what would have been.
    """

    case_id: str
    workflow_id: str
    processor: str
    account: str
    invoice: str
    episode: int = 1
    livemode: bool = False
    customer: str = ""
    subscription: str | None = None
    amount: int = 0
    currency: str = ""
    failed_at: Moment
    plan: str | None = None
    interval: str | None = None
    country: str | None = None
    timezone: str | None = None
    network: str | None = None

    campaign: str = ""
    version: int = 0
    arm: str = ""
    shadow: bool = False

    first_decline: str | None = None
    decline: str | None = None
    decline_class: str | None = None
    disclose: bool = True
    method: str | None = None
    has_card: bool = True
    blocked: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    ask: Ask = Ask.NOTHING

    charges: int = 0
    scheduled_charges: int = 0
    last_charge_at: Moment | None = None
    advised: Advised | None = None
    few_until: int | None = None
    revoked: bool = False
    budget: str = ""
    done: dict[str, Moment] = {}
    passed: tuple[str, ...] = ()
    put_past: tuple[str, ...] = ()
    moved: dict[str, Moment] = {}
    short_notice: bool = False
    awake_until: Moment | None = None

    pending: Pending | None = None
    card_notice: str | None = None
    look: str | None = None
    promise_at: Moment | None = None
    promises: int = 0
    hold: Hold | None = None
    unsettled: Unsettled | None = None
    under_way: UnderWay | None = None
    beside: Beside | None = None
    paused: Pause | None = None
    review: str | None = None
    charged_back: bool = False
    opened_at: Moment | None = None
    clicked_at: Moment | None = None
    access: AccessLevel = AccessLevel.FULL
    ending: Ending | None = None
    closed: bool = False
    seen: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def card_blocked(self) -> bool:
        """Whether the card on file was declined for good."""
        return (self.method or "default") in self.blocked

    def status(self, now: datetime) -> Status:
        """Say where the case stands; ``charging`` is known only to whoever makes the charge."""
        if self.closed or self.ending:
            return Status.CLOSED
        if self.review:
            return Status.NEEDS_REVIEW
        if self.paused and (self.paused.until is None or now < self.paused.until):
            return Status.PAUSED
        return Status.WAITING


class Action(StrEnum):
    """What a plan tells the workflow to do."""

    CHARGE = "charge"
    MESSAGE = "message"
    ACCESS = "access"
    ALERT = "alert"
    END = "end"
    LOOK = "look"
    WAIT = "wait"
    CLOSE = "close"


class Plan(Value):
    """The next action, when it is due, and why, in one plain sentence.

    ``at`` None means that only news can move the case. ``id`` is the action's stable id, from which
    its idempotency key is built. ``not_after`` is when a message would no longer be true. ``note`` is the text
    of an alert to the team; one whose id ends in ``.ask`` asks for an approval.
    """

    action: Action
    id: str
    at: Moment | None
    why: str
    step: str | None = None
    trigger: Trigger | None = None
    method: str | None = None
    template: str | None = None
    not_after: Moment | None = None
    access: AccessLevel | None = None
    note: str | None = None
    final_action: FinalAction | None = None
