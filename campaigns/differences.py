"""What changed from one version of a campaign to another, in words, and line by line in its text.

Steps are matched by their ids and arms by their names. Every field of the language has its words here;
an order that means nothing (of plans in a list, of arms) is no difference.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from campaigns.conditions import Conditions
from campaigns.document import ACCESS, ALERT, CHARGE, MESSAGE, NO_TIME
from campaigns.durations import spell_duration
from campaigns.grammar import AmountRange, CountRange, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.document import Approval, Arm, Campaign, End, Messages, Step

Words = Mapping[str, tuple[str, Callable[[Any], str]]]


class Change(StrEnum):
    """What became of something."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Difference:
    """One thing that is another in the new version; ``part`` is empty for the campaign as a whole."""

    part: str
    text: str
    change: Change = Change.CHANGED

    def __str__(self) -> str:
        """Render as ``step day-3: moved from 3 days to 4 days after the failure``."""
        return f"{self.part}: {self.text}" if self.part else self.text


@dataclass(frozen=True)
class Line:
    """One line of two texts side by side; ``old`` and ``new`` are its numbers, None where it is not.

    A line without either stands for lines that are alike and left out.
    """

    old: int | None
    new: int | None
    text: str

    @property
    def mark(self) -> str:
        """Give the sign of the usual notation: ``+``, ``-``, or a blank."""
        if self.old is None and self.new is None:
            return "…"
        return "+" if self.old is None else "-" if self.new is None else " "


def differences(old: Campaign, new: Campaign) -> list[Difference]:
    """List everything that changed, in the order of the document: the whole, arms, steps, end, mails."""
    return [
        *_fields("", old, new, WHOLE),
        *_fields("segment", old.takes, new.takes, TAKES),
        *_calendar(old, new),
        *_optional("promise to pay", "customers may choose a day", old.promise, new.promise, PROMISE),
        *_arms(old, new),
        *_steps("", old.steps, new.steps),
        *_end("", old.end, new.end),
        *_messages("", old.messages, new.messages),
    ]


def line_diff(old: str, new: str, context: int | None = 3) -> list[Line]:
    """Compare two texts line by line; ``context`` is how many alike lines are kept around each change.

    None keeps all of them.
    """
    before, after = old.splitlines(), new.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if context is None:
        return list(_lines(matcher.get_opcodes(), before, after))
    found: list[Line] = []
    for group in matcher.get_grouped_opcodes(context):
        if found or group[0][1] or group[0][3]:
            found.append(Line(None, None, ""))
        found += _lines(group, before, after)
    return found


def _lines(
    codes: Sequence[tuple[str, int, int, int, int]], before: Sequence[str], after: Sequence[str]
) -> Iterator[Line]:
    for tag, start, end, new_start, new_end in codes:
        if tag == "equal":
            for shift in range(end - start):
                yield Line(start + shift + 1, new_start + shift + 1, before[start + shift])
            continue
        for number in range(start, end):
            yield Line(number + 1, None, before[number])
        for number in range(new_start, new_end):
            yield Line(None, number + 1, after[number])


# --- words for values ------------------------------------------------------------------------------


