"""Many together on a Citus cluster: chunks of advices and rated days, shard by shard and not one by one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from cardservice.database import Database, driver_of
from cardservice.ids import PayerId
from cardservice.ledger import chunks_cluster, nodes
from cardservice.ledger.chunks import post_chunk
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import locked, post
from cardservice.ledger.posting_postgresql import post_in_shard
from cardservice.ledger.rating_groups import post_group
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import PAYER_PREPAID, Posting, PostingResult
from cardservice.ledger.verify import verify
from tests.cardservice.advices.chunk import advice, answers, outcomes
from tests.cardservice.cluster.conftest import FUNDS_MINOR, Divided
from tests.cardservice.ledger.postings import CURRENCY, MOMENT, balances_of, sale, topup, view_of
from tests.cardservice.ledger.test_rating_groups import first_of
from tests.cardservice.ledger.test_ratings import day
from tests.support.council import FARE_MINOR, advice_of

pytestmark = pytest.mark.long

# So many that five of them lie in one of the shards, at least.
PAYERS, PREPAID = 40, 1_000
LIMIT_S = 60
Calls = list[Sequence[Posting]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What was given to a node at once: the call is made as it is, and looked at before."""
    made: Calls = []
    posted: Callable[..., list[PostingResult]] = post_in_shard

    def looked_at(connection: psycopg.Connection[object], some: Sequence[Posting], **how: object) -> object:
        payers = {payer for one in some for payer in (one.payer_id, *(also for also, _ in one.also_under))}
        assert len(set(nodes.places(connection, payers).values())) == 1
        made.append(some)
        return posted(connection, some, **how)

    monkeypatch.setattr(chunks_cluster, "post_in_shard", looked_at)
    return made


def test_a_chunk_is_a_few_calls_and_each_entry_has_its_answer(divided: Divided, calls: Calls) -> None:
    """Of all cards several: one is forged, one came before, one's payer is held and settled the next time."""
    council, database = divided.council, divided.council.context.database
    bus = council.terminal("told-later")
    first, *others = divided.cards
    known = advice(advice_of(bus, first), first)
    assert outcomes(answers(bus, [known])) == ["approved"]
    held = others[-1]
    entries = [
        known,
        advice(advice_of(bus, first), replace(first, key=held.key)),
        *(advice(advice_of(bus, card), card) for _ in range(2) for card in divided.cards),
    ]
    calls.clear()
    before = _readings(divided)
    with locked(database, [held.payer]):
        found = answers(bus, entries)
    twice = outcomes(found)
    assert twice[:2] == ["approved", "proof_invalid"]
    assert [entry["answer"]["repeated"] for entry in found[:1]] == [True]
    # The held one's wait for it, are told to come again, and keep nobody else of the chunk from being posted.
    assert [row for row, what in enumerate(twice) if what == "busy"] == [9, 17]
    assert set(twice[2:9] + twice[10:17]) == {"approved"}
    # A call for each shard and each turn of a card's; beside them only what was held is asked for alone.
    assert len(calls) <= 2 * len(_by_shard(database, [card.payer for card in divided.cards]))
    assert _readings(divided) - before <= 2
    again = answers(bus, entries)
    assert outcomes(again) == ["approved", "proof_invalid", *["approved"] * 16]
    assert sum(entry["answer"]["repeated"] for entry in again if "answer" in entry) == 15
    for card in divided.cards:
        paid = 3 if card is first else 2
        assert council.balances(card.payer) == (FUNDS_MINOR - paid * FARE_MINOR, 0)


def test_what_is_not_posted_takes_what_follows_of_its_payer_along(divided: Divided, calls: Calls) -> None:
    """Below the floor, read too long ago, and of two shards; everybody else's is posted."""
    database = divided.council.context.database
    shards = _by_shard(database, _payers(database, PAYERS))
    (near, beside, poor, changed, *_), (wide, *_) = shards[:2]
    post(database, [topup(changed, 1, 1)])
    plain = {payer: sale(payer, 1, 10) for shard in shards for payer in shard if payer != wide}
    # As the chunk itself has left the other one; and then the other one again.
    together = [replace(sale(near, 1, 20), also_under=((beside, 1),)), sale(beside, 1, 20)]
    chunk = [
        *plain.values(),
        *together,
        sale(poor, 1, 2 * PREPAID),
        sale(poor, 1, 10),
        replace(sale(wide, 1, 10), also_under=((near, 1),)),
        sale(wide, 1, 10),
    ]
    expected = [each for payer, each in plain.items() if payer != changed] + together
    assert post_chunk(database, chunk) == {each.transaction.id for each in expected}
    assert len(calls) == len(shards) + 2
    left = dict.fromkeys(plain, PREPAID - 10) | {wide: PREPAID, changed: PREPAID + 1}
    left |= dict.fromkeys((near, beside), PREPAID - 30)
    assert {payer: balances_of(database, payer)[PAYER_PREPAID] for payer in left} == left
    # Versions have moved on: nothing is posted twice.
    assert post_chunk(database, chunk) == frozenset()
    assert verify(database).is_clean


