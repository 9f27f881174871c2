"""What every activity works with, wired once by the worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from campaigns.budget import Rules
from contract import TECHNICAL_TRIES
from errors import AnswerLost, BadInput, ProcessorUnavailable, SenderUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from campaigns.breaker import BreakerRule
    from campaigns.declines import DeclineTable
    from campaigns.network_fees import NetworkFees
    from campaigns.networks import NetworkLimits
    from messaging.protocol import Sender
    from messaging.rendering import Renderer
    from processors.protocol import Processor
    from store.database import Database

# After a quarter of an hour of technical tries, the next one is left to the calendar.
UNAVAILABLE_HOLD = timedelta(hours=1)
# A stop that a person set, or a rejected key: looked at again this often.
STOPPED_HOLD = timedelta(minutes=15)
# After a server error the processor may still be at work on the request: a read that comes too soon would
# show no payment, and the charge would be made twice.
SETTLING_DELAY = timedelta(seconds=10)
# A charge whose fate is unknown goes to a person well before the processor forgets its key (24 hours).
SETTLING_PATIENCE = timedelta(hours=20)


@dataclass(frozen=True)
class Tools:
    """The collaborators of activities; ``link`` makes a customer's signed link from a message's id.

    ``stands_aside`` leaves charging to a processor that retries by itself, as long as it does; otherwise such
    retries are taken over. ``margin`` attempts under a card network's limit are left unused; ``home`` is the merchant's country.
    ``breaker`` None holds no charges where a processor or an issuer range does not answer.
    """

    database: Database
    processors: Mapping[str, Processor]
    sender: Sender
    renderer: Renderer
    declines: DeclineTable
    limits: NetworkLimits
    fees: NetworkFees
    livemode: bool
    default_campaign: str
    mail_from: str
    link: Callable[[str, datetime], str]
    alert_to: str | None = None
    margin: int = 1
    home: str | None = None
    stands_aside: bool = False
    breaker: BreakerRule | None = None

    @property
    def rules(self) -> Rules:
        """What the budget of a card is reckoned with."""
        return Rules(self.limits, self.fees, self.margin, self.home)

    def processor(self, name: str) -> Processor:
        """Find a processor by name; raises BadInput naming those that are configured."""
        found = self.processors.get(name)
        if found is None:
            raise BadInput(
                f"no processor is called '{name}': configured are {', '.join(sorted(self.processors)) or 'none'}"
            )
        return found


def virtual_now() -> datetime:
    """When this try was due by the server's clock: the only "now" that real and skipped time share."""
    return activity.info().current_attempt_scheduled_time


def is_last_try() -> bool:
    """Whether Temporal will not try again, so that the trouble has to become a value."""
    return activity.info().attempt >= TECHNICAL_TRIES


def try_again(error: Exception) -> ApplicationError:
    """Wrap expected trouble so that Temporal tries again, after as long as the other side asked for."""
    delay = error.retry_after if isinstance(error, ProcessorUnavailable | SenderUnavailable) else None
    if isinstance(error, AnswerLost) and error.replayed_for_key:
        delay = SETTLING_DELAY
    return ApplicationError(
        str(error),
        type=type(error).__name__,
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )


def give_up(error: Exception) -> ApplicationError:
    """Wrap an error that no repetition mends: the case goes to a person."""
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=True)
