"""The facts that Dunwell goes by, as CSV: those that ship with it, and what an owner lays over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from campaigns.declines import DeclineTable
from campaigns.network_fees import NetworkFees
from campaigns.networks import NetworkLimits
from errors import BadSettings
from store.campaigns import DATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Table = TypeVar("Table")

DECLINES, LIMITS, FEES = "decline_codes.csv", "network_retry_limits.csv", "network_fees.csv"
SETTING = "DUNWELL_FACTS_FOLDER"


@dataclass(frozen=True)
class Facts:
    """What declines mean, how often networks let a card be tried, and what they bill for more."""

    declines: DeclineTable
    limits: NetworkLimits
    fees: NetworkFees


def read_facts(folder: Path | None = None) -> Facts:
    """Read what ships, with the owner's own rows from the files of the same names in a folder of theirs.

    Raises BadSettings naming the owner's file and line; and for a folder that is not there, or has a CSV
    file in it that nothing would be read from.
    """
    if folder is not None:
        _refuse_strangers(folder)
    return Facts(
        _read(DeclineTable, folder, DECLINES),
        _read(NetworkLimits, folder, LIMITS),
        _read(NetworkFees, folder, FEES),
    )


def _read(table: Callable[[str, str], Table], folder: Path | None, name: str) -> Table:
    shipped, own = (DATA / name).read_text(encoding="utf-8"), ""
    if folder is None or not (folder / name).exists():
        return table(shipped, own)
    try:
        # Spreadsheets begin a CSV file with a mark that is no part of the first column's name.
        own = (folder / name).read_text(encoding="utf-8-sig")
        return table(shipped, own)
    except (ValueError, OSError) as error:
        raise BadSettings(f"{SETTING}: {folder / name}: {error}") from error


def _refuse_strangers(folder: Path) -> None:
    if not folder.is_dir():
        raise BadSettings(f"{SETTING}: there is no folder {folder}")
    known = (DECLINES, LIMITS, FEES)
    stranger = next((path.name for path in sorted(folder.glob("*.csv")) if path.name not in known), None)
    if stranger:
        raise BadSettings(
            f"{SETTING}: nothing is read from {folder / stranger} (expected: {', '.join(known)})"
        )
