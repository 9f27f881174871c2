"""What every route works with, made once for the application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

import contract

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.tools import Tools
    from links import Links
    from settings import Settings


@dataclass
class Desk:
    """The collaborators of the web side; ``wake`` tells the relay that there is something to hand on."""

    settings: Settings
    tools: Tools
    temporal: Client
    links: Links
    queue: str = contract.MAIN_QUEUE
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    def now() -> datetime:
        """Give the time by this machine's clock; no case is timed by it."""
        return datetime.now(UTC)

    def temporal_page(self, workflow_id: str) -> str | None:
        """Give the address of a workflow in the Temporal UI, or None where no UI is known."""
        url = self.settings.temporal_ui_url
        if url is None:
            return None
        place = f"namespaces/{self.temporal.namespace}/workflows/{quote(workflow_id, safe='')}"
        return f"{str(url).rstrip('/')}/{place}"


def desk_of(request: Request) -> Desk:
    """Find the application's desk."""
    desk: Desk = request.app.state.desk
    return desk
