"""What customers of a campaign go through, as the check foresees it and as the planner then does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from campaigns.arms import assign, for_case
from campaigns.checking import check
from campaigns.simulation import Customer, simulate
from campaigns.story import Action
from tests.unit.any_campaign import ATTRIBUTES, documents, failures
from tests.unit.checked_campaign import ANY_TEMPLATE, GOOD, KNOWN, TOP, found

if TYPE_CHECKING:
    from campaigns.document import Campaign
    from campaigns.simulation import Happened
    from errors import Fault

SILENT = "sends the customer nothing: nobody says what there is to do (give a message to a step that is for such a case, too)"


def test_a_path_on_which_nothing_is_sent() -> None:
    only = "    only_if: {decline_class: [soft, retry-later]}\n"
    text = TOP + GOOD.replace("    message", f"{only}    message")
    assert found(text) == [
        f"2: a hard decline {SILENT}",
        f"2: a decline that the customer has to confirm (3-D Secure) {SILENT}",
    ]
    # Such declines are left to others, and no charge brings another.
    takes = "takes: {priority: 1, decline_class: [soft]}\n"
    assert found(f"{TOP}{takes}{text.removeprefix(TOP)}".replace("    retry: true\n", "")) == []


def test_a_path_on_which_nothing_is_sent_to_some() -> None:
    text = TOP + GOOD.replace("    message", "    only_if: {plan: [pro, team]}\n    message")
    assert found(text)[0] == (
        "2: a hard decline sends the customer nothing (any other plan): nobody says what there is to do (give a"
        " message to a step that is for such a case, too)"
    )


def test_a_holdout_may_be_silent_and_an_arm_may_not() -> None:
    arms = (
        "arms:\n  - {name: a, weight: 45}\n"
        "  - {name: b, weight: 45, steps: [{id: only-try, after: 2 days, retry: true}]}\n"
        "  - {name: holdout, weight: 10, holdout: true}\n"
    )
    assert found(TOP + arms + GOOD) == [
        f"4: arm b: a hard decline {SILENT}",
        f"4: arm b: a decline that the customer has to confirm (3-D Secure) {SILENT}",
        (
            "20: arm b: after a soft decline the subscription is cancelled out of the blue: no message before it says so"
            " (let a step send 'last_notice' some days before the end)"
        ),
    ]


def test_a_cancel_out_of_the_blue() -> None:
    text = TOP + GOOD.replace("message: last_notice", "message: payment_failed")
    said = "let a step send 'last_notice' some days before the end"
    assert found(text) == [
        f"16: after a soft decline the subscription is cancelled out of the blue: no message before it says so ({said})"
    ]
    assert found(text.replace("cancel_now", "leave")) == []


def test_a_last_notice_long_before_the_end() -> None:
    text = TOP + GOOD.replace("after: 12 days", "after: 8 days")
    assert found(text) == [
        (
            "16: warning: after a soft decline the subscription is cancelled 6 days after the last message that says so"
            " (say so again in the last 4 days 16 hours)"
        )
    ]
    assert found(text.replace(TOP, "name: gentle\ngrace: 7 days\n")) == []


# --- any campaign --------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(documents())
def test_any_campaign_can_be_checked_and_its_faults_are_in_it(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False)
    checked = check(text, file="c.yaml", known=KNOWN)
    assert checked.campaign is not None, checked.faults
    assert checked == check(text, file="c.yaml", known=KNOWN)
    steps = {step["id"] for part in (document, *document.get("arms", [])) for step in part.get("steps", [])}
    arms = {arm["name"] for arm in document.get("arms", [])}
    for fault in checked.faults:
        assert 1 <= fault.line <= text.count("\n")
        assert fault.step is None or fault.step in steps
        assert fault.arm is None or fault.arm in arms


@dataclass(frozen=True)
class Played:
    """A checked campaign, and all that the planner does in one case of it; ``faults`` are those of its arm."""

    faults: tuple[Fault, ...]
    campaign: Campaign
    done: tuple[Happened, ...]


@st.composite
def played(draw: st.DrawFn) -> Played:
    document, story, attributes = draw(documents()), draw(failures()), draw(ATTRIBUTES)
    checked = check(yaml.safe_dump(document, sort_keys=False), file="c.yaml", known=ANY_TEMPLATE)
    assert checked.campaign is not None
    arm = assign(checked.campaign, story.customer)
    story = story.model_copy(update={"arm": arm})
    course = for_case(checked.campaign, story, attributes)
    hours = draw(st.sampled_from([None, 1, 5, 30]))
    customer = Customer(
        opens_mail_after=timedelta(hours=hours) if hours else None,
        uses_link_after=timedelta(hours=hours + 1) if hours == 5 else None,
        approves=draw(st.booleans()),
    )
    done = tuple(item for item in simulate(course, story, story.failed_at, customer) if item.plan)
    return Played(tuple(fault for fault in checked.faults if fault.arm in {None, arm}), course, done)


# Most campaigns that are made up have something to be said about their mails.
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(played())
def test_where_no_fault_says_so_the_planner_sends_no_two_mails_too_close(case: Played) -> None:
    assume(not any("mail" in fault.what or "message" in fault.what for fault in case.faults))
    # A campaign with an error is not published: a step that is never done, say, brings the late notice.
    assume(not any(fault.severity == "error" for fault in case.faults))
    mails = [item.at for item in case.done if item.plan and item.plan.action is Action.MESSAGE]
    assert all(later - earlier >= case.campaign.spacing for earlier, later in pairwise(mails))


@settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(played())
def test_a_step_that_is_called_unreachable_is_never_done(case: Played) -> None:
    unreachable = {fault.step for fault in case.faults if "no case ever reaches this step" in fault.what}
    assert not unreachable & {item.plan.step for item in case.done if item.plan}
