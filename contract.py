"""What workflows and activities, and the world and workflows, say to each other.

Wire types are additive: a new field has a default, a field is never renamed or given a new meaning,
for a case that started last month still speaks the old form. Nothing here holds a name or an address.
"""

from __future__ import annotations

import json
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from campaigns.durations import Duration, Moment
from campaigns.moving import PastRule
from campaigns.story import Outcome, Plan, Status, Story, Trigger, Value

# --- names -------------------------------------------------------------------------------------

RECOVER_PAYMENT = "RecoverPayment"
SETTLE_LATE_FACT = "SettleLateFact"
MOVE_CASES = "MoveCases"

MAIN_QUEUE = "dunwell"

OPEN_CASE = "open_case"
PLAN_NEXT_STEP = "plan_next_step"
RETRY_PAYMENT = "retry_payment"
SEND_MESSAGE = "send_message"
SET_ACCESS = "set_access"
ALERT_TEAM = "alert_team"
END_SUBSCRIPTION = "end_subscription"
CHECK_INVOICE = "check_invoice"
ASK_FOR_REVIEW = "ask_for_review"
SETTLE_FACT = "settle_late_fact"
MOVE_BATCH = "move_batch"
NOTE_MOVE = "note_move"
FINISH_MOVE = "finish_move"

STATUS = "status"
PROGRESS = "progress"
PAUSE_MOVE, RESUME_MOVE, STOP_MOVE = "pause", "resume", "stop"

# Trouble that passes by itself: the step is tried again after a while, and no person is called.
PASSING_TROUBLE = frozenset(
    {
        "ProcessorUnavailable",
        "AnswerLost",
        "ProcessorKeyRejected",
        "SenderUnavailable",
        "OperationalError",
        "InterfaceError",
        "DBAPIError",
        "TimeoutError",
        "PendingRollbackError",
    }
)
TROUBLE_HOLD = timedelta(minutes=15)

# An activity tries this often, over about a quarter of an hour, before it answers "unavailable".
TECHNICAL_TRIES = 11
FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=3)


class FactName(StrEnum):
    """Signals: what happened outside, in the words of whoever saw it."""

    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    CARD_UPDATED = "card_updated"
    CANCEL = "cancel"
    INVOICE_CHANGED = "invoice_changed"
    PROMISE_TO_PAY = "promise_to_pay"


class WishName(StrEnum):
    """Updates, each also a signal of the same effect: what a person wants done."""

    RETRY_NOW = "retry_now"
    SKIP_STEP = "skip_step"
    PAUSE = "pause"
    RESUME = "resume"
    RESCHEDULE = "reschedule"
    APPROVE = "approve"
    MOVE_TO_VERSION = "move_to_version"


def charge_queue(main: str) -> str:
    """Name the task queue of charges that goes with a main one; it has a limit of its own."""
    return f"{main}-charges"


# --- starting a case ---------------------------------------------------------------------------

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:\-]{1,128}$")]


class OpenCase(Value):
    """A failed payment to be recovered.

    Only the ids are needed: the invoice is read afresh when the case opens. ``failed_at`` is the time
    of the failed attempt at the processor, from which every step is counted; ``campaign`` overrides
    the choice of one. ``carried`` is set by the workflow itself when it continues as a new run, and
    ``waiting`` is what has arrived while the case could not be opened. ``charged_back`` opens the case of a
    payment that had been recovered and was then disputed: in which words, and nothing is charged.
    """

    processor: Identifier
    invoice: Identifier
    account: Identifier = "main"
    episode: int = Field(default=1, ge=1)
    livemode: bool = False
    customer: str = ""
    amount: int | None = Field(default=None, ge=0)
    currency: str | None = None
    failed_at: Moment | None = None
    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    method: str | None = None
    campaign: str | None = None
    event: str | None = None
    charged_back: str | None = None
    carried: Carried | None = None
    waiting: tuple[News, ...] = ()


# --- facts -------------------------------------------------------------------------------------


class Fact(Value):
    """Common to all facts: ``event`` is the id by which a repetition is known."""

    event: str = Field(min_length=1, max_length=255)
    at: Moment | None = None


class PaymentFailed(Fact):
    """Another charge of the invoice failed, made by the processor or by the customer."""

    decline: str | None = None
    advice: str | None = None
    network_code: str | None = None
    network_advice: str | None = None
    method: str | None = None
    by: Trigger = Trigger.PROCESSOR


