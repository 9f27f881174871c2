"""A folder of templates: translations, edits, and what cannot be used, each with its place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from errors import BadInput
from messaging.rendering import TEMPLATES, Renderer
from tests.unit.mail_story import (
    FACTS,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    return tmp_path / "templates"


DUTCH = """---
subject: "Betaling van {{ amount }} aan {{ company }}"
heading: "Uw betaling"
details:
  Bedrag: "{{ amount }}"
---
{% if customer_name %}
Beste {{ customer_name }},
{% endif %}

op {{ failed_on }} is uw betaling niet gelukt.
"""


def test_a_translation_is_used_for_its_language_and_writes_days_in_it(folder: Path) -> None:
    (folder / "nl").mkdir()
    (folder / "nl" / "payment_failed.liquid").write_text(DUTCH)
    renderer = Renderer(folder)

    dutch = renderer.render("payment_failed", replace(FACTS, locale="nl-BE", currency="EUR"))
    untranslated = renderer.render("last_notice", replace(FACTS, locale="nl-BE"))

    assert dutch.locale == "nl"
    assert "op vrijdag 12 juni is" in dutch.text
    assert "Beste Ada Lovelace,\n\nop" in dutch.text
    assert 'lang="nl"' in dutch.html
    assert untranslated.locale == "en"


def test_paragraphs_are_parted_where_the_author_parted_them(folder: Path) -> None:
    (folder / "en" / "own.liquid").write_text(
        "---\nsubject: Hello\nheading: Hello\n---\n"
        "One,\n{% if reminder %}\nno reminder\n{% endif %}\n{% if has_card %}two{% endif %}\nand three.\n"
        "\n{% if reminder %}\nnothing\n{% endif %}\n  \n{% if has_card %}\nFour.\n\nFive.\n{% endif %}\n"
    )

    text = Renderer(folder).render("own", FACTS).text

    assert text.startswith("Hello\n\nOne, two and three.\n\nFour.\n\nFive.\n\n-- \n")


def test_an_edited_template_is_read_again_and_an_unchanged_one_is_kept(folder: Path) -> None:
    renderer = Renderer(folder)
    renderer.render("payment_failed", FACTS)
    kept = renderer._language_for("payment_failed", "en")
    assert renderer._language_for("payment_failed", "en") is kept

    path = folder / "en" / "payment_failed.liquid"
    path.write_text(path.read_text().replace("{% include 'hello' %}", "Good morning,"))

    assert "Good morning," in renderer.render("payment_failed", FACTS).text


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("Hello {{ custmer_name }}", "line 5: 'custmer_name' is undefined"),
        ("Hello\n{% if reminder %}", "expected tag endif"),
        ("{{ amount | loud }}", "line 5: unknown filter 'loud'"),
        ("{% include 'nothing' %}", "line 5: "),
        ("{% for i in (1..1000000000) %}x{% endfor %}", r"ranges such as \(1\.\.3\)"),
        ("{{ (1..1000000000) | join: 'x' }}", "ranges"),
        ("{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 30, "limit"),
        (
            "{% assign a = 'a b c d e f g h i j' | split: ' ' %}"
            + "{% for b in a %}" * 9
            + "{% endfor %}" * 9,
            "limit",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_named_with_its_line(folder: Path, body: str, fault: str) -> None:
    (folder / "en" / "own.liquid").write_text(f"---\nsubject: Hello\nheading: Hello\n---\n{body}\n")

    with pytest.raises(BadInput, match=fault) as raised:
        Renderer(folder).render("own", FACTS)

    assert "own.liquid" in str(raised.value)


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ("subject: Hello", "gives no heading"),
        ("heading: Hello", "gives no subject"),
        ("subject: Hello\nheading: Hello\nsubjct: Hi", r"unknown key 'subjct': did you mean subject\?"),
        ("subject: {{ amount }}", "in quotes"),
        ("subject: Hello: you", "line 2: "),
        ("subject: Hello\nheading: Hello\nbutton: here", "button in the head"),
        ("subject: Hi\nheading: Hi\nbutton: {text: Go, link: 'javascript:alert(1)'}", "no http address"),
        ("- subject", "each on a line"),
    ],
)
def test_a_head_that_cannot_be_used_is_named_with_a_way_out(folder: Path, head: str, fault: str) -> None:
    (folder / "en" / "own.liquid").write_text(f"---\n{head}\n---\nHello\n")

    with pytest.raises(BadInput, match=fault):
        Renderer(folder).render("own", FACTS)


def test_a_document_without_a_head_is_refused(folder: Path) -> None:
    (folder / "en" / "own.liquid").write_text("Hello\n")

    with pytest.raises(BadInput, match="starts with a head"):
        Renderer(folder).render("own", FACTS)


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"layout\.mjml"):
        Renderer(tmp_path)


def test_a_layout_that_is_no_mjml_is_refused(folder: Path) -> None:
    (folder / "layout.mjml").write_text("<mjml><mj-body>")

    with pytest.raises(BadInput, match=r"layout\.mjml"):
        Renderer(folder).render("payment_failed", FACTS)
