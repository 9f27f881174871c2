"""The ledger as a person types it and as a program asks for it: attempts, refusals, what is left, fees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.budget import Initiator, Result
from store import cases, ledger
from store.card_attempts import Source
from store.cards import Card
from store.database import Database
from tests.conftest import SQLITE
from tests.integration.ledger_story import RULES, attempt, theirs
from tests.integration.processes import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Databases
    from tests.integration.web_side import WebSide

pytest_plugins = ("tests.integration.web_fixtures",)

HOUR = timedelta(hours=1)
EUROPEAN = Card("sandbox", "main", "fp_[of]_a_case", "mastercard", "DE")


async def busy_card(database: Database, invoice: str, card: Card) -> tuple[str, datetime]:
    """Let a card be tried eleven times in a few hours by others, and refuse it to a case of ours."""
    begun = datetime.now(UTC) - 5 * HOUR
    async with database.begin() as session:
        case = (await cases.reserve(session, "sandbox", "main", invoice, begun, customer="cus_1")).case
        for number in range(10):
            one = theirs(f"{invoice} {number}", case_id=case.id, invoice=invoice)
            at = begun + timedelta(minutes=number)
            await ledger.note(session, card, one, Result.DECLINED, RULES, at, decline="insufficient_funds")
        checkout = attempt(f"{invoice} last", source=Source.CHECKOUT, initiator=Initiator.CUSTOMER)
        await ledger.note(session, card, checkout, Result.DECLINED, RULES, begun + HOUR)
        await ledger.claim(
            session, card, attempt(f"{invoice} ours", case_id=case.id), RULES, begun + 2 * HOUR
        )
    return case.id, begun


async def test_the_ledger_of_a_case_on_a_terminal(tmp_path: Path, databases: Databases) -> None:
    url = databases.fresh(SQLITE)
    database = Database(url)
    case, begun = await busy_card(database, "in_1", EUROPEAN)
    await database.close()
    terminal = Terminal(tmp_path, {"DUNWELL_DATABASE_URL": url, "DUNWELL_SECRET_KEY": "x" * 40})
    shown = await terminal.run("ledger", "in_1")
    assert shown.code == 0, shown.err
    words = " ".join(shown.out.replace("│", " ").split())
    assert "fp_[of]_a_case · mastercard · DE" in words
    assert words.count("insufficient funds") == 10
    assert "checkout, customer" in words
    assert "refused" in words
    assert "11 of 10" in words
    assert (
        "Not to be tried now: Mastercard allows 10 attempts on one card with one merchant in 1 day" in words
    )
    assert "Estimated network fees for attempts too many: €0.55" in words

    by_card = await terminal.run("ledger", EUROPEAN.card, "--json")
    assert by_card.code == 0, by_card.err
    [told] = by_card.data
    assert [one["state"] for one in told["attempts"]] == ["declined"] * 11 + ["refused"]
    assert told["attempts"][-1]["case_id"] == case
    assert told["attempts"][-1]["reason"].startswith("Mastercard allows 10 attempts")
    [day, month] = told["limits"]
    assert (day["rule"], day["used"], day["margin"], day["left"], day["never_again"]) == (
        "mastercard-day",
        11,
        1,
        0,
        False,
    )
    # Of eleven the three oldest have to be a day old, for nine are allowed.
    freed = begun + timedelta(minutes=2) + timedelta(days=1)
    assert datetime.fromisoformat(day["free_at"]) == datetime.fromisoformat(told["free_at"]) == freed
    assert (month["used"], month["left"]) == (11, 23)
    assert told["fees"] == {"EUR": 55}

    unknown = await terminal.run("ledger", "in_99")
    assert unknown.code == 1
    assert "no case, workflow, invoice or card is called 'in_99'" in unknown.err


async def test_the_ledger_over_http(web: WebSide) -> None:
    card = Card("sandbox", "main", "fp_http", "mastercard", "DE")
    case, _ = await busy_card(web.desk.tools.database, "in_of_ledger", card)
    answer = await web.look(f"/ledger/{case}")
    assert answer.status_code == 200
    [told] = answer.json()
    assert (told["card"], told["fees"], len(told["attempts"])) == ("fp_http", {"EUR": 55}, 12)
    assert (await web.look("/ledger/fp_http")).json() == [told]
    missing = await web.look("/ledger/in_99")
    assert missing.status_code == 404
    assert (await web.http.get("/v1/ledger/fp_http")).status_code == 401
