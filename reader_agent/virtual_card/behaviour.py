"""A card that is told to be slow, to break or to lie, so that what meets it can be tried out.

Everything here is beside what a card does; by default it does none of it. Commands and writes are counted
from when the card is put in.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.errors import CardSaysNothing, CardTorn
from reader_agent.virtual_card.memory import RandomBytes
from reader_agent.virtual_card.silicon import modelled_s
from reader_agent.virtual_card.state import CardState

# A short response, 256 bytes and a status word. Less than a status word is what a pulled card comes to.
MIN_RESPONSE: Final = 2
MAX_RESPONSE: Final = 258


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a card is told."""

    # Take as long as the model in `silicon` says
    silicon: bool = False
    # Lose the power at this write of the memory, counted from 1
    tear_at: int | None = None
    # That write is kept, and only the answer is lost; otherwise nothing of it is
    tear_kept: bool = False
    # Answer so many commands, then none
    silent_after: int | None = None
    # Answer so many commands, then with whatever bytes
    garbage_after: int | None = None


class ToldCard(VirtualCard):
    """A card that behaves as it was told. After CardTorn it has no power and never gets any again."""

    def __init__(
        self,
        state: CardState,
        face: Face,
        behaviour: Behaviour,
        random_bytes: RandomBytes = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(state, face, random_bytes)
        self._behaviour, self._sleep = behaviour, sleep
        self._commands = self._writes = 0
        self.torn: CardTorn | None = None
        state.write_hook = self._write

    def power_on(self) -> None:
        """See VirtualCard."""
        if self.torn is None:
            super().power_on()

    # VirtualCard has bound the name to its own power_on.
    reset = power_on

    def transmit(self, raw: bytes) -> bytes:
        """See VirtualCard. Raises CardTorn when the power goes, CardSaysNothing instead of an answer."""
        self._commands += 1
        told, writes = self._behaviour, self._writes
        if told.silent_after is not None and self._commands > told.silent_after:
            raise CardSaysNothing
        if told.garbage_after is not None and self._commands > told.garbage_after:
            return self._garbage()
        started = time.monotonic()
        try:
            response = super().transmit(raw)
        except CardTorn:
            self.power_off()
            raise
        if told.silicon:
            wanted = modelled_s(raw, response, self._writes - writes)
            self._sleep(max(0.0, started + wanted - time.monotonic()))
        return response

    def _garbage(self) -> bytes:
        length = int.from_bytes(self._random_bytes(2)) % (MAX_RESPONSE - MIN_RESPONSE + 1)
        return self._random_bytes(MIN_RESPONSE + length)

    def _write(self, write: Callable[[], None]) -> None:
        self._writes += 1
        if self._writes != self._behaviour.tear_at:
            write()
            return
        self.torn = CardTorn(self._writes)
        if self._behaviour.tear_kept:
            write()
        raise self.torn