def spell(value: Any) -> str:
    """Write a value as a person would say it; what is left out is ``none``."""
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return spell_duration(value)
    if isinstance(value, StrEnum):
        return str(value).replace("_", " ")
    if isinstance(value, tuple):
        return ", ".join(spell(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{name} {spell(item)}" for name, item in sorted(value.items()))
    if isinstance(value, AmountRange):
        return _spell_range(value.at_least, value.below)
    if isinstance(value, CountRange):
        least, most = value.at_least, value.at_most
        return f"{least} or more" if most is None else f"{least} to {most}" if least else f"{most} or fewer"
    return str(value)


def _spell_range(at_least: str | None, below: str | None) -> str:
    parts = [f"from {at_least}" if at_least else "", f"below {below}" if below else ""]
    return " ".join(part for part in parts if part)


def _quoted(value: Any) -> str:
    return f"“{value}”" if value else "none"


def _any(value: Any) -> str:
    return spell(value) if value else "any"


def _either(value: Any) -> str:
    return "either way" if value is None else spell(value)


WHOLE: Words = {
    "name": ("name", spell),
    "title": ("title", _quoted),
    "description": ("description", _quoted),
    "mode": ("mode", spell),
    "minimum": ("smallest amount that is worked", spell),
    "grace": ("time in which access stays full", spell),
    "retries": ("most scheduled charges in one case", spell),
    "backup_card": ("another stored card after a hard decline", spell),
    "extra_charges": ("charges besides the steps", spell),
    "spacing": ("least time between two mails", spell),
    "mails_a_week": ("most mails to a customer in a week", _any),
    "on_new_card": ("charged at once with a new card", spell),
}
TAKES: Words = {
    "priority": ("priority", spell),
    "plan": ("plan", _any),
    "interval": ("billed every", _any),
    "currency": ("currency", _any),
    "amount": ("amount", _any),
    "country": ("country", _any),
    "processor": ("processor", _any),
    "decline_class": ("class of decline", _any),
    "decline": ("decline", _any),
    "attributes": ("customer's attributes", _any),
    "tags": ("tags", _any),
    "failure": ("the customer's failure", _any),
    "first_payments": ("payments that fail at sign-up", spell),
    "sent_invoices": ("invoices that are sent for payment", spell),
}
STEP: Words = {"channel": ("the message goes by", spell)}
CONDITIONS: Words = {
    "decline_class": ("only for the class of decline", _any),
    "decline": ("only for the decline", _any),
    "currency": ("only for the currency", _any),
    "amount": ("only for the amount", _any),
    "plan": ("only for the plan", _any),
    "attributes": ("only for customers with", _any),
    "attempts": ("only after so many charges", _any),
    "mail_opened": ("only if a mail was opened", _either),
    "link_clicked": ("only if a link was used", _either),
}
PAYDAYS: Words = {
    "days": ("on the days of the month", spell),
    "after": ("after the decline", spell),
    "within": ("if within", spell),
}
PROMISE: Words = {"within": ("how far ahead", spell), "times": ("how often in one case", spell)}
END: Words = {
    "after": ("time after the failure", spell),
    "action": ("final action", spell),
    "message": ("last message", spell),
    "late_grace": ("time between a late last notice and the final action", spell),
}
LATE_PAYMENT: Words = {
    "within": ("a late payment is recognised for", spell),
    "then": ("what a late payment does", spell),
}
MESSAGES: Words = {
    "failed": ("after a failed charge", spell),
    "new_card": ("where a new card is needed", spell),
    "confirm": ("where the bank asks for a confirmation", spell),
    "revoked": ("where the customer told the bank to stop the payments", spell),
    "card_declined": ("after a new card was declined", spell),
    "last_notice": ("a late last notice", spell),
    "receipt": ("when the payment has come", spell),
}


# --- parts -----------------------------------------------------------------------------------------


def _fields(part: str, old: Part, new: Part, words: Words) -> Iterator[Difference]:
    """Say of each field that changed what it was and what it is."""
    for name, (label, spelled) in words.items():
        before, after = getattr(old, name), getattr(new, name)
        if not _alike(before, after):
            yield Difference(part, f"{label}: {spelled(before)} → {spelled(after)}")


def _alike(before: Any, after: Any) -> bool:
    """Whether two values mean the same: a list is one of its entries, in whatever order."""
    if isinstance(before, tuple) and isinstance(after, tuple):
        return set(before) == set(after)
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_alike(before[key], after[key]) for key in before)
    return bool(before == after)


def _calendar(old: Campaign, new: Campaign) -> Iterator[Difference]:
    before, after = old.calendar, new.calendar
    if before.timezone != after.timezone:
        yield Difference(
            "calendar", f"zone of customers whose own is not known: {before.timezone} → {after.timezone}"
        )
    for name, label in (("messages", "mails are sent"), ("charges", "cards are charged on schedule")):
        first, second = getattr(before, name), getattr(after, name)
        if first.spelled() != second.spelled():
            yield Difference("calendar", f"{label}: {first.spelled()} → {second.spelled()}")
    yield from _optional("paydays", "charges wait for them", before.paydays, after.paydays, PAYDAYS)


def _optional(part: str, does: str, old: Part | None, new: Part | None, words: Words) -> Iterator[Difference]:
    """Say of a part that may be left out what it does now, or does no longer."""
    if old and new:
        yield from _fields(part, old, new, words)
    elif new:
        said = "; ".join(f"{label} {spelled(getattr(new, name))}" for name, (label, spelled) in words.items())
        yield Difference(part, f"{does} now: {said}", Change.ADDED)
    elif old:
        yield Difference(part, f"{does} no longer", Change.REMOVED)


def _arms(old: Campaign, new: Campaign) -> Iterator[Difference]:
    before, after = ({arm.name: arm for arm in one.arms} for one in (old, new))
    for name, arm in after.items():
        if name not in before:
            yield Difference(f"arm {name}", f"new, {_spell_arm(arm)}", Change.ADDED)
            yield from _own_parts(f"arm {name}", None, arm, old, new)
            continue
        was, part = before[name], f"arm {name}"
        if was.weight != arm.weight:
            yield Difference(part, f"weight: {was.weight} → {arm.weight}")
        if was.holdout != arm.holdout:
            yield Difference(
                part, f"holdout, which gets nothing: {spell(was.holdout)} → {spell(arm.holdout)}"
            )
        yield from _own_parts(part, was, arm, old, new)
    for name, arm in before.items():
        if name not in after:
            yield Difference(f"arm {name}", f"removed; it was {_spell_arm(arm)}", Change.REMOVED)


def _spell_arm(arm: Arm) -> str:
    return f"a holdout of weight {arm.weight}" if arm.holdout else f"of weight {arm.weight}"


def _own_parts(part: str, was: Arm | None, arm: Arm, old: Campaign, new: Campaign) -> Iterator[Difference]:
    """Say what changed in what an arm has in place of the campaign's own."""
    words = {"steps": "steps", "end": "an end", "messages": "mails"}
    for name, word in words.items():
        had, has = getattr(was, name, None), getattr(arm, name)
        if had is None and has is None:
            continue
        if (had is None) is not (has is None):
            now = f"has {word} of its own now" if has is not None else f"has the campaign's own {word} again"
            yield Difference(part, now.replace("own an end", "own end"))
        before, after = (
            had if had is not None else getattr(old, name),
            has if has is not None else getattr(new, name),
        )
        compare: Any = {"steps": _steps, "end": _end, "messages": _messages}[name]
        yield from compare(f"{part}, ", before, after)


def _steps(where: str, old: tuple[Step, ...], new: tuple[Step, ...]) -> Iterator[Difference]:
    before = {step.id: step for step in old}
    for step in new:
        part = f"{where}step {step.id}"
        if step.id in before:
            yield from _step(part, before[step.id], step)
        else:
            yield Difference(part, f"new, {_spell_step(step)}", Change.ADDED)
            yield from _fields(part, Conditions(), step.only_if, CONDITIONS)
    kept = {step.id for step in new}
    for step in old:
        if step.id not in kept:
            yield Difference(f"{where}step {step.id}", f"removed; it was {_spell_step(step)}", Change.REMOVED)


def _step(part: str, old: Step, new: Step) -> Iterator[Difference]:
    if (old.after, old.before_end) != (new.after, new.before_end):
        yield Difference(part, _spell_move(old, new))
    if old.jitter != new.jitter:
        yield Difference(part, f"cases are spread over: {_spread(old.jitter)} → {_spread(new.jitter)}")
    if old.retry != new.retry:
        change = Change.ADDED if new.retry else Change.REMOVED
        yield Difference(part, "charges the card now" if new.retry else "charges the card no longer", change)
    for kind, before, after, does in (
        (ACCESS, old.access, new.access, "access"),
        (MESSAGE, old.message, new.message, "mail"),
        (ALERT, old.alert, new.alert, "alert to the team"),
    ):
        if before == after:
            continue
        spelled = _quoted if kind == ALERT else spell
        change = Change.ADDED if before is None else Change.REMOVED if after is None else Change.CHANGED
        text = {
            Change.ADDED: f"new {does}: {spelled(after)}",
            Change.REMOVED: f"{does} removed: it was {spelled(before)}",
            Change.CHANGED: f"{does}: {spelled(before)} → {spelled(after)}",
        }[change]
        yield Difference(part, text, change)
    yield from _fields(part, old, new, STEP)
    if old.approval != new.approval:
        yield Difference(
            part, f"waits for an approval: {_spell_approval(old.approval)} → {_spell_approval(new.approval)}"
        )
    yield from _fields(part, old.only_if, new.only_if, CONDITIONS)


def _spell_move(old: Step, new: Step) -> str:
    if old.after is not None and new.after is not None:
        return f"moved from {spell(old.after)} to {spell(new.after)} after the failure"
    if old.before_end is not None and new.before_end is not None:
        return f"moved from {spell(old.before_end)} to {spell(new.before_end)} before the end"
    return f"moved from {_spell_time(old)} to {_spell_time(new)}"


def _spell_time(step: Step) -> str:
    if step.after is not None:
        return f"{spell_duration(step.after)} after the failure"
    return f"{spell_duration(step.before_end or NO_TIME)} before the end"


def _spread(jitter: timedelta) -> str:
    return spell_duration(jitter) if jitter else "no time"


def _spell_approval(approval: Approval | None) -> str:
    if approval is None:
        return "no"
    silence = "it goes on" if approval.otherwise == "go on" else "it is skipped"
    return f"within {spell_duration(approval.within)}, without an answer {silence}"


def _spell_step(step: Step) -> str:
    does = {
        CHARGE: "charges the card",
        ACCESS: f"sets access to {step.access}",
        MESSAGE: f"sends {step.message}",
        ALERT: f"tells the team {_quoted(step.alert)}",
    }
    said = ", ".join(does[kind] for kind in step.kinds)
    jitter = f", spread over {spell_duration(step.jitter)}" if step.jitter else ""
    approval = f", after an approval {_spell_approval(step.approval)}" if step.approval else ""
    return f"{_spell_time(step)}{jitter}: {said}{approval}"


def _end(where: str, old: End, new: End) -> Iterator[Difference]:
    yield from _fields(f"{where}end", old, new, END)
    yield from _fields(f"{where}end", old.late_payment, new.late_payment, LATE_PAYMENT)


def _messages(where: str, old: Messages, new: Messages) -> Iterator[Difference]:
    yield from _fields(f"{where}mails", old, new, MESSAGES)
