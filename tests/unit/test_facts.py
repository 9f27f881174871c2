"""Facts as data: what a table may not say, and what an owner lays over the one that ships."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.decline_rows import COLUMNS
from campaigns.declines import DeclineClass, DeclineTable, Said
from errors import BadSettings
from store.campaigns import DATA, decline_codes
from store.facts import read_facts
from tests.unit.test_declines import TODAY, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

DO_NOT_HONOR = {
    "rail": "card",
    "code_system": "stripe_decline_code",
    "code": "do_not_honor",
    "class": "soft",
    "subclass": "issuer-generic",
    "auto_retry": "yes",
    "min_wait_hours": "48",
    "max_auto_retries": "8",
    "ask_customer": "after-first-retry-fails",
    "customer_wording": "disclose",
    "processor_blocks_retry": "no",
    "visa_category": "4 (05)",
    "meaning": "Generic issuer decline",
    "next_step": "",
    "effective_from": "",
    "source": "our contract",
    "confidence": "high",
}
NEVER = {"class": "hard", "auto_retry": "no", "min_wait_hours": "", "max_auto_retries": "0"}


def table(*rows: dict[str, str]) -> str:
    text = io.StringIO()
    written = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    written.writeheader()
    written.writerows({**DO_NOT_HONOR, **row} for row in rows)
    return text.getvalue()


def refused(text: str) -> str:
    with pytest.raises(ValueError, match="decline codes") as caught:
        DeclineTable(text)
    return str(caught.value)


# --- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"class": "softish"},
            "'softish' is no class: fraud, hard, needs-customer-action, retry-later, soft",
        ),
        ({"subclass": "fund"}, "'fund' is no subclass"),
        (
            {"auto_retry": "maybe"},
            "'maybe' is no auto_retry: after-update, limited, no, reconcile-first, yes",
        ),
        ({"ask_customer": "soon"}, "'soon' is no ask_customer"),
        ({"customer_wording": "whisper"}, "'whisper' is no customer_wording: disclose, generic"),
        ({"processor_blocks_retry": ""}, "'' is no processor_blocks_retry: no, unknown, yes"),
        ({"visa_category": "5"}, "'5' is no visa_category"),
        ({"min_wait_hours": "two"}, "'two' is no min_wait_hours: a whole number"),
        ({"max_auto_retries": "-1"}, "'-1' is no max_auto_retries: a whole number"),
        ({"effective_from": "25.10.2026"}, "'25.10.2026' is no effective_from: a date like 2026-10-25"),
        ({"rail": "ach"}, "no rail 'ach' has codes of 'stripe_decline_code'"),
        ({"code_system": "adyen"}, "no rail 'card' has codes of 'adyen'"),
        ({"code": ""}, "needs code"),
        ({"meaning": " "}, "needs meaning"),
        ({"source": ""}, "needs source"),
        ({"confidence": ""}, "needs confidence"),
        ({"class": "fraud"}, "a decline of the class fraud is not charged again: auto_retry is 'no'"),
        ({"visa_category": "1 (05)"}, "Visa forbids every reattempt after a decline of its category 1"),
        ({"min_wait_hours": ""}, "what is charged again needs min_wait_hours and max_auto_retries"),
        ({"max_auto_retries": "0"}, "what is charged again needs min_wait_hours and max_auto_retries"),
        (
            {"rail": "ach", "code_system": "nacha_return", "code": "R02"},
            "only R01 and R09 are collected again on this rail",
        ),
        (
            {"rail": "sepa", "code_system": "epc_reason", "code": "AC04"},
            "only AM04 and MS03 are collected again on this rail",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(change: dict[str, str], fault: str) -> None:
    assert refused(table({"code": "call_issuer"}, change)).startswith(f"decline codes, line 3: {fault}")


def test_a_code_stands_once_for_each_date() -> None:
    said = refused(table({}, {"effective_from": "2026-10-25"}, {"effective_from": "2026-10-25"}))
    assert said == "decline codes, line 4: stripe_decline_code do_not_honor 2026-10-25 stands twice"
    assert "line 3" in refused(table({}, {}))


def test_a_table_with_other_columns_is_no_table() -> None:
    assert refused("code,class\nx,soft\n") == f"the columns of decline codes are {', '.join(COLUMNS)}"
    assert "line 2" in refused(table({}).replace(",high", ""))


def test_the_table_that_ships_has_every_code_once_a_date_and_the_newest_row_holds() -> None:
    shipped = DeclineTable(decline_codes())
    lines = list(csv.DictReader(io.StringIO(decline_codes())))
    in_force = shipped.in_force(TODAY)
    assert {(row.code_system, row.code) for row in in_force} == {
        (line["code_system"], line["code"]) for line in lines
    }
    assert len(in_force) == 167
    visa_57 = [line for line in lines if (line["code_system"], line["code"]) == ("iso8583_visa", "57")]
    assert [line["effective_from"] for line in visa_57] == ["", "2025-10-25", "2026-10-25"]


# --- the owner's own -------------------------------------------------------------------------------


def test_an_owners_row_takes_the_place_of_ours_from_its_date_on() -> None:
    own = DeclineTable(decline_codes(), table({**NEVER, "effective_from": "2026-06-01"}))
    said = Said("do_not_honor")
    assert own.judge(said, date(2026, 5, 31)) == verdict_of("do_not_honor")
    since = own.judge(said, date(2026, 6, 1))
    assert (since.kind, since.charge_again) == (DeclineClass.HARD, False)
    assert own.judge(Said("insufficient_funds"), TODAY) == verdict_of("insufficient_funds")
    assert [row.code for row in own.in_force(TODAY) if row.own] == ["do_not_honor"]
    assert not [row for row in own.in_force(date(2026, 5, 31)) if row.own]


def test_an_owners_row_outlasts_a_later_one_of_ours_of_the_same_code() -> None:
    row = {"code_system": "iso8583_visa", "code": "57", "visa_category": "", **NEVER}
    own = DeclineTable(decline_codes(), table({**row, "effective_from": "2026-01-01"}))
    said = Said("generic_decline", network="visa", network_code="57")
    assert not own.judge(said, TODAY).never_again
    assert DeclineTable(decline_codes()).judge(said, TODAY).never_again


def test_an_owner_adds_codes_of_their_processor() -> None:
    own = DeclineTable(decline_codes(), table({"code": "card_is_asleep", "min_wait_hours": "5"}))
    assert "card_is_asleep" in own.codes()
    assert own.judge(Said("card_is_asleep"), TODAY).known


# --- the folder ------------------------------------------------------------------------------------


def test_without_a_folder_the_facts_are_those_that_ship() -> None:
    facts = read_facts()
    assert facts.declines.judge(Said("do_not_honor"), TODAY) == verdict_of("do_not_honor")
    assert {limit.network for limit in facts.limits.in_force(TODAY)} >= {"visa", "mastercard"}
    assert facts.fees.in_force(TODAY)


def test_an_owners_files_are_read_from_their_folder_whatever_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "decline_codes.csv").write_text(table(NEVER), encoding="utf-8-sig")
    limits = (DATA / "network_retry_limits.csv").read_text(encoding="utf-8").splitlines()
    visa = next(line for line in limits if ",visa," in line and ",20," in line)
    (tmp_path / "network_retry_limits.csv").write_text(f"{limits[0]}\n{visa.replace(',20,', ',12,')}\n")
    (tmp_path / "notes.txt").write_text("agreed by telephone")
    facts = read_facts(tmp_path)
    assert not facts.declines.judge(Said("do_not_honor"), TODAY).charge_again
    assert 12 in {limit.limit for limit in facts.limits.limits_for("visa", TODAY)}
    assert facts.limits.limits_for("mastercard", TODAY) == read_facts().limits.limits_for("mastercard", TODAY)


@pytest.mark.parametrize("name", ["decline_codes.csv", "network_retry_limits.csv", "network_fees.csv"])
def test_a_file_that_cannot_be_used_stops_the_start_by_name_and_line(tmp_path: Path, name: str) -> None:
    shipped = (DATA / name).read_text(encoding="utf-8").splitlines()
    (tmp_path / name).write_text(f"{shipped[0]}\n{shipped[1]}\n{shipped[1]}\n")
    with pytest.raises(BadSettings) as caught:
        read_facts(tmp_path)
    assert str(caught.value).startswith(f"DUNWELL_FACTS_FOLDER: {tmp_path / name}: the owner's ")
    assert ", line 3: " in str(caught.value)


def test_a_folder_that_is_not_there_or_has_a_stranger_in_it_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"DUNWELL_FACTS_FOLDER: there is no folder .*nowhere"):
        read_facts(tmp_path / "nowhere")
    (tmp_path / "declines.csv").write_text(table({}))
    with pytest.raises(BadSettings, match=r"nothing is read from .*declines\.csv \(expected: decline_codes"):
        read_facts(tmp_path)
    (tmp_path / "declines.csv").unlink()
    (tmp_path / "decline_codes.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match=r"decline_codes\.csv: .*utf-8"):
        read_facts(tmp_path)


def test_a_wait_of_the_owners_is_the_wait_for_a_trouble_of_the_machines() -> None:
    row = {"code": "processing_error", "class": "retry-later", "subclass": "technical", "min_wait_hours": "3"}
    own = DeclineTable(decline_codes(), table(row))
    assert own.judge(Said("processing_error"), TODAY).quick == timedelta(hours=3)
