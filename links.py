"""Links that customers get by mail: signed, expiring, and good for one purpose on one case.

A link names the case, or the message that it stood in, which belongs to a case: so a click tells which
mail was read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

import keys
from errors import BadToken

CHANGE_CARD = "change-card"


class _At(TimestampSigner):
    """Signs with a given time: in a test that skips time, the wall clock is not the case's."""

    moment: datetime | None = None

    def get_timestamp(self) -> int:
        """Give the time to sign with."""
        return int(self.moment.timestamp()) if self.moment else super().get_timestamp()


class Links:
    """Makes and reads customers' links; a link expires after ``lifetime``."""

    def __init__(self, secret: str, public_url: str, lifetime: timedelta) -> None:
        self._secret = secret
        self._public_url = public_url
        self._lifetime = lifetime

    def to_change_card(self, case_or_message: str, now: datetime) -> str:
        """Make the link to the page where the card of a case can be changed."""
        return f"{self._public_url}/pay/{self.token(case_or_message, now)}"

    def token(self, case_or_message: str, now: datetime) -> str:
        """Sign the id of a case, or of one of its messages, for changing the card."""
        signer = type("_Signer", (_At,), {"moment": now})
        serializer = URLSafeTimedSerializer(self._secret, salt=CHANGE_CARD, signer=signer)
        return str(serializer.dumps(case_or_message))

    def case_of(self, token: str, now: datetime | None = None) -> str:
        """Give the case that a link is for; raises BadToken when it is forged or too old."""
        return keys.case_of_message(self._read(token, now))

    def message_of(self, token: str, now: datetime | None = None) -> str | None:
        """Give the message that a link stood in, None where it names a case only; raises BadToken."""
        read = self._read(token, now)
        return None if read == keys.case_of_message(read) else read

    def _read(self, token: str, now: datetime | None) -> str:
        serializer = URLSafeTimedSerializer(self._secret, salt=CHANGE_CARD)
        try:
            signed, signed_at = serializer.loads(token, return_timestamp=True)
        except BadSignature:
            raise BadToken("this link is not one of ours, or was cut short: use the latest mail's") from None
        if (now or datetime.now(UTC)) - signed_at > self._lifetime:
            raise BadToken("this link has expired: use the one in the latest mail, or ask for a new one")
        return str(signed)
