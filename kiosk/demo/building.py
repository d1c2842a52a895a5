"""Makes the town from nothing, by the console scripts that an administrator would type.

What does not need one another is done side by side: most of the time goes into starting programs.
"""

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import requests

from kiosk.demo import town
from kiosk.demo.place import Place
from kiosk.demo.readers import Readers
from kiosk.demo.town import DATA, Person, Terminal
from kiosk.processes import Programs

T = TypeVar("T")

SERVICE = "card service"
READERS = "readers"
# More at once than there are processors only makes each of them late.
AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """A person as the card service knows them."""

    person: Person
    cardholder: str
    card: str
    order: str


@dataclass(frozen=True, slots=True)
class Built:
    """The town: its people, and the readers on which their cards can lie."""

    people: tuple[Inhabitant, ...]
    readers: Readers


class Builder:
    """Builds the town in a place; `say` tells how far it is."""

    def __init__(self, place: Place, programs: Programs, say: Callable[[str], None]) -> None:
        self._place, self._programs, self._say = place, programs, say
        self._turns = threading.Semaphore(AT_ONCE)

    def build(self, people: tuple[Person, ...], terminals: tuple[Terminal, ...]) -> Built:
        """Scheme, card service, readers, terminals, and people with cards in their hands."""
        pool = ThreadPoolExecutor(len(people) * 2 + len(terminals) + 4)
        try:
            return self._build(pool, people, terminals)
        except BaseException:
            # What is still going on is of no use any more, and must not go on behind our back.
            self._programs.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _build(
        self, pool: ThreadPoolExecutor, people: tuple[Person, ...], terminals: tuple[Terminal, ...]
    ) -> Built:
        self._say("Starting a private pcscd with virtual readers")
        readers = pool.submit(self._start_readers, terminals)
        blanks = [pool.submit(self._blank_card, person) for person in people]
        self._say("Making the scheme: a root, and authorities for cards, terminals and the service")
        self._make_scheme()
        self._say("Setting the card service up, with a bus company, a council and a school")
        self._set_service_up(pool)
        self._say("Enrolling terminals, registering people, loading fares and the menu")
        enrolled = {terminal: pool.submit(self._enrol, terminal) for terminal in terminals}
        family = pool.submit(self._make_family) if any(person.family for person in people) else None
        registered = [pool.submit(self._register, person, family) for person in people]
        tariffs = [pool.submit(load) for load in (self._load_fares, self._load_menu)]
        _all([*blanks, enrolled[town.DESK]])
        self._say("Issuing cards: each key is made on its card and never leaves it")
        inhabitants = []
        for found in registered:
            inhabitants.append(found.result())
            self._personalise(inhabitants[-1], readers.result())
        _all([*tariffs, *enrolled.values()])
        return Built(tuple(inhabitants), readers.result())

    def _run(self, *command: str) -> str:
        with self._turns:
            return self._programs.run(*command)

    def _ask(self, *command: str) -> dict[str, Any]:
        return json_object(self._run(*command, "--json"))

    def _make_scheme(self) -> None:
        self._place.make_secrets()
        self._run(
            *("pki", "init", str(self._place.root / "scheme"), "--scheme-id", "ashcombe"),
            *("--name", "Ashcombe Card", "--passphrase-file", str(self._place.passphrase_file)),
        )

    def _set_service_up(self, pool: ThreadPoolExecutor) -> None:
        self._run("cardservice", "init", "--currency", town.CURRENCY, "--timezone", town.TIMEZONE)
        serving = pool.submit(start_card_service, self._place, self._programs)
        _all(
            [
                pool.submit(self._run, "cardservice", "provider", "add", provider, "--name", name)
                for provider, name in town.PROVIDERS.items()
            ]
        )
        serving.result()

    def _load_fares(self) -> None:
        feed, mapping = str(DATA / "feed"), str(DATA / "map.json")
        self._run("cardservice", "load", "transport", feed, "--map", mapping, "--approve")

    def _load_menu(self) -> None:
        today = datetime.now(ZoneInfo(town.TIMEZONE)).date()
        file = self._place.root / "menu.json"
        file.write_text(json.dumps(town.menu(today), indent=2), encoding="utf-8")
        programmes = str(DATA / "programmes.json")
        self._run("cardservice", "load", "meals", str(file), programmes, "--approve")

    def _start_readers(self, terminals: tuple[Terminal, ...]) -> Readers:
        names = [word for terminal in terminals for word in ("--reader", terminal.reader)]
        folder = str(self._place.root / "pcscd")
        self._programs.start(READERS, "reader-agent", "virtual-readers", "run", "--dir", folder, *names)
        ready = self._programs.wait_until(READERS, lambda: first_json_line(self._programs.output(READERS)))
        self._programs.environment |= ready["environment"]
        return Readers(self._programs, terminals, ready["readers"])

    def _enrol(self, terminal: Terminal) -> None:
        folder = self._place.agent(terminal)
        root = self._place.root / "scheme" / "public" / "root.crt"
        self._run(
            *("reader-agent", "init", str(folder), "--service-url", self._place.origin),
            *("--terminal", terminal.id, "--scheme-root", str(root)),
        )
        limit: tuple[str, ...] = ()
        if terminal.offline_limit_minor is not None:
            limit = ("--offline-limit", str(terminal.offline_limit_minor))
        certificate = folder / "issued.crt"
        self._run(
            *("cardservice", "terminal", "add", terminal.id, "--csr", str(folder / "terminal.csr")),
            *("--name", terminal.reader, "--provider", terminal.provider, "--role", terminal.role),
            *("--out", str(certificate), *limit),
        )
        self._run("reader-agent", "enrol", str(folder), "--certificate", str(certificate))

    def _make_family(self) -> str:
        return str(self._ask("cardservice", "payer", "add", "--kind", "family")["payer"])

    def _register(self, person: Person, family: Future[str] | None) -> Inhabitant:
        more = ["--category", person.category]
        if person.form is not None:
            more += ["--form", person.form]
        for allergen in person.allergens:
            more += ["--allergen", allergen]
        holder = str(self._ask("cardservice", "cardholder", "add", person.name, *more)["cardholder"])
        if person.family and family is not None:
            self._run("cardservice", "payer", "assign", holder, family.result())
        self._run("cardservice", "cardholder", "photo", holder, str(town.portrait(person)))
        if person.paid_in is not None:
            self._run("cardservice", "topup", holder, person.paid_in)
        if person.day_limit is not None:
            self._run("cardservice", "limit", "set", holder, "meals.day", person.day_limit)
        order = self._ask("cardservice", "card", "order", holder)
        return Inhabitant(person, holder, str(order["card"]), str(order["order"]))

    def _blank_card(self, person: Person) -> None:
        self._run("reader-agent", "virtual-card", "new", str(self._place.card(person)))

    def _personalise(self, inhabitant: Inhabitant, readers: Readers) -> None:
        """Make somebody's card at the issuing desk, with a card that is as it came from its maker."""
        desk = str(self._place.agent(town.DESK))
        with readers.holding(town.DESK.reader, self._place.card(inhabitant.person)):
            self._run(
                *("reader-agent", "personalise", inhabitant.order),
                *("--reader", town.DESK.reader, "--agent", desk),
            )


def start_card_service(place: Place, programs: Programs) -> None:
    """Start the card service and wait until it answers. Raises ProgramFailed."""
    port = place.ports.card_service
    programs.start(SERVICE, "cardservice", "serve", "--bind", f"127.0.0.1:{port}")
    programs.wait_until(SERVICE, lambda: _answers(f"http://127.0.0.1:{port}/healthz/ready"))


def first_json_line(text: str) -> dict[str, Any] | None:
    """The first line that is a JSON object, if there is one."""
    return next((json_object(line) for line in text.splitlines() if line.startswith("{")), None)


def json_object(text: str) -> dict[str, Any]:
    """The JSON object that a program printed. Raises TypeError."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, got {text[:80]!r}")
    return value


def _answers(url: str) -> bool | None:
    try:
        return requests.get(url, timeout=5).ok or None
    except requests.RequestException:
        return None


def _all(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result()
