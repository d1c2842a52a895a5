"""A council's whole installation in a temporary folder, driven by its console scripts alone."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from kiosk.demo.place import choose_ports
from tests.support import warm

BIN = Path(sys.executable).parent
READY_TIMEOUT_S = 60.0
SCHEME_PASSPHRASE = secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Done:
    """What a program answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object that it printed."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


@dataclass(slots=True)
class Stack:
    """Scheme, card service and terminals under `root`; every method runs what a person would type."""

    root: Path
    service_url: str
    owner_url: str
    currency: str
    timezone: str
    clock_offset_s: float = 0.0
    # Where the scheme publishes; without one it has no status lists.
    public_url: str | None = None
    port: int = 0
    # Where the terminals reach the service: its own port, unless something lies between.
    public_port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    _service: subprocess.Popen[bytes] | None = None
    _cards: dict[str, warm.Begun] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "passphrase").write_text(SCHEME_PASSPHRASE)
        (self.root / "passphrase").chmod(0o600)
        self.port = free_port()
        self.environment |= {
            "CARDSERVICE_MODE": "development",
            "CARDSERVICE_TARIFF_APPROVAL": "one-person",
            # Several on PostgreSQL, however many processors there are: each takes a while to start.
            "CARDSERVICE_WORKERS": "2",
            # A few terminals of the tests ask what a town's would.
            "CARDSERVICE_TERMINAL_LIMIT": "1000000",
            "CARDSERVICE_DATABASE_URL": self.service_url,
            "CARDSERVICE_OWNER_DATABASE_URL": self.owner_url,
            "CARDSERVICE_PKI_DIR": str(self.root / "scheme"),
            "CARDSERVICE_PASSPHRASE_FILE": str(self.root / "passphrase"),
            "CITIZEN_CARD_CLOCK_OFFSET_S": str(self.clock_offset_s),
        }

    def programs(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of its programs."""
        origin = {"CARDSERVICE_PUBLIC_ORIGIN": self.origin}
        return {**os.environ, **self.environment, **origin, **(more or {})}

    @property
    def origin(self) -> str:
        """The card service's address, as terminals know it."""
        return f"http://127.0.0.1:{self.public_port or self.port}"

    def attempt(self, *command: str, environment: dict[str, str] | None = None) -> Done:
        """Run a console script; whatever comes of it."""
        done = warm.run(command, self.programs(environment), timeout=120)
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *command: str, environment: dict[str, str] | None = None) -> Done:
        """Run a console script that must succeed."""
        done = self.attempt(*command, environment=environment)
        assert done.status == 0, f"{command}: {done.status}\n{done.out}\n{done.err}"
        return done

    def install(self, scheme_id: str) -> None:
        """Make the scheme and set the card service up."""
        passphrase = str(self.root / "passphrase")
        self.run(
            *(
                "pki",
                "init",
                str(self.root / "scheme"),
                "--scheme-id",
                scheme_id,
                "--name",
                scheme_id.title(),
            ),
            *("--passphrase-file", passphrase),
            *(() if self.public_url is None else ("--public-url", self.public_url)),
        )
        self.run("cardservice", "init", "--currency", self.currency, "--timezone", self.timezone)

    def start_service(self) -> None:
        """Start gunicorn and wait until it is ready."""
        log = (self.root / "service.log").open("ab")
        with log:
            self._service = subprocess.Popen(
                [str(BIN / "cardservice"), "serve", "--bind", f"127.0.0.1:{self.port}"],
                env=self.programs(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._ready():
            assert self._service.poll() is None, (self.root / "service.log").read_text()
            assert time.monotonic() < deadline, (self.root / "service.log").read_text()
            time.sleep(0.02)

    @property
    def service_pid(self) -> int:
        """The process whose children serve the requests."""
        assert self._service is not None
        return self._service.pid

    def stop_service(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End gunicorn and its workers, politely or by SIGKILL."""
        if self._service is None:
            return
        if number == signal.SIGKILL:
            os.killpg(self._service.pid, signal.SIGKILL)
        else:
            self._service.send_signal(number)
        self._service.wait(timeout=60)
        self._service = None

    def _ready(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def agent(self, terminal: str) -> Path:
        """The folder of a terminal's agent."""
        return self.root / "terminals" / terminal

    def add_terminal(self, terminal: str, provider: str, role: str, *more: str) -> None:
        """Make a terminal's key, have it certified by the service, and enrol it."""
        folder = self.agent(terminal)
        folder.parent.mkdir(exist_ok=True)
        self.run(
            *("reader-agent", "init", str(folder), "--service-url", self.origin, "--terminal", terminal),
            *("--scheme-root", str(self.root / "scheme" / "public" / "root.crt")),
        )
        certificate = folder / "issued.crt"
        self.run(
            *("cardservice", "terminal", "add", terminal, "--csr", str(folder / "terminal.csr")),
            *("--provider", provider, "--role", role, "--out", str(certificate), *more),
        )
        self.run("reader-agent", "enrol", str(folder), "--certificate", str(certificate))

    def add_holder(self, name: str, category: str = "adult") -> str:
        """Register a cardholder; their id."""
        done = self.run("cardservice", "cardholder", "add", name, "--category", category, "--json")
        return str(done.json["cardholder"])

    def insert(self, card: Path, port: int, face: str = "contactless", *told: str) -> None:
        """Put a software card on the reader behind `port`; `told` are further options of the command."""
        with (self.root / "cards.log").open("ab") as log:
            self._cards[card.name] = warm.begin(
                [
                    *("reader-agent", "virtual-card", "insert", str(card)),
                    *("--port", str(port), "--face", face, *told),
                ],
                self.programs(),
                stdout=log,
                stderr=log,
            )

    def pull(self, card: Path) -> None:
        """Take a card off its reader."""
        process = self._cards.pop(card.name)
        process.terminate()
        process.wait(timeout=30)

    def tap(self, terminal: str, reader: str, details: dict[str, str], *more: str) -> Done:
        """Pay a single fare with whatever card is on the reader."""
        return self.attempt(
            *("reader-agent", "tap", "--agent", str(self.agent(terminal)), "--reader", reader, "--json"),
            *("--service", "transport", "--action", "single-fare", *more),
            *(f"--detail={key}={value}" for key, value in details.items()),
        )

    def close(self) -> None:
        """End everything that was started."""
        for process in self._cards.values():
            process.terminate()
            process.wait(timeout=30)
        self._cards.clear()
        self.stop_service()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now, and that the system gives to nobody meanwhile.

    Those for outgoing connections (32768 and up) are given to other tests before one listens on it.
    """
    return choose_ports(None, usual=False).card_service
