"""When a step is for a case: what is fixed for the case, and what is looked at when the step is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from campaigns.declines import DeclineClass
from campaigns.grammar import (
    AmountRange,
    CountRange,
    Currency,
    Part,
    Several,
    Word,
    amounts_hold,
    attributes_hold,
    refuse_wrong_amounts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.story import Story


class Conditions(Part):
    """All that are written have to hold; a list holds if one of its entries does."""

    decline_class: Several[DeclineClass] = Field(default=(), description="Classes of the latest decline.")
    decline: Several[Word] = Field(default=(), description="Codes of the latest decline.")
    currency: Several[Currency] = Field(default=(), description="Currencies of the invoice.")
    amount: dict[Currency, AmountRange] = Field(
        default={}, description="What is owed, by currency; a currency not named does not hold."
    )
    plan: Several[Word] = Field(default=(), description="Plans of the subscription.")
    attributes: dict[Word, Several[Word]] = Field(
        default={}, description="Attributes of the customer, as the processor keeps them."
    )
    attempts: CountRange | None = Field(default=None, description="Charges made in this case so far.")
    mail_opened: bool | None = Field(default=None, description="Whether one of our mails was opened by then.")
    link_clicked: bool | None = Field(default=None, description="Whether a link in one was used by then.")

    @field_validator("amount")
    @classmethod
    def _amounts_of_their_currency(cls, value: dict[str, AmountRange]) -> dict[str, AmountRange]:
        refuse_wrong_amounts({code: (part.at_least, part.below) for code, part in value.items()})
        return value

    @property
    def ask_nothing(self) -> bool:
        """Whether nothing is written, so that the step is for every case."""
        return not self.model_fields_set

    @property
    def waits_for_the_customer(self) -> bool:
        """Whether only what the customer does until then decides."""
        return self.mail_opened is not None or self.link_clicked is not None

    def fit(self, story: Story, attributes: Mapping[str, object]) -> bool:
        """Whether what never changes in a case holds: its plan, its currency, who the customer is."""
        return (
            (not self.plan or story.plan in self.plan)
            and (not self.currency or story.currency.upper() in self.currency)
            and attributes_hold(self.attributes, attributes)
        )

    def why_not(self, story: Story, due: datetime) -> str | None:
        """Say what does not hold of all that changes while a case runs, or None; ``due`` is the step's time.

        What the customer did after ``due`` does not count, so that a late worker decides as a punctual one.
        """
        reason = self._why_not_this_case(story)
        if reason is not None or not self.waits_for_the_customer:
            return reason
        opened, clicked = _by(story.opened_at, due), _by(story.clicked_at, due)
        if self.mail_opened is not None and opened is not self.mail_opened:
            return "a mail was opened" if opened else "no mail was opened"
        if self.link_clicked is not None and clicked is not self.link_clicked:
            return "a link was used" if clicked else "no link was used"
        return None

    def may_hold(self, story: Story, due: datetime) -> bool:
        """Whether the conditions hold, or would if the customer opened a mail or used a link in time.

        A mail once opened stays opened.
        """
        spoilt = (self.mail_opened is False and _by(story.opened_at, due)) or (
            self.link_clicked is False and _by(story.clicked_at, due)
        )
        return not spoilt and self._why_not_this_case(story) is None

    def _why_not_this_case(self, story: Story) -> str | None:
        """Say what does not hold, whatever the customer does about our mails."""
        if self.decline_class and story.decline_class not in self.decline_class:
            return f"the decline is {story.decline_class or 'of no known class'}"
        if self.decline and story.decline not in self.decline:
            return f"the decline is {(story.decline or 'not known').replace('_', ' ')}"
        if not amounts_hold(self.amount, story.amount, story.currency):
            return "the amount is not one that this step is for"
        if self.attempts and not self.attempts.holds(story.charges):
            return f"{story.charges} charges were made so far"
        return None


def _by(at: datetime | None, due: datetime) -> bool:
    return at is not None and at <= due
