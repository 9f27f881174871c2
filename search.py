"""The search attributes of a case: what ops find it by in the Temporal UI, and which of them changed.

Imported by workflow code, so nothing here reads or writes anything; ``registration.py`` makes the
attributes known to a server. They are never encrypted, and so hold no name and no address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from campaigns.money import spell_money
from contract import Attributes

if TYPE_CHECKING:
    from temporalio.common import SearchAttributeUpdate

    from contract import OpenCase

CASE_STATUS = SearchAttributeKey.for_keyword("CaseStatus")
CUSTOMER = SearchAttributeKey.for_keyword("Customer")
INVOICE = SearchAttributeKey.for_keyword("Invoice")
CAMPAIGN = SearchAttributeKey.for_keyword("Campaign")
ARM = SearchAttributeKey.for_keyword("Arm")
DECLINE = SearchAttributeKey.for_keyword("Decline")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
PLAN = SearchAttributeKey.for_keyword("Plan")
COUNTRY = SearchAttributeKey.for_keyword("Country")
NETWORK = SearchAttributeKey.for_keyword("Network")
AMOUNT = SearchAttributeKey.for_int("Amount")
CAMPAIGN_VERSION = SearchAttributeKey.for_int("CampaignVersion")
ATTEMPTS = SearchAttributeKey.for_int("Attempts")
FAILED_AT = SearchAttributeKey.for_datetime("FailedAt")
NEXT_STEP_AT = SearchAttributeKey.for_datetime("NextStepAt")
FLAGS = SearchAttributeKey.for_keyword_list("Flags")

# The server's SQL stores give a namespace ten keywords and three of each other type: this is all of
# the keywords and integers there are, so a new one has to go into Flags.
KEYS: tuple[SearchAttributeKey[Any], ...] = (
    CASE_STATUS,
    CUSTOMER,
    INVOICE,
    CAMPAIGN,
    ARM,
    DECLINE,
    CURRENCY,
    PLAN,
    COUNTRY,
    NETWORK,
    AMOUNT,
    CAMPAIGN_VERSION,
    ATTEMPTS,
    FAILED_AT,
    NEXT_STEP_AT,
    FLAGS,
)

# A keyword is a VARCHAR(255) on PostgreSQL; a longer one would stop the case from being listed at all.
LONGEST_KEYWORD = 255


def pairs(attributes: Attributes) -> TypedSearchAttributes:
    """Give the attributes to start a workflow with; what is empty is left out."""
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in _values(attributes).items()]
    )


def changes(old: Attributes | None, new: Attributes) -> list[SearchAttributeUpdate[Any]]:
    """Say what to upsert, in one go: nothing when nothing changed, since each upsert is an event.

    ``old`` is what was last written, None when nothing was.
    """
    before = _values(old) if old else {}
    after = _values(new)
    return [
        key.value_set(after[key]) if key in after else key.value_unset()
        for key in KEYS
        if before.get(key) != after.get(key)
    ]


def _values(attributes: Attributes) -> dict[SearchAttributeKey[Any], Any]:
    # No invoice of nothing fails and versions count from 1: there, 0 means "not known yet".
    values: dict[SearchAttributeKey[Any], Any] = {
        CASE_STATUS: attributes.status.value,
        CUSTOMER: _keyword(attributes.customer),
        INVOICE: _keyword(attributes.invoice),
        CAMPAIGN: _keyword(attributes.campaign),
        ARM: _keyword(attributes.arm),
        DECLINE: _keyword(attributes.decline),
        CURRENCY: _keyword(attributes.currency),
        PLAN: _keyword(attributes.plan),
        COUNTRY: _keyword(attributes.country),
        NETWORK: _keyword(attributes.network),
        AMOUNT: attributes.amount or None,
        CAMPAIGN_VERSION: attributes.campaign_version or None,
        ATTEMPTS: attributes.attempts,
        FAILED_AT: attributes.failed_at,
        NEXT_STEP_AT: attributes.next_step_at,
        # A set: another order is not a change.
        FLAGS: sorted({flag[:LONGEST_KEYWORD] for flag in attributes.flags if flag}) or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def _keyword(text: str) -> str | None:
    return text[:LONGEST_KEYWORD] or None


def first_attributes(order: OpenCase) -> Attributes:
    """Give what a case can be found by before it is opened; set at its start, where it costs nothing."""
    return Attributes(
        customer=order.customer,
        invoice=order.invoice,
        campaign=order.campaign or "",
        decline=order.decline or "",
        currency=(order.currency or "").upper(),
        amount=order.amount or 0,
        failed_at=order.failed_at,
    )


def static_summary(order: OpenCase, campaign: str) -> str:
    """Give the line that the Temporal UI shows for a case: ids and amounts, no names."""
    known = [
        spell_money(order.amount, order.currency) if order.amount is not None and order.currency else "",
        (order.decline or "").replace("_", " "),
        order.customer,
        order.campaign or campaign,
    ]
    return " · ".join(part for part in known if part)[:200]
