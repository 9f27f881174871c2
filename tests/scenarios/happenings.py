"""What can happen in a timeline besides the passing of time."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

import contract
import keys
import search
from campaigns import breaker
from moves import begin_move
from processors.protocol import SubscriptionChange
from settings import load_settings
from store import breakers, campaigns, engagement, switches
from store import moves as stored_moves
from tests.scenarios.timeline import read_offset
from tests.scenarios.world import ACCOUNT, CARD, CUSTOMER, PROCESSOR
from web.desk import Desk
from wiring import make_links

if TYPE_CHECKING:
    from tests.scenarios.timeline import Happening, Move, Timeline, Told
    from tests.scenarios.world import World

Case = WorkflowHandle[Any, contract.CaseResult]
FIRST_EVENT = "evt_failed"


async def report_failure(world: World, timeline: Timeline, told: Told, at: timedelta | None = None) -> Case:
    """Tell of the failure as the web side does: start, or signal what runs already.

    ``at`` is when, for a workflow that begins later: its clock, too, is put forward.
    This is the place where a signed webhook goes over HTTP once these tests have the web side.
    """
    order = contract.OpenCase(
        processor=PROCESSOR,
        invoice=world.invoice,
        customer=CUSTOMER,
        amount=timeline.invoice.amount,
        currency=timeline.invoice.currency,
        failed_at=world.failed_at,
        decline=timeline.decline,
        event=FIRST_EVENT,
        livemode=timeline.invoice.livemode,
    )
    reuse = WorkflowIDReusePolicy.REJECT_DUPLICATE
    if told.forgotten:
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE

    async def start() -> Case:
        return await world.client.start_workflow(
            contract.RECOVER_PAYMENT,
            order,
            id=keys.workflow_id(PROCESSOR, ACCOUNT, world.invoice, order.episode),
            task_queue=world.queue,
            search_attributes=search.pairs(search.first_attributes(order)),
            start_signal=contract.FactName.PAYMENT_FAILED,
            start_signal_args=[{"event": FIRST_EVENT}],
            id_reuse_policy=reuse,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=contract.CaseResult,
            start_delay=None if at is None else world.time(at) - datetime.now(UTC),
        )

    handles = list(await asyncio.gather(*(start() for _ in range(told.together))))
    handles += [await start() for _ in range(told.times - told.together)]
    assert len({handle.result_run_id for handle in handles}) == 1, "one failure started several workflows"
    return handles[0]


async def happen(world: World, timeline: Timeline, handle: Case, happening: Happening) -> str | None:
    """Let one thing happen; gives the answer where somebody was answered."""
    now = world.time(happening.at)
    if happening.workers == "stop":
        await world.stop_workers()
    for name, how in happening.switch.items():
        await _turn(world, name, stop=how == "stop", now=now)
    await _break(world, happening, now)
    world.sender.behaviour |= happening.sender
    await _read_mails(world, handle, happening, now)
    if happening.publish:
        async with world.tools.database.begin() as session:
            document = timeline.document(happening.publish)
            await campaigns.publish(session, document, file="edited", author="tests", note="", now=now)
    for name, given in happening.processor.items():
        await _at_the_processor(world, name, given, now)
    answer = await _say(world, handle, happening)
    if happening.move:
        answer = await _move(world, handle, timeline, happening.move, now)
    if happening.temporal_ui == "cancel":
        await handle.cancel()
    elif happening.temporal_ui == "terminate":
        await handle.terminate()
    if happening.workers == "start":
        await world.start_workers()
    elif happening.workers == "start as a test installation":
        await world.start_workers(livemode=False)
    if happening.reported:
        answer = await _report_again(world, timeline, happening.reported)
    return answer


async def _break(world: World, happening: Happening, now: datetime) -> None:
    """Let other cases' charges go unanswered, and let a person hold what does not answer, or let it go on."""
    rule = world.tools.breaker
    assert rule is not None
    by, why = "ops@example.com", "held by ops@example.com"
    async with world.tools.database.begin() as session:
        for number in range(happening.unanswered):
            route = breakers.Route(PROCESSOR, ACCOUNT)
            await breakers.count(session, route, f"case_of_another_{number}", now, away=True)
        for name, how in happening.breaker.items():
            if how == "open":
                await breakers.open_one(session, name, breaker.opened(rule, now), by=by, why=why, now=now)
            else:
                row = await breakers.hold(session, name)
                assert row is not None, f"{name} is not held"
                breakers.close(session, row, by=by, why=why, now=now)


async def _read_mails(world: World, handle: Case, happening: Happening, now: datetime) -> None:
    """Let the customer open a mail or follow its link, as the mail provider's webhook tells it."""
    case = keys.case_id(handle.id)
    async with world.tools.database.begin() as session:
        if happening.opened:
            await engagement.record_opened(session, keys.message_id(case, happening.opened), now)
        if happening.clicked:
            await engagement.record_clicked(session, keys.message_id(case, happening.clicked), now)


async def _turn(world: World, name: str, *, stop: bool, now: datetime) -> None:
    async with world.tools.database.begin() as session:
        await switches.turn(
            session, name, stop=stop, by="ops@example.com", why="a stop for everybody", now=now
        )


