"""Opening a case, planning it anew when there is news, and handing it to a person."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from temporalio import activity

import contract
import keys
from activities.late import settle_while_closing
from activities.news import Taken, fact_key, take_fact
from activities.tools import Tools, virtual_now
from activities.turn import (
    as_stored,
    attributes_of,
    conclude,
    course_in,
    course_of,
    flagged,
    ids,
    judged,
    money,
)
from activities.wishes import grant, move, summary
from campaigns.document import ASK
from campaigns.planner import plan
from campaigns.story import Action, Hold, Story
from contract import Cancel, Fact, LateFact, MoveToVersion, News, Order, Report, Trouble, Wish, WishAnswer
from errors import NotKnown
from store import attempts, campaigns, cases, journal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.ext.asyncio.session import AsyncSession

    from campaigns.document import Campaign

log = structlog.get_logger()

# Cancel first, then payment, then card, then everything else.
# A failure goes before a new card: it was the old one that failed.
ORDER = ("cancel", "payment_succeeded", "invoice_changed", "payment_failed", "card_updated")


@dataclass
class Digest:
    """What is gathered while news are taken in, one after the other."""

    story: Story
    campaign: Campaign
    lines: list[str]
    answers: dict[str, WishAnswer]


class CaseActivities:
    """What concerns the case itself and the database alone."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    @activity.defn(name=contract.PLAN_NEXT_STEP)
    async def plan_next_step(self, order: Order) -> Report:
        """Take in what has arrived, answer the wishes among it, and plan anew.

        "Now" comes with the order: a local activity's own clock is the worker's.
        """
        assert order.now is not None
        now = order.now
        async with self._tools.database.begin() as session:
            story = await as_stored(session, order.story)
            campaign, story = await course_of(session, story)
            # What came due before the news arrived is judged by how things stood then.
            story = judged(campaign, story, min([now, *(item.at for item in order.news)]))
            digest = Digest(story, campaign, [], {})
            for news in sorted(order.news, key=_urgency):
                await self._take(session, digest, news, now)
            report = await conclude(session, digest.campaign, digest.story, now, digest.lines, digest.answers)
        log.info("case.planned", **ids(story), news=[item.name for item in order.news])
        return report

    async def _take(self, session: AsyncSession, digest: Digest, news: News, now: datetime) -> None:
        try:
            read = contract.read_news(news)
        except ValueError as error:
            await self._cannot_read(session, digest, news, str(error), now)
            return
        if isinstance(read, Wish):
            await self._take_wish(session, digest, news, read, now)
        else:
            await self._take_fact(session, digest, news, read, now)

    async def _take_fact(
        self, session: AsyncSession, digest: Digest, news: News, fact: Fact, now: datetime
    ) -> None:
        story = digest.story
        if story.ending:
            if fact_key(fact) not in story.seen:
                late = LateFact(case_id=story.case_id, name=news.name, event=fact.event, body=news.body)
                text, flag = await settle_while_closing(session, digest.campaign, story, late, now)
                digest.story = flagged(story, flag) if flag else story
                digest.lines.append(text)
            return
        taken: Taken = take_fact(story, fact, digest.campaign, self._tools.declines, now)
        digest.story = taken.story
        digest.lines += taken.lines
        if taken.lines or taken.story.ending:
            said = {"by": fact.by, "why": fact.why} if isinstance(fact, Cancel) else {}
            text = "; ".join(taken.lines) or news.name
            await journal.enter(
                session, story.case_id, f"fact.{news.name}.{fact.event}", journal.FACT, text, now, **said
            )
        alerts = taken.alerts
        if isinstance(fact, Cancel) and not alerts and await attempts.in_doubt(session, story.case_id):
            alerts = ("cancelled while nobody knows whether the last charge went through",)
            digest.story = flagged(digest.story, "cancelled with a charge unsettled")
        kind = "charged back" if story.charged_back else "charge unsettled"
        for text in alerts:
            key = f"{story.case_id}.{fact.event}"
            await journal.alert(session, key, kind, text, now, story.case_id)
        for failure in taken.recorded:
            name = f"{failure.by}.{failure.event}"
            values = {"state": "declined", "decline": failure.decline, "method": failure.method}
            await attempts.record(session, story, name, failure.by, now, **values)
            if taken.spared:
                await journal.enter(session, story.case_id, name, journal.SPARED, taken.spared, now)

    async def _take_wish(
        self, session: AsyncSession, digest: Digest, news: News, wish: Wish, now: datetime
    ) -> None:
        story = digest.story
        try:
            if isinstance(wish, MoveToVersion):
                name = wish.campaign or story.campaign
                target, _ = await campaigns.version(session, name, wish.version)
                attributes = await attributes_of(session, story)
                # What the version asks of mails has to be known before it judges what is due.
                _, story = await course_in(session, target, story, attributes)
                digest.story, answer, digest.campaign = move(
                    story, wish, digest.campaign, target, attributes, now
                )
            else:
                digest.story, answer = grant(story, wish, news.id, digest.campaign, now)
        except NotKnown as error:
            answer = WishAnswer(granted=False, answer=str(error))
        if answer.granted:
            follows = summary(digest.story, digest.campaign, now)
            answer = answer.model_copy(
                update={"answer": f"{answer.answer}; {follows}" if follows else answer.answer}
            )
        verb = "granted" if answer.granted else "refused"
        text = f"{news.name} asked for by {wish.by} ({wish.why}), {verb}: {answer.answer}"
        await journal.enter(
            session, story.case_id, f"wish.{news.id}", journal.WISH, text, now, by=wish.by, why=wish.why
        )
        digest.lines.append(text)
        digest.answers[news.id] = answer

    async def _cannot_read(
        self, session: AsyncSession, digest: Digest, news: News, error: str, now: datetime
    ) -> None:
        """Record what could not be read: a malformed signal is somebody's fact all the same."""
        text = f"a message called '{news.name}' could not be read: {error.splitlines()[0]}"
        story = digest.story
        entered = await journal.enter(
            session, story.case_id, f"unread.{news.id}", journal.FACT, f"{text}\n{news.body}", now
        )
        if entered:
            await journal.alert(
                session, f"{story.case_id}.unread.{news.id}", "unread message", text, now, story.case_id
            )
        digest.story = flagged(story, "unread message")
        digest.lines.append(text)
        digest.answers[news.id] = WishAnswer(granted=False, answer=text)

    @activity.defn(name=contract.ASK_FOR_REVIEW)
    async def ask_for_review(self, trouble: Trouble) -> Report | None:
        """Leave the case open for a person, and tell one; without a story there is only the telling."""
        now = virtual_now()
        text = f"{trouble.workflow_id}: {trouble.where} failed: {trouble.what}"
        log.error("case.needs_review", workflow=trouble.workflow_id, where=trouble.where, error=trouble.what)
        async with self._tools.database.begin() as session:
            # Once for each trouble: a case that cannot be opened is tried again every quarter of an hour.
            what = hashlib.sha256(trouble.what.encode()).hexdigest()[:12]
            key = f"review.{trouble.workflow_id}.{trouble.where}.{what}"
            story = trouble.story
            await journal.alert(session, key, "needs review", text, now, story.case_id if story else None)
            if story is None:
                await cases.mark_unopened(session, keys.case_id(trouble.workflow_id), trouble.what)
                return None
            campaign, story = await course_of(session, story)
            story = story.model_copy(update={"review": f"{trouble.where} failed: {trouble.what[:300]}"})
            again = plan(campaign, story, now)
            if again.at is not None and again.at <= now:
                # What goes before a review, such as a new card, would fail again at once and for ever.
                until = now + contract.TROUBLE_HOLD
                story = story.model_copy(
                    update={"hold": Hold(action=again.id, until=until, why=story.review)}
                )
            return await conclude(
                session, campaign, story, now, [f"a person is needed: {trouble.what[:300]}"]
            )

    @activity.defn(name=contract.ALERT_TEAM)
    async def alert_team(self, order: Order) -> Report:
        """Tell the team what a step has to say, or ask it for an approval; once for each case and step."""
        now = virtual_now()
        async with self._tools.database.begin() as session:
            story = await as_stored(session, order.story)
            campaign, story = await course_of(session, story)
            story = judged(campaign, story, now)
            step = plan(campaign, story, now)
            lines = []
            if step.action is Action.ALERT and step.note and (step.at is None or step.at <= now):
                asks = step.id.endswith(f".{ASK}")
                kind = "approval" if asks else "campaign"
                text = f"{story.case_id} ({story.invoice}, {money(story)}): {step.note}"
                told = "asked" if asks else "told"
                if story.shadow:
                    # An approval that nobody was asked for is one without an answer.
                    lines = [f"shadow: the team would be {told}: {step.note}"]
                    await journal.enter(session, story.case_id, step.id, journal.SHADOW, lines[0], now)
                else:
                    lines = [f"the team is {told}: {step.note}"]
                    await journal.alert(session, f"{story.case_id}.{step.id}", kind, text, now, story.case_id)
                story = story.model_copy(update={"done": {**story.done, step.id: now}})
                log.info("team.alerted", **ids(story), step=step.id, kind=kind)
            return await conclude(session, campaign, story, now, lines)


def _urgency(news: News) -> int:
    return ORDER.index(news.name) if news.name in ORDER else len(ORDER)
