"""What a decline changes in a case: its reason, what to ask for, and when the card may be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.declines import NO_CARD, Ask
from campaigns.story import Advised, Story

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.declines import Verdict

QUICK = "quick"


def learn_from_decline(story: Story, verdict: Verdict, at: datetime) -> dict[str, object]:
    """Give the changes that a decline at ``at`` makes to a story; the card it speaks of is the case's own.

    A code that is not known stays worth a few retries, whatever the campaign has planned; each decline whose
    code is known begins anew.
    """
    changes: dict[str, object] = {
        "decline": verdict.code,
        "decline_class": str(verdict.kind),
        "disclose": verdict.disclose,
        "ask": verdict.ask,
        "advised": _advised(story, verdict, at),
        "revoked": story.revoked or verdict.revoked,
        "few_until": None,
    }
    if verdict.at_most is not None:
        changes["few_until"] = (
            story.scheduled_charges + verdict.at_most if story.few_until is None else story.few_until
        )
    if verdict.code == NO_CARD:
        changes["has_card"] = False
    if not verdict.charge_again and verdict.ask is not Ask.CONFIRM:
        changes["blocked"] = _with_card(story)
    return changes


def new_card(method: str | None) -> dict[str, object]:
    """Give the changes that another card makes to a story: it owes nothing to what was said of the one before."""
    return {
        "method": method,
        "has_card": True,
        "ask": Ask.NOTHING,
        "advised": None,
        "few_until": None,
        "revoked": False,
    }


def with_card_blocked(story: Story) -> Story:
    """Give the story with its card done with, so that the customer is asked for another."""
    return story.model_copy(update={"blocked": _with_card(story), "ask": Ask.NEW_CARD})


def _with_card(story: Story) -> tuple[str, ...]:
    card = story.method or "default"
    return story.blocked if card in story.blocked else (*story.blocked, card)


def _advised(story: Story, verdict: Verdict, at: datetime) -> Advised | None:
    """Say when the card may be tried again: as the issuer asked, or soon after a trouble of the machines.

    After each quick try the next one waits twice as long.
    """
    if not verdict.charge_again:
        return None
    if verdict.wait is not None:
        name = f"advised.{at:%Y-%m-%dT%H%M%S}"
        return Advised(id=name, at=at + verdict.wait, why=verdict.why, timed=verdict.timed)
    tried = sum(action.startswith(f"{QUICK}.") for action in story.done)
    if verdict.quick is None or tried >= verdict.quick_retries:
        return None
    return Advised(id=f"{QUICK}.{tried + 1}", at=at + verdict.quick * 2**tried, why=verdict.why, exact=False)
