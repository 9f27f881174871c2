"""Three invoices of one customer: one conversation, one charge at a time, and the oldest paid first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.scenarios.several import several
from tests.scenarios.world import CUSTOMER

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.testing import WorkflowEnvironment

    from tests.conftest import Databases
    from tests.scenarios.several import Several

DECLINED = "insufficient_funds"
PAYS_ALL = "A card that you add with the button below is charged for all of them at once."
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


async def three(story: Several) -> None:
    for number, name in enumerate(["a", "b", "c"]):
        await story.fail(name, f"+{number}h")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_oldest_is_paid_and_the_rest_go_on_at_the_next_level(
    skipping: WorkflowEnvironment, databases: Databases, tmp_path: Path, kind: str
) -> None:
    async with several(skipping, databases.fresh(kind), tmp_path) as story:
        await three(story)
        await story.reach("+1d30m", "+1d1h30m", "+1d2h30m", "+3d30m", "+3d1h30m", "+3d2h30m")
        first = story.world.sender.book[0].mail.text
        await story.world.sandbox.pay_elsewhere(story.invoice("a"), story.world.time(3 * DAY + 12 * HOUR))
        await story.reach("+3d12h")
        await story.tell("a", "payment_succeeded")
        await story.reach("+5d30m", "+5d1h30m", "+5d2h30m", "+7d1h30m", "+7d2h30m", "+13d")
        assert await story.charges() == [
            f"{when} {name} {DECLINED}"
            for when, name in [
                ("+1d", "a"), ("+1d1h", "b"), ("+1d2h", "c"),
                ("+3d", "a"), ("+3d1h", "b"), ("+3d2h", "c"),
                ("+5d1h", "b"), ("+5d2h", "c"),
                ("+7d1h", "b"), ("+7d2h", "c"),
            ]
        ]  # fmt: skip
        # Each level is heard once: 1 and 2 from the oldest, 3 and 4 from the one that is the oldest then.
        assert await story.mails() == [
            "+1d a day-1.message",
            "+3d a day-3.message",
            "+5d1h b day-5.message",
            "+7d1h b day-7.message",
        ]
        assert "€147.00 is open" in first
        assert PAYS_ALL in first
        then = story.world.sender.book[2].mail
        assert "€98.00 is open" in then.text, "what is paid is named no more"
        assert then.subject.startswith("Reminder: ")
        assert await story.outcomes() == {"a": "recovered elsewhere", "b": None, "c": None}
        silent = f"said by case {story.case('a')}, which named all that is owed (level 2 of its messages)"
        assert f"mail 'payment_failed' is not sent: {silent}" in await story.lines("b")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_cases_that_are_due_at_one_moment_take_turns(
    skipping: WorkflowEnvironment, databases: Databases, tmp_path: Path, kind: str
) -> None:
    async with several(skipping, databases.fresh(kind), tmp_path) as story:
        for name in ("a", "b", "c"):
            await story.fail(name)
        await story.reach("+1d1m", "+1d5m", "+2d")
        assert story.sandbox.most == 1
        assert sorted(charge.split()[1] for charge in await story.charges()) == ["a", "b", "c"]
        oldest = min(("a", "b", "c"), key=story.case)
        assert [mail.split()[1:] for mail in await story.mails()] == [[oldest, "day-1.message"]]


@pytest.mark.parametrize(
    ("policy", "charged", "left"),
    [
        ("all", ["a", "b", "c"], {}),
        ("oldest first", ["a"], {"b": None, "c": None}),
        ("newest first", ["c"], {"a": None, "b": None}),
    ],
)
async def test_a_new_card_is_charged_by_the_policy_one_after_the_other(
    skipping: WorkflowEnvironment,
    databases: Databases,
    tmp_path: Path,
    policy: str,
    charged: list[str],
    left: dict[str, None],
) -> None:
    more = {"campaign": {"on_new_card": policy}}
    async with several(skipping, databases.fresh("sqlite"), tmp_path, **more) as story:
        await three(story)
        await story.reach("+1d12h")
        before = len(await story.charges())
        told = story.world.sender.book[0].mail.text
        assert ("€147.00 is open" in told, PAYS_ALL in told) == (True, policy == "all")
        await story.world.sandbox.add_card(CUSTOMER, "card_2", "paid")
        # The youngest hears of it first.
        for name in ("c", "b", "a"):
            await story.tell(name, "card_updated", method="card_2")
        # Whoever can act has acted before the clocks go on: a charge takes no time by them.
        await story.reach("+1d12h", "+1d12h30s", "+1d12h1m", "+1d12h2m", "+1d12h5m")
        found = (await story.charges())[before:]
        assert [charge.split()[1:] for charge in found] == [[name, "paid"] for name in charged]
        assert story.sandbox.most == 1
        assert await story.outcomes() == dict.fromkeys(("a", "b", "c"), "recovered") | left
        # The others keep their own schedule, with the new card.
        await story.reach("+3d30m", "+3d1h30m", "+3d2h30m")
        assert await story.outcomes() == dict.fromkeys(("a", "b", "c"), "recovered")


async def test_an_end_waits_for_the_last_notice_where_the_week_s_mails_are_used_up(
    skipping: WorkflowEnvironment, databases: Databases, tmp_path: Path
) -> None:
    steps = [
        {"id": f"day-{number}", "after": f"{number} days", "message": "payment_failed"} for number in (1, 3)
    ]
    end = {"after": "4 days", "action": "cancel_now"}
    more = {"campaign": {"mails_a_week": 1, "steps": steps, "end": end}}
    async with several(skipping, databases.fresh("sqlite"), tmp_path, **more) as story:
        await story.fail("a")
        await story.reach("+1d1m", "+3d1m", "+4d1m", "+8d1m", "+8d23h")
        assert await story.mails() == ["+1d a day-1.message", "+8d a end.notice"]
        assert await story.outcomes() == {"a": None}
        await story.reach("+9d2m")
        assert await story.outcomes() == {"a": "exhausted"}


async def test_a_customer_gets_no_more_mails_in_a_week_than_are_set(
    skipping: WorkflowEnvironment, databases: Databases, tmp_path: Path
) -> None:
    more = {"campaign": {"mails_a_week": 2}}
    async with several(skipping, databases.fresh("sqlite"), tmp_path, **more) as story:
        await three(story)
        await story.reach("+1d30m", "+1d2h30m", "+3d30m", "+3d2h30m", "+5d30m", "+5d2h30m", "+7d30m")
        await story.reach("+7d2h30m", "+8d30m", "+8d2h30m", "+9d")
        # The third would have been true until the day of the fourth, which waits until the first is a week old.
        assert await story.mails() == [
            "+1d a day-1.message",
            "+3d a day-3.message",
            "+8d a day-7.message",
        ]
