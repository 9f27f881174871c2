"""Two cases on one card at the limit of its network: one charge is left, and one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios.several import several

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.testing import WorkflowEnvironment

    from tests.conftest import Databases

# Visa allows 20 and one is left unused; each failure counts as one, and so a single one is left.
TRIED = 16


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_one_of_two_is_charged_and_the_other_s_mails_go_on(
    skipping: WorkflowEnvironment, databases: Databases, tmp_path: Path, kind: str
) -> None:
    more = {"tried": TRIED, "invoice": {"amount": 4900, "currency": "EUR"}}
    async with several(skipping, databases.fresh(kind), tmp_path, **more) as story:
        sandbox = story.world.sandbox
        await sandbox.add_customer("cus_2", "grace@example.com", "Grace Hopper")
        await sandbox.add_card("cus_2", "card_9", "insufficient_funds", fingerprint="fp_card_1")
        await story.fail("ada")
        await story.fail("grace", customer="cus_2")
        await story.reach("+1d1m", "+1d5m", "+3d30m", "+4d")
        [charge] = await story.charges()
        charged = charge.split()[1]
        other = {"ada": "grace", "grace": "ada"}[charged]
        assert charge == f"+1d {charged} insufficient_funds"
        assert sorted(await story.mails()) == sorted(
            f"{when} {name} {action}"
            for name in ("ada", "grace")
            for when, action in [("+1d", "day-1.message"), ("+3d", "day-3.message")]
        )
        refused = await story.refusals(other)
        assert refused[0].startswith("Visa allows 20 attempts on one card")
        assert "19 used, margin 1" in refused[0]
        assert await story.outcomes() == {"ada": None, "grace": None}
