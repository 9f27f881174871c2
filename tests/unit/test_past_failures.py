"""Failures of the past from a CSV file: what is read, and every fault with its line and a way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns import past_failures
from campaigns.past_failures import COLUMNS, PastFailure, count_failures, read_failures
from errors import BadInput
from tests.unit.test_declines import TABLE

KNOWN = TABLE.codes()
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HEAD = "failed_at,amount,currency"
ROW = "2026-03-02T09:00:00Z,49.00,USD"


def read(*lines: str) -> list[PastFailure]:
    return list(read_failures([f"{line}\n" for line in lines], "past.csv", KNOWN))


def faults(*lines: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(*lines)
    return str(caught.value).split("\n")


def fault_in(column: str, text: str) -> str:
    """Give the one fault of a row in which one field is wrong."""
    fields = {"failed_at": "2026-03-02T09:00:00Z", "amount": "49.00", "currency": "USD"} | {column: text}
    [found] = faults(",".join(fields), ",".join(f'"{field}"' for field in fields.values()))
    assert found.startswith("past.csv:2: ")
    return found.removeprefix("past.csv:2: ")


# --- what is read ------------------------------------------------------------------------------------


def test_three_columns_are_enough() -> None:
    assert read(HEAD, ROW) == [PastFailure("line 2", AT, None, 4900, "USD")]


def test_every_column_has_its_place_in_the_failure() -> None:
    fields = {
        "id": "in_7",
        "failed_at": "2026-03-02T10:00:00+01:00",
        "settled_at": "2026-03-06 09:30:00Z",
        "decline": "Insufficient_Funds",
        "amount": "1900",
        "currency": "jpy",
        "plan": "pro",
        "interval": "Year",
        "country": "de",
        "timezone": "Europe/Vienna",
        "network": "Visa",
        "processor": "stripe",
        "customer": "cus_7",
        "tags": '"vip, annual deal"',
        "failure": "repeated",
        "first_payment": "yes",
        "sent_invoice": "TRUE",
        "has_card": "no",
        "campaign": "premium",
        "attribute.Tier": "gold",
        "attribute.seats": "",
    }
    assert {name for name in fields if not name.startswith("attribute.")} == {*COLUMNS} - {"amount_minor"}
    assert read(",".join(fields), ",".join(fields.values())) == [
        PastFailure(
            id="in_7",
            failed_at=AT,
            decline="insufficient_funds",
            amount=1900,
            currency="JPY",
            processor="stripe",
            customer="stripe/cus_7",
            plan="pro",
            interval="year",
            country="DE",
            timezone="Europe/Vienna",
            network="visa",
            attributes={"Tier": "gold"},
            tags=("vip", "annual deal"),
            repeated=True,
            first_payment=True,
            sent_invoice=True,
            has_card=False,
            campaign="premium",
            settled_after=timedelta(days=4, minutes=30),
        )
    ]


def test_a_zone_that_is_not_told_is_that_of_the_country_where_it_has_only_one() -> None:
    found = read(f"{HEAD},country", f"{ROW},DE", f"{ROW},US", f"{ROW},")
    assert [failure.timezone for failure in found] == ["Europe/Berlin", None, None]


def test_amounts_may_be_minor_units() -> None:
    assert read("failed_at,amount_minor,currency", ROW.replace("49.00", "4900"))[0].amount == 4900


@pytest.mark.parametrize("divided", [";", "\t"])
def test_other_programs_divide_with_semicolons_or_tabs(divided: str) -> None:
    assert read(HEAD.replace(",", divided), ROW.replace(",", divided)) == read(HEAD, ROW)


def test_a_mark_at_the_beginning_and_empty_lines_mean_nothing() -> None:
    assert len(read(f"\ufeff{HEAD}", ROW, "", ",,", ROW)) == 2


def test_a_code_that_is_far_from_all_others_may_be_a_new_one() -> None:
    assert read(f"{HEAD},decline", f"{ROW},zzz_9")[0].decline == "zzz_9"


def test_a_file_is_counted_without_being_kept() -> None:
    lines = (HEAD if number == 0 else ROW for number in range(1001))
    assert count_failures(lines, "past.csv", KNOWN) == 1000


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text", "fault"),
    [
        ("failed_at", "", "failed_at: is empty"),
        ("failed_at", "2.3.2026", "failed_at: '2.3.2026' is no time: write it as in 2026-03-02T09:00:00Z"),
        ("failed_at", "0026-03-02T09:00:00Z", "failed_at: '0026-03-02T09:00:00Z' is no time: write it as in"),
        ("failed_at", "2026-03-02T09:00:00", "does not say in which zone: write Z at its end for UTC"),
        ("settled_at", "2026-03-01T09:00:00Z", "settled_at: is before failed_at"),
        ("settled_at", "soon", "settled_at: 'soon' is no time"),
        ("amount", "", "amount: '' is not an amount"),
        ("amount", "49,00", "amount: '49,00' is not an amount: write it as in 1.00"),
        ("amount", "49.001", "amount: 49.001 USD is not an amount of that currency"),
        ("amount", "-1.00", "is not negative"),
        ("currency", "USS", "currency: 'USS' is no currency: did you mean 'USD'?"),
        ("currency", "", "currency: '' is no currency"),
        ("decline", "insufficent_funds", "decline: 'insufficent_funds' is not known: did you mean 'insufficient_funds'?"),
        ("interval", "monthly", "interval: 'monthly' is not known: did you mean 'month'?"),
        ("country", "Germany", "country: 'GERMANY' is no country: did you mean 'DE'?"),
        ("country", "XX", "country: 'XX' is no country: two letters"),
        ("timezone", "Europe/Berln", "timezone: 'Europe/Berln' is no time zone: did you mean 'Europe/Berlin'?"),
        ("network", "master card", "network: 'master card' is not known: did you mean 'mastercard'?"),
        ("failure", "second", "failure: 'second' is not known: one of: first, repeated"),
        ("first_payment", "maybe", "first_payment: 'maybe' is neither yes nor no"),
        ("has_card", "2", "has_card: '2' is neither yes nor no"),
        ("plan", "x" * 201, "plan: longer than 200 characters"),
    ],
)  # fmt: skip
def test_each_field_that_cannot_be_read_is_named(column: str, text: str, fault: str) -> None:
    assert fault in fault_in(column, text)


def test_minor_units_are_whole_numbers() -> None:
    for text in ("49.00", "", "-1", "\u0664"):
        [found] = faults("failed_at,amount_minor,currency", ROW.replace("49.00", text))
        assert f"amount_minor: {text!r} is no whole number" in found


def test_everything_that_is_wrong_with_a_heading_is_told_at_once() -> None:
    assert faults("failedat,amount,amount_minor,plan,plan,,attribute.", ROW) == [
        "past.csv:1: the column 'failedat' means nothing here (did you mean 'failed_at'?)",
        "past.csv:1: the column 'plan' stands twice (keep one of them)",
        "past.csv:1: column 6 has no name (leave it out, or call it 'attribute.NAME')",
        "past.csv:1: the column 'attribute.' means nothing here (leave it out, or call it 'attribute.attribute.')",
        "past.csv:1: the column 'failed_at' is missing (when the payment failed, as in 2026-03-02T09:00:00Z)",
        "past.csv:1: the column 'currency' is missing (three letters)",
        "past.csv:1: one column is needed of amount and amount_minor: both are there",
    ]


def test_an_empty_file_lacks_its_heading() -> None:
    assert any("the column 'failed_at' is missing" in fault for fault in faults())


def test_every_row_with_a_fault_is_told_and_no_failure_after_it_is_given() -> None:
    given: list[str] = []
    rows = read_failures([HEAD, ROW, "x", ROW, ROW.replace("USD", "US")], "past.csv", KNOWN)
    with pytest.raises(BadInput) as caught:
        given.extend(failure.id for failure in rows)
    assert given == ["line 2"]
    assert str(caught.value).split("\n") == [
        "past.csv:3: has 1 fields, and the heading has 3",
        "past.csv:5: currency: 'US' is no currency: did you mean 'USD'?",
    ]


def test_twenty_faults_are_enough() -> None:
    found = faults(HEAD, *["x"] * 30)
    assert found[19].startswith("past.csv:21: ")
    assert found[20:] == ["and perhaps more: 20 are shown"]


def test_a_quote_that_is_never_closed_is_a_fault_and_no_end() -> None:
    [found] = faults(HEAD, ROW, '"2026-03-02T09:00:00Z,49.00,USD')
    assert found.startswith("past.csv:3: not CSV: ")


def test_a_file_may_not_be_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_failures, "MOST_ROWS", 2)
    assert len(read(HEAD, ROW, ROW)) == 2
    assert faults(HEAD, ROW, ROW, ROW) == ["past.csv:4: more than 2 rows (divide the file)"]
