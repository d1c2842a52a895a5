"""Where the demonstration lies: its folder, which is made anew and held, and its ports."""

import fcntl
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from kiosk.demo.town import PEOPLE, Person, Terminal

# Ours. The faces' and the agents' usual ports; another is taken where one is in use.
TILL_PORT, BUS_PORT, WALLET_PORT, KIOSK_PORT = 7420, 7421, 7422, 7423
TILL_AGENT_PORT, BUS_AGENT_PORT, KIOSK_AGENT_PORT = 7410, 7411, 7412
# Below those of virtual readers, and of outgoing connections, which would take one before it is used
OTHER_PORTS = range(10_000, 20_000)


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports on loopback."""

    card_service: int
    till: int
    validator: int
    wallet: int
    kiosk: int
    till_agent: int
    bus_agent: int
    kiosk_agent: int
    payment_provider: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demonstration keeps its files, and the settings that its programs share."""

    root: Path
    ports: Ports
    # Where terminals reach the card service: its own port, unless something lies between.
    public_port: int
    # SQLite in the folder, unless others are named
    database_url: str
    owner_database_url: str

    @property
    def origin(self) -> str:
        """The address of the card service, as terminals know it."""
        return f"http://127.0.0.1:{self.public_port}"

    @property
    def payment_provider(self) -> str:
        """The address of what stands in for a payment provider."""
        return f"http://127.0.0.1:{self.ports.payment_provider}"

    @property
    def settings(self) -> dict[str, str]:
        """What the console scripts read from the environment. No secret is among it, only where it lies."""
        return {
            "CARDSERVICE_MODE": "development",
            "CARDSERVICE_TARIFF_APPROVAL": "one-person",
            "CARDSERVICE_DATABASE_URL": self.database_url,
            "CARDSERVICE_OWNER_DATABASE_URL": self.owner_database_url,
            "CARDSERVICE_PKI_DIR": str(self.root / "scheme"),
            "CARDSERVICE_PASSPHRASE_FILE": str(self.passphrase_file),
            "CARDSERVICE_PUBLIC_ORIGIN": self.origin,
            "CARDSERVICE_PAY_URL": self.payment_provider,
            "CARDSERVICE_PAY_KEY_FILE": str(self.payment_key_file),
        }

    @property
    def passphrase_file(self) -> Path:
        """Holds what the scheme's keys are encrypted with."""
        return self.root / "passphrase"

    @property
    def payment_key_file(self) -> Path:
        """Holds the key by which the card service is known to the payment provider."""
        return self.root / "payment-key"

    def agent(self, terminal: Terminal) -> Path:
        """The folder of a terminal's reader agent."""
        return self.root / "terminals" / terminal.id

    def card(self, person: Person) -> Path:
        """The file that is somebody's software card; its name, which stands in logs, says not whose."""
        return self.root / "cards" / f"card-{PEOPLE.index(person) + 1}.json"

    def make_secrets(self) -> None:
        """Write a new passphrase and a new key, readable for their owner alone."""
        for file in (self.passphrase_file, self.payment_key_file):
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(32), encoding="ascii")


@contextmanager
def made_anew(root: Path) -> Iterator[None]:
    """The demonstration's folder, empty and held. Exits for one in use, or that is something else's."""
    lock = root / "lock"
    if root.exists() and any(root.iterdir()):
        if not lock.exists():
            sys.exit(f"demo: {root} is not a demonstration's folder; name another with --dir")
        with lock.open("wb") as held:
            _hold(held, root)
        shutil.rmtree(root)
    for folder in (root / "log", root / "cards", root / "terminals"):
        folder.mkdir(parents=True, mode=0o700)
    with lock.open("wb") as held:
        _hold(held, root)
        yield


def _hold(lock: BinaryIO, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"demo: a demonstration is running in {root}; end it first, or name another with --dir")


def choose_ports(card_service: int | None, *, usual: bool) -> Ports:
    """The usual ports where they are free, and else, or unless `usual`, any that are."""
    with _Probes() as probes:
        faces = (TILL_PORT, BUS_PORT, WALLET_PORT, KIOSK_PORT)
        agents = (TILL_AGENT_PORT, BUS_AGENT_PORT, KIOSK_AGENT_PORT)
        # Nobody expects the payment provider at any.
        wanted = (*faces, *agents, None)
        taken = [probes.take(port if usual else None) for port in wanted]
        return Ports(card_service or probes.take(), *taken)


class _Probes:
    """Holds the ports that it has found until all are found, so that none is found twice."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for probe in self._held:
            probe.close()

    def take(self, wanted: int | None = None) -> int:
        """This port if nobody listens on it, else another."""
        if wanted is not None and self._hold(wanted):
            return wanted
        for port in random.sample(OTHER_PORTS, len(OTHER_PORTS)):
            if self._hold(port):
                return port
        sys.exit(f"demo: no TCP port is free from {OTHER_PORTS.start} to {OTHER_PORTS.stop - 1}")

    def _hold(self, port: int) -> bool:
        probe = socket.socket()
        self._held.append(probe)
        # What was served there a moment ago does not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True
