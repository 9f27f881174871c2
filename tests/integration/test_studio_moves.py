"""The studio's pages of moves: how far each is, what became of every case, and who may hold it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.moving import PastRule
from store import campaigns
from store import moves as stored
from store.accounts import Role
from store.moves import Became, State, Wanted
from tests.integration.running_cases import running_case

if TYPE_CHECKING:
    import pytest

    from store.studio_tables import MoveRow
    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA, OPS = "ada@example.com", "ops@example.com"
NAMES = ("ann", "bob", "cyd", "dee")


async def standard_moves(studio: Studio) -> MoveRow:
    """Let there be four running cases, a second version of their campaign, and a move to it."""
    now = studio.desk.now()
    for day, name in enumerate(NAMES):
        await running_case(studio.desk.tools, name, now, days=day + 1.5)
    async with studio.desk.tools.database.begin() as session:
        text = (await campaigns.version(session, "standard"))[0].model_copy(update={"title": "Second"})
        document = text.model_dump_json(exclude_defaults=True)
        version = await campaigns.publish(
            session, document, file="standard.yaml", author=ADA, note="", now=now
        )
        wanted = Wanted("standard", version, OPS, "fewer <mails>", PastRule.ONCE, timedelta(hours=2))
        return await stored.begin(session, "move_1", wanted, now)


async def answered(studio: Studio, move: MoveRow, *became: tuple[Became, str]) -> None:
    """Let the next cases of a move answer."""
    async with studio.desk.tools.database.begin() as session:
        for claimed, (state, said) in zip(
            await stored.claim(session, move, "", len(became), studio.desk.now()), became, strict=True
        ):
            await stored.settle(session, move.id, claimed.case.id, state, said, studio.desk.now())


def live(html: str) -> list[str]:
    """Name the parts of a page that an answer replaces besides the one that was asked for."""
    return re.findall(r'id="([\w-]+)" hx-swap-oob', html)


async def test_moves_are_listed_with_how_far_they_are(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    await browser.open("/studio/moves")
    assert "No running case was ever moved" in browser.shown
    move = await standard_moves(studio)
    await answered(studio, move, (Became.MOVED, ""), (Became.REFUSED, "it is being charged"))
    page = await browser.open("/studio/moves")
    assert "standard to version 2 running 2 of 4, 1 refused ops@example.com" in browser.shown
    assert 'href="/studio/moves/move_1"' in page.text
    await browser.open("/studio/moves?campaign=other")
    assert "No running case was ever moved to another version of other" in browser.shown


async def test_a_move_shows_each_refusal_with_its_reason_and_its_case(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    move = await standard_moves(studio)
    await answered(studio, move, (Became.MOVED, "moved"), (Became.REFUSED, "it has <ended>"))
    page = await browser.open("/studio/moves/move_1")
    assert "4 cases: 1 moved, 1 refused, 2 to come." in browser.shown
    for fact in ("fewer <mails>", "are done once, the latest of each kind", "is spread over 2 hours"):
        assert fact in browser.shown
    async with studio.desk.tools.database.read() as session:
        [refused] = await stored.outcomes(session, move.id, Became.REFUSED)
    name = refused.running.name
    assert name.endswith("& Sons")
    assert f"{name} {refused.running.case.invoice} refused 1 it has <ended>" in browser.shown
    assert "<ended>" not in page.text
    await browser.open("/studio/moves/move_1?show=moved")
    assert "moved 1 moved" in browser.shown
    assert name not in browser.shown
    await browser.open("/studio/moves/move_1?show=closed")
    assert "No case was closed meanwhile." in browser.shown
    await browser.open("/studio/moves/move_1?show=all")
    assert "moved 1 moved" in browser.shown
    assert "refused 1 it has <ended>" in browser.shown
    assert (await browser.open("/studio/moves/move_1?show=lost")).status_code == 422


async def test_a_case_is_linked_to_the_temporal_ui_where_that_is_known(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    move = await standard_moves(studio)
    await answered(studio, move, (Became.REFUSED, "no"))
    assert "/workflows/" not in (await browser.open("/studio/moves/move_1")).text
    studio.desk.settings = studio.desk.settings.model_copy(
        update={"temporal_ui_url": "http://temporal.example/"}
    )
    page = await browser.open("/studio/moves/move_1")
    ui = "http://temporal.example/namespaces/default/workflows"
    assert f'href="{ui}/move%2Fmove_1"' in page.text
    assert re.search(rf'href="{ui}/recovery%2Fsandbox%2Fmain%2Fin_\w+%2F1"', page.text)


async def test_a_page_asks_for_no_more_than_what_has_changed(studio: Studio) -> None:
    browser = await studio.signed_in(ADA)
    move = await standard_moves(studio)
    page = await browser.open("/studio/moves/move_1")
    assert 'hx-trigger="every 2s"' in page.text
    known = dict(re.findall(r'type="hidden" name="(state|part|shown|show)" value="(\w+)"', page.text))
    assert known == {"state": "running", "part": "0", "shown": "0", "show": "all"}
    path, htmx = "/studio/moves/move_1/progress?", {"HX-Request": "true"}
    same = await browser.open(path + "state=running&part=0&shown=0", **htmx)
    assert (same.status_code, live(same.text)) == (200, [])
    assert "<html" not in same.text
    await answered(studio, move, *[(Became.MOVED, "")] * 3)
    more = await browser.open(path + "state=running&part=0&shown=0", **htmx)
    assert live(more.text) == ["move-said", "move-cases"]
    async with studio.desk.tools.database.begin() as session:
        now = studio.desk.now()
        assert await stored.turn(session, move.id, State.DONE, now, by="dunwell", why="all have answered")
    done = await browser.open(path + "state=running&part=7&shown=3", **htmx)
    assert (done.status_code, live(done.text)) == (286, ["move-said", "move-actions"])
    page = await browser.open("/studio/moves/move_1")
    assert "every 2s" not in page.text
    assert "3 cases: 3 moved." in browser.shown


async def test_many_cases_are_shown_a_page_at_a_time(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.studio.moves.PER_PAGE", 2)
    browser = await studio.signed_in(ADA)
    move = await standard_moves(studio)
    await answered(studio, move, *[(Became.REFUSED, f"reason {number}.") for number in range(4)])
    path, seen = "/studio/moves/move_1?show=refused", list[str]()
    while path:
        page = await browser.open(path)
        seen += re.findall(r"reason \d\.", browser.shown)
        more = re.search(r'href="([^"]+)">More<', page.text)
        path = more.group(1).replace("&amp;", "&") if more else ""
    assert seen == [f"reason {number}." for number in range(4)]


async def test_only_operators_hold_a_move_and_they_say_why(studio: Studio) -> None:
    move = await standard_moves(studio)
    editor = await studio.signed_in(ADA, Role.EDITOR)
    await editor.open("/studio/moves/move_1")
    assert "you need the role operator, and yours is editor" in editor.shown
    operator = await studio.signed_in(OPS, Role.OPERATOR)
    page = await operator.open("/studio/moves/move_1")
    assert re.search(r"<button[^>]*>Pause<", page.text)
    before = await studio.log()
    for deed in ("pause", "resume", "stop"):
        assert (await editor.send(f"/studio/moves/move_1/{deed}", why="because")).status_code == 403
        assert (await operator.send(f"/studio/moves/move_1/{deed}", why=" ")).status_code == 422
        assert "Error: Say why." in operator.shown
        assert (await operator.send(f"/studio/moves/move_1/{deed}", why="y" * 501)).status_code == 422
    assert (await operator.send("/studio/moves/move_1/delete", why="because")).status_code == 404
    assert await studio.log() == before
    async with studio.desk.tools.database.begin() as session:
        await stored.turn(session, move.id, State.STOPPED, studio.desk.now(), by=OPS, why="enough")
    answer = await operator.send("/studio/moves/move_1/resume", why="again")
    assert answer.status_code == 409
    assert "Move move_1 has ended: it is stopped." in operator.shown
    assert 'name="why"' not in answer.text


async def test_a_move_that_there_is_not_is_a_page_that_says_so(studio: Studio) -> None:
    operator = await studio.signed_in(OPS, Role.OPERATOR)
    for path in ("move_0", "%00", "move_0/progress"):
        answer = await operator.open(f"/studio/moves/{path}")
        assert answer.status_code == 404
        assert "No move is called" in operator.shown
    assert (await operator.send("/studio/moves/move_0/pause", why="because")).status_code == 404
