"""The report of a campaign in shadow, in words: for the command line and the studio alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from campaigns.declines import Said
from campaigns.durations import spell_duration
from campaigns.money import spell_money

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from campaigns.declines import DeclineTable
    from store.shadow import Shadowed

UNKNOWN = (
    "Whether a charge at another time would have been paid: nobody asked the bank.",
    "How long a case would have lasted: every imagined charge counts as declined, so that it lasts as long as it can.",
    "Whether a mail would have made a customer act: none was sent.",
    "What a network counts beside these charges: imagined ones do not count toward its limits, the processor's do.",
)


@dataclass(frozen=True)
class Row:
    """One line of the comparison: what Dunwell would have done, and what the processor did."""

    what: str
    dunwell: str
    processor: str


def rows_of(found: Shadowed, declines: DeclineTable, on: date) -> list[Row]:
    """Compare the charges, whole and by class of decline, and what each of the two would have left out."""
    imagined, made = by_class(found.imagined, declines, on), by_class(found.declined, declines, on)
    rows = [Row("charges", f"{sum(found.imagined.values()):,}", f"{found.made:,}")]
    rows += [
        Row(f"declined: {kind}", f"{imagined[kind]:,}", f"{made[kind]:,}") for kind in sorted(imagined | made)
    ]
    rows.append(Row("paid", "not known", f"{found.recovered:,}"))
    rows.append(Row("kept back by a network's limit or word", f"{found.withheld:,}", ""))
    rows.append(Row("mails", f"{sum(found.mails.values()):,}", "not known"))
    return rows


def by_class(counts: Mapping[str | None, int], declines: DeclineTable, on: date) -> Counter[str]:
    """Add up charges by the class of their decline."""
    found: Counter[str] = Counter()
    for code, count in counts.items():
        found[str(declines.judge(Said(code), on).kind) if code else "no code"] += count
    return found


def sentences(found: Shadowed) -> Iterator[str]:
    """Say what became of the cases, and what Dunwell would have spared."""
    yield f"{_cases(found.cases)}, of which {found.running:,} still run."
    yield f"{found.recovered:,} recovered by the processor's own retries{_how_long(found.recovered_after)}."
    for how, count in sorted(found.ended.items()):
        yield f"{count:,} {how}."
    if found.late:
        yield f"{found.late:,} of these paid after the end that Dunwell would have made."
    if found.spared:
        yield f"{sum(found.spared.values()):,} of the processor's charges Dunwell would not have made:"
        for why, count in sorted(found.spared.items(), key=lambda item: (-item[1], item[0])):
            yield f"{count:,}: {why}."
    if found.billed:
        fees = ", ".join(spell_money(fee, currency) for currency, fee in sorted(found.fees.items()))
        yield f"{found.billed:,} of the processor's charges are billed by their network: {fees} by our estimate."
    if found.mails:
        mails = ", ".join(f"{template} {count:,}" for template, count in sorted(found.mails.items()))
        yield f"Mails that would have gone out: {mails}."


def as_data(found: Shadowed, declines: DeclineTable, on: date) -> dict[str, Any]:
    """Give the report as a program reads it; times are in seconds, fees in minor units."""
    waits = sorted(wait.total_seconds() for wait in found.recovered_after)
    return {
        "cases": found.cases,
        "running": found.running,
        "recovered_by_processor": {"cases": found.recovered, "after_seconds": waits},
        "otherwise_ended": found.ended,
        "paid_after_the_imagined_end": found.late,
        "charges": {
            "dunwell": {
                "count": sum(found.imagined.values()),
                "by_class": dict(by_class(found.imagined, declines, on)),
                "kept_back": found.withheld,
            },
            "processor": {
                "count": found.made,
                "declined_by_class": dict(by_class(found.declined, declines, on)),
                "dunwell_would_not": found.spared,
                "billed": found.billed,
                "fees": found.fees,
            },
        },
        "mails": found.mails,
        "unknown": list(UNKNOWN),
    }


def _cases(count: int) -> str:
    return f"{count:,} case{'' if count == 1 else 's'} in shadow"


def _how_long(waits: list[timedelta]) -> str:
    if not waits:
        return ""
    if len(waits) == 1:
        return f", {_to_the_hour(waits[0])} after the failure"
    middle = _to_the_hour(timedelta(seconds=median(wait.total_seconds() for wait in waits)))
    return f", half of them within {middle} of the failure, the last after {_to_the_hour(max(waits))}"


def _to_the_hour(wait: timedelta) -> str:
    return spell_duration(timedelta(hours=max(1, round(wait / timedelta(hours=1)))))
