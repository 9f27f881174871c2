"""A timeline: what happens to one failed payment, and every effect that must come of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from campaigns.calendars import Weekday
from campaigns.durations import Duration, parse_duration
from campaigns.moving import PastRule
from campaigns.story import Lever, Outcome, Status

FOLDER = Path(__file__).parent / "timelines"
REFERENCE = (Path(__file__).parent / "reference.yaml").read_text(encoding="utf-8")


def read_offset(value: object) -> timedelta:
    """Read ``+2d12h``: the time since the failed attempt, with its sign."""
    if isinstance(value, str) and value.startswith("+"):
        return parse_duration(value[1:])
    if isinstance(value, timedelta):
        return value
    raise ValueError(f"{value!r} is no offset: write the time since the failure, as in '+2d12h'")


def spell_offset(offset: timedelta) -> str:
    """Write an offset as a timeline does: ``+2d12h``, to the second where there are any."""
    if offset < timedelta(0):
        return f"-{spell_offset(-offset)[1:]}"
    seconds = round(offset.total_seconds(), 1)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:.0f}{unit}")
    if seconds or not parts:
        parts.append(f"{seconds:.3g}s")
    return "+" + "".join(parts)


Offset = Annotated[timedelta, BeforeValidator(read_offset)]


@dataclass(frozen=True)
class Effect:
    """One thing that reached the world, in the words of a timeline, and when."""

    at: timedelta
    what: str

    def __str__(self) -> str:
        return f"{spell_offset(self.at)} {self.what}"


def read_effect(line: object) -> object:
    """Read ``+1d mail payment_failed -> sent``."""
    if not isinstance(line, str):
        return line
    at, _, what = line.partition(" ")
    return Effect(read_offset(at), re.sub(r"\s+", " ", what.strip()))


class Part(BaseModel):
    """Common to all parts: nothing that a runner would silently pass over."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Told(Part):
    """The failure reported to us, once or, as processors do, several times."""

    times: int = 1
    together: int = 1
    forgotten: bool = Field(default=False, description="The server has forgotten the closed case by now.")


class Move(Part):
    """Running cases moved to a version by the workflow that does it, as the studio and the command line ask."""

    version: int
    past: PastRule = PastRule.SKIP
    spread: Duration = timedelta(0)


class LocalTime(Part):
    """The next time that clocks of a zone show: on a weekday, on a day of the year (12-24) or of the month (12).

    It is at least a day off, and clocks are not changed for a month after it, so that offsets are hours of the day.
    """

    timezone: str
    hour: Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$")]
    weekday: Weekday | None = None
    date: Annotated[str, StringConstraints(pattern=r"^(\d\d-)?\d\d$")] | None = None

    def after(self, now: datetime) -> datetime:
        """Give the first such time after another one, in UTC."""
        zone, (hour, minute) = ZoneInfo(self.timezone), (int(part) for part in self.hour.split(":"))
        at = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
        for _ in range(10 * 366):
            at += timedelta(days=1)
            steady = at.utcoffset() == (at + timedelta(days=31)).utcoffset()
            if (
                steady
                and self.weekday in {None, f"{at:%A}".lower()}
                and f"{at:%m-%d}".endswith(self.date or "")
            ):
                return at.astimezone(UTC)
        raise ValueError(f"there is no {self.weekday} the {self.date} without a clock change after it")


class Happening(Part):
    """What happens at one time, in the order of these fields; see the README."""

    at: Offset
    during: str | None = Field(default=None, description="A charge (day-3.charge) that is then under way.")
    workers: Literal["stop", "start", "start as a test installation"] | None = None
    switch: dict[str, Literal["stop", "release"]] = {}
    breaker: dict[str, Literal["open", "close"]] = {}
    unanswered: int = Field(
        default=0, description="So many charges of other cases the processor did not answer."
    )
    sender: dict[str, Literal["refused", "taken", "answer lost"]] = {}
    opened: str | None = Field(default=None, description="A mail (day-1.message) that the customer opens.")
    clicked: str | None = Field(default=None, description="A mail whose link the customer follows.")
    publish: dict[str, Any] = {}
    processor: dict[str, dict[str, Any]] = {}
    signal: dict[str, Any] | list[dict[str, Any]] = {}
    wish: dict[str, Any] = {}
    move: Move | None = None
    temporal_ui: Literal["cancel", "terminate"] | None = None
    reported: Told | None = None
    revived: bool = Field(default=False, description="A terminated case is started again from the database.")
    granted: bool | None = None
    answer: str | None = Field(default=None, description="Words in the answer, where one is given.")


class Mail(Part):
    """What one mail's text must say, and must not."""

    says: list[str] = []
    never_says: list[str] = []


