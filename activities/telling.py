"""What a message of a case may say: from the story and the planner, for a real customer or a preview."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.declines import Ask
from campaigns.due import access_changes_at, next_charge_at
from campaigns.schedule import FAREWELL, end_at
from messaging.facts import Asked, Facts, Owed

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.document import Campaign
    from campaigns.story import Story

ASKS: dict[Ask, Asked] = {Ask.NOTHING: "nothing", Ask.NEW_CARD: "new card", Ask.CONFIRM: "confirm"}


@dataclass(frozen=True)
class Addressee:
    """What the processor and the settings know of whom a message goes to, and the links that it holds.

    ``all_owed`` is all that they owe, where that is more than the case's invoice; ``card_pays_all`` says that a new
    card is charged for all of it at once, ``told_before`` that another case of theirs has named it.
    """

    locale: str
    company: str
    link: str
    name: str | None = None
    invoice_number: str | None = None
    card_network: str | None = None
    card_last4: str | None = None
    confirm_link: str | None = None
    all_owed: tuple[Owed, ...] = ()
    card_pays_all: bool = False
    told_before: bool = False


def facts_of(campaign: Campaign, story: Story, action: str, now: datetime, addressee: Addressee) -> Facts:
    """Gather what the message ``action`` may say; what comes next is asked of the planner as it is after it.

    Days are written in the time zone in which the campaign reckons, so that "on Friday" is that Friday.
    """
    after = story.model_copy(update={"done": {**story.done, action: now}})
    ended = story.ending is not None
    reminded = addressee.told_before or any(done.endswith(".message") for done in story.done)
    return Facts(
        customer_name=addressee.name,
        amount=story.amount,
        currency=story.currency,
        locale=addressee.locale,
        timezone=campaign.calendar.zone(story.timezone).key,
        company=addressee.company,
        invoice_number=addressee.invoice_number,
        failed_at=story.failed_at,
        decline_words=story.decline.replace("_", " ") if story.disclose and story.decline else None,
        ask=ASKS[story.ask],
        has_card=story.has_card,
        card_network=addressee.card_network,
        card_last4=addressee.card_last4,
        next_charge_at=None if ended else next_charge_at(campaign, after, now),
        ends_at=None if ended else end_at(campaign, after),
        final_action=str(campaign.end.action),
        access=str(story.access),
        access_changes_at=None if ended else access_changes_at(campaign, after, now),
        link=addressee.link,
        confirm_link=addressee.confirm_link,
        reminder=reminded and action != FAREWELL,
        all_owed=addressee.all_owed,
        card_pays_all=addressee.card_pays_all,
    )
