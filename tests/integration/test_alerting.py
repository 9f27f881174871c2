"""What a person has to know reaches one: once in the log, and as a mail where an address is set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local import free_port, run_services
from settings import local_settings
from store import journal

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_alert_is_mailed_once_by_whatever_runs_everything_on_one_machine(tmp_path: Path) -> None:
    settings = local_settings(tmp_path, port=free_port(), alert_to="ops@example.com")
    async with run_services(settings, tmp_path, fixed_ports=False) as services:
        database = services.tools.database
        async with database.begin() as session:
            await journal.alert(session, "one", "needs review", "case_1: look <here>", datetime.now(UTC))
            await journal.alert(session, "one", "needs review", "case_1: again", datetime.now(UTC))
        mails: list[Path] = []
        for _ in range(300):
            mails = mails or list(settings.mail_folder.glob("alert.*.eml"))
            await asyncio.sleep(0 if mails else 0.1)
        async with database.read() as session:
            [alert] = await journal.alerts(session)
    assert alert.told_at is not None
    [mail] = mails
    said = mail.read_text(encoding="utf-8")
    assert "ops@example.com" in said
    assert "Dunwell: needs review" in said
    assert "again" not in said
