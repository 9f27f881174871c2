"""What would keep a template from being sent: found in every branch and language, before anybody gets it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from messaging.rendering import TEMPLATES, Renderer
from messaging.samples import sample_facts, situations
from tests.unit.mail_story import RENDERER, said

if TYPE_CHECKING:
    from pathlib import Path

GOOD_HEAD = "subject: Hello\nheading: Hello"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    return tmp_path / "templates"


def faults(folder: Path, body: str, *, head: str = GOOD_HEAD, language: str = "en") -> tuple[str, ...]:
    """Give the faults of a template of one's own, whose body begins on line 5."""
    (folder / "en" / "own.liquid").write_text(f"---\n{GOOD_HEAD}\n---\nHello\n")
    (folder / language).mkdir(exist_ok=True)
    (folder / language / "own.liquid").write_text(f"---\n{head}\n---\n{body}\n")
    return Renderer(folder).faults("own")


@pytest.mark.parametrize("template", sorted(RENDERER.names()))
def test_what_ships_has_no_fault(template: str) -> None:
    assert RENDERER.faults(template) == ()


def test_a_template_that_does_not_exist_is_named_with_its_neighbour() -> None:
    assert RENDERER.faults("payment_faild") == (
        "there is no template 'payment_faild': did you mean payment_failed?",
    )
    [far] = RENDERER.faults("xyzzy")
    assert far.startswith("there is no template 'xyzzy': known are access_limited, card_declined, ")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            "Hello {{ custmer_name }}",
            "line 5: no variable is called 'custmer_name': did you mean customer_name?",
        ),
        # Only who has no card and is blocked would have met it.
        (
            "{% if has_card == false %}\n{% if access == 'blocked' %}\n\n{{ invoice_nr }}\n{% endif %}{% endif %}",
            "line 8: no variable is called 'invoice_nr': did you mean invoice_number?",
        ),
        ("One\n\n\nTwo\n{% if reminder %}{{ amt }}{% endif %}", "line 9: no variable is called 'amt'"),
        ("{% if nxt_charge_on %}x{% endif %}", "did you mean next_charge_on?"),
        (
            "{% case asks %}{% when 'nothing' %}x{% endcase %}",
            "no variable is called 'asks': did you mean ask?",
        ),
        ("{{ qqq }}", "no variable is called 'qqq': known are access, access_changes_on, all_owed, "),
        ("{{ company.name }}", "line 5: there is no 'company.name': company has no parts"),
        (
            "{% if reminder %}{{ amount | upcas }}{% endif %}",
            "no filter is called 'upcas': did you mean upcase?",
        ),
        (
            "{% if reminder %}{% include 'helo' %}{% endif %}",
            "line 5: there is no snippet 'helo': did you mean hello?",
        ),
        ("{% assign a = 'hello' %}{% include a %}", "line 5: the name of a snippet stands in quotes"),
        # Whoever is not reminded would get an error.
        ("{% if reminder %}{% assign n = 1 %}{% endif %}\n{{ n }}", "line 6: 'n' is undefined"),
        ("One\n\nTwo {{ amount | }}\n\nThree", "line 7: expected word"),
        ("One\n{% if reminder %}\nTwo\n{% if access %}x{% endif %}\nThree", "line 6: expected tag endif"),
        ("One\n\n{% iff reminder %}x{% endif %}", "line 7: unexpected tag 'iff'"),
        ("One\n{% for i in (1..9) %}x{% endfor %}", r"line 6: ranges such as (1..3) cannot be used in mails"),
    ],
)
def test_a_fault_of_the_text_is_named_with_its_line(folder: Path, body: str, found: str) -> None:
    [fault] = faults(folder, body)

    assert fault.startswith("en/own.liquid: line ")
    assert found in fault


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    head = 'subject: "{{ amnt }}"\nheading: Hello\ndetails:\n  Invoice: "{{ invoice }}"\nbutton:\n  text: Go\n  link: "{{ lnk }}"'

    assert faults(folder, "{{ compny }} {{ amnt }}", head=head) == (
        "en/own.liquid: line 2: no variable is called 'amnt': did you mean amount?",
        "en/own.liquid: line 10: no variable is called 'compny': did you mean company?",
        "en/own.liquid: line 10: no variable is called 'amnt': did you mean amount?",
        "en/own.liquid: line 5: no variable is called 'invoice': did you mean invoice_number?",
        "en/own.liquid: line 8: no variable is called 'lnk': did you mean link?",
    )
    head = 'subject: "{{ amount | }}"\nheading: "{% if %}x{% endif %}"'
    places = [fault.split(": ")[1] for fault in faults(folder, "{{", head=head)]
    assert places == ["line 2", "line 3", "line 5"]


def test_a_head_that_lets_somebody_down_is_told(folder: Path) -> None:
    head = 'subject: "{% if reminder %}Again{% endif %}"\nheading: Hello\nbutton:\n  text: Go\n  link: "{{ confirm_link }}"'

    assert faults(folder, "Hello", head=head) == (
        "en/own.liquid: the button leads to '', which is no http address",
        "en/own.liquid: the subject can come out empty",
    )
    assert faults(folder, "Hello", head="subject: Hello\nheadng: Hello") == (
        "en/own.liquid: line 3: the head has an unknown key 'headng': did you mean heading?",
        "en/own.liquid: the head gives no heading",
    )


