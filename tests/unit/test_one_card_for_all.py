"""The sentence that one card settles all: said in a mail where its button leads to where that is so."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from messaging.samples import OTHERS
from tests.unit.mail_story import ASKING, FACTS, RENDERER, WONDERING, said


@pytest.mark.parametrize("language", RENDERER.languages())
@pytest.mark.parametrize("template", [*ASKING, *WONDERING])
def test_one_card_for_all_is_said_only_where_the_button_leads_there(language: str, template: str) -> None:
    several = replace(FACTS, locale=language, all_owed=OTHERS)
    without = said(RENDERER.render(template, several))
    together = said(RENDERER.render(template, replace(several, card_pays_all=True)))
    at_the_bank = replace(several, ask="confirm", confirm_link="https://bank.example/confirm")

    [line] = set(together.splitlines()) - set(without.splitlines())
    assert "INV-0057" in line
    assert re.search("button below|Schaltfläche unten|bouton ci-dessous|botón de abajo", line)
    assert not re.search(r"  | [.,;]|\{|\}", line.replace(" ;", ";"))
    for facts in (at_the_bank, replace(several, all_owed=())):
        assert RENDERER.render(template, replace(facts, card_pays_all=True)) == RENDERER.render(
            template, facts
        )
