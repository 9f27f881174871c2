"""A payment that comes after the end, while the processor is in trouble: asked again, done once, or told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import contract
from activities.late import LateActivities
from activities.tools import STOPPED_HOLD
from campaigns.document import FinalAction
from campaigns.story import Action, Ending, Outcome, Plan, Story
from errors import AnswerLost, ProcessorKeyRejected, ProcessorRefused, ProcessorUnavailable
from processors.protocol import ReinstateResult, SubscriptionChange
from processors.sandbox import SandboxProcessor
from settings import load_settings
from store import campaigns, cases, journal, switches
from wiring import open_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from activities.tools import Tools
    from processors.protocol import Invoice
    from store.tables import AlertRow, EntryRow

ENDED = datetime(2026, 3, 16, 9, tzinfo=UTC)
CAMPAIGN = """
name: kind
steps: [{id: day-1, after: 1 day, retry: true}]
end: {after: 14 days, action: pause, late_payment: {within: 30 days, then: reinstate}}
"""
DONE = [(SubscriptionChange.PAUSE, ReinstateResult.DONE)]


class TroubledSandbox(SandboxProcessor):
    """A sandbox that fails as told: before it is read, before it reinstates, or after it has."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, "whsec_sandbox")
        self.before_reading: Exception | None = None
        self.before_reinstating: Exception | None = None
        self.after_reinstating: Exception | None = None

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        if self.before_reading:
            raise self.before_reading
        return await super().read_invoice(account, invoice)

    async def reinstate(
        self, account: str, subscription: str, invoice: str, final_action: SubscriptionChange, key: str
    ) -> ReinstateResult:
        if self.before_reinstating:
            raise self.before_reinstating
        result = await super().reinstate(account, subscription, invoice, final_action, key)
        if self.after_reinstating:
            raise self.after_reinstating
        return result


@dataclass
class Afterwards:
    """The time after a case in which nothing worked: Ada's subscription is paused, and then she pays."""

    tools: Tools
    sandbox: TroubledSandbox
    story: Story
    tries: dict[str, int] = field(default_factory=dict)

    async def paid(
        self, event: str = "evt_1", *, days: float = 6, last: bool = False, body: str = "{}"
    ) -> str:
        """Settle the news of the payment; told again, it is the next try of the activity."""
        self.tries[event] = contract.TECHNICAL_TRIES if last else self.tries.get(event, 0) + 1
        came = ENDED + timedelta(days=days)
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info,
            attempt=self.tries[event],
            scheduled_time=came,
            current_attempt_scheduled_time=came + timedelta(seconds=self.tries[event]),
        )
        late = contract.LateFact(case_id=self.story.case_id, name="payment_succeeded", body=body, event=event)
        answer: str = await environment.run(LateActivities(self.tools).settle_late_fact, late)
        return answer

    async def undone(self) -> list[tuple[SubscriptionChange, object]]:
        calls = await self.sandbox.subscription_calls()
        return [(call.change, call.result) for call in calls if call.undone]

    async def entries(self, kind: str) -> list[EntryRow]:
        async with self.tools.database.read() as session:
            return list(await journal.entries(session, self.story.case_id, kind))

    async def alerts(self) -> list[AlertRow]:
        async with self.tools.database.read() as session:
            return list(await journal.alerts(session))

    async def flags(self) -> set[str]:
        async with self.tools.database.read() as session:
            row = await cases.get(session, self.story.case_id)
        assert row is not None
        return set(Story.model_validate(row.story).flags)


@pytest.fixture
async def afterwards(database_url: str, tmp_path: Path) -> AsyncIterator[Afterwards]:
    settings = load_settings(
        database_url=database_url,
        sandbox_file=tmp_path / "sandbox.db",
        secret_key="a key for links that only tests sign",
    )
    sandbox = TroubledSandbox(tmp_path / "sandbox.db")
    async with open_tools(settings, ENDED) as wired:
        tools = dataclasses.replace(wired, processors={"sandbox": sandbox})
        await sandbox.add_customer("cus_1", "ada@example.com", "Ada")
        await sandbox.add_invoice("in_1", "cus_1", 4900)
        await sandbox.change_subscription("main", "sub_in_1", "in_1", SubscriptionChange.PAUSE, "dunwell/end")
        await sandbox.pay_elsewhere("in_1", ENDED + timedelta(days=6))
        yield Afterwards(tools, sandbox, await _closed(tools))
        await sandbox.close()


