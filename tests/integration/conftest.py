"""One installation per database, shared by the tests of a module: starting it is what takes long."""

import itertools
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from cardservice.database import connect
from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.support.databases import KINDS, Databases, DatabaseUrls
from tests.support.proxy import Wire
from tests.support.stack import Done, Stack

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

# The feed of Zakroczym is valid to 2026-12-31: its tests live on a day on which it is, whenever they run.
MOMENT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
DESK, BUS = "Desk", "Bus"
DESK_TERMINAL, BUS_TERMINAL = "desk-1", "bus-1"


@dataclass(frozen=True, slots=True)
class Person:
    """A cardholder with a personalised card."""

    id: str
    card: str
    file: Path


@dataclass(slots=True)
class Council:
    """A council's installation, and what its people do with it."""

    stack: Stack
    wire: Wire
    ports: dict[str, int]
    urls: DatabaseUrls
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def holder_with_card(self, topup: str) -> Person:
        """Register somebody, make their card at the desk, and pay money in."""
        stack, number = self.stack, next(self._numbers)
        holder = stack.add_holder(f"Person {number}")
        order = stack.run("cardservice", "card", "order", holder, "--kind", "citizen", "--json").json
        file = stack.root / f"card-{number}.json"
        stack.run("reader-agent", "virtual-card", "new", str(file))
        stack.insert(file, self.ports[DESK], "contact")
        try:
            desk = str(stack.agent(DESK_TERMINAL))
            stack.run("reader-agent", "personalise", order["order"], "--reader", DESK, "--agent", desk)
        finally:
            stack.pull(file)
        stack.run("cardservice", "topup", holder, topup)
        return Person(holder, order["card"], file)

    @contextmanager
    def on_the_bus(self, person: Person) -> Iterator[None]:
        """Hold the card to the bus's reader."""
        self.stack.insert(person.file, self.ports[BUS])
        try:
            yield
        finally:
            self.stack.pull(person.file)

    def tap(self, details: dict[str, str], *more: str) -> Done:
        """Pay a single fare with the card on the bus's reader."""
        return self.stack.tap(BUS_TERMINAL, BUS, details, *more)

    def sync(self) -> None:
        """Send what the bus's outbox holds."""
        self.stack.run("reader-agent", "sync", "--agent", str(self.stack.agent(BUS_TERMINAL)))

    def waiting(self) -> int:
        """How many entries of the bus's outbox have no answer yet."""
        listed = self.stack.run(
            "reader-agent", "outbox", "list", "--json", "--agent", str(self.stack.agent(BUS_TERMINAL))
        )
        return sum(entry["state"] in {"prepared", "open"} for entry in listed.json["entries"])

    def prepaid(self, person: Person) -> int:
        """What the person can spend, in minor units."""
        accounts = self.stack.run("cardservice", "balance", person.id, "--json").json["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))

    def count(self, table: str, transaction_id: str) -> int:
        """How many rows of a table belong to a transaction."""
        column = {"ledger_transaction": "id", "transfer": "transaction_id"}[table]
        wanted = transaction_id.replace("-", "") if self.urls.kind == "sqlite" else transaction_id
        database = connect(self.urls.owner)
        try:
            with database.reading() as connection:
                statement = text(f"SELECT count(*) FROM {table} WHERE {column} = :id")  # noqa: S608 - names above
                return int(connection.execute(statement, {"id": wanted}).scalar_one())
        finally:
            database.dispose()

    def verify_ledger(self) -> None:
        """Every balance, transfer and proof of the ledger is right."""
        self.stack.run("cardservice", "ledger", "verify")

    @contextmanager
    def answers_lost_after_posting(self) -> Iterator[None]:
        """The service posts, is killed before its answer reaches the terminal, and comes back afterwards."""
        killed = False

        def kill() -> None:
            nonlocal killed
            if not killed:
                killed = True
                self.stack.stop_service(signal.SIGKILL)

        self.wire.on_answer = kill
        try:
            yield
        finally:
            self.wire.on_answer = None
            assert killed, "no authorisation was sent: nothing was tested"
            self.stack.start_service()


@pytest.fixture(scope="module", params=KINDS)
def council(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    zakroczym: Path,
) -> Iterator[Council]:
    """A Polish town's installation with the real feed of its buses, on each database in turn."""
    urls = databases.create(request.param, migrated=False)
    root = tmp_path_factory.mktemp("council")
    stack = Stack(
        root=root,
        service_url=urls.service,
        owner_url=urls.owner,
        currency="PLN",
        timezone="Europe/Warsaw",
        clock_offset_s=(MOMENT - datetime.now(UTC)).total_seconds(),
    )
    wire = Wire(stack.port)
    stack.public_port = wire.port
    stack.install("zakroczym")
    load_feed(stack, zakroczym)
    with PrivatePcscd(root / "pcscd", [DESK, BUS]) as pcscd:
        stack.environment |= pcscd.environment
        stack.start_service()
        stack.add_terminal(DESK_TERMINAL, "council", "issuer")
        stack.add_terminal(BUS_TERMINAL, "buses", "validator", "--offline-limit", "1000")
        yield Council(stack, wire, {name: pcscd.port(name) for name in (DESK, BUS)}, urls)
        stack.close()
    wire.close()
    databases.drop(urls)


def load_feed(stack: Stack, feed: Path) -> None:
    """Load the real feed with the map that a council would write for it."""
    mapping = stack.root / "map.json"
    mapping.write_text(
        '{"fare_medium": "0", "rider_categories": {"adult": "0"}, "default_category": "adult"}'
    )
    stack.run("cardservice", "provider", "add", "council", "--name", "Gmina Zakroczym")
    stack.run("cardservice", "provider", "add", "buses", "--name", "Komunikacja Gminna Zakroczym")
    loaded = stack.run("cardservice", "load", "transport", str(feed), "--map", str(mapping), "--approve")
    assert "shapes.txt" in loaded.out, "files that are passed over are named"


@pytest.fixture(scope="session")
def zakroczym() -> Path:
    """The real feed; skipped where the shared data is not there."""
    path = SHARED_DATA / "gtfs" / "zakroczym.zip"
    if not path.exists():
        pytest.skip(f"the shared data is not there: {path}")
    return path


@pytest.fixture
def check_certificate(council: Council) -> Callable[[str, Path], bool]:
    """Whether `openssl verify -crl_check` accepts a card's certificate against what the service publishes."""

    def check(card: str, folder: Path) -> bool:
        origin, agent = council.stack.origin, council.stack
        shown = agent.run("cardservice", "card", "show", card, "--json").json
        (folder / "card.crt").write_text(shown["certificate"])
        for name in ("root.crt", "cards.crt", "cards.crl"):
            der = requests.get(f"{origin}/pki/{name}", timeout=30)
            der.raise_for_status()
            (folder / f"{name}.der").write_bytes(der.content)
            kind = "crl" if name.endswith(".crl") else "x509"
            convert = ["openssl", kind, "-inform", "DER", "-in", f"{name}.der", "-out", name]
            subprocess.run(convert, cwd=folder, check=True, capture_output=True)
        now = str(int(MOMENT.timestamp()) + 3600)
        done = subprocess.run(
            [
                *("openssl", "verify", "-crl_check", "-attime", now, "-CAfile", "root.crt"),
                *("-untrusted", "cards.crt", "-CRLfile", "cards.crl", "card.crt"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            assert "certificate revoked" in done.stderr, done.stderr
        return done.returncode == 0

    return check
