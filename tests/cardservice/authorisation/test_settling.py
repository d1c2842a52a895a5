"""Decided again where something has changed in between, under the lock in the end; at once, and once."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from threading import Event, current_thread
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from cardservice.authorisation import service, settling
from cardservice.authorisation.answers import Given
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.settling import Prepared, Question
from cardservice.cards.service import revoke_card
from cardservice.context import Context
from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.limits import NewLimit, set_limit, switch_service
from cardservice.ledger.models import payer_state
from cardservice.ledger.payers import touch_payers
from cardservice.ledger.privacy import destroy_key, erase_details
from tests.cardservice.ledger.test_two_sessions import LIMIT_S, waiting_for
from tests.cardservice.ledger.variants import without
from tests.support.council import (
    ACTOR,
    FARE_MINOR,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)
from tests.support.databases import DatabaseUrls

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


@pytest.fixture
def card(council: Council) -> Card:
    """A card with 20.00."""
    return council.card(top_up_minor=2000)


def disturb(monkeypatch: pytest.MonkeyPatch, during: Callable[[Context, int], None]) -> list[int]:
    """Let something happen each time after a decision was made and before it is posted; the decisions."""
    made: list[int] = []
    real = settling.settle

    def disturbed(context: Context, question: Question) -> Given:
        def decide_then(found: Facts) -> Prepared:
            prepared = question.decide(found)
            made.append(len(made) + 1)
            during(context, made[-1])
            return prepared

        return real(context, replace(question, decide=decide_then))

    monkeypatch.setattr(service, "settle", disturbed)
    return made


@pytest.mark.parametrize("changes", [0, 1, 2])
def test_decided_again(
    council: Council, bus: Terminal, card: Card, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    """After two misses the payer is locked, and nothing can come in between any more."""
    locked = []

    def touch(context: Context, decision: int) -> None:
        locked.append(is_locked(context.database, card.payer))
        if decision <= changes:
            with context.database.begin() as connection:
                touch_payers(connection, [card.payer])

    made = disturb(monkeypatch, touch)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    assert made == list(range(1, changes + 2))
    assert locked == [False, False, True][: changes + 1]
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def is_locked(database: Database, payer: PayerId) -> bool:
    """Whether somebody holds this payer's state; on SQLite, whether somebody writes."""
    if database.dialect == "sqlite":
        with closing(sqlite3.connect(str(database.engine.url.database), timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False
    rows = select(payer_state.c.version).where(payer_state.c.payer_id == payer)
    try:
        with database.begin() as other:
            other.execute(rows.with_for_update(key_share=True, nowait=True))
    except OperationalError:
        return True
    return False


def revoke(council: Council, connection: Connection, card: Card) -> None:
    """As a desk does it: state, certificates and revocation list in one transaction."""
    authority, now = council.context.authority("cards", connection), council.clock()
    revoke_card(connection, authority, card.id, reason="lost", actor=ACTOR, moment=now)


def switch_off(council: Council, connection: Connection, card: Card) -> None:
    """As its holder may."""
    switch_service(connection, card.holder, "transport", on=False, moment=council.clock())


def lower(council: Council, connection: Connection, card: Card) -> None:
    """To less than the fare."""
    new, now = NewLimit(card.payer, card.holder, "transport.day", FARE_MINOR - 1), council.clock()
    set_limit(connection, new, now, now)


@pytest.mark.parametrize("removed", [(), ("version",)], ids=["checked", "without the version's check"])
@pytest.mark.parametrize(
    ("change", "reason"), [(revoke, "card_revoked"), (switch_off, "service_off"), (lower, "limit_reached")]
)
def test_changed_between_decision_and_posting(
    council: Council,
    bus: Terminal,
    card: Card,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Council, Connection, Card], None],
    reason: str,
    removed: tuple[str, ...],
) -> None:
    """The change is held open until the posting waits for it: what was decided before is decided again.

    Without the check of the payer's version what was decided on the old state is posted.
    """
    without(removed, database_urls, monkeypatch).dispose()
    database, poster, answered = council.context.database, current_thread(), Event()
    changed: Future[None] = Future()

    def hold() -> None:
        with waiting_for(database, poster) as is_waiting, database.begin() as connection:
            change(council, connection, card)
            changed.set_result(None)
            deadline = time.monotonic() + LIMIT_S
            while not is_waiting() and not answered.is_set():
                assert time.monotonic() < deadline
                time.sleep(0.005)

    with ThreadPoolExecutor(1) as pool:
        holding: list[Future[None]] = []

        def begin(_: Context, decision: int) -> None:
            if decision == 1:
                holding.append(pool.submit(hold))
                wait([changed, *holding], LIMIT_S, FIRST_COMPLETED)

        made = disturb(monkeypatch, begin)
        reply = bus.post(URL, message(request_for(bus, card), card))
        answered.set()
        holding[0].result(LIMIT_S)
    assert reply.outcome == (200, "approved" if removed else reason)
    assert made == ([1] if removed else [1, 2])
    assert council.balances(card.payer) == (2000 - FARE_MINOR if removed else 2000, 0)


