"""Decided again where something has changed in between, under the lock in the end; at once, and once."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from cardservice.authorisation import service, settling
from cardservice.authorisation.answers import Given
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.settling import Prepared, Question
from cardservice.context import Context
from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.limits import NewLimit, set_limit, switch_service
from cardservice.ledger.models import payer_state
from cardservice.ledger.payers import touch_payers
from cardservice.ledger.privacy import destroy_key, erase_details
from tests.cardservice.authorisation.test_meals import School
from tests.cardservice.authorisation.test_meals import school as school  # noqa: PLC0414 - a fixture
from tests.cardservice.ledger.variants import without
from tests.support.council import (
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


def test_revoked_between_decision_and_posting(
    council: Council, bus: Terminal, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided on the card's old state is not posted."""
    disturb(monkeypatch, lambda _, decision: council.revoke(card) if decision == 1 else None)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "card_revoked")
    assert council.balances(card.payer) == (2000, 0)


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "without the version's check"])
def test_switched_off_between_decision_and_posting(
    council: Council,
    bus: Terminal,
    card: Card,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    is_checked: bool,
) -> None:
    """A service that its holder switches off meanwhile is not paid; it is what the version is there for."""
    if not is_checked:
        without({"version"}, database_urls, monkeypatch).dispose()

    def switch(context: Context, decision: int) -> None:
        if decision == 1:
            with context.database.begin() as connection:
                switch_service(connection, card.holder, "transport", on=False, moment=context.now())

    made = disturb(monkeypatch, switch)
    reply = bus.post(URL, message(request_for(bus, card), card))
    assert reply.outcome == (200, "service_off" if is_checked else "approved")
    assert made == ([1, 2] if is_checked else [1])
    assert council.balances(card.payer) == (2000 if is_checked else 2000 - FARE_MINOR, 0)


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "without the version's check"])
def test_limit_lowered_between_decision_and_posting(
    school: School, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, is_checked: bool
) -> None:
    """What the limit of before would have let through is judged by the one of now."""
    if not is_checked:
        without({"version"}, database_urls, monkeypatch).dispose()

    def lower(context: Context, decision: int) -> None:
        if decision == 1:
            new = NewLimit(school.family, school.ben.holder, "meals.day", 100)
            with context.database.begin() as connection:
                set_limit(connection, new, context.now(), context.now())

    disturb(monkeypatch, lower)
    reply = school.sell(school.ben, {"flapjack": 2})
    assert reply.json["reason"] == ("limit_reached" if is_checked else "approved")


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
    """Without a key no proof can be kept: nothing is posted."""
    with council.context.database.begin() as connection:
        destroy_key(connection, card.holder, council.clock())
    assert bus.post(URL, message(advice_of(bus, card), card)).outcome == (410, "erased")
    assert council.balances(card.payer) == (2000, 0)
