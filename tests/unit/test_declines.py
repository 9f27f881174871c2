"""What each decline means: every code has its place, and a hard one is never charged again."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest

from campaigns.decline_rows import DUNWELL, OUTCOME, STRIPE
from campaigns.declines import Ask, DeclineClass, DeclineTable, Said, Verdict
from processors.sandbox_script import ADVICE, DECLINE_CODES
from store.campaigns import decline_codes

TABLE = DeclineTable(decline_codes())
ROWS = list(csv.DictReader(io.StringIO(decline_codes())))
CODES = sorted(TABLE.codes(STRIPE, OUTCOME, DUNWELL))
TODAY = date(2026, 11, 25)
STOPPING_ADVICE = ("confirm_card_data", "do_not_try_again")
# https://docs.stripe.com/billing/revenue-recovery/smart-retries: what Stripe itself does not retry.
NEVER_AGAIN = (
    *("incorrect_number", "lost_card", "pickup_card", "stolen_card", "transaction_not_allowed"),
    *("revocation_of_authorization", "revocation_of_all_authorizations", "highest_risk_level"),
)


def verdict_of(code: str | None, advice: str | None = None) -> Verdict:
    """Judge a code of a processor, with its advice, as things stand today."""
    return TABLE.judge(Said(code, advice), TODAY)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_every_line_of_the_table_can_be_used(row: dict[str, str]) -> None:
    assert row["class"] in set(DeclineClass)
    assert row["auto_retry"] in {"yes", "no", "limited", "reconcile-first", "after-update"}
    assert row["customer_wording"] in {"disclose", "generic"}


def test_no_code_stands_in_the_table_twice() -> None:
    codes = [(row["code_system"], row["code"], row["effective_from"]) for row in ROWS]
    assert len(codes) == len(set(codes))


def test_the_sandbox_answers_what_the_table_knows_and_no_other_code() -> None:
    assert set(CODES) == DECLINE_CODES
    assert {row["code"] for row in ROWS if row["code_system"] == "stripe_advice_code"} == ADVICE


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_classified(code: str) -> None:
    verdict = verdict_of(code)
    assert verdict.known
    assert verdict.code == code
    assert verdict.words == code.replace("_", " ")
    if verdict.kind in {DeclineClass.HARD, DeclineClass.FRAUD}:
        assert not verdict.charge_again
    if verdict.kind in {DeclineClass.SOFT, DeclineClass.RETRY_LATER}:
        assert verdict.charge_again
    assert (verdict.ask is Ask.NOTHING) == verdict.charge_again


@pytest.mark.parametrize("code", NEVER_AGAIN)
def test_what_stripe_never_retries_we_never_retry(code: str) -> None:
    assert not verdict_of(code).charge_again


@pytest.mark.parametrize(
    "code", ["lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist"]
)
def test_a_customer_is_never_told_of_theft_or_fraud(code: str) -> None:
    assert not verdict_of(code).disclose


@pytest.mark.parametrize("code", ["authentication_required", "authentication_not_handled"])
def test_a_card_that_needs_its_bank_is_confirmed_and_not_replaced(code: str) -> None:
    verdict = verdict_of(code)
    assert verdict.ask is Ask.CONFIRM
    assert not verdict.charge_again


@pytest.mark.parametrize("advice", STOPPING_ADVICE)
@pytest.mark.parametrize("code", CODES)
def test_the_issuers_no_goes_before_any_code(code: str, advice: str) -> None:
    verdict = verdict_of(code, advice)
    assert not verdict.charge_again
    assert verdict.ask is Ask.NEW_CARD
    assert verdict.code == code


def test_advice_does_not_loosen_the_tongue() -> None:
    assert not verdict_of("stolen_card", "confirm_card_data").disclose
    assert verdict_of("insufficient_funds", "confirm_card_data").disclose
    assert not verdict_of("insufficient_funds", "do_not_try_again").disclose


@pytest.mark.parametrize("code", CODES)
def test_the_advice_to_try_later_makes_no_hard_decline_soft(code: str) -> None:
    advised, plain = verdict_of(code, "try_again_later"), verdict_of(code)
    assert (advised.kind, advised.charge_again, advised.ask) == (plain.kind, plain.charge_again, plain.ask)
    assert (advised.wait == timedelta(hours=24)) == plain.charge_again


@pytest.mark.parametrize("code", ["a_code_of_next_year", None, ""])
def test_an_unknown_code_is_soft_and_not_told(code: str | None) -> None:
    verdict = verdict_of(code)
    assert verdict.kind is DeclineClass.SOFT
    assert verdict.charge_again
    assert not verdict.known
    assert not verdict.disclose