def test_what_is_refused_costs_its_own_shard(divided: Divided, calls: Calls) -> None:
    """Where a transfer names no account, none of that call is posted; it can be posted one by one."""
    database = divided.council.context.database
    shards = _by_shard(database, _payers(database, PAYERS))
    chunk = [sale(payer, 1, 10) for shard in shards for payer in shard]
    [line] = chunk[0].transfers
    chunk[0] = replace(chunk[0], transfers=(replace(line, unit="EUR"),))
    posted = post_chunk(database, [*chunk, sale(shards[0][-1], 1, 10)])
    assert posted == {each.transaction.id for each in chunk[len(shards[0]) :]}
    assert len(calls) == len(shards)
    assert post_chunk(database, chunk[1 : len(shards[0])]) == {
        each.transaction.id for each in chunk[1 : len(shards[0])]
    }
    assert verify(database).is_clean


def test_rated_days_are_posted_shard_by_shard(divided: Divided) -> None:
    """A transaction at one node for those of a shard, not one for each; who has changed is left out."""
    database = divided.council.context.database
    payers = _payers(database, PAYERS)
    with database.reading() as connection:
        views = read_payers(connection, payers)
    changed = payers[0]
    post(database, [topup(changed, 1, 1)])
    wanted = {payer: [first_of(day(payer, 200))] for payer in payers}
    before = len(_issued(divided))
    assert post_group(database, views, wanted, MOMENT) == set(payers[1:])
    sent = _issued(divided)[before:]
    assert 0 < sum("BEGIN" in command for command in sent) <= len(_by_shard(database, payers))
    assert {balances_of(database, payer)[PAYER_PREPAID] for payer in payers[1:]} == {PREPAID - 200}
    assert view_of(database, changed).prepaid.balance == PREPAID + 1
    with database.reading() as connection:
        views = read_payers(connection, payers)
    # One that was rated already: none of its shard is posted, and all of the others'.
    again = {payer: [first_of(day(payer, 300))] for payer in (changed, payers[1])}
    together = len(_by_shard(database, list(again))) == 1
    assert post_group(database, views, again, MOMENT) == (frozenset() if together else {changed})
    assert verify(database).is_clean


def test_who_lies_on_a_dead_node_is_told_to_come_again(divided: Divided) -> None:
    """The others of the chunk are posted; and theirs, by the same chunk, when the node is back."""
    council, cluster = divided.council, divided.cluster
    bus = council.terminal("told-meanwhile")
    entries = [advice(advice_of(bus, card), card) for card in divided.cards]
    with psycopg.connect(cluster.url, autocommit=True) as session:
        homes = [nodes.places(session, [card.payer])[card.payer].node for card in divided.cards]
    dead = f"127.0.0.1:{cluster.ports[1]}"
    expected = ["busy" if home == dead else "approved" for home in homes]
    assert set(expected) == {"busy", "approved"}
    cluster.kill(1)
    assert outcomes(answers(bus, entries)) == expected
    # It is known by now, and not asked.
    assert outcomes(answers(bus, entries)) == expected
    cluster.start()
    deadline = time.monotonic() + LIMIT_S
    while set(outcomes(found := answers(bus, entries))) != {"approved"}:
        assert time.monotonic() < deadline, found
    assert [entry["answer"]["repeated"] for entry in found] == [home != dead for home in homes]


def _payers(database: Database, count: int) -> list[PayerId]:
    made = []
    for _ in range(count):
        with database.begin() as connection:
            made.append(create_payer(connection, "person", CURRENCY, MOMENT))
    post(database, [topup(payer, 0, PREPAID) for payer in made])
    return made


def _by_shard(database: Database, payers: Sequence[PayerId]) -> list[list[PayerId]]:
    """Those of each shard; where most lie first."""
    found: dict[int, list[PayerId]] = {}
    with database.reading() as connection:
        for payer, place in nodes.places(driver_of(connection), payers).items():
            found.setdefault(place.shard, []).append(payer)
    return sorted(found.values(), key=len, reverse=True)


def _readings(divided: Divided) -> int:
    """How often somebody's state was read as for a message that comes alone."""
    return sum("read_payer(" in command for command in _issued(divided))


def _issued(divided: Divided) -> list[str]:
    log = Path(divided.cluster.folder, "nodes", "node0", "server.log").read_text(errors="replace")
    return [line for line in log.splitlines() if "issuing " in line]
