"""How cases look on a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaigns.durations import spell_duration
from campaigns.money import spell_money
from campaigns.story import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaigns.story import Plan
    from contract import CaseStatus
    from demo import Payment, Result
    from local import Services
    from store.tables import CaseRow, SwitchRow

screen = Console()
errors = Console(stderr=True)

# On a narrower terminal the ids would leave no room for what they are about.
WIDE = 120
GOOD = {Outcome.RECOVERED, Outcome.RECOVERED_ELSEWHERE}
COLOURS = {
    Status.WAITING: "cyan",
    Status.CHARGING: "yellow",
    Status.PAUSED: "magenta",
    Status.NEEDS_REVIEW: "bold red",
}


def print_json(value: Any) -> None:
    """Print for a program: one JSON document, and nothing else."""
    print(json.dumps(value, indent=2, default=str))  # noqa: T201 - rich would fold long lines


def print_lines(lines: Iterable[object]) -> None:
    """Print lines for a program to read, or for a file: as they are, never folded."""
    for line in lines:
        print(line)  # noqa: T201 - rich would fold long lines


def state_of(row: CaseRow) -> Text:
    """Write a case's status, or its outcome with what brought it about."""
    if row.outcome is None:
        return Text(row.status, style=COLOURS.get(Status(row.status), ""))
    named = row.lever or row.ended_by or (row.final_action or "").replace("_", " ")
    return Text(
        f"{row.outcome}" + (f" · {named}" if named else ""), style="green" if row.outcome in GOOD else "dim"
    )


def cases_table(rows: Iterable[CaseRow], *, wide: bool = True) -> Table:
    """Draw cases as a table; a narrow one names of each only the invoice."""
    table = Table(expand=True)
    for heading in ("case", "invoice", "customer") if wide else ("invoice",):
        table.add_column(heading, no_wrap=True)
    table.add_column("amount", justify="right", no_wrap=True)
    for heading in ("decline", "state", "what is next"):
        table.add_column(heading)
    for row in rows:
        money = spell_money(row.amount, row.currency) if row.currency else ""
        named = (row.id, row.invoice, row.customer) if wide else (row.invoice,)
        told = (*named, money, (row.decline or "").replace("_", " "))
        # Text, not markup: ids and reasons come from outside, and may hold brackets.
        table.add_row(*(Text(part) for part in told), state_of(row), Text(row.sentence))
    return table


def case_story(status: CaseStatus) -> Table:
    """Draw one case's timeline."""
    table = Table(title=Text(f"{status.case_id} · {status.status} · {status.sentence}"), expand=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what")
    for line in status.timeline:
        table.add_row(f"{line.at:%d %b %Y %H:%M:%S}", Text(line.text))
    if status.next_step and status.next_step.at:
        table.add_row(
            f"{status.next_step.at:%d %b %Y %H:%M:%S}", Text(f"next: {status.next_step.action}", style="cyan")
        )
    return table


def preview_table(plans: Iterable[Plan], failed_at: datetime, title: str) -> Table:
    """Draw what a campaign does, day by day."""
    table = Table(title=Text(title), expand=True)
    for heading in ("when", "what", "why"):
        table.add_column(heading)
    for step in plans:
        what = step.template or step.access or step.final_action or ""
        offset = spell_duration(step.at - failed_at) if step.at else ""
        table.add_row(f"+{offset}", f"{step.action} {str(what).replace('_', ' ')}", Text(step.why))
    return table


def switches_table(rows: Iterable[SwitchRow]) -> Table:
    """Draw the stops that hold for everybody."""
    table = Table(expand=True)
    for heading in ("stop", "state", "since (UTC)", "by", "why"):
        table.add_column(heading)
    for row in rows:
        state = Text("STOPPED", style="bold red") if row.stopped else Text("running", style="green")
        table.add_row(Text(row.name), state, f"{row.at:%d %b %Y %H:%M}", Text(row.by), Text(row.why))
    return table


def demo_table(payments: Sequence[Payment], rows: dict[str, CaseRow], failed_at: datetime) -> Table:
    """Draw the demonstration as it stands."""
    seconds = (datetime.now(UTC) - failed_at).total_seconds()
    table = Table(title=f"{seconds:4.0f} s after the failures", expand=True)
    for heading in ("customer", "what happens"):
        table.add_column(heading, no_wrap=True)
    table.add_column("amount", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("next", ratio=1, no_wrap=True, overflow="ellipsis")
    for payment in payments:
        row = rows.get(payment.invoice)
        money = spell_money(payment.amount, payment.currency)
        if row is None:
            table.add_row(payment.name, payment.story, money, Text("reported", style="dim"), "")
            continue
        upcoming = ""
        if row.next_step_at and not row.outcome:
            left = (row.next_step_at - datetime.now(UTC)).total_seconds()
            upcoming = f"{row.next_step} in {max(0.0, left):.0f} s"
        table.add_row(payment.name, payment.story, money, state_of(row), upcoming)
    return table


def print_demo_summary(found: Sequence[Result], services: Services, seconds: float) -> None:
    """Print what was recovered and by what, what was not, the mails, and where each case is to be read."""
    table = Table(title="What became of them", expand=True)
    for heading in ("customer", "outcome", "charges", "mails that were sent"):
        table.add_column(heading)
    for result in found:
        state = state_of(result.case) if result.case else Text("nothing", style="red")
        mails = ", ".join(
            message.template.replace("_", " ") for message in result.messages if message.state == "sent"
        )
        table.add_row(result.payment.name, state, str(result.charged), mails)
    screen.print(table)
    screen.print("[bold]Each case in the Temporal UI[/] (with --keep it stays up):")
    for result in found:
        if result.case:
            # Whole lines, so that a terminal makes links of them.
            screen.print(
                f"  {result.payment.name:12} {services.case_url(result.case.workflow_id)}", soft_wrap=True
            )
    totals: dict[str, dict[str, int]] = {"recovered": {}, "not recovered": {}}
    for result in found:
        kind = "recovered" if result.case and result.case.outcome in GOOD else "not recovered"
        currency = result.payment.currency
        totals[kind][currency] = totals[kind].get(currency, 0) + result.payment.amount
    for kind, sums in totals.items():
        screen.print(
            f"[bold]{kind}:[/] " + " + ".join(spell_money(amount, code) for code, amount in sums.items())
        )
    screen.print(f"[bold]mails:[/] open the .html files in {services.settings.mail_folder}")
    screen.print(
        f"[bold]web side:[/] {services.web_url}   [bold]Temporal UI:[/] {services.temporal_ui or 'none'}"
    )
    faults = [f"{result.payment.name}: {fault}" for result in found for fault in result.faults]
    for fault in faults:
        screen.print(f"[bold red]wrong:[/] {fault}")
    if not faults:
        screen.print(
            f"[bold green]All {len(found)} cases ended as they should, {seconds:.0f} s after the failures.[/]"
        )
