"""The languages that ship: complete, true for every combination of facts, polite, and free of English."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.decline_rows import DUNWELL, STRIPE
from campaigns.declines import Ask
from campaigns.document import FinalAction
from messaging.rendering import TEMPLATES
from messaging.samples import OTHERS
from tests.unit.mail_story import (
    ASKING,
    EVERY_MAIL,
    FACTS,
    RENDERER,
    SPACES,
    TELLING,
    WONDERING,
    Reader,
    every_case,
    said,
)
from tests.unit.test_declines import TABLE, verdict_of

if TYPE_CHECKING:
    from messaging.documents import Document, Filled

ENGLISH = "en"
LEFT_OVER = r"\b(the|your|you|payment|card|we|until|please|subscription|again|been|bank asks|visa ending)\b"


@dataclass(frozen=True)
class Phrases:
    """What gives away that a text says something, as patterns in small letters."""

    no_card: str
    add_card: str
    confirm: str
    will_try: str
    will_try_on: str
    will_not_try: str
    other_card: str
    ends: dict[str, str]
    last_day: str
    limited: str
    blocked: str
    reminder: str
    ended: dict[str, str]
    full_access: str
    meant: str
    spared: str
    bank: str
    too_familiar: str
    never: str


PHRASES = {
    "de": Phrases(
        no_card="keine karte dafür hinterlegt",
        add_card="Karte hinzufügen",
        confirm="Zahlung bestätigen",
        will_try=r"versuchen (wir )?es am\b",
        will_try_on=r"versuchen (wir )?es am montag, 15\. juni",
        will_not_try="kein weiterer versuch geplant|können wir es nicht erneut versuchen",
        other_card="fügen sie deshalb eine andere hinzu",
        ends={
            "cancel_now": "wird ihr abonnement beendet",
            "cancel_at_period_end": "wird ihr abonnement nach dem laufenden zeitraum nicht verlängert",
            "mark_unpaid": "wird ihr abonnement als unbezahlt geführt",
            "pause": "wird ihr abonnement pausiert",
        },
        last_day=r"freitag, 10\. juli",
        limited="ist ihr zugang eingeschränkt",
        blocked="können sie ihr abonnement nicht nutzen",
        reminder="erinnerung",
        ended={
            "cancel_now": "ihr abonnement wurde deshalb beendet",
            "cancel_at_period_end": "mit dem laufenden zeitraum und wird nicht verlängert",
            "mark_unpaid": "wird deshalb als unbezahlt geführt",
            "pause": "ist deshalb pausiert",
            "leave": "die rechnung bleibt offen",
        },
        full_access="vollen zugang",
        meant="wollten sie ihr abonnement kündigen",
        spared="karte belasten wir für diese zahlung nicht noch einmal",
        bank=r"\bbank|grund|deckung",
        too_familiar=r"\b(du|dich|dir|dein\w*|euch|euer|eure\w*)\b",
        never=r"diebstahl|gestohlen|betrug|betrüg|leider|schuld|mahn|versäum|überfällig|verzug",
    ),
    "fr": Phrases(
        no_card="aucune carte n.est enregistrée pour le régler",
        add_card="Ajouter une carte",
        confirm="Confirmer le paiement",
        will_try="ferons une nouvelle tentative le",
        will_try_on="ferons une nouvelle tentative le lundi 15 juin",
        will_not_try="aucune nouvelle tentative n.est (prévue|possible)",
        other_card="merci d.en ajouter une autre",
        ends={
            "cancel_now": "votre abonnement sera résilié",
            "cancel_at_period_end": "votre abonnement ne sera pas renouvelé",
            "mark_unpaid": "votre abonnement sera marqué comme impayé",
            "pause": "votre abonnement sera mis en pause",
        },
        last_day="vendredi 10 juillet",
        limited="votre accès est limité",
        blocked="vous ne pouvez pas utiliser votre abonnement",
        reminder="rappel",
        ended={
            "cancel_now": "votre abonnement a donc été résilié",
            "cancel_at_period_end": "avec la période en cours et ne sera pas renouvelé",
            "mark_unpaid": "est donc marqué comme impayé",
            "pause": "est donc en pause",
            "leave": "la facture reste ouverte",
        },
        full_access="accès complet",
        meant="souhaitiez-vous résilier votre abonnement",
        spared="carte enregistrée ne sera pas débitée à nouveau",
        bank="banque|motif|provision",
        too_familiar=r"\b(tu|toi|ton|ta|tes)\b",
        never=r"\bvol\b|volée|fraude|malheureusement|\bfaute\b|retard|à défaut|relance",
    ),
    "es": Phrases(
        no_card="no tenemos ninguna tarjeta registrada",
        add_card="Añadir una tarjeta",
        confirm="Confirmar el pago",
        will_try="volveremos a intentarlo el",
        will_try_on="volveremos a intentarlo el lunes, 15 de junio",
        will_not_try="no hay ningún otro intento previsto|antes no podemos volver a intentarlo",
        other_card="por favor, añada otra",
        ends={
            "cancel_now": "su suscripción se cancelará",
            "cancel_at_period_end": "su suscripción no se renovará",
            "mark_unpaid": "su suscripción se marcará como impagada",
            "pause": "su suscripción quedará en pausa",
        },
        last_day="viernes, 10 de julio",
        limited="su acceso está limitado",
        blocked="no puede utilizar su suscripción",
        reminder="recordamos|recordatorio",
        ended={
            "cancel_now": "por eso, su suscripción se ha cancelado",
            "cancel_at_period_end": "termina con el período actual y no se renovará",
            "mark_unpaid": "por eso, su suscripción está marcada como impagada",
            "pause": "por eso, su suscripción está en pausa",
            "leave": "la factura sigue pendiente",
        },
        full_access="acceso completo",
        meant="quería cancelar su suscripción",
        spared="no volveremos a hacer ningún cobro de este pago en la tarjeta registrada",
        bank="banco|motivo|saldo",
        too_familiar=r"\b(tú|tu|tus|ti|te|contigo|vosotros|vuestr\w+)\b",
        never=r"robo|robada|fraude|lamenta|desgracia|culpa|moros|atrasad|vencid|deuda",
    ),
}
every_language = pytest.mark.parametrize("language", PHRASES)


@cache
def every_mail(template: str, language: str) -> list[tuple[dict[str, Any], Filled]]:
    """Fill a template in for every case; give each case with what came of it."""
    document = document_of(template, language)
    return [(case, document.fill(case)) for case in every_case(language, deadlines_each=2)]


def document_of(template: str, language: str) -> Document:
    return RENDERER._language_for(template, language).document(template)


def told(filled: Filled) -> str:
    return " ".join([filled.subject, filled.preview, filled.heading, *filled.paragraphs]).lower()


def says(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def names_in(template: str, language: str) -> set[str]:
    """Name every variable that a template, or a snippet that it puts in, asks for."""
    return {
        name for piece in document_of(template, language).pieces for name in piece.template.analyze().globals
    }


def test_these_languages_ship() -> None:
    assert RENDERER.languages() == (ENGLISH, *sorted(PHRASES))


@every_language
def test_a_language_has_every_file_that_english_has(language: str) -> None:
    english = {path.name for path in (TEMPLATES / ENGLISH).iterdir()}
    assert {path.name for path in (TEMPLATES / language).iterdir()} == english


@every_language
@pytest.mark.parametrize("template", EVERY_MAIL)
def test_a_language_says_with_the_same_words_what_english_says(language: str, template: str) -> None:
    assert names_in(template, language) == names_in(template, ENGLISH)


@every_language
@pytest.mark.parametrize("template", EVERY_MAIL)
def test_no_english_is_left_over(language: str, template: str) -> None:
    for (case, filled), (_, original) in zip(
        every_mail(template, language), every_mail(template, ENGLISH), strict=True
    ):
        assert len(filled.paragraphs) == len(original.paragraphs), case
        assert len(filled.details) == len(original.details), case
        here, there = _sayings(filled), _sayings(original)
        assert not here & there, case
        assert not says(LEFT_OVER, " ".join(here).lower()), case


def _sayings(filled: Filled) -> set[str]:
    labels = {label for label, _ in filled.details}
    headers = {filled.subject, filled.preview, filled.heading, filled.button_text}
    return {*headers, *filled.paragraphs, *labels} - {""}


@every_language
@pytest.mark.parametrize("template", ASKING)
def test_an_asking_mail_is_true_in_every_case(language: str, template: str) -> None:
    phrases = PHRASES[language]
    for case, filled in every_mail(template, language):
        text = told(filled)
        has_card, asked = case["has_card"], case["ask"]
        confirming = asked == "confirm" and has_card and case["confirm_link"]
        assert filled.button_link == (FACTS.confirm_link if confirming else FACTS.link), case
        assert (filled.button_text == phrases.confirm) == bool(confirming), case
        assert (filled.button_text == phrases.add_card) == (not has_card), case
        assert says(phrases.no_card, text) == (not has_card), case
        assert has_card or "visa" not in str(filled).lower(), case
        trying = bool(has_card and case["next_charge_on"])
        assert says(phrases.will_try_on, text) == says(phrases.will_try, text) == trying, case
        assert says(phrases.will_not_try, text) == (not trying), case
        assert says(phrases.other_card, text) or asked != "new card" or not has_card, case
        for action, pattern in phrases.ends.items():
            assert says(pattern, text) == (case["final_action"] == action), case
        ends = case["final_action"] in phrases.ends and case["ends_on"]
        assert says(phrases.last_day, text) == bool(ends), case
        assert says(phrases.limited, text) == (case["access"] == "limited"), case
        assert says(phrases.blocked, text) == (case["access"] == "blocked"), case
        thanked = template == "card_declined" and has_card and asked != "confirm"
        assert says(phrases.reminder, text) or thanked or not case["reminder"], case
        assert not says(phrases.reminder, text) or case["reminder"] or template == "last_notice", case


@every_language
@pytest.mark.parametrize("template", WONDERING)
def test_a_mail_that_wonders_is_true_in_every_case(language: str, template: str) -> None:
    phrases = PHRASES[language]
    for case, filled in every_mail(template, language):
        text = told(filled)
        trying = bool(case["has_card"] and case["next_charge_on"])
        assert filled.button_link == FACTS.link, case
        assert says(phrases.meant, text), case
        assert not says(phrases.bank, text), case
        assert says(phrases.will_try_on, text) == says(phrases.will_try, text) == trying, case
        assert says(phrases.spared, text) == bool(case["has_card"] and not trying), case
        for action, pattern in phrases.ends.items():
            assert says(pattern, text) == (case["final_action"] == action), case
        assert says(phrases.limited, text) == (case["access"] == "limited"), case
        assert says(phrases.blocked, text) == (case["access"] == "blocked"), case
        assert says(phrases.reminder, text) == case["reminder"], case


@every_language
@pytest.mark.parametrize("template", TELLING)
def test_a_telling_mail_is_true_in_every_case(language: str, template: str) -> None:
    phrases = PHRASES[language]
    for case, filled in every_mail(template, language):
        text = told(filled)
        assert not says(phrases.will_try, text), case
        assert not says(phrases.reminder, text), case
        if template == "payment_received":
            assert says(phrases.full_access, text) == (case["access"] == "full"), case
        for action, pattern in phrases.ended.items():
            ended = template == "subscription_ended" and (case["final_action"] or "leave") == action
            assert says(pattern, text) == ended, case


@every_language
@pytest.mark.parametrize("template", EVERY_MAIL)
def test_a_customer_is_addressed_politely_and_blamed_for_nothing(language: str, template: str) -> None:
    phrases = PHRASES[language]
    for case, filled in every_mail(template, language):
        text = f"{told(filled)} {filled.button_text.lower()}"
        assert not says(phrases.too_familiar, text), case
        assert not says(phrases.never, text), case


@every_language
def test_every_reason_that_may_be_told_is_told_in_the_language(language: str) -> None:
    document = document_of("payment_failed", language)
    facts = replace(FACTS, locale=language)

    def reason(words: str | None) -> str:
        [_, happened, *_] = document.fill(replace(facts, decline_words=words).words(language)).paragraphs
        return happened

    nothing, unheard_of = reason(None), reason("a code that nobody has heard of")
    assert unheard_of.startswith(nothing)
    assert "nobody" not in unheard_of
    for code in TABLE.codes(STRIPE, DUNWELL):
        verdict, words = verdict_of(code), code.replace("_", " ")
        if verdict.disclose and verdict.ask is not Ask.CONFIRM:
            assert reason(words) not in {nothing, unheard_of}, words
            assert words not in reason(words)


@every_language
@pytest.mark.parametrize("template", EVERY_MAIL)
def test_both_forms_of_a_mail_say_the_same_in_its_language(language: str, template: str) -> None:
    rendered = RENDERER.render(template, replace(FACTS, locale=f"{language}-{language.upper()}"))
    page = Reader(rendered.html)

    assert rendered.locale == language
    assert f'lang="{language}"' in rendered.html
    assert len(rendered.subject) <= 95
    seen = " ".join(page.text.split())
    for line in rendered.text.replace("-- \n", "").splitlines():
        for part in re.split(r"\s?: |\s?:$", line):
            assert " ".join(part.split()) in seen
    assert not re.search(r"  | [.,]|\(\)|\{|\}|None", said(rendered).replace("-- \n", ""))


@every_language
@pytest.mark.parametrize("template", EVERY_MAIL)
def test_what_is_not_known_leaves_no_gap(language: str, template: str) -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        [
            *("customer_name", "invoice_number", "decline_words", "card_network", "card_last4", "timezone"),
            *("next_charge_at", "ends_at", "final_action", "access_changes_at", "confirm_link"),
        ]
    )
    text = said(RENDERER.render(template, replace(FACTS, locale=language, **unknown)))

    assert "None" not in text
    assert not re.search(r"  | [.,;]|\(\)|\{|\}", text.replace("-- \n", ""))
    assert re.search(r"^(Guten Tag,|Bonjour,|Hola:)$", text, re.MULTILINE)


@pytest.mark.parametrize("language", RENDERER.languages())
@pytest.mark.parametrize("template", [*ASKING, *WONDERING, "payment_received"])
def test_all_that_is_owed_is_named_where_it_is_more_than_this_payment(language: str, template: str) -> None:
    alone = replace(FACTS, locale=language)
    together = said(RENDERER.render(template, replace(alone, all_owed=OTHERS)))

    assert "INV-0057" not in said(RENDERER.render(template, alone))
    [line] = [line for line in together.splitlines() if "INV-0057" in line]
    written = line.translate(SPACES)
    # 49.00 and 12.50 euros, and 9.00 francs: no currency is changed into another.
    for amount in (r"61[.,]50", r"49[.,]00", r"12[.,]50", r"9[.,]00"):
        assert re.search(amount, written), amount
    assert "INV-0042" in written
    assert len(re.findall("2026|June|Juni|junio|juin", written)) >= len(OTHERS)
    assert not re.search(r"  | [.,;]|\(\)|\{|\}|None", written.replace(" ;", ";"))


@pytest.mark.parametrize("language", RENDERER.languages())
def test_a_receipt_says_that_nothing_is_left_only_where_it_is_so(language: str) -> None:
    alone = replace(FACTS, locale=language)
    before = RENDERER.render("payment_received", alone).text.split("\n\n")
    after = RENDERER.render("payment_received", replace(alone, all_owed=OTHERS)).text.split("\n\n")

    nothing_left = r"(nothing left|nichts weiter|nada más|plus rien)"
    [received] = [paragraph for paragraph in before if re.search(nothing_left, paragraph)]
    [shorter] = [
        paragraph for paragraph in after if "NW-0042" in paragraph and received.startswith(paragraph)
    ]
    assert not re.search(nothing_left, "".join(after)), shorter


def test_a_label_in_french_stands_off_its_colon() -> None:
    text = RENDERER.render("payment_failed", replace(FACTS, locale="fr")).text

    assert "Facture\u00a0: NW-0042" in text
    assert "Utiliser une autre carte\u00a0:\nhttps://" in text


def test_every_final_action_has_its_phrase() -> None:
    for phrases in PHRASES.values():
        assert set(phrases.ends) == {*FinalAction} - {FinalAction.LEAVE}
        assert set(phrases.ended) == {*FinalAction}
