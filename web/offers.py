"""What the customer's page offers in a case, and in whose words: read from the database, at no cost elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from activities.together import charged_at_once
from activities.turn import course_of
from campaigns.declines import Ask
from campaigns.promises import days_to_choose
from campaigns.story import Story
from messaging.wording import FALLBACK, locale_of_days, single_line, tags, write_day, write_money, write_sum
from store import cases, customers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

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
class OpenPayment:
    """One of several that a customer owes; ``at_once`` where a new card is charged for it without delay."""

    invoice: str
    amount: str
    at_once: bool


@dataclass(frozen=True)
class Offers:
    """What may be done about one open payment.

    ``confirm``: the bank asks for it. ``revoked``: the customer told the bank to stop. ``days`` may be
    promised; ``promised`` is what was. ``write_to`` is the owner's address, for whoever may not cancel here.
    ``settled``: nothing is to be done about this one any more. ``owed`` is all that the customer owes, oldest
    first, and ``total`` its sum, where that is something else than this one payment.
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
    settled: bool = False
    owed: tuple[OpenPayment, ...] = ()
    total: str = ""

    @property
    def only_the_card(self) -> bool:
        """Whether there is nothing to choose or to be told, so that the page would only be one tap more."""
        return not (self.confirm or self.revoked or self.days or self.promised or self.owed)

    @property
    def card_words(self) -> str:
        """Say what a card that is given now is charged for: all that is owed, or which of it at once."""
        at_once = [one.invoice for one in self.owed if one.at_once]
        if self.owed and not at_once:
            return self.reader.say("card_later")
        if len(at_once) < len(self.owed):
            return self.reader.say("card_for_some", invoices=", ".join(at_once))
        if len(at_once) > 1:
            return self.reader.say("card_for_all")
        return self.reader.say("keep_hint" if self.revoked else "card_hint")

    @property
    def alone(self) -> str:
        """Say that a choice is about this payment only, where the customer owes others too."""
        return " " + self.reader.say("alone", invoice=self.invoice) if self.owed else ""

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
        settled = row.closed_at is not None or row.outcome is not None
        open_ones = await _open_payments(session, row, story, settled=settled) if story else ()
    timezone = campaign.calendar.zone(story.timezone).key if campaign and story else None
    reader = reader_of(customer.locale if customer else None, timezone)
    plain = Offers(
        reader=reader,
        company=single_line(company) or NO_COMPANY,
        amount=write_money(row.amount, row.currency, reader.locale) if row.currency else "",
        invoice=single_line(row.invoice),
        write_to=address,
        settled=settled,
        **_all_owed(open_ones, reader),
    )
    if settled or campaign is None or story is None or campaign.is_holdout:
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


async def _open_payments(
    session: AsyncSession, row: CaseRow, story: Story, *, settled: bool
) -> Sequence[tuple[CaseRow, bool]]:
    """List what the customer owes, oldest first, and whether a new card is charged for it at once.

    Nothing where that is this case's own payment alone.
    """
    others = [other for other in await cases.beside(session, story) if other.currency]
    if not others or story.shadow:
        return ()
    stories = {other.id: Story.model_validate(other.story) for other in others} | (
        {} if settled else {row.id: story}
    )
    at_once = await charged_at_once(session, tuple(stories.values()))
    rows = [one for one in (row, *others) if one.id in stories and not stories[one.id].charged_back]
    rows.sort(key=lambda one: (stories[one.id].failed_at, one.id))
    return () if [one.id for one in rows] == [row.id] else [(one, one.id in at_once) for one in rows]


def _all_owed(open_ones: Sequence[tuple[CaseRow, bool]], reader: Reader) -> dict[str, Any]:
    amounts = [(row.amount or 0, row.currency or "", row, at_once) for row, at_once in open_ones]
    return {
        "owed": tuple(
            OpenPayment(single_line(row.invoice), write_money(amount, currency, reader.locale), at_once)
            for amount, currency, row, at_once in amounts
        ),
        "total": write_sum(((amount, currency) for amount, currency, *_ in amounts), reader.locale),
    }
