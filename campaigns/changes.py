"""What a person can change in a campaign without writing YAML; ``campaigns/editing.py`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Timing:
    """When a step is: a length as people write it, after the failure or before the end."""

    length: str
    before_end: bool = False


@dataclass(frozen=True)
class ChangeStep:
    """Change parts of a step: None leaves a part as it is, and an empty text takes it away."""

    step: str
    arm: str = ""
    time: Timing | None = None
    jitter: str | None = None
    retry: bool | None = None
    access: str | None = None
    message: str | None = None
    alert: str | None = None


@dataclass(frozen=True)
class AddStep:
    """Add a step where its time puts it; without an ``id`` it is named by its time."""

    time: Timing
    id: str = ""
    arm: str = ""
    retry: bool = False
    access: str = ""
    message: str = ""
    alert: str = ""


@dataclass(frozen=True)
class RemoveStep:
    """Take a step out."""

    step: str
    arm: str = ""


@dataclass(frozen=True)
class MoveStep:
    """Let a step change places, and so times, with the one before it or after it."""

    step: str
    to: Literal["earlier", "later"]
    arm: str = ""


@dataclass(frozen=True)
class ChangeTitle:
    """Change what people call the campaign, and what they say of it."""

    title: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class ChangeEnd:
    """Change the end, the campaign's or that of an arm which has its own."""

    arm: str = ""
    after: str | None = None
    action: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class ChangeWindow:
    """Change when mails or charges may go out; ``days`` are names of weekdays, none or all meaning any day."""

    window: Literal["messages", "charges"]
    hours: str | None = None
    quiet: str | None = None
    days: tuple[str, ...] | None = None
    holidays: bool | None = None


@dataclass(frozen=True)
class ChangeTimezone:
    """Change the zone of customers whose own is not known."""

    timezone: str


@dataclass(frozen=True)
class ChangeRules:
    """Change the time in which access stays full, the least time between two mails, the most charges."""

    grace: str | None = None
    spacing: str | None = None
    retries: int | None = None


@dataclass(frozen=True)
class ChangeName:
    """Make a copy another campaign: with its own name and title, and no segment until it is given one."""

    name: str
    title: str


Change: TypeAlias = (
    ChangeStep
    | AddStep
    | RemoveStep
    | MoveStep
    | ChangeTitle
    | ChangeEnd
    | ChangeWindow
    | ChangeTimezone
    | ChangeRules
    | ChangeName
)
