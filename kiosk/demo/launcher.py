"""`make demo`: the whole platform on one machine, from nothing, with software cards.

Starts the console scripts as an administrator would: a scheme, a card service, a bus company with a
validator, a council with an issuing desk and a kiosk to pay in at, a school with a till, and people with
cards. Then it keeps all of it running, with pages for a browser, until Ctrl-C. All it writes lies in one
folder.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from kiosk.demo import farewell, town
from kiosk.demo.building import Builder, first_json_line
from kiosk.demo.place import Place, choose_ports, made_anew
from kiosk.demo.serving import serving_provider, serving_wallet
from kiosk.demo.stage import Stage
from kiosk.demo.town import Terminal
from kiosk.processes import Interrupted, ProgramFailed, Programs

# How often the running programs are looked after
LOOK_S = 0.2


def main() -> None:
    """Run the demonstration; exit status 0 when it was ended by Ctrl-C, 1 when something failed."""
    arguments = _arguments()
    root = arguments.dir.resolve()
    with made_anew(root):
        place = _place(root, arguments)
        programs = Programs(root / "log", place.settings)
        programs.interruptible()
        try:
            (_once if arguments.once else _run)(place, programs)
        except Interrupted:
            print("\nEnding everything …", flush=True)
        except ProgramFailed as failure:
            sys.exit(f"\ndemo: {failure}\ndemo: the logs are in {root / 'log'}")
        finally:
            programs.close()
    print("All ended. What the demonstration wrote is in", os.path.relpath(root), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kiosk demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--dir", type=Path, default=Path(".demo"), help="the demonstration's folder, made anew"
    )
    parser.add_argument("--port", type=int, help="the card service's port (default: a free one)")
    parser.add_argument(
        "--public-port", type=int, help="where terminals reach the card service, if something lies between"
    )
    parser.add_argument(
        "--free-ports",
        action="store_true",
        help="take any ports for pages and agents, not the usual",
    )
    parser.add_argument("--database-url", help="an empty database (default: SQLite in the folder)")
    parser.add_argument("--owner-database-url", help="the same as its owner connects (default: the same)")
    parser.add_argument(
        "--once", action="store_true", help="issue one card, pay one fare without pages, and end"
    )
    return parser.parse_args()


def _place(root: Path, arguments: argparse.Namespace) -> Place:
    ports = choose_ports(arguments.port, usual=not arguments.free_ports)
    url = arguments.database_url or f"sqlite:///{root / 'ledger.sqlite'}"
    return Place(
        root=root,
        ports=ports,
        public_port=arguments.public_port or ports.card_service,
        database_url=url,
        owner_database_url=arguments.owner_database_url or url,
    )


def _once(place: Place, programs: Programs) -> None:
    """The shortest way from nothing to a paid fare."""
    built = Builder(place, programs, _say).build((town.MORGAN,), (town.DESK, town.BUS))
    _say("Morgan boards a bus: tap")
    with built.readers.holding(town.BUS.reader, place.card(town.MORGAN)):
        tap = farewell.tap_command()
        print("\n" + programs.run(*tap, "--agent", str(place.agent(town.BUS))), flush=True)
    farewell.write_environment(place, programs.environment)
    print("The demonstration has run. `make demo` starts it with its pages.", flush=True)


def _run(place: Place, programs: Programs) -> None:
    begun = time.monotonic()
    built = Builder(place, programs, _say).build(town.PEOPLE, town.TERMINALS)
    _say("Starting the reader agents of till, validator and kiosk, and their pages")
    _start_faces(place, programs)
    stage = Stage(place, programs, built.readers, town.TERMINALS, built.people)
    with serving_provider(place), serving_wallet(place, stage):
        farewell.write(place, built, programs.environment)
        _say(f"Ready after {time.monotonic() - begun:.0f} s")
        farewell.say(place, built)
        _look_after(stage)


def _start_faces(place: Place, programs: Programs) -> None:
    ports = place.ports
    agents = ((town.TILL, ports.till_agent), (town.BUS, ports.bus_agent), (town.KIOSK, ports.kiosk_agent))
    for terminal, port in agents:
        programs.start(
            agent_program(terminal),
            *("reader-agent", "run", "--agent", str(place.agent(terminal)), "--reader", terminal.reader),
            *("--port", str(port), "--json"),
        )
    for terminal, _ in agents:
        _until_ready(programs, agent_program(terminal))
    trip = str(town.DATA / "trip.json")
    faces = {
        town.TILL: ("till", "--service", "meals", "--section", "lunch", "--port", str(ports.till)),
        town.BUS: ("validator", "--trip", trip, "--port", str(ports.validator)),
        town.KIOSK: ("pay-in", "--currency", town.CURRENCY, "--port", str(ports.kiosk)),
    }
    for terminal, port in agents:
        programs.start(
            face_program(terminal),
            *("kiosk", "run", *faces[terminal], "--reader", terminal.reader, "--json"),
            *("--agent", str(place.agent(terminal)), "--agent-url", f"http://127.0.0.1:{port}"),
        )
    for terminal, _ in agents:
        _until_ready(programs, face_program(terminal))


def agent_program(terminal: Terminal) -> str:
    """What the daemon of a terminal's reader agent is called, on the page and by its log."""
    return f"reader agent of {terminal.reader.lower()}"


def face_program(terminal: Terminal) -> str:
    """What the program of a terminal's page is called."""
    return f"page of {terminal.reader.lower()}"


def _until_ready(programs: Programs, name: str) -> None:
    programs.wait_until(name, lambda: first_json_line(programs.output(name)))


def _look_after(stage: Stage) -> None:
    """Until Ctrl-C: say which program died. The others go on, and the page can start the service anew."""
    while True:
        for death in stage.look_for_the_dead():
            _say(f"The {death.name} ended with status {death.status}; its log is {death.log}")
        time.sleep(LOOK_S)


def _say(what: str) -> None:
    print(f"• {what}", flush=True)
