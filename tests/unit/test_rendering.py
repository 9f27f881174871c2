"""What mails say: true for every combination of facts, and harmless whatever a customer is called."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from campaigns.decline_rows import DUNWELL, STRIPE
from campaigns.declines import Ask
from campaigns.document import Campaign, FinalAction
from errors import BadInput
from messaging.wording import single_line
from tests.unit.mail_story import (
    ASKING,
    EVERY_MAIL,
    FACTS,
    LIBRARY,
    RENDERER,
    SPACES,
    TELLING,
    WONDERING,
    Reader,
    every_case,
    render,
    said,
)
from tests.unit.test_declines import TABLE, verdict_of


def test_every_template_that_a_shipped_campaign_names_exists() -> None:
    for path in LIBRARY.glob("*.yaml"):
        campaign = Campaign.model_validate(yaml.safe_load(path.read_text()))
        assert campaign.templates() <= RENDERER.names()
    assert set(EVERY_MAIL) == RENDERER.names()


@pytest.mark.parametrize("template", ASKING)
def test_an_asking_mail_is_true_in_every_case(template: str) -> None:
    document = RENDERER._language_for(template, "en").document(template)
    for case in every_case():
        filled = document.fill(case)
        text = " ".join([filled.subject, filled.preview, filled.heading, *filled.paragraphs])
        low = text.lower()
        confirming = case["ask"] == "confirm" and case["has_card"] and case["confirm_link"]
        assert filled.button_link == (FACTS.confirm_link if confirming else FACTS.link), case
        assert filled.button_text
        assert ("confirm the payment" in filled.button_text.lower()) == bool(confirming), case
        if not case["has_card"]:
            assert "no card on file" in low, case
            assert "declined" not in low
            assert "new card did" not in low
            assert filled.button_text == "Add a card"
            assert "Visa" not in str(filled)
        if case["has_card"] and case["next_charge_on"]:
            assert "try again on Monday, June 15" in text, case
        else:
            assert "try again on" not in low, case
            assert "no further attempt planned" in low or "cannot try again" in low, case
        if case["ask"] == "new card" and case["has_card"]:
            assert "add a different one" in low, case
        ends = case["final_action"] in {*FinalAction} - {FinalAction.LEAVE}
        assert ("cancelled" in low) == (case["final_action"] == "cancel_now"), case
        assert ("your subscription will" in low) == ends, case
        assert ("Friday, July 10" in text) == bool(ends and case["ends_on"]), case
        assert ("access is limited" in low) == (case["access"] == "limited"), case
        assert ("you cannot use your subscription" in low) == (case["access"] == "blocked"), case
        thanked = template == "card_declined" and case["has_card"] and case["ask"] != "confirm"
        assert "a reminder" in low or thanked or not case["reminder"], case
        assert "reminder" not in low or case["reminder"] or template == "last_notice", case
        assert not re.search(r"\bthe?ft\b|stolen|fraud|you failed|your fault|unfortunately|overdue", low)


@pytest.mark.parametrize("template", WONDERING)
def test_a_mail_that_wonders_is_true_in_every_case(template: str) -> None:
    document = RENDERER._language_for(template, "en").document(template)
    for case in every_case():
        filled = document.fill(case)
        text = " ".join([filled.subject, filled.preview, filled.heading, *filled.paragraphs])
        low = text.lower()
        trying = bool(case["has_card"] and case["next_charge_on"])
        assert (filled.button_link, filled.button_text) == (FACTS.link, "Stay or cancel"), case
        assert "did you mean to cancel your subscription" in low, case
        assert ("try again on Monday, June 15" in text) == trying, case
        assert ("do not charge the card" in low) == bool(case["has_card"] and not trying), case
        assert ("no card on file" in low) == (not trying and not case["has_card"]), case
        assert ("will be cancelled" in low) == (case["final_action"] == "cancel_now"), case
        assert ("your access is limited" in low) == (case["access"] == "limited"), case
        assert ("reminder" in low) == case["reminder"], case
        assert not re.search(r"insufficient|bank|stolen|fraud|unfortunately|overdue|reason", low), case


@pytest.mark.parametrize("template", TELLING)
def test_a_telling_mail_is_true_in_every_case(template: str) -> None:
    document = RENDERER._language_for(template, "en").document(template)
    for case in every_case():
        filled = document.fill(case)
        low = " ".join([filled.subject, filled.preview, filled.heading, *filled.paragraphs]).lower()
        assert "try again on" not in low
        assert "reminder" not in low
        if template == "payment_received":
            assert "cancel" not in low
            assert ("full access" in low) == (case["access"] == "full")
        else:
            assert ("has been cancelled" in low) == (case["final_action"] == "cancel_now"), case
            assert ("not be renewed" in low) == (case["final_action"] == "cancel_at_period_end"), case
            assert ("is paused" in low) == (case["final_action"] == "pause"), case
            assert ("marked as unpaid" in low) == (case["final_action"] == "mark_unpaid"), case
            assert ("invoice stays open" in low) == (case["final_action"] in {"leave", None}), case


@pytest.mark.parametrize("template", EVERY_MAIL)
def test_both_forms_say_the_same(template: str) -> None:
    rendered = render(template)

    seen = " ".join(Reader(rendered.html).text.split())
    for line in rendered.text.replace("-- \n", "").splitlines():
        for part in re.split(r": |:$", line):
            assert " ".join(part.split()) in seen
    assert "Northwind" in seen
    assert "NW-0042" in seen


@pytest.mark.parametrize("template", EVERY_MAIL)
def test_what_is_not_known_leaves_no_gap(template: str) -> None:
    rendered = render(
        template,
        customer_name=None,
        invoice_number=None,
        decline_words=None,
        card_network=None,
        card_last4=None,
        timezone=None,
        next_charge_at=None,
        ends_at=None,
        final_action=None,
        access_changes_at=None,
        confirm_link=None,
    )

    text = said(rendered)
    assert "Hello," in text
    assert "None" not in text
    assert not re.search(r"  |\s[.,;]|\(\)|\{|\}|Invoice:|reason|for invoice", text.replace("-- \n", ""))


def test_the_bank_s_reason_is_told_only_where_it_may_be() -> None:
    assert "The bank gave this reason: insufficient funds." in said(render())
    assert "reason" not in said(render(decline_words=None))
    assert "insufficient" not in said(render(has_card=False))


def test_a_reason_is_told_in_words_that_a_person_understands() -> None:
    told = {code.replace("_", " "): verdict_of(code) for code in TABLE.codes(STRIPE, DUNWELL)}
    for words, verdict in told.items():
        if not verdict.disclose or verdict.ask is Ask.CONFIRM:
            continue
        text = render(decline_words=words).text
        repeated = f"The bank gave this reason: {words}." in text
        assert repeated == (words == "insufficient funds"), words
    assert "is still open. The card has expired.\n" in render(decline_words="expired card").text
    assert "is still open.\n" in render(decline_words=None).text


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7*7 }}{% include 'hello' %}",
    "</mj-text><mj-raw><img src=x onerror=alert(1)></mj-raw>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    '" onmouseover="alert(1)',
    "]]><!-- <b>",
    "Ada\r\nBcc: all@example.com",
    "Ada\u2028Bcc: all",
    "\u202egnp.exe",
    "x" * 5000,
    "\x00\x1b[31m",
]
PLAIN_ELEMENTS = Reader(render().html).elements


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:30])
@pytest.mark.parametrize(
    "field", ["customer_name", "company", "invoice_number", "card_network", "decline_words"]
)
def test_no_name_becomes_markup_or_a_header(field: str, name: str) -> None:
    rendered = render(**{field: name})

    page = Reader(rendered.html)
    assert page.elements <= PLAIN_ELEMENTS
    assert page.handlers == []
    assert set(page.links) == {FACTS.link}
    assert "49" not in said(rendered).replace("$49.00", "")
    assert rendered.subject.isprintable()
    assert len(rendered.subject.splitlines()) == 1
    assert "\r" not in rendered.text
    if field == "company":
        assert single_line(name) in page.text, "it is shown as it is, not as what it would mean"


@given(st.text(max_size=60))
def test_any_company_is_shown_as_it_is_called(name: str) -> None:
    rendered = render(company=name)

    page = Reader(rendered.html)
    assert page.elements <= PLAIN_ELEMENTS
    assert set(page.links) == {FACTS.link}
    assert single_line(name) in page.text
    assert not re.search(r"[\r\n\x00-\x1f\x7f-\x9f\u2028\u2029]", rendered.subject)


@pytest.mark.parametrize(
    "name", ["Win at evil.example", "http://evil.example", "www.evil", "a@evil.example", "x" * 81, "  ", ""]
)
def test_a_greeting_is_no_place_for_advertising(name: str) -> None:
    rendered = render(customer_name=name)

    assert "Hello,\n" in rendered.text
    assert "evil" not in rendered.html


@pytest.mark.parametrize(
    "name", ["J.R.R. Tolkien", "María-José O'Neill", "李小龍", "Dr. Smith, Jr.", "علی رضا"]
)
def test_people_are_greeted_by_their_names(name: str) -> None:
    assert f"Hello {name}," in render(customer_name=name).text


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        (4900, "USD", "en-US", "$49.00"),
        (4900, "usd", "en", "$49.00"),
        (123456, "EUR", "de-DE", "1.234,56 €"),
        (4900, "EUR", "fr", "49,00 €"),
        (4900, "BRL", "pt-BR", "R$ 49,00"),
        (4900, "JPY", "ja-JP", "￥4,900"),
        (4900, "JPY", "en-US", "¥4,900"),
        (12345, "KWD", "en-US", "KWD 12.345"),
        (500, "XPF", "en", "CFPF 500"),
        # Stripe counts these in hundredths, although they have none: what is whole is shown whole.
        (490000, "ISK", "en", "ISK 4,900"),
        (490050, "ISK", "en", "ISK 4,900.50"),
        (490000, "UGX", "en", "UGX 4,900"),
        (99, "USD", "en", "$0.99"),
        (4900, "USD", "", "$49.00"),
        (4900, "USD", "tlh-Qaak", "$49.00"),
        (4900, "USD", "en-u-nu-arab", "$49.00"),
    ],
)
def test_money_is_written_as_the_customer_reads_it(
    amount: int, currency: str, locale: str, written: str
) -> None:
    assert written in said(render(amount=amount, currency=currency, locale=locale)).translate(SPACES)


@pytest.mark.parametrize(
    ("locale", "timezone", "written"),
    [
        ("en", None, "on Friday, June 12"),
        ("en-US", "UTC", "on Friday, June 12"),
        ("en-GB", "Europe/London", "on Friday 12 June"),
        ("pt-BR", "America/Sao_Paulo", "on Friday, 12 June"),
        ("nl-NL", "Europe/Amsterdam", "on Friday, 12 June"),
        ("en", "Asia/Tokyo", "on Saturday, June 13"),
        ("en", "Mars/Olympus", "on Friday, June 12"),
        ("en", "../etc/passwd", "on Friday, June 12"),
    ],
)
def test_days_are_the_customer_s_in_the_text_s_language(
    locale: str, timezone: str | None, written: str
) -> None:
    failed_at = datetime(2026, 6, 12, 18, tzinfo=UTC)
    rendered = render(locale=locale, timezone=timezone, failed_at=failed_at)

    assert f"{written} and is still open" in rendered.text
    assert rendered.locale == "en"


@pytest.mark.parametrize(
    ("network", "last4", "written"),
    [
        ("visa", "4242", "Card on file: Visa ending in 4242"),
        ("mastercard", "4444", "Card on file: Mastercard ending in 4444"),
        ("amex", "0005", "Card on file: American Express ending in 0005"),
        ("cartes_bancaires", "1000", "Card on file: Cartes Bancaires ending in 1000"),
        # Half of what is needed says nothing that anybody could use.
        ("unknown", "4242", None),
        (None, "4242", None),
        ("visa", None, None),
    ],
)
def test_a_card_is_written_as_it_is_printed(
    network: str | None, last4: str | None, written: str | None
) -> None:
    text = render(card_network=network, card_last4=last4).text

    assert written in text if written else "Card on file" not in text


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="failed_at"):
        render(failed_at=datetime(2026, 6, 12))  # noqa: DTZ001


def test_an_unknown_template_is_named_with_its_neighbour() -> None:
    with pytest.raises(BadInput, match=r"'payment_faild': did you mean payment_failed\?"):
        render("payment_faild")
    with pytest.raises(BadInput, match="known are access_limited, card_declined"):
        render("xyzzy")
    for name in ["_hello", "../layout", "en/payment_failed", ""]:
        with pytest.raises(BadInput):
            render(name)


def test_subjects_fit_in_an_inbox() -> None:
    for template in EVERY_MAIL:
        assert len(render(template).subject) <= 90, template
