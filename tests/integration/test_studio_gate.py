"""The studio's door: every page has one, each role passes where it may, and no form is taken from elsewhere."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import iter_route_contexts

from store.accounts import Role
from tests.integration.studio_side import ORIGIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

# What anybody may ask for: the form itself, and the redirect to the first page.
OPEN = {("GET", "/studio"), ("GET", "/studio/sign-in"), ("POST", "/studio/sign-in")}
HERE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
HTMX = {"HX-Request": "true", "HX-Current-URL": f"{ORIGIN}/studio/audit?by=ada"}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """List every route of the studio, those of other parts included."""
    for route in iter_route_contexts(app.routes):
        path = str(route.path)
        if path.startswith("/studio"):
            for method in sorted(getattr(route, "methods", None) or ()):
                yield method, path


def filled(path: str) -> str:
    """Put something into the places of a path."""
    return re.sub(r"\{[^}]*\}", "1", path)


# --- who is not signed in ----------------------------------------------------------------------------


async def test_every_page_asks_who_comes(studio: Studio) -> None:
    browser = await studio.browser()
    asked = set(routes(studio.app)) - OPEN
    assert {("POST", "/studio/people"), ("GET", "/studio/audit"), ("POST", "/studio/sign-out")} <= asked
    for method, path in sorted(asked):
        answer = await browser.http.request(method, filled(path), headers=HERE)
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/studio/sign-in"), (method, path)
        with_htmx = await browser.http.request(method, filled(path), headers=HERE | HTMX)
        assert with_htmx.status_code == 401, (method, path)
        assert with_htmx.headers["hx-redirect"].startswith("/studio/sign-in"), (method, path)


async def test_who_is_away_while_a_part_is_asked_for_comes_back_to_the_whole_page(studio: Studio) -> None:
    browser = await studio.browser()
    for method in ("GET", "POST"):
        answer = await browser.http.request(method, "/studio/people/1/role", headers=HTMX)
        assert answer.headers["hx-redirect"] == "/studio/sign-in?next=%2Fstudio%2Faudit%3Fby%3Dada"
    elsewhere = HTMX | {"HX-Current-URL": "https://evil.example/studio/../x"}
    answer = await browser.http.get("/studio/audit", headers=elsewhere)
    assert answer.headers["hx-redirect"] == "/studio/sign-in"
    boosted = await browser.http.get("/studio/audit", headers=HTMX | {"HX-Boosted": "true"})
    assert (boosted.status_code, boosted.headers["location"]) == (
        303,
        "/studio/sign-in?next=%2Fstudio%2Faudit",
    )


async def test_a_form_of_somebody_who_is_not_signed_in_is_not_repeated_later(studio: Studio) -> None:
    browser = await studio.browser()
    answer = await browser.http.post("/studio/people", data={"email": "x@example.com"}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/sign-in")


async def test_only_who_is_signed_in_learns_which_pages_there_are(studio: Studio) -> None:
    stranger = await studio.browser()
    for path in ("/studio/nothing", "/studio/audit"):
        assert (await stranger.open(path)).status_code == 303
    browser = await studio.signed_in("ada@example.com")
    answer = await browser.open("/studio/nothing<script>")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text.replace('<script src="', "")
    assert "There is no page 'nothing<script>' in the studio." in browser.shown
    assert "Signed in as ada@example.com" in browser.shown
    for path, there in (("/studio/audit/", "/studio/audit"), ("/studio/", "/studio")):
        led = await browser.open(path)
        assert (led.status_code, led.headers["location"]) == (303, there)


# --- roles ------------------------------------------------------------------------------------------

MATRIX: tuple[tuple[str, str, set[Role]], ...] = (
    ("GET", "/studio/audit", set(Role)),
    ("GET", "/studio/password", set(Role)),
    ("GET", "/studio/people", {Role.ADMIN}),
    ("POST", "/studio/people", {Role.ADMIN}),
    ("GET", "/studio/people/{account}", {Role.ADMIN}),
    ("POST", "/studio/people/{account}/role", {Role.ADMIN}),
    ("POST", "/studio/people/{account}/password", {Role.ADMIN}),
    ("POST", "/studio/people/{account}/disable", {Role.ADMIN}),
    ("POST", "/studio/people/{account}/enable", {Role.ADMIN}),
)


@pytest.mark.parametrize("role", Role)
async def test_each_role_passes_where_it_may(studio: Studio, role: Role) -> None:
    other = await studio.add("other@example.com")
    await studio.add("root@example.com", Role.ADMIN)
    browser = await studio.signed_in("ada@example.com", role)
    passed, before = set(), await studio.log()
    for method, path, allowed in MATRIX:
        assert (method, path) in set(routes(studio.app))
        path_of_other = path.replace("{account}", other.id)
        if method == "GET":
            answer = await browser.open(path_of_other)
        else:
            answer = await browser.send(path_of_other, role="editor", email="new@example.com")
        if role in allowed:
            assert answer.status_code in {200, 303}, (method, path)
            passed.add((method, path))
        else:
            assert answer.status_code == 403, (method, path)
            assert f"This needs the role admin, and yours is {role}" in browser.shown
            assert await studio.log() == before
    assert passed == {(method, path) for method, path, allowed in MATRIX if role in allowed}


async def test_the_navigation_shows_people_to_administrators_alone(studio: Studio) -> None:
    shown = {}
    for role in Role:
        browser = await studio.signed_in(f"{role}@example.com", role)
        page = (await browser.open("/studio/audit")).text
        shown[role] = re.findall(r'<li><a href="(/studio/[a-z]+)"', page)
        assert 'href="/studio/audit" aria-current="page"' in page
    places = ("campaigns", "cases", "shadow", "moves", "facts", "audit")
    everybody = [f"/studio/{place}" for place in places]
    assert shown == {
        Role.VIEWER: everybody,
        Role.EDITOR: everybody,
        Role.OPERATOR: everybody,
        Role.ADMIN: [*everybody, "/studio/people"],
    }


async def test_a_new_role_holds_from_the_next_request_on(studio: Studio) -> None:
    root = await studio.signed_in("root@example.com", Role.ADMIN)
    ada = await studio.signed_in("ada@example.com", Role.ADMIN)
    account = (await studio.account("ada@example.com")).id
    assert (await ada.open("/studio/people")).status_code == 200
    await root.send(f"/studio/people/{account}/role", role="viewer")
    assert (await ada.open("/studio/people")).status_code == 303
    await ada.sign_in("ada@example.com")
    assert (await ada.open("/studio/people")).status_code == 403


# --- forms from elsewhere ---------------------------------------------------------------------------


async def test_a_form_without_this_sessions_own_token_does_nothing(studio: Studio) -> None:
    other = await studio.signed_in("bob@example.com", Role.ADMIN)
    browser = await studio.signed_in("ada@example.com", Role.ADMIN)
    own, before = browser.csrf, await studio.log()
    sessions = await studio.sessions("ada@example.com")
    assert sessions[0].csrf == own
    for path, form in (
        ("/studio/people", {"email": "new@example.com", "role": "admin"}),
        ("/studio/sign-out", {}),
        ("/studio/password", {"current": PASSWORD, "new": "x" * 20, "repeated": "x" * 20}),
    ):
        for token in ("", "0", own[:-1], own + "0", own.swapcase(), other.csrf, browser.token, "ü"):
            answer = await browser.send(path, csrf=token, **form)
            assert answer.status_code == 403, (path, token)
            assert "This form was not sent from a page of yours" in browser.shown
            # In bytes: a header's value need not be text.
            with_token = {name.encode(): value.encode() for name, value in HERE.items()}
            with_token[b"X-CSRF-Token"] = token.encode()
            in_header = await browser.http.post(path, data=form, headers=with_token)
            assert in_header.status_code == 403, (path, token)
        twice = await browser.http.post(
            path, data=form | {"csrf": own}, headers=HERE | {"X-CSRF-Token": "wrong"}
        )
        assert twice.status_code == 403
        as_json = await browser.http.post(path, json=form | {"csrf": own}, headers=HERE)
        assert as_json.status_code == 403
        as_file = await browser.http.post(path, data=form, files={"csrf": own.encode()}, headers=HERE)
        assert as_file.status_code == 403
        in_address = await browser.http.post(path, params={"csrf": own}, data=form, headers=HERE)
        assert in_address.status_code == 403
    assert await studio.log() == before
    assert await studio.sessions("ada@example.com") == sessions


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://studio.example"},
        {"Origin": "http://studio.example:8080"},
    ],
)
async def test_a_form_from_another_site_does_nothing_even_with_the_token(
    studio: Studio, headers: dict[str, str]
) -> None:
    browser = await studio.signed_in("ada@example.com", Role.ADMIN)
    form = {"email": "new@example.com", "role": "viewer", "csrf": browser.csrf}
    before = await studio.log()
    assert (await browser.http.post("/studio/people", data=form, headers=headers)).status_code == 403
    assert await studio.log() == before


@pytest.mark.parametrize("way", ["field", "multipart field", "header"])
async def test_the_token_is_taken_from_a_field_or_a_header(studio: Studio, way: str) -> None:
    browser = await studio.signed_in("ada@example.com", Role.ADMIN)
    form = {"email": "new@example.com", "role": "viewer"}
    if way == "header":
        answer = await browser.http.post(
            "/studio/people", data=form, headers=HERE | {"X-CSRF-Token": browser.csrf}
        )
    elif way == "field":
        answer = await browser.http.post("/studio/people", data=form | {"csrf": browser.csrf}, headers=HERE)
    else:
        files = {name: (None, value) for name, value in (form | {"csrf": browser.csrf}).items()}
        answer = await browser.http.post("/studio/people", files=files, headers=HERE)
    assert answer.status_code == 200
    assert (await studio.account("new@example.com")).role == "viewer"


async def test_looking_needs_no_token_and_may_come_from_a_link_in_a_mail(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    answer = await browser.open("/studio/audit", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


# --- what every answer carries ------------------------------------------------------------------------

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


async def test_every_answer_of_the_studio_carries_its_headers(studio: Studio) -> None:
    stranger = await studio.browser()
    browser = await studio.signed_in("ada@example.com")
    for answer in (
        await stranger.open("/studio"),
        await stranger.open("/studio/sign-in"),
        await stranger.open("/studio/audit"),
        await stranger.sign_in("ada@example.com", "not the password"),
        await browser.open("/studio/audit"),
        await browser.open("/studio/people"),
        await browser.open("/studio/nothing"),
        await browser.open("/studio/audit", **HTMX),
        await browser.send("/studio/audit"),
        await browser.send("/studio/sign-out", csrf="wrong"),
    ):
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy == POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_the_rest_of_the_web_side_answers_as_before(studio: Studio) -> None:
    browser = await studio.browser()
    problem = await browser.open("/v1/cases")
    assert (problem.status_code, problem.json()["error"][:10]) == (401, "no API key")
    assert problem.headers["referrer-policy"] == "no-referrer"
    assert "cache-control" not in problem.headers
    assert (await browser.open("/studios")).json() == {"error": "Not Found"}


async def test_a_page_holds_nothing_that_its_policy_forbids(studio: Studio) -> None:
    await studio.add("ken@example.com", name='<b>Ken</b> & "co" \'')
    browser = await studio.signed_in("ada@example.com", Role.ADMIN)
    account = (await studio.account("ken@example.com")).id
    stranger = await studio.browser()
    for page in (
        await stranger.open("/studio/sign-in"),
        await browser.open("/studio/people"),
        await browser.open(f"/studio/people/{account}"),
        await browser.open("/studio/audit"),
        await browser.open("/studio/password"),
        await browser.open("/studio/nothing"),
    ):
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"<style|<script(?! src=\"/static/)|\sstyle=|\son\w+=|javascript:", page.text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page.text)
        assert "<b>" not in page.text
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
            found = await browser.open(unescape(address))
            assert found.status_code == 200, address
            assert len(found.content) > 500


async def test_htmx_is_told_to_keep_to_the_policy_and_sends_the_token(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    page = (await browser.open("/studio/audit")).text
    found = re.search(r'name="htmx-config" content="([^"]*)"', page)
    headers = re.search(r'<body hx-headers="([^"]*)"', page)
    assert found is not None
    assert headers is not None
    config = json.loads(unescape(found.group(1)))
    assert (config["includeIndicatorStyles"], config["allowEval"], config["selfRequestsOnly"]) == (
        False,
        False,
        True,
    )
    assert config["historyCacheSize"] == 0
    assert json.loads(unescape(headers.group(1))) == {"X-CSRF-Token": browser.csrf}


async def test_an_error_reaches_a_page_that_asked_for_a_part_as_a_notice(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    refused = await browser.open("/studio/people", **HTMX)
    assert refused.status_code == 403
    assert (refused.headers["hx-retarget"], refused.headers["hx-reswap"]) == (
        "#messages",
        "innerHTML show:#messages:top",
    )
    assert "<html" not in refused.text
    assert 'role="alert"' in refused.text
    assert "This needs the role admin, and yours is viewer" in browser.shown
    whole = await browser.open("/studio/people", **HTMX, **{"HX-Boosted": "true"})
    assert (whole.status_code, "<html" in whole.text) == (403, True)
    assert "hx-retarget" not in whole.headers


async def test_a_notice_that_somebody_else_wrote_is_not_shown(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    for forged in ("WyJlcnJvciIsIm1vY2siXQ.forged", "[]", '"', "x" * 3000):
        browser.http.cookies.set("dunwell-notice", forged, domain="studio.example", path="/")
        page = await browser.open("/studio/audit")
        assert page.status_code == 200
        assert 'class="notice' not in page.text
        assert 'dunwell-notice=""' in page.headers["set-cookie"]
