"""The rules of money and mail, for any campaign of the whole language and any order of events."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, Phase, given, settings

from campaigns.document import ASK, KINDS, Campaign
from campaigns.planner import plan
from campaigns.schedule import FAREWELL, NOTICE
from campaigns.story import Action, Outcome
from contract import Approve, Reschedule
from tests.unit import as_written
from tests.unit.any_case import Played, plain, played, undisturbed
from tests.unit.played_case import PlayedCase, World

any_order = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    # Explaining a failure traces every line, which takes minutes.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# --- the end ---------------------------------------------------------------------------------------


@any_order
@given(played())
def test_after_an_end_nothing_is_charged_and_after_the_close_nothing_is_done(found: Played) -> None:
    for deed in found.deeds:
        assert deed.before.ending is None or deed.plan.id == FAREWELL
        assert not deed.before.closed
    closed = found.case.story
    assert closed.closed
    course = found.case.course_of(closed)
    for days in (0, 1, 40):
        upcoming = plan(course, closed, found.case.now + timedelta(days=days))
        assert upcoming.action is Action.CLOSE


@any_order
@given(played())
def test_every_case_ends_and_its_final_action_is_not_before_the_end(found: Played) -> None:
    ended = [deed for deed in found.deeds if deed.plan.action is Action.END]
    ending = found.case.story.ending
    assert ending is not None
    assert len(ended) == (ending.outcome is Outcome.EXHAUSTED)
    for deed in ended:
        end = as_written.course(found.document(deed), deed.before.arm)["end"]
        planned = deed.before.failed_at + as_written.length(end["after"])
        assert deed.at >= deed.before.moved.get("end", planned)
        told = deed.before.done.get(NOTICE)
        if told is not None:
            assert deed.at >= told + as_written.length(end.get("late_grace", "24 hours"))


@any_order
@given(played())
def test_no_step_is_done_once_the_end_has_come(found: Played) -> None:
    for deed in found.deeds:
        if found.step(deed) and deed.before.unsettled is None:
            part = next(part for part in found.case.parts_of(deed) if part.id == deed.plan.id)
            assert part.at < found.case.end_of(deed)


# --- hours -----------------------------------------------------------------------------------------


@any_order
@given(played())
def test_no_mail_leaves_outside_its_hours_but_to_a_customer_who_waits_for_it(found: Played) -> None:
    for deed in found.deeds:
        if not deed.is_mail or as_written.may_go(found.document(deed), "messages", deed.at, deed.before):
            continue
        assert found.is_awake(deed.at), deed
        ending = deed.before.ending
        assert deed.plan.id == deed.before.card_notice or (ending and ending.outcome is Outcome.RECOVERED)


@any_order
@given(played())
def test_no_charge_of_the_schedule_is_made_outside_its_hours_unless_a_person_moved_it(found: Played) -> None:
    put = {wish.step for _, wish, granted in found.case.answers if isinstance(wish, Reschedule) and granted}
    for deed in found.deeds:
        if deed.is_scheduled_charge and not put & {deed.plan.step, None}:
            assert as_written.may_go(found.document(deed), "charges", deed.at, deed.before), deed


# --- times -----------------------------------------------------------------------------------------


@any_order
@given(played())
def test_no_step_is_done_before_its_anchor(found: Played) -> None:
    for deed in found.deeds:
        step = found.step(deed)
        if step is not None:
            assert deed.at >= as_written.anchor(found.document(deed), deed.before, step), deed


@any_order
@given(undisturbed())
def test_jitter_makes_a_step_later_by_no_more_than_its_share(found: Played) -> None:
    for deed in found.deeds:
        step = found.step(deed)
        # What keeps no hours shows the step's own time: a question, and an alert of a step that does not charge.
        free = deed.plan.action is Action.ALERT and not (step and (step["retry"] or "approval" in step))
        if step is not None and (free or deed.plan.id.endswith(f".{ASK}")):
            late = deed.at - as_written.anchor(found.document(deed), deed.before, step)
            assert timedelta(0) <= late <= as_written.length(step.get("jitter", "0 hours"))


@any_order
@given(undisturbed())
def test_what_is_foreseen_comes_at_its_time(found: Played) -> None:
    """Whoever looks at a case sees what is done next, and when, unless the customer decides it."""
    if any(word in str(found.versions) for word in ("mail_opened", "link_clicked")):
        return
    for before, deed in pairwise([None, *found.deeds]):
        moment = before.at if before else found.story.failed_at
        if deed is None or deed.at == moment or deed.plan.id == FAREWELL:
            continue
        foreseen = [upcoming for at, upcoming in found.case.plans if at == moment][-1]
        assert (foreseen.id, foreseen.at) == (deed.plan.id, deed.at)


# --- sameness --------------------------------------------------------------------------------------


@any_order
@given(played())
def test_the_same_inputs_give_the_same_plans(found: Played) -> None:
    again = PlayedCase(found.world, found.story).play()
    assert again.plans == found.case.plans
    assert again.deeds == found.case.deeds


@any_order
@given(played())
def test_being_written_and_read_changes_nothing(found: Played) -> None:
    world = World(**(found.world.__dict__ | {"through_json": True}))
    world.documents = [
        Campaign.model_validate_json(campaign.model_dump_json()) for campaign in world.documents
    ]
    assert list(world.documents) == list(found.world.documents)
    again = PlayedCase(world, found.story).play()
    assert again.plans == found.case.plans
    assert again.story == found.case.story


# --- how often -------------------------------------------------------------------------------------


@any_order
@given(played())
def test_nothing_is_done_twice(found: Played) -> None:
    # A charge whose fate is unknown is asked after under its own id, which is not another charge.
    times = Counter(deed.plan.id for deed in found.deeds if deed.before.unsettled is None)
    assert not [action for action, number in times.items() if number > 1]


@any_order
@given(played())
def test_there_are_never_more_charges_on_schedule_than_the_limit(found: Played) -> None:
    made = 0
    for deed in found.deeds:
        if deed.is_scheduled_charge:
            made += 1
            assert made <= found.document(deed)["retries"]


@any_order
@given(played())
def test_of_all_that_is_due_after_an_outage_one_charge_is_made_and_one_mail_sent(found: Played) -> None:
    mails = Counter(deed.at for deed in found.deeds if deed.is_mail and deed.plan.id != FAREWELL)
    charges = Counter(deed.at for deed in found.deeds if deed.is_scheduled_charge)
    assert max([*mails.values(), *charges.values()], default=0) <= 1


# --- who gets what ---------------------------------------------------------------------------------


@any_order
@given(played())
def test_a_customer_in_the_holdout_gets_nothing(found: Played) -> None:
    for deed in found.deeds:
        if as_written.is_holdout(found.document(deed), deed.before.arm):
            assert deed.plan.action is Action.END or deed.before.unsettled
            assert deed.plan.final_action in {None, "leave"}
            assert deed.before.access == "full"


@any_order
@given(played())
def test_a_step_is_done_only_if_its_conditions_hold_when_it_is_due(found: Played) -> None:
    begun_steps: set[str] = set()
    for deed in found.deeds:
        step = found.step(deed)
        if step is None or deed.before.unsettled or step["id"] in begun_steps:
            continue
        if deed.plan.id.rpartition(".")[2] in KINDS:
            begun_steps.add(step["id"])
        due = next(part.at for part in found.case.parts_of(deed) if part.id == deed.plan.id)
        wanted = step.get("only_if", {})
        held = as_written.holds(wanted, found.case.story_at(due, deed), found.world.attributes, due)
        assert held, (deed, due)


@any_order
@given(played())
def test_without_an_approval_a_step_waits_and_then_does_what_its_author_said(found: Played) -> None:
    approved = [at for at, wish, granted in found.case.answers if isinstance(wish, Approve) and granted]
    for deed in found.deeds:
        step = found.step(deed)
        if (
            step is None
            or "approval" not in step
            or deed.plan.id.endswith(f".{ASK}")
            or deed.before.unsettled
        ):
            continue
        asked = deed.before.done.get(f"{step['id']}.{ASK}")
        assert asked is not None, deed
        over = asked + as_written.length(step["approval"]["within"])
        answered = any(asked <= at <= deed.at for at in approved)
        assert answered or (step["approval"]["otherwise"] == "go on" and deed.at >= over), deed


# --- all of it -------------------------------------------------------------------------------------


@any_order
@given(plain())
def test_everything_that_a_campaign_says_is_done_at_its_time_and_nothing_besides(found: Played) -> None:
    document, story = found.versions[0], found.story
    end = as_written.length(document["end"]["after"]) + story.failed_at
    charges, mails, alerts = set(), [], []
    chargeable = story.has_card and not story.card_blocked and story.ask != "confirm"
    for step in document["steps"]:
        at = as_written.anchor(document, story, step)
        if step["retry"]:
            payday = as_written.put_off(document, at, story)
            put_off = as_written.next_open(document, "charges", payday, story) if payday else end
            opened = as_written.next_open(document, "charges", at, story)
            charges.add(put_off if put_off < end else opened)
            at = opened if chargeable else at
        if "message" in step:
            mails.append(as_written.next_open(document, "messages", at, story))
        if "alert" in step:
            alerts.append(at)
    told_late = bool(mails) and max(mails) >= end
    expected = [(at, "mail") for at in {at for at in mails if at < end}]
    expected += [(at, "alert") for at in alerts if at < end]
    if chargeable:
        expected += [(at, "charge") for at in charges if at < end]
    if told_late:
        notice = as_written.next_open(document, "messages", end, story)
        expected.append((notice, "mail"))
        end = max(end, notice + as_written.length(document["end"].get("late_grace", "24 hours")))
    expected.append((end, "end"))
    if "message" in document["end"]:
        expected.append((as_written.next_open(document, "messages", end, story), "mail"))
    words = {Action.MESSAGE: "mail"}
    done = [(deed.at, words.get(deed.plan.action, str(deed.plan.action))) for deed in found.deeds]
    assert sorted(done) == sorted(expected)
