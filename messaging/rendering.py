"""From facts to a mail: a template of the customer's language, as HTML and as plain text.

Both forms are made from one filled-in document, so that they cannot disagree. The document is plain
text throughout; the layout escapes every piece of it before MJML is looked at, so that nothing a
customer or a company is called can become markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mrml
from liquid import StrictUndefined
from liquid.exceptions import LiquidError

from errors import BadInput
from messaging.documents import Document, Frame, Limited, did_you_mean, snippets_of
from messaging.facts import Facts
from messaging.faults import faults_of
from messaging.samples import sample_facts
from messaging.wording import FALLBACK, colon, known_locale, tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liquid import BoundTemplate

    from messaging.documents import Filled

__all__ = ["Facts", "Rendered", "Renderer"]

TEMPLATES = Path(__file__).parent / "templates"
LAYOUT = "layout.mjml"
FRAME = "_frame.yaml"
SUFFIX = ".liquid"
# Left to itself, MJML fetches known fonts from Google, which would tell them who opens a mail.
OPTIONS = mrml.RenderOptions(fonts={})


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
        self._faults: dict[str, tuple[object, tuple[str, ...]]] = {}

    def names(self) -> frozenset[str]:
        """Name every template that can be sent to any customer: those that exist in English."""
        return _templates_in(self._folder / FALLBACK)

    def languages(self, template: str | None = None) -> tuple[str, ...]:
        """List the languages in which a template exists, or any template: English first, then by name."""
        found = [
            path.name
            for path in self._folders()
            # A folder that no locale leads to is no language.
            if path.name.lower() == tags(path.name)[0].lower()
            and (template in _templates_in(path) if template else _templates_in(path))
        ]
        return tuple(sorted(found, key=lambda tag: (tag != FALLBACK, tag)))

    def faults(self, template: str) -> tuple[str, ...]:
        """Say everything that would keep a template from being sent to somebody, each in one line.

        Looked at is every language in which it exists, and every branch of its text; nothing is sent.
        """
        if template not in self.names():
            return (self._unknown(template),)
        state = tuple(_state(path) for path in (self._folder, *self._folders()))
        kept = self._faults.get(template)
        if kept is None or kept[0] != state:
            found = [fault for tag in self.languages(template) for fault in self._faults_in(template, tag)]
            kept = self._faults[template] = (state, tuple(dict.fromkeys(found)))
        return kept[1]

    def render(self, template: str, facts: Facts) -> Rendered:
        """Render a template in the customer's language.

        Raises BadInput for an unknown template, and for one whose Liquid cannot be used; the text
        names the file and line.
        """
        if template not in self.names():
            raise BadInput(self._unknown(template))
        language = self._language_for(template, facts.locale)
        words = facts.words(language.tag)
        filled = language.document(template).fill(words)
        frame = language.frame.fill(words)
        return Rendered(
            subject=filled.subject,
            html=self._html(filled, frame, language.tag, str(words["company"])),
            text=_text(filled, frame, colon(language.tag)),
            locale=language.tag,
        )

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.is_dir())

    def _unknown(self, template: str) -> str:
        return f"there is no template {template!r}: {did_you_mean(template, self.names())}"

    def _faults_in(self, template: str, tag: str) -> Sequence[str]:
        try:
            language = self._language_for(template, tag)
            found = [*faults_of(language.frame, tag), *faults_of(language.document(template), tag)]
            if not found:
                self.render(template, sample_facts(locale=tag))
        except BadInput as error:
            return str(error).splitlines()
        return found

    def _language_for(self, template: str, locale: str) -> _Language:
        existing = {path.name.lower(): path for path in self._folders()}
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
        self._snippets = snippets_of(folder)
        self._documents: dict[str, Document] = {}
        own = (folder / FRAME).is_file()
        self.frame = Frame((folder if own else fallback) / FRAME, self._snippets)

    def document(self, template: str) -> Document:
        if template not in self._documents:
            self._documents[template] = Document(self._folder / f"{template}{SUFFIX}", self._snippets)
        return self._documents[template]


def _templates_in(folder: Path) -> frozenset[str]:
    return frozenset(path.stem for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("_"))


def _state(folder: Path) -> object:
    """Describe the files of a folder so that an edit shows."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()))


def _text(filled: Filled, frame: dict[str, str], mark: str) -> str:
    blocks = [filled.heading, *filled.paragraphs]
    if filled.button_text:
        blocks.append(f"{filled.button_text}{mark}\n{filled.button_link}")
    if filled.details:
        blocks.append("\n".join(f"{label}{mark} {value}" for label, value in filled.details))
    blocks.append(f"-- \n{frame['footer']}")
    return "\n\n".join(blocks) + "\n"
