"""Whose word decides when several are said of one decline."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.declines import Ask, DeclineClass, Said, Verdict
from store.campaigns import decline_codes
from tests.unit.test_declines import TABLE, TODAY

ROWS = list(csv.DictReader(io.StringIO(decline_codes())))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Visa's category 1 on the day of the tests, from the acquirers' lists and not from the table.
VISA_NEVER = frozenset(["04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"])
WAITS = {
    "02": 3 * DAY,
    "24": HOUR,
    "25": DAY,
    "26": 2 * DAY,
    "27": 4 * DAY,
    "28": 6 * DAY,
    "29": 8 * DAY,
    "30": 10 * DAY,
}
DEBITS_AGAIN = frozenset({"R01", "R09", "AM04", "MS03"})


def judge(said: Said, on: date = TODAY) -> Verdict:
    return TABLE.judge(said, on)


def visa(code: str, own: str = "generic_decline") -> Verdict:
    return judge(Said(own, network="visa", network_code=code))


def mastercard(code: str | None, advice: str | None = None, own: str = "generic_decline") -> Verdict:
    return judge(Said(own, network="mastercard", network_code=code, network_advice=advice))


# --- never again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(VISA_NEVER))
@pytest.mark.parametrize("own", ["generic_decline", "insufficient_funds", "expired_card", "a_new_code", None])
def test_a_category_1_is_for_ever_whatever_the_processor_makes_of_it(own: str | None, code: str) -> None:
    verdict = judge(Said(own, "try_again_later", "visa", code))
    assert (verdict.charge_again, verdict.never_again, verdict.forbidden_for) == (False, True, None)
    assert verdict.said_by == f"Visa {code} (category {'1+3' if code == '14' else '1'})"
    assert verdict.wait is None


@pytest.mark.parametrize(
    ("on", "never"),
    [
        (date(2025, 10, 24), True),
        (date(2025, 10, 25), False),
        (date(2026, 10, 24), False),
        (date(2026, 10, 25), True),
    ],
)
def test_57_is_of_category_1_on_the_days_on_which_it_is(on: date, *, never: bool) -> None:
    verdict = judge(Said("generic_decline", network="visa", network_code="57"), on)
    assert verdict.never_again == never
    assert not verdict.charge_again


def test_83_has_a_category_since_october_2026() -> None:
    before = judge(Said("fraudulent", network="visa", network_code="83"), date(2026, 10, 24))
    since = judge(Said("fraudulent", network="visa", network_code="83"), date(2026, 10, 25))
    for verdict in (before, since):
        assert (verdict.kind, verdict.charge_again, verdict.never_again) == (DeclineClass.FRAUD, False, False)
        assert not verdict.disclose


@pytest.mark.parametrize("advice", ["03", "21"])
@pytest.mark.parametrize("code", ["05", "51", "54", "79", "82", "83", None])
def test_mastercards_do_not_try_again_is_for_thirty_days(advice: str, code: str | None) -> None:
    verdict = mastercard(code, advice)
    assert (verdict.charge_again, verdict.never_again) == (False, True)
    assert verdict.forbidden_for == 30 * DAY
    assert verdict.revoked == (advice == "21")
    assert verdict.said_by == f"Mastercard advice {advice}"
    assert not verdict.disclose


def test_stripes_do_not_try_again_outlasts_mastercards_thirty_days() -> None:
    verdict = judge(Said("do_not_honor", "do_not_try_again", "mastercard", "05", "03"))
    assert (verdict.never_again, verdict.forbidden_for) == (True, None)
    assert verdict.said_by == "advice do_not_try_again"


@pytest.mark.parametrize(
    "said",
    [
        Said("stop_payment_order"),
        Said("revocation_of_authorization"),
        Said("revocation_of_all_authorizations"),
        Said("generic_decline", network="visa", network_code="R0"),
        Said("generic_decline", network="visa", network_code="R1"),
        Said("generic_decline", network="visa", network_code="R3"),
        Said("do_not_honor", "do_not_try_again", "mastercard", "05", "21"),
        *(Said(code) for code in ("R05", "R07", "R08", "R10", "R29", "MD01", "MS02", "MD06")),
        Said("generic_decline", network_code="R07"),
    ],
    ids=str,
)
def test_whoever_took_back_their_consent_is_asked_whether_they_meant_to_cancel(said: Said) -> None:
    verdict = judge(said)
    assert (verdict.charge_again, verdict.never_again, verdict.revoked) == (False, True, True)
    assert verdict.forbidden_for is None
    assert verdict.why.startswith("the customer took their consent back (")
    assert verdict.why.endswith("ask whether they meant to cancel")


def test_a_processors_code_forbids_the_cards_of_the_network_that_it_speaks_for() -> None:
    for network in ("visa", None):
        assert judge(Said("stolen_card", network=network)).never_again
    for network in ("mastercard", "amex"):
        verdict = judge(Said("stolen_card", network=network))
        assert (verdict.charge_again, verdict.never_again) == (False, False)


# --- waits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("advice", "wait"), sorted(WAITS.items()))
def test_the_issuers_wait_is_taken_to_the_hour(advice: str, wait: timedelta) -> None:
    for code in ("51", None):
        verdict = mastercard(code, advice, "insufficient_funds")
        assert (verdict.charge_again, verdict.wait, verdict.quick) == (True, wait, None)
        assert verdict.said_by == f"Mastercard advice {advice}"
    assert mastercard("51", "27", "insufficient_funds").why == "the issuer asked for 4 days (advice 27)"


@pytest.mark.parametrize("advice", sorted(WAITS.keys() - {"02"}))
def test_a_wait_for_funds_is_not_heard_with_another_response(advice: str) -> None:
    for code in ("05", "79", "54"):
        assert mastercard(code, advice).wait is None


def test_a_wait_outranks_what_the_processor_asks_of_the_customer_but_softens_nothing_hard() -> None:
    assert mastercard("51", "24", "expired_card").wait == HOUR
    for own in ("card_not_supported", "fraudulent", "lost_card"):
        verdict = mastercard("51", "24", own)
        assert (verdict.charge_again, verdict.wait) == (False, None)


def test_try_again_later_means_the_networks_wait_where_there_is_one() -> None:
    assert judge(Said("insufficient_funds", "try_again_later")).wait == DAY
    assert judge(Said("insufficient_funds", "try_again_later", "mastercard", "51", "29")).wait == 8 * DAY
    assert judge(Said("try_again_later")).wait == DAY
    assert judge(Said("processing_error", "try_again_later")).wait == DAY


def test_mastercards_advice_is_not_heard_on_a_card_of_another_network() -> None:
    for network in ("visa", "amex"):
        verdict = judge(Said("insufficient_funds", network=network, network_advice="03"))
        assert (verdict.charge_again, verdict.wait, verdict.never_again) == (True, None, False)
    assert judge(Said("insufficient_funds", network_advice="03")).never_again


# --- data and the customer -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["05", "51", "54", "79", "82", None])
def test_new_details_are_fetched_before_the_customer_is_asked(code: str | None) -> None:
    verdict = mastercard(code, "01")
    assert (verdict.charge_again, verdict.ask, verdict.never_again) == (False, Ask.NEW_CARD, False)
    assert verdict.why.endswith("the card updater first, then the customer")


def test_mastercards_vague_responses_mean_what_the_advice_beside_them_says() -> None:
    for code in ("79", "82", "83"):
        assert not mastercard(code).charge_again
        later = mastercard(code, "02")
        assert (later.charge_again, later.wait) == (True, 3 * DAY)
        assert mastercard(code, "03").never_again
    assert mastercard("83").kind is DeclineClass.FRAUD
    assert not mastercard("83", "02", "fraudulent").charge_again


def test_mastercards_46_and_72_are_known_from_june_2025_on() -> None:
    for code in ("46", "72"):
        said = Said("generic_decline", network="mastercard", network_code=code)
        assert judge(said, date(2025, 6, 2)).charge_again
        assert not judge(said, date(2025, 6, 3)).charge_again
        assert not judge(said, date(2025, 6, 3)).never_again


def test_a_card_that_needs_its_bank_is_confirmed_unless_the_issuer_wants_another() -> None:
    assert visa("1A").ask is Ask.CONFIRM
    assert visa("05", "authentication_required").ask is Ask.CONFIRM
    assert judge(Said("authentication_required", "confirm_card_data")).ask is Ask.NEW_CARD


def test_of_an_unknown_network_only_what_visa_and_mastercard_agree_on_is_heard() -> None:
    for network in (None, "amex"):
        both = judge(Said("generic_decline", network=network, network_code="46"))
        assert (both.charge_again, both.never_again) == (False, False)
        assert both.said_by == "network code 46"
        # A stolen card with one, nothing with the other; a wrong security code here, a policy there.
        assert judge(Said("generic_decline", network=network, network_code="41")).charge_again
        assert judge(Said("generic_decline", network=network, network_code="51")).wait is None


def test_the_stricter_of_two_words_holds() -> None:
    assert not visa("05", "expired_card").charge_again
    assert not visa("54", "insufficient_funds").charge_again
    assert not visa("51", "lost_card").disclose
    assert visa("91").quick == HOUR
    assert visa("05", "insufficient_funds").said_by == "decline code insufficient_funds"


# --- debits, and what nobody knows -----------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [row["code"] for row in ROWS if row["rail"] in {"ach", "sepa"}] + ["R02", "R17", "R85", "RC01", "BE05"],
)
def test_only_want_of_funds_is_collected_again(code: str) -> None:
    assert judge(Said(code)).charge_again == (code in DEBITS_AGAIN)


def test_an_unknown_code_of_a_debit_is_no_reason_to_try_again() -> None:
    for said in (Said("R85"), Said("BE05"), Said("something_new", network="sepa")):
        verdict = judge(said)
        assert (verdict.charge_again, verdict.known, verdict.disclose) == (False, False, False)


@pytest.mark.parametrize("code", ["a_code_of_next_year", None, ""])
def test_an_unknown_code_is_worth_two_retries_and_a_word_to_a_person(code: str | None) -> None:
    verdict = judge(Said(code))
    assert (verdict.kind, verdict.charge_again, verdict.at_most) == (DeclineClass.SOFT, True, 2)
    assert (verdict.known, verdict.disclose, verdict.ask) == (False, False, Ask.NOTHING)
    assert verdict.why.endswith("soft, 2 retries at most")


def test_an_unknown_code_with_a_known_response_is_judged_by_the_response() -> None:
    soft, hard = visa("51", "a_new_code"), visa("41", "a_new_code")
    assert (soft.charge_again, soft.at_most, soft.known, soft.disclose) == (True, None, False, False)
    assert (hard.never_again, hard.known) == (True, False)


codes = st.sampled_from([None, "x", *sorted({row["code"] for row in ROWS})])


@given(
    code=codes,
    advice=st.sampled_from([None, "do_not_try_again", "try_again_later", "confirm_card_data"]),
    network=st.sampled_from([None, "visa", "mastercard", "amex", "ach", "sepa"]),
    response=codes,
    network_advice=st.sampled_from(
        [None, *(row["code"] for row in ROWS if row["code_system"] == "mastercard_mac")]
    ),
)
def test_whatever_is_said_the_verdict_holds_together(
    code: str | None,
    advice: str | None,
    network: str | None,
    response: str | None,
    network_advice: str | None,
) -> None:
    verdict = judge(Said(code, advice, network, response, network_advice))
    assert verdict == judge(Said(code, advice, network, response, network_advice))
    if verdict.kind in {DeclineClass.HARD, DeclineClass.FRAUD} or verdict.never_again:
        assert not verdict.charge_again
    if not verdict.charge_again:
        assert (verdict.wait, verdict.quick, verdict.at_most) == (None, None, None)
    if verdict.forbidden_for is not None or verdict.revoked:
        assert verdict.never_again
    if advice == "do_not_try_again":
        assert verdict.never_again
        assert verdict.forbidden_for is None
    assert (verdict.ask is Ask.NOTHING) == verdict.charge_again
    assert verdict.wait is None or verdict.quick is None
    assert verdict.why
    assert verdict.said_by
