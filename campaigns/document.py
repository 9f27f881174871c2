"""A campaign as its authors write it: one YAML document, checked by pydantic."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from campaigns.durations import Duration, spell_duration
from campaigns.money import minor_units
from errors import BadInput

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]
ONE_DAY = timedelta(hours=24)


class FinalAction(StrEnum):
    """What becomes of the subscription when nothing worked."""

    CANCEL_NOW = "cancel_now"
    CANCEL_AT_PERIOD_END = "cancel_at_period_end"
    MARK_UNPAID = "mark_unpaid"
    PAUSE = "pause"
    LEAVE = "leave"


class AccessLevel(StrEnum):
    """How much of the product a customer keeps, from the mildest to the strictest."""

    FULL = "full"
    LIMITED = "limited"
    BLOCKED = "blocked"

    @property
    def strictness(self) -> int:
        """Rank the levels: the strictest that any open case asks for is the customer's."""
        return list(AccessLevel).index(self)


class Part(BaseModel):
    """Common ground of every part of the document: immutable, and no key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Part):
    """What happens at one moment: a retry, an access change, a message, or several, in that order."""

    id: Name = Field(description="Stable name; progress of running cases is kept under it.")
    after: Duration = Field(description="Time since the failed attempt, such as '3 days'.")
    retry: bool = Field(default=False, description="Charge the customer's current card.")
    access: AccessLevel | None = Field(default=None, description="Set the customer's access level.")
    message: Name | None = Field(default=None, description="Template of the mail to send.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.retry or self.access or self.message):
            message = "does nothing: give it a retry, a message or an access level"
            raise ValueError(message)
        return self


class End(Part):
    """What happens when the campaign has run out."""

    after: Duration = Field(description="Time since the failed attempt.")
    action: FinalAction = Field(description="What becomes of the subscription.")
    message: Name | None = Field(default=None, description="Template of a mail after the final action.")
    late_grace: Duration = Field(
        default=ONE_DAY,
        description="When a case gets here late, the time between the last notice and the final action.",
    )


class Takes(Part):
    """Which failures are worked that are left alone unless a campaign asks for them."""

    first_payments: bool = Field(default=False, description="Payments that fail at sign-up.")
    sent_invoices: bool = Field(default=False, description="Invoices that are sent for payment.")


class Messages(Part):
    """Templates by occasion.

    A step that sends ``failed`` sends ``new_card`` or ``confirm`` in its place when that is what the
    customer has to do; a message with a purpose of its own (``last_notice``, say) is kept and adapts.
    """

    failed: Name = "payment_failed"
    new_card: Name = "new_card_needed"
    confirm: Name = "confirm_payment"
    card_declined: Name = "card_declined"
    last_notice: Name = "last_notice"
    receipt: Name | None = None


class Campaign(Part):
    """One campaign: its steps in order of time, and its end."""

    name: Name
    title: str = Field(default="", description="What people call it.")
    description: str = ""
    takes: Takes = Takes()
    minimum: dict[Currency, str] = Field(
        default={}, description="Smallest amount that is worked, by currency, such as EUR: '1.00'."
    )
    grace: Duration = Field(
        default=timedelta(0), description="Time in which access stays full, whatever else happens."
    )
    retries: int = Field(
        default=8, ge=0, le=20, description="Most scheduled charges in one case (a card update's is extra)."
    )
    messages: Messages = Messages()
    steps: tuple[Step, ...] = Field(min_length=1)
    end: End

    @field_validator("minimum", mode="before")
    @classmethod
    def _amounts_as_written(cls, value: object) -> object:
        # YAML reads 1.00 as a float; an amount must never pass through one unseen.
        if isinstance(value, dict):
            return {
                key: f"{item:.2f}" if isinstance(item, float) else str(item) for key, item in value.items()
            }
        return value

    @field_validator("minimum")
    @classmethod
    def _amounts_of_their_currency(cls, value: dict[str, str]) -> dict[str, str]:
        for currency, text in value.items():
            try:
                minor_units(text, currency)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _tells_one_story(self) -> Self:
        ids = [step.id for step in self.steps]
        faults = [
            f"steps.{place}: the id '{step.id}' is used twice"
            for place, step in enumerate(self.steps)
            if step.id in ids[:place] or step.id == "end"
        ]
        for place, step in enumerate(self.steps):
            if step.after >= self.end.after:
                faults.append(
                    f"steps.{place}: comes at {spell_duration(step.after)},"
                    f" not before the end at {spell_duration(self.end.after)}"
                )
            if place and step.after <= self.steps[place - 1].after:
                faults.append(f"steps.{place}: does not come after the step before it: order steps by time")
            if step.access not in {None, AccessLevel.FULL} and step.after < self.grace:
                faults.append(
                    f"steps.{place}: takes access away at {spell_duration(step.after)},"
                    f" inside the grace period of {spell_duration(self.grace)}"
                )
        if sum(step.retry for step in self.steps) > self.retries:
            faults.append(f"retries: the steps charge more often than the limit of {self.retries} allows")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def smallest(self, currency: str) -> int:
        """Give the smallest amount worked in a currency, in minor units; 0 where none is set."""
        text = self.minimum.get(currency.upper())
        return minor_units(text, currency) if text else 0

    def step(self, step_id: str) -> Step | None:
        """Find a step by its stable id."""
        return next((step for step in self.steps if step.id == step_id), None)

    def templates(self) -> set[str]:
        """Name every mail template that some case of this campaign could send."""
        named = {step.message for step in self.steps} | {self.end.message}
        named |= {getattr(self.messages, field) for field in Messages.model_fields}
        return {name for name in named if name}
