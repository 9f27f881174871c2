"""Facts of payments that never were: for previews, and for trying a template in every situation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from messaging.facts import Asked, Facts, Owed
from messaging.wording import FALLBACK, tags

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = datetime(2026, 6, 12, 10, tzinfo=UTC)
LINK = "https://billing.example.com/pay/sample"
# A name that a reader of the language takes for a person's.
NAMES = {"de": "Anna Becker", "en": "Ada Lovelace", "es": "Lucía García", "fr": "Camille Moreau"}
ASKED: tuple[Asked, ...] = ("nothing", "new card", "confirm")
# Lengths without a common factor with each other and with what is combined in full: in the long run every
# value meets every other.
ENDS = (True, False, True, True, False)
ACTIONS = ("cancel_now", "pause", None, "cancel_at_period_end", "leave", "mark_unpaid", None)
KNOWN = (True, False, True, True, False, True, False, False, True, False, True)
TOLD = (
    True,
    False,
    False,
    True,
    True,
    False,
    False,
    True,
    True,
    True,
    False,
    False,
    True,
    False,
    True,
    False,
    True,
)
SEVERAL = (False, True, False, False, True, False, True, False, False, False, True)
CHANGES = (True, False, False, True, True, False, True, False, True, False, False, True, False)
# What a customer owes beside the payment that a mail is about, and the payment itself.
OTHERS = (
    Owed("INV-0042", 4900, "EUR", DAY),
    Owed(None, 1250, "EUR", DAY + timedelta(days=1)),
    Owed("INV-0057", 900, "CHF", DAY + timedelta(days=4)),
)
UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("customer_name", "invoice_number", "card_network", "card_last4", "confirm_link")
)


def sample_facts(  # noqa: PLR0913 - one argument for each thing that a preview lets people choose
    *,
    link: str = LINK,
    failed_at: datetime = DAY,
    locale: str = FALLBACK,
    timezone: str | None = None,
    amount: int = 4900,
    currency: str = "EUR",
    company: str = "Billing",
    customer_name: str | None = None,
    invoice_number: str | None = "INV-0042",
    decline_words: str | None = None,
    ask: Asked = "nothing",
    has_card: bool = True,
    next_charge_at: datetime | None = None,
    ends_at: datetime | None = None,
    final_action: str | None = None,
    access: str = "full",
    access_changes_at: datetime | None = None,
    confirm_link: str | None = None,
    reminder: bool = False,
    all_owed: tuple[Owed, ...] = (),
    card_pays_all: bool = False,
) -> Facts:
    """Make facts for a preview; what is not given is plausible, and nothing is planned.

    ``customer_name`` is one that fits the locale unless given. Whoever is asked to confirm gets a link to
    do so, the customer's own where no other is given.
    """
    language = next(tag for tag in (part.lower() for part in tags(locale)) if tag in NAMES)
    return Facts(
        customer_name=customer_name or NAMES[language],
        amount=amount,
        currency=currency,
        locale=locale,
        timezone=timezone,
        company=company,
        invoice_number=invoice_number,
        failed_at=failed_at,
        decline_words=decline_words,
        ask=ask,
        has_card=has_card,
        card_network="visa" if has_card else None,
        card_last4="4242" if has_card else None,
        next_charge_at=next_charge_at,
        ends_at=ends_at,
        final_action=final_action,
        access=access,
        access_changes_at=access_changes_at,
        link=link,
        confirm_link=confirm_link or (link if ask == "confirm" else None),
        reminder=reminder,
        all_owed=all_owed,
        card_pays_all=card_pays_all,
    )


def situations(locale: str) -> Iterator[Facts]:
    """Give facts for every situation in which a customer may be, with and without what may be lacking."""
    ends, known, changes, told = map(itertools.cycle, (ENDS, KNOWN, CHANGES, TOLD))
    several = itertools.cycle(SEVERAL)
    actions = itertools.cycle(ACTIONS)
    for ask, has_card, charge, access, reminder in itertools.product(
        ASKED, (True, False), (True, False), ("full", "limited", "blocked"), (True, False)
    ):
        facts = sample_facts(
            locale=locale,
            decline_words="insufficient funds" if next(told) else None,
            ask=ask,
            has_card=has_card,
            next_charge_at=DAY + timedelta(days=3) if charge else None,
            ends_at=DAY + timedelta(days=28) if next(ends) else None,
            final_action=next(actions),
            access=access,
            access_changes_at=DAY + timedelta(days=14) if next(changes) else None,
            reminder=reminder,
            all_owed=(owed := OTHERS if next(several) else ()),
            card_pays_all=bool(owed) and access == "full",
        )
        # The processor does not always tell who the customer is, which card it is, or where to confirm.
        yield facts if next(known) else replace(facts, **UNKNOWN)
