"""Cards as they come onto readers one after the other: each is met once, until it is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from reader_agent.errors import PcscUnavailable
from reader_agent.transport.access import SHARED, Access
from reader_agent.transport.pcsc import PcscConnection, PcscReaders
from reader_agent.transport.slots import Slot, SlotWatch

_SLICE_MS = 300
# While no reader of those that are wanted is connected, or pcscd is away
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Fed:
    """A reader onto which a card has come."""

    reader: str
    _readers: PcscReaders

    def connect(self) -> PcscConnection:
        """To its card. Raises NoCard, CardSilent, ReaderError."""
        return self._readers.connect(self.reader)


class CardFeeder:
    """The readers of a desk, for one thread."""

    def __init__(self, wanted: Sequence[str], wait_s: float, access: Access = SHARED) -> None:
        self._wanted, self._wait_s = tuple(wanted), wait_s
        self._watch, self._readers = SlotWatch(), PcscReaders(access)
        self._known: dict[str, Slot] = {}
        # By reader, the count at which its card was met
        self._met: dict[str, int] = {}

    def next(self) -> Fed | None:
        """See `reader_agent.personalise.batch.Cards`. pcscd may be away for a while, and come back."""
        deadline = monotonic() + self._wait_s
        while True:
            for name in self._wanted:
                slot = self._known.get(name)
                if slot is not None and slot.has_card and self._met.get(name) != slot.event_count:
                    self._met[name] = slot.event_count
                    return Fed(name, self._readers)
            if monotonic() >= deadline:
                return None
            self._look()

    def close(self) -> None:
        """Let go of pcscd."""
        self._watch.close()
        self._readers.close()

    def _look(self) -> None:
        try:
            self._known = self._watch.wait(self._wanted, self._known, _SLICE_MS)
        except PcscUnavailable:
            # Its counters begin anew: a card that lies there still is met again, and recognised as made.
            self._known = {}
            self._met.clear()
        if not self._known:
            sleep(_PAUSE_S)
