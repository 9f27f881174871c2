"""Fixtures with a web side in them; a test module takes them by naming this one in ``pytest_plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import embedded
from tests.integration.web_side import opened_web_side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Databases
    from tests.integration.web_side import WebSide


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
async def web(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WebSide]:
    """Give a web side with a Temporal server of its own, on each kind of database.

    All tests share it, and use invoices of their own.
    """
    if embedded.find_binary() is None:
        pytest.skip("no temporal binary for this platform")
    url = databases.fresh(request.param)
    folder = tmp_path_factory.mktemp("web-side")
    async with (
        embedded.run_server(None, ui=False) as server,
        opened_web_side(url, folder, server.address) as side,
    ):
        yield side
