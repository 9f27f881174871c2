"""What every part of a campaign's document is made of: names, amounts, lists that may be one word."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from campaigns.money import minor_units
from errors import BadInput

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$", to_upper=True)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Item = TypeVar("Item")


class Part(BaseModel):
    """Common ground of every part of the document: immutable, and no key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_list(value: object) -> object:
    """Let an author write ``plan: pro`` for ``plan: [pro]``."""
    return value if isinstance(value, list | tuple) else [value]


Several = Annotated[tuple[Item, ...], BeforeValidator(_as_list, json_schema_input_type=Item | list[Item])]


def amount_as_written(value: object) -> object:
    """Give an amount as its author wrote it: YAML reads 1.00 as a float, which an amount must never be."""
    if isinstance(value, float):
        rounded = f"{value:.2f}"
        # Not to be rounded in silence: some currencies have three decimal places, and some none.
        return rounded if float(rounded) == value else str(value)
    return str(value) if isinstance(value, int) else value


Amount = Annotated[str, BeforeValidator(amount_as_written, json_schema_input_type=str | float | int)]


def refuse_wrong_amounts(amounts: dict[str, tuple[str | None, ...]]) -> None:
    """Raise ValueError for an amount that its currency does not have, such as half a yen."""
    for currency, texts in amounts.items():
        for text in texts:
            if text is None:
                continue
            try:
                minor_units(text, currency)
            except BadInput as error:
                raise ValueError(str(error)) from None


class AmountRange(Part):
    """Amounts from one, and below another, in the major unit of their currency."""

    at_least: Amount | None = Field(default=None, description="This amount or more, such as '100.00'.")
    below: Amount | None = Field(default=None, description="Less than this amount.")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.at_least is None and self.below is None:
            message = "needs at_least, below, or both"
            raise ValueError(message)
        return self

    def holds(self, amount: int, currency: str) -> bool:
        """Whether an amount in minor units lies in the range."""
        return (self.at_least is None or amount >= minor_units(self.at_least, currency)) and (
            self.below is None or amount < minor_units(self.below, currency)
        )


def amounts_hold(ranges: dict[str, AmountRange], amount: int, currency: str) -> bool:
    """Whether an amount lies in its currency's range; a currency that is not named is in none."""
    if not ranges:
        return True
    found = ranges.get(currency.upper())
    return found is not None and found.holds(amount, currency)


class CountRange(Part):
    """Whole numbers from one to another, both included."""

    at_least: int = Field(default=0, ge=0, description="This many or more.")
    at_most: int | None = Field(default=None, ge=0, description="This many or fewer.")

    def holds(self, count: int) -> bool:
        """Whether a number lies in the range."""
        return count >= self.at_least and (self.at_most is None or count <= self.at_most)


def attributes_hold(wanted: dict[str, Any], attributes: Any) -> bool:
    """Whether a customer has, for each attribute that is asked for, one of the values."""
    return all(str(attributes.get(name, "")) in values for name, values in wanted.items())
