"""Publishing in the studio: what is in the way, what is new, what it does to running cases, and who may do it."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from campaigns.moving import PastRule
from store import campaigns, drafts
from store import moves as stored
from store.accounts import Role
from store.campaigns import FILE, STUDIO
from tests.integration.running_cases import running_case

if TYPE_CHECKING:
    import pytest

    from store.studio_tables import DraftRow
    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA, BOB, OPS = "ada@example.com", "bob@example.com", "ops@example.com"
PUBLISH = "/studio/campaigns/standard/publish"
SHIPPED = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8")
LATER = SHIPPED.replace("after: 3 days", "after: 5 days")


async def draft(studio: Studio, email: str, text: str = LATER, name: str = "standard") -> DraftRow:
    """Let somebody have changed a campaign, as from the version that is current now."""
    account = await studio.account(email)
    async with studio.desk.tools.database.begin() as session:
        history = await campaigns.history(session, name)
        base = history[0].version if history else None
        document = history[0].document if history else text
        row = await drafts.begin(session, name, account.id, email, studio.desk.now(), document, base)
        await drafts.keep(session, row, drafts.Text(text, readable=True, change="changed"), studio.desk.now())
    return row


async def has_draft(studio: Studio, email: str, name: str = "standard") -> bool:
    account = await studio.account(email)
    async with studio.desk.tools.database.read() as session:
        return await drafts.get(session, name, account.id) is not None


async def published(studio: Studio, text: str, by: str, origin: str, note: str = "") -> int:
    """Let somebody publish a text in another way."""
    async with studio.desk.tools.database.begin() as session:
        there = await campaigns.document(session, "standard")
        return await campaigns.publish(
            session,
            text,
            file="standard.yaml",
            author=by,
            note=note,
            now=studio.desk.now(),
            origin=origin,
            replaces=there.version,
        )


async def versions(studio: Studio, name: str = "standard") -> list[tuple[int, str, str, str]]:
    async with studio.desk.tools.database.read() as session:
        return [
            (row.version, row.author, row.origin, row.note) for row in await campaigns.history(session, name)
        ]


async def form(browser: Browser, path: str = PUBLISH) -> dict[str, Any]:
    """Open the page, and take from it what its form holds unseen."""
    page = await browser.open(path)
    return dict(re.findall(r'type="hidden" name="(digest|based_on)" value="(\w+)"', page.text))


def said(browser: Browser) -> str:
    """Give what the page says, without the blanks that tags leave before a full stop."""
    return re.sub(r"\s+([.,:?])", r"\1", browser.shown)


SHIPS = (1, "dunwell", "library", "ships with Dunwell")


async def test_an_editor_publishes_a_draft_for_new_cases(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA)
    seen = await form(browser)
    assert "Publish version 2 of standard" in said(browser)
    assert "No error" in said(browser)
    assert "step second-try: moved from 3 days to 5 days after the failure" in said(browser)
    assert "removed: after: 3 days" in said(browser)
    assert "added: after: 5 days" in said(browser)
    assert "No case of this campaign is running." in said(browser)
    note = "More time <before> the second try"
    assert (await browser.send(f"{PUBLISH}/confirm", **seen, note=note)).status_code == 200
    assert "Publish version 2 of standard?" in said(browser)
    assert f"Note {note}" in said(browser)
    assert await versions(studio) == [SHIPS]
    answer = await browser.send(PUBLISH, **seen, note=note)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/campaigns/standard/history")
    assert await versions(studio) == [(2, ADA, STUDIO, note), SHIPS]
    assert not await has_draft(studio, ADA)
    await browser.open("/studio/campaigns/standard/history")
    assert "Done: Version 2 of standard is published: new cases start with it." in said(browser)
    log = [entry for entry in await studio.log() if entry[2] == "campaign standard"]
    assert log[-1] == (ADA, "publish", "campaign standard", f"version 2: {note}")
    await browser.open(PUBLISH)
    assert "You have no draft of this campaign" in said(browser)
    assert (await browser.send(PUBLISH, **seen, note=note)).status_code == 409


async def test_a_draft_with_errors_shows_them_and_is_not_published(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA, LATER.replace("message: last_notice", "message: last_notise"))
    seen = await form(browser)
    assert "1 error keeps it from being published." in said(browser)
    assert "last_notise" in said(browser)
    assert "digest" not in seen
    answer = await browser.send(PUBLISH, digest="x", based_on=1, note="please")
    assert answer.status_code == 422
    assert "The draft has errors: mend them first." in said(browser)
    assert await versions(studio) == [SHIPS]


async def test_a_draft_without_anything_new_or_without_a_note_is_not_published(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA, SHIPPED)
    seen = await form(browser)
    assert "Nothing: the two texts are the same." in said(browser)
    for note, fault in (
        ("why not", "The draft says what is published already"),
        (" ", "Say in a note what this changes, and why."),
        ("x" * 501, "The note is too long: 500 letters are the most."),
    ):
        for path in (f"{PUBLISH}/confirm", PUBLISH):
            answer = await browser.send(path, **seen, note=note)
            assert answer.status_code == 422
            assert fault in said(browser)
    assert await versions(studio) == [SHIPS]


async def test_what_was_changed_in_another_window_is_not_published_unseen(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    row = await draft(studio, ADA)
    seen = await form(browser)
    async with studio.desk.tools.database.begin() as session:
        text = drafts.Text(LATER.replace("7 days", "8 days"), readable=True, change="again")
        await drafts.keep(session, row, text, studio.desk.now())
    answer = await browser.send(PUBLISH, **seen, note="go")
    assert answer.status_code == 422
    assert "Your draft was changed meanwhile, in another window" in said(browser)
    assert await versions(studio) == [SHIPS]


# --- conflicts -------------------------------------------------------------------------------------


async def test_what_somebody_published_meanwhile_is_replaced_only_knowingly(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA)
    before = await form(browser)
    assert await published(studio, SHIPPED.replace("26 days", "25 days"), BOB, STUDIO, "earlier notice") == 2
    answer = await browser.send(PUBLISH, **before, note="go")
    assert answer.status_code == 422
    assert "Another version was published while you looked at this page" in said(browser)
    seen = await form(browser)
    assert "you began from version 1, and since then version 2 was published" in said(browser)
    assert "bob@example.com: “earlier notice”" in said(browser)
    assert "step last-notice: moved from 25 days to 26 days" in said(browser)
    assert "/studio/campaigns/standard/history/compare?old=1&amp;new=2" in answer.text
    for replaces in ("", "1"):
        answer = await browser.send(
            PUBLISH, **seen, note="go", **({"replaces": replaces} if replaces else {})
        )
        assert answer.status_code == 422
        assert "Say that version 2 may be replaced, or go on from it." in said(browser)
    assert (await browser.send(f"{PUBLISH}/confirm", **seen, note="go", replaces=2)).status_code == 200
    assert "Replaced version 2, by bob@example.com" in said(browser)
    assert (await browser.send(PUBLISH, **seen, note="go", replaces=2)).status_code == 303
    assert [row[:3] for row in await versions(studio)] == [(3, ADA, STUDIO), (2, BOB, STUDIO), SHIPS[:3]]


async def test_a_version_from_a_file_is_replaced_only_knowingly(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await published(studio, SHIPPED.replace("26 days", "25 days"), "ci", FILE)
    await draft(studio, ADA)
    seen = await form(browser)
    assert "version 2 was published from a file, by ci." in said(browser)
    assert "Published meanwhile" not in said(browser)
    assert (await browser.send(PUBLISH, **seen, note="go")).status_code == 422
    assert (await browser.send(PUBLISH, **seen, note="go", replaces=2)).status_code == 303
    assert [row[:3] for row in await versions(studio)][:2] == [(3, ADA, STUDIO), (2, "ci", FILE)]


async def test_of_two_who_publish_at_once_one_is_told(studio: Studio) -> None:
    browsers = [await studio.signed_in(email, Role.EDITOR) for email in (ADA, BOB)]
    await draft(studio, ADA)
    await draft(studio, BOB, LATER.replace("21 days", "20 days"))
    forms = [await form(browser) for browser in browsers]
    answers = await asyncio.gather(
        *(browser.send(PUBLISH, **seen, note="go") for browser, seen in zip(browsers, forms, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    assert [row[0] for row in await versions(studio)] == [2, 1]
    slower, email = (browsers[0], ADA) if answers[0].status_code == 422 else (browsers[1], BOB)
    assert "Published meanwhile" in slower.shown
    assert await has_draft(studio, email)


async def test_a_new_campaign_is_published_as_its_first_version(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await draft(studio, ADA, LATER.replace("name: standard", "name: gentle"), "gentle")
    path = "/studio/campaigns/gentle/publish"
    seen = await form(browser, path)
    assert "Publish version 1 of gentle" in said(browser)
    assert "It is a new campaign: all of it is new." in said(browser)
    assert (await browser.send(path, **seen, note="for the gentle")).status_code == 303
    assert await versions(studio, "gentle") == [(1, ADA, STUDIO, "for the gentle")]


# --- running cases ---------------------------------------------------------------------------------


async def effects(browser: Browser, query: str = "of=draft", name: str = "standard") -> str:
    """Ask for the effects as the page does, until they are there."""
    for _ in range(100):
        answer = await browser.open(f"/studio/campaigns/{name}/effects?{query}", **{"HX-Request": "true"})
        assert answer.status_code == 200
        if "hx-trigger" not in answer.text:
            return answer.text
    raise AssertionError("the effects are still worked out")


async def test_the_effects_are_shown_before_anything_happens(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    now = studio.desk.now()
    for name, days in (("ann", 0.5), ("bob", 2), ("cyd", 4), ("dee", 9)):
        await running_case(studio.desk.tools, name, now, days=days)
    await draft(studio, ADA)
    page = await browser.open(PUBLISH)
    assert "Running now: 4 on version 1. They stay there unless you choose otherwise below." in said(browser)
    assert 'hx-get="/studio/campaigns/standard/effects?of=draft"' in page.text
    before = await studio.log()
    html = await effects(browser)
    assert "4 running cases would move to version 2." in said(browser)
    assert "For 2 nothing changes but the version's number." in said(browser)
    assert "1 has its next step later" in said(browser)
    found = re.search(
        r"Bob & Sons, invoice in_bob Next: (charge of second-try, .+ UTC) → becomes (charge of second-try, .+ UTC)",
        said(browser),
    )
    assert found is not None, said(browser)
    assert found.group(1) != found.group(2)
    # Cyd has had the second try already, and gets none again.
    assert "/workflows/" not in html
    studio.desk.settings = studio.desk.settings.model_copy(
        update={"temporal_ui_url": "http://temporal.example"}
    )
    assert "workflows/recovery%2Fsandbox%2Fmain%2Fin_bob%2F1" in await effects(browser)
    assert await studio.log() == before
    assert await versions(studio) == [SHIPS]


async def test_effects_follow_the_rule_for_the_past(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    await draft(studio, ADA, SHIPPED.replace("after: 3 days", "after: 36 hours"))
    await effects(browser, "of=draft&past=skip")
    assert "has its next step at once" not in said(browser)
    assert "1 loses its next step" in said(browser)
    await effects(browser, "of=draft&past=do+once")
    assert "1 has its next step at once" in said(browser)
    button = await effects(browser, "of=draft&past=do+once&spread=3600&button=publish")
    assert "Publish version 2 and move 1 case" in said(browser)
    assert 'form="confirmed"' in button


async def test_an_end_before_now_is_shown_as_such(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=27.5)
    short = SHIPPED.replace("26 days", "22 days").replace("28 days", "24 days")
    await draft(studio, ADA, short)
    await effects(browser)
    # Nobody's subscription ends without a last word, and a day to act on it.
    assert "1 ends after a last notice" in said(browser)
    assert "That makes 1 mail more in all." in said(browser)


async def test_many_cases_are_looked_at_with_a_bound_and_the_page_says_so(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.studio.effects.MOST_CASES", 2)
    monkeypatch.setattr("moves.PAGE", 1)
    browser = await studio.signed_in(ADA, Role.EDITOR)
    for number in range(5):
        await running_case(studio.desk.tools, f"n{number}", studio.desk.now(), days=2)
    await draft(studio, ADA)
    await effects(browser)
    assert "About 5 running cases would move to version 2." in said(browser)
    assert "This was worked out for 2 of them, taken at random" in said(browser)
    assert "2 have their next step later" in said(browser)


async def test_effects_that_take_long_are_waited_for_with_a_bar(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.studio.effects.PATIENCE", 0)
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    await draft(studio, ADA)
    answer = await browser.open("/studio/campaigns/standard/effects?of=draft", **{"HX-Request": "true"})
    assert "<progress" in answer.text
    assert 'hx-trigger="load delay' in answer.text
    monkeypatch.undo()
    await effects(browser)
    assert "1 running case would move to version 2." in said(browser)


async def test_effects_that_were_dropped_half_way_are_worked_out_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.studio.effects.PATIENCE", 0)
    monkeypatch.setattr("web.studio.effects.KEPT", 0)
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    await draft(studio, ADA)
    for _ in range(2):
        answer = await browser.open("/studio/campaigns/standard/effects?of=draft", **{"HX-Request": "true"})
        assert "<progress" in answer.text
    monkeypatch.undo()
    await effects(browser)
    assert "1 running case would move to version 2." in said(browser)


async def test_an_editor_is_told_why_running_cases_stay(studio: Studio) -> None:
    browser = await studio.signed_in(ADA, Role.EDITOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    await draft(studio, ADA)
    seen = await form(browser)
    assert "This needs the role operator, and yours is editor." in said(browser)
    answer = await browser.send(PUBLISH, **seen, note="go", cases="running")
    assert answer.status_code == 422
    assert "Moving running cases needs the role operator" in said(browser)
    assert await versions(studio) == [SHIPS]


async def test_where_temporal_is_away_the_version_is_published_and_the_move_is_not_begun(
    studio: Studio,
) -> None:
    browser = await studio.signed_in(OPS, Role.OPERATOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    await draft(studio, OPS)
    seen = await form(browser)
    answer = await browser.send(PUBLISH, **seen, note="go", cases="running", past="do once", spread=900)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/campaigns/standard/history")
    await browser.open("/studio/campaigns/standard/history")
    assert "Careful: Version 2 of standard is published" in said(browser)
    assert "Running cases are not being moved: move move_" in said(browser)
    assert "See what moving it to version 2 would do." in said(browser)
    assert [row[0] for row in await versions(studio)] == [2, 1]


async def test_no_second_move_is_begun_while_one_goes_on(studio: Studio) -> None:
    browser = await studio.signed_in(OPS, Role.OPERATOR)
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    version = await published(studio, SHIPPED.replace("26 days", "25 days"), BOB, STUDIO)
    async with studio.desk.tools.database.begin() as session:
        wanted = stored.Wanted("standard", version, BOB, "why", PastRule.SKIP, timedelta(0))
        await stored.begin(session, "move_1", wanted, studio.desk.now())
    await draft(studio, OPS)
    seen = await form(browser)
    assert "another move of this campaign is running." in said(browser)
    answer = await browser.send(PUBLISH, **seen, note="go", cases="running")
    assert answer.status_code == 422
    assert "Another move of this campaign goes on: let it end, or stop it first." in said(browser)
    assert (await browser.send(PUBLISH, **seen, note="go")).status_code == 303


async def test_viewers_publish_nothing(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    for answer in (
        await browser.open(PUBLISH),
        await browser.send(PUBLISH, note="go"),
        await browser.send(f"{PUBLISH}/confirm", note="go"),
        await browser.open("/studio/campaigns/standard/move"),
    ):
        assert answer.status_code == 403
