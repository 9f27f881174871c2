"""From facts to a mail: a template of the customer's language, as HTML and as plain text.

Both forms are made from one filled-in document, so that they cannot disagree. The document is plain
text throughout; the layout escapes every piece of it before MJML is looked at, so that nothing a
customer or a company is called can become markup.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import mrml
import yaml
from liquid import StrictUndefined
from liquid.exceptions import LiquidError

from errors import BadInput
from messaging.documents import Document, Limited, environment_for
from messaging.wording import (
    FALLBACK,
    known_locale,
    locale_of_days,
    plain_name,
    single_line,
    tags,
    write_day,
    write_money,
)

if TYPE_CHECKING:
    from liquid import BoundTemplate

    from messaging.documents import Filled

TEMPLATES = Path(__file__).parent / "templates"
LAYOUT = "layout.mjml"
FRAME = "_frame.yaml"
SUFFIX = ".liquid"
# Left to itself, MJML fetches known fonts from Google, which would tell them who opens a mail.
OPTIONS = mrml.RenderOptions(fonts={})


@dataclass(frozen=True)
class Facts:
    """What one message may say.

    ``decline_words`` is None where the customer must not be told the reason. ``next_charge_at``,
    ``ends_at`` and ``access_changes_at`` are None where nothing of the kind is planned, and the texts
    then say so or keep silent. ``link`` leads to the page where a card can be changed, ``confirm_link``
    to the bank's confirmation. Moments are aware; they are written as days in ``timezone``, else in UTC.
    """

    customer_name: str | None
    amount: int
    currency: str
    locale: str
    timezone: str | None
    company: str
    invoice_number: str | None
    failed_at: datetime
    decline_words: str | None
    ask: Literal["nothing", "new card", "confirm"]
    has_card: bool
    card: str | None
    next_charge_at: datetime | None
    ends_at: datetime | None
    final_action: str | None
    access: str
    access_changes_at: datetime | None
    link: str
    confirm_link: str | None
    reminder: bool

    def __post_init__(self) -> None:
        """Refuse a moment without a zone, which would be written as the wrong day."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise BadInput(f"{field.name} has no time zone: give an aware datetime")

    def words(self, language: str) -> dict[str, object]:
        """Give the variables that a template of a language may use; absent ones are None, never ''."""
        days = locale_of_days(self.locale, language)

        def day(moment: datetime | None) -> str | None:
            return write_day(moment, days, self.timezone) if moment else None

        return {
            "customer_name": plain_name(self.customer_name),
            "amount": write_money(self.amount, self.currency, self.locale),
            "company": single_line(self.company),
            "invoice_number": single_line(self.invoice_number or "") or None,
            "failed_on": day(self.failed_at),
            "decline_words": single_line(self.decline_words or "") or None,
            "ask": self.ask,
            "has_card": self.has_card,
            "card": (single_line(self.card or "") or None) if self.has_card else None,
            "next_charge_on": day(self.next_charge_at) if self.has_card else None,
            "ends_on": day(self.ends_at),
            "final_action": self.final_action,
            "access": self.access,
            "access_changes_on": day(self.access_changes_at),
            "link": self.link,
            "confirm_link": self.confirm_link or None,
            "reminder": self.reminder,
        }


@dataclass(frozen=True)
class Rendered:
    """A message ready to be put in a mail; ``locale`` is the language of its text."""

    subject: str
    html: str
    text: str
    locale: str


