"""The budget ledger on both databases: no limit is overrun, nothing counts twice, every refusal says why."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

from campaigns.budget import Initiator, Result
from errors import NotKnown
from store import card_attempts, cards, cases, ledger, schema
from store.card_attempts import Source, State
from store.cards import Card
from store.database import Database
from tests.integration.ledger_story import DAY, HOUR, MASTERCARD, NOW, RULES, VISA, attempt, theirs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from campaigns.budget import Rules
    from store.card_attempts import Attempt
    from store.ledger import Claim, Standing

ROOT = schema.FOLDER.parents[1]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def claim(
    database: Database, one: Attempt, now: datetime = NOW, card: Card = VISA, rules: Rules = RULES
) -> Claim:
    async with database.begin() as session:
        return await ledger.claim(session, card, one, rules, now)


async def settle(database: Database, key: str, result: Result, now: datetime = NOW, **said: str) -> None:
    async with database.begin() as session:
        await ledger.settle(session, key, result, RULES, now, **said)


async def note(
    database: Database, one: Attempt, at: datetime = NOW, card: Card = VISA, result: Result = Result.DECLINED
) -> bool:
    async with database.begin() as session:
        return await ledger.note(session, card, one, result, RULES, at, decline="insufficient_funds")


async def standing(database: Database, now: datetime = NOW, card: Card = VISA) -> Standing:
    async with database.read() as session:
        return await ledger.left(session, card, RULES, now)


async def states(database: Database, card: Card = VISA) -> dict[str, str]:
    async with database.read() as session:
        return {row.key: row.state for row in await card_attempts.all_with(session, card)}


async def declined(database: Database, count: int, card: Card = VISA, every: object = DAY) -> None:
    for number in range(count):
        at = NOW + every * number  # type: ignore[operator]
        await note(database, theirs(f"seen {number}", charge=f"ch_{number}"), at, card)


# --- claims ------------------------------------------------------------------------------------------


async def test_an_attempt_is_claimed_until_the_margin_under_the_networks_limit(database: Database) -> None:
    for number in range(19):
        claimed = await claim(database, attempt(f"k{number}"), NOW + number * DAY)
        assert (claimed.granted, claimed.fresh) == (True, True)
        assert claimed.reason == f"{number} of 20 attempts used in 30 days"
        await settle(database, f"k{number}", Result.DECLINED, NOW + number * DAY)
    refused = await claim(database, attempt("one more"), NOW + 19 * DAY)
    assert (refused.granted, refused.rule, refused.free_at) == (False, "visa-reattempts", NOW + 30 * DAY)
    assert refused.reason == (
        "Visa allows 20 attempts on one card with one merchant for one amount in 30 days; 19 used, margin 1;"
        " free again 01 Jul 2026 09:00 UTC"
    )
    async with database.read() as session:
        row = (await card_attempts.all_with(session, VISA))[-1]
    assert (row.key, row.state, row.reason) == ("one more", State.REFUSED, refused.reason)
    assert (await claim(database, attempt("one more"), NOW + 30 * DAY)).granted
    assert (await states(database))["one more"] == State.OPEN


async def test_another_amount_and_the_customers_own_attempts_have_a_budget_of_their_own(
    database: Database,
) -> None:
    await declined(database, 20)
    later = NOW + 20 * DAY
    assert not (await claim(database, attempt("same"), later)).granted
    assert (await claim(database, attempt("other amount", 5900), later)).granted
    checkout = attempt("checkout", initiator=Initiator.CUSTOMER, source=Source.CHECKOUT)
    assert (await claim(database, checkout, later)).granted


async def test_a_second_claim_finds_the_first(database: Database) -> None:
    assert (await claim(database, attempt("k"))).fresh
    again = await claim(database, attempt("k"), NOW + HOUR)
    assert (again.granted, again.fresh) == (True, False)
    # Even with another card: what may have been sent under the key is the first.
    other = await claim(database, attempt("k"), NOW + HOUR, MASTERCARD)
    assert (other.granted, other.fresh) == (True, False)
    assert await states(database) == {"k": State.OPEN}
    assert await states(database, MASTERCARD) == {}
    await settle(database, "k", Result.DECLINED)
    assert not (await claim(database, attempt("k"))).fresh


async def test_an_attempt_whose_fate_is_not_known_counts(database: Database) -> None:
    for number in range(9):
        assert (await claim(database, attempt(f"k{number}"), card=MASTERCARD)).granted
    refused = await claim(database, attempt("one more"), card=MASTERCARD)
    assert (refused.granted, refused.rule, refused.free_at) == (False, "mastercard-day", NOW + DAY)


async def test_only_what_was_never_sent_is_given_back(database: Database) -> None:
    for number in range(9):
        await claim(database, attempt(f"k{number}"), card=MASTERCARD)
    async with database.begin() as session:
        assert await ledger.give_back(session, "k0", "the processor was not to be reached", NOW)
        assert not await ledger.give_back(session, "k0", "again", NOW)
        with pytest.raises(NotKnown, match="no attempt was claimed under the key k99"):
            await ledger.give_back(session, "k99", "why", NOW)
    assert (await states(database, MASTERCARD))["k0"] == State.GIVEN_BACK
    assert (await claim(database, attempt("k9"), card=MASTERCARD)).granted
    assert not (await claim(database, attempt("k0"), card=MASTERCARD)).granted
    assert (await states(database, MASTERCARD))["k0"] == State.REFUSED
    await settle(database, "k1", Result.DECLINED)
    async with database.begin() as session:
        assert not await ledger.give_back(session, "k1", "why", NOW)
    # It was sent after all: the truth counts, whatever was thought before.
    await settle(database, "k0", Result.DECLINED, NOW)
    assert (await standing(database, card=MASTERCARD)).uses[0].used == 10


async def test_an_approval_gives_visas_budget_back_at_once(database: Database) -> None:
    await declined(database, 18)
    await claim(database, attempt("k"), NOW + 18 * DAY)
    assert not (await claim(database, attempt("next"), NOW + 18 * DAY)).granted
    await settle(database, "k", Result.APPROVED, NOW + 18 * DAY)
    assert (
        await claim(database, attempt("next"), NOW + 18 * DAY)
    ).reason == "0 of 20 attempts used in 30 days"


async def test_a_card_of_an_unknown_network_is_counted_without_a_limit(database: Database) -> None:
    card = Card("stripe", "main", "pm_1")
    for number in range(30):
        claimed = await claim(database, attempt(f"k{number}"), card=card)
        assert (claimed.granted, claimed.reason) == (True, "no limit is known for this card")
    # Once its network is known, what was done counts.
    known = Card("stripe", "main", "pm_1", "visa")
    refused = await claim(database, attempt("one more"), card=known)
    assert not refused.granted
    assert refused.uses[0].used == 30
    assert not (await claim(database, attempt("and another"), card=card)).granted


async def test_a_debit_is_tried_three_times_for_an_invoice_and_anew_for_the_next(database: Database) -> None:
    mandate = Card("stripe", "main", "ba_1", rail="ach")
    for number in range(3):
        claimed = await claim(
            database, attempt(f"k{number}", invoice="in_1"), NOW + 7 * number * DAY, mandate
        )
        assert claimed.granted
        await settle(database, f"k{number}", Result.DECLINED, NOW + 7 * number * DAY, decline="R01")
    refused = await claim(database, attempt("k3", invoice="in_1"), NOW + 21 * DAY, mandate)
    assert (refused.granted, refused.rule, refused.free_at) == (False, "nacha-reinitiation", None)
    assert refused.reason.endswith("in 180 days from the first; 3 used; not again")
    assert (await claim(database, attempt("k4", invoice="in_2"), NOW + 30 * DAY, mandate)).granted


# --- attempts of others ------------------------------------------------------------------------------


async def test_what_others_try_counts_once_however_often_it_is_told(database: Database) -> None:
    one = theirs("evt_1", charge="ch_1")
    assert await note(database, one)
    assert not await note(database, one)
    assert not await note(database, theirs("evt_2", charge="ch_1"), NOW + HOUR)
    assert await note(database, theirs("evt_3", charge="ch_2"))
    assert await states(database) == {"evt_1": State.DECLINED, "evt_3": State.DECLINED}


async def test_our_own_attempt_told_back_by_a_webhook_counts_once(database: Database) -> None:
    # After our answer came, by the charge's id.
    await claim(database, attempt("k1"))
    await settle(database, "k1", Result.DECLINED, charge="ch_1")
    assert not await note(database, theirs("evt_1", charge="ch_1"))
    # Before it, by our key.
    await claim(database, attempt("k2"))
    assert not await note(database, attempt("k2", charge="ch_2"))
    # Before it, with nothing to know it by: two, until our answer names the charge.
    await claim(database, attempt("k3"))
    assert await note(database, theirs("evt_3", charge="ch_3"))
    assert len(await states(database)) == 4
    await settle(database, "k3", Result.DECLINED, charge="ch_3")
    assert await states(database) == {"k1": State.DECLINED, "k2": State.DECLINED, "k3": State.DECLINED}
    async with database.read() as session:
        rows = await card_attempts.all_with(session, VISA)
    assert [(row.charge, row.source) for row in rows] == [(f"ch_{n}", Source.OURS) for n in (1, 2, 3)]


async def test_a_debit_is_seen_pending_and_then_returned(database: Database) -> None:
    mandate = Card("stripe", "main", "ba_1", rail="ach")
    assert await note(database, theirs("evt_1", charge="py_1"), NOW, mandate, Result.OPEN)
    assert not await note(database, theirs("evt_2", charge="py_1"), NOW + 4 * DAY, mandate)
    async with database.read() as session:
        [row] = await card_attempts.all_with(session, mandate)
    assert (row.state, row.decline, row.at, row.settled_at) == (
        State.DECLINED,
        "insufficient_funds",
        NOW,
        NOW + 4 * DAY,
    )


async def test_attempts_that_others_made_too_many_of_have_a_fee(database: Database) -> None:
    await declined(database, 22)
    async with database.read() as session:
        assert await ledger.fees(session) == {"USD": 20}
        assert await ledger.fees(session, card=VISA, since=NOW + 21 * DAY) == {"USD": 10}
        assert await ledger.fees(session, card=MASTERCARD) == {}
    await declined(database, 0)
    for number in range(12):
        await note(database, theirs(f"mc {number}", amount=number), NOW + number * HOUR, MASTERCARD)
    async with database.read() as session:
        assert await ledger.fees(session) == {"USD": 20, "EUR": 110}


# --- the word of networks and issuers ----------------------------------------------------------------


async def forbid(database: Database, until: datetime | None, why: str, now: datetime = NOW) -> None:
    async with database.begin() as session:
        await ledger.forbid(session, VISA, until, why, now)


async def test_a_forbidden_card_is_forbidden_to_every_case(database: Database) -> None:
    await forbid(database, NOW + 30 * DAY, "Mastercard advice 03")
    refused = await claim(database, attempt("k"), NOW + DAY)
    assert (refused.granted, refused.rule, refused.free_at) == (False, None, NOW + 30 * DAY)
    assert refused.reason == (
        "this card is not to be tried before 01 Jul 2026 09:00 UTC: Mastercard advice 03"
    )
    # What was said is never made shorter, and may be made longer.
    await forbid(database, NOW + DAY, "less")
    assert not (await claim(database, attempt("k"), NOW + 2 * DAY)).granted
    assert (await claim(database, attempt("k"), NOW + 30 * DAY)).granted
    await forbid(database, None, "Visa 41 (category 1)", NOW + 31 * DAY)
    await forbid(database, NOW + 40 * DAY, "less again", NOW + 31 * DAY)
    refused = await claim(database, attempt("k2"), NOW + 4000 * DAY)
    assert (refused.granted, refused.free_at) == (False, None)
    assert refused.reason == "this card is not to be tried again: Visa 41 (category 1)"
    assert (await standing(database, NOW + 32 * DAY)).refusal == refused.reason


async def test_an_attempt_after_the_networks_word_has_a_fee(database: Database) -> None:
    await note(database, theirs("evt_1", charge="ch_1"))
    await forbid(database, None, "Visa 41 (category 1)")
    await note(database, theirs("evt_2", charge="ch_2"), NOW + HOUR)
    async with database.read() as session:
        assert await ledger.fees(session) == {"USD": 10}


async def test_a_forbidden_card_that_is_also_full_is_free_when_both_are_over(database: Database) -> None:
    await declined(database, 19)
    await forbid(database, NOW + 20 * DAY, "Mastercard advice 03", NOW + 18 * DAY)
    assert (await claim(database, attempt("k"), NOW + 19 * DAY)).free_at == NOW + 30 * DAY


# --- looking -----------------------------------------------------------------------------------------


async def test_what_is_left_is_told_without_writing_anything(database: Database) -> None:
    found = await standing(database)
    assert (found.refusal, found.free_at, [use.left for use in found.uses]) == (None, None, [19])
    async with database.read() as session:
        assert await cards.called(session, VISA.card) == []
    await declined(database, 3)
    found = await standing(database, NOW + 3 * DAY)
    assert [use.left for use in found.uses] == [16]


async def test_a_case_names_its_cards_the_latest_first(database: Database) -> None:
    async with database.begin() as session:
        case = (await cases.reserve(session, "stripe", "main", "in_1", NOW, customer="cus_1")).case
    await claim(database, attempt("k1", case_id=case.id))
    await claim(database, attempt("k2", case_id=case.id), NOW + HOUR, MASTERCARD)
    await note(database, theirs("evt"), NOW + 2 * HOUR)
    async with database.read() as session:
        found = await cards.of_case(session, case.id)
    assert [cards.named(row) for row in found] == [MASTERCARD, VISA]


async def test_an_attempt_that_was_told_of_before_its_case_belongs_to_it(database: Database) -> None:
    await note(database, theirs("evt", charge="ch_1", invoice="in_1"))
    async with database.begin() as session:
        case = (await cases.reserve(session, "stripe", "main", "in_1", NOW, customer="cus_1")).case
    await note(database, theirs("evt", charge="ch_1", case_id=case.id))
    async with database.read() as session:
        assert [cards.named(row) for row in await cards.of_case(session, case.id)] == [VISA]
        assert [one.case_id for one in await card_attempts.all_with(session, VISA)] == [case.id]


# --- many at once ------------------------------------------------------------------------------------


async def test_cases_that_claim_at_once_never_overrun_a_limit_together(database: Database) -> None:
    claims = await asyncio.gather(*(claim(database, attempt(f"k{n}"), card=MASTERCARD) for n in range(30)))
    assert sum(one.granted for one in claims) == 9
    assert sorted(one.reason for one in claims if one.granted) == sorted(
        f"{used} of 10 attempts used in 1 day" for used in range(9)
    )
    kept = await states(database, MASTERCARD)
    assert sorted(kept.values()) == [State.OPEN] * 9 + [State.REFUSED] * 21


async def test_claims_of_one_key_at_once_are_one(database: Database) -> None:
    pairs = [(attempt("k"), MASTERCARD if n % 2 else VISA) for n in range(12)]
    claims = await asyncio.gather(*(claim(database, one, card=card) for one, card in pairs))
    assert [one.granted for one in claims] == [True] * 12
    assert sum(one.fresh for one in claims) == 1
    assert len(await states(database) | await states(database, MASTERCARD)) == 1


async def test_notes_and_claims_and_answers_at_once_do_not_hold_each_other_up(database: Database) -> None:
    for number in range(6):
        await claim(database, attempt(f"k{number}"))
    await asyncio.gather(
        *(settle(database, f"k{n}", Result.DECLINED, charge=f"ch_{n}") for n in range(6)),
        *(note(database, attempt(f"k{n}", charge=f"ch_{n}")) for n in range(6)),
        *(claim(database, attempt(f"more {n}")) for n in range(6)),
        *(forbid(database, NOW - DAY, "of old") for _ in range(3)),
    )
    found = await states(database)
    assert [found[f"k{n}"] for n in range(6)] == [State.DECLINED] * 6
    assert len(found) == 12


CLAIMING = """
import asyncio, json, sys
sys.path.insert(0, {root!r})
from store import ledger
from store.database import Database
from tests.integration.ledger_story import MASTERCARD, NOW, RULES, attempt

