"""Fixtures that stand in for Stripe; a test module takes them by naming this one in ``pytest_plugins``."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest
import pytest_asyncio

from processors.stripe import StripeProcessor
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.prepare_stripe_world import NotPreparedError, python
from tests.stand_ins.scripted_stripe import ScriptedStripe
from tests.stand_ins.stripe_account import StripeAccount
from tests.stand_ins.stripe_description import StripeDescription, stripe_description
from tests.stand_ins.stripe_webhooks import WEBHOOK_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LAUNCHER = Path(__file__).resolve().parents[1] / "stand_ins" / "stripe_world" / "serve.py"
STARTS_WITHIN = 30.0


def require_or_skip(reason: str) -> NoReturn:
    """Skip where something is missing; on CI, where everything has to be there, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def description() -> StripeDescription:
    try:
        return stripe_description()
    except NotPreparedError as error:
        require_or_skip(f"Stripe's description is not here: {error}")


@pytest.fixture(scope="session")
def stripe_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a stateful Stripe; every test makes an account of its own there."""
    try:
        interpreter = python()
    except NotPreparedError as error:
        require_or_skip(f"the stand-in for Stripe is not here: {error}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("stripe-world") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([interpreter, LAUNCHER, str(port)], stdout=output, stderr=output)
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/worlds/first/v1/events", timeout=5, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the stand-in for Stripe did not start:\n{log.read_text()}")


@pytest_asyncio.fixture
async def account(stripe_world: str) -> AsyncIterator[StripeAccount]:
    async with StripeAccount(stripe_world) as opened:
        yield opened


@pytest_asyncio.fixture
async def proxy(stripe_world: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(stripe_world) as listening:
        yield listening


@pytest_asyncio.fixture
async def processor(
    account: StripeAccount, proxy: FaultProxy, description: StripeDescription
) -> AsyncIterator[StripeProcessor]:
    """The processor, with the proxy before Stripe; whatever it sent has to be as Stripe describes it."""
    made = StripeProcessor(
        api_key="sk_test_1234567890", webhook_secret=WEBHOOK_SECRET, api_base=proxy.url + account.path
    )
    yield made
    await made.close()
    for call in proxy.calls:
        path = call.request.path.removeprefix(account.path)
        description.check_request(call.request.method, path, call.request.parameters)


@pytest_asyncio.fixture
async def scripted(description: StripeDescription) -> AsyncIterator[ScriptedStripe]:
    async with ScriptedStripe(description) as listening:
        yield listening
        assert not listening.faults


@pytest_asyncio.fixture
async def scripted_processor(scripted: ScriptedStripe) -> AsyncIterator[StripeProcessor]:
    made = StripeProcessor(api_key="sk_test_1234567890", webhook_secret=WEBHOOK_SECRET, api_base=scripted.url)
    yield made
    await made.close()
