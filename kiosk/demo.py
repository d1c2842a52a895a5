"""`make demo`: the whole platform on one machine, from nothing, with software cards.

Starts the console scripts as an administrator would, issues a card, tops it up and pays a bus fare with it,
then keeps everything running until Ctrl-C. All it writes lies in one folder.
"""

import argparse
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests

from kiosk.processes import Interrupted, ProgramFailed, Programs

DATA = Path(__file__).parent / "demo_data"
DESK, BUS = "Issuing desk", "Bus validator"
DESK_TERMINAL, BUS_TERMINAL = "desk-1", "bus-12"
READY = "The demonstration is running."


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demonstration keeps its files, and the settings that its programs share."""

    root: Path
    port: int

    @property
    def origin(self) -> str:
        """The address of the card service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What the console scripts read from the environment. No secret is among it, only where it lies."""
        return {
            "CARDSERVICE_MODE": "development",
            "CARDSERVICE_DATABASE_URL": f"sqlite:///{self.root / 'ledger.sqlite'}",
            "CARDSERVICE_PKI_DIR": str(self.root / "scheme"),
            "CARDSERVICE_PASSPHRASE_FILE": str(self.root / "passphrase"),
            "CARDSERVICE_PUBLIC_ORIGIN": self.origin,
        }

    def agent(self, terminal: str) -> Path:
        """The folder of a terminal's reader agent."""
        return self.root / "terminals" / terminal


def main() -> None:
    """Run the demonstration; exit status 0 when it was ended by Ctrl-C, 1 when something failed."""
    arguments = _arguments()
    root = arguments.dir.resolve()
    with _made_anew(root):
        place = Place(root, arguments.port or _free_port())
        programs = Programs(root / "log", place.settings)
        programs.interruptible()
        try:
            _run(place, programs, once=arguments.once)
        except Interrupted:
            print("\nEnding everything …", flush=True)
        except ProgramFailed as failure:
            sys.exit(f"\ndemo: {failure}\ndemo: the logs are in {root / 'log'}")
        finally:
            programs.close()
    print("All ended. What the demonstration wrote is in", os.path.relpath(root), flush=True)


@contextmanager
def _made_anew(root: Path) -> Iterator[None]:
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kiosk demo", description=__doc__)
    parser.add_argument(
        "--dir", type=Path, default=Path(".demo"), help="the demonstration's folder, made anew"
    )
    parser.add_argument("--port", type=int, help="the card service's port (default: a free one)")
    parser.add_argument("--once", action="store_true", help="end after the tap instead of waiting for Ctrl-C")
    return parser.parse_args()


def _run(place: Place, programs: Programs, *, once: bool) -> None:
    _say("Making the scheme: a root, and authorities for cards, terminals and the service")
    _secret_file(place.root / "passphrase")
    programs.run(
        *("pki", "init", str(place.root / "scheme"), "--scheme-id", "ashcombe", "--name", "Ashcombe Card"),
        *("--passphrase-file", str(place.root / "passphrase")),
    )

    _say("Setting the card service up on SQLite, with a bus company, a council and a fare table")
    programs.run("cardservice", "init", "--currency", "GBP", "--timezone", "Europe/London")
    programs.run("cardservice", "provider", "add", "ashcombe-council", "--name", "Ashcombe Council")
    programs.run("cardservice", "provider", "add", "vale-buses", "--name", "Vale Buses")
    programs.run("cardservice", "load", "transport", str(DATA / "feed"), "--map", str(DATA / "map.json"))
    programs.start("card service", "cardservice", "serve", "--bind", f"127.0.0.1:{place.port}")
    programs.wait_until("card service", lambda: _answers(f"{place.origin}/healthz/ready"))

    _say("Starting a private pcscd with two virtual readers")
    readers = _start_readers(place, programs)

    _say("Enrolling two terminals: the council's issuing desk and a bus validator")
    _enrol(place, programs, DESK_TERMINAL, "ashcombe-council", "issuer")
    _enrol(place, programs, BUS_TERMINAL, "vale-buses", "validator", "--offline-limit", "500")

    _say("Issuing a card to Morgan Reed: the key is made on the card and never leaves it")
    holder = _json(
        programs.run("cardservice", "cardholder", "add", "Morgan Reed", "--category", "adult", "--json")
    )
    order = _json(
        programs.run("cardservice", "card", "order", holder["cardholder"], "--kind", "citizen", "--json")
    )
    card = place.root / "cards" / "morgan.json"
    programs.run("reader-agent", "virtual-card", "new", str(card))
    _insert(programs, card, readers[DESK], "contact")
    programs.run("reader-agent", "personalise", order["order"], "--reader", DESK, *_as(place, DESK_TERMINAL))
    programs.stop("card")
    programs.run("cardservice", "topup", holder["cardholder"], "20.00")

    _say("Morgan boards a bus: tap")
    _insert(programs, card, readers[BUS], "contactless")
    trip = _json((DATA / "trip.json").read_text(encoding="utf-8"))
    tap = ["reader-agent", "tap", "--reader", BUS, "--service", "transport", "--action", "single-fare"]
    tap += [f"--detail={key}={value}" for key, value in trip.items()]
    print("\n" + programs.run(*tap, *_as(place, BUS_TERMINAL)), flush=True)

    _write_environment(place, programs)
    _goodbye(place, tap, holder["cardholder"], order["card"], once=once)
    while not once:
        programs.wait_until("anything", lambda: None, timeout_s=float("inf"))


