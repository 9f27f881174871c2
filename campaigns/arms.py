"""Variants of a campaign: which arm a customer is in, and the campaign as it is for one case."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from campaigns.document import End, FinalAction, Messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from campaigns.document import Arm, Campaign, Step
    from campaigns.story import Story


@lru_cache(maxsize=4096)
def share_of(*names: str) -> float:
    """Give a number above 0 and below 1 that is always the same for the same names, and evenly spread."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return (int.from_bytes(digest[:7]) + 1) / (2**56 + 2)


def assign(campaign: Campaign, customer: str, earlier: str = "", *, running: bool = False) -> str:
    """Choose a customer's arm; empty where the campaign has none.

    ``customer`` names the customer fully (processor, account, id). ``earlier`` is the arm of the
    customer's case before, which is kept where it still exists. Otherwise the choice is by weighted
    rendezvous hashing, so that a change of weights moves no more customers than it has to. A case that
    is ``running`` is never put into a holdout: it has been written to already.
    """
    open_to = [arm for arm in campaign.arms if arm.weight > 0 and not (running and arm.holdout)]
    if earlier in {arm.name for arm in campaign.arms}:
        return earlier
    if not open_to:
        return ""
    return max(open_to, key=lambda arm: _pull(campaign, arm, customer)).name


def _pull(campaign: Campaign, arm: Arm, customer: str) -> float:
    # Rendezvous hashing with weights: -w / ln(u) is largest for each arm in proportion to w.
    return -arm.weight / math.log(share_of(campaign.name, arm.name, customer))


def for_case(campaign: Campaign, story: Story, attributes: Mapping[str, object]) -> Campaign:
    """Give the campaign as it is for one case: its arm's steps, and no step of another plan or customer.

    This is what the planner follows. ``attributes`` are the customer's; they stay out of the story.
    """
    arm = next((arm for arm in campaign.arms if arm.name == story.arm), None)
    changes: dict[str, object] = {}
    if arm is not None and arm.holdout:
        end = End(after=campaign.end.after, action=FinalAction.LEAVE, late_payment=campaign.end.late_payment)
        return campaign.model_copy(
            update={"arms": (arm,), "steps": (), "end": end, "messages": Messages(), "retries": 0}
        )
    if arm is not None:
        parts = {"steps": arm.steps, "end": arm.end, "messages": arm.messages}
        changes = {name: part for name, part in parts.items() if part is not None}
    if campaign.arms:
        changes["arms"] = ()
    steps = changes.get("steps", campaign.steps)
    assert isinstance(steps, tuple)
    fitting = tuple(step for step in steps if step.only_if.fit(story, attributes))
    if len(fitting) != len(campaign.steps) or "steps" in changes:
        changes["steps"] = fitting
    return campaign.model_copy(update=changes) if changes else campaign


def asks_for_attributes(campaign: Campaign) -> bool:
    """Whether any step of any arm depends on the customer's attributes, so that they have to be read."""
    return any(step.only_if.attributes for step in _every_step(campaign))


def asks_for_engagement(campaign: Campaign) -> bool:
    """Whether any step depends on mails opened or links used, so that the messages have to be read."""
    return any(step.only_if.waits_for_the_customer for step in _every_step(campaign))


def _every_step(campaign: Campaign) -> Iterator[Step]:
    forms: tuple[Campaign | Arm, ...] = (campaign, *campaign.arms)
    for form in forms:
        yield from form.steps or ()
