"""What is in the readers, and what happens to it: a watch that survives pcscd, readers and quick hands.

A loop of our own over SCardGetStatusChange. pcscd counts what happens in a reader (the event counter, in the
upper half of the reader's state): a card that was swapped between two looks has another number, even if both
looks find a card.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from reader_agent.errors import CardSilent, PcscUnavailable, ReaderAmbiguous, ReaderUnknown
from reader_agent.transport import pcsc
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.transport.watchdog import call_with_limit
from reader_agent.transport.winscard import scard

_GONE = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE
_READER_GONE = frozenset({scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Slot:
    """What a reader holds. Two looks with the same count and a card have seen the same card."""

    # The whole name
    name: str
    has_card: bool
    # Rises with each insertion and removal; begins anew with each pcscd (pcsc-lite, winscard_clnt.c)
    event_count: int
    # As PC/SC wants it back, to wait for the next change
    state: int
    # What the card, or the reader for it, answered to reset (ISO/IEC 7816-3, 8); empty without a card
    atr: bytes = b""


class SlotReaders(PcscReaders):
    """The readers, with what is in them."""

    def slot(self, wanted: str) -> Slot:
        """What is in a reader now. Raises ReaderUnknown, ReaderAmbiguous, PcscUnavailable."""
        name = self.find(wanted)
        code, states = self._status_change(name, scard.SCARD_STATE_UNAWARE, 0)
        slots = _slots(states) if code == scard.SCARD_S_SUCCESS else {}
        if name not in slots:
            raise ReaderUnknown(wanted, ())
        return slots[name]


class SlotWatch(PcscReaders):
    """Waits for changes; unlike its base it says so when pcscd was lost, instead of going on.

    For whatever was known before is worth nothing then: counters begin anew, and cards may have been swapped.
    It is for one thread, but for `interrupt`.
    """

    def wait(self, wanted: Sequence[str], known: Mapping[str, Slot], timeout_ms: int) -> dict[str, Slot]:
        """What is in those of the wanted readers that are connected, by the names that are wanted.

        Returns at once if that is something else than what is known, else when something changes, or after
        `timeout_ms` or an interrupt. With no reader connected there is nothing to wait on: then it returns at
        once, too. Raises PcscUnavailable.
        """
        found = self._find_all(wanted)
        if {key: slot.name for key, slot in known.items()} != found:
            return self._look(found)
        if not found:
            return {}
        asked = [(slot.name, slot.state) for slot in known.values()]
        code, states = self._changes(timeout_ms, asked)
        if code in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_CANCELLED):
            return dict(known)
        if code in _READER_GONE:
            return self._look(found)
        self._check(code)
        slots = _slots(states)
        return {key: slots[name] for key, name in found.items() if name in slots}

    def interrupt(self) -> None:
        """End a wait that another thread is in; without one nothing happens."""
        context = self._context
        if context is not None:
            with suppress(CardSilent):  # pcscd hangs: then the wait has its own limit
                call_with_limit(lambda: scard.SCardCancel(context), pcsc.SERVICE_TIMEOUT_S)

    def names(self) -> tuple[str, ...]:
        """See PcscReaders."""
        context = self._established()
        code, names = self._limited(lambda: scard.SCardListReaders(context, []), pcsc.SERVICE_TIMEOUT_S)
        if code == scard.SCARD_E_NO_READERS_AVAILABLE:
            return ()
        self._check(code)
        return tuple(names)

    def _find_all(self, wanted: Sequence[str]) -> dict[str, str]:
        found = {}
        for each in wanted:
            with suppress(ReaderUnknown, ReaderAmbiguous):
                found[each] = self.find(each)
        return found

    def _look(self, found: Mapping[str, str]) -> dict[str, Slot]:
        """Each by itself, so that one that was unplugged this moment does not hide the others."""
        seen = {}
        for key, name in found.items():
            asked = [(name, scard.SCARD_STATE_UNAWARE)]
            code, states = self._changes(0, asked)
            if code in _READER_GONE:
                continue
            self._check(code)
            for slot in _slots(states).values():
                seen[key] = slot
        return seen

    def _changes(self, timeout_ms: int, asked: Sequence[tuple[str, int]]) -> Any:
        context, limit_s = self._established(), timeout_ms / 1000 + pcsc.SERVICE_TIMEOUT_S
        return self._limited(lambda: scard.SCardGetStatusChange(context, timeout_ms, asked), limit_s)

    def _check(self, code: int) -> None:
        """Whatever is not success ends this context: the next call begins with another one."""
        if code == scard.SCARD_S_SUCCESS:
            return
        self.close()
        raise PcscUnavailable(f"{scard.SCardGetErrorMessage(code)} {code & 0xFFFFFFFF:08X}")


def _slots(states: Sequence[tuple[str, int, list[int]]]) -> dict[str, Slot]:
    slots = {}
    for name, state, atr in states:
        if state & _GONE:
            continue
        has_card = bool(state & scard.SCARD_STATE_PRESENT)
        slots[name] = Slot(
            name, has_card, (state >> 16) & 0xFFFF, state & ~scard.SCARD_STATE_CHANGED, bytes(atr)
        )
    return slots
