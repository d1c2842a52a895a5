"""Group commit by greenlets: one payer once a turn, a bad row alone, and an answer for everybody.

Each runs in a process of its own, which gevent has patched: `greenlets.py` is what it does there.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from cardservice.batching.exchange import BatchedExchange
from cardservice.database import Database, UnfitDatabase
from tests.support.databases import DatabaseUrls

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
TIMEOUT_S = 120


def played(scenario: str, urls: DatabaseUrls) -> Any:
    """What came of it."""
    command = [sys.executable, "-W", "error", "-m", "tests.cardservice.batching.greenlets", scenario]
    done = subprocess.run(
        [*command, urls.service], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("scenario", "turns"),
    # Without its keys the turn is refused by the database as a whole, and then flown one by one.
    [("one_payer_twice", [1, 1]), ("one_payer_twice_without_keys", [2, 1, 1])],
)
def test_one_payer_twice_is_two_turns(database_urls: DatabaseUrls, scenario: str, turns: list[int]) -> None:
    """The second was decided on what the first has changed."""
    came = played(scenario, database_urls)
    assert came == {"turns": turns, "came": ["posted", "version_changed"], "left": [800]}


def test_a_bad_row_costs_nobody_else(database_urls: DatabaseUrls) -> None:
    came = played("a_bad_row", database_urls)
    assert came["came"] == ["posted"] * 17 + ["PostingRefused"] + ["posted"] * 46
    assert came["left"] == [900] * 17 + [1000] + [900] * 46


def test_a_held_payer_delays_nobody_else(database_urls: DatabaseUrls) -> None:
    """The seven others are answered while it is held; it waits, alone, until staff have made their change."""
    came = played("a_held_payer", database_urls)
    assert came["order"] == ["posted"] * 7 + ["let go", "held version_changed"]
    assert came["left"] == [900] * 3 + [1000] + [900] * 4


def test_a_connection_that_dies_in_flight(database_urls: DatabaseUrls) -> None:
    """Everybody is told that it is not known; sent again it is posted, and found posted; never twice."""
    came = played("killed_in_flight", database_urls)
    assert came["came"] == ["Busy"] * 5
    assert came["again"] == ["posted"] * 5
    assert came["once more"] == ["known"] * 5
    assert came["left"] == [900] * 5


def test_a_greenlet_that_dies(database_urls: DatabaseUrls) -> None:
    """Those of its turn and those who wait for the next are told, and the next request makes another."""
    came = played("pilot_killed", database_urls)
    assert came == {"came": ["Busy"] * 3, "after": ["posted"] * 2, "left": [900] * 2}


def test_two_workers_with_the_same_payers(database_urls: DatabaseUrls) -> None:
    """Forwards and backwards: everything is posted once, and no session waits for another in a circle."""
    came = played("two_workers", database_urls)
    assert came == {"posted": 96, "deadlocks": 0, "left": [1000 - 80] * 12}


def test_batches_of_64_from_two_workers(database_urls: DatabaseUrls) -> None:
    """Each row its own answer: of two sales of one version one is posted; a bad row and a held payer cost
    nobody else anything, and whoever does not wait for the held payer is answered while it is held."""
    came = played("batches_of_64", database_urls)
    left = [1000 if number in {17, 40} else 900 for number in range(64)]
    assert came == {
        "answered while it was held": [63, 62],
        "bad": "PostingRefused",
        "held": ["version_changed"],
        "each other": [["posted", "version_changed"]],
        "deadlocks": 0,
        "left": left,
    }


def test_no_more_than_can_be_answered_in_time(database_urls: DatabaseUrls) -> None:
    """One is in the air, three wait, and two are told at once to come again."""
    came = played("too_many", database_urls)
    assert came["came"] == ["posted"] * 4 + ["Busy"] * 2
    assert came["left"] == [900] * 4 + [1000] * 2


def test_a_node_that_hangs_keeps_nobody_of_another_waiting(database_urls: DatabaseUrls) -> None:
    """The other's are answered meanwhile; then its own are told at once, and nothing is sent there."""
    came = played("a_node_that_hangs", database_urls)
    assert came["order"] == ["lives:2"] * 3 + ["Busy", "Busy lives:2"]
    assert came["flown"].count("hangs:1") == 1


def test_what_waits_for_a_node_that_hangs_is_given_up(database_urls: DatabaseUrls) -> None:
    """Only while one hangs; then, of a kind that was given up, nothing more is sent, until none does."""
    came = played("given_up", database_urls)
    hangs = "unavailable hangs:1"
    assert came["came"] == [
        *("slow: read", f"page: {hangs}", f"list: {hangs}", f"page: {hangs}", "other: read", "page: read")
    ]
    assert came["tried"] == ["slow", "page", "list", "other", "page"]


def test_a_turn_that_a_deadlock_ends_is_flown_again(database_urls: DatabaseUrls) -> None:
    """As when a migration changes tables while people pay: nobody hears of it."""
    came = played("a_deadlock", database_urls)
    assert came == {"flown": [3, 3], "came": [7, 8, 9]}


def test_a_process_that_gevent_has_not_patched_is_refused(database: Database) -> None:
    """Each call would stop all requests of the worker."""
    with pytest.raises(UnfitDatabase, match="gevent"):
        BatchedExchange(database)
