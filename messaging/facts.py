"""What one message may say, as it was found out, and as the words that templates are filled with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from errors import BadInput
from messaging.wording import (
    locale_of_days,
    plain_name,
    single_line,
    write_day,
    write_money,
    write_network,
    write_sum,
)

Asked = Literal["nothing", "new card", "confirm"]


@dataclass(frozen=True)
class Owed:
    """One invoice that a customer owes: an amount in minor units, open since its payment failed."""

    number: str | None
    amount: int
    currency: str
    since: datetime


@dataclass(frozen=True)
class Facts:
    """What one message may say.

    ``decline_words`` is None where the customer must not be told the reason. ``next_charge_at``,
    ``ends_at`` and ``access_changes_at`` are None where nothing of the kind is planned, and the texts
    then say so or keep silent. ``card_network`` and ``card_last4`` are as the processor writes them.
    ``link`` leads to the page where a card can be changed, ``confirm_link`` to the bank's confirmation.
    ``all_owed`` is all that the customer owes, oldest first, where that is more than this one payment (and, in
    a receipt, what is still owed after it); ``card_pays_all`` is whether a new card is charged for all of it at
    once. Moments are aware; they are written as days in ``timezone``, else in UTC.
    """

    customer_name: str | None
    amount: int
    currency: str
    locale: str
    timezone: str | None
    company: str
    invoice_number: str | None
    failed_at: datetime
    decline_words: str | None
    ask: Asked
    has_card: bool
    card_network: str | None
    card_last4: str | None
    next_charge_at: datetime | None
    ends_at: datetime | None
    final_action: str | None
    access: str
    access_changes_at: datetime | None
    link: str
    confirm_link: str | None
    reminder: bool
    all_owed: tuple[Owed, ...] = ()
    card_pays_all: bool = False

    def __post_init__(self) -> None:
        """Refuse a moment without a zone, which would be written as the wrong day."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise BadInput(f"{field.name} has no time zone: give an aware datetime")

    def words(self, language: str) -> dict[str, object]:
        """Give the variables that a template of a language may use; absent ones are None, never ''."""
        days = locale_of_days(self.locale, language)
        network, last4 = write_network(self.card_network or ""), single_line(self.card_last4 or "")
        # Half a card would be a gap in a sentence.
        card_is_known = bool(self.has_card and network and last4)

        def day(moment: datetime | None) -> str | None:
            return write_day(moment, days, self.timezone) if moment else None

        return {
            "all_owed": [
                {
                    "number": single_line(owed.number or "") or None,
                    "amount": write_money(owed.amount, owed.currency, self.locale),
                    "since": day(owed.since),
                }
                for owed in self.all_owed
            ],
            "sum_owed": self._total(),
            "card_pays_all": self._page_pays_all(),
            "customer_name": plain_name(self.customer_name),
            "amount": write_money(self.amount, self.currency, self.locale),
            "company": single_line(self.company),
            "invoice_number": single_line(self.invoice_number or "") or None,
            "failed_on": day(self.failed_at),
            "decline_words": single_line(self.decline_words or "") or None,
            "ask": self.ask,
            "has_card": self.has_card,
            "card_network": network if card_is_known else None,
            "card_last4": last4 if card_is_known else None,
            "next_charge_on": day(self.next_charge_at) if self.has_card else None,
            "ends_on": day(self.ends_at),
            "final_action": self.final_action,
            "access": self.access,
            "access_changes_on": day(self.access_changes_at),
            "link": self.link,
            "confirm_link": self.confirm_link or None,
            "reminder": self.reminder,
        }

    def _total(self) -> str | None:
        """Sum up what is owed, each currency by itself; None where it is this one payment only."""
        return write_sum(((owed.amount, owed.currency) for owed in self.all_owed), self.locale) or None

    def _page_pays_all(self) -> bool:
        """Whether the mail's button leads to where a card is given; the bank's confirmation is for one payment."""
        at_the_bank = self.has_card and self.ask == "confirm" and bool(self.confirm_link)
        return bool(self.all_owed) and self.card_pays_all and not at_the_bank
