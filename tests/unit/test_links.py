"""Customers' links: signed, expiring, and good for one purpose on one case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeTimedSerializer

from errors import BadToken
from links import CHANGE_CARD, Links

SECRET = "a key of thirty-two characters!!"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIFETIME = timedelta(days=60)
CASE = "case_abcdefgh"
MESSAGE = f"{CASE}.day-1.message"


@pytest.fixture
def links() -> Links:
    return Links(SECRET, "https://pay.example", LIFETIME)


def test_a_link_leads_to_its_case_until_it_expires(links: Links) -> None:
    link = links.to_change_card(CASE, NOW)
    assert link.startswith("https://pay.example/pay/")
    token = link.removeprefix("https://pay.example/pay/")
    assert links.case_of(token, NOW) == CASE
    assert links.case_of(token, NOW + LIFETIME) == CASE
    with pytest.raises(BadToken, match="expired"):
        links.case_of(token, NOW + LIFETIME + timedelta(seconds=1))


def test_a_link_tells_which_mail_it_stood_in(links: Links) -> None:
    token = links.token(MESSAGE, NOW)
    assert links.case_of(token, NOW) == CASE
    assert links.message_of(token, NOW) == MESSAGE
    assert links.message_of(links.token(CASE, NOW), NOW) is None
    with pytest.raises(BadToken, match="expired"):
        links.message_of(token, NOW + LIFETIME + timedelta(seconds=1))
    with pytest.raises(BadToken, match="not one of ours"):
        links.message_of(token[:-4] + "AAAA", NOW)


def test_a_link_holds_no_character_that_a_mail_program_would_break(links: Links) -> None:
    token = links.token(MESSAGE, NOW)
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_a_later_mail_has_another_link_to_the_same_case(links: Links) -> None:
    later = NOW + timedelta(days=2)
    assert links.token(CASE, NOW) != links.token(CASE, later)
    assert links.case_of(links.token(CASE, later), later) == CASE


def test_every_character_of_a_link_counts(links: Links) -> None:
    token = links.token(CASE, NOW)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "Q"
        with pytest.raises(BadToken):
            links.case_of(token[:place] + other + token[place + 1 :], NOW)


def test_a_link_that_was_cut_short_is_refused(links: Links) -> None:
    token = links.token(CASE, NOW)
    for length in range(len(token)):
        with pytest.raises(BadToken, match="cut short"):
            links.case_of(token[:length], NOW)


def test_a_link_of_another_installation_is_refused(links: Links) -> None:
    other = Links("another key of thirty-two signs!", "https://pay.example", LIFETIME)
    with pytest.raises(BadToken, match="not one of ours"):
        links.case_of(other.token(CASE, NOW), NOW)


def test_what_we_signed_for_another_purpose_is_refused(links: Links) -> None:
    other = str(URLSafeTimedSerializer(SECRET, salt=f"not-{CHANGE_CARD}").dumps(CASE))
    with pytest.raises(BadToken, match="not one of ours"):
        links.case_of(other)


def test_a_link_without_a_time_given_is_read_by_the_clock(links: Links) -> None:
    assert links.case_of(links.token(CASE, datetime.now(UTC))) == CASE
    with pytest.raises(BadToken, match="expired"):
        links.case_of(links.token(CASE, datetime.now(UTC) - LIFETIME - timedelta(minutes=1)))
