"""The README's examples, run as they stand there, and its promises about files and targets."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import Services, free_port, run_services
from processors.sandbox import SandboxProcessor
from settings import local_settings
from store import cases, events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples"
SECRET = "whsec_of_the_readme"


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    folder = tmp_path_factory.mktemp("readme")
    settings = local_settings(
        folder,
        port=free_port(),
        stripe_api_key="sk_test_of_the_readme",
        stripe_api_base=f"http://127.0.0.1:{free_port()}",
        stripe_webhook_secret=SECRET,
    )
    async with run_services(settings, folder, fixed_ports=False) as running:
        yield running


async def run(services: Services, *command: str, **environment: str) -> str:
    """Run an example as a billing service would, and give what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ
        | {"DUNWELL": services.web_url, "KEY": key_of(services.settings), "PROCESSOR": "sandbox"}
        | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def key_of(settings: Settings) -> str:
    return settings.api_keys[0].get_secret_value()


async def add_failed_invoice(services: Services, invoice: str, customer: str) -> SandboxProcessor:
    """Make a customer whose invoice failed without the sandbox having reported it yet."""
    sandbox = services.tools.processors["sandbox"]
    assert isinstance(sandbox, SandboxProcessor)
    await sandbox.add_customer(customer, f"{customer}@example.com", "Ada")
    await sandbox.add_card(customer, f"card_old_{customer}", "insufficient_funds")
    await sandbox.add_invoice(invoice, customer, 4900, "USD")
    await sandbox.add_card(customer, f"card_new_{customer}", "paid", default=False)
    return sandbox


async def closed_case(services: Services, invoice: str) -> tuple[str | None, str | None]:
    """Wait until the invoice's case is closed; gives its outcome and lever."""
    async with asyncio.timeout(30):
        while True:
            async with services.tools.database.read() as session:
                row = await cases.latest(session, "sandbox", "main", invoice)
            if row is not None and row.closed_at is not None:
                return row.outcome, row.lever
            await asyncio.sleep(0.1)


async def test_the_http_example_opens_a_case_and_recovers_it_with_the_new_card(services: Services) -> None:
    sandbox = await add_failed_invoice(services, "in_http", "cus_http")
    example = str(EXAMPLES / "report_by_http.sh")
    printed = await run(services, example, INVOICE="in_http", CUSTOMER="cus_http", METHOD="card_new_cus_http")
    assert '"became":"opened"' in printed
    assert '"became":"delivered"' in printed
    assert await closed_case(services, "in_http") == ("recovered", "card update")
    assert await sandbox.paid_total("in_http") == 4900
    again = await run(services, example, INVOICE="in_http", CUSTOMER="cus_http", METHOD="card_new_cus_http")
    assert '"replayed":true' in again
    assert await sandbox.paid_total("in_http") == 4900


async def test_the_temporal_example_opens_a_case_and_recovers_it_with_the_new_card(
    services: Services,
) -> None:
    sandbox = await add_failed_invoice(services, "in_temporal", "cus_temporal")
    printed = await run(
        services,
        sys.executable,
        str(EXAMPLES / "report_by_temporal.py"),
        INVOICE="in_temporal",
        METHOD="card_new_cus_temporal",
        TEMPORAL_ADDRESS=services.temporal_address or "",
    )
    assert "was told" in printed
    assert await closed_case(services, "in_temporal") == ("recovered", "card update")
    assert await sandbox.paid_total("in_temporal") == 4900


async def test_the_webhook_example_is_taken_for_stripes_own(services: Services) -> None:
    printed = await run(
        services,
        sys.executable,
        str(EXAMPLES / "report_by_webhook.py"),
        DUNWELL_STRIPE_WEBHOOK_SECRET=SECRET,
        INVOICE="in_webhook",
        CUSTOMER="cus_webhook",
        METHOD="pm_webhook",
    )
    assert "payment_failed" in printed
    async with services.tools.database.read() as session:
        row = await cases.latest(session, "stripe", "main", "in_webhook")
        stored = await events.get(session, "stripe", "evt_payment_method.attached_in_webhook")
    assert row is not None
    assert (row.customer, row.amount, row.status) == ("cus_webhook", 4900, "waiting")
    assert stored is not None


@pytest.mark.parametrize("name", ["report_by_http.sh", "report_by_temporal.py"])
def test_the_readme_shows_the_examples_as_they_are(name: str) -> None:
    example = (EXAMPLES / name).read_text(encoding="utf-8")
    shown = re.findall(r"```(?:sh|python)\n(.*?)```", README, flags=re.DOTALL)
    assert any(block in example for block in shown)


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
