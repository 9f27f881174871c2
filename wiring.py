"""Where the parts are put together, for the worker, the web side, the command line and the tests alike."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.worker import Worker

import contract
from activities.cases import CaseActivities
from activities.charging import ChargeActivities
from activities.late import LateActivities
from activities.messages import MessageActivities
from activities.moving import MoveActivities
from activities.opening import OpeningActivities
from activities.payments import PaymentActivities
from activities.tools import Tools
from campaigns.breaker import BreakerRule
from campaigns.checking import Known
from campaigns.document import FinalAction
from errors import BadSettings, ServerUnavailable
from links import Links
from messaging.folder import FolderSender
from messaging.rendering import Renderer
from messaging.samples import sample_facts
from messaging.sendgrid import SendGridSender
from messaging.smtp import SmtpSender
from plugin import dunwell_plugin, sandbox_runner
from processors.sandbox import SandboxProcessor
from processors.stripe import StripeProcessor
from store import schema
from store.campaigns import publish_library
from store.database import Database
from store.facts import read_facts
from store.installation import claim_installation
from workflows.late_fact import SettleLateFact
from workflows.moving import MoveCases
from workflows.recovery import RecoverPayment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from campaigns.declines import DeclineTable
    from campaigns.networks import NetworkLimits
    from messaging.protocol import Sender
    from processors.protocol import Processor
    from settings import Settings

# Above the longest call of an activity, so that a deploy never tears a charge in two.
GRACE = timedelta(seconds=60)


@asynccontextmanager
async def open_tools(settings: Settings, now: datetime) -> AsyncIterator[Tools]:
    """Connect to everything but Temporal, with the database brought up to date, and close it all at the end."""
    facts = read_facts(settings.facts_folder)
    schema.upgrade(settings.database_url)
    database = Database(settings.database_url)
    processors = make_processors(settings)
    sender = make_sender(settings)
    renderer = Renderer()
    try:
        async with database.begin() as session:
            await claim_installation(session, settings.livemode, now)
            await publish_library(session, now)
        yield Tools(
            database=database,
            processors=processors,
            sender=sender,
            renderer=renderer,
            declines=facts.declines,
            limits=facts.limits,
            fees=facts.fees,
            livemode=settings.livemode,
            default_campaign=settings.default_campaign,
            mail_from=settings.mail_from,
            alert_to=settings.alert_to,
            margin=settings.network_margin,
            home=settings.merchant_country,
            stands_aside=settings.processor_retries == "stand_aside",
            breaker=breaker_rule(settings),
            link=make_links(settings).to_change_card,
        )
    finally:
        for processor in processors.values():
            await processor.close()
        await sender.close()
        await database.close()


def known_of(tools: Tools, now: datetime | None = None) -> Known:
    """Give what a check of a campaign has to know, as this installation has it."""
    return _known(tools.renderer, tools.declines, tools.limits, now or datetime.now(UTC))


def known_anywhere(now: datetime) -> Known:
    """Give what a check of a campaign has to know where nothing is installed: what ships with Dunwell."""
    facts = read_facts()
    return _known(Renderer(), facts.declines, facts.limits, now)


def _known(renderer: Renderer, declines: DeclineTable, limits: NetworkLimits, now: datetime) -> Known:
    @lru_cache
    def names_the_end(template: str) -> bool:
        """Whether a mail's text is another one where the end takes something away."""
        facts = sample_facts(ends_at=now + timedelta(days=2), final_action=FinalAction.CANCEL_NOW)
        left = replace(facts, final_action=FinalAction.LEAVE)
        return renderer.render(template, facts).text != renderer.render(template, left).text

    return Known(
        declines=declines,
        networks=limits,
        templates=renderer.names(),
        template_faults=renderer.faults,
        names_the_end=names_the_end,
        on=now.date(),
    )


def breaker_rule(settings: Settings) -> BreakerRule | None:
    """Give the rule of the circuit breakers as the owner has set it, None where they are switched off."""
    if not settings.breaker:
        return None
    return BreakerRule(
        at_least=settings.breaker_answers,
        rest=timedelta(minutes=settings.breaker_rest),
        spread=timedelta(minutes=settings.breaker_spread),
    )


def make_links(settings: Settings) -> Links:
    """Make the signer of customers' links; raises BadSettings where there is no key to sign with."""
    if settings.secret_key is None:
        raise BadSettings(
            "DUNWELL_SECRET_KEY: not set; it signs customers' links (expected: 32 random characters or more,"
            " the same for every process)"
        )
    return Links(
        settings.secret_key.get_secret_value(),
        str(settings.public_url).rstrip("/"),
        timedelta(days=settings.link_days),
    )