async def _at_the_processor(world: World, name: str, given: dict[str, Any], now: datetime) -> None:
    """Call one of the sandbox's driving methods; what a timeline leaves out is the case's own."""
    method = getattr(world.sandbox, name)
    known: dict[str, Any] = {
        "at": now,
        "account": ACCOUNT,
        "customer": CUSTOMER,
        "card": CARD,
        "invoice": world.invoice,
        "subscription": f"sub_{world.invoice}",
        "key": f"shop/{name}/{now.isoformat()}",
    }
    wanted = inspect.signature(method).parameters
    values = {key: value for key, value in known.items() if key in wanted} | _with_moments(world, given)
    if "change" in values:
        values["change"] = SubscriptionChange(values["change"])
    await method(**values)


def _with_moments(world: World, given: dict[str, Any]) -> dict[str, Any]:
    return {
        key: world.time(read_offset(value)) if isinstance(value, str) and re.match(r"\+\d", value) else value
        for key, value in given.items()
    }


async def _say(world: World, handle: Case, happening: Happening) -> str | None:
    """Send what the timeline says: facts as signals, wishes as updates."""
    signals = happening.signal if isinstance(happening.signal, list) else [happening.signal]
    facts = [(name, body) for signal in signals for name, body in signal.items()]
    answers = []
    for number, (name, body) in enumerate(facts):
        event = f"evt_{name}_{happening.at}_{number}".replace(" ", "_")
        told = {"event": event, **_with_times(world, body or {})} if isinstance(body, dict | None) else body
        answers.append(await _signal(world, handle, name, told, world.time(happening.at)))
    for name, body in happening.wish.items():
        answers.append(await _ask(handle, name, _with_times(world, body)))
    told_back = [answer for answer in answers if answer]
    return told_back[-1] if told_back else None


def _with_times(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """Write the times of a message, given as offsets, as times."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in _with_moments(world, body).items()
    }


async def _signal(world: World, handle: Case, name: str, body: Any, now: datetime) -> str | None:
    """Send a signal; one for a closed case is settled by a workflow of its own, as the web side does it."""
    try:
        await handle.signal(name, body)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    else:
        return None
    return await _settle_late(world, keys.case_id(handle.id), name, body, now)


async def _settle_late(world: World, case: str, name: str, body: dict[str, Any], now: datetime) -> str:
    """Start the short workflow of a late fact; its clock, too, is put forward to when the fact came."""
    late = contract.LateFact(case_id=case, name=name, body=json.dumps(body), event=body["event"])
    delay = now - datetime.now(UTC)
    settling = await world.client.start_workflow(
        contract.SETTLE_LATE_FACT,
        late,
        id=keys.late_fact_workflow_id(case, late.event),
        task_queue=world.queue,
        start_delay=delay,
        result_type=str,
    )
    await world.environment.fast_forward(settling, delay)
    answer: str = await settling.result()
    world.histories["late"] = (await settling.fetch_history()).to_json()
    return answer


async def _ask(handle: Case, name: str, body: dict[str, Any]) -> str:
    """Ask a wish, and give the answer after ``granted:`` or ``refused:``."""
    wish = contract.WISHES[contract.WishName(name)].model_validate(body)
    try:
        answer: contract.WishAnswer = await handle.execute_update(name, wish, result_type=contract.WishAnswer)
    except WorkflowUpdateFailedError as error:
        return f"refused: {error.cause}"
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return f"refused: {error.message}"
    return f"{'granted' if answer.granted else 'refused'}: {answer.answer}"


@dataclass(kw_only=True)
class VirtualDesk(Desk):
    """A desk whose clock is the case's."""

    at: datetime

    def now(self) -> datetime:  # type: ignore[override]  # a timeline's clock is one of its own
        """Give the time of the timeline."""
        return self.at


async def _move(world: World, handle: Case, timeline: Timeline, wanted: Move, now: datetime) -> str:
    """Have running cases moved by the workflow of a move, and give what it wrote down of this one's answer."""
    settings = load_settings(secret_key="a key for links that only tests sign")
    desk = VirtualDesk(settings, world.tools, world.client, make_links(settings), world.queue, at=now)
    name = str(yaml.safe_load(timeline.document())["name"])
    said = {"by": "ada@example.com", "why": "the edited one"}
    move = await begin_move(desk, name, wanted.version, **said, past=wanted.past, spread=wanted.spread)
    moving = world.client.get_workflow_handle(keys.move_workflow_id(move.id), result_type=str)
    sentence = await moving.result()
    world.histories["move"] = (await moving.fetch_history()).to_json()
    async with world.tools.database.read() as session:
        [outcome] = await stored_moves.outcomes(session, move.id)
        ended = await stored_moves.get(session, move.id)
    assert ended.state == stored_moves.State.DONE, f"the move is {ended.state}"
    assert outcome.row.case_id == keys.case_id(handle.id)
    granted = outcome.row.state == stored_moves.Became.MOVED
    return f"{'granted' if granted else 'refused'}: {outcome.row.answer} ({sentence})"


async def _report_again(world: World, timeline: Timeline, told: Told) -> str:
    """Report the failure once more; gives the sentence of the case that was found."""
    try:
        found = await report_failure(world, timeline, told)
    except WorkflowAlreadyStartedError:
        return "refused: this failure has had its case"
    if told.forgotten:
        result = await found.result()
        return f"{result.outcome}: {result.sentence}"
    return "the case goes on"
