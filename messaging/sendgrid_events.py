"""What SendGrid's Event Webhook says of our mails: whether to believe it, and what it means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.eventwebhook.eventwebhook_header import EventWebhookHeader

from errors import BadInput, BadSettings, BadSignature
from messaging.sendgrid import MESSAGE_ID_ARGUMENT
from messaging.wording import single_line

SIGNATURE_HEADER = EventWebhookHeader.SIGNATURE
TIMESTAMP_HEADER = EventWebhookHeader.TIMESTAMP
# A recording of a request is worth nothing once it is older; the same as for payment processors.
TOLERANCE = timedelta(seconds=300)
# Ids as SendGrid writes them; anything else could not be stored by every database.
PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
# What is kept of an event: who opened a mail with which program and from where is nobody's business.
KEPT = (
    "event",
    "sg_event_id",
    "sg_message_id",
    "sg_machine_open",
    "timestamp",
    "type",
    "status",
    "reason",
    "bounce_classification",
    MESSAGE_ID_ARGUMENT,
)
# Reasons for dropping a mail that hold for every other to the address: it is on a list of SendGrid's.
ON_A_LIST = frozenset({"bounced address", "invalid", "spam reporting address", "unsubscribed address"})
LONGEST_REASON = 300


class News(StrEnum):
    """What an event says of a mail."""

    TAKEN = "taken"
    OPENED = "opened"
    CLICKED = "clicked"
    FAILED = "failed"
    UNWANTED = "unwanted"
    NOTHING = "nothing"


NEWS = {
    "processed": News.TAKEN,
    "delivered": News.TAKEN,
    "open": News.OPENED,
    "click": News.CLICKED,
    "bounce": News.FAILED,
    "dropped": News.FAILED,
    "spamreport": News.UNWANTED,
    "unsubscribe": News.UNWANTED,
}


@dataclass(frozen=True)
class MailEvent:
    """One event about one of our mails.

    ``name`` is SendGrid's own for it and ``why`` its words, without the customer's address.
    ``address_at_fault`` says that SendGrid will deliver no other mail to this address either.
    ``reference`` is SendGrid's id of the mail, and ``body`` what is kept of the event, as JSON.
    """

    id: str
    name: str
    news: News
    message: str
    at: datetime
    why: str
    address_at_fault: bool
    reference: str | None
    body: str


class EventVerifier:
    """Believes what SendGrid signed with the key that belongs to ours, and no old recordings of it."""

    def __init__(self, public_key: str) -> None:
        """Take the public key as SendGrid's dashboard shows it; raises BadSettings for one that can be none."""
        try:
            self._webhook = EventWebhook(public_key)
        except ValueError:
            raise BadSettings(
                "DUNWELL_SENDGRID_WEBHOOK_KEY: is no public key (expected: the one that SendGrid's dashboard"
                " shows under Mail Settings, Event Webhook, Security features)"
            ) from None

    def verify(self, body: bytes, signature: str | None, timestamp: str | None, now: datetime) -> None:
        """Raise BadSignature unless a request is signed by SendGrid and not older than five minutes.

        Whatever is wrong with a signature, the answer is the same, and the age is looked at only after.
        """
        try:
            good = self._webhook.verify_signature(body.decode(), signature or "", timestamp or "")
            sent_at = datetime.fromtimestamp(int(timestamp or ""), UTC)
        except (ValueError, OverflowError, OSError):
            good, sent_at = False, now
        if not good:
            raise BadSignature(
                "the signature is missing or wrong: is DUNWELL_SENDGRID_WEBHOOK_KEY this webhook's?"
            )
        if abs(now - sent_at) > TOLERANCE:
            raise BadSignature(
                f"the signature is not of the last {TOLERANCE.total_seconds():.0f} seconds: is the clock right?"
            )


def read_events(body: bytes) -> tuple[MailEvent, ...]:
    """Read the events that concern mails of ours; raises BadInput for what is no list of events.

    An account's webhook tells of all its mails: what does not carry our message id is left out.
    """
    try:
        items = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("it is no JSON") from None
    if not isinstance(items, list):
        raise BadInput("it is no list")
    return tuple(event for item in items if isinstance(item, dict) and (event := _read(item)))


def _read(item: dict[str, Any]) -> MailEvent | None:
    texts = [item.get(key) for key in ("sg_event_id", "event", MESSAGE_ID_ARGUMENT)]
    if not all(isinstance(text, str) and PRINTABLE.fullmatch(text) for text in texts):
        return None
    event_id, name, message = map(str, texts)
    try:
        at = datetime.fromtimestamp(int(item["timestamp"]), UTC)
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        return None
    news = NEWS.get(name, News.NOTHING)
    reason = _words(item, "reason")
    why = f"{name}: {reason}" if reason else name
    if news is News.OPENED and item.get("sg_machine_open") is True:
        news, why = News.NOTHING, "opened by a machine before anybody could see it"
    reference = _words(item, "sg_message_id")
    return MailEvent(
        id=event_id,
        name=name,
        news=news,
        message=message,
        at=at,
        why=why,
        address_at_fault=news is News.UNWANTED or (news is News.FAILED and _is_on_a_list(name, item, reason)),
        reference=reference or None,
        body=json.dumps({key: item[key] for key in KEPT if key in item}),
    )


def _is_on_a_list(name: str, item: dict[str, Any], reason: str) -> bool:
    """Whether SendGrid drops every further mail to the address.

    It does so after a bounce of the type ``bounce``. One of the type ``blocked`` was refused for what the
    mail says or where it came from, and one may try again.
    """
    return item.get("type") == "bounce" if name == "bounce" else reason.lower() in ON_A_LIST


def _words(item: dict[str, Any], key: str) -> str:
    """Give a text without the customer's address, since what comes of it is shown to ops."""
    text, address = item.get(key), item.get("email")
    if not isinstance(text, str):
        return ""
    if isinstance(address, str) and address:
        text = re.sub(re.escape(address), "the address", text, flags=re.IGNORECASE)
    return single_line(text)[:LONGEST_REASON]
