"""The bank's confirmation that did not come: asked for once more where no step does so, and never charged without it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.news import take_fact
from campaigns.declines import Ask
from campaigns.schedule import CONFIRM_AGAIN
from campaigns.story import Action, Pause, Story
from contract import InvoiceChanged
from tests.unit.planner_story import CAMPAIGN, RETRY_DAYS, day, next_of, story
from tests.unit.test_declines import TABLE

LAST = max(RETRY_DAYS)


def waiting(**more: Any) -> Story:
    """Give a case whose steps have all had their mail, each asking for the confirmation."""
    done = {f"day-{number}.message": day(number) for number in RETRY_DAYS} | {"day-1.charge": day(1)}
    asks = {"ask": Ask.CONFIRM, "decline": "authentication_required", "done": done}
    return story(**(asks | more))


def expired(case: Story, now: float, *, event: str = "evt_1", unconfirmed: bool = True) -> Story:
    """Tell the case that the confirmation did not come, and let it read the invoice as it then does."""
    fact = InvoiceChanged(event=event, what="not confirmed", unconfirmed=unconfirmed)
    taken = take_fact(case, fact, CAMPAIGN, TABLE, day(now))
    assert taken.story.look == "not confirmed"
    return taken.story.model_copy(update={"look": None})


def test_after_the_last_step_it_is_asked_for_once_more_at_once() -> None:
    plan = next_of(expired(waiting(), LAST + 1), LAST + 1)
    assert (plan.action, plan.id, plan.template) == (Action.MESSAGE, CONFIRM_AGAIN, "confirm_payment")
    assert plan.at == day(LAST + 1)
    assert plan.why == "the confirmation did not come: ask the customer for it once more"


def test_it_is_asked_for_so_only_once() -> None:
    asked = waiting(done={**waiting().done, CONFIRM_AGAIN: day(LAST + 1)})
    assert expired(asked, LAST + 2).card_notice is None


def test_before_the_last_step_the_next_mail_asks() -> None:
    case = expired(waiting(), LAST - 1)
    assert case.card_notice is None


@pytest.mark.parametrize(
    "how",
    [
        {"ask": Ask.NOTHING},
        {"paused": Pause(by="ops", why="a holiday", until=day(30))},
        {"review": "a person looks"},
        {"promise_at": day(LAST) + timedelta(days=3)},
    ],
    ids=["nothing asked", "paused", "with a person", "promised"],
)
def test_nothing_is_asked_where_the_case_rests_or_asks_for_nothing(how: dict[str, Any]) -> None:
    assert expired(waiting(**how), LAST + 1).card_notice is None


def test_any_other_change_of_the_invoice_asks_nothing() -> None:
    assert expired(waiting(), LAST + 1, unconfirmed=False).card_notice is None
