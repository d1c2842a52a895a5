"""The service as it runs in production, and many who pay at once: below no floor, never twice, none lost."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context
from cardservice.database import connect
from cardservice.ids import TerminalId
from cardservice.ledger.verify import verify
from pki.request_signatures import sign_request
from tests.cardservice.commands.test_serving import TIMEOUT_S, answers, served, until, workers
from tests.support.council import (
    FARE_MINOR,
    Card,
    Council,
    StandingClock,
    Terminal,
    message,
    request_for,
)
from tests.support.databases import DatabaseUrls, deadlocks

PATH = "/v1/authorisations"
PAYERS, FARES_EACH, CLIENTS = 4, 6, 64


@dataclass(slots=True)
class Town:
    """A council whose service runs as a process of its own, on the same database."""

    council: Council
    bus: Terminal
    environment: dict[str, str]
    folder: Path
    url: str = ""

    def bodies(self, cards: list[Card], count: int) -> list[dict[str, Any]]:
        """Requests by these cards in turn, signed by each."""
        nonce = self.council.context.keys.nonces.make
        clock = self.council.clock
        clock.moment = datetime.now(UTC)
        return [
            message(request_for(self.bus, card, nonce=nonce(TerminalId(self.bus.id), clock())), card)
            for card in (cards[number % len(cards)] for number in range(count))
        ]

    def send(self, body: dict[str, Any], session: requests.Session) -> requests.Response:
        """Send it once."""
        data = json.dumps(body).encode()
        headers = sign_request(
            *("POST", f"http://127.0.0.1:8080{PATH}", {"Content-Type": "application/json"}, data),
            *(self.bus.key, self.bus.id, datetime.now(UTC)),
        )
        return session.post(self.url + PATH, data=data, headers=headers, timeout=TIMEOUT_S)

    def send_alone(self, body: dict[str, Any]) -> requests.Response:
        """Send it once, on a connection of its own."""
        with requests.Session() as session:
            return self.send(body, session)

    def until_answered(self, body: dict[str, Any]) -> str:
        """Send it as a terminal does, again wherever there is no answer; the reason of the one that came."""
        deadline = time.monotonic() + TIMEOUT_S * 2
        with requests.Session() as session:
            while True:
                assert time.monotonic() < deadline
                with contextlib.suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                    answered = self.send(body, session)
                    if answered.status_code != 503:
                        assert answered.status_code == 200, answered.text
                        return str(answered.json()["reason"])

    def stored(self) -> dict[str, str]:
        """Each request in the ledger, and what was decided."""
        with self.council.context.database.reading() as connection:
            rows = connection.execute(
                text("SELECT id, decision FROM ledger_transaction WHERE kind = 'request'")
            ).all()
        return {str(row.id).replace("-", ""): row.decision for row in rows}


@pytest.fixture
def town(environment: dict[str, str], tmp_path: Path) -> Iterator[Town]:
    """A council with a bus, and the settings to serve it by."""
    clock = StandingClock(datetime.now(UTC))
    context = open_context(load_settings(environment), clock)
    council = Council(context, create_app(context).test_client(), clock)
    council.provider()
    council.load_fares()
    yield Town(council, council.terminal("bus-12"), environment, tmp_path)
    report = verify(context.database)
    assert report.is_clean, report.findings
    context.close()


def test_many_clients_empty_the_same_payers(town: Town) -> None:
    """64 clients, money for a part of them: exactly so much is paid, and no balance is below its floor."""
    cards = [town.council.card(top_up_minor=FARES_EACH * FARE_MINOR + 1) for _ in range(PAYERS)]
    bodies = town.bodies(cards, CLIENTS)
    with served(town.environment, town.folder) as (process, town.url):
        until(lambda: answers(town.url), process, town.folder / "log")
        with ThreadPoolExecutor(CLIENTS) as pool:
            reasons = list(pool.map(town.until_answered, bodies))
        repeated = [town.until_answered(body) for body in bodies[:PAYERS]]
    assert reasons.count("approved") == PAYERS * FARES_EACH
    assert reasons.count("insufficient_funds") == CLIENTS - PAYERS * FARES_EACH
    assert repeated == reasons[:PAYERS]
    assert [town.council.balances(card.payer) for card in cards] == [(1, 0)] * PAYERS
    assert len(town.stored()) == CLIENTS
    database = town.council.context.database
    assert database.dialect == "sqlite" or deadlocks(database) == 0


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_worker_that_is_killed(town: Town) -> None:
    """kill -9 under load: what was answered is there, once; what was not is answered when sent again."""
    cards = [town.council.card(top_up_minor=100 * FARE_MINOR) for _ in range(12)]
    bodies = town.bodies(cards, 72)
    acknowledged: list[str] = []

    def pay(body: dict[str, Any]) -> None:
        assert town.until_answered(body) == "approved"
        acknowledged.append(body["statement"])

    with served(town.environment, town.folder) as (process, town.url):
        until(lambda: workers(process) == 2 and answers(town.url), process, town.folder / "log")
        with ThreadPoolExecutor(12) as pool:
            paying = [pool.submit(pay, body) for body in bodies]
            until(lambda: len(acknowledged) > 6, process, town.folder / "log")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            for done in paying:
                done.result()
    assert len(acknowledged) == len(set(acknowledged)) == len(bodies)
    assert list(town.stored().values()) == ["approved"] * len(bodies)
    assert sum(town.council.balances(card.payer)[0] for card in cards) == (12 * 100 - 72) * FARE_MINOR


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_graceful_stop_answers_what_is_under_way(town: Town, database_urls: DatabaseUrls) -> None:
    """SIGTERM comes while every request waits in the database; each is answered all the same."""
    cards = [town.council.card(top_up_minor=FARE_MINOR) for _ in range(8)]
    bodies = town.bodies(cards, 8)
    other = connect(database_urls.service)
    with served(town.environment, town.folder) as (process, town.url):
        until(lambda: answers(town.url), process, town.folder / "log")
        with requests.Session() as session, ThreadPoolExecutor(8) as pool:
            with other.begin() as connection:
                connection.execute(text("LOCK TABLE transaction_details IN SHARE MODE"))
                paying = [pool.submit(town.send_alone, body) for body in bodies]
                until(lambda: _waiting(other), process, town.folder / "log")
                process.send_signal(signal.SIGTERM)
                # It listens no more: it is ending, and they are under way.
                until(lambda: not _listens(session, town.url), process, town.folder / "log")
            answered = [done.result() for done in paying]
        assert process.wait(TIMEOUT_S) == 0
    other.dispose()
    assert [one.status_code for one in answered] == [200] * 8
    assert [one.json()["reason"] for one in answered] == ["approved"] * 8


def _waiting(database: Any) -> bool:
    query = text(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.posting_engine.connect() as connection:
        return bool(connection.execute(query).scalar_one())


def _listens(session: requests.Session, url: str) -> bool:
    try:
        session.get(f"{url}/healthz/live", timeout=5)
    except requests.RequestException:
        return False
    return True
