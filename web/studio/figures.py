"""What has come of a campaign so far, in figures that do not claim more than they can."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.money import spell_money

if TYPE_CHECKING:
    from store.reports import Recovery

# With fewer closed cases the share says more about chance than about the campaign.
FEW = 30
# Of all such ranges, 95 in a hundred hold the true share.
SCORE = 1.96


@dataclass(frozen=True)
class Figures:
    """One row of figures; ``share`` and ``likely`` are empty where there are too few cases to judge."""

    name: str
    running: int
    closed: int
    recovered: int
    elsewhere: int
    share: str
    likely: str
    money: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Say what the share is worth."""
        if not self.closed:
            return "no case has closed yet"
        if not self.share:
            return f"too few to judge: {FEW} closed cases or more are needed"
        return f"likely between {self.likely}"


def figures_of(name: str, part: Recovery) -> Figures:
    """Put figures into words."""
    enough = part.closed >= FEW
    low, high = likely_share(part.recovered, part.closed) if enough else (0.0, 0.0)
    return Figures(
        name=name,
        running=part.running,
        closed=part.closed,
        recovered=part.recovered,
        elsewhere=part.elsewhere,
        share=f"{part.recovered / part.closed:.0%}" if enough else "",
        likely=f"{low:.0%} and {high:.0%}" if enough else "",
        money=tuple(
            f"{spell_money(money.recovered, currency)} of {spell_money(money.closed, currency)}"
            for currency, money in sorted(part.money.items())
        ),
    )


def likely_share(part: int, whole: int) -> tuple[float, float]:
    """Give the range in which the true share is likely to lie (Wilson's score interval)."""
    share, squared = part / whole, SCORE**2
    middle = share + squared / (2 * whole)
    reach = SCORE * math.sqrt(share * (1 - share) / whole + squared / (4 * whole**2))
    low, high = ((middle + side * reach) / (1 + squared / whole) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)