class PaymentSucceeded(Fact):
    """The invoice is said to be paid; the processor is asked before it is believed."""


class CardUpdated(Fact):
    """The customer gave a card, or the network renewed one.

    ``method`` is the processor's id of it, None its default. ``renewed`` says that the id is the old
    one and what it stands for is new. Repetitions are known by the method, not by the event.
    """

    method: str | None = None
    renewed: str | None = None
    by: Trigger = Trigger.CARD_UPDATED


class Cancel(Fact):
    """The subscription was cancelled, by ``by``: the customer, the billing service, an operator."""

    by: str = "billing service"
    why: str = "the subscription was cancelled"


class InvoiceChanged(Fact):
    """The invoice or its subscription changed: read it again.

    ``unconfirmed``: the customer did not give the confirmation that the bank asks for, and may be asked again.
    """

    what: str = "the invoice changed"
    unconfirmed: bool = False


class PromiseToPay(Fact):
    """The customer named a day on which the card may be charged; messages rest until then."""

    on: Moment


FACTS: dict[FactName, type[Fact]] = {
    FactName.PAYMENT_FAILED: PaymentFailed,
    FactName.PAYMENT_SUCCEEDED: PaymentSucceeded,
    FactName.CARD_UPDATED: CardUpdated,
    FactName.CANCEL: Cancel,
    FactName.INVOICE_CHANGED: InvoiceChanged,
    FactName.PROMISE_TO_PAY: PromiseToPay,
}


# --- wishes ------------------------------------------------------------------------------------

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Wish(Value):
    """Common to all wishes: who asks, and why. Both are recorded, whatever becomes of the wish."""

    by: Said = Field(description="Who asks for this: a name or an address.")
    why: Said = Field(description="Why, in a few words; it is recorded with the case.")


class RetryNow(Wish):
    """Charge the card on file now; the schedule stays as it is."""


class SkipStep(Wish):
    """Leave out one step of the campaign."""

    step: str | None = Field(default=None, description="The step's id; left out, the next one.")


class PauseCase(Wish):
    """Stop everything scheduled; a payment, a cancellation and a new card still count."""

    until: Moment | None = Field(default=None, description="Left out, until somebody resumes it.")


class ResumeCase(Wish):
    """Go on after a pause."""


class Reschedule(Wish):
    """Move one step, or the end, to another time."""

    at: Moment = Field(description="When it is to happen.")
    step: str | None = Field(default=None, description="The step's id or 'end'; left out, the next one.")


class Approve(Wish):
    """Let a case go on that waits for a person, after a look at what was wrong, or approve a step."""

    step: str | None = Field(
        default=None, description="The step that asks for an approval; left out, what the case waits for."
    )


class MoveToVersion(Wish):
    """Go on with another published version of a campaign."""

    version: int = Field(ge=1, description="The version's number.")
    campaign: str | None = Field(default=None, description="Left out, the campaign of the case.")
    past: PastRule = Field(
        default=PastRule.SKIP, description="What becomes of steps that the version puts into the past."
    )
    spread: Duration = Field(
        default=timedelta(0), description="Time over which what becomes due at once is spread over the cases."
    )


WISHES: dict[WishName, type[Wish]] = {
    WishName.RETRY_NOW: RetryNow,
    WishName.SKIP_STEP: SkipStep,
    WishName.PAUSE: PauseCase,
    WishName.RESUME: ResumeCase,
    WishName.RESCHEDULE: Reschedule,
    WishName.APPROVE: Approve,
    WishName.MOVE_TO_VERSION: MoveToVersion,
}


class WishAnswer(Value):
    """What became of a wish, in a sentence."""

    granted: bool
    answer: str


# --- workflow and activities -------------------------------------------------------------------


class News(Value):
    """One signal or update as it arrived, not yet looked at: ``body`` is its JSON text."""

    id: str
    name: str
    body: str
    at: Moment


class Line(Value):
    """One line of a case's timeline, as ops read it."""

    at: Moment
    text: str


class Attributes(Value):
    """What the case can be found by in the Temporal UI; see ``search.py`` for the registered names."""

    status: Status = Status.WAITING
    customer: str = ""
    invoice: str = ""
    campaign: str = ""
    arm: str = ""
    decline: str = ""
    currency: str = ""
    plan: str = ""
    country: str = ""
    network: str = ""
    amount: int = 0
    campaign_version: int = 0
    attempts: int = 0
    failed_at: Moment | None = None
    next_step_at: Moment | None = None
    flags: tuple[str, ...] = ()


