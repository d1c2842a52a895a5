"""What the demonstration leaves to those who go on from it: addresses, commands, files to read them from."""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from kiosk.demo import town
from kiosk.demo.building import Built, Inhabitant
from kiosk.demo.place import Place

READY = "The demonstration is running."
STATE_FILE, ENVIRONMENT_FILE = "demo.json", "env"


def write(place: Place, built: Built, environment: Mapping[str, str]) -> None:
    """Write `demo.json` for scripts and `env` for shells, readable for their owner alone."""
    write_environment(place, environment)
    state = {
        "folder": str(place.root),
        "logs": str(place.root / "log"),
        "card_service": {"url": place.origin, "port": place.ports.card_service},
        "wallet": _url(place.ports.wallet),
        "till": _url(place.ports.till),
        "validator": _url(place.ports.validator),
        "kiosk": _url(place.ports.kiosk),
        "agents": {
            "till": _agent(place.agent(town.TILL), place.ports.till_agent),
            "validator": _agent(place.agent(town.BUS), place.ports.bus_agent),
            "kiosk": _agent(place.agent(town.KIOSK), place.ports.kiosk_agent),
        },
        "readers": {
            terminal.reader: {
                "port": built.readers[terminal.reader].port,
                "face": terminal.face,
                "terminal": terminal.id,
            }
            for terminal in town.TERMINALS
        },
        "people": {
            found.person.key: {
                "name": found.person.name,
                "cardholder": found.cardholder,
                "card": found.card,
                "file": str(place.card(found.person)),
            }
            for found in built.people
        },
        "database_url": place.database_url,
        "owner_database_url": place.owner_database_url,
        "environment": dict(environment),
    }
    _write_private(place.root / STATE_FILE, json.dumps(state, indent=2) + "\n")


def write_environment(place: Place, environment: Mapping[str, str]) -> None:
    """Write a file that a shell can read, so that commands need no options."""
    settings = {
        **environment,
        "READER_AGENT_DIR": str(place.agent(town.BUS)),
        "PATH": f"{Path(sys.executable).parent}:$PATH",
    }
    lines = [f'export {key}="{value}"' for key, value in settings.items()]
    _write_private(place.root / ENVIRONMENT_FILE, "\n".join(lines) + "\n")


def tap_command() -> list[str]:
    """Pay the bus's fare with what lies on its reader."""
    details = [f"--detail={key}={value}" for key, value in town.trip().items()]
    tap = ["reader-agent", "tap", "--reader", town.BUS.reader, "--service", "transport"]
    return [*tap, "--action", "single-fare", *details]


def say(place: Place, built: Built) -> None:
    """Print where the pages are, and commands to go on with."""
    print(f"\n{READY} Open these pages:\n")
    pages = (
        ("Card wallet", _url(place.ports.wallet), "start here: put a card on a reader"),
        ("School till", _url(place.ports.till), ""),
        ("Bus validator", _url(place.ports.validator), ""),
        ("Kiosk", _url(place.ports.kiosk), "pay in by bank card: a stand-in takes no money"),
        ("Card service", f"{place.origin}/", "speaks to terminals; has no pages"),
    )
    for name, url, remark in pages:
        print(f"  {name:14} {url:30} {remark}".rstrip())
    print("\nTo go on by commands, in another terminal, from this folder:\n")
    for what, command in _commands(place, {found.person.key: found for found in built.people}):
        print(f"  # {what}\n  {command}")
    print("\nCtrl-C ends everything.", flush=True)


def _commands(place: Place, people: Mapping[str, Inhabitant]) -> tuple[tuple[str, str], ...]:
    morgan, noah = people[town.MORGAN.key], people[town.NOAH.key]
    return (
        ("Set this shell up", f". ./{os.path.relpath(place.root / ENVIRONMENT_FILE)}"),
        ("What Morgan Reed has", f"cardservice balance {morgan.cardholder}"),
        ("Put 5 pounds more on it", f"cardservice topup {morgan.cardholder} 5.00"),
        ("Let Noah Reed spend more at school", f"cardservice limit set {noah.cardholder} meals.day 3.50"),
        (
            "What a fare costs, online and offline",
            shlex.join(["reader-agent", "quote", *tap_command()[4:]]),
        ),
        ("What the bus has still to tell", "reader-agent outbox list"),
        ("Revoke Morgan's card, then put it on the bus validator", _revoke(morgan)),
        ("Check every entry and proof", "cardservice ledger verify"),
    )


def _revoke(inhabitant: Inhabitant) -> str:
    return f"cardservice card revoke {inhabitant.card} --reason lost"


def _agent(folder: Path, port: int) -> dict[str, str]:
    return {"url": _url(port), "folder": str(folder), "token_file": str(folder / "api-token")}


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
