"""The command line: run everything locally, start a case, signal it, look at it, stop everybody."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import account_commands
import breaker_commands
import campaign_commands
import console
import ledger_command
import move_commands
import shadow_command
import what_if_command
from campaigns.declines import Said
from campaigns.simulation import Sample, begin, simulate
from campaigns.story import Outcome, Status
from commands import (
    FOLDER,
    command_settings,
    faults_of,
    find_case,
    is_installed,
    json_object,
    named_campaign,
    open_desk,
    play,
    tell_person,
)
from contract import FACTS, WISHES, FactName, OpenCase, WishName, read_fact
from errors import BadInput
from processors.sandbox import SandboxProcessor
from settings import load_settings
from store import cases, customers, schema, switches
from store.facts import read_facts
from web.intake import ask, open_case, tell, told
from wiring import open_tools

app = typer.Typer(
    help="Dunwell recovers failed subscription payments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(account_commands.app, name="user")
app.add_typer(campaign_commands.app, name="campaign")
app.command("what-if")(what_if_command.what_if)
app.command("breakers")(breaker_commands.held)
app.command("ledger")(ledger_command.ledger)
app.command("shadow")(shadow_command.shadow)
app.add_typer(move_commands.app)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
Folder = Annotated[Path, typer.Option(help="Where everything local is kept.")]
By = Annotated[str, typer.Option(help="Who asks for this; it is recorded.")]
Why = Annotated[str, typer.Option(help="Why; it is recorded.")]


# --- running ---------------------------------------------------------------------------------------


@app.command()
def up(folder: Folder = FOLDER) -> None:
    """Run everything on this machine, kept in a folder, until Ctrl-C."""
    from running import run_up  # noqa: PLC0415 -- what runs on needs all of Dunwell; other commands start sooner

    play(lambda: run_up(folder))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
) -> None:
    """Watch a dozen failed payments being recovered, in a minute."""
    from running import run_demo  # noqa: PLC0415 -- likewise

    raise typer.Exit(play(lambda: run_demo(keep=keep)))


@app.command()
def web() -> None:
    """Run the web side alone, beside workers and a Temporal server elsewhere."""
    from running import run_web_side  # noqa: PLC0415 -- likewise

    play(run_web_side)


@app.command()
def migrate() -> None:
    """Bring the database to the tables of this release."""

    async def run() -> None:
        await asyncio.to_thread(schema.upgrade, load_settings().database_url)

    play(run)
    console.screen.print("The database is up to date.")


@app.command("try")
def try_out(
    decline: Annotated[str, typer.Option(help="Why the payment fails.")] = "insufficient_funds",
    answers: Annotated[
        str,
        typer.Option(help="What the card answers to later charges, such as 'insufficient_funds*2, paid'."),
    ] = "insufficient_funds, paid",
    amount: Annotated[int, typer.Option(help="In minor units.")] = 4900,
    currency: str = "USD",
    as_json: AsJson = False,
) -> None:
    """Let a payment fail at the sandbox processor, to watch what 'up' does about it."""

    async def run() -> None:
        settings, now = command_settings(), datetime.now(UTC)
        if settings.sandbox_file is None:
            raise BadInput("there is no sandbox here: set DUNWELL_SANDBOX_FILE, or run 'make up'")
        sandbox = SandboxProcessor(settings.sandbox_file, settings.sandbox_webhook_secret.get_secret_value())
        name = uuid.uuid4().hex[:8]
        invoice, customer = f"in_{name}", f"cus_{name}"
        await sandbox.add_customer(customer, f"{name}@example.com", "Ada Byron")
        await sandbox.add_card(customer, f"card_{name}", answers)
        await sandbox.add_invoice(invoice, customer, amount, currency)
        await sandbox.fail(invoice, now, decline)
        await sandbox.close()
        if as_json:
            console.print_json({"invoice": invoice, "customer": customer})
        else:
            console.screen.print(
                f"Invoice {invoice} of {customer} has failed; 'up' opens its case in a moment."
            )
            console.screen.print(f"Look at it with: starter.py status {invoice}")

    play(run)


# --- working with cases ----------------------------------------------------------------------------


@app.command()
def start(
    invoice: Annotated[str, typer.Argument(help="The failed invoice's id.")],
    processor: Annotated[str, typer.Option(help="Where the invoice is.")] = "stripe",
    account: str = "main",
    campaign: Annotated[str | None, typer.Option(help="Left out, the default campaign.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open the case of a failed invoice, or start one again that was terminated in Temporal."""

    async def run() -> None:
        async with open_desk() as desk:
            desk.tools.processor(processor)
            order = OpenCase(processor=processor, account=account, invoice=invoice, campaign=campaign)
            order = order.model_copy(update={"livemode": desk.settings.livemode})
            delivery = await open_case(desk, order, f"cli.{uuid.uuid4().hex}", revive=True)
            tell_person(delivery, as_json=as_json)

    play(run)


