"""Signing in to the studio and out of it, and changing one's own password."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import credentials
from store.accounts import FREE_TRIES, Role
from store.sessions import digest_of
from tests.integration.studio_side import ORIGIN, PASSWORD, opened_studio
from tests.unit.test_credentials import WatchedHasher
from web.studio.bound import MOST_TRIES
from web.studio.sign_in import REFUSED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

NEW = "quite another handful of words"
ADA = "account ada@example.com"


async def test_a_person_signs_in_looks_and_signs_out(studio: Studio) -> None:
    await studio.add("ada@example.com", name="Ada")
    browser = await studio.browser()
    away = await browser.open("/studio/audit?by=ada@example.com")
    assert away.status_code == 303
    assert away.headers["location"] == "/studio/sign-in?next=%2Fstudio%2Faudit%3Fby%3Dada%40example.com"
    form = await browser.open(away.headers["location"])
    assert form.status_code == 200
    assert 'value="/studio/audit?by=ada@example.com"' in form.text
    inside = await browser.sign_in("Ada@Example.com ", next_page="/studio/audit?by=ada@example.com")
    assert inside.headers["location"] == "/studio/audit?by=ada@example.com"
    page = await browser.open(inside.headers["location"])
    assert page.status_code == 200
    assert "Signed in as Ada (viewer)" in browser.shown
    assert (await browser.open("/studio/sign-in")).headers["location"] == "/studio"
    out = await browser.send("/studio/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/studio/sign-in")
    assert "You are signed out." in (await browser.open("/studio/sign-in")).text
    assert "You are signed out." not in (await browser.open("/studio/sign-in")).text
    assert (await browser.open("/studio/audit")).status_code == 303
    assert await studio.sessions("ada@example.com") == []
    assert await studio.log() == [
        ("the test", "account added", ADA, "as viewer, called Ada"),
        ("ada@example.com", "signed in", ADA, ""),
        ("ada@example.com", "signed out", ADA, ""),
    ]


async def test_signing_out_ends_this_browsers_session_alone(studio: Studio) -> None:
    desk = await studio.signed_in("ada@example.com")
    phone = await studio.browser("192.0.2.2")
    await phone.sign_in("ada@example.com")
    stolen = desk.token
    await desk.send("/studio/sign-out")
    assert (await phone.open("/studio/audit")).status_code == 200
    thief = await studio.browser("192.0.2.3")
    thief.plant(stolen)
    assert (await thief.open("/studio/audit")).status_code == 303


# --- sessions --------------------------------------------------------------------------------------


async def test_a_session_that_somebody_else_began_is_not_the_one_that_is_signed_in(studio: Studio) -> None:
    mallory = await studio.signed_in("mallory@example.com")
    planted = mallory.token
    await studio.add("ada@example.com")
    victim = await studio.browser("192.0.2.2")
    for cookie in (planted, "chosen-by-somebody-else"):
        victim.plant(cookie)
        await victim.sign_in("ada@example.com")
        assert victim.token != cookie
        assert "Signed in as ada@example.com" in victim.shown
    assert await studio.sessions("mallory@example.com") == []
    mallory.plant(planted)
    assert (await mallory.open("/studio/audit")).status_code == 303


async def test_each_sign_in_has_a_session_of_its_own_and_ends_the_browsers_last(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    first = browser.token
    await browser.sign_in("ada@example.com")
    second = browser.token
    assert first != second
    assert [row.digest for row in await studio.sessions("ada@example.com")] == [digest_of(second)]


async def test_a_session_ends_by_itself_and_use_prolongs_it_up_to_a_week(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    for hours in range(11, 7 * 24, 11):
        studio.desk.ahead = timedelta(hours=hours)
        assert (await browser.open("/studio/audit")).status_code == 200
    studio.desk.ahead = timedelta(days=7, seconds=1)
    over = await browser.open("/studio/audit")
    assert over.status_code == 303
    assert 'dunwell-studio=""' in over.headers["set-cookie"]
    await browser.sign_in("ada@example.com")
    studio.desk.ahead += timedelta(hours=12)
    assert (await browser.open("/studio/audit")).status_code == 303


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [
        ("http://studio.example", "dunwell-studio", False),
        ("https://studio.example", "__Host-dunwell-studio", True),
    ],
)
async def test_the_cookie_is_for_the_server_alone(
    database_url: str, tmp_path: Path, public_url: str, name: str, *, secure: bool
) -> None:
    async with opened_studio(database_url, tmp_path, public_url=public_url) as studio:
        await studio.add("ada@example.com", must_change=True)
        browser = await studio.browser()
        browser.http.base_url = public_url
        answer = await browser.sign_in("ada@example.com")
        cookie = answer.headers["set-cookie"]
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert cookie.startswith(f"{name}=")
        assert attributes == {"httponly", "samesite=lax", "path=/", "max-age=604800"} | (
            {"secure"} if secure else set()
        )
        assert (await browser.open("/studio/password")).status_code == 200
        out = await browser.send("/studio/sign-out")
        taken = [header for header in out.headers.get_list("set-cookie") if header.startswith(f"{name}=")]
        assert len(taken) == 1
        assert "Max-Age=0" in taken[0]
        assert ("Secure" in taken[0]) is secure
        notices = [header for header in out.headers.get_list("set-cookie") if "notice" in header]
        assert [("Secure" in header, "HttpOnly" in header) for header in notices] == [(secure, True)]


# --- wrong passwords -------------------------------------------------------------------------------


async def test_a_wrong_password_an_unknown_address_and_a_disabled_account_look_alike(studio: Studio) -> None:
    await studio.add("ada@example.com")
    await studio.add("gone@example.com", active=False)
    await studio.add("rests@example.com", failures=FREE_TRIES, locked_for=timedelta(hours=1))
    browser = await studio.browser()
    pages = set()
    for email, password in (
        ("ada@example.com", "not the password"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("rests@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.com\x00", PASSWORD),
    ):
        answer = await browser.sign_in(email, password)
        assert answer.status_code == 401
        assert REFUSED in browser.shown
        assert "set-cookie" not in answer.headers
        pages.add(browser.shown)
    assert len(pages) == 1
    assert await studio.log("account added") == []


async def test_every_refusal_costs_one_look_at_a_password(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.add("ada@example.com")
    await studio.add("gone@example.com", active=False)
    await studio.add("rests@example.com", failures=FREE_TRIES, locked_for=timedelta(hours=1))
    watched = WatchedHasher()
    monkeypatch.setattr(credentials, "hasher", watched)
    browser = await studio.browser()
    asked = {}
    for name in ("ada", "gone", "rests", "nobody"):
        watched.asked.clear()
        await browser.sign_in(f"{name}@example.com", "not the password")
        asked[name] = list(watched.asked)
    assert asked == {"ada": ["verify"], "gone": ["hash"], "rests": ["hash"], "nobody": ["hash"]}


async def test_after_five_wrong_passwords_the_right_one_has_to_wait(studio: Studio) -> None:
    await studio.add("ada@example.com")
    browser = await studio.browser()
    for _ in range(FREE_TRIES):
        assert (await browser.sign_in("ada@example.com", "not the password")).status_code == 401
    assert (await browser.sign_in("ada@example.com")).status_code == 401
    studio.desk.ahead = timedelta(seconds=29)
    assert (await browser.sign_in("ada@example.com")).status_code == 401
    studio.desk.ahead = timedelta(seconds=31)
    assert (await browser.sign_in("ada@example.com")).status_code == 303
    row = await studio.account("ada@example.com")
    assert (row.failures, row.locked_until) == (0, None)
    assert [(by, action, subject) for by, action, subject, _ in await studio.log("account added")] == [
        ("the sign-in page", "account rests", ADA),
        ("ada@example.com", "signed in", ADA),
    ]


async def test_one_client_cannot_try_one_password_on_everybody(studio: Studio) -> None:
    await studio.add("ada@example.com")
    spraying = await studio.browser("203.0.113.7")
    for number in range(MOST_TRIES):
        answer = await spraying.sign_in(f"person{number}@example.com", "Spring in Paris 2026")
        assert answer.status_code == 401
    for email in ("ada@example.com", "person99@example.com"):
        answer = await spraying.sign_in(email)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 600
        assert "There were too many wrong passwords from your network" in spraying.shown
    elsewhere = await studio.browser("203.0.113.8")
    assert (await elsewhere.sign_in("ada@example.com")).status_code == 303
    studio.desk.ahead = timedelta(minutes=10, seconds=1)
    assert (await spraying.sign_in("ada@example.com")).status_code == 303


async def test_a_hash_with_outdated_parameters_is_renewed_at_the_next_sign_in(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.add("ada@example.com")
    old = (await studio.account("ada@example.com")).password_hash
    monkeypatch.setattr(credentials, "hasher", WatchedHasher(time_cost=2))
    browser = await studio.browser()
    assert (await browser.sign_in("ada@example.com", "not the password")).status_code == 401
    assert (await studio.account("ada@example.com")).password_hash == old
    assert (await browser.sign_in("ada@example.com")).status_code == 303
    new = (await studio.account("ada@example.com")).password_hash
    assert (",t=1," in old, ",t=2," in new) == (True, True)
    assert (await browser.sign_in("ada@example.com")).status_code == 303
    assert (await studio.account("ada@example.com")).password_hash == new


# --- forms that others send -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Origin": ORIGIN}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": f"{ORIGIN}.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://blog.studio.example"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
async def test_nobody_is_signed_in_by_another_sites_form(
    studio: Studio, headers: dict[str, str], *, passes: bool
) -> None:
    await studio.add("mallory@example.com")
    browser = await studio.browser()
    form = {"email": "mallory@example.com", "password": PASSWORD}
    answer = await browser.http.post("/studio/sign-in", data=form, headers=headers)
    assert answer.status_code == (303 if passes else 403)
    assert ("set-cookie" in answer.headers) is passes
    assert len(await studio.sessions("mallory@example.com")) == (1 if passes else 0)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/studio", "//evil.example", "/\\evil.example", "/pay/x", "/studio/../pay"]
)
async def test_the_sign_in_page_leads_nowhere_else(studio: Studio, wanted: str) -> None:
    await studio.add("ada@example.com")
    browser = await studio.browser()
    form = await browser.http.get("/studio/sign-in", params={"next": wanted})
    assert "evil" not in form.text
    assert 'name="next" value="/studio"' in form.text
    assert (await browser.sign_in("ada@example.com", next_page=wanted)).headers["location"] == "/studio"
    signed_in = await browser.http.get("/studio/sign-in", params={"next": wanted})
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/studio")
    changed = await browser.send("/studio/password", current=PASSWORD, new=NEW, repeated=NEW, next=wanted)
    assert (changed.status_code, changed.headers["location"]) == (303, "/studio")


@pytest.mark.parametrize("form", [{}, {"email": "ada@example.com"}, {"password": PASSWORD}])
async def test_half_a_form_is_told_as_a_page(studio: Studio, form: dict[str, str]) -> None:
    browser = await studio.browser()
    answer = await browser.http.post("/studio/sign-in", data=form)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_form_larger_than_any_is_not_read(studio: Studio) -> None:
    browser = await studio.browser()
    answer = await browser.sign_in("ada@example.com", "x" * 2**20)
    assert answer.status_code == 413
    assert answer.headers["cache-control"] == "no-store"


# --- the own password ------------------------------------------------------------------------------


async def test_a_new_password_signs_every_other_browser_out(studio: Studio) -> None:
    desk = await studio.signed_in("ada@example.com")
    phone = await studio.browser("192.0.2.2")
    await phone.sign_in("ada@example.com")
    other = await studio.signed_in("bob@example.com")
    before = desk.token
    answer = await desk.send(
        "/studio/password", current=PASSWORD, new=NEW, repeated=NEW, next="/studio/audit"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/audit")
    assert desk.token != before
    assert "Your password is changed." in (await desk.open("/studio/audit")).text
    assert (await phone.open("/studio/audit")).status_code == 303
    assert (await other.open("/studio/audit")).status_code == 200
    assert len(await studio.sessions("ada@example.com")) == 1
    assert (await phone.sign_in("ada@example.com")).status_code == 401
    assert (await phone.sign_in("ada@example.com", NEW)).status_code == 303
    assert [entry for entry in await studio.log() if entry[1] == "password changed"] == [
        ("ada@example.com", "password changed", ADA, "")
    ]


@pytest.mark.parametrize(
    ("current", "new", "repeated", "fault"),
    [
        ("not the password", NEW, NEW, "This is not your current password."),
        (PASSWORD, NEW, NEW + "!", "The new password and its repetition differ"),
        (PASSWORD, "too short", "too short", "The password is too short"),
        (PASSWORD, PASSWORD, PASSWORD, "The new password is the old one"),
        (PASSWORD, "ada.byron and words", "ada.byron and words", "The password holds the e-mail address"),
    ],
)
async def test_a_password_that_is_not_taken_changes_nothing(
    studio: Studio, current: str, new: str, repeated: str, fault: str
) -> None:
    browser = await studio.signed_in("ada.byron@example.com")
    before = await studio.log()
    answer = await browser.send("/studio/password", current=current, new=new, repeated=repeated)
    assert answer.status_code == 422
    assert fault in browser.shown
    assert await studio.log() == before
    assert (await browser.open("/studio/audit")).status_code == 200
    assert (await browser.sign_in("ada.byron@example.com")).status_code == 303


async def test_a_stolen_session_does_not_find_out_the_password(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    for _ in range(FREE_TRIES):
        await browser.send("/studio/password", current="a guess of many", new=NEW, repeated=NEW)
    answer = await browser.send("/studio/password", current=PASSWORD, new=NEW, repeated=NEW)
    assert answer.status_code == 422
    assert [action for _, action, _, _ in await studio.log()][-1] == "account rests"


async def test_a_password_that_somebody_else_knows_opens_nothing_but_its_change(studio: Studio) -> None:
    await studio.add("ada@example.com", Role.ADMIN, must_change=True)
    browser = await studio.browser()
    assert (await browser.sign_in("ada@example.com")).status_code == 303
    assert "Somebody else knows your password" in browser.shown
    away = await browser.open("/studio/people")
    assert (away.status_code, away.headers["location"]) == (303, "/studio/password?next=%2Fstudio%2Fpeople")
    refused = await browser.send("/studio/people", email="mallory@example.com", role="admin")
    assert (refused.status_code, refused.headers["location"]) == (303, "/studio/password")
    answer = await browser.send(
        "/studio/password", current=PASSWORD, new=NEW, repeated=NEW, next="/studio/people"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/people")
    assert (await browser.open("/studio/people")).status_code == 200
    assert not (await studio.account("ada@example.com")).must_change
    assert [action for _, action, _, _ in await studio.log()] == [
        "account added",
        "signed in",
        "password changed",
    ]
