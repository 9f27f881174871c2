"""A dozen payments fail at the sandbox processor, and a campaign of seconds recovers what can be recovered."""

from __future__ import annotations

import asyncio
import email
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from typing import TYPE_CHECKING

import httpx

from campaigns.story import Lever, Outcome
from store import attempts, cases, messages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from local import Services
    from processors.sandbox import SandboxProcessor
    from store.tables import AttemptRow, CaseRow, MessageRow

ACCOUNT = "main"
# The campaign ends after 42 seconds; what is not over by then has gone wrong.
PATIENCE_SECONDS = 70.0


@dataclass(frozen=True)
class Payment:
    """One failed payment of the demonstration: how it fails, what happens meanwhile, how it must end."""

    number: int
    name: str
    story: str
    amount: int
    currency: str
    decline: str
    answers: str
    outcome: Outcome
    lever: Lever | None = None
    charges: int = 0
    event_at: float | None = None
    event: Callable[[Stage, Payment], Awaitable[None]] | None = field(default=None, repr=False)
    locale: str = "en-US"
    card: bool = True

    @property
    def invoice(self) -> str:
        """The invoice's id."""
        return f"in_demo{self.number:02}"

    @property
    def customer(self) -> str:
        """The customer's id."""
        return f"cus_demo{self.number:02}"

    @property
    def failed_card(self) -> str:
        """The id of the card that failed."""
        return f"card_demo{self.number:02}"


@dataclass
class Stage:
    """Where the demonstration plays: the running services, an API client, and the sandbox."""

    services: Services
    sandbox: SandboxProcessor
    api: httpx.AsyncClient

    async def case(self, payment: Payment) -> CaseRow | None:
        """Find the case of a payment."""
        async with self.services.tools.database.read() as session:
            return await cases.latest(session, "sandbox", ACCOUNT, payment.invoice)


async def new_card(stage: Stage, payment: Payment) -> None:
    """The customer saves another card at the processor, which reports it."""
    await stage.sandbox.add_card(payment.customer, f"card_new{payment.number:02}", "paid", last4="4444")


async def use_the_link(stage: Stage, payment: Payment) -> None:
    """The customer opens the link of a mail and chooses a card on the page behind it."""
    case = await stage.case(payment)
    assert case is not None
    mails = sorted(stage.services.settings.mail_folder.glob(f"{case.id}.*.eml"))
    found = re.search(r"/pay/([\w.\-=\s]+?)(?:\s|$|\")", _readable(mails[0].read_bytes()))
    assert found is not None, f"no link to change the card in {mails[0]}"
    async with httpx.AsyncClient(base_url=stage.services.web_url) as customer:
        page = await customer.get(f"/pay/{found.group(1)}")
        page.raise_for_status()
        (await customer.post(f"/pay/{found.group(1)}/card", data={"card": "0"})).raise_for_status()


async def cancel(stage: Stage, payment: Payment) -> None:
    """The billing service reports that the customer cancelled."""
    case = await stage.case(payment)
    assert case is not None
    body = {"by": "customer", "why": "found something cheaper"}
    headers = {"Idempotency-Key": f"cancel-{payment.invoice}"}
    (await stage.api.post(f"/v1/cases/{case.id}/cancel", json=body, headers=headers)).raise_for_status()


async def retry_now(stage: Stage, payment: Payment) -> None:
    """An operator has the card charged now."""
    await stage.sandbox.set_script(payment.failed_card, "paid")
    case = await stage.case(payment)
    assert case is not None
    body = {"by": "ops@example.com", "why": "the customer says that the account is filled"}
    headers = {"Idempotency-Key": f"retry-{payment.invoice}"}
    (await stage.api.post(f"/v1/cases/{case.id}/retry-now", json=body, headers=headers)).raise_for_status()