@app.command()
def signal(
    case: Annotated[str, typer.Argument(help="The case's id, its workflow's, or its invoice's.")],
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join([*FACTS, *WISHES])}.")],
    data: Annotated[str, typer.Option(help="More details, as a JSON object.")] = "{}",
    by: By = "",
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Tell a case a fact, or put a wish to it, which needs --by and --why."""

    async def run() -> None:
        if name not in FACTS and name not in WISHES:
            raise BadInput(f"nothing is called '{name}'; there are: {', '.join([*FACTS, *WISHES])}")
        details = json_object(data) | {key: value for key, value in (("by", by), ("why", why)) if value}
        async with open_desk() as desk:
            row = await find_case(desk, case)
            event = str(details.pop("event", f"cli.{uuid.uuid4().hex}"))
            try:
                if name in FACTS:
                    fact = read_fact(FactName(name), json.dumps(details), event)
                    [delivery] = await tell(desk, [row], FactName(name), fact)
                else:
                    wish = WISHES[WishName(name)].model_validate(details)
                    delivery = await ask(desk, row, WishName(name), wish, event)
            except ValueError as error:
                raise BadInput(f"{name} needs other details: {faults_of(error)}") from None
            tell_person(delivery, as_json=as_json)

    play(run)


@app.command()
def status(case: str, as_json: AsJson = False) -> None:
    """Tell a case's story: what happened, and what comes next and why."""

    async def run() -> None:
        async with open_desk() as desk:
            row = await find_case(desk, case)
            found = await told(desk, row)
        if as_json:
            console.print_json(found.model_dump(mode="json"))
        else:
            console.screen.print(console.case_story(found))

    play(run)


@app.command("list")
def list_cases(
    status: Annotated[
        str | None, typer.Option(help="waiting, charging, paused, needs review, closed.")
    ] = None,
    outcome: str | None = None,
    customer: str | None = None,
    limit: int = 50,
    as_json: AsJson = False,
) -> None:
    """List cases, the latest first."""

    async def run() -> None:
        for value, known in ((status, Status), (outcome, Outcome)):
            if value is not None and value not in set(known):
                raise BadInput(f"no case is ever '{value}': there are {', '.join(known)}")
        async with (
            open_tools(command_settings(), datetime.now(UTC)) as tools,
            tools.database.read() as session,
        ):
            rows = await cases.listing(
                session, status=status, outcome=outcome, customer=customer, limit=limit
            )
        if as_json:
            console.print_json([row.model_dump(mode="json", exclude={"story"}) for row in rows])
        else:
            console.screen.print(console.cases_table(rows, wide=console.screen.width >= console.WIDE))

    play(run)


@app.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="A campaign's name, or a file.")],
    decline: Annotated[str, typer.Option(help="The decline code of every charge.")] = "insufficient_funds",
    no_card: Annotated[bool, typer.Option("--no-card", help="The customer has no card.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign does, step by step, to a case in which nothing changes."""

    async def run() -> None:
        found = await named_campaign(campaign)
        failed_at = datetime.now(UTC).replace(microsecond=0)
        facts = read_facts(command_settings().facts_folder if is_installed() else None)
        verdict = facts.declines.judge(Said(decline), failed_at.date())
        if not verdict.known:
            raise BadInput(f"no decline code is called '{decline}': see campaigns/data/decline_codes.csv")
        story = begin(found, Sample(failed_at, verdict, has_card=not no_card))
        played = simulate(found, story, failed_at, verdict=verdict)
        plans = [item.plan for item in played if item.plan]
        if as_json:
            console.print_json([step.model_dump(mode="json", exclude_none=True) for step in plans])
        else:
            title = f"{found.title or found.name}: every charge declined ({decline.replace('_', ' ')})"
            console.screen.print(console.preview_table(plans, failed_at, title))

    play(run)


# --- stopping everybody ----------------------------------------------------------------------------


@app.command()
def stop(what: Annotated[str, typer.Argument(help="charges or messages")], by: By, why: Why) -> None:
    """Stop all charges or all messages, at once, for every worker."""
    play(lambda: _turn(what, by, why, stopped=True))


@app.command()
def release(what: Annotated[str, typer.Argument(help="charges or messages")], by: By, why: Why) -> None:
    """Let charges or messages go on again; cases look within a quarter of an hour."""
    play(lambda: _turn(what, by, why, stopped=False))


async def _turn(what: str, by: str, why: str, *, stopped: bool) -> None:
    if what not in {switches.CHARGES, switches.MESSAGES}:
        raise BadInput(f"'{what}' cannot be stopped: there are charges and messages")
    now = datetime.now(UTC)
    async with open_tools(command_settings(), now) as tools:
        async with tools.database.begin() as session:
            await switches.turn(session, what, stop=stopped, by=by, why=why, now=now)
        async with tools.database.read() as session:
            console.screen.print(console.switches_table(await switches.all_switches(session)))


@app.command()
def exclude(customer: str, by: By, why: Why, processor: str = "stripe", account: str = "main") -> None:
    """Keep a customer out of dunning: new failures of theirs are recorded and not worked."""

    async def run() -> None:
        now = datetime.now(UTC)
        async with open_tools(command_settings(), now) as tools, tools.database.begin() as session:
            # A processor's name with a typo would exclude nobody, silently.
            tools.processor(processor)
            await customers.keep(session, processor, account, customer, now, excluded_by=by, excluded_why=why)
        console.screen.print(escape(f"Customer {customer} of {processor} is excluded."))

    play(run)


if __name__ == "__main__":
    sys.exit(app())
