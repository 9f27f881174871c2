"""A campaign as its authors write it: one YAML document, checked by pydantic."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from itertools import compress
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from campaigns.calendars import Calendar
from campaigns.conditions import Conditions
from campaigns.durations import Duration, spell_duration
from campaigns.grammar import Amount, Currency, Name, Part, refuse_wrong_amounts
from campaigns.money import minor_units
from campaigns.segments import Takes

ONE_DAY = timedelta(hours=24)
NO_TIME = timedelta(0)
END = "end"


class FinalAction(StrEnum):
    """What becomes of the subscription when nothing worked."""

    CANCEL_NOW = "cancel_now"
    CANCEL_AT_PERIOD_END = "cancel_at_period_end"
    MARK_UNPAID = "mark_unpaid"
    PAUSE = "pause"
    LEAVE = "leave"


class Mode(StrEnum):
    """Whether a campaign acts, or only says what it would do."""

    LIVE = "live"
    SHADOW = "shadow"


class AccessLevel(StrEnum):
    """How much of the product a customer keeps, from the mildest to the strictest."""

    FULL = "full"
    LIMITED = "limited"
    BLOCKED = "blocked"

    @property
    def strictness(self) -> int:
        """Rank the levels: the strictest that any open case asks for is the customer's."""
        return list(AccessLevel).index(self)


class Channel(StrEnum):
    """How a message reaches the customer."""

    EMAIL = "email"


class Approval(Part):
    """A person is asked before a step is done; ``otherwise`` says what happens when nobody answers."""

    within: Duration = Field(description="How long a person has to answer.")
    otherwise: Literal["go on", "skip"] = Field(description="What becomes of the step when nobody answered.")


