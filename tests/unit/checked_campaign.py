"""A good campaign, what a check knows beside it, and ways to make it worse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from campaigns.checking import Known, check
from campaigns.declines import DeclineTable
from campaigns.networks import NetworkLimits
from store.campaigns import decline_codes, network_limits

TEMPLATES = frozenset(
    [
        *("payment_failed", "new_card_needed", "confirm_payment", "did_you_mean_to_cancel"),
        *("card_declined", "last_notice", "receipt"),
    ]
)
KNOWN = Known(
    declines=DeclineTable(decline_codes()),
    networks=NetworkLimits(network_limits()),
    templates=TEMPLATES | {"broken", "silent"},
    template_faults=lambda name: (
        ("en/broken.liquid: line 3: no variable is called 'nmae'",) * (name == "broken")
    ),
    names_the_end=lambda name: name == "last_notice",
    on=date(2026, 6, 1),
)
ANY_TEMPLATE = replace(
    KNOWN, templates=KNOWN.templates | {"access_limited", "payment_received", "subscription_ended"}
)
TOP = """\
name: gentle
"""
GOOD = """\
steps:
  - id: day-1
    after: 1 day
    retry: true
    message: payment_failed
  - id: day-3
    after: 3 days
    retry: true
    message: payment_failed
  - id: last
    after: 12 days
    message: last_notice
end:
  after: 14 days
  action: cancel_now
"""


def found(text: str) -> list[str]:
    checked = check(text, file="c.yaml", known=KNOWN)
    assert checked.campaign is not None, checked.faults
    return [str(fault).removeprefix("c.yaml:") for fault in checked.faults]


def with_step(step: str, good: str = GOOD) -> str:
    """Put a step at 5 days between the others; it stands on line 11."""
    return TOP + good.replace("  - id: last\n", f"  - {step}\n  - id: last\n")
