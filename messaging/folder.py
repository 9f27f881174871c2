"""Mails as files, for trying things out: one to open in a mail program, one to open in a browser."""

from __future__ import annotations

import asyncio
import html
import os
import re
import tempfile
from pathlib import Path

from errors import SenderUnavailable
from messaging.mime import mime_message, plain_id
from messaging.protocol import Mail, Receipt

HEADERS = ("From", "To", "Subject", "Date")
TABLE = (
    '<div style="padding:10px 16px;background:#fff;border-bottom:1px solid #cbd2d9;direction:ltr">'
    '<table style="font:14px/1.5 sans-serif;color:#323f4b;text-align:left">{rows}</table></div>'
)
ROW = '<tr><th style="padding-right:16px;font-weight:600;vertical-align:top">{name}</th><td>{value}</td></tr>'


class FolderSender:
    """Writes ``<message id>.eml`` and ``<message id>.html``; the same id overwrites its own files."""

    name = "folder"
    repeatable = True

    def __init__(self, folder: Path) -> None:
        """Take the folder, which is made when the first mail is written.

        Only its owner may read it: mails hold links that let their reader change a customer's card.
        """
        self._folder = folder

    async def send(self, mail: Mail) -> Receipt:
        """Write both files; raises SenderUnavailable where the disk does not let us."""
        try:
            return await asyncio.to_thread(self._write, mail)
        except OSError as error:
            raise SenderUnavailable(
                f"mail {mail.id} could not be written to {self._folder}: {error.strerror or error}"
            ) from None

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _write(self, mail: Mail) -> Receipt:
        message = mime_message(mail)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = "".join(
            ROW.format(name=name, value=html.escape(str(message[name] or ""), quote=False))
            for name in HEADERS
        )
        body = re.search(r"<body[^>]*>", mail.html)
        place = body.end() if body else 0
        page = mail.html[:place] + TABLE.format(rows=rows) + mail.html[place:]
        name = plain_id(mail.id)
        _replace(self._folder / f"{name}.html", page.encode())
        path = self._folder / f"{name}.eml"
        _replace(path, message.as_bytes())
        return Receipt(reference=str(path))


def _replace(path: Path, content: bytes) -> None:
    """Put a whole file in place at once, so that nobody ever opens half a mail."""
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
