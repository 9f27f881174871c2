"""The people of the studio: administrators add them, change them, and cannot lock everybody out; all is logged."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from store import audit
from store.accounts import FREE_TRIES, Role
from tests.integration.studio_side import PASSWORD

if TYPE_CHECKING:
    import httpx

    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ROOT = "root@example.com"
OWN = "my own handful of words"


def shown_once(answer: httpx.Response) -> str:
    found = re.search(r'class="secret"><code>([^<]+)</code>', answer.text)
    assert found is not None, answer.text
    return unescape(found.group(1))


async def path_of(studio: Studio, email: str) -> str:
    return f"/studio/people/{(await studio.account(email)).id}"


async def choose_own(browser: Browser, current: str) -> None:
    answer = await browser.send("/studio/password", current=current, new=OWN, repeated=OWN)
    assert answer.status_code == 303


async def test_an_administrator_adds_somebody_who_then_signs_in(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    added = await root.send("/studio/people", email=" Ada@Example.com", name="Ada", role="editor")
    assert added.status_code == 200
    password = shown_once(added)
    assert added.text.count(password) == 1
    row = await studio.account("ada@example.com")
    assert (row.name, row.role, row.must_change, row.created_by) == ("Ada", "editor", True, ROOT)
    assert password not in row.password_hash
    for page in ("/studio/people", await path_of(studio, "ada@example.com"), "/studio/audit"):
        await root.open(page)
        assert "ada@example.com" in root.shown
        assert password not in root.shown
    assert password not in str(await studio.log())
    ada = await studio.browser("192.0.2.2")
    assert (await ada.sign_in("ada@example.com", password)).status_code == 303
    await choose_own(ada, password)
    assert (await ada.open("/studio/audit")).status_code == 200
    assert (await ada.sign_in("ada@example.com", password)).status_code == 401


async def test_a_first_password_may_be_given(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    answer = await root.send(
        "/studio/people", email="ada@example.com", role="viewer", password="a word for the telephone"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/people")
    await root.open("/studio/people")
    assert "Done: ada@example.com may now sign in, and is asked for a password of their own." in root.shown
    assert "a word for the telephone" not in root.shown
    assert (await studio.account("ada@example.com")).must_change


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({"email": "nobody"}, "'nobody' is not an e-mail address"),
        ({"email": ROOT.upper()}, "Root@example.com has an account already"),
        ({"password": "qwertz12345"}, "The password is too short"),
        ({"name": "n" * 101}, "The name is too long"),
    ],
)
async def test_what_cannot_be_added_is_shown_again_with_what_is_wrong(
    studio: Studio, form: dict[str, str], fault: str
) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    before = await studio.log()
    typed = {"email": "ada@example.com", "name": "Ada <i>", "role": "operator", **form}
    answer = await root.send("/studio/people", **typed)
    assert answer.status_code == 422
    assert fault in root.shown
    assert f'value="{typed["email"]}"' in answer.text
    assert re.search(r'value="operator" checked', answer.text)
    assert typed["name"] in unescape(answer.text)
    if "password" in form:
        assert form["password"] not in answer.text
    assert await studio.log() == before


async def test_a_role_that_there_is_not_is_refused(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    answer = await root.send("/studio/people", email="ada@example.com", role="owner")
    assert answer.status_code == 422
    assert "<html" in answer.text
    path = await path_of(studio, ROOT)
    assert (await root.send(f"{path}/role", role="Admin")).status_code == 422
    assert (await root.send(f"{path}/role")).status_code == 422


async def test_everything_that_is_changed_of_a_person_is_in_the_log_and_ends_their_sessions(
    studio: Studio,
) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    ada = await studio.signed_in("ada@example.com", Role.VIEWER)
    path = await path_of(studio, "ada@example.com")
    password = PASSWORD
    for change, form in (("role", {"role": "editor"}), ("password", {}), ("disable", {}), ("enable", {})):
        assert (await ada.open("/studio/audit")).status_code == (303 if change == "enable" else 200)
        answer = await root.send(f"{path}/{change}", **form)
        assert (await ada.open("/studio/audit")).status_code == 303, change
        if change == "password":
            password = shown_once(answer)
            await ada.sign_in("ada@example.com", password)
            await choose_own(ada, password)
            password = OWN
        elif change != "disable":
            assert (await ada.sign_in("ada@example.com", password)).status_code == 303
        else:
            assert (await ada.sign_in("ada@example.com", password)).status_code == 401
        if answer.status_code == 303:
            assert answer.headers["location"] == path
            await root.open(path)
            assert "Done: ada@example.com" in root.shown
    subject = "account ada@example.com"
    assert [entry for entry in await studio.log("signed in") if entry[2] == subject] == [
        ("the test", "account added", subject, "as viewer"),
        (ROOT, "role changed", subject, "from viewer to editor"),
        (ROOT, "password reset", subject, "to be changed at the next sign-in"),
        ("ada@example.com", "password changed", subject, ""),
        (ROOT, "account disabled", subject, ""),
        (ROOT, "account enabled", subject, ""),
    ]


async def test_the_last_administrator_can_neither_go_nor_step_down(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    await studio.add("gone@example.com", Role.ADMIN, active=False)
    path, before = await path_of(studio, ROOT), await studio.log()
    for change, form in (("disable", {}), ("role", {"role": "operator"})):
        answer = await root.send(f"{path}/{change}", **form)
        assert answer.status_code == 409
        assert "Root@example.com is the last administrator: make somebody else one first" in root.shown
    assert await studio.log() == before
    await studio.add("ada@example.com", Role.ADMIN)
    assert (await root.send(f"{path}/role", role="operator")).status_code == 303
    assert (await root.open("/studio/people")).status_code == 303
    assert (await studio.account(ROOT)).role == "operator"


async def test_a_new_password_opens_an_account_that_rests(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    await studio.add("ada@example.com", failures=FREE_TRIES, locked_for=timedelta(hours=1))
    await root.open("/studio/people")
    assert "rests after wrong passwords until" in root.shown
    ada = await studio.browser("192.0.2.2")
    assert (await ada.sign_in("ada@example.com")).status_code == 401
    made = shown_once(await root.send(f"{await path_of(studio, 'ada@example.com')}/password"))
    assert (await ada.sign_in("ada@example.com", made)).status_code == 303


async def test_an_account_that_there_is_not_is_a_page_that_says_so(studio: Studio) -> None:
    root = await studio.signed_in(ROOT, Role.ADMIN)
    for answer in (
        await root.open("/studio/people/account_0"),
        await root.open("/studio/people/%00"),
        await root.send("/studio/people/account_0/disable"),
        await root.send("/studio/people/account_0/enable"),
        await root.send("/studio/people/account_0/password"),
        await root.send("/studio/people/account_0/role", role="admin"),
    ):
        assert answer.status_code == 404
        assert "There is no account" in answer.text
    assert (await root.open("/studio/people/account_0/disable")).status_code == 404


# --- the audit log ---------------------------------------------------------------------------------


async def rows_of(browser: Browser, path: str) -> list[str]:
    page = await browser.open(path)
    assert page.status_code == 200
    return re.findall(r'data-label="Details"[^>]*>([^<]*)<', page.text)


async def test_the_log_is_paged_and_filtered(studio: Studio) -> None:
    browser = await studio.signed_in("ada@example.com")
    async with studio.desk.tools.database.begin() as session:
        for number in range(120):
            by = "bob@example.com" if number % 2 else "<i>eve</i>@example.com"
            subject = audit.of_campaign("premium & co")
            await audit.write(session, studio.desk.now(), by, "published", subject, f"v{number}.")
    path, seen, pages = "/studio/audit?subject=campaign+premium+%26+co", [], 0
    while path:
        details = await rows_of(browser, path)
        seen += details
        pages += 1
        assert len(details) <= 50
        older = re.search(r'href="([^"]+)">Older<', (await browser.open(path)).text)
        path = unescape(older.group(1)) if older else ""
    assert (seen, pages) == ([f"v{number}." for number in reversed(range(120))], 3)
    assert "Latest" in browser.shown
    of_bob = await rows_of(browser, "/studio/audit?by=bob@example.com")
    assert of_bob == [f"v{number}." for number in range(119, 20, -2)]
    assert await rows_of(browser, "/studio/audit?by=bob@example.com&subject=account+ada@example.com") == []
    assert "Nothing was changed that fits this." in browser.shown
    page = await browser.open("/studio/audit?by=%3Ci%3Eeve%3C/i%3E@example.com")
    assert "<i>" not in page.text
    assert "<option selected>&lt;i&gt;eve&lt;/i&gt;@example.com</option>" in page.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("before=0", 422),
        ("before=x", 422),
        ("before=99999999999999999999", 422),
        ("before=9223372036854775807", 422),
        ("before=4611686018427387904", 200),
        ("by=%00", 200),
        ("subject=" + "x" * 401, 422),
    ],
)
async def test_an_address_that_was_mistyped_is_told_as_a_page(
    studio: Studio, query: str, status: int
) -> None:
    browser = await studio.signed_in("ada@example.com")
    answer = await browser.open(f"/studio/audit?{query}")
    assert answer.status_code == status
    assert "Signed in as ada@example.com" in browser.shown