class End(Part):
    """How the case stands after every timer has passed."""

    at: Offset | None = None
    status: Status = Status.CLOSED
    outcome: Outcome | None = None
    lever: Lever | None = None
    by: str | None = None
    why: str | None = Field(default=None, description="Words in the sentence on record.")
    flags: list[str] = Field(default=[], description="Each must be among the case's flags.")
    journal: list[str] = Field(default=[], description="Words that must stand in the case's journal.")
    campaign: str | None = Field(default=None, description="The campaign that took it.")
    version: int | None = Field(
        default=None, description="The version of the campaign that it ran on at last."
    )
    arm: str | None = Field(default=None, description="The arm that it was in at last.")
    episodes: int = 1
    in_doubt: list[str] = Field(default=[], description="Charges of which nobody knows what became.")
    tries: int | None = Field(default=None, description="Charge requests that arrived, replays and all.")


class Customer(Part):
    """Who owes the payment."""

    email: str | None = "ada@example.com"
    name: str = "Ada Lovelace"
    timezone: str | None = None
    country: str | None = None
    attributes: dict[str, str] = {}
    excluded: str | None = Field(default=None, description="Why this customer is left alone.")


class Invoice(Part):
    """What is owed."""

    amount: int = 4900
    currency: str = "USD"
    plan: str | None = None
    interval: str | None = None
    tags: list[str] = []
    first_payment: bool = False
    sent_for_payment: bool = False
    processor_retries: Annotated[timedelta | None, BeforeValidator(read_offset)] = Field(
        default=None, description="When the processor will charge it by itself."
    )
    livemode: bool = False


class Timeline(Part):
    """One file."""

    title: str
    source: str
    campaign: dict[str, Any] = Field(default={}, description="Parts in place of the reference campaign's.")
    others: list[dict[str, Any]] = Field(
        default=[], description="Campaigns beside it: a name, and parts in place of the reference campaign's."
    )
    installation: Literal["test", "live"] = "test"
    processor_retries: Literal["take_over", "stand_aside"] = "take_over"
    take_over_refused: int = Field(default=0, description="So many times, from the opening on.")
    customer: Customer = Customer()
    invoice: Invoice = Invoice()
    card: str | None = Field(description="How card_1 answers, charge by charge; null for no card.")
    network: str = Field(default="visa", description="Of card_1.")
    rail: str = Field(
        default="card", description="What card_1 really is: a card, or a bank account's debits."
    )
    tried: int = Field(
        default=0, description="Attempts of others with card_1, one an hour before the failure."
    )
    decline: str = Field(default="insufficient_funds", description="Of the failure itself, on day 0.")
    noon_before_clock_change_in: str | None = Field(
        default=None, description="A time zone: the failure is set just before its clocks change."
    )
    failed_at_local: LocalTime | None = Field(
        default=None, description="The failure is set to the next such time, by the clocks of a zone."
    )
    seconds_a_day: float | None = Field(
        default=None,
        description="Played in real time, a day in so many seconds: the server skips no time without a worker.",
    )
    reported: Told = Told()
    happens: list[Happening] = []
    effects: list[Annotated[Effect, BeforeValidator(read_effect)]]
    mails: dict[str, Mail] = {}
    ends: End
    races: bool = Field(
        default=False, description="Things happen at once, so that commands come in more than one order."
    )
    late: Duration = Field(default=timedelta(seconds=20), description="How late an effect may be.")

    @property
    def pace(self) -> float:
        """How long the timeline's time takes, in parts of itself."""
        return 1.0 if self.seconds_a_day is None else self.seconds_a_day / 86400

    def document(self, edits: dict[str, Any] | None = None) -> str:
        """Give the campaign as YAML, as it began or with later edits, at the timeline's pace."""
        return self._paced(yaml.safe_load(REFERENCE) | self.campaign | (edits or {}))

    def other_documents(self) -> list[str]:
        """Give the campaigns beside it as YAML, at the timeline's pace."""
        return [self._paced(yaml.safe_load(REFERENCE) | other) for other in self.others]

    def _paced(self, campaign: dict[str, Any]) -> str:
        arms = campaign.get("arms", [])
        steps = [step for form in (campaign, *arms) for step in form.get("steps", [])]
        for part in (*steps, *(form["end"] for form in (campaign, *arms) if "end" in form)):
            for key in {"after", "before_end"} & set(part):
                length = parse_duration(part[key]) * self.pace
                part[key] = f"{length.total_seconds():.15g} seconds"
        return yaml.safe_dump(campaign, sort_keys=False)


def read_timeline(name: str) -> Timeline:
    """Read ``timelines/<name>.yaml``."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Timeline.model_validate(yaml.safe_load(text))
    except ValueError as error:
        raise ValueError(f"timelines/{name}.yaml: {error}") from error


def names() -> list[str]:
    """Name every timeline, in order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
