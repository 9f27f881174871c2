"""A failure that a person makes up to see what a campaign does with it: read from a form, played by the planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.arms import assign, for_case
from campaigns.calendars import zone_named
from campaigns.declines import Said
from campaigns.money import minor_units
from campaigns.segments import Failure
from campaigns.simulation import Customer, Happened, Sample, begin, simulate
from campaigns.zones import zone_of
from errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from campaigns.declines import DeclineTable, Verdict
    from campaigns.document import Campaign
    from campaigns.story import Story

NOTHING, OPENS, USES_LINK, NEW_CARD, BAD_CARD, PAYS, CANCELS, CHARGE_WORKS = (
    "nothing",
    "opens",
    "uses-link",
    "new-card",
    "bad-card",
    "pays",
    "cancels",
    "charge-works",
)
DEEDS = {
    NOTHING: "does nothing",
    OPENS: "opens every mail, two hours after it came",
    USES_LINK: "opens every mail and uses its link, two hours after it came",
    NEW_CARD: "gives a new card that works, on the day below",
    BAD_CARD: "gives a new card that is declined too, on the day below",
    PAYS: "pays in another way, on the day below",
    CANCELS: "cancels, on the day below",
    CHARGE_WORKS: "does nothing, and the charge of the number below goes through",
}
READING = timedelta(hours=2)
LONGEST_DAY = 400


@dataclass(frozen=True)
class Imagined:
    """A made-up failure and what its customer does; ``day`` is counted from the failure.

    ``attributes`` are the customer's, as the processor would keep them. ``approves`` is what the team does
    when it is asked.
    """

    decline: str
    failed_at: datetime
    timezone: str
    amount: int
    currency: str
    country: str | None = None
    plan: str | None = None
    interval: str | None = None
    language: str = "en"
    arm: str = ""
    deed: str = NOTHING
    day: float = 4.0
    has_card: bool = True
    approves: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """Give the zone in which the page shows times."""
        found = zone_named(self.timezone)
        assert found is not None
        return found

    def customer(self) -> Customer:
        """Say what the customer does, as the simulation knows it."""
        after = timedelta(days=self.day)
        return Customer(
            opens_mail_after=READING if self.deed in {OPENS, USES_LINK} else None,
            uses_link_after=READING if self.deed == USES_LINK else None,
            new_card_after=after if self.deed in {NEW_CARD, BAD_CARD} else None,
            new_card_works=self.deed == NEW_CARD,
            pays_elsewhere_after=after if self.deed == PAYS else None,
            cancels_after=after if self.deed == CANCELS else None,
            paid_by_charge=round(self.day) if self.deed == CHARGE_WORKS else None,
            approves=self.approves,
        )

    def failure(self, declines: DeclineTable) -> Failure:
        """Give what segments ask about the failure."""
        return Failure(
            processor="stripe",
            plan=self.plan,
            interval=self.interval,
            amount=self.amount,
            currency=self.currency,
            country=self.country,
            decline=self.decline,
            decline_class=str(declines.judge(Said(self.decline), self.failed_at.date()).kind),
            attributes=self.attributes,
            tags=self.tags,
        )


@dataclass(frozen=True)
class Played:
    """A made-up case, played to its end: the campaign as it is for it, and everything that happens."""

    campaign: Campaign
    story: Story
    happened: tuple[Happened, ...]

    def before(self, number: int) -> Story:
        """Give the story as it stood before the thing of a number happened."""
        return self.happened[number - 1].story if number else self.story


def play(campaign: Campaign, imagined: Imagined, verdict: Verdict) -> Played:
    """Play a made-up failure through a campaign, as the workflow would."""
    arm = imagined.arm or assign(campaign, "preview")
    sample = Sample(
        failed_at=imagined.failed_at,
        verdict=verdict,
        amount=imagined.amount,
        currency=imagined.currency,
        plan=imagined.plan,
        country=imagined.country,
        timezone=imagined.timezone,
        arm=arm,
        has_card=imagined.has_card,
    )
    story = begin(campaign, sample)
    course = for_case(campaign, story, imagined.attributes)
    found = tuple(simulate(course, story, imagined.failed_at, imagined.customer(), verdict))
    return Played(course, story, found)


# --- from a form -----------------------------------------------------------------------------------


def read_form(
    form: Mapping[str, str], campaign: Campaign, now: datetime, languages: tuple[str, ...]
) -> Imagined:
    """Read what a person chose; what is left out is plausible. Raises BadInput naming the field."""
    country = form.get("country", "").strip().upper() or None
    timezone = form.get("timezone", "").strip() or zone_of(None, country) or campaign.calendar.timezone
    zone = zone_named(timezone)
    if zone is None:
        raise BadInput(f"'{timezone}' is no time zone: write it as in 'Europe/Berlin'")
    currency = (form.get("currency") or "USD").strip().upper()
    deed = form.get("deed") or NOTHING
    if deed not in DEEDS:
        raise BadInput(f"'{deed}' is nothing that the customer of a preview can do")
    language = form.get("language") or "en"
    if language not in languages:
        raise BadInput(f"there are no templates in '{language}': there are {', '.join(languages)}")
    arm = form.get("arm") or ""
    if arm and arm not in {one.name for one in campaign.arms}:
        raise BadInput(f"the campaign has no arm '{arm}'")
    return Imagined(
        decline=form.get("decline") or "insufficient_funds",
        failed_at=_moment(form.get("failed_at", ""), zone, now),
        timezone=timezone,
        amount=minor_units((form.get("amount") or "49").strip(), currency),
        currency=currency,
        country=country,
        plan=form.get("plan", "").strip() or None,
        interval=form.get("interval", "").strip() or None,
        language=language,
        arm=arm,
        deed=deed,
        day=_day(form.get("day") or "4"),
        has_card="no_card" not in form,
        approves="approves" in form,
        attributes=dict(_attributes(form.get("attributes", ""))),
        tags=tuple(tag.strip() for tag in form.get("tags", "").split(",") if tag.strip()),
    )


def _moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Read a time as a form field has it, by the customer's clock."""
    if not text.strip():
        return now.replace(second=0, microsecond=0)
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise BadInput(f"'{text}' is no time: write it as in '2026-06-12T09:30'") from None


def _day(text: str) -> float:
    try:
        day = float(text)
    except ValueError:
        raise BadInput(f"'{text}' is no number of days") from None
    if not 0 <= day <= LONGEST_DAY:
        raise BadInput(f"the day is between 0 and {LONGEST_DAY}, not {text}")
    return day


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"'{part.strip()}' is no attribute: write it as in 'tier=gold'")
        yield name.strip(), value.strip()
