"""The watch over the readers: cards and readers that come and go become taps and events.

One thread, one loop. It outlives pcscd: while that is away every reader is lost, and when it is back they are
found again, with whatever is in them then.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reader_agent.daemon.events import EventKind, EventLog
from reader_agent.daemon.taps import Tap, Taps
from reader_agent.errors import PcscUnavailable
from reader_agent.transport.slots import Slot, SlotWatch

log = logging.getLogger(__name__)

# One wait for a change; how long noticing a reader may take that was plugged in.
SLICE_MS = 300
# Between two attempts to end a wait, which may begin just after one
_INTERRUPT_S = 0.02
# Between two attempts while pcscd or every reader is away
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class ReaderView:
    """A reader as the faces see it."""

    reader: str
    is_connected: bool
    tap: str | None


class Watch:
    """Watches until it is stopped."""

    def __init__(
        self,
        readers: Sequence[str],
        taps: Taps,
        events: EventLog,
        *,
        on_card: Callable[[Tap], None],
        on_gone: Callable[[Tap], None],
    ) -> None:
        self._readers, self._taps, self._events = tuple(readers), taps, events
        self._on_card, self._on_gone = on_card, on_gone
        self._slots: dict[str, Slot] = {}
        self._present: dict[str, Tap] = {}
        self._ending = threading.Event()
        self._slot_watch = SlotWatch()
        self._thread = threading.Thread(target=self._run, name="reader watch", daemon=True)
        self._view_lock = threading.Lock()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._ending.set()
        while self._thread.is_alive():
            self._slot_watch.interrupt()
            self._thread.join(_INTERRUPT_S)

    def view(self) -> list[ReaderView]:
        """Each reader, in the order in which they were named."""
        with self._view_lock:
            return [
                ReaderView(
                    name, name in self._slots, tap.handle if (tap := self._present.get(name)) else None
                )
                for name in self._readers
            ]

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._turn()
        finally:
            self._slot_watch.close()

    def _turn(self) -> None:
        try:
            slots = self._slot_watch.wait(self._readers, self._slots, SLICE_MS)
        except PcscUnavailable:
            slots = {}
        except Exception as error:  # noqa: BLE001 -- without this loop the terminal is blind: it goes on
            log.error("the reader watch failed: %s", type(error).__name__)  # noqa: TRY400 -- no card data in logs
            slots = {}
        self._take(slots)
        if not slots:
            self._ending.wait(PAUSE_S)

    def _take(self, slots: Mapping[str, Slot]) -> None:
        for reader in self._readers:
            before, now = self._slots.get(reader), slots.get(reader)
            if before == now:
                continue
            is_other = before is None or now is None or before.event_count != now.event_count
            if is_other or (before and before.has_card) != (now and now.has_card):
                self._remove_card(reader)
            if now is None:
                self._set_slot(reader, None)
                self._events.publish(EventKind.READER_LOST, {"reader": reader})
                continue
            self._set_slot(reader, now)
            if before is None:
                self._events.publish(EventKind.READER_FOUND, {"reader": reader})
            if now.has_card and reader not in self._present:
                self._insert_card(reader, now)

    def _set_slot(self, reader: str, slot: Slot | None) -> None:
        with self._view_lock:
            if slot is None:
                self._slots.pop(reader, None)
            else:
                self._slots[reader] = slot

    def _insert_card(self, reader: str, slot: Slot) -> None:
        tap = self._taps.begin(reader, slot)
        with self._view_lock:
            self._present[reader] = tap
        self._events.publish(EventKind.CARD_INSERTED, {"reader": reader, "tap": tap.handle})
        self._on_card(tap)

    def _remove_card(self, reader: str) -> None:
        with self._view_lock:
            tap = self._present.pop(reader, None)
        if tap is not None:
            self._taps.end(tap)
            self._events.publish(EventKind.CARD_REMOVED, {"reader": reader, "tap": tap.handle})
            self._on_gone(tap)