def _start_readers(place: Place, programs: Programs) -> dict[str, int]:
    """Start pcscd with our readers; the port that a card for each reader connects to."""
    programs.start(
        *("readers", "reader-agent", "virtual-readers", "run", "--dir", str(place.root / "pcscd")),
        *("--reader", DESK, "--reader", BUS),
    )
    ready = programs.wait_until("readers", lambda: _first_json_line(programs.log_path("readers")))
    programs.environment |= ready["environment"]
    return {name: int(port) for name, port in ready["readers"].items()}


def _enrol(place: Place, programs: Programs, terminal: str, provider: str, role: str, *more: str) -> None:
    folder = place.agent(terminal)
    programs.run(
        *("reader-agent", "init", str(folder), "--service-url", place.origin, "--terminal", terminal),
        *("--scheme-root", str(place.root / "scheme" / "public" / "root.crt")),
    )
    certificate = folder / "issued.crt"
    programs.run(
        *("cardservice", "terminal", "add", terminal, "--csr", str(folder / "terminal.csr")),
        *("--provider", provider, "--role", role, "--out", str(certificate), *more),
    )
    programs.run("reader-agent", "enrol", str(folder), "--certificate", str(certificate))


def _insert(programs: Programs, card: Path, port: int, face: str) -> None:
    """Put the software card on a reader: a program of its own, which ends when the card is pulled."""
    programs.start(
        "card", "reader-agent", "virtual-card", "insert", str(card), "--port", str(port), "--face", face
    )


def _as(place: Place, terminal: str) -> tuple[str, str]:
    return ("--agent", str(place.agent(terminal)))


def _write_environment(place: Place, programs: Programs) -> None:
    """A file that a shell can read, so that the commands below need no options."""
    settings = {
        **programs.environment,
        "READER_AGENT_DIR": str(place.agent(BUS_TERMINAL)),
        "PATH": f"{Path(sys.executable).parent}:$PATH",
    }
    lines = [f'export {key}="{value}"' for key, value in settings.items()]
    (place.root / "env").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _goodbye(place: Place, tap: list[str], holder: str, card: str, *, once: bool) -> None:
    environment = os.path.relpath(place.root / "env")
    commands = (
        ("Set this shell up", f". ./{environment}"),
        ("Tap again", shlex.join(tap)),
        ("What is left", f"cardservice balance {holder}"),
        ("Put 5 pounds more on it", f"cardservice topup {holder} 5.00"),
        ("Revoke the card, then tap", f"cardservice card revoke {card} --reason lost"),
        ("Check every entry and proof", "cardservice ledger verify"),
    )
    print(READY if not once else "The demonstration has run.", f"The card service is at {place.origin}.")
    print("To go on, in another terminal, from this folder:\n")
    for what, command in commands:
        print(f"  # {what}\n  {command}")
    if not once:
        print("\nCtrl-C ends everything.", flush=True)


def _answers(url: str) -> bool | None:
    try:
        return requests.get(url, timeout=5).ok or None
    except requests.RequestException:
        return None


def _first_json_line(path: Path) -> dict[str, Any] | None:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("{"):
            return _json(line)
    return None


def _json(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, got {text[:80]!r}")
    return value


def _secret_file(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(32), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(what: str) -> None:
    print(f"• {what}", flush=True)


if __name__ == "__main__":
    main()
