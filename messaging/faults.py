"""What would keep a template from being sent, found before anybody is to get it.

Filling in a template shows only what is wrong in the branches that its facts lead to. So its names are
read off the parsed text first, every branch of it, and then it is filled in for every situation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liquid.exceptions import LiquidError, TemplateNotFoundError, UndefinedError

from errors import BadInput
from messaging.documents import REQUIRED, Filled, did_you_mean, line_at, placed
from messaging.samples import sample_facts, situations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liquid.static_analysis import TemplateAnalysis

    from messaging.documents import Document, Frame, Piece, Snippets

# What Liquid itself can ask of a text.
PARTS = frozenset({"size"})


def faults_of(document: Document | Frame, locale: str) -> list[str]:
    """List what is wrong with a document, each in one line with its file, and its line where there is one."""
    named = [
        fault for piece in document.pieces for fault in _in_names(piece, document.name, document.snippets)
    ]
    return list(dict.fromkeys(named)) or _when_filled(document, locale)


def _in_names(piece: Piece, name: str, snippets: Snippets) -> Iterator[str]:
    try:
        found = piece.template.analyze()
    except TemplateNotFoundError as error:
        missing = str(error.message)
        error.args = (f"there is no snippet {missing!r}: {did_you_mean(missing, snippets.texts)}",)
        yield placed(error, name, snippets, piece.source)
        found = piece.template.analyze(include_partials=False)
    except UndefinedError as error:
        # Only the name of a snippet is worked out without any facts.
        error.args = ("the name of a snippet stands in quotes, as in {% include 'hello' %}",)
        yield placed(error, name, snippets, piece.source)
        return
    except LiquidError as error:
        yield placed(error, name, snippets, piece.source)
        found = piece.template.analyze(include_partials=False)
    yield from _unknown(found, piece, name, snippets)


def _unknown(found: TemplateAnalysis, piece: Piece, name: str, snippets: Snippets) -> Iterator[str]:
    def place(snippet: str, index: int) -> str:
        if snippet:
            return f"{snippets.file_of(snippet)}: line {line_at(snippets.texts[snippet], index)}"
        return f"{name}: line {line_at(piece.source, index)}"

    known = sample_facts().words(snippets.language)
    for variables in found.globals.values():
        for variable in variables:
            root, parts = str(variable.segments[0]), variable.segments[1:]
            where = place(variable.span.template_name, variable.span.index)
            if root not in known:
                yield f"{where}: no variable is called {root!r}: {did_you_mean(root, known)}"
            elif parts and parts[0] not in PARTS:
                yield f"{where}: there is no {str(variable)!r}: {root} has no parts"
    filters = piece.template.env.filters
    for filter_name, spans in found.filters.items():
        for span in spans if filter_name not in filters else ():
            where = place(span.template_name, span.index)
            yield f"{where}: no filter is called {filter_name!r}: {did_you_mean(filter_name, filters)}"


def _when_filled(document: Document | Frame, locale: str) -> list[str]:
    """Fill the document in for every situation; several may show the same fault."""
    faults: dict[str, None] = {}
    for facts in situations(locale):
        try:
            filled = document.fill(facts.words(locale))
        except BadInput as error:
            faults[str(error)] = None
            continue
        if isinstance(filled, Filled):
            faults |= {
                f"{document.name}: the {key} can come out empty": None
                for key in REQUIRED
                if not getattr(filled, key)
            }
    return list(faults)
