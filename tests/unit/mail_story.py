"""What the tests of mails share: the facts of one mail, every case of them, and a reader of pages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.document import FinalAction
from messaging.rendering import Facts, Rendered, Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTS = Facts(
    customer_name="Ada Lovelace",
    amount=4900,
    currency="USD",
    locale="en",
    timezone="UTC",
    company="Northwind",
    invoice_number="NW-0042",
    failed_at=datetime(2026, 6, 12, 10, tzinfo=UTC),
    decline_words="insufficient funds",
    ask="nothing",
    has_card=True,
    card_network="visa",
    card_last4="4242",
    next_charge_at=datetime(2026, 6, 15, 10, tzinfo=UTC),
    ends_at=datetime(2026, 7, 10, 10, tzinfo=UTC),
    final_action="cancel_now",
    access="full",
    access_changes_at=None,
    link="https://pay.example/card/token?a=1&b=2",
    confirm_link="https://pay.example/confirm/token?a=1&b=2",
    reminder=False,
)
ASKING = [
    "payment_failed",
    "new_card_needed",
    "confirm_payment",
    "card_declined",
    "access_limited",
    "last_notice",
]
WONDERING = ["did_you_mean_to_cancel"]
TELLING = ["payment_received", "subscription_ended"]
EVERY_MAIL = ASKING + WONDERING + TELLING
RENDERER = Renderer()
WORDS = FACTS.words("en")
LIBRARY = Path(__file__).parents[2] / "campaigns" / "library"
SPACES = str.maketrans("\u00a0\u202f", "  ")


def render(template: str = "payment_failed", **changed: Any) -> Rendered:
    return RENDERER.render(template, replace(FACTS, **changed))


def said(rendered: Rendered) -> str:
    return f"{rendered.subject}\n{rendered.text}"


def every_case(language: str = "en", deadlines_each: int = 5) -> Iterator[dict[str, Any]]:
    """Give the words of every combination of facts that a sentence depends on, in a language.

    The deadline stands in a sentence of its own, so that its combinations are dealt out over the others.
    A few each are enough for every deadline to meet everything else, one at a time.
    """
    dated = replace(FACTS, locale=language, access_changes_at=datetime(2026, 6, 26, 10, tzinfo=UTC))
    words = dated.words(language)
    deadlines = itertools.cycle(
        {"final_action": action, "ends_on": ends}
        for action in [*FinalAction, None]
        for ends in [words["ends_on"], None]
    )
    for ask, has_card, charge, access, changes, confirm, reminder in itertools.product(
        ["nothing", "new card", "confirm"],
        [True, False],
        [words["next_charge_on"], None],
        ["full", "limited", "blocked"],
        [words["access_changes_on"], None],
        [FACTS.confirm_link, None],
        [True, False],
    ):
        for deadline in itertools.islice(deadlines, deadlines_each):
            yield (
                words
                | deadline
                | {
                    "ask": ask,
                    "has_card": has_card,
                    "card_network": "Visa" if has_card else None,
                    "card_last4": FACTS.card_last4 if has_card else None,
                    "next_charge_on": charge if has_card else None,
                    "access": access,
                    "access_changes_on": changes,
                    "confirm_link": confirm,
                    "reminder": reminder,
                }
            )


class Reader(HTMLParser):
    """Reads a page as a mail program does: its elements, its links and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self._unseen = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self._unseen += tag in {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.text += data
