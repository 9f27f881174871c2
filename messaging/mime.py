"""A mail as the internet carries it: headers and the two forms of its text."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import TYPE_CHECKING

from email_validator import EmailNotValidError, validate_email

from errors import MailRefused
from messaging.wording import plain_name, single_line

if TYPE_CHECKING:
    from messaging.protocol import Mail

# What may stand in a file's name everywhere, and before the @ of a Message-ID as it is.
PLAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
LONGEST_ID = 150


def plain_id(message_id: str) -> str:
    """Give an id that can name a file and a header; ids of our own making come back unchanged."""
    if len(message_id) <= LONGEST_ID and PLAIN.fullmatch(message_id):
        return message_id
    digest = hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", message_id)[: LONGEST_ID - 20].strip("-")
    return f"{kept}-{digest}" if kept else digest


def mime_message(mail: Mail) -> EmailMessage:
    """Build the message; raises MailRefused where an address or a header cannot be written.

    The headers are written by Python's email package, which refuses line breaks in them: a name
    cannot add a header of its own.
    """
    recipient = _address(mail.id, plain_name(mail.to_name), mail.to_address, at_fault=True)
    sender = _address(mail.id, single_line(mail.from_name or ""), mail.from_address, at_fault=False)
    ascii_only = (recipient.addr_spec + sender.addr_spec).isascii()
    message = EmailMessage(policy=SMTP if ascii_only else SMTPUTF8)
    message["From"] = sender
    message["To"] = recipient
    try:
        message["Subject"] = mail.subject
    except ValueError:
        raise MailRefused(f"mail {mail.id}: its subject has a line break", address_at_fault=False) from None
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{plain_id(mail.id)}@{sender.domain}>"
    # Asks automatic replies (holidays, ticket systems) not to answer.
    message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable passes every server, whatever the letters and however long the lines.
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = mail.locale  # set_content takes away what was set before it
    return message


def _address(message_id: str, name: str | None, address: str, *, at_fault: bool) -> Address:
    try:
        # Addresses inside a company's own network count too; who can be reached is the server's to say.
        checked = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        whose = "the customer's" if at_fault else "our own"
        raise MailRefused(
            f"mail {message_id}: {whose} address is not one", address_at_fault=at_fault
        ) from None
    return Address(display_name=name or "", username=checked.local_part, domain=checked.ascii_domain)
