"""Fixtures with a studio in them; a test module takes them by naming this one in ``pytest_plugins``."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING

import pytest

import credentials
from messaging.rendering import Renderer
from tests.integration.studio_side import CHEAP, opened_studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.studio_side import Studio


@cache
def renderer() -> Renderer:
    """Give the renderer of all tests: it looks for the faults of a template once, which takes a while."""
    return Renderer()


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    """Give a studio with a database of its own, once of each kind, in which nobody has an account yet."""
    monkeypatch.setattr(credentials, "hasher", CHEAP)
    async with opened_studio(database_url, tmp_path) as opened:
        opened.desk.tools = dataclasses.replace(opened.desk.tools, renderer=renderer())
        yield opened
