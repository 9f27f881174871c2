"""What is held because it does not answer, as the command line shows and changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store import audit, journal
from store.database import Database
from tests.integration.processes import Terminal

if TYPE_CHECKING:
    from pathlib import Path

NAME = "issuer:visa:DE"
SAID = ("--by", "ada@example.com", "--why", "the [bank's] status page")


async def test_a_person_holds_an_issuer_range_looks_at_it_and_lets_it_go_on(
    database_url: str, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, {"DUNWELL_DATABASE_URL": database_url, "DUNWELL_SECRET_KEY": "x" * 40})
    nothing = await terminal.run("breakers")
    assert (nothing.code, nothing.out.strip()) == (0, "Everything answers: no charge is held.")

    opened = await terminal.run("breakers", "--open", NAME, *SAID, "--json")
    [row] = opened.data
    assert (row["name"], row["by"], row["lent"]) == (NAME, "ada@example.com", 0)
    assert row["why"] == "held by ada@example.com: the [bank's] status page"
    again = await terminal.run("breakers", "--open", NAME, *SAID)
    assert (again.code, "issuer:visa:DE is held already" in again.err) == (1, True)

    closed = await terminal.run("breakers", "--close", NAME, *SAID)
    assert closed.out.strip() == "Everything answers: no charge is held."
    database = Database(database_url)
    async with database.read() as session:
        written = [(row.by, row.action, row.detail) for row in await audit.listing(session)]
        told = [row.kind for row in await journal.alerts(session)]
    await database.close()
    detail = "the [bank's] status page"
    assert written == [("ada@example.com", action, detail) for action in ("closed", "opened")]
    assert told == ["breaker closed"]


async def test_what_cannot_be_done_is_refused_with_what_would_help(database_url: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {"DUNWELL_DATABASE_URL": database_url, "DUNWELL_SECRET_KEY": "x" * 40})
    for options, words in (
        (("--close", NAME), "--by and --why are recorded"),
        (("--close", NAME, *SAID), "'issuer:visa:DE' is not held: held are none"),
        (("--open", "visa", *SAID), "issuer:NETWORK:COUNTRY as in issuer:visa:DE"),
        (("--open", "processor:strype:main", *SAID), "no processor is called 'strype'"),
    ):
        refused = await terminal.run("breakers", *options)
        assert refused.code == 1
        assert words in refused.err
