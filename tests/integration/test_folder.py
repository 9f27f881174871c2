"""Mails as files: what a mail program and a browser open."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from errors import MailRefused, SenderUnavailable
from messaging.folder import FolderSender
from messaging.protocol import Mail

if TYPE_CHECKING:
    from email.message import EmailMessage

    from messaging.protocol import Sender

MAIL = Mail(
    id="case_abc.day-1.message",
    to_address="ada@example.com",
    to_name="Ada <b>Lovelace</b>",
    from_address="billing@northwind.example",
    from_name="Northwind",
    subject="Your payment of 49,00 € <did not> go through",
    html='<html><body style="margin:0"><p>Grüße</p></body></html>',
    text="Grüße\n",
    locale="en",
)


def opened(path: Path | str) -> tuple[EmailMessage, str, str]:
    message: EmailMessage = message_from_bytes(Path(path).read_bytes(), policy=default)
    plain, marked_up = message.get_body(["plain"]), message.get_body(["html"])
    assert plain is not None
    assert marked_up is not None
    return message, plain.get_content().replace("\r\n", "\n"), marked_up.get_content().strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rights(path: Path | str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


async def test_a_mail_program_can_open_it(tmp_path: Path) -> None:
    receipt = await FolderSender(tmp_path / "mails").send(MAIL)

    message, plain, marked_up = opened(receipt.reference)
    assert receipt.reference == str(tmp_path / "mails" / "case_abc.day-1.message.eml")
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert plain == MAIL.text
    assert marked_up == MAIL.html
    assert message["Subject"] == MAIL.subject
    assert message["Date"].datetime.tzinfo is not None


async def test_a_browser_can_open_it(tmp_path: Path) -> None:
    await FolderSender(tmp_path).send(MAIL)

    page = (tmp_path / "case_abc.day-1.message.html").read_text()
    for text in ("From", "Northwind", "ada@example.com", "&lt;did not&gt;", "<p>Grüße</p>", "Date"):
        assert text in page
    assert page.startswith("<html><body"), "the header stands inside the page"
    assert "<b>Lovelace" not in page


async def test_the_same_id_overwrites(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path)
    first = await sender.send(MAIL)
    second = await sender.send(replace(MAIL, subject="A second try"))

    assert sender.repeatable
    assert first == second
    assert names(tmp_path) == [
        "case_abc.day-1.message.eml",
        "case_abc.day-1.message.html",
    ]
    assert opened(second.reference)[0]["Subject"] == "A second try"


async def test_many_at_once_leave_whole_files_only(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path)
    await asyncio.gather(*(sender.send(replace(MAIL, text=f"{number}\n" * 1000)) for number in range(50)))

    assert len(names(tmp_path)) == 2
    lines = opened(tmp_path / f"{MAIL.id}.eml")[1].split()
    assert len(lines) == 1000
    assert len(set(lines)) == 1


@pytest.mark.parametrize(
    "message_id", ["../../etc/passwd", "a/b", ".hidden", "c:\\x", "x" * 400, "\n", "ünï", "a..b"]
)
async def test_no_id_leads_out_of_the_folder(tmp_path: Path, message_id: str) -> None:
    folder = tmp_path / "mails"
    receipt = await FolderSender(folder).send(replace(MAIL, id=message_id))

    assert Path(receipt.reference).parent == folder
    assert not Path(receipt.reference).name.startswith(".")
    assert names(tmp_path) == ["mails"]


async def test_different_ids_never_share_a_file(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path)
    ids = ["a/b", "a b", "a-b", "a..b", "a.b"]

    receipts = [await sender.send(replace(MAIL, id=message_id)) for message_id in ids]

    assert len({receipt.reference for receipt in receipts}) == len(ids)


async def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    receipt = await FolderSender(tmp_path / "mails").send(MAIL)

    assert rights(receipt.reference) == 0o600
    assert rights(tmp_path / "mails") == 0o700


async def test_a_folder_that_cannot_be_written_is_tried_again_later(tmp_path: Path) -> None:
    occupied = tmp_path / "mails"
    occupied.write_text("a file")

    with pytest.raises(SenderUnavailable, match=MAIL.id):
        await FolderSender(occupied).send(MAIL)


async def test_an_address_that_is_none_leaves_no_file(tmp_path: Path) -> None:
    sender: Sender = FolderSender(tmp_path)
    with pytest.raises(MailRefused) as raised:
        await sender.send(replace(MAIL, to_address="nobody"))
    await sender.close()

    assert raised.value.address_at_fault
    assert names(tmp_path) == []
