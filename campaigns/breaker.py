"""When charges to a processor or an issuer range that does not answer are held, and how they are let go on.

Pure: the counts and the state of a breaker are given, the next state comes back. ``store/breakers.py`` keeps both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from campaigns.durations import spell_duration


@dataclass(frozen=True)
class BreakerRule:
    """When a breaker opens, and how it closes again.

    It opens once ``at_least`` charges were answered within ``window`` and the share of "unavailable" among them
    is half way or more from the usual share (that of the day before, ``usual``) to all of them: from one half
    where there is usually no trouble. It rests for ``rest``, twice as long after each failed trial, up to
    ``longest``. Then 1, 2, 4 … charges are let through, ``steps`` times, each time only after the last were
    answered; it closes after the last of them, or when trials have gone well for ``window``. One that was let through and not heard of for ``patience`` is given to another. Cases that were
    held come back within ``spread``.
    """

    window: timedelta = timedelta(minutes=10)
    at_least: int = 10
    usual: timedelta = timedelta(days=1)
    rest: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=2)
    steps: int = 5
    patience: timedelta = timedelta(minutes=5)
    spread: timedelta = timedelta(minutes=30)


@dataclass(frozen=True)
class Counts:
    """How many charges were answered, and how often the answer was "unavailable"."""

    answers: int = 0
    away: int = 0

    @property
    def share(self) -> float:
        """The share of "unavailable"; none where nothing was asked."""
        return self.away / self.answers if self.answers else 0.0


@dataclass(frozen=True)
class Open:
    """An open breaker: nothing scheduled passes before ``until``, and few charges at a time after it.

    ``rest`` is how long it rests now, ``step`` how often as many as it let through were answered. ``lent`` charges
    were let through in this step, the last at ``lent_at``, and ``good`` of them were answered.
    """

    since: datetime
    until: datetime
    rest: timedelta
    step: int = 0
    lent: int = 0
    good: int = 0
    lent_at: datetime | None = None


def is_to_open(rule: BreakerRule, recent: Counts, usual: Counts) -> bool:
    """Whether "unavailable" has come far more often than usual."""
    return recent.answers >= rule.at_least and recent.share >= (1 + usual.share) / 2


def opened(rule: BreakerRule, now: datetime) -> Open:
    """Open a breaker."""
    return Open(since=now, until=now + rule.rest, rest=rule.rest)


def let_through(rule: BreakerRule, gate: Open, now: datetime) -> Open | None:
    """Let one charge through, as a trial; None where it has to wait."""
    if now < gate.until:
        return None
    if gate.lent_at is not None and now - gate.lent_at >= rule.patience:
        gate = replace(gate, lent=gate.good)
    if gate.lent >= 2**gate.step:
        return None
    return replace(gate, lent=gate.lent + 1, lent_at=now)


def answered(rule: BreakerRule, gate: Open, now: datetime, *, away: bool) -> Open | None:
    """Take in the answer to any charge while the breaker is open; None: it closes.

    A charge for which somebody waits is made also while the breaker rests: an answer to it ends the rest.
    """
    if away:
        if now < gate.until:
            return gate
        rest = min(gate.rest * 2, max(rule.longest, rule.rest))
        return Open(since=gate.since, until=now + rest, rest=rest)
    if now < gate.until:
        return replace(gate, until=now)
    good = gate.good + 1
    if gate.step and now - gate.until >= rule.window:
        # With few charges the last step would be long in coming.
        return None
    if good < 2**gate.step:
        return replace(gate, good=good, lent=max(gate.lent, good))
    if gate.step + 1 >= rule.steps:
        return None
    return replace(gate, step=gate.step + 1, lent=0, good=0, lent_at=None)


def comes_back_at(rule: BreakerRule, gate: Open, case_id: str, now: datetime) -> datetime:
    """When a held case tries again: each has its own share of the spread, and always the same one."""
    share = int.from_bytes(hashlib.sha256(case_id.encode()).digest()[:4]) / 2**32
    return max(gate.until, now + rule.patience / 5) + rule.spread * share


def why_opened(subject: str, recent: Counts, rule: BreakerRule) -> str:
    """Say what was counted: ``issuers of visa cards of DE answered 'unavailable' 14 of 15 times in 10 minutes``."""
    return (
        f"{subject} answered 'unavailable' {recent.away} of {recent.answers} times"
        f" in {spell_duration(rule.window)}"
    )
