"""A running town as tests steer it: hands that move cards while a page waits, and a look into the ledger."""

import json
import os
import re
import signal
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from sqlalchemy import text

from cardservice.database import connect
from kiosk.demo import town
from kiosk.demo.town import Person
from tests.support.demonstration import Demonstration, Town
from tests.support.pcsc import wait_until
from tests.support.proxy import Wire

REST_TIMEOUT_S = 90.0
_PAGE_DATA = re.compile(r'<script type="application/json" id="page-data">(.*?)</script>', re.DOTALL)


class Hand:
    """Does what the wallet's page does, over HTTP: usable from any thread, while a page waits."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()

    def put(self, person: Person, reader: str) -> None:
        """Put somebody's card on a reader; what lay there is taken off first."""
        self._post("/put", card=_number(town.PEOPLE, person), reader=_reader(reader))

    def take(self, reader: str) -> None:
        """Take off what lies on a reader."""
        self._post("/take", reader=_reader(reader))

    def clear(self) -> None:
        """Take every card back."""
        for terminal in town.TERMINALS:
            self.take(terminal.reader)

    def start_service(self) -> None:
        """Start the card service, unless it runs."""
        self._post("/service/start")

    def close(self) -> None:
        """Let go."""
        self._session.close()

    def _post(self, path: str, **body: int) -> None:
        page = self._session.get(self._url + "/", timeout=30)
        found = _PAGE_DATA.search(page.text)
        assert found is not None, page.text
        headers = {
            "X-CSRFToken": json.loads(found[1])["csrf_token"],
            "Origin": self._url,
            "Accept": "application/json",
        }
        answer = self._session.post(self._url + path, json=body, headers=headers, timeout=120)
        assert answer.status_code == 200, answer.text


class Listener:
    """An event stream as it comes over the wire, on a connection of its own that can be cut at once."""

    def __init__(self, url: str, authorization: str = "") -> None:
        address = urlsplit(url)
        self._connection = socket.create_connection((address.hostname, address.port), timeout=30)
        self._connection.settimeout(None)
        headers = f"Host: {address.netloc}\r\nAccept: text/event-stream\r\n"
        if authorization:
            headers += f"Authorization: {authorization}\r\n"
        self._connection.sendall(f"GET {address.path} HTTP/1.1\r\n{headers}\r\n".encode())
        self.text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: "event: " in self.text, f"the first event of {url}", REST_TIMEOUT_S)

    @property
    def data(self) -> list[dict[str, Any]]:
        """What the events so far have said."""
        lines = [line for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    def close(self) -> None:
        """Listen no more."""
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def _read(self) -> None:
        while part := self._connection.recv(65536):
            self.text += part.decode()


@dataclass(frozen=True, slots=True)
class Entry:
    """A card's transaction in the ledger."""

    id: str
    service: str
    kind: str
    decision: str
    reason: str
    # What was moved for it, in minor units: nothing for a decline
    moved_minor: int


@dataclass(slots=True)
class RunningTown:
    """A demonstration, the wire before its card service, and hands to move its cards."""

    demonstration: Demonstration
    wire: Wire
    told: Town
    hand: Hand
    _seen: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, demonstration: Demonstration, wire: Wire) -> Self:
        """Once everything in it runs."""
        told = demonstration.ready()
        return cls(demonstration, wire, told, Hand(told.url("wallet")))

    def rest(self) -> None:
        """All cards in the wallet, the service running, nothing waiting; a fresh count begins."""
        self.hand.clear()
        self.hand.start_service()
        wait_until(lambda: self.waiting() == 0, "empty outboxes", REST_TIMEOUT_S)
        self._seen = {entry.id for entry in self._entries()}

    def waiting(self) -> int:
        """How many messages the terminals have still to tell."""
        return sum(self.agent(name, "GET", "/v1/outbox")["waiting"] for name in ("till", "validator"))

    def sync(self) -> None:
        """Have the terminals tell now what waits."""
        for name in ("till", "validator"):
            self.agent(name, "POST", "/v1/outbox/sync")

    def agent(self, name: str, method: str, path: str) -> dict[str, Any]:
        """What a terminal's reader agent answers."""
        agent = self.told.state["agents"][name]
        token = Path(agent["token_file"]).read_text(encoding="ascii")
        answer = requests.request(
            method,
            agent["url"].rstrip("/") + path,
            headers={"Authorization": f"Bearer {token}"},
            json={} if method == "POST" else None,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        value = answer.json()
        assert isinstance(value, dict)
        return value

    def new_entries(self) -> list[Entry]:
        """The cards' transactions since the town was at rest, in order."""
        return [entry for entry in self._entries() if entry.id not in self._seen]

    def new_sales(self) -> list[Entry]:
        """Those for which money was moved."""
        return [entry for entry in self.new_entries() if entry.moved_minor > 0]

    def swap_at_the_till(self, person: Person) -> None:
        """Put somebody's card on the till in place of what lies there; returns when the agent has seen it."""
        before = self._tap_at_the_till()
        self.hand.put(person, town.TILL.reader)
        wait_until(lambda: self._tap_at_the_till() not in {None, before}, "the other card's tap")

    def _tap_at_the_till(self) -> str | None:
        [reader] = self.agent("till", "GET", "/v1/status")["readers"]
        tap = reader["tap"]
        return None if tap is None else str(tap)

    def kill_service(self) -> None:
        """SIGKILL for the card service and its workers."""
        for process in self.demonstration.programs():
            command = (Path("/proc") / str(process) / "cmdline").read_bytes()
            if b"cardservice.wsgi" in command:
                os.kill(process, signal.SIGKILL)

    def _entries(self) -> list[Entry]:
        database = connect(self.told.state["owner_database_url"])
        query = text(
            "SELECT t.id, t.service, t.kind, t.decision, t.reason, "
            "coalesce((SELECT sum(m.amount_minor) FROM transfer m WHERE m.transaction_id = t.id), 0) moved "
            "FROM ledger_transaction t WHERE t.origin = 'card' ORDER BY t.id"
        )
        try:
            with database.reading() as connection:
                return [
                    Entry(str(row.id), row.service, row.kind, row.decision, row.reason, int(row.moved))
                    for row in connection.execute(query)
                ]
        finally:
            database.dispose()


def _number(people: tuple[Person, ...], person: Person) -> int:
    return people.index(person) + 1


def _reader(name: str) -> int:
    return [terminal.reader for terminal in town.TERMINALS].index(name) + 1


def writes_to(process: int, log: Path) -> bool:
    """Whether a process is the program with this log; one that was forked has no command line of its own."""
    try:
        return (Path("/proc") / str(process) / "fd" / "1").readlink() == log
    except OSError:
        return False
