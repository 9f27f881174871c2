"""What each decline means: every code has its place, and a hard one is never charged again."""

from __future__ import annotations

import csv
import io

import pytest

from campaigns.declines import STOPPING_ADVICE, Ask, DeclineClass, DeclineTable
from processors.sandbox_script import ADVICE, DECLINE_CODES
from store.campaigns import decline_codes

TABLE = DeclineTable(decline_codes())
ROWS = list(csv.DictReader(io.StringIO(decline_codes())))
CODES = sorted(TABLE.codes())
# https://docs.stripe.com/billing/revenue-recovery/smart-retries: what Stripe itself does not retry.
NEVER_AGAIN = (
    *("incorrect_number", "lost_card", "pickup_card", "stolen_card", "transaction_not_allowed"),
    *("revocation_of_authorization", "revocation_of_all_authorizations", "highest_risk_level"),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_every_line_of_the_table_can_be_used(row: dict[str, str]) -> None:
    assert row["class"] in set(DeclineClass)
    assert row["auto_retry"] in {"yes", "no", "limited", "reconcile-first", "after-update"}
    assert row["customer_wording"] in {"disclose", "generic"}


def test_no_code_stands_in_the_table_twice() -> None:
    codes = [(row["code_system"] == "stripe_advice_code", row["code"]) for row in ROWS]
    assert len(codes) == len(set(codes))


def test_the_sandbox_answers_what_the_table_knows_and_no_other_code() -> None:
    assert set(CODES) == DECLINE_CODES
    assert {row["code"] for row in ROWS if row["code_system"] == "stripe_advice_code"} == ADVICE


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_classified(code: str) -> None:
    verdict = TABLE.judge(code)
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
    assert not TABLE.judge(code).charge_again


@pytest.mark.parametrize(
    "code", ["lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist"]
)
def test_a_customer_is_never_told_of_theft_or_fraud(code: str) -> None:
    assert not TABLE.judge(code).disclose


@pytest.mark.parametrize("code", ["authentication_required", "authentication_not_handled"])
def test_a_card_that_needs_its_bank_is_confirmed_and_not_replaced(code: str) -> None:
    verdict = TABLE.judge(code)
    assert verdict.ask is Ask.CONFIRM
    assert not verdict.charge_again


@pytest.mark.parametrize("advice", sorted(STOPPING_ADVICE))
@pytest.mark.parametrize("code", CODES)
def test_the_issuers_no_goes_before_any_code(code: str, advice: str) -> None:
    verdict = TABLE.judge(code, advice)
    assert not verdict.charge_again
    assert verdict.ask is Ask.NEW_CARD
    assert verdict.code == code


def test_advice_does_not_loosen_the_tongue() -> None:
    assert not TABLE.judge("stolen_card", "confirm_card_data").disclose
    assert TABLE.judge("insufficient_funds", "confirm_card_data").disclose
    assert not TABLE.judge("insufficient_funds", "do_not_try_again").disclose


@pytest.mark.parametrize("code", CODES)
def test_the_advice_to_try_later_makes_no_hard_decline_soft(code: str) -> None:
    assert TABLE.judge(code, "try_again_later") == TABLE.judge(code)


@pytest.mark.parametrize("code", ["a_code_of_next_year", None, ""])
def test_an_unknown_code_is_soft_and_not_told(code: str | None) -> None:
    verdict = TABLE.judge(code)
    assert verdict.kind is DeclineClass.SOFT
    assert verdict.charge_again
    assert not verdict.known
    assert not verdict.disclose