async def bank_transfer(stage: Stage, payment: Payment) -> None:
    """The customer pays by other means."""
    await stage.sandbox.pay_elsewhere(payment.invoice, datetime.now(UTC))


async def confirm(stage: Stage, payment: Payment) -> None:
    """The customer confirms the payment at the bank."""
    await stage.sandbox.confirm(payment.invoice, datetime.now(UTC))


async def void(stage: Stage, payment: Payment) -> None:
    """Somebody voids the invoice at the processor."""
    await stage.sandbox.void(payment.invoice, datetime.now(UTC))


SOFT, ALWAYS = "insufficient_funds", "insufficient_funds"
RETRY, UPDATE = Lever.SCHEDULED_RETRY, Lever.CARD_UPDATE
RECOVERED = Outcome.RECOVERED
PAYMENTS = (
    Payment(1, "Ada Byron", "paid at the first retry", 4900, "USD", SOFT, "paid", RECOVERED, RETRY, 1),
    Payment(
        2,
        "Bruno Lima",
        "declined once, then paid",
        2990,
        "EUR",
        SOFT,
        f"{SOFT}, paid",
        RECOVERED,
        RETRY,
        2,
        locale="pt-BR",
    ),
    Payment(
        3,
        "Chiyo Mori",
        "the last retry succeeds",
        1200,
        "JPY",
        "do_not_honor",
        "do_not_honor*2, paid",
        RECOVERED,
        RETRY,
        3,
        locale="ja",
    ),
    Payment(
        4, "Dora Klein", "every charge is declined", 9900, "USD", SOFT, ALWAYS, Outcome.EXHAUSTED, None, 3
    ),
    Payment(
        5,
        "Emil Novak",
        "stolen card; a new one after 12 s",
        4900,
        "EUR",
        "stolen_card",
        "stolen_card",
        RECOVERED,
        UPDATE,
        1,
        12,
        new_card,
    ),
    Payment(
        6,
        "Fay Okoro",
        "expired card; uses the mail's link",
        4900,
        "GBP",
        "expired_card",
        "expired_card",
        RECOVERED,
        UPDATE,
        1,
        14,
        use_the_link,
        "en-GB",
    ),
    Payment(
        7, "Gil Tran", "cancels after 10 s", 4900, "USD", SOFT, ALWAYS, Outcome.CANCELLED, None, 1, 10, cancel
    ),
    Payment(
        8,
        "Hana Sato",
        "pays by bank transfer after 20 s",
        25000,
        "EUR",
        SOFT,
        ALWAYS,
        Outcome.RECOVERED_ELSEWHERE,
        None,
        2,
        20,
        bank_transfer,
        "de-DE",
    ),
    Payment(
        9,
        "Ines Duarte",
        "the bank wants a confirmation",
        4900,
        "EUR",
        SOFT,
        "3ds",
        RECOVERED,
        Lever.CUSTOMER,
        1,
        18,
        confirm,
        "es-ES",
    ),
    Payment(
        10, "Jon Aker", "charged, but the answer is lost", 4900, "USD", SOFT, "lost:paid", RECOVERED, RETRY, 1
    ),
    Payment(11, "Kim Park", "too small to be worth a mail", 40, "EUR", SOFT, ALWAYS, Outcome.BELOW_MINIMUM),
    Payment(
        12,
        "Lea Roth",
        "no card; a first one after 11 s",
        4900,
        "USD",
        "no_payment_method",
        "",
        RECOVERED,
        UPDATE,
        1,
        11,
        new_card,
        card=False,
    ),
    Payment(
        13,
        "Max Uhl",
        "an operator retries after 13 s",
        19900,
        "USD",
        SOFT,
        ALWAYS,
        RECOVERED,
        Lever.OPERATOR,
        2,
        13,
        retry_now,
    ),
    Payment(
        14,
        "Noa Vidal",
        "the invoice is voided after 15 s",
        4900,
        "USD",
        SOFT,
        ALWAYS,
        Outcome.VOIDED,
        None,
        1,
        15,
        void,
    ),
)


