"""Every id and key that crosses a boundary, each built in one place.

None is built from a run id: after a Reset in the Temporal UI the run id is new while the charge it
would guard has been made.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# Marks our requests at the processor, so that our own retry's failure event is known as ours.
KEY_PREFIX = "dunwell/"
# The account of an installation that works for one processor account only.
OWN_ACCOUNT = "main"


def workflow_id(processor: str, account: str, invoice: str, episode: int) -> str:
    """Name the workflow of one episode of one failed invoice."""
    return f"recovery/{processor}/{account}/{invoice}/{episode}"


def case_id(workflow: str) -> str:
    """Derive a case's short public id; the same workflow always has the same, also after a rebuild."""
    digest = hashlib.sha256(workflow.encode()).digest()[:10]
    return "case_" + base64.b32encode(digest).decode().lower()


def late_fact_workflow_id(case: str, event: str) -> str:
    """Name the short workflow that settles one fact that arrived after the end of a case."""
    return f"late/{case}/{event}"


def move_workflow_id(move: str) -> str:
    """Name the workflow that moves running cases to another version."""
    return f"move/{move}"


def move_update_id(move: str) -> str:
    """Name the wish that a move puts to each case: asked again under it, a case answers once."""
    return f"move.{move}"


def charge_key(workflow: str, attempt: str, suffix: int) -> str:
    """Build the idempotency key of a charge; ``suffix`` rises only when it is proven not to have happened.

    A long attempt id (a card's, say) is folded, since Stripe takes no key over 255 characters.
    """
    key = f"{KEY_PREFIX}{workflow}/{attempt}/{suffix}"
    if len(key) <= 255:  # noqa: PLR2004
        return key
    return f"{KEY_PREFIX}{hashlib.sha256(key.encode()).hexdigest()}/{suffix}"


def seen_key(processor: str, account: str, charge: str) -> str:
    """Name an attempt that somebody else made, by the processor's id of the charge; no key of ours is like it."""
    return f"seen/{processor}/{account}/{charge}"


def subscription_key(workflow: str, action: str) -> str:
    """Build the idempotency key of a final action on the subscription."""
    return f"{KEY_PREFIX}{workflow}/end/{action}"


def take_over_key(workflow: str, at: datetime) -> str:
    """Build the idempotency key of switching the processor's own retries off: a new one each day."""
    return f"{KEY_PREFIX}{workflow}/take-over/{at:%Y-%m-%d}"


def reinstate_key(workflow: str) -> str:
    """Build the idempotency key of undoing a case's final action after a late payment: once for a case."""
    return f"{KEY_PREFIX}{workflow}/reinstate"


def message_id(case: str, action: str) -> str:
    """Build the id of one message: one for each case and step, whatever happens."""
    return f"{case}.{action}"


def case_of_message(message: str) -> str:
    """Give the case that a message belongs to, from the message's id; a case's own id comes back as it is."""
    return message.partition(".")[0]


def is_ours(idempotency_key: str | None) -> bool:
    """Whether a request at the processor was made by us."""
    return bool(idempotency_key and idempotency_key.startswith(KEY_PREFIX))
