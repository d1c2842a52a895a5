"""Processes that share a chunk: all of a card by one; what one of them leaves behind is sent again."""

import os
import signal
import time
from collections.abc import Iterator
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import text

from cardservice.advices import frames
from cardservice.advices.answering import Entry
from cardservice.advices.wire import card_of
from cardservice.advices.workers import SMALLEST_SHARE, Workers, divided
from cardservice.database import Database
from cardservice.ids import TerminalId
from cardservice.ledger.verify import verify
from cardservice.terminals.service import Terminal as Registered
from cardservice.terminals.service import find_terminal
from tests.cardservice.advices.chunk import advice
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import FARE_MINOR, Council, advice_of

LIMIT_S = 60.0
CARDS, TAPS = 8, 15


@pytest.fixture
def workers(council: Council, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Two processes on the council's database."""
    settings = council.context.settings
    environment = {
        "MODE": "development",
        "DATABASE_URL": settings.database_url,
        "PKI_DIR": str(settings.pki_dir),
        "PASSPHRASE": PASSPHRASE.decode(),
        "PUBLIC_ORIGIN": settings.public_origin,
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"CARDSERVICE_{name}", value)
    made = Workers("ashcombe", 2)
    yield made
    made.close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_one_of_two_is_killed_over_its_share(
    council: Council, workers: Workers, owner_database: Database
) -> None:
    """The other's share is answered. Of the dead one's nothing stands, and sent again it is posted once."""
    bus = council.terminal("bus-12")
    cards = [council.card(top_up_minor=10_000) for _ in range(CARDS)]
    entries = [advice(advice_of(bus, card), card) for card in cards * TAPS]
    terminal = registered(council)
    came: list[list[Entry]] = []
    thread = Thread(target=lambda: came.append(workers(terminal, entries)))
    with owner_database.begin() as connection:
        # Both have stored transactions and transfers, and wait before the last table.
        connection.execute(text("LOCK TABLE transaction_details IN ACCESS EXCLUSIVE MODE"))
        thread.start()
        await_blocked(council.context.database, 2)
        [dead, _] = [worker.pid for worker in workers.running]
        os.kill(dead, signal.SIGKILL)
    thread.join(LIMIT_S)
    [first] = came
    shares = divided(entries, 2)
    assert all(b'"code":"busy"' in first[row].json for row in shares[0])
    assert all(b'"reason":"approved"' in first[row].json for row in shares[1])
    assert verify(council.context.database).is_clean
    assert sum(10_000 - council.balances(card.payer)[0] for card in cards) == len(shares[1]) * FARE_MINOR

    again = workers(terminal, entries)

    assert all(b'"reason":"approved"' in entry.json for entry in again)
    assert all(b'"repeated":false' in again[row].json for row in shares[0])
    assert all(b'"repeated":true' in again[row].json for row in shares[1])
    assert [council.balances(card.payer) for card in cards] == [(10_000 - TAPS * FARE_MINOR, 0)] * CARDS
    assert verify(council.context.database).is_clean


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_whoever_gives_up_leaves_no_answer_behind(
    council: Council, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process would answer to a request that was given up is not the answer to the next."""
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=10_000)
    first, second = ([advice(advice_of(bus, card), card)] for _ in range(2))
    terminal = registered(council)
    with monkeypatch.context() as given_up:
        given_up.setattr(frames, "receive", _give_up)
        with pytest.raises(KeyboardInterrupt):
            workers(terminal, first)
    assert not workers.running
    [after] = workers(terminal, second)
    assert b'"repeated":false' in after.json
    [again] = workers(terminal, second)
    assert b'"repeated":true' in again.json


def _give_up(_: object) -> list[bytes]:
    raise KeyboardInterrupt


def test_divided_by_card() -> None:
    """Every card's entries in one share and in their order, whatever is malformed among them."""
    entries = [b"\x84\x50" + UUID(int=number % 7).bytes + bytes([number % 256]) for number in range(400)]
    entries[5:5] = [b"", b"\x84"]
    shares = divided(entries, 4)
    assert sorted(row for share in shares for row in share) == list(range(len(entries)))
    assert all(share == sorted(share) for share in shares)
    owners = [{card_of(entries[row]) for row in share} - {b""} for share in shares]
    assert sum(map(len, owners)) == 7
    assert [len(share) for share in divided(entries[: SMALLEST_SHARE * 2 - 1], 4)] == [SMALLEST_SHARE * 2 - 1]


def registered(council: Council) -> Registered:
    """The validator as the service knows it."""
    with council.context.database.reading() as connection:
        found = find_terminal(connection, TerminalId("bus-12"))
    assert found is not None
    return found


def await_blocked(database: Database, count: int) -> None:
    """Wait until so many sessions of this role wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + LIMIT_S
    while True:
        with database.posting_engine.connect() as connection:
            if connection.execute(query).scalar_one() >= count:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)