class Renderer:
    """Renders the templates of a folder.

    One folder inside it per language (``en``, ``pt-BR``); English is what all others fall back to.
    Parsed templates are kept, and read again once a file has changed.
    """

    def __init__(self, folder: Path = TEMPLATES) -> None:
        """Take the folder that holds the layout and the languages; raises BadInput where it has none."""
        if not (folder / FALLBACK).is_dir() or not (folder / LAYOUT).is_file():
            raise BadInput(f"{folder} is no folder of templates: it needs {LAYOUT} and a folder {FALLBACK}")
        self._folder = folder
        self._languages: dict[str, tuple[object, _Language]] = {}
        self._layout: tuple[object, BoundTemplate] | None = None

    def names(self) -> frozenset[str]:
        """Name every template that can be sent to any customer: those that exist in English."""
        return frozenset(
            path.stem
            for path in (self._folder / FALLBACK).glob(f"*{SUFFIX}")
            if not path.name.startswith("_")
        )

    def render(self, template: str, facts: Facts) -> Rendered:
        """Render a template in the customer's language.

        Raises BadInput for an unknown template, and for one whose Liquid cannot be used; the text
        names the file and line.
        """
        if template not in self.names():
            near = get_close_matches(template, self.names(), 1, 0.5)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(self.names()))}"
            raise BadInput(f"there is no template {template!r}: {meant}")
        language = self._language_for(template, facts.locale)
        words = facts.words(language.tag)
        filled = language.document(template).fill(words)
        frame = language.frame(words)
        return Rendered(
            subject=filled.subject,
            html=self._html(filled, frame, language.tag, str(words["company"])),
            text=_text(filled, frame),
            locale=language.tag,
        )

    def _language_for(self, template: str, locale: str) -> _Language:
        existing = {path.name.lower(): path for path in self._folder.iterdir() if path.is_dir()}
        folder = next(
            existing[tag.lower()]
            for tag in tags(locale)
            if tag.lower() in existing and (existing[tag.lower()] / f"{template}{SUFFIX}").is_file()
        )
        state = _state(folder)
        kept = self._languages.get(folder.name)
        if kept is None or kept[0] != state:
            kept = self._languages[folder.name] = (state, _Language(folder, self._folder / FALLBACK))
        return kept[1]

    def _html(self, filled: Filled, frame: dict[str, str], language: str, company: str) -> str:
        path = self._folder / LAYOUT
        state = path.stat().st_mtime_ns
        try:
            if self._layout is None or self._layout[0] != state:
                environment = Limited(undefined=StrictUndefined, autoescape=True)
                parsed = environment.from_string(path.read_text(encoding="utf-8"), path=path)
                self._layout = (state, parsed)
            source = self._layout[1].render(
                language=language,
                direction=known_locale(language).text_direction,
                company=company,
                **vars(filled),
                **frame,
            )
            return mrml.to_html(source, None, OPTIONS).content
        except (LiquidError, OSError) as error:  # mrml raises OSError for a document it cannot read
            raise BadInput(f"{path}: {error}") from None


class _Language:
    """The templates of one folder, parsed when first asked for."""

    def __init__(self, folder: Path, fallback: Path) -> None:
        self.tag = folder.name
        self._folder = folder
        self._environment = environment_for(folder)
        self._documents: dict[str, Document] = {}
        frame = folder / FRAME if (folder / FRAME).is_file() else fallback / FRAME
        try:
            texts = yaml.safe_load(frame.read_text(encoding="utf-8"))
            self._frame = {key: self._environment.from_string(texts[key]) for key in ("fallback", "footer")}
        except (yaml.YAMLError, LiquidError, OSError, LookupError, TypeError) as error:
            raise BadInput(f"{frame}: {error}: it gives the texts 'fallback' and 'footer'") from None

    def document(self, template: str) -> Document:
        if template not in self._documents:
            self._documents[template] = Document(self._folder / f"{template}{SUFFIX}", self._environment)
        return self._documents[template]

    def frame(self, words: dict[str, object]) -> dict[str, str]:
        return {key: single_line(template.render(**words)) for key, template in self._frame.items()}


def _state(folder: Path) -> object:
    """Describe the files of a folder so that an edit shows."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()))


def _text(filled: Filled, frame: dict[str, str]) -> str:
    blocks = [filled.heading, *filled.paragraphs]
    if filled.button_text:
        blocks.append(f"{filled.button_text}:\n{filled.button_link}")
    if filled.details:
        blocks.append("\n".join(f"{label}: {value}" for label, value in filled.details))
    blocks.append(f"-- \n{frame['footer']}")
    return "\n\n".join(blocks) + "\n"
