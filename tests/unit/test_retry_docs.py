"""What docs/retries.md says of declines is what the table says: the page's own lines, judged anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from campaigns.decline_rows import COLUMNS, DeclineClass
from campaigns.declines import Ask, Said
from campaigns.durations import spell_duration
from tests.unit.test_declines import TABLE, TODAY

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
HEAD = "| what was said | charged again | this card | asked of the customer |"
ASKED = {Ask.NOTHING: "", Ask.NEW_CARD: "another card", Ask.CONFIRM: "to confirm with the bank"}
LINES = PAGE.partition(HEAD)[2].partition("\n\n")[0]
SAID = re.findall(r"^\| `([^`|]+)` \|", LINES, re.MULTILINE)


def read(text: str) -> Said:
    """Read what was said as the page writes it: ``Mastercard 51, advice 27``, ``Visa 41``, ``stolen_card``."""
    first, *more = text.split(", ")
    network, _, code = first.partition(" ")
    if network in {"Visa", "Mastercard"}:
        said = {"network": network.lower(), "network_code": code or None}
        advice = more[0].removeprefix("advice ") if more else None
        return Said(
            "generic_decline" if code != "51" else "insufficient_funds", network_advice=advice, **said
        )
    return Said(first, more[0] if more else None)


def line(text: str) -> str:
    """Write a line of the page anew from the verdict."""
    verdict = TABLE.judge(read(text), TODAY)
    again, card = "no", ""
    if verdict.charge_again:
        again = "on schedule"
        if verdict.wait:
            again = f"after exactly {spell_duration(verdict.wait)}"
        elif verdict.quick:
            again = (
                f"soon: after {spell_duration(verdict.quick)}, {verdict.quick_retries} quick tries at most"
            )
        elif verdict.at_most:
            again = f"on schedule, {verdict.at_most} times at most; a person is told"
    if verdict.never_again:
        card = (
            f"closed for {spell_duration(verdict.forbidden_for)}"
            if verdict.forbidden_for
            else "closed for good"
        )
    asked = "whether they meant to cancel" if verdict.revoked else ASKED[verdict.ask]
    return f"| `{text}` | {again} | {card} | {asked} |"


def test_the_page_has_its_table() -> None:
    assert HEAD in PAGE
    assert len(SAID) >= 25


@pytest.mark.parametrize("text", SAID)
def test_a_line_of_the_page_is_what_the_table_says(text: str) -> None:
    assert line(text) in PAGE.splitlines()


def test_the_page_names_every_class_and_every_column() -> None:
    for word in (*DeclineClass, *COLUMNS):
        assert f"`{word}`" in PAGE, word


def test_the_page_counts_the_codes_as_they_are() -> None:
    assert f"{len(TABLE.in_force(TODAY))} codes" in PAGE
