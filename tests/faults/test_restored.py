"""A backup of yesterday is restored: what is missing is said, and comes back from the terminal's outbox."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.faults.backups import Backup, PostgresBackup, SqliteBackup
from tests.support.council import DEMO_DATA, FARE_MINOR, TRIP
from tests.support.stack import Done, Stack
from tests.support.told import PROPERTY

DESK, BUS = "Desk", "Bus"
DAY_S = 86_400


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.long)])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backup]:
    """Each database in turn, which can be backed up and restored."""
    made: Backup = SqliteBackup(tmp_path) if request.param == "sqlite" else PostgresBackup()
    yield made
    made.close()


@dataclass(frozen=True, slots=True)
class Place:
    """An installation, and where its readers are."""

    stack: Stack
    desk_port: int
    bus_port: int

    def run(self, *command: str) -> Done:
        """Run a console script that must succeed."""
        return self.stack.run(*command)

    def agent(self, *command: str) -> tuple[str, ...]:
        """A command of the bus's agent."""
        return ("reader-agent", *command, "--agent", str(self.stack.agent("bus-1")))

    def holder_with_card(self) -> str:
        """Somebody with 20.00, whose card lies on the bus's reader from now on."""
        stack, card = self.stack, self.stack.root / "card.json"
        holder = stack.add_holder("Morgan Reed")
        order = self.run("cardservice", "card", "order", holder, "--kind", "citizen", "--json").json["order"]
        self.run("reader-agent", "virtual-card", "new", str(card))
        stack.insert(card, self.desk_port, "contact")
        desk = str(stack.agent("desk-1"))
        self.run("reader-agent", "personalise", order, "--reader", DESK, "--agent", desk)
        stack.pull(card)
        self.run("cardservice", "topup", holder, "20.00")
        stack.insert(card, self.bus_port)
        return holder

    def tap(self) -> dict[str, Any]:
        """A fare on the bus."""
        return self.stack.tap("bus-1", BUS, TRIP).json

    def sync(self) -> dict[str, Any]:
        """The bus tells what waits, and fetches what is new."""
        return self.run(*self.agent("sync", "--json")).json

    def prepaid_minor(self, holder: str) -> int:
        """What the person can spend."""
        accounts = self.run("cardservice", "balance", holder, "--json").json["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))

    def readiness(self) -> str:
        """What the service says of itself."""
        return str(requests.get(f"{self.stack.origin}/healthz/ready", timeout=30).json()["status"])

    def next_day(self) -> None:
        """The same time tomorrow, for every program."""
        self.stack.stop_service()
        self.stack.clock_offset_s += DAY_S
        self.stack.environment["CITIZEN_CARD_CLOCK_OFFSET_S"] = str(self.stack.clock_offset_s)
        self.stack.start_service()


@pytest.fixture
def place(backup: Backup, tmp_path: Path) -> Iterator[Place]:
    """An installation with a desk, a bus and their readers."""
    made = Stack(tmp_path, *backup.urls, "GBP", "Europe/London")
    made.install("ashcombe")
    made.run("cardservice", "provider", "add", "buses", "--name", "Vale Buses")
    feed, mapping = str(DEMO_DATA / "feed"), str(DEMO_DATA / "map.json")
    made.run("cardservice", "load", "transport", feed, "--map", mapping, "--approve")
    with PrivatePcscd(tmp_path / "pcscd", [DESK, BUS]) as pcscd:
        made.environment |= pcscd.environment
        made.start_service()
        made.add_terminal("desk-1", "buses", "issuer")
        made.add_terminal("bus-1", "buses", "validator", "--offline-limit", "1000")
        try:
            yield Place(made, pcscd.port(DESK), pcscd.port(BUS))
        finally:
            made.close()


def test_restored_to_yesterday(
    place: Place, backup: Backup, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """From a day that was sealed and one that was not; charged once each, also what was offline meanwhile."""
    stack, holder = place.stack, place.holder_with_card()
    assert place.tap()["decision"] == "approved"
    backup.take()
    assert place.tap()["decision"] == "approved"
    place.next_day()
    place.run("cardservice", "worker", "--once")
    heads = tmp_path / "heads.json"
    heads.write_text(place.run("cardservice", "ledger", "heads").out)
    assert place.tap()["decision"] == "approved"
    assert place.prepaid_minor(holder) == 2000 - 3 * FARE_MINOR
    stack.stop_service()
    assert place.tap()["offline"]

    backup.restore()
    assert place.prepaid_minor(holder) == 2000 - FARE_MINOR
    stack.environment["CARDSERVICE_PUBLISHED_HEADS"] = str(heads)
    checked = stack.attempt("cardservice", "recovery", "check")
    assert (checked.status, "lost: head 1" in checked.out) == (1, True)
    stack.start_service()
    assert place.readiness() == "recovering"
    # Requests wait: what was spent already is not spent again. The terminal goes on as without a service.
    assert place.tap()["offline"]
    before = place.run("cardservice", "recovery", "status", "--json").json
    assert ([day["back"] for day in before["lost"]], before["missing"]) == ([0], ["bus-1"])
    assert stack.attempt("cardservice", "recovery", "finish").status == 1

    synced = place.sync()
    assert synced["sent_again"] == {"posted": 2, "known": 1, "refused": {}}
    assert synced["waiting"] == 0
    state = place.run("cardservice", "recovery", "finish", "--json").json
    assert (state["back"], state["complete"], state["missing"]) == ({"approved": 2}, ["bus-1"], [])
    # Of that day's three entries two were in the backup: what was paid in, and the first fare.
    assert [(day["sealed"], day["back"]) for day in state["lost"]] == [(3, 1)]
    assert place.prepaid_minor(holder) == 2000 - 5 * FARE_MINOR

    place.run("cardservice", "worker", "--once")
    place.run("cardservice", "ledger", "verify", "--whole")
    assert place.sync()["sent_again"] is None
    refused = stack.attempt(*place.agent("outbox", "resend", "--since", "2026-01-01"))
    assert "not_recovering" in refused.err + refused.out
    # The head that is lost for good is known to be: no other recovery begins.
    stack.stop_service()
    stack.start_service()
    assert place.readiness() == "ready"
    assert place.tap()["decision"] == "approved"
    record_property(PROPERTY, f"restored {type(backup).__name__}: 2 of 2 lost transactions came back")