def test_payer_changed_between_decision_and_posting(
    council: Council, bus: Terminal, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The family that pays from now on is charged, and it alone."""
    families = []

    def change(_: Context, decision: int) -> None:
        if decision == 1:
            families.append(council.family(card, top_up_minor=1000))

    disturb(monkeypatch, change)
    council.clock.advance(seconds=1)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (2000, 0)
    assert council.balances(families[0]) == (1000 - FARE_MINOR, 0)


def test_annulled_between_decision_and_posting(
    council: Council, bus: Terminal, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The annulment that overtakes its request inside the service is found, too."""
    statement = request_for(bus, card)
    notice = annulment(bus, card, statement.id)
    with monkeypatch.context() as patch:

        def annul(_: Context, decision: int) -> None:
            if decision == 1:
                patch.undo()
                assert bus.post(URL, notice).outcome == (200, "annulled")

        disturb(patch, annul)
        assert bus.post(URL, message(statement, card)).outcome == (200, "annulled")
    assert council.balances(card.payer) == (2000, 0)


def test_many_taps_at_once(council: Council, bus: Terminal, card: Card) -> None:
    """One payer, many threads: every tap is posted, and the money adds up."""
    bodies = [message(request_for(bus, card), card) for _ in range(8)]
    outcomes = at_once(council, bus, bodies)
    assert outcomes == [(200, "approved")] * 8
    assert council.balances(card.payer) == (2000 - 8 * FARE_MINOR, 0)


def test_too_many_taps_at_once(council: Council, bus: Terminal) -> None:
    """Money for three of six."""
    card = council.card(top_up_minor=3 * FARE_MINOR + 1)
    bodies = [message(request_for(bus, card), card) for _ in range(6)]
    outcomes = at_once(council, bus, bodies)
    assert sorted(outcomes) == [(200, "approved")] * 3 + [(200, "insufficient_funds")] * 3
    assert council.balances(card.payer) == (1, 0)


def test_one_tap_many_times_at_once(council: Council, bus: Terminal, card: Card) -> None:
    """A terminal that is impatient: charged once, every answer the same."""
    body = message(request_for(bus, card), card)
    assert at_once(council, bus, [body] * 6) == [(200, "approved")] * 6
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def at_once(council: Council, bus: Terminal, bodies: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Send these together, each on a connection of its own; a terminal repeats what was answered `busy`."""

    def send(body: dict[str, Any]) -> tuple[int, str]:
        terminal = Terminal(bus.id, bus.key, council.client.application.test_client(), bus.clock)
        while (reply := terminal.post(URL, body)).status == 503:
            pass
        return reply.outcome

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


def test_erased(council: Council, bus: Terminal, card: Card) -> None:
    """Once its details are gone the id stays refused, and says why."""
    statement = request_for(bus, card)
    body = message(statement, card)
    bus.post(URL, body)
    with council.context.database.begin() as connection:
        erase_details(connection, card.payer, [TransactionId(statement.id)])
    assert bus.post(URL, body).outcome == (410, "erased")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_nothing_is_posted_for_an_erased_person(council: Council, bus: Terminal, card: Card) -> None:
    """Without a key no proof can be kept: nothing is posted, and an advice is quarantined."""
    with council.context.database.begin() as connection:
        destroy_key(connection, card.holder, council.clock())
    assert bus.post(URL, message(advice_of(bus, card), card)).outcome == (410, "erased")
    assert council.balances(card.payer) == (2000, 0)
