"""How a case reads in the Temporal UI: texts only, so that a change of wording needs no patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import keys
    from campaigns.durations import spell_moment
    from campaigns.money import spell_money
    from campaigns.story import Action, Status
    from contract import CaseStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.story import Plan
    from contract import Line, OpenCase, Report

# The server takes 20 KB of details; a line of the timeline is at most a few hundred bytes.
SHOWN_LINES = 40
LONGEST_LINE = 300


def summary(report: Report, plan: Plan) -> str:
    """Name an activity in the UI's timeline: ``Charge 2: $49.00 (schedule)``."""
    story = report.story
    money = spell_money(story.amount, story.currency)
    words = {
        Action.CHARGE: f"Charge {story.charges + 1}: {money} ({plan.trigger})",
        Action.MESSAGE: f"Mail: {(plan.template or '').replace('_', ' ')}",
        Action.ACCESS: f"Access: {plan.access}",
        Action.END: f"Final action: {str(plan.final_action).replace('_', ' ')}",
        Action.LOOK: f"Read the invoice: {plan.why}",
    }
    return words.get(plan.action, plan.why)[:200]


def resting(plan: Plan) -> str:
    """Name a timer in the UI's timeline: ``charge on 12 Jun 2026 09:03 UTC · step day-3: …``."""
    return plan.why if plan.at is None else f"{plan.action} on {spell_moment(plan.at)} · {plan.why}"


def details(report: Report, timeline: Sequence[Line]) -> str:
    """Write the case as Markdown: where it stands, what comes next and why, and what happened."""
    story = report.story
    status = report.attributes.status
    head = f"## {spell_money(story.amount, story.currency)} · {status}\n\n**{report.sentence}**\n"
    rows = [
        f"| {spell_moment(line.at)} | {line.text[:LONGEST_LINE].replace('|', '/')} |"
        for line in timeline[-SHOWN_LINES:]
    ]
    left_out = len(timeline) - len(rows)
    note = f"\n({left_out} earlier lines are left out)\n" if left_out else ""
    return "\n".join([head, note, "| when | what |", "| --- | --- |", *reversed(rows)])


def status(
    order: OpenCase, report: Report | None, timeline: Sequence[Line], trouble: str | None
) -> CaseStatus:
    """Tell the whole story as data."""
    name = workflow.info().workflow_id
    if report is None:
        return CaseStatus(
            case_id=keys.case_id(name),
            workflow_id=name,
            status=Status.WAITING,
            sentence=f"invoice {order.invoice} could not be read: {trouble}"
            if trouble
            else f"invoice {order.invoice} has not been read yet",
        )
    ending = report.story.ending
    return CaseStatus(
        case_id=report.story.case_id,
        workflow_id=name,
        status=report.attributes.status,
        outcome=ending.outcome if ending else None,
        sentence=report.sentence,
        next_step=None if report.story.closed else report.plan,
        story=report.story,
        timeline=tuple(timeline),
    )
