"""What the customer's page offers in a case, and in whose words: read from the database, at no cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from activities.turn import course_of
from campaigns.declines import Ask
from campaigns.promises import days_to_choose
from campaigns.story import Story
from messaging.wording import FALLBACK, locale_of_days, single_line, tags, write_day, write_money
from store import customers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from campaigns.promises import PayDay
    from store.tables import CaseRow
    from web.desk import Desk

WORDS: Mapping[str, Mapping[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "pages" / "pay.yaml").read_text(encoding="utf-8")
)
NO_COMPANY = "Billing"


@dataclass(frozen=True)
class Reader:
    """Who reads the page: the language of its words, and how the reader writes amounts and days."""

    locale: str
    language: str
    timezone: str | None = None

    def say(self, key: str, **facts: str) -> str:
        """Give a sentence in the reader's language, with facts put in."""
        return WORDS[self.language][key].format(**facts)

    def day(self, moment: datetime) -> str:
        """Write a day by the reader's clocks."""
        return write_day(moment, locale_of_days(self.locale, self.language), self.timezone)


@dataclass(frozen=True)
class Offers:
    """What may be done about one open payment.

    ``confirm``: the bank asks for it. ``revoked``: the customer told the bank to stop. ``days`` may be
    promised; ``promised`` is what was. ``write_to`` is the owner's address, for whoever may not cancel here.
    """

    reader: Reader
    company: str
    amount: str
    invoice: str
    write_to: str
    failed_on: str = ""
    has_card: bool = True
    confirm: bool = False
    revoked: bool = False
    may_cancel: bool = False
    days: tuple[PayDay, ...] = ()
    promised: str | None = None

    @property
    def only_the_card(self) -> bool:
        """Whether there is nothing to choose, so that the page would only be one tap more."""
        return not (self.confirm or self.revoked or self.days or self.promised)

    def chosen(self, day: date) -> PayDay | None:
        """Find a day among those that may be promised."""
        return next((choice for choice in self.days if choice.day == day), None)


def reader_of(locale: str | None, timezone: str | None = None) -> Reader:
    """Find a reader's language; English where we do not write their own."""
    wanted = locale or FALLBACK
    language = next(tag for tag in (part.lower() for part in tags(wanted)) if tag in WORDS)
    return Reader(wanted, language, timezone)


async def offers_of(desk: Desk, row: CaseRow) -> Offers:
    """Gather what a case's page shows; one that is not opened yet offers the card alone."""
    company, address = parseaddr(desk.tools.mail_from)
    async with desk.tools.database.read() as session:
        customer = await customers.get(session, row.processor, row.account, row.customer)
        story = Story.model_validate(row.story) if row.story else None
        campaign, story = await course_of(session, story) if story and story.campaign else (None, None)
    timezone = campaign.calendar.zone(story.timezone).key if campaign and story else None
    reader = reader_of(customer.locale if customer else None, timezone)
    plain = Offers(
        reader=reader,
        company=single_line(company) or NO_COMPANY,
        amount=write_money(row.amount, row.currency, reader.locale) if row.currency else "",
        invoice=single_line(row.invoice),
        write_to=address,
    )
    if campaign is None or story is None or campaign.is_holdout:
        return plain
    return Offers(
        **vars(plain)
        | {
            "failed_on": reader.day(story.failed_at),
            "has_card": story.has_card,
            "confirm": story.ask is Ask.CONFIRM and story.has_card and not story.revoked,
            "revoked": story.revoked,
            "may_cancel": story.revoked and desk.settings.customers_may_cancel,
            "days": () if story.promise_at else days_to_choose(campaign, story, desk.now()),
            "promised": reader.day(story.promise_at) if story.promise_at else None,
        }
    )
