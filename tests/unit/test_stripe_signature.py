"""Which webhooks of Stripe's are believed, and which keys are taken at all."""

from __future__ import annotations

import time

import pytest
import pytest_asyncio

from errors import BadSettings, BadSignature
from processors.stripe import StripeProcessor
from tests.stand_ins.stripe_webhooks import signature

SECRET = "whsec_0123456789"
BODY = '{"id": "evt_1", "object": "event", "note": "é"}'.encode()


@pytest_asyncio.fixture
async def processor() -> StripeProcessor:
    return StripeProcessor(api_key="sk_test_1", webhook_secret=SECRET)


def test_a_signed_event_is_believed(processor: StripeProcessor) -> None:
    processor.verify(BODY, signature(BODY, SECRET))


def test_one_of_two_signatures_is_enough_while_the_secret_is_changed(processor: StripeProcessor) -> None:
    old, new = signature(BODY, "whsec_old"), signature(BODY, SECRET)
    processor.verify(BODY, f"{old},{new.partition(',')[2]}")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v1=",
        "nonsense",
        "t=1,v0=abc",
        "t=99999999999999999999,v1=é",
        signature(BODY, "whsec_of_somebody_else"),
        signature(BODY + b" ", SECRET),
    ],
    ids=[
        "none",
        "empty",
        "no time",
        "nonsense",
        "another scheme",
        "not ASCII",
        "another secret",
        "another body",
    ],
)
def test_a_missing_or_wrong_signature_is_not(processor: StripeProcessor, header: str | None) -> None:
    with pytest.raises(BadSignature) as refused:
        processor.verify(BODY, header)
    assert SECRET not in str(refused.value)


def test_an_old_event_is_not_believed_though_it_is_signed(processor: StripeProcessor) -> None:
    now = int(time.time())
    processor.verify(BODY, signature(BODY, SECRET, now - 290))
    with pytest.raises(BadSignature, match="clock"):
        processor.verify(BODY, signature(BODY, SECRET, now - 310))


def test_a_body_that_is_no_text_is_not_believed(processor: StripeProcessor) -> None:
    with pytest.raises(BadSignature):
        processor.verify(b"\xff", signature(b"\xff", SECRET))


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_the_setting_is_named(secret: str | None) -> None:
    unset = StripeProcessor(api_key="sk_test_1", webhook_secret=secret)
    with pytest.raises(BadSignature, match="DUNWELL_STRIPE_WEBHOOK_SECRET"):
        unset.verify(BODY, signature(BODY, SECRET))


@pytest.mark.parametrize("key", ["", " ", "sk_test_1\n", " sk_test_1", "sk_test_é"])
def test_a_key_that_cannot_be_one_stops_the_start(key: str) -> None:
    with pytest.raises(BadSettings, match="DUNWELL_STRIPE_API_KEY") as refused:
        StripeProcessor(api_key=key)
    assert "test_" not in str(refused.value)
