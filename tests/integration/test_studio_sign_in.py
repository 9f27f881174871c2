"""Signing in to the studio and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)


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
    out = await browser.send("/studio/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/studio/sign-in")
    assert "You are signed out." in (await browser.open("/studio/sign-in")).text
    assert (await browser.open("/studio/audit")).status_code == 303
    assert await studio.sessions("ada@example.com") == []
    assert await studio.log() == [
        ("the test", "account added", "account ada@example.com", "as viewer, called Ada"),
        ("ada@example.com", "signed in", "account ada@example.com", ""),
        ("ada@example.com", "signed out", "account ada@example.com", ""),
    ]