class Step(Part):
    """What happens at one moment: a retry, an access change, a message, an alert, in that order."""

    id: Name = Field(description="Stable name; progress of running cases is kept under it.")
    after: Duration | None = Field(
        default=None, description="Time since the failed attempt, such as '3 days' or '36h'."
    )
    before_end: Duration | None = Field(
        default=None, description="Time before the end of the campaign, in place of 'after'."
    )
    jitter: Duration = Field(
        default=NO_TIME,
        description="Each case is later by its own share of this, so that many do not charge at once.",
    )
    only_if: Conditions = Field(
        default=Conditions(), description="What has to hold, looked at when it is due."
    )
    approval: Approval | None = Field(default=None, description="Wait for a person's approval first.")
    retry: bool = Field(default=False, description="Charge the customer's current card.")
    access: AccessLevel | None = Field(default=None, description="Set the customer's access level.")
    message: Name | None = Field(default=None, description="Template of the message to send.")
    channel: Channel = Field(default=Channel.EMAIL, description="How the message is sent.")
    alert: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        default=None, description="What the team is told."
    )

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.retry or self.access or self.message or self.alert):
            message = "does nothing: give it a retry, a message, an access level or an alert"
            raise ValueError(message)
        if (self.after is None) is (self.before_end is None):
            message = "needs a time: either 'after' or 'before_end'"
            raise ValueError(message)
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Name what the step does, in the order in which it is done."""
        return tuple(compress(KINDS, (self.retry, self.access, self.message, self.alert)))


CHARGE, ACCESS, MESSAGE, ALERT, ASK = "charge", "access", "message", "alert", "ask"
KINDS = (CHARGE, ACCESS, MESSAGE, ALERT)


class LatePayment(Part):
    """What a payment does that comes after the final action."""

    within: Duration = Field(
        default=timedelta(days=60), description="How long after the end a payment is still recognised."
    )
    then: Literal["alert", "reinstate"] = Field(
        default="alert",
        description="Tell a person, or undo the final action where the processor can, and tell one where not.",
    )


class End(Part):
    """What happens when the campaign has run out."""

    after: Duration = Field(description="Time since the failed attempt.")
    action: FinalAction = Field(description="What becomes of the subscription.")
    message: Name | None = Field(default=None, description="Template of a mail after the final action.")
    late_grace: Duration = Field(
        default=ONE_DAY,
        description="When a case gets here late, the time between the last notice and the final action.",
    )
    late_payment: LatePayment = LatePayment()


class Messages(Part):
    """Templates by occasion.

    A step that sends ``failed`` sends ``new_card`` or ``confirm`` in its place when that is what the
    customer has to do. In place of all three goes ``revoked``, a question, where the customer told the bank to
    stop such payments. A message with a purpose of its own (``last_notice``, say) is kept and adapts.
    """

    failed: Name = "payment_failed"
    new_card: Name = "new_card_needed"
    confirm: Name = "confirm_payment"
    revoked: Name = "did_you_mean_to_cancel"
    card_declined: Name = "card_declined"
    last_notice: Name = "last_notice"
    receipt: Name | None = None


class Promise(Part):
    """A customer may choose a day on which the card is charged; until then no message is sent."""

    within: Duration = Field(default=timedelta(days=7), description="How far ahead that day may be.")
    times: int = Field(default=1, ge=1, le=5, description="How often in one case.")

    @field_validator("within")
    @classmethod
    def _reaches_a_day(cls, value: timedelta) -> timedelta:
        if value < ONE_DAY:
            message = "leaves no day to choose: give it a day or more"
            raise ValueError(message)
        return value


class Arm(Part):
    """One variant of a campaign; what it leaves out is the campaign's own.

    A holdout gets nothing from Dunwell, so that what the processor does by itself can be compared.
    """

    name: Name
    weight: int = Field(ge=0, le=1000, description="How many customers, in relation to the other arms.")
    holdout: bool = Field(default=False, description="Do nothing: leave it to the processor.")
    steps: tuple[Step, ...] | None = Field(default=None, min_length=1)
    end: End | None = None
    messages: Messages | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if self.holdout and (self.steps or self.end or self.messages):
            message = "is a holdout and so has no steps, end or messages of its own"
            raise ValueError(message)
        return self


class Campaign(Part):
    """One campaign: its steps in order of time, and its end."""

    name: Name
    title: str = Field(default="", description="What people call it.")
    description: str = ""
    mode: Mode = Field(
        default=Mode.LIVE,
        description="'shadow': every decision is made and recorded, and nothing is charged or sent.",
    )
    takes: Takes = Takes()
    minimum: dict[Currency, Amount] = Field(
        default={}, description="Smallest amount that is worked, by currency, such as EUR: '1.00'."
    )
    grace: Duration = Field(
        default=NO_TIME, description="Time in which access stays full, whatever else happens."
    )
    retries: int = Field(
        default=8, ge=0, le=20, description="Most scheduled charges in one case (a card update's is extra)."
    )
    backup_card: bool = Field(
        default=False,
        description="After a hard decline, charge another stored card, where the customer's consent is on record.",
    )
    extra_charges: bool = Field(
        default=True,
        description="Charge besides the steps when the issuer names a time, or soon after technical trouble.",
    )
    spacing: Duration = Field(
        default=timedelta(hours=12), description="Least time between two mails to one customer."
    )
    mails_a_week: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Most mails to one customer in seven days, over all their cases; left out, no limit.",
    )
    on_new_card: Literal["all", "oldest first", "newest first"] = Field(
        default="all",
        description="Which of a customer's open invoices are charged at once when they give a new card.",
    )
    calendar: Calendar = Calendar()
    promise: Promise | None = Field(
        default=None, description="Days that a customer may promise to pay on; left out, none is offered."
    )
    messages: Messages = Messages()
    arms: tuple[Arm, ...] = Field(default=(), description="Variants; each customer is in one of them.")
    steps: tuple[Step, ...] = Field(min_length=1)
    end: End

    @field_validator("minimum")
    @classmethod
    def _amounts_of_their_currency(cls, value: dict[str, str]) -> dict[str, str]:
        refuse_wrong_amounts({currency: (text,) for currency, text in value.items()})
        return value

    @model_validator(mode="after")
    def _tells_one_story(self) -> Self:
        faults = self._faults_of(self.steps, self.end, "steps")
        for place, arm in enumerate(self.arms):
            if arm.name in [other.name for other in self.arms[:place]]:
                faults.append(f"arms.{place}: the arm '{arm.name}' stands twice")
            if arm.steps or arm.end:
                faults += self._faults_of(arm.steps or self.steps, arm.end or self.end, f"arms.{place}.steps")
        if self.arms and not sum(arm.weight for arm in self.arms):
            faults.append("arms: the weights are all 0, so that no customer is in any of them")
        if self.arms and all(arm.holdout for arm in self.arms):
            faults.append("arms: every arm is a holdout, so that nobody is written to or charged")
        if faults:
            raise ValueError("\n".join(dict.fromkeys(faults)))
        return self

    def _faults_of(self, steps: tuple[Step, ...], end: End, where: str) -> list[str]:
        ids, faults = [step.id for step in steps], []
        times = [offset(step, end) for step in steps]
        for place, (step, time) in enumerate(zip(steps, times, strict=True)):
            here = f"{where}.{place}"
            if step.id in ids[:place] or step.id == END:
                faults.append(f"{here}: the id '{step.id}' is used twice")
            if time + step.jitter >= end.after:
                faults.append(
                    f"{here}: comes at {spell_duration(time + step.jitter)},"
                    f" not before the end at {spell_duration(end.after)}"
                )
            if time < NO_TIME or (step.before_end is not None and time == NO_TIME):
                faults.append(
                    f"{here}: comes before the failure itself: the campaign lasts {spell_duration(end.after)}"
                )
            if place and time < times[place - 1] + steps[place - 1].jitter + timedelta(seconds=1):
                faults.append(f"{here}: does not come after the step before it: order steps by time")
            if step.access not in {None, AccessLevel.FULL} and time < self.grace:
                faults.append(
                    f"{here}: takes access away at {spell_duration(time)},"
                    f" inside the grace period of {spell_duration(self.grace)}"
                )
        if sum(step.retry for step in steps) > self.retries:
            faults.append(f"retries: the steps charge more often than the limit of {self.retries} allows")
        return faults

    @property
    def is_holdout(self) -> bool:
        """Whether this is the course of a case that is left to the processor: ``for_case`` makes such."""
        return len(self.arms) == 1 and self.arms[0].holdout

    def smallest(self, currency: str) -> int:
        """Give the smallest amount worked in a currency, in minor units; 0 where none is set."""
        text = self.minimum.get(currency.upper())
        return minor_units(text, currency) if text else 0

    def step(self, step_id: str) -> Step | None:
        """Find a step by its stable id."""
        return next((step for step in self.steps if step.id == step_id), None)

    def templates(self) -> set[str]:
        """Name every mail template that some case of this campaign, in any arm, could send."""
        named: set[str | None] = set()
        forms: tuple[Campaign | Arm, ...] = (self, *self.arms)
        for part in forms:
            named |= {step.message for step in part.steps or ()}
            named |= {part.end.message} if part.end else set()
            if part.messages:
                named |= {getattr(part.messages, field) for field in Messages.model_fields}
        return {name for name in named if name}


def offset(step: Step, end: End) -> timedelta:
    """Give a step's time since the failed attempt, however it is written."""
    if step.after is not None:
        return step.after
    assert step.before_end is not None
    return end.after - step.before_end
