"""Ids and keys that cross a boundary: the same for the same thing, different for different things."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keys

WORKFLOW = "recovery/stripe/main/in_1/1"


def test_ids_are_as_they_were_when_the_running_cases_started() -> None:
    # Changing one of these would charge, mail or start again what was done already.
    assert keys.workflow_id("stripe", "main", "in_1", 1) == WORKFLOW
    assert keys.case_id(WORKFLOW) == "case_yp75y7oektrukyzc"
    assert keys.charge_key(WORKFLOW, "day-1.charge", 0) == f"dunwell/{WORKFLOW}/day-1.charge/0"
    assert keys.subscription_key(WORKFLOW, "cancel_now") == f"dunwell/{WORKFLOW}/end/cancel_now"
    assert keys.reinstate_key(WORKFLOW) == f"dunwell/{WORKFLOW}/reinstate"
    assert keys.message_id("case_1", "day-1.message") == "case_1.day-1.message"
    assert keys.late_fact_workflow_id("case_1", "evt_1") == "late/case_1/evt_1"


def test_a_case_has_an_id_that_can_be_said_and_typed() -> None:
    found = keys.case_id(WORKFLOW)
    assert found.startswith("case_")
    assert found.removeprefix("case_").isalnum()
    assert found == found.lower()
    assert len(found) == len("case_") + 16


def test_each_episode_account_and_processor_has_a_case_of_its_own() -> None:
    workflows = {
        keys.workflow_id(processor, account, "in_1", episode)
        for processor in ("stripe", "sandbox")
        for account in ("main", "acct_1")
        for episode in (1, 2)
    }
    assert len(workflows) == 8
    assert len({keys.case_id(workflow) for workflow in workflows}) == 8


def test_a_raised_suffix_makes_another_key() -> None:
    assert len({keys.charge_key(WORKFLOW, "day-1.charge", suffix) for suffix in range(5)}) == 5


@given(st.text(max_size=400), st.text(max_size=400), st.integers(0, 50))
def test_no_key_is_longer_than_stripe_takes(workflow: str, attempt: str, suffix: int) -> None:
    key = keys.charge_key(workflow, attempt, suffix)
    assert len(key) <= 255
    assert keys.is_ours(key)


def test_long_attempts_keep_different_keys() -> None:
    long = "card." + "x" * 300
    made = {keys.charge_key(WORKFLOW, long + end, suffix) for end in ("a", "b") for suffix in (0, 1)}
    assert len(made) == 4


def test_a_message_leads_back_to_its_case() -> None:
    case = keys.case_id(WORKFLOW)
    assert keys.case_of_message(keys.message_id(case, "day-1.message")) == case
    assert keys.case_of_message(case) == case


@pytest.mark.parametrize("key", [None, "", "their-key", "dunwell", " dunwell/x"])
def test_what_others_did_is_not_ours(key: str | None) -> None:
    assert not keys.is_ours(key)


def test_no_key_is_built_from_a_run_id() -> None:
    functions = [function for _, function in inspect.getmembers(keys, inspect.isfunction)]
    assert functions
    for function in functions:
        assert not {name for name in inspect.signature(function).parameters if "run" in name}
