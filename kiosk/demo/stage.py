"""What is where while the demonstration runs: cards on readers and in the wallet, the card service, the dead.

The wallet page shows and changes it. Everything is done by the console scripts, as a person would.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kiosk.demo import town
from kiosk.demo.building import SERVICE, Inhabitant, start_card_service
from kiosk.demo.place import Place
from kiosk.demo.readers import Readers
from kiosk.demo.town import Terminal
from kiosk.processes import Death, ProgramFailed, Programs


class ServiceState(StrEnum):
    """How it goes with the card service."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"


class StageError(Exception):
    """What was asked for cannot be done; a sentence for the page, and the log to look at, if any."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


@dataclass(frozen=True, slots=True)
class CardView:
    """A card. `number` is what pages and forms call it, since it says nothing of its holder."""

    number: int
    name: str
    reader: str | None
    lost: bool


@dataclass(frozen=True, slots=True)
class ReaderView:
    """A reader and what lies on it."""

    number: int
    name: str
    card: CardView | None


@dataclass(frozen=True, slots=True)
class View:
    """Everything at one moment. `version` is another after each change."""

    version: int
    readers: tuple[ReaderView, ...]
    cards: tuple[CardView, ...]
    service: ServiceState
    deaths: tuple[Death, ...]

    @property
    def in_wallet(self) -> tuple[CardView, ...]:
        """The cards that lie on no reader."""
        return tuple(card for card in self.cards if card.reader is None)


@dataclass(slots=True)
class _State:
    lies_on: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    service: ServiceState = ServiceState.RUNNING
    deaths: tuple[Death, ...] = ()
    version: int = 0
    is_over: bool = False


class Stage:
    """The running demonstration; for several threads. Cards are numbered from 1, readers too."""

    def __init__(
        self,
        place: Place,
        programs: Programs,
        readers: Readers,
        terminals: tuple[Terminal, ...],
        people: tuple[Inhabitant, ...],
    ) -> None:
        self._place, self._programs, self._readers = place, programs, readers
        self._terminals, self._people = terminals, people
        self._state = _State()
        self._changed = threading.Condition()
        # Cards are moved one after the other, so that none is in two places; the service has its own pace.
        self._moving, self._serving = threading.Lock(), threading.Lock()

    def view(self) -> View:
        """What is where now."""
        with self._changed:
            return self._view()

    def wait(self, seen: int, timeout_s: float) -> View | None:
        """The first view after version `seen`; what there is after `timeout_s`; None when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._state.version != seen or self._state.is_over, timeout_s)
            return None if self._state.is_over else self._view()

    def portrait(self, card: int) -> Path:
        """The picture of whose card it is. Raises StageError."""
        return town.portrait(self._person(card).person)

    def put(self, card: int, reader: int) -> None:
        """Put a card on a reader; what lay there, goes back to the wallet. Raises StageError."""
        inhabitant, name = self._person(card), self._reader(reader)
        with self._moving:
            for where in {name, self._state.lies_on.get(card, name)}:
                self._take(where)
            try:
                self._readers.put(name, self._place.card(inhabitant.person))
            except ProgramFailed as failure:
                raise StageError(
                    f"{inhabitant.person.name}'s card could not be put on {name}: {_last_line(failure.said)}",
                    self._programs.log_path(failure.name),
                ) from failure
            self._change(lambda state: state.lies_on.update({card: name}))

    def take(self, reader: int) -> None:
        """Take what lies on a reader back to the wallet. Raises StageError."""
        name = self._reader(reader)
        with self._moving:
            self._take(name)

    def report_lost(self, card: int) -> None:
        """Have a card revoked, for good. Raises StageError."""
        inhabitant = self._person(card)
        try:
            self._programs.run("cardservice", "card", "revoke", inhabitant.card, "--reason", "lost")
        except ProgramFailed as failure:
            raise StageError(
                f"{inhabitant.person.name}'s card could not be revoked: {_last_line(failure.said)}"
            ) from failure
        self._change(lambda state: state.lost.add(card))

    def stop_service(self) -> None:
        """End the card service, as a power cut at the council would; requests under way are answered."""
        with self._serving:
            self._service_is(ServiceState.STOPPING)
            self._programs.stop(SERVICE)
            self._service_is(ServiceState.STOPPED)

    def start_service(self) -> None:
        """Start the card service, unless it runs. Raises StageError."""
        with self._serving:
            if self._state.service is ServiceState.RUNNING and not self._is_dead(SERVICE):
                return
            self._service_is(ServiceState.STARTING)
            try:
                start_card_service(self._place, self._programs)
            except ProgramFailed as failure:
                self._programs.stop(SERVICE)
                self._service_is(ServiceState.STOPPED)
                raise StageError(
                    f"the card service does not start: {_last_line(failure.said)}",
                    self._programs.log_path(SERVICE),
                ) from failure
            self._service_is(ServiceState.RUNNING)

    def look_for_the_dead(self) -> tuple[Death, ...]:
        """The programs that died since this was last asked; the page shows them all."""
        deaths = self._programs.deaths()
        with self._changed:
            new = tuple(death for death in deaths if death not in self._state.deaths)
            if deaths == self._state.deaths:
                return ()
            self._state.deaths = deaths
            dead = {death.name for death in deaths}
            for card, reader in list(self._state.lies_on.items()):
                if self._readers.program(reader) in dead:
                    del self._state.lies_on[card]
            if SERVICE in dead:
                self._state.service = ServiceState.STOPPED
            self._state.version += 1
            self._changed.notify_all()
            return new

    def close(self) -> None:
        """Tell those who wait that it is over."""
        with self._changed:
            self._state.is_over = True
            self._changed.notify_all()

    def _take(self, name: str) -> None:
        self._readers.take(name)

        def forget(state: _State) -> None:
            state.lies_on = {card: reader for card, reader in state.lies_on.items() if reader != name}

        self._change(forget)

    def _change(self, change: Callable[[_State], object]) -> None:
        with self._changed:
            change(self._state)
            self._state.version += 1
            self._changed.notify_all()

    def _service_is(self, now: ServiceState) -> None:
        self._change(lambda state: setattr(state, "service", now))

    def _is_dead(self, program: str) -> bool:
        return any(death.name == program for death in self._programs.deaths())

    def _person(self, card: int) -> Inhabitant:
        if not 1 <= card <= len(self._people):
            raise StageError("there is no such card; reload the page")
        return self._people[card - 1]

    def _reader(self, reader: int) -> str:
        if not 1 <= reader <= len(self._terminals):
            raise StageError("there is no such reader; reload the page")
        return self._terminals[reader - 1].reader

    def _view(self) -> View:
        state = self._state
        cards = tuple(
            CardView(number, found.person.name, state.lies_on.get(number), number in state.lost)
            for number, found in enumerate(self._people, 1)
        )
        on: Mapping[str, CardView] = {card.reader: card for card in cards if card.reader is not None}
        readers = tuple(
            ReaderView(number, terminal.reader, on.get(terminal.reader))
            for number, terminal in enumerate(self._terminals, 1)
        )
        return View(state.version, readers, cards, state.service, state.deaths)


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
