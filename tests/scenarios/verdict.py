"""Compares what a timeline expects with what came of it; one effect too many counts as one too few."""

from __future__ import annotations

from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING

from campaigns.story import Status
from tests.scenarios.timeline import Effect, spell_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.scenarios.books import Books
    from tests.scenarios.runner import Played
    from tests.scenarios.timeline import Mail, Timeline


def faults(timeline: Timeline, played: Played) -> list[str]:
    """List everything that is not as the timeline says; empty when all is."""
    return [
        *compare_effects(timeline.effects, played.books.effects(), timeline.late),
        *played.books.disagreements(timeline.ends.in_doubt),
        *_mails(timeline.mails, played.books),
        *_answers(played),
        *_end(timeline, played),
    ]


def compare_effects(expected: Sequence[Effect], found: Sequence[Effect], late: timedelta) -> list[str]:
    """Lay both lists side by side where they differ anywhere."""
    pairs = list(zip_longest(expected, found))
    if all(_same(wanted, came, late) for wanted, came in pairs):
        return []
    rows = [("", "expected", "came")]
    rows += [
        ("  " if _same(wanted, came, late) else "≠ ", str(wanted or "nothing"), str(came or "nothing"))
        for wanted, came in pairs
    ]
    width = max(len(row[1]) for row in rows)
    return [
        "the effects differ:\n"
        + "\n".join(f"  {mark:2}{left:{width}}  {right}" for mark, left, right in rows)
    ]


def _same(wanted: Effect | None, came: Effect | None, late: timedelta) -> bool:
    """Whether an effect is the one expected: never earlier than planned, and hardly later."""
    if wanted is None or came is None:
        return False
    return wanted.what == came.what and timedelta(0) <= came.at - wanted.at <= late


def _mails(expected: dict[str, Mail], books: Books) -> list[str]:
    texts = {
        row.action: f"{handed.mail.subject}\n{handed.mail.text}\n{handed.mail.html}"
        for row in books.messages
        for handed in books.handed
        if handed.mail.id == row.id
    }
    found = []
    for action, mail in expected.items():
        text = texts.get(action)
        if text is None:
            found.append(f"no mail {action} was handed over; there were {', '.join(texts) or 'none'}")
            continue
        found += [
            f"mail {action} does not say {words!r}:\n{text[:1500]}"
            for words in mail.says
            if words not in text
        ]
        found += [
            f"mail {action} says {words!r}" for words in mail.never_says if words.lower() in text.lower()
        ]
    return found


def _answers(played: Played) -> list[str]:
    found = []
    answers = {id(happening): answer for happening, answer in played.answers}
    for happening in played.happened:
        answer = answers.get(id(happening), "no answer")
        if happening.answer is not None and happening.answer not in answer:
            found.append(
                f"at {spell_offset(happening.at)} the answer was {answer!r}, not {happening.answer!r}"
            )
        if happening.granted is not None and answer.startswith("granted") is not happening.granted:
            found.append(f"at {spell_offset(happening.at)} the wish was answered {answer!r}")
    return found


def _end(timeline: Timeline, played: Played) -> list[str]:
    case, ends, status = played.books.case, timeline.ends, played.status
    told: dict[str, tuple[object, object]] = {
        "status": (ends.status, case.status),
        "status as told by the query": (ends.status, status.status),
        "outcome": (ends.outcome, case.outcome),
        "outcome as told by the query": (ends.outcome, status.outcome),
        "lever": (ends.lever, case.lever),
        "open or closed": (ends.status is Status.CLOSED, case.closed_at is not None),
        "workflow ended": (ends.status is Status.CLOSED, bool(played.results)),
        "episodes": (ends.episodes, case.episode),
    }
    if ends.by is not None:
        told["ended by"] = (ends.by, case.ended_by)
    if ends.campaign is not None:
        told["campaign"] = (ends.campaign, case.campaign)
    if ends.version is not None:
        told["version"] = (ends.version, case.campaign_version)
    if ends.arm is not None:
        told["arm"] = (ends.arm, case.arm)
    if ends.tries is not None:
        told["charge requests"] = (ends.tries, played.books.requests)
    found = [
        f"{what}: {wanted!r} expected, {came!r} came"
        for what, (wanted, came) in told.items()
        if wanted != came
    ]
    found += [
        f"the workflow's result is {result.outcome}"
        for result in played.results
        if result.outcome != ends.outcome
    ]
    if ends.at is not None and case.closed_at is not None:
        closed = Effect(played.books.offset(case.closed_at), "closed")
        if not _same(Effect(ends.at, "closed"), closed, timeline.late):
            found.append(f"closed at {spell_offset(closed.at)}, not at {spell_offset(ends.at)}")
    if ends.why is not None and ends.why not in case.sentence:
        found.append(f"the sentence on record is {case.sentence!r}, without {ends.why!r}")
    flags = set(case.story.get("flags", ()))
    found += [
        f"the flag {flag!r} is missing among {sorted(flags)}" for flag in ends.flags if flag not in flags
    ]
    written = "\n".join(f"{row.text}: {row.why or ''}" for row in played.books.journal)
    found += [
        f"the journal does not say {words!r}:\n{written}" for words in ends.journal if words not in written
    ]
    return found
