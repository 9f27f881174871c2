"""Every effect of a case, from the books of those it reached, and where our tables disagree with them.

Charges and subscription calls come from the sandbox's books, mails from the sender's own; triggers,
templates and times that those do not keep come from our tables, matched one to one: a charge that only
one side knows of is an error whatever a timeline expects.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keys
from processors.protocol import ChargeResult
from store import attempts, cases, journal, messages
from tests.scenarios.timeline import Effect
from tests.scenarios.world import ACCOUNT, PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from processors.sandbox_books import ChargeEntry, SubscriptionEntry
    from store.tables import AlertRow, AttemptRow, CaseRow, EntryRow, MessageRow
    from tests.scenarios.world import Handed, World

# What our outbox may say of a mail, by what the sender made of it; None where it was never handed over.
STATES = {
    "taken": {messages.SENT},
    "refused": {messages.FAILED},
    "answer lost": {messages.UNKNOWN},
    None: {messages.FAILED, messages.DROPPED, messages.SHADOW},
}
# What no sender has to know of.
UNSENT = {messages.DROPPED, messages.SHADOW}


@dataclass(frozen=True)
class Books:
    """What every book says once a timeline has been played."""

    failed_at: datetime
    pace: float
    charges: Sequence[ChargeEntry]
    calls: Sequence[SubscriptionEntry]
    handed: Sequence[Handed]
    case: CaseRow
    attempts: Sequence[AttemptRow]
    messages: Sequence[MessageRow]
    journal: Sequence[EntryRow]
    alerts: Sequence[AlertRow]
    paid: int
    requests: int

    def effects(self) -> list[Effect]:
        """List every effect in order of time; those of one moment in the order of charge to alert."""
        found = [
            *self._charges(),
            *self._accesses(),
            *self._calls(),
            *self._mails(),
            *self._imagined(),
            *((row.at, f"alert {row.kind}") for row in self.alerts),
        ]
        found.sort(key=lambda entry: entry[0])
        return [Effect(self.offset(at), what) for at, what in found]

    def offset(self, at: datetime) -> timedelta:
        """Give a time as the timeline counts it."""
        return (at - self.failed_at) / self.pace

    def _charges(self) -> list[tuple[datetime, str]]:
        triggers = {row.key: row.trigger for row in self.attempts}
        found = []
        for entry in self.charges:
            asked = f"charge {entry.method or 'no card'} by {triggers.get(entry.key, 'nobody known')}"
            answered = f"{entry.result} {entry.decline or ''}".strip()
            found.append((entry.at, f"{asked} -> {answered}"))
        return [*found, *self._imagined_charges()]

    def _imagined_charges(self) -> list[tuple[datetime, str]]:
        return [
            (row.claimed_at, f"charge {row.method or 'no card'} by {row.trigger} -> shadow")
            for row in self.attempts
            if row.state == attempts.SHADOW
        ]

    def _imagined(self) -> list[tuple[datetime, str]]:
        kinds = {journal.SHADOW, journal.WITHHELD, journal.SPARED}
        return [
            (row.at, f"{row.kind}: {row.text.removeprefix('shadow: ')}")
            for row in self.journal
            if row.kind in kinds
        ]

    def _accesses(self) -> list[tuple[datetime, str]]:
        return [(row.at, f"access {row.text}") for row in self.journal if row.kind == journal.ACCESS]

    def _calls(self) -> list[tuple[datetime, str]]:
        # The sandbox keeps no clock that is put forward; the journal has the time.
        times = [row.at for row in self.journal if row.kind == journal.SUBSCRIPTION]
        made = [call for call in self.calls if keys.is_ours(call.key)]
        return [
            (at, f"{'reinstatement' if call.undone else 'subscription'} {call.change} -> {call.result}")
            for at, call in zip(times, made, strict=False)
        ]

    def _mails(self) -> list[tuple[datetime, str]]:
        tried = {handed.mail.id: handed for handed in self.handed}
        found = []
        for row in self.messages:
            handed = tried.get(row.id)
            state = row.state if handed or row.state in UNSENT else "not tried"
            found.append((handed.at if handed else row.claimed_at, f"mail {row.template} -> {state}"))
        return found

    def disagreements(self, in_doubt: Sequence[str] = ()) -> list[str]:
        """List where the books of the world and our tables tell different stories.

        ``in_doubt`` names the attempts of which ours may say that nobody knows.
        """
        return [*self._charges_disagree(in_doubt), *self._mails_disagree(), *self._calls_disagree()]

    def _charges_disagree(self, in_doubt: Sequence[str]) -> list[str]:
        entries = {entry.key: entry for entry in self.charges}
        ours = {row.key: row for row in self.attempts if not row.key.startswith("seen/")}
        faults = [
            f"the processor was charged with {key}, and no attempt has it" for key in entries.keys() - ours
        ]
        for key, row in ours.items():
            entry = entries.get(key)
            known = str(entry.result) if entry else attempts.NOT_MADE
            known = attempts.NOT_MADE if known == ChargeResult.NOTHING_TO_PAY else known
            if row.attempt in in_doubt:
                known = attempts.SENDING
            if row.state != known:
                faults.append(
                    f"attempt {row.attempt} is '{row.state}' with us and '{known}' at the processor"
                )
            if entry and (row.decline, row.payment) != (entry.decline, entry.payment):
                faults.append(f"attempt {row.attempt} has another decline or payment than the processor's")
        if self.paid > (self.case.amount or 0):
            faults.append(f"{self.paid} was taken for an invoice of {self.case.amount}")
        return faults

    def _mails_disagree(self) -> list[str]:
        rows = {row.id: row for row in self.messages}
        faults = [
            f"mail {name} was handed over {times} times"
            for name, times in Counter(handed.mail.id for handed in self.handed).items()
            if times > 1
        ]
        results = {handed.mail.id: handed.result for handed in self.handed}
        faults += [f"mail {name} was handed over, and no message has it" for name in results.keys() - rows]
        faults += [
            f"mail {name} is '{row.state}' with us; the sender: {results.get(name, 'never saw it')}"
            for name, row in rows.items()
            if row.state not in STATES[results.get(name)]
        ]
        return faults

    def _calls_disagree(self) -> list[str]:
        asked = [
            row.text
            for row in self.journal
            if row.kind == journal.SUBSCRIPTION and "nothing was asked" not in row.text
        ]
        made = [call for call in self.calls if keys.is_ours(call.key)]
        if len(asked) == len(made):
            return []
        return [
            f"the processor was asked {len(made)} times to change a subscription, our journal says {asked}"
        ]


async def read_books(world: World) -> Books:
    """Read everything after a timeline was played; the invoice must have exactly one case."""
    async with world.tools.database.read() as session:
        case = await cases.latest(session, PROCESSOR, ACCOUNT, world.invoice)
        assert case is not None, "the invoice has no case"
        return Books(
            failed_at=world.failed_at,
            pace=world.pace,
            charges=await world.sandbox.charges(),
            calls=await world.sandbox.subscription_calls(),
            handed=tuple(world.sender.book),
            case=case,
            attempts=await attempts.all_of(session, case.id),
            messages=await messages.all_of(session, case.id),
            journal=await journal.entries(session, case.id),
            alerts=await journal.alerts(session),
            paid=await world.sandbox.paid_total(world.invoice),
            requests=await world.sandbox.requests(),
        )