async def _closed(tools: Tools, **changes: object) -> Story:
    """Store a case that was exhausted, its subscription paused."""
    async with tools.database.begin() as session:
        await campaigns.publish(session, CAMPAIGN, file="kind", author="tests", note="", now=ENDED)
        case = (await cases.reserve(session, "sandbox", "main", "in_1", ENDED)).case
        ending = Ending(outcome=Outcome.EXHAUSTED, final_action=FinalAction.PAUSE, at=ENDED)
        story = Story(
            case_id=case.id,
            workflow_id=case.workflow_id,
            processor="sandbox",
            account="main",
            invoice="in_1",
            subscription="sub_in_1",
            failed_at=ENDED - timedelta(days=14),
            campaign="kind",
            version=1,
            ending=ending,
            closed=True,
        ).model_copy(update=changes)
        plan = Plan(action=Action.CLOSE, id="close", at=ENDED, why="nothing worked")
        await cases.save(session, story, plan, "exhausted; final action: pause", ENDED)
    return story


async def test_a_processor_that_is_away_is_asked_again_until_it_answers(afterwards: Afterwards) -> None:
    away = ProcessorUnavailable("too much to do", retry_after=timedelta(minutes=2))
    afterwards.sandbox.before_reading = away
    with pytest.raises(ApplicationError, match="too much to do") as raised:
        await afterwards.paid()
    assert (raised.value.next_retry_delay, raised.value.non_retryable) == (timedelta(minutes=2), False)
    assert (await afterwards.alerts(), await afterwards.entries(journal.FACT)) == ([], [])

    afterwards.sandbox.before_reading = None
    assert "gave the subscription back" in await afterwards.paid()
    assert await afterwards.undone() == DONE
    assert [alert.kind for alert in await afterwards.alerts()] == ["reinstated after a late payment"]
    assert await afterwards.flags() == {"reinstated after a late payment"}


@pytest.mark.parametrize(
    "trouble", [ProcessorUnavailable("nobody there"), AnswerLost("it broke off"), RuntimeError("a bug")]
)
async def test_trouble_that_does_not_pass_is_told_to_a_person(
    afterwards: Afterwards, trouble: Exception
) -> None:
    afterwards.sandbox.before_reinstating = trouble
    with pytest.raises((ApplicationError, RuntimeError), match=str(trouble)):
        await afterwards.paid()
    assert await afterwards.alerts() == []

    answer = await afterwards.paid(last=True)

    assert str(trouble) in answer
    [alert] = await afterwards.alerts()
    assert (alert.kind, alert.case_id) == ("paid after the end", afterwards.story.case_id)
    assert str(trouble) in alert.text
    assert await afterwards.flags() == {"paid after the end"}
    assert await afterwards.undone() == []


async def test_a_lost_answer_undoes_nothing_twice(afterwards: Afterwards) -> None:
    afterwards.sandbox.after_reinstating = AnswerLost("it broke off")
    with pytest.raises(ApplicationError, match="it broke off"):
        await afterwards.paid()

    afterwards.sandbox.after_reinstating = None
    await afterwards.paid()

    assert await afterwards.undone() == DONE
    [line] = await afterwards.entries(journal.SUBSCRIPTION)
    assert line.text == "the final action pause was undone, and the subscription goes on"


async def test_whatever_is_repeated_is_done_and_told_once(afterwards: Afterwards) -> None:
    for event in ("evt_1", "evt_1", "evt_2", "evt_1", "evt_2"):
        await afterwards.paid(event)
    # A person has stopped it again: a later word of the same payment must not undo that.
    pause = SubscriptionChange.PAUSE
    await afterwards.sandbox.change_subscription("main", "sub_in_1", "in_1", pause, "theirs")
    assert "settled before" in await afterwards.paid("evt_3", days=8)

    assert await afterwards.undone() == DONE
    assert len(await afterwards.entries(journal.SUBSCRIPTION)) == 1
    assert [entry.key for entry in await afterwards.entries(journal.FACT)] == [
        "late.evt_1",
        "late.evt_2",
        "late.evt_3",
    ]
    assert len(await afterwards.alerts()) == 1
    assert await afterwards.flags() == {"reinstated after a late payment"}