class Order(Value):
    """What the workflow hands to an activity: the case as it stands, and the plan to carry out.

    ``news`` and ``now`` are given only to ``plan_next_step``: a local activity has no clock of the
    server's.
    """

    story: Story
    plan: Plan | None = None
    news: tuple[News, ...] = ()
    now: Moment | None = None


class Report(Value):
    """What an activity answers: the case as it stands now, what comes next, and what to tell ops.

    ``sentence`` says where the case stands in one sentence; ``lines`` are new in the timeline.
    ``answers`` maps the id of a wish to what became of it.
    """

    story: Story
    plan: Plan
    attributes: Attributes
    sentence: str = ""
    lines: tuple[Line, ...] = ()
    answers: dict[str, WishAnswer] = {}


class Carried(Value):
    """What a case takes with it when its workflow continues as a new run."""

    report: Report
    timeline: tuple[Line, ...] = ()
    inbox: tuple[News, ...] = ()


class Trouble(Value):
    """A case that hit an error no rule covers, for ``ask_for_review``."""

    workflow_id: str
    where: str
    what: str
    story: Story | None = None


class LateFact(Value):
    """A fact that arrived after the end of a case."""

    case_id: str
    name: str
    body: str
    event: str


class CaseResult(Value):
    """How a case ended; the workflow's result."""

    case_id: str
    outcome: Outcome
    sentence: str


class CaseStatus(Value):
    """The answer of the ``status`` query: the whole story as data."""

    case_id: str
    workflow_id: str
    status: Status
    outcome: Outcome | None = None
    sentence: str
    next_step: Plan | None = None
    story: Story | None = None
    timeline: tuple[Line, ...] = ()


# --- moving running cases to another version ---------------------------------------------------


class MoveOrder(Value):
    """A move to carry out; what is to be moved, and where to, stands in the database under its id.

    ``batch`` cases are asked by one activity, ``at_once`` of them at a time, with a ``pause`` between
    batches. ``carried`` is set by the workflow itself when it continues as a new run.
    """

    move: str
    batch: int = Field(default=50, ge=1)
    at_once: int = Field(default=10, ge=1)
    pause: Duration = timedelta(seconds=1)
    carried: MoveStatus | None = None


class MoveRequest(Wish):
    """What a person wants of a move that goes on: to let it rest, go on, or end."""


class MoveBatch(Value):
    """The next cases to ask: those whose id comes after ``after``."""

    move: str
    after: str
    limit: int
    at_once: int


class MoveBatchReport(Value):
    """What became of a batch.

    ``after`` is where the next begins, empty where this pass is over. ``left`` is then how many cases are
    still to be asked or to answer; ``opening`` says that cases may still appear on an older version.
    ``over`` says that the move has been ended in the database.
    """

    after: str
    moved: int = 0
    refused: int = 0
    closed: int = 0
    unanswered: int = 0
    left: int = 0
    opening: bool = False
    over: bool = False


class MoveNote(Value):
    """A new state of a move, to be written down with who wanted it and why."""

    move: str
    state: str
    by: str
    why: str


class MoveStatus(Value):
    """The answer of a move's ``progress`` query, and what it takes with it into a new run.

    The counts are those of answers; a case that was asked twice because a worker died counts once.
    """

    move: str
    state: str = "running"
    after: str = ""
    moved: int = 0
    refused: int = 0
    closed: int = 0
    unanswered: int = 0
    passes: int = 0
    sentence: str = ""


OpenCase.model_rebuild()
MoveOrder.model_rebuild()


def read_news(news: News) -> Fact | Wish:
    """Turn a signal or update into the fact or wish that it claims to be.

    A fact that was sent by hand without an event's id is its own event. Raises ValueError (pydantic's
    ValidationError is one) where the name or the body is not known.
    """
    # PostgreSQL keeps no NUL in a text; one in a reason must not block everything behind it.
    body = news.body.replace("\\u0000", "").replace("\x00", "")
    if news.name in WISHES:
        return WISHES[WishName(news.name)].model_validate_json(body)
    if news.name in FACTS:
        return read_fact(FactName(news.name), body, news.id)
    message = f"no signal is called {news.name!r}"
    raise ValueError(message)


def read_fact(name: FactName, body: str, event: str) -> Fact:
    """Read a fact of a known name, ``event`` standing in where it names none; raises ValueError."""
    said = json.loads(body)
    if isinstance(said, dict):
        said.setdefault("event", event)
    return FACTS[name].model_validate(said)