async def main():
    database, granted = Database({url!r}), 0
    for number in range(15):
        async with database.begin() as session:
            key = f"{{sys.argv[1]}}.{{number}}"
            granted += (await ledger.claim(session, MASTERCARD, attempt(key), RULES, NOW)).granted
    await database.close()
    print(json.dumps(granted))

asyncio.run(main())
"""


async def test_several_processes_never_overrun_a_limit_together(database_url: str) -> None:
    program = CLAIMING.format(root=str(ROOT), url=database_url)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, name, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    ended = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(json.loads(out) for out, _ in ended) == 9


# --- the migration -----------------------------------------------------------------------------------


async def test_the_ledger_is_added_and_taken_away_and_leaves_the_rest_alone(
    database_url: str,
) -> None:
    database = Database(database_url)
    async with database.begin() as session:
        case = (await cases.reserve(session, "stripe", "main", "in_1", NOW, customer="cus_1")).case
    schema.downgrade(database_url, "0002")
    schema.upgrade(database_url)
    assert (await claim(database, attempt("k", case_id=case.id))).granted
    schema.downgrade(database_url, "0002")
    schema.upgrade(database_url)
    assert schema.differences(database_url) == []
    assert await states(database) == {}
    async with database.read() as session:
        assert await cases.get(session, case.id) is not None
    await database.close()
