"""A customer's stored methods at Stripe: which are read, in which order, and what of consent is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from errors import NotKnown
from keys import OWN_ACCOUNT
from processors.protocol import Card
from tests.stand_ins.stripe_account import GOOD
from tests.stand_ins.stripe_bodies import account as bank_account
from tests.stand_ins.stripe_bodies import customer, method, page

if TYPE_CHECKING:
    from processors.stripe import StripeProcessor
    from tests.stand_ins.scripted_stripe import ScriptedStripe
    from tests.stand_ins.stripe_account import StripeAccount
    from tests.stand_ins.stripe_description import StripeDescription

pytest_plugins = ("tests.integration.stripe_stand_in",)

CUSTOMER = "/v1/customers/cus_1"
METHODS = f"{CUSTOMER}/payment_methods"
VISA = Card("pm_1", "visa", "4242", "US", "Print4242")
MASTERCARD = Card("pm_2", "mastercard", "4444", "US", "Print4444")


def paying_by(default: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    settings = {"custom_fields": None, "default_payment_method": default}
    unused = {"footer": None, "rendering_options": None}
    return customer(invoice_settings=settings | unused, **more)


async def test_all_stored_methods_are_read_the_default_first(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor, description: StripeDescription
) -> None:
    default = method("pm_2", "4444", "mastercard")
    stored = (
        method(),
        default,
        bank_account("pm_3", "us_bank_account", status_details=None),
        bank_account("pm_4", "sepa_debit", country="DE"),
        bank_account("pm_5", "bacs_debit"),
    )
    scripted.will_answer("GET", CUSTOMER, paying_by(default))
    scripted.will_answer("GET", METHODS, page(METHODS, *stored))

    found = await scripted_processor.read_methods(OWN_ACCOUNT, "cus_1")

    assert list(found) == [
        MASTERCARD,
        VISA,
        Card("pm_3", None, "6789", None, "PrintBank", "ach"),
        Card("pm_4", None, "6789", "DE", "PrintBank", "sepa"),
        Card("pm_5", None, "6789", None, "PrintBank", "bacs"),
    ]
    sent = description.check_request("GET", METHODS, scripted.requests[1].parameters)
    assert {name: str(value) for name, value in sent.items()} == {"limit": "100"}


async def test_what_cannot_be_charged_without_the_customer_is_left_out(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    shut = {"blocked": {"network_code": "R02", "reason": "bank_account_closed"}}
    blocked = bank_account("pm_3", "us_bank_account", status_details=shut)
    dates = {"exp_month": 4, "exp_year": 2031}
    present = bank_account("pm_4", "card_present", brand="visa", country="US", **dates)
    scripted.will_answer("GET", CUSTOMER, paying_by(None))
    scripted.will_answer("GET", METHODS, page(METHODS, blocked, present, method()))

    assert list(await scripted_processor.read_methods(OWN_ACCOUNT, "cus_1")) == [VISA]


@pytest.mark.parametrize(
    ("of_method", "of_customer", "consent"),
    [
        ({}, {}, False),
        ({"metadata": {"dunwell_backup": "yes"}}, {}, True),
        ({}, {"metadata": {"dunwell_backup": "Yes"}}, True),
        ({"metadata": {"dunwell_backup": "no"}}, {}, False),
        # That a card may be shown again is no word on what it may be charged for.
        ({"allow_redisplay": "always"}, {}, False),
    ],
    ids=["nothing said", "of the method", "of the customer", "refused", "may be shown"],
)
async def test_consent_is_only_what_the_owner_wrote_down(
    scripted: ScriptedStripe,
    scripted_processor: StripeProcessor,
    of_method: dict[str, Any],
    of_customer: dict[str, Any],
    consent: bool,  # noqa: FBT001 -- a row of the table above
) -> None:
    scripted.will_answer("GET", CUSTOMER, paying_by(None, **of_customer))
    scripted.will_answer("GET", METHODS, page(METHODS, method(**of_method)))

    [found] = await scripted_processor.read_methods(OWN_ACCOUNT, "cus_1")

    assert found.consent is consent


async def test_any_method_of_the_customers_is_read_by_its_id(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_answer("GET", CUSTOMER, paying_by(method()))
    scripted.will_answer("GET", f"{METHODS}/pm_2", method("pm_2", "4444", "mastercard"))

    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", "pm_2") == MASTERCARD
    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", None) == VISA
    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", "pm_9") is None


async def test_a_card_kept_as_a_source_is_read_as_one(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    source = {
        "id": "card_1",
        "object": "card",
        "brand": "American Express",
        "country": "US",
        "exp_month": 4,
        "exp_year": 2031,
        "fingerprint": "PrintOld",
        "funding": "credit",
        "last4": "0005",
    }
    scripted.will_answer("GET", CUSTOMER, customer(default_source=source))
    scripted.will_answer("GET", f"{CUSTOMER}/sources/card_1", source)
    card = Card("card_1", "amex", "0005", "US", "PrintOld")

    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", "card_1") == card
    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", None) == card


async def test_a_customer_who_is_gone_has_no_methods(
    scripted: ScriptedStripe, scripted_processor: StripeProcessor
) -> None:
    scripted.will_answer("GET", CUSTOMER, {"id": "cus_1", "object": "customer", "deleted": True})

    assert list(await scripted_processor.read_methods(OWN_ACCOUNT, "cus_1")) == []
    assert await scripted_processor.read_card(OWN_ACCOUNT, "cus_1", None) is None


async def test_a_customer_whom_stripe_never_had_is_not_known(scripted_processor: StripeProcessor) -> None:
    with pytest.raises(NotKnown, match="customer cus_1"):
        await scripted_processor.read_methods(OWN_ACCOUNT, "cus_1")


async def test_a_stripe_with_books_of_its_own_tells_the_same_card_everywhere(
    account: StripeAccount, processor: StripeProcessor
) -> None:
    failed = await account.failed_renewal()
    await account.change_card(failed.customer, GOOD)

    invoice = await processor.read_invoice(OWN_ACCOUNT, failed.invoice)
    default = await processor.read_card(OWN_ACCOUNT, failed.customer, None)

    assert default is not None
    assert invoice.card == default
    assert default.fingerprint
    assert default.rail == "card"