async def test_a_refusal_is_told_with_its_reason(afterwards: Afterwards) -> None:
    afterwards.sandbox.before_reinstating = ProcessorRefused("the account has taken its leave")

    answer = await afterwards.paid()

    assert "changed nothing" in answer
    [alert] = await afterwards.alerts()
    assert alert.kind == "paid after the end"
    assert "the account has taken its leave" in alert.text
    [line] = await afterwards.entries(journal.SUBSCRIPTION)
    assert "the account has taken its leave" in line.text


async def test_a_rejected_key_holds_everybody_and_is_tried_out_again(afterwards: Afterwards) -> None:
    afterwards.sandbox.before_reading = ProcessorKeyRejected("the key is no key")
    with pytest.raises(ApplicationError, match="the key is no key"):
        await afterwards.paid()
    assert [alert.kind for alert in await afterwards.alerts()] == ["key rejected"]

    # As every other case: not before it is time to try the key out.
    afterwards.sandbox.before_reading = None
    with pytest.raises(ApplicationError, match="the key is no key") as raised:
        await afterwards.paid()
    assert raised.value.next_retry_delay == STOPPED_HOLD
    assert await afterwards.undone() == []

    await afterwards.paid("evt_2", days=6.1)
    assert await afterwards.undone() == DONE
    async with afterwards.tools.database.read() as session:
        assert await switches.stopped(session, switches.reading("sandbox", "main")) == []


async def test_where_acting_is_stopped_nothing_is_undone(afterwards: Afterwards) -> None:
    async with afterwards.tools.database.begin() as session:
        name = switches.acting("sandbox", "main")
        await switches.turn(session, name, stop=True, by="ops", why="an audit", now=ENDED)
    with pytest.raises(ApplicationError, match="stopped by ops: an audit"):
        await afterwards.paid()
    assert await afterwards.undone() == []


async def test_a_live_case_in_an_installation_that_is_not_live_asks_nothing(afterwards: Afterwards) -> None:
    await _closed(afterwards.tools, livemode=True)
    afterwards.sandbox.before_reading = AssertionError("it was read")

    assert "the processor was not asked" in await afterwards.paid()

    assert [alert.kind for alert in await afterwards.alerts()] == ["paid after the end"]
    assert await afterwards.undone() == []


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.RECOVERED, []),
        (Outcome.RECOVERED_ELSEWHERE, []),
        (Outcome.EXCLUDED, []),
        (Outcome.BELOW_MINIMUM, []),
        (Outcome.CANCELLED, ["paid after the end"]),
        (Outcome.DISPUTED, ["paid after the end"]),
    ],
)
async def test_where_nothing_was_undone_by_us_only_a_person_can_know_what_to_do(
    afterwards: Afterwards, outcome: Outcome, told: list[str]
) -> None:
    await _closed(afterwards.tools, ending=Ending(outcome=outcome, at=ENDED))

    assert "changed nothing" in await afterwards.paid()

    assert [alert.kind for alert in await afterwards.alerts()] == told
    assert await afterwards.undone() == []


async def test_the_event_s_own_time_counts_and_not_when_it_was_heard(afterwards: Afterwards) -> None:
    on_time = (ENDED + timedelta(days=30)).isoformat()
    too_late = (ENDED + timedelta(days=30, minutes=1)).isoformat()

    answer = await afterwards.paid("evt_1", body=f'{{"at": "{too_late}"}}')
    assert "it came 30 days 1 minute after the end, and a payment is recognised for 30 days" in answer
    assert (await afterwards.alerts(), await afterwards.undone()) == ([], [])

    assert "gave the subscription back" in await afterwards.paid(
        "evt_2", days=40, body=f'{{"at": "{on_time}"}}'
    )
    assert await afterwards.undone() == DONE


async def test_a_disputed_payment_gives_nothing_back(afterwards: Afterwards) -> None:
    await afterwards.sandbox.dispute("in_1", ENDED + timedelta(days=7))

    assert "the payment is disputed" in await afterwards.paid(days=8)

    assert [alert.kind for alert in await afterwards.alerts()] == ["paid after the end"]
    assert await afterwards.undone() == []


async def test_a_case_that_is_not_known_has_nothing_to_settle(afterwards: Afterwards) -> None:
    afterwards.story = afterwards.story.model_copy(update={"case_id": "case_of_nobody"})
    assert await afterwards.paid() == "payment_succeeded came for case_of_nobody, which is not known"
    assert await afterwards.alerts() == []
