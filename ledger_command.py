"""The command that shows how often cards were tried, and what is left: ``starter.py ledger``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

import console
from campaigns.durations import spell_moment
from campaigns.money import spell_money
from commands import command_settings, play
from store.card_attempts import State
from web.ledger import ledgers_named
from wiring import open_tools

if TYPE_CHECKING:
    from web.ledger import CardLedger, Limited, Tried

STYLES = {
    State.OPEN: "yellow",
    State.APPROVED: "green",
    State.DECLINED: "",
    State.GIVEN_BACK: "dim",
    State.REFUSED: "magenta",
}


def ledger(
    name: Annotated[
        str,
        typer.Argument(help="A case, its workflow or invoice; or a card's fingerprint or payment method."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,  # noqa: FBT002 - Typer makes a flag of it
) -> None:
    """Show every attempt with a card, whoever made it, and what the networks' limits leave."""

    async def run() -> None:
        now = datetime.now(UTC)
        async with open_tools(command_settings(), now) as tools, tools.database.read() as session:
            found = await ledgers_named(session, name, tools.rules, now)
        if as_json:
            console.print_json([one.model_dump(mode="json") for one in found])
            return
        for one in found:
            _show(one)

    play(run)


def _show(one: CardLedger) -> None:
    named = " · ".join(part for part in (one.card, one.network or one.rail, one.country) if part)
    console.screen.print(_attempts_table(one, named))
    if one.limits:
        console.screen.print(_limits_table(one.limits))
    else:
        console.screen.print("No limit is known for this card.", highlight=False)
    if one.refusal:
        console.screen.print(
            Text(f"Not to be tried now: {one.refusal}", style="bold magenta"), soft_wrap=True
        )
    if one.fees:
        sums = " + ".join(spell_money(amount, currency) for currency, amount in one.fees.items())
        console.screen.print(
            f"Estimated network fees for attempts too many: {sums}", highlight=False, soft_wrap=True
        )


def _attempts_table(one: CardLedger, named: str) -> Table:
    table = Table(title=Text(named), expand=True)
    for heading in ("when (UTC)", "by", "amount"):
        table.add_column(heading, no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("why", ratio=1)
    table.add_column("fee", justify="right", no_wrap=True)
    for tried in one.attempts:
        # Text, not markup: ids and reasons come from outside, and may hold brackets.
        table.add_row(
            f"{tried.at:%d %b %Y %H:%M}",
            Text(_by(tried)),
            Text(spell_money(tried.amount, tried.currency)),
            Text(tried.state.replace("_", " "), style=STYLES[State(tried.state)]),
            Text(tried.reason or (tried.decline or "").replace("_", " ")),
            Text(spell_money(tried.fee, tried.fee_currency) if tried.fee and tried.fee_currency else ""),
        )
    return table


def _by(tried: Tried) -> str:
    return tried.source if tried.initiator == "merchant" else f"{tried.source}, {tried.initiator}"


def _limits_table(limits: list[Limited]) -> Table:
    table = Table(expand=True)
    table.add_column("limit", ratio=1)
    for heading in ("used", "margin", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("free again (UTC)", no_wrap=True)
    for one in limits:
        free = "not again" if one.never_again else spell_moment(one.free_at) if one.free_at else "now"
        table.add_row(
            Text(f"{one.sentence} ({one.source})"),
            f"{one.used} of {one.limit}",
            str(one.margin),
            str(one.left),
            free,
        )
    return table
