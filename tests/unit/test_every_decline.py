"""Every row of the table, judged where nothing else was said, by rules that are written here anew."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from campaigns.declines import Ask, Said, Verdict
from tests.unit.test_decline_verdicts import DAY, ROWS, VISA_NEVER, WAITS, judge
from tests.unit.test_declines import TODAY

STRIPE_NEVER = frozenset(
    [
        "do_not_try_again",
        "incorrect_number",
        "invalid_number",
        "invalid_account",
        "lost_card",
        "stolen_card",
        "pickup_card",
        "transaction_not_allowed",
        "stop_payment_order",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "previously_declined_do_not_retry",
    ]
)
REVOKED = {
    "iso8583_visa": {"R0", "R1", "R3"},
    "mastercard_mac": {"21"},
    "nacha_return": {"R05", "R07", "R08", "R10", "R29", "R51"},
    "epc_reason": {"MS02", "MD01", "MD06"},
    "stripe_decline_code": {
        *("stop_payment_order", "revocation_of_authorization", "revocation_of_all_authorizations"),
    },
}
CONFIRMED = frozenset(
    [
        "authentication_required",
        "authentication_not_handled",
        "mobile_device_authentication_required",
        "1A",
        "70",
    ]
)
# Of those that ask something of the customer, the ones whose card may still be tried.
TRIED_MEANWHILE = frozenset(
    ["call_issuer", "not_permitted", "service_not_allowed", "01/visa", "02/visa", "75", "78", "5C", "2044"]
)
THEFT_AND_FRAUD = frozenset(
    [
        "lost_card",
        "stolen_card",
        "pickup_card",
        "fraudulent",
        "merchant_blacklist",
        "04",
        "07",
        "41",
        "43",
        "59",
        "63",
    ]
)


def heard(row: dict[str, str]) -> Verdict:
    """Judge a decline of which this row is all that says anything, on the last day on which the row holds."""
    system, code = row["code_system"], row["code"]
    later = [
        date.fromisoformat(other["effective_from"])
        for other in ROWS
        if (other["code_system"], other["code"]) == (system, code)
        and other["effective_from"] > row["effective_from"]
    ]
    said = {
        "stripe_advice_code": Said("generic_decline", code),
        "iso8583_visa": Said("generic_decline", network="visa", network_code=code),
        "mastercard_response": Said("generic_decline", network="mastercard", network_code=code),
        "mastercard_mac": Said("insufficient_funds", network="mastercard", network_advice=code),
    }.get(system, Said(code))
    return judge(said, min(later) - DAY if later else TODAY)


def is_current(row: dict[str, str]) -> bool:
    return not any(
        (other["code_system"], other["code"]) == (row["code_system"], row["code"])
        and other["effective_from"] > row["effective_from"]
        for other in ROWS
    )


def named(row: dict[str, str]) -> str:
    return f"{row['code_system']} {row['code']} {row['effective_from']}".strip()


every_row = pytest.mark.parametrize("row", ROWS, ids=named)


@every_row
def test_a_card_is_charged_again_as_the_class_says(row: dict[str, str]) -> None:
    verdict, code = heard(row), row["code"]
    again = {
        "soft": True,
        "retry-later": True,
        "hard": False,
        "fraud": False,
        "needs-customer-action": code in TRIED_MEANWHILE
        or (row["code_system"] == "iso8583_visa" and f"{code}/visa" in TRIED_MEANWHILE),
    }[row["class"]]
    assert verdict.charge_again == again
    assert (verdict.ask is Ask.NOTHING) == again
    assert (verdict.ask is Ask.CONFIRM) == (code in CONFIRMED)
    assert verdict.at_most is None
    assert verdict.known


@every_row
def test_never_again_is_said_of_what_network_or_issuer_forbids(row: dict[str, str]) -> None:
    verdict, system, code = heard(row), row["code_system"], row["code"]
    revoked = code in REVOKED.get(system, ())
    never = (
        revoked
        or (system == "iso8583_visa" and code in VISA_NEVER and is_current(row))
        or (system == "iso8583_visa" and code == "57" and not row["effective_from"])
        or (system == "mastercard_mac" and code in {"03", "21"})
        or (system.startswith("stripe") and code in STRIPE_NEVER)
    )
    assert (verdict.never_again, verdict.revoked) == (never, revoked)
    assert verdict.forbidden_for == (30 * DAY if system == "mastercard_mac" and never else None)


@every_row
def test_waits_are_kept_apart_by_who_asked_for_them(row: dict[str, str]) -> None:
    verdict, system, code = heard(row), row["code_system"], row["code"]
    wait = WAITS.get(code) if system == "mastercard_mac" else None
    if code == "try_again_later":
        wait = DAY
    assert verdict.wait == wait
    is_quick = row["class"] == "retry-later" and wait is None and system != "mastercard_mac"
    assert verdict.quick == (timedelta(hours=int(row["min_wait_hours"])) if is_quick else None)
    assert verdict.quick_retries == (int(row["max_auto_retries"]) if is_quick else 0)


@every_row
def test_what_the_table_keeps_from_the_customer_is_not_told(row: dict[str, str]) -> None:
    verdict = heard(row)
    assert verdict.disclose == (row["customer_wording"] == "disclose")
    if row["code"] in THEFT_AND_FRAUD and row["rail"] == "card" and row["code_system"] != "mastercard_mac":
        assert not verdict.disclose


@every_row
def test_every_verdict_says_why_in_one_sentence_and_whose_word_it_was(row: dict[str, str]) -> None:
    verdict = heard(row)
    assert verdict.said_by
    assert len(verdict.why) > 20
    assert not verdict.why.endswith(".")
    assert "\n" not in verdict.why
    assert "((" not in verdict.why
    assert "))" not in verdict.why
