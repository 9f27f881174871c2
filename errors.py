"""Every error that Dunwell raises on purpose, in one tree.

    DunwellError
    ├── BadInput                  what was sent or written cannot be used; nothing was stored or started
    │   ├── BadCampaign           a campaign document with one or more faults, each with its place
    │   ├── BadSettings           a setting with a wrong or missing value; start-up stops
    │   ├── BadSignature          a webhook that is unsigned, wrongly signed or too old
    │   ├── BadToken              a link for a customer that is forged or has expired
    │   ├── NotAllowed            a person may not do this, or not now
    │   └── NotKnown              an id that nothing is stored under
    ├── Conflict                  the database already holds something that excludes what was asked
    ├── ProcessorError            a payment processor did not do what was asked
    │   ├── ProcessorUnavailable  nothing was done at the processor: try again later
    │   ├── AnswerLost            something may have been done: find out before trying again
    │   ├── ProcessorRefused      the request is wrong and will stay wrong
    │   └── ProcessorKeyRejected  the API key is wrong or lacks a permission: hold everything
    ├── MailError                 a mail was not handed over
    │   ├── SenderUnavailable     not accepted: try again later
    │   ├── MailAnswerLost        it may have been accepted: do not simply send again
    │   ├── MailRefused           this mail or this address will never be accepted
    │   └── SenderKeyRejected     the sender's credentials are wrong: hold all mail
    └── ServerUnavailable         Temporal cannot be reached or started

An error's text says what happened, to which id, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class DunwellError(Exception):
    """Something that Dunwell knows how to name went wrong."""


class BadInput(DunwellError):
    """What was sent cannot be used, and nothing was stored or started for it."""


class Severity(StrEnum):
    """How much a fault matters: an error keeps a campaign from being published, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a campaign document, with its place and a way out.

    ``arm`` is None where it is so in every arm.
    """

    file: str
    line: int
    step: str | None
    what: str
    suggestion: str | None = None
    severity: Severity = Severity.ERROR
    arm: str | None = None

    def __str__(self) -> str:
        """Render as ``file:line: arm b, step day-1: what (suggestion)``; a warning says that it is one."""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        named = (("arm", self.arm), ("step", self.step))
        where = ", ".join(f"{kind} {name}" for kind, name in named if name)
        suggestion = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.file}:{self.line}: {warning}{where + ': ' if where else ''}{self.what}{suggestion}"


class BadCampaign(BadInput):
    """A campaign document cannot be used; ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Take all faults at once, so that an author mends them in one go."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class BadSettings(BadInput):
    """A setting has a value that cannot be used; the text names the variable and what was expected."""


class BadSignature(BadInput):
    """A webhook's signature is missing, wrong, or older than the tolerance."""


class BadToken(BadInput):
    """A customer's link is forged, made for another purpose, or has expired."""


class NotAllowed(BadInput):
    """A person's role does not reach this far, or the request is not certain to be theirs."""


class NotKnown(BadInput):
    """Nothing is stored under the id that was given."""


class Conflict(DunwellError):
    """The database already holds something that excludes what was asked."""


class ProcessorError(DunwellError):
    """A payment processor did not do what was asked."""


class ProcessorUnavailable(ProcessorError):
    """Nothing was done at the processor; the same request may be made again later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Take ``retry_after`` where the processor said how long to wait."""
        super().__init__(message)
        self.retry_after = retry_after


class AnswerLost(ProcessorError):
    """The processor may have done what was asked, but its answer did not arrive.

    ``replayed_for_key`` says that the processor will repeat this very failure for the same
    idempotency key (Stripe does so after a 5xx), so that only a read can tell what happened.
    """

    def __init__(self, message: str, *, replayed_for_key: bool = False) -> None:
        """Tell a lost connection from a stored server error."""
        super().__init__(message)
        self.replayed_for_key = replayed_for_key


class ProcessorRefused(ProcessorError):
    """The request is wrong and will stay wrong; a person has to look."""


class ProcessorKeyRejected(ProcessorError):
    """The API key is wrong or lacks a permission, for every case alike."""


class MailError(DunwellError):
    """A mail was not handed over."""


class SenderUnavailable(MailError):
    """The mail was not accepted; it may be handed over again later."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Take ``retry_after`` where the sender said how long to wait."""
        super().__init__(message)
        self.retry_after = retry_after


class MailAnswerLost(MailError):
    """The mail may have been accepted, but the answer did not arrive."""


class MailRefused(MailError):
    """This mail will never be accepted; ``address_at_fault`` says whether any other to it would be."""

    def __init__(self, message: str, *, address_at_fault: bool) -> None:
        """Tell a bad address from a bad mail."""
        super().__init__(message)
        self.address_at_fault = address_at_fault


class SenderKeyRejected(MailError):
    """The sender's credentials are wrong, for every mail alike."""


class ServerUnavailable(DunwellError):
    """Temporal cannot be reached or started; the text says what was tried."""