def make_processors(settings: Settings) -> dict[str, Processor]:
    """Make the processors that are configured."""
    found: dict[str, Processor] = {}
    if settings.stripe_api_key:
        secret = settings.stripe_webhook_secret
        found["stripe"] = StripeProcessor(
            api_key=settings.stripe_api_key.get_secret_value(),
            webhook_secret=secret.get_secret_value() if secret else None,
            api_base=str(settings.stripe_api_base).rstrip("/") if settings.stripe_api_base else None,
        )
    if settings.sandbox_file:
        found["sandbox"] = SandboxProcessor(
            settings.sandbox_file,
            settings.sandbox_webhook_secret.get_secret_value(),
            public_url=str(settings.public_url).rstrip("/"),
        )
    return found


def make_sender(settings: Settings) -> Sender:
    """Make the sender that is configured; without one, mails become files in a folder."""
    if settings.sendgrid_api_key:
        base = str(settings.sendgrid_api_base).rstrip("/") if settings.sendgrid_api_base else None
        return SendGridSender(settings.sendgrid_api_key.get_secret_value(), base)
    if settings.smtp_url:
        return SmtpSender(settings.smtp_url.get_secret_value())
    return FolderSender(settings.mail_folder)


# Where Temporal's own programs look for it, too.
NEAREST_TEMPORAL = "localhost:7233"


async def connect(address: str | None = None) -> Client:
    """Connect to Temporal by its own settings (``TEMPORAL_ADDRESS`` …), or to the address given."""
    config = _connection(address)
    try:
        return await Client.connect(**config, plugins=[dunwell_plugin()])
    except RuntimeError as error:
        raise ServerUnavailable(
            f"Temporal does not answer at {config['target_host']}: start it, or set TEMPORAL_ADDRESS ({error})"
        ) from error


async def connect_lazily() -> Client:
    """Prepare a connection that is made at its first use: webhooks are taken while Temporal is away."""
    return await Client.connect(**_connection(), plugins=[dunwell_plugin()], lazy=True)


async def leave_temporal() -> None:
    """Wait a moment before the process ends: one that ends at once may be crashed by the SDK's own threads."""
    await asyncio.sleep(0.3)


def _connection(address: str | None = None) -> ClientConnectConfig:
    config = ClientConfig.load_client_connect_config()
    config["target_host"] = address or config.get("target_host") or NEAREST_TEMPORAL
    return config


def is_cluster_configured() -> bool:
    """Whether Temporal's own settings name a server; otherwise the embedded one is used."""
    return bool(ClientConfig.load_client_connect_config().get("target_host"))


def activities_of(tools: Tools) -> Sequence[Callable[..., object]]:
    """List every activity of the main queue."""
    cases, opening = CaseActivities(tools), OpeningActivities(tools)
    payments, messages = PaymentActivities(tools), MessageActivities(tools)
    moving = MoveActivities(tools)
    return [
        opening.open_case,
        cases.plan_next_step,
        cases.ask_for_review,
        cases.alert_team,
        payments.check_invoice,
        payments.end_subscription,
        LateActivities(tools).settle_late_fact,
        messages.send_message,
        messages.set_access,
        moving.move_batch,
        moving.note_move,
        moving.finish_move,
    ]


def make_workers(
    client: Client,
    tools: Tools,
    *,
    charges_per_second: float,
    queue: str = contract.MAIN_QUEUE,
    max_cached_workflows: int = 1000,
) -> list[Worker]:
    """Make the two workers of one process: everything, and charges, whose queue has a limit of its own.

    Tests give each its own ``queue``.
    """
    main = Worker(
        client,
        task_queue=queue,
        workflows=[RecoverPayment, SettleLateFact, MoveCases],
        activities=activities_of(tools),
        graceful_shutdown_timeout=GRACE,
        max_cached_workflows=max_cached_workflows,
        workflow_runner=sandbox_runner(),
    )
    charges = Worker(
        client,
        task_queue=contract.charge_queue(queue),
        activities=[ChargeActivities(tools).retry_payment],
        graceful_shutdown_timeout=GRACE,
        # Eager execution would pass the queue's limit by.
        disable_eager_activity_execution=True,
        max_task_queue_activities_per_second=charges_per_second,
    )
    return [main, charges]