@dataclass(frozen=True)
class Result:
    """What became of one payment, by our books and by the sandbox's."""

    payment: Payment
    case: CaseRow | None
    attempts: Sequence[AttemptRow]
    messages: Sequence[MessageRow]
    charged: int
    paid: int

    @property
    def faults(self) -> list[str]:
        """Everything that is not as it should be; empty when all is well."""
        payment, case = self.payment, self.case
        if case is None or case.closed_at is None:
            return ["it has not ended"]
        compared: dict[str, tuple[object, object]] = {
            "outcome": (payment.outcome, case.outcome),
            "lever": (payment.lever, case.lever),
            "charges at the processor": (payment.charges, self.charged),
        }
        if payment.lever is not Lever.CUSTOMER and payment.outcome is not Outcome.RECOVERED_ELSEWHERE:
            taken = payment.amount if payment.outcome is RECOVERED else 0
            compared["money taken"] = (taken, self.paid)
        return [f"{name} should be {want}, is {got}" for name, (want, got) in compared.items() if want != got]


async def set_the_stage(stage: Stage) -> datetime:
    """Make customers, cards and invoices, and let every payment fail; gives the time at which they did."""
    for payment in PAYMENTS:
        mail = payment.name.lower().replace(" ", ".") + "@example.com"
        await stage.sandbox.add_customer(payment.customer, mail, payment.name, locale=payment.locale)
        if payment.card:
            await stage.sandbox.add_card(payment.customer, payment.failed_card, payment.answers)
        await stage.sandbox.add_invoice(
            payment.invoice,
            payment.customer,
            payment.amount,
            payment.currency,
            number=f"D-{payment.number:04}",
        )
    failed_at = datetime.now(UTC)
    for payment in PAYMENTS:
        await stage.sandbox.fail(payment.invoice, failed_at, payment.decline)
    return failed_at


async def let_things_happen(stage: Stage, failed_at: datetime) -> None:
    """Bring the events that arrive part-way, each at its second."""

    async def one(payment: Payment) -> None:
        if payment.event is None or payment.event_at is None:
            return
        waited = (datetime.now(UTC) - failed_at).total_seconds()
        await asyncio.sleep(max(0.0, payment.event_at - waited))
        await payment.event(stage, payment)

    await asyncio.gather(*(one(payment) for payment in PAYMENTS))


async def progress(stage: Stage, failed_at: datetime) -> AsyncIterator[dict[str, CaseRow]]:
    """Yield the cases by invoice, a few times a second, until all are closed or patience ends."""
    while True:
        async with stage.services.tools.database.read() as session:
            rows = {row.invoice: row for row in await cases.listing(session)}
        yield rows
        seconds = (datetime.now(UTC) - failed_at).total_seconds()
        if seconds > PATIENCE_SECONDS or (
            len(rows) == len(PAYMENTS) and all(row.closed_at for row in rows.values())
        ):
            return
        await asyncio.sleep(0.4)


async def results(stage: Stage) -> list[Result]:
    """Compare every payment with what it should have come to."""
    charges = await stage.sandbox.charges()
    found = []
    async with stage.services.tools.database.read() as session:
        for payment in PAYMENTS:
            case = await cases.latest(session, "sandbox", ACCOUNT, payment.invoice)
            found.append(
                Result(
                    payment=payment,
                    case=case,
                    attempts=await attempts.all_of(session, case.id) if case else [],
                    messages=await messages.all_of(session, case.id) if case else [],
                    charged=sum(charge.invoice == payment.invoice for charge in charges),
                    paid=await stage.sandbox.paid_total(payment.invoice),
                )
            )
    return found


def _readable(mail: bytes) -> str:
    body = email.message_from_bytes(mail, policy=policy.default).get_body(("plain",))
    return str(body.get_content()) if body else ""
