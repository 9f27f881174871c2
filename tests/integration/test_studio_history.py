"""The history of a campaign in the studio: who published what, how any two versions differ, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store import campaigns, drafts
from store.accounts import Role
from store.campaigns import FILE, STUDIO
from tests.integration.running_cases import running_case
from tests.integration.test_studio_publish import draft, form, has_draft, published, said, versions

if TYPE_CHECKING:
    from tests.integration.studio_side import Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

ADA, OPS = "ada@example.com", "ops@example.com"
HISTORY = "/studio/campaigns/standard/history"
SHIPPED = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8")
SECOND = SHIPPED.replace("after: 3 days", "after: 5 days")
THIRD = SECOND.replace(
    "  - id: fifth-try\n    after: 21 days\n    retry: true\n    message: payment_failed\n", ""
)


async def three_versions(studio: Studio) -> None:
    assert THIRD != SECOND
    await running_case(studio.desk.tools, "ann", studio.desk.now(), days=2)
    assert await published(studio, SECOND, ADA, STUDIO, "a later <second> try") == 2
    await running_case(studio.desk.tools, "bob", studio.desk.now(), days=1)
    await running_case(studio.desk.tools, "cyd", studio.desk.now(), days=4)
    assert await published(studio, THIRD, "ci", FILE) == 3


async def test_versions_are_listed_newest_first_with_who_runs_on_them(studio: Studio) -> None:
    viewer = await studio.signed_in(ADA)
    await three_versions(studio)
    page = await viewer.open(HISTORY)
    shown = said(viewer)
    places = [shown.index(f"Version {number} ") for number in (3, 2, 1)]
    assert places == sorted(places)
    assert "New cases start with version 3." in shown
    assert "a later <second> try studio 2 What changed in version 2" in shown
    assert "dunwell ships with Dunwell ships with Dunwell 1" in shown
    assert "ci file 0 What changed in version 3" in shown
    assert "3 running cases are on another version. An operator can move them to version 3." in shown
    assert "<second>" not in page.text
    operator = await studio.signed_in(OPS, Role.OPERATOR)
    page = await operator.open(HISTORY)
    assert 'href="/studio/campaigns/standard/move"' in page.text


async def test_any_two_versions_are_compared_in_words_and_line_by_line(studio: Studio) -> None:
    viewer = await studio.signed_in(ADA)
    await three_versions(studio)
    page = await viewer.open(f"{HISTORY}/compare?old=1&new=3")
    shown = said(viewer)
    assert "changed step second-try: moved from 3 days to 5 days after the failure" in shown
    assert "gone step fifth-try: removed; it was 21 days after the failure: charges the card" in shown
    assert "removed: - id: fifth-try" in shown
    assert '<span class="diff-line diff-removed"><span class="visually-hidden">removed: </span>' in page.text
    await viewer.open(f"{HISTORY}/compare?old=3&new=1")
    assert "new step fifth-try: new, 21 days after the failure" in said(viewer)
    await viewer.open(f"{HISTORY}/compare?old=2&new=2")
    assert "Nothing: the two texts are the same." in said(viewer)
    await viewer.open(f"{HISTORY}/compare")
    assert "standard, from version 2 to version 3" in said(viewer)
    for query in ("old=9&new=1", "old=1&new=-4"):
        assert (await viewer.open(f"{HISTORY}/compare?{query}")).status_code == 404


async def test_a_version_is_shown_as_it_was_written(studio: Studio) -> None:
    viewer = await studio.signed_in(ADA)
    await three_versions(studio)
    page = await viewer.open(f"{HISTORY}/2")
    assert "Running on it 2 cases" in said(viewer)
    assert "an earlier one: new cases start with version 3" in said(viewer)
    assert "    after: 5 days\n" in page.text
    assert "Roll back" not in page.text
    assert (await viewer.open(f"{HISTORY}/7")).status_code == 404
    assert (await viewer.open("/studio/campaigns/nobody/history")).status_code == 404
    assert (await viewer.send(f"{HISTORY}/2/roll-back")).status_code == 403


async def test_rolling_back_goes_through_the_page_that_publishes(studio: Studio) -> None:
    editor = await studio.signed_in(ADA, Role.EDITOR)
    await three_versions(studio)
    await editor.open(f"{HISTORY}/1")
    answer = await editor.send(f"{HISTORY}/1/roll-back")
    assert answer.status_code == 303
    path = answer.headers["location"]
    assert path.startswith("/studio/campaigns/standard/publish?note=")
    seen = await form(editor, path)
    assert "Publish version 4 of standard" in said(editor)
    assert "Back to version 1" in said(editor)
    assert "new step fifth-try" in said(editor)
    assert "version 3 was published from a file, by ci." in said(editor)
    publish = "/studio/campaigns/standard/publish"
    assert (await editor.send(publish, **seen, note="Back to version 1")).status_code == 422
    assert (await editor.send(publish, **seen, note="Back to version 1", replaces=3)).status_code == 303
    assert (await versions(studio))[0] == (4, ADA, STUDIO, "Back to version 1")
    async with studio.desk.tools.database.read() as session:
        assert (await campaigns.document(session, "standard")).document == SHIPPED
    log = [entry for entry in await studio.log() if entry[2] == "campaign standard"]
    assert log[-1] == (
        ADA,
        "roll back",
        "campaign standard",
        "version 4 is version 1 again: Back to version 1",
    )
    assert not await has_draft(studio, ADA)


async def test_what_was_published_once_may_come_back_though_the_rules_are_stricter_now(
    studio: Studio,
) -> None:
    editor = await studio.signed_in(ADA, Role.EDITOR)
    # Published when nobody checked templates: now it has an error.
    loose = SHIPPED.replace("message: last_notice", "message: gone_since")
    await published(studio, loose, ADA, STUDIO)
    await published(studio, SHIPPED, ADA, STUDIO)
    answer = await editor.send(f"{HISTORY}/2/roll-back")
    seen = await form(editor, answer.headers["location"])
    assert "It says what version 2 says, and so may be published" in said(editor)
    assert "gone_since" in said(editor)
    publish = "/studio/campaigns/standard/publish"
    assert (await editor.send(publish, **seen, note="as it was")).status_code == 303
    assert [row[0] for row in await versions(studio)] == [4, 3, 2, 1]


async def test_a_draft_is_not_lost_by_rolling_back(studio: Studio) -> None:
    editor = await studio.signed_in(ADA, Role.EDITOR)
    await three_versions(studio)
    mine = THIRD.replace("14 days", "15 days")
    await draft(studio, ADA, mine)
    await editor.open(f"{HISTORY}/1")
    assert "Replace my draft" in said(editor)
    answer = await editor.send(f"{HISTORY}/1/roll-back")
    assert answer.headers["location"] == f"{HISTORY}/1"
    await editor.open(f"{HISTORY}/1")
    assert "You have a draft of this campaign: say that it may be replaced" in said(editor)
    account = await studio.account(ADA)
    async with studio.desk.tools.database.read() as session:
        row = await drafts.get(session, "standard", account.id)
    assert row is not None
    assert row.document == mine
    assert "/publish?" in (await editor.send(f"{HISTORY}/1/roll-back", replace="true")).headers["location"]
    async with studio.desk.tools.database.read() as session:
        row = await drafts.get(session, "standard", account.id)
    assert row is not None
    assert (row.document, row.before, row.base_version) == (SHIPPED, mine, 3)


async def test_nothing_is_rolled_back_to_the_current_version(studio: Studio) -> None:
    editor = await studio.signed_in(ADA, Role.EDITOR)
    assert "roll-back" not in (await editor.open(f"{HISTORY}/1")).text
    answer = await editor.send(f"{HISTORY}/1/roll-back")
    assert answer.headers["location"] == HISTORY
    assert not await has_draft(studio, ADA)


async def test_addresses_that_nothing_stands_under_are_pages_that_say_so(studio: Studio) -> None:
    operator = await studio.signed_in(OPS, Role.OPERATOR)
    campaign, far = "/studio/campaigns/standard", "9" * 40
    for path in (
        "/studio/campaigns/%00/history",
        "/studio/campaigns/%00/move",
        "/studio/campaigns/%00/what-if",
        f"{HISTORY}/{far}",
        f"{HISTORY}/compare?old={far}&new=1",
        f"{campaign}/effects?of={far}",
        f"{campaign}/effects?of=draft",
        f"{campaign}/effects?of=%00",
        f"{campaign}/what-if/%00",
    ):
        answer = await operator.open(path)
        assert answer.status_code == 404, path
        assert "<html" in answer.text
    assert (await operator.open(f"{HISTORY}/first")).status_code == 422
    assert (await operator.open(f"{campaign}/effects?of=1&spread=-1")).status_code == 422
    assert (await operator.send(f"{HISTORY}/{far}/roll-back")).status_code == 404
    assert "Nothing to publish" in (await operator.open("/studio/campaigns/%00/publish")).text
