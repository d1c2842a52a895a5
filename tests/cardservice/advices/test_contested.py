"""A chunk beside somebody else: what another session holds or has changed is decided again, never past it."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from cardservice.ledger import chunks_postgresql, chunks_sqlite
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.payers import touch_payers
from cardservice.ledger.posting import post_on
from cardservice.ledger.values import CounterChange, Posting
from pki.statements import details_hmac
from tests.cardservice.advices.chunk import advice, answers
from tests.cardservice.ledger.postings import sale
from tests.cardservice.ledger.test_two_sessions import LIMIT_S, waiting_for
from tests.support.council import SALT, Card, Council, Terminal, advice_of

DAY = "2026-06-15"
FLAPJACKS = {"service": "lunch", "items": [{"item": "flapjack", "quantity": 2}]}
FLAPJACKS_MINOR = 160
# Both are within it, together they are not.
LIMIT_MINOR = 300


@pytest.fixture
def till(council: Council) -> Terminal:
    """A till with the demonstration's menu."""
    council.load_menu()
    council.provider("school-kitchen")
    return council.terminal("till-1", "till", provider="school-kitchen", offline_limit_minor=500)


@pytest.fixture
def pupil(council: Council, till: Terminal) -> Card:
    """A pupil with 20.00 and a limit of 3.00 a day."""
    card = council.card("pupil", top_up_minor=2000)
    limit(council, card, LIMIT_MINOR)
    council.clock.advance(seconds=1)
    return card


def limit(council: Council, card: Card, amount_minor: int) -> None:
    """Set a limit from now on."""
    now = council.clock()
    with council.context.database.begin() as connection:
        set_limit(connection, NewLimit(card.payer, card.holder, "meals.day", amount_minor), now, now)


def two_flapjacks(till: Terminal, card: Card) -> bytes:
    """The entry of what was sold offline."""
    statement = advice_of(
        till,
        card,
        service="meals",
        action="sale",
        amount_minor=FLAPJACKS_MINOR,
        details_hmac=details_hmac(SALT, FLAPJACKS),
    )
    return advice(statement, card, FLAPJACKS)


def online(council: Council, card: Card) -> Posting:
    """What an authorisation posts for another two."""
    posting = sale(card.payer, council.view(card.payer).version, FLAPJACKS_MINOR)
    counted = (CounterChange(card.holder, "meals.day", DAY, FLAPJACKS_MINOR),)
    return Posting(
        posting.payer_id,
        posting.expected_version,
        posting.transaction,
        posting.transfers,
        counted,
        posting.proof,
        posting.details,
    )


@pytest.mark.parametrize(
    ("removed", "flags"), [((), ["over_limit"]), (("lock",), [])], ids=["whole", "no lock"]
)
def test_beside_an_online_authorisation(
    council: Council,
    till: Terminal,
    pupil: Card,
    monkeypatch: pytest.MonkeyPatch,
    removed: tuple[str, ...],
    flags: list[str],
) -> None:
    """It is held between its posting and its commit while the chunk arrives: the advice is over the limit.

    Without the lock (on SQLite, which locks by beginning: without the look at the version) the advice is
    posted as it was decided before the other was there.
    """
    if removed:
        unlocked = "SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (%s)"
        monkeypatch.setattr(chunks_postgresql, "_LOCK", unlocked)
        monkeypatch.setattr(chunks_sqlite, "check_versions", lambda postings, _: list(postings))
    other = online(council, pupil)
    found = beside(council, lambda connection: post_on(connection, [other]), till, two_flapjacks(till, pupil))
    assert found[0]["answer"]["flags"] == flags
    view = council.view(pupil.payer)
    assert view.prepaid.balance == 2000 - 2 * FLAPJACKS_MINOR
    assert [counter.used for counter in view.counters] == [2 * FLAPJACKS_MINOR]


def test_beside_a_change_of_the_payer(council: Council, till: Terminal, pupil: Card) -> None:
    """Whoever else is in the chunk is posted all the same."""
    other = council.card("pupil", top_up_minor=2000)
    entries = [two_flapjacks(till, card) for card in (pupil, other, pupil)]
    found = beside(council, lambda connection: touch_payers(connection, [pupil.payer]), till, *entries)
    assert [entry["answer"]["flags"] for entry in found] == [[], [], ["over_limit"]]
    assert council.balances(pupil.payer) == (2000 - 2 * FLAPJACKS_MINOR, 0)
    assert council.balances(other.payer) == (2000 - FLAPJACKS_MINOR, 0)


def test_a_limit_that_was_set_later(council: Council, till: Terminal, pupil: Card) -> None:
    """An advice goes by what was known when it was made, and counts for what is sold after it."""
    early = two_flapjacks(till, pupil)
    council.clock.advance(minutes=1)
    limit(council, pupil, 0)
    council.clock.advance(minutes=1)
    found = answers(till, [early, two_flapjacks(till, pupil)])
    assert [entry["answer"]["flags"] for entry in found] == [[], ["over_limit"]]
    [counter] = council.view(pupil.payer).counters
    assert counter.used == 2 * FLAPJACKS_MINOR


def beside(
    council: Council, first: Callable[[Any], object], till: Terminal, *entries: bytes
) -> list[dict[str, Any]]:
    """What comes of a chunk that arrives while `first` has done its work and not yet committed."""
    came: list[dict[str, Any]] = []
    database = council.context.database
    thread = Thread(target=lambda: came.extend(answers(till, entries)))
    with waiting_for(database, thread) as is_waiting, database.begin() as connection:
        first(connection)
        thread.start()
        deadline = time.monotonic() + LIMIT_S
        while not is_waiting() and thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.005)
    thread.join(LIMIT_S)
    return came
