"""A mail ready to be sent, and what Dunwell asks of whoever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Mail:
    """One rendered mail.

    ``id`` is the message's own id, the same at every try: a sender that can refuse repetitions uses it.
    """

    id: str
    to_address: str
    to_name: str | None
    from_address: str
    from_name: str | None
    subject: str
    html: str
    text: str
    locale: str


@dataclass(frozen=True)
class Receipt:
    """The sender's word that it took a mail; ``reference`` is its own id for it, or a file's path."""

    reference: str


class Sender(Protocol):
    """Carries mails.

    ``repeatable`` says that handing over the same mail twice delivers it once.
    """

    name: str
    repeatable: bool

    async def send(self, mail: Mail) -> Receipt:
        """Hand a mail over.

        Raises SenderUnavailable when it was not accepted, MailAnswerLost when it may have been,
        MailRefused when it never will be, SenderKeyRejected when the credentials are at fault.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