def test_a_fault_in_a_snippet_is_told_with_the_snippets_file_and_line(folder: Path) -> None:
    snippet = folder / "en" / "_mine.liquid"

    snippet.write_text("\n\nOne\n\nTwo {{ amnt }}")
    assert faults(folder, "One\n{% if reminder %}{% include 'mine' %}{% endif %}\n{% include 'mine' %}") == (
        "en/_mine.liquid: line 5: no variable is called 'amnt': did you mean amount?",
    )
    snippet.write_text("\n\nOne\n\nTwo {{ amount | }}")
    assert faults(folder, "{% include 'mine' %}{{ lnk }}") == (
        "en/_mine.liquid: line 5: expected word, found end of expression",
        "en/own.liquid: line 5: no variable is called 'lnk': did you mean link?",
    )
    snippet.write_text("{% include 'mine' %}")
    [endless] = faults(folder, "{% include 'mine' %}")
    assert "maximum context depth" in endless


def test_every_language_is_looked_at(folder: Path) -> None:
    found = faults(folder, "Ciao {{ nome }}", language="it")

    assert len(found) == 1
    assert found[0].startswith("it/own.liquid: line 5: no variable is called 'nome'")


def test_a_faulty_frame_or_layout_keeps_every_mail_of_its_language_back(folder: Path) -> None:
    frame = folder / "en" / "_frame.yaml"
    kept = frame.read_text()

    frame.write_text('fallback: "Open this:"\nfooter: "{{ compny }}"\n')
    assert "en/_frame.yaml: line 2: no variable is called 'compny': did you mean company?" in faults(
        folder, "Hello"
    )
    frame.write_text('fallback: "Open this:"\n')
    assert "en/_frame.yaml: gives the texts fallback and footer" in faults(folder, "Hello")
    frame.write_text(kept)
    assert faults(folder, "Hello") == ()
    (folder / "layout.mjml").write_text("<mjml><mj-body>")
    assert all("layout.mjml" in fault for fault in faults(folder, "Hello"))
    assert faults(folder, "Hello")


@pytest.mark.parametrize(
    "body",
    [
        "{% assign days = amount | size %}{{ days }}",
        "{% for part in company %}{{ part }} {{ forloop.index }}{% endfor %}",
        "{% capture who %}{{ customer_name }}{% endcapture %}{% if who != '' %}{{ who }}{% endif %}",
        "{% comment %}{{ nobody }}{% endcomment %}{% raw %}{{ nobody }}{% endraw %}",
        "{% include 'mine', greeting: 'Hello' %}",
        "{% if company.size > 3 %}{{ company | upcase }}{% endif %}",
    ],
)
def test_what_can_be_sent_has_no_fault(folder: Path, body: str) -> None:
    (folder / "en" / "_mine.liquid").write_text("{{ greeting }}")

    assert faults(folder, body) == ()


def test_a_template_that_was_mended_has_no_fault_any_more(folder: Path) -> None:
    renderer = Renderer(folder)
    path = folder / "en" / "payment_failed.liquid"
    kept = path.read_text()

    path.write_text(kept + "{{ amnt }}")
    assert len(renderer.faults("payment_failed")) == 1
    path.write_text(kept)
    assert renderer.faults("payment_failed") == ()


def test_languages_are_those_in_which_there_is_something_to_send(folder: Path) -> None:
    (folder / "it").mkdir()
    (folder / "it" / "payment_failed.liquid").write_text(f"---\n{GOOD_HEAD}\n---\nCiao\n")
    (folder / "pictures").mkdir()
    (folder / "nl").mkdir()
    (folder / "nl" / "_hello.liquid").write_text("Dag,")
    renderer = Renderer(folder)

    assert renderer.languages()[0] == "en"
    assert set(renderer.languages()) - set(RENDERER.languages()) == {"it"}
    assert set(renderer.languages("payment_failed")) - set(RENDERER.languages("payment_failed")) == {"it"}
    assert "it" not in renderer.languages("last_notice")
    assert renderer.languages("nothing") == ()


def test_situations_bring_everything_together_with_everything_else() -> None:
    seen = [
        (
            facts.ask,
            facts.has_card,
            facts.next_charge_at is None,
            facts.access,
            facts.reminder,
            facts.final_action,
            facts.ends_at is None,
            facts.access_changes_at is None,
            facts.customer_name is None,
            facts.decline_words is None,
        )
        for facts in situations("en")
    ]

    for one, other in combinations(range(len(seen[0])), 2):
        every = {(a[one], b[other]) for a in seen for b in seen}
        assert {(facts[one], facts[other]) for facts in seen} == every


def test_a_sample_reads_like_a_mail_to_somebody() -> None:
    failed_at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    facts = sample_facts(
        link="https://pay.example/sample",
        failed_at=failed_at,
        locale="en-GB",
        timezone="Europe/London",
        amount=129900,
        currency="GBP",
        company="Northwind",
        decline_words="insufficient funds",
        next_charge_at=failed_at + timedelta(days=3),
        ends_at=failed_at + timedelta(days=28),
        final_action="cancel_now",
    )
    text = said(RENDERER.render("payment_failed", facts))

    assert "Your payment of £1,299.00 to Northwind did not go through on Monday 2 March" in text
    assert "Hello Ada Lovelace," in text
    assert "We will try again on Thursday 5 March." in text
    assert "If the payment has not gone through by Tuesday 31 March" in text  # summer time came in between
    assert "Card on file: Visa ending in 4242" in text
    assert sample_facts(has_card=False).card_last4 is None
    assert sample_facts(ask="confirm", link="https://pay.example/x").confirm_link == "https://pay.example/x"
    assert sample_facts(locale="tlh").customer_name == "Ada Lovelace"
