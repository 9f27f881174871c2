"""SendGrid's Event Webhook as it comes in: events in its form, signed with a key of the test's own."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from datetime import datetime

COUNT = itertools.count(1)


class SigningKey:
    """A pair of keys; ``public`` is what SendGrid's dashboard shows of it."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = base64.b64encode(public).decode()

    def headers(self, body: bytes, at: datetime) -> dict[str, str]:
        """Sign a request as SendGrid does."""
        timestamp = str(int(at.timestamp()))
        signature = self._private.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


def mail_event(name: str, message: str | None, at: datetime, **more: Any) -> dict[str, Any]:
    """Write an event as SendGrid does; one that carries no message id of ours is about somebody else's mail."""
    ours = {"dunwell_message": message} if message else {}
    return {
        "email": "ada@example.com",
        "timestamp": int(at.timestamp()),
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name,
        "sg_event_id": f"event-{next(COUNT)}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        **ours,
        **more,
    }


def body_of(*events: dict[str, Any]) -> bytes:
    """Write a request's body."""
    return json.dumps(events).encode()
