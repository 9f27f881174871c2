"""One campaign in the studio: the timeline and the YAML follow each other, and nothing of anybody's is lost."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from messaging.rendering import Renderer
from store import campaigns, drafts
from store.accounts import Role
from tests.integration.studio_side import ORIGIN

if TYPE_CHECKING:
    import httpx

    from store.studio_tables import DraftRow
    from tests.integration.studio_side import Browser, Studio

pytest_plugins = ("tests.integration.studio_fixtures",)

CAMPAIGN = "/studio/campaigns/standard"
STANDARD = (campaigns.LIBRARY / "standard.yaml").read_text(encoding="utf-8")
SECOND_TRY = {"time": "3 days", "retry": "true", "message": "payment_failed"}


# Its first look at the mails takes a while; no test changes them.
RENDERER = Renderer()


@pytest.fixture(autouse=True)
def _looks_at_the_mails_once(studio: Studio) -> None:
    studio.desk.tools = dataclasses.replace(studio.desk.tools, renderer=RENDERER)


async def draft_of(
    studio: Studio, email: str = "edda@example.com", name: str = "standard"
) -> DraftRow | None:
    account = await studio.account(email)
    async with studio.desk.tools.database.read() as session:
        return await drafts.get(session, name, account.id)


async def text_of(studio: Studio, email: str = "edda@example.com", name: str = "standard") -> str:
    row = await draft_of(studio, email, name)
    assert row is not None
    return row.document


async def publish(studio: Studio, text: str, author: str = "ada@example.com") -> int:
    async with studio.desk.tools.database.begin() as session:
        current = (await campaigns.version(session, "standard"))[1]
        return await campaigns.publish(
            session,
            text,
            file="studio",
            author=author,
            note="for a test",
            now=studio.desk.now(),
            origin=campaigns.STUDIO,
            based_on=current,
            replaces=current,
        )


async def editor_of(studio: Studio, email: str = "edda@example.com") -> Browser:
    """Give a browser in which somebody who may edit looks at the standard campaign."""
    browser = await studio.signed_in(email, Role.EDITOR)
    assert (await browser.open(CAMPAIGN)).status_code == 200
    return browser


async def htmx(browser: Browser, path: str, **fields: Any) -> httpx.Response:
    """Send a form as htmx does."""
    headers = {
        "HX-Request": "true",
        "X-CSRF-Token": browser.csrf,
        "Origin": ORIGIN,
        "Sec-Fetch-Site": "same-origin",
    }
    return await browser.http.post(path, data=fields, headers=headers)


def field(page: httpx.Response, name: str) -> str:
    """Give what stands in a field of a page."""
    if name == "document":
        found = re.search(r'<textarea[^>]*id="document"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    else:
        found = re.search(rf'id="{name}"[^>]* value="([^"]*)"', page.text)
    assert found is not None
    return unescape(found.group(1))


def step_of(page: httpx.Response, anchor: str) -> str:
    """Read what the timeline says of one step, without its form."""
    found = re.search(
        rf'<li class="timeline-item[^"]*" id="{anchor}">(.*?)(?:<details|</li>\n(?:<li class="timeline|</ol>))',
        page.text,
        re.DOTALL,
    )
    assert found is not None
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group(1)))).strip()


# --- looking ---------------------------------------------------------------------------------------


async def test_a_campaign_is_shown_in_words_and_to_viewers_without_any_form(studio: Studio) -> None:
    viewer = await studio.signed_in("vera@example.com")
    page = await viewer.open(CAMPAIGN)
    assert page.status_code == 200
    assert "The default: takes every failure that no segment takes." in viewer.shown
    assert "Version 1 for new cases, published by dunwell" in viewer.shown
    assert "Your role, viewer, looks and does not change." in viewer.shown
    assert step_of(page, "step-limit-access") == (
        "Day 14 14 days after the failure limit-access"
        " Charge: the card is charged again Access: access is limited Mail: access limited"
    )
    assert step_of(page, "end") == (
        "Day 28 the end End: the subscription is cancelled at once Mail: subscription ended"
        " If it is paid within 60 days after that, the team is told."
    )
    assert "stays full for 7 days, whatever else happens" in viewer.shown
    assert "Failures of less than 1.00 USD, 1.00 EUR or 1.00 GBP are left alone." in viewer.shown
    assert field(page, "document") == STANDARD
    assert "<form" not in page.text.split('id="timeline"')[1].split('id="yaml"')[0]
    assert " readonly" in page.text
    assert "No faults" in viewer.shown


async def test_only_editors_change_anything(studio: Studio) -> None:
    viewer = await studio.signed_in("vera@example.com")
    posts = {
        "/steps/second-try": SECOND_TRY,
        "/steps": SECOND_TRY,
        "/end": {"after": "20 days"},
        "/title": {"title": "x"},
        "/rules": {"retries": "3"},
        "/windows/messages": {},
        "/yaml": {"document": "x"},
        "/undo": {},
        "/discard": {},
        "/rebase": {},
    }
    for path, fields in posts.items():
        assert (await viewer.send(f"{CAMPAIGN}{path}", **fields)).status_code == 403
    editor = await editor_of(studio)
    for path, fields in posts.items():
        assert (await editor.send(f"{CAMPAIGN}{path}", csrf="another", **fields)).status_code == 403
    assert await draft_of(studio) is None


async def test_conditions_arms_windows_and_approvals_are_said_in_words(studio: Studio) -> None:
    await publish(
        studio,
        STANDARD.replace(
            "  - id: second-try\n    after: 3 days\n",
            "  - id: second-try\n    after: 3 days\n    jitter: 30 minutes\n"
            "    approval: {within: 12 hours, otherwise: go on}\n"
            "    only_if: {currency: EUR, amount: {EUR: {at_least: 50}}, mail_opened: false, attempts: {at_most: 2}}\n",
        ).replace(
            "steps:\n",
            "calendar:\n  timezone: Europe/Berlin\n"
            "  messages: {hours: 09:00 to 20:00, days: weekdays, holidays: false}\n"
            "  charges: {hours: 22:00 to 06:00}\n"
            "  paydays: {days: [1, last]}\n"
            "arms:\n  - {name: a, weight: 1}\n"
            "  - {name: b, weight: 2, steps: [{id: only, after: 2 days, retry: true, message: last_notice}]}\n"
            "  - {name: none, weight: 1, holdout: true}\nsteps:\n",
            1,
        ),
    )
    viewer = await studio.signed_in("vera@example.com")
    page = await viewer.open(CAMPAIGN)
    step = step_of(page, "step-second-try")
    assert "Day 3 3 days after the failure, each case up to 30 minutes later" in step
    assert (
        "Approval: A person has to approve it; if nobody answers within 12 hours, it is done all the same."
        in step
    )
    assert (
        "Only if the currency is EUR, and the amount is 50 or more EUR, and no more than 2 charges were made,"
        " and no mail was opened by then." in step
    )
    assert "a : 25% of customers, as the campaign says" in viewer.shown
    assert "b : 50% of customers, with steps of its own" in viewer.shown
    assert "none : 25% of customers, held out: nothing is done" in viewer.shown
    assert "For arm a; others have steps of their own, below." in viewer.shown
    assert "Day 2 2 days after the failure only" in step_of(page, "arm-b--step-only")
    assert "Mails: 09:00 to 20:00 on weekdays not on public holidays" in viewer.shown
    assert "Charges: 00:00 to 06:00 and 22:00 to 24:00" in viewer.shown
    assert "else by that of Europe/Berlin" in viewer.shown
    assert (
        "after insufficient funds, a charge waits up to 3 days for day 1, the last of the month"
        in viewer.shown
    )


async def test_a_campaign_that_is_not_there_is_not_found(studio: Studio) -> None:
    editor = await editor_of(studio)
    for path in ("/studio/campaigns/nothing", "/studio/campaigns/no%00thing"):
        assert (await editor.open(path)).status_code == 404
    assert (await editor.send("/studio/campaigns/nothing/title", title="x")).status_code == 404
    assert (await editor.send("/studio/campaigns/nothing/yaml", document="x")).status_code == 404
    gone = await editor.send(f"{CAMPAIGN}/discard")
    assert gone.status_code == 404


# --- the timeline is changed, and the YAML follows --------------------------------------------------


async def test_a_changed_time_makes_a_draft_whose_yaml_follows(studio: Studio) -> None:
    editor = await editor_of(studio)
    answer = await editor.send(f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4d"}))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{CAMPAIGN}?opened=step-second-try#step-second-try"
    page = await editor.open(f"{CAMPAIGN}?opened=step-second-try")
    assert step_of(page, "step-second-try").startswith("Day 4 4 days after the failure")
    assert field(page, "document") == STANDARD.replace("after: 3 days", "after: 4 days")
    assert "Your draft from version 1" in editor.shown
    assert "Step second-try: moved from 3 days to 4 days after the failure. Undo" in editor.shown
    assert re.search(r'<details[^>]* open>\s*<summary id="step-second-try--change"', page.text)
    # Nothing that runs has changed.
    async with studio.desk.tools.database.read() as session:
        assert (await campaigns.version(session, "standard"))[1] == 1
    assert await studio.log("signed in", "account added") == [
        ("edda@example.com", "draft begun", "campaign standard", "from version 1")
    ]
    viewer = await studio.signed_in("vera@example.com")
    assert field(await viewer.open(CAMPAIGN), "document") == STANDARD
    assert "edda@example.com has a draft as well" in viewer.shown


async def test_with_htmx_only_the_parts_come_back_that_follow(studio: Studio) -> None:
    editor = await editor_of(studio)
    answer = await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    assert answer.status_code == 200
    assert answer.text.startswith('<div id="editor">')
    assert "<html" not in answer.text
    assert field(answer, "document") == STANDARD.replace("after: 3 days", "after: 4 days")
    assert (
        '<div id="said" hx-swap-oob="innerHTML">Step second-try: moved from 3 days to 4 days after the failure.</div>'
        in answer.text
    )
    assert re.search(r'<details[^>]* open>\s*<summary id="step-second-try--change"', answer.text)


async def test_an_edit_that_would_break_the_campaign_is_refused_and_what_was_typed_stays(
    studio: Studio,
) -> None:
    editor = await editor_of(studio)
    late = SECOND_TRY | {"time": "40 days", "alert": "Call them"}
    for answer in (
        await editor.send(f"{CAMPAIGN}/steps/second-try", **late),
        await htmx(editor, f"{CAMPAIGN}/steps/second-try", **late),
    ):
        assert answer.status_code == 422
        why = "Step second-try: comes at 40 days, not before the end at 28 days."
        assert why in unescape(answer.text)
        assert 'role="alert"><strong>Not changed:</strong>' in answer.text
        assert field(answer, "step-second-try--time") == "40 days"
        assert field(answer, "step-second-try--alert") == "Call them"
        assert field(answer, "document") == STANDARD
    # Two mails too close together are found too, though it is a campaign all the same.
    close = await editor.send(f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "25 hours"}))
    assert close.status_code == 422
    assert await draft_of(studio) is None


async def test_a_step_is_added_moved_and_removed_and_comes_back(studio: Studio) -> None:
    editor = await editor_of(studio)
    added = await htmx(editor, f"{CAMPAIGN}/steps", time="10 days", alert="Call this customer", access="")
    assert "Step day-10: new, 10 days after the failure: tells the team “Call this customer”." in added.text
    assert "    after: 10 days\n    alert: Call this customer\n" in field(added, "document")
    assert step_of(added, "step-day-10") == "Day 10 10 days after the failure day-10 Team: Call this customer"
    moved = await htmx(editor, f"{CAMPAIGN}/steps/day-10", do="earlier", time="10 days")
    assert "Step day-10: moved from 10 days to 7 days after the failure; step third-try: moved" in moved.text
    assert field(moved, "document").index("day-10") < field(moved, "document").index("third-try")
    removed = await htmx(editor, f"{CAMPAIGN}/steps/day-10", do="remove", time="x")
    assert "Step day-10: removed; it was 7 days after the failure: tells the team" in removed.text
    assert "day-10" not in field(removed, "document")
    assert re.search(r'id="undo" autofocus', removed.text)
    undone = await htmx(editor, f"{CAMPAIGN}/undo")
    assert "Undone: Step day-10: removed; it was 7 days" in undone.text
    assert field(undone, "document") == field(moved, "document")
    again = await htmx(editor, f"{CAMPAIGN}/undo")
    assert field(again, "document") == field(removed, "document")
    assert '<div id="said" hx-swap-oob="innerHTML">Step day-10: removed; it was' in again.text
    gone = await htmx(editor, f"{CAMPAIGN}/steps/day-10", do="remove")
    assert gone.status_code == 422
    assert "There is no step 'day-10' any more" in unescape(gone.text)


async def test_the_end_the_title_the_rules_and_the_hours_are_changed(studio: Studio) -> None:
    editor = await editor_of(studio)
    await editor.send(f"{CAMPAIGN}/end", after="30 days", action="pause", message="subscription_ended")
    await editor.send(f"{CAMPAIGN}/title", title="Ours", description="Six mails.\r\nThen a pause.")
    await editor.send(
        f"{CAMPAIGN}/rules", grace="7 days", spacing="1 day", retries="6", timezone="Europe/Berlin"
    )
    await editor.send(
        f"{CAMPAIGN}/windows/messages", hours="09:00 to 20:00", days=["monday", "friday"], holidays="true"
    )
    page = await editor.open(CAMPAIGN)
    assert "Ours standard" in editor.shown
    assert step_of(page, "end").startswith("Day 30 the end End: the subscription is paused")
    changed = STANDARD.replace("after: 28 days", "after: 30 days").replace("cancel_now", "pause")
    changed = changed.replace("title: Standard", "title: Ours")
    changed = re.sub(r"description: .*\n", "description: |-\n  Six mails.\n  Then a pause.\n", changed)
    changed = changed.replace(
        "grace: 7 days\n",
        "grace: 7 days\nretries: 6\nspacing: 1 day\n\ncalendar:\n"
        "  timezone: Europe/Berlin\n  messages: {hours: 09:00 to 20:00, days: [monday, friday]}\n",
    )
    assert sorted(document_lines(page)) == sorted(changed.splitlines())
    refused = await editor.send(f"{CAMPAIGN}/rules", grace="soon", retries="6")
    assert refused.status_code == 422
    assert "'soon' is not a length of time" in unescape(refused.text)
    same = await htmx(editor, f"{CAMPAIGN}/title", title="Ours", description="Six mails.\nThen a pause.")
    assert "Nothing was changed: it says so already." in same.text


def document_lines(page: httpx.Response) -> list[str]:
    return field(page, "document").splitlines()


async def test_the_steps_of_an_arm_are_changed_in_their_place(studio: Studio) -> None:
    arms = "arms:\n  - {name: a, weight: 1}\n  - name: b\n    weight: 1\n    end: {after: 30 days, action: pause}\n    steps:\n      - {id: only, after: 2 days, retry: true, message: last_notice}\n"
    await publish(studio, STANDARD.replace("steps:\n", f"{arms}steps:\n", 1))
    editor = await editor_of(studio)
    await htmx(editor, f"{CAMPAIGN}/steps/only", arm="b", time="5 days", retry="true", message="last_notice")
    await htmx(editor, f"{CAMPAIGN}/steps", arm="b", time="2 days", counted="before_end", alert="Call")
    page = await htmx(editor, f"{CAMPAIGN}/end", arm="b", after="29 days", action="leave")
    assert step_of(page, "arm-b--step-only").startswith("Day 5 5 days after the failure")
    assert step_of(page, "arm-b--step-day-2-before-end").startswith("Day 27 2 days before the end")
    assert step_of(page, "end-b").startswith("Day 29 the end End: the subscription is left as it is")
    assert "      - {id: day-2-before-end, before_end: 2 days, alert: Call}\n" in field(page, "document")
    assert "    end: {after: 29 days, action: leave}\n" in field(page, "document")


# --- the YAML is changed, and the timeline follows --------------------------------------------------


async def test_a_changed_yaml_changes_the_timeline_and_leaves_the_field_alone(studio: Studio) -> None:
    editor = await editor_of(studio)
    seen = field(await editor.open(CAMPAIGN), "seen")
    text = STANDARD.replace("after: 3 days", "after: 5 days").replace("title: Standard", "title: Ours")
    answer = await htmx(editor, f"{CAMPAIGN}/yaml", document=text.replace("\n", "\r\n"), seen=seen)
    assert answer.status_code == 200
    assert answer.text.strip().startswith('<section id="timeline"')
    assert "<textarea" not in answer.text.split('id="rules"')[1]
    assert step_of(answer, "step-second-try").startswith("Day 5")
    assert '<h1 id="campaign-title" hx-swap-oob="true">Ours' in answer.text
    assert (
        '<div id="said" hx-swap-oob="innerHTML">Saved. Title: “Standard” → “Ours”; step second-try: moved from 3 days to 5 days after the failure.</div>'
        in answer.text
    )
    assert field(answer, "seen") != seen
    assert await text_of(studio) == text
    by_hand = await editor.send(f"{CAMPAIGN}/yaml", document=STANDARD, seen=field(answer, "seen"))
    assert (by_hand.status_code, by_hand.headers["location"]) == (303, CAMPAIGN)
    assert await text_of(studio) == STANDARD


async def test_faults_are_shown_with_their_lines_and_the_timeline_keeps_the_last_good_state(
    studio: Studio,
) -> None:
    editor = await editor_of(studio)
    await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    broken = (
        (await text_of(studio))
        .replace("    retry: true\n", "    retrys: true\n", 1)
        .replace("after: 4 days", "after: 4 moons")
    )
    seen = field(await editor.open(CAMPAIGN), "seen")
    answer = await htmx(editor, f"{CAMPAIGN}/yaml", document=broken, seen=seen)
    shown = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))
    assert "2 errors to mend before it can be published" in shown
    assert re.search(
        r"line 22 , step first-notice: 'retrys' means nothing here.*Did you mean 'retry'\?", shown
    )
    assert re.search(r"line 25 , step second-try: .*'4 moons' is not a length of time", shown)
    assert '<span id="line-22" class="gutter-error">22</span>' in answer.text
    assert "Older than the YAML: this is the last state that could be read." in shown
    assert step_of(answer, "step-second-try").startswith("Day 4")
    # What is shown is not what is there, so that it cannot be changed here.
    assert "hx-post" not in answer.text.split('id="timeline"')[1].split('id="campaign-title"')[0]
    assert "Saved with 2 errors. The timeline shows the last state that could be read." in shown
    page = await editor.open(CAMPAIGN)
    assert field(page, "document") == broken
    assert step_of(page, "step-second-try").startswith("Day 4")
    mended = await htmx(editor, f"{CAMPAIGN}/yaml", document=STANDARD, seen=field(page, "seen"))
    assert "No faults" in mended.text
    assert step_of(mended, "step-second-try").startswith("Day 3")


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("", "line 1 : a campaign is a mapping that starts with 'name:'"),
        ("steps: [", "not YAML"),
        ("[" * 5000, "not YAML: folded too deeply"),
        (
            STANDARD.replace("name: standard", "name: ours"),
            "the name is 'ours' here, but this is the campaign 'standard'",
        ),
        (STANDARD.replace("payment_failed", "payment_faild"), "Did you mean 'payment_failed'?"),
    ],
)
async def test_whatever_is_typed_is_kept_and_its_faults_are_said(
    studio: Studio, document: str, what: str
) -> None:
    editor = await editor_of(studio)
    answer = await htmx(editor, f"{CAMPAIGN}/yaml", document=document)
    assert answer.status_code == 200
    shown = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))
    assert what in shown
    assert "to mend before it can be published" in shown
    assert await text_of(studio) == document
    assert (await editor.open(CAMPAIGN)).status_code == 200


async def test_a_text_without_end_is_refused(studio: Studio) -> None:
    editor = await editor_of(studio)
    answer = await htmx(editor, f"{CAMPAIGN}/yaml", document="x" * 100_001)
    assert answer.status_code == 400
    assert "100,000 characters are the most" in answer.text
    assert await draft_of(studio) is None


async def test_a_fault_that_only_hurts_leaves_the_timeline_to_be_changed(studio: Studio) -> None:
    editor = await editor_of(studio)
    close = STANDARD.replace("after: 26 days", "after: 21 days 1 hour")
    answer = await htmx(editor, f"{CAMPAIGN}/yaml", document=close)
    assert "1 error" in answer.text
    assert 'class="fault fault-error"' in answer.text
    mended = await htmx(editor, f"{CAMPAIGN}/steps/last-notice", time="26 days", message="last_notice")
    assert mended.status_code == 200
    assert await text_of(studio) == STANDARD


# --- windows beside each other, and people beside each other ----------------------------------------


async def test_what_was_typed_into_the_yaml_is_kept_when_a_step_is_changed(studio: Studio) -> None:
    editor = await editor_of(studio)
    page = await editor.open(CAMPAIGN)
    typed = STANDARD.replace("title: Standard", "title: Typed")
    beside = {"document": typed.replace("\n", "\r\n"), "seen": field(page, "seen")}
    answer = await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"} | beside))
    assert field(answer, "document") == typed.replace("after: 3 days", "after: 4 days")
    # With a fault in what was typed, the text is kept as it was typed all the same.
    broken = field(answer, "document").replace("grace:", "gras:")
    beside = {"document": broken, "seen": field(answer, "seen")}
    late = SECOND_TRY | {"time": "40 days"} | beside
    refused = await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(late | {"access": "none"}))
    assert refused.status_code == 422
    assert field(refused, "document") == await text_of(studio) == broken


async def test_another_window_of_the_same_person_overwrites_nothing(studio: Studio) -> None:
    editor = await editor_of(studio)
    seen = field(await editor.open(CAMPAIGN), "seen")
    await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    there = await text_of(studio)
    typed = STANDARD.replace("title: Standard", "title: Typed")
    late = await htmx(editor, f"{CAMPAIGN}/yaml", document=typed, seen=seen)
    assert late.status_code == 409
    assert "changed in another window" in late.text
    step = await htmx(editor, f"{CAMPAIGN}/steps/third-try", document=typed, seen=seen, **SECOND_TRY)
    assert step.status_code == 409
    assert await text_of(studio) == there
    # An untouched field is no reason to stop: the step is changed in what is there now.
    third = {"time": "8 days", "retry": "true", "message": "payment_failed"}
    fine = await htmx(editor, f"{CAMPAIGN}/steps/third-try", document=STANDARD, seen=seen, **third)
    assert fine.status_code == 200
    assert await text_of(studio) == there.replace("after: 7 days", "after: 8 days")


async def test_everybody_has_a_draft_of_their_own(studio: Studio) -> None:
    edda, emil = await editor_of(studio), await editor_of(studio, "emil@example.com")
    await htmx(edda, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    await htmx(emil, f"{CAMPAIGN}/title", title="Emil's")
    assert field(await edda.open(CAMPAIGN), "document") == STANDARD.replace("after: 3 days", "after: 4 days")
    assert "emil@example.com has a draft as well" in edda.shown
    assert "title: Emil's" in field(await emil.open(CAMPAIGN), "document")
    await edda.open("/studio/campaigns")
    assert "You have a draft emil@example.com has a draft" in edda.shown.replace(
        "emil@example.com has a draft You have a draft", "You have a draft emil@example.com has a draft"
    )
    answer = await edda.send(f"{CAMPAIGN}/discard")
    assert answer.headers["location"] == CAMPAIGN
    page = await edda.open(CAMPAIGN)
    assert "Your draft of standard is discarded." in edda.shown
    assert field(page, "document") == STANDARD
    assert await draft_of(studio, "emil@example.com") is not None
    assert ("edda@example.com", "draft discarded", "campaign standard", "") in await studio.log()


async def test_what_was_published_meanwhile_becomes_the_base_with_the_own_changes_on_it(
    studio: Studio,
) -> None:
    editor = await editor_of(studio)
    await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    await publish(studio, STANDARD.replace("after: 7 days", "after: 8 days"))
    page = await editor.open(CAMPAIGN)
    assert "Published meanwhile: version 2 was published by ada@example.com" in editor.shown
    assert "since you began from version 1." in editor.shown
    assert "/history/compare?old=1&amp;new=2" in page.text
    answer = await editor.send(f"{CAMPAIGN}/rebase", keep="both")
    assert answer.status_code == 303
    row = await draft_of(studio)
    assert row is not None
    both = STANDARD.replace("after: 3 days", "after: 4 days").replace("after: 7 days", "after: 8 days")
    assert (row.base_version, row.document, row.before) == (
        2,
        both,
        STANDARD.replace("after: 3 days", "after: 4 days"),
    )
    await editor.open(CAMPAIGN)
    assert "Published meanwhile" not in editor.shown
    assert "Your changes go on from version 2." in editor.shown
    assert (await editor.send(f"{CAMPAIGN}/rebase", keep="both")).status_code == 409


async def test_where_both_changed_the_same_line_a_person_chooses(studio: Studio) -> None:
    editor = await editor_of(studio)
    await htmx(editor, f"{CAMPAIGN}/steps/second-try", **(SECOND_TRY | {"time": "4 days"}))
    await publish(studio, STANDARD.replace("after: 3 days", "after: 5 days"))
    await editor.open(CAMPAIGN)
    answer = await editor.send(f"{CAMPAIGN}/rebase", keep="both")
    assert answer.status_code == 409
    assert "Both changed the same lines: you, and version 2." in editor.shown
    assert await text_of(studio) == STANDARD.replace("after: 3 days", "after: 4 days")
    await editor.send(f"{CAMPAIGN}/rebase", keep="mine")
    row = await draft_of(studio)
    assert row is not None
    assert (row.base_version, row.document) == (2, STANDARD.replace("after: 3 days", "after: 4 days"))


async def test_a_first_change_begins_from_what_is_published_then(studio: Studio) -> None:
    editor = await editor_of(studio)
    seen = field(await editor.open(CAMPAIGN), "seen")
    await publish(studio, STANDARD.replace("after: 7 days", "after: 8 days"))
    fields = SECOND_TRY | {"time": "4 days", "document": STANDARD, "seen": seen}
    await htmx(editor, f"{CAMPAIGN}/steps/second-try", **fields)
    row = await draft_of(studio)
    assert row is not None
    both = STANDARD.replace("after: 3 days", "after: 4 days").replace("after: 7 days", "after: 8 days")
    assert (row.base_version, row.document) == (2, both)


async def test_there_is_nothing_to_undo_before_a_change(studio: Studio) -> None:
    editor = await editor_of(studio)
    answer = await editor.send(f"{CAMPAIGN}/undo")
    assert answer.status_code == 400
    assert "There is nothing to undo" in editor.shown
