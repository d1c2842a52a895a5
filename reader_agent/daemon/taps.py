"""Tap handles: what a face calls the card that is on a reader, without knowing anything about it.

A handle is random, belongs to one presence of one card on one reader, and dies with it: when the card goes,
or another came, or pcscd was lost and nobody can say. An approved payment spends it: one tap, one sale.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from reader_agent.daemon.errors import TapBusy, TapOver, TapSpent, TapUnknown
from reader_agent.transport.slots import Slot

# Ours: a card that nobody has asked anything of for so long is presented again.
HANDLE_LIFETIME_S = 600.0
# How many dead handles are remembered, to say "over" instead of "unknown"
KEPT_HANDLES = 256
_HANDLE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Tap:
    """A card's presence on a reader. A value; what becomes of it is in `Taps`."""

    handle: str
    # As it was named to the daemon
    reader: str
    # What the reader held when it came
    slot: Slot


@dataclass(slots=True)
class _Life:
    tap: Tap
    used_at: float
    is_over: bool = False
    is_paying: bool = False
    has_paid: bool = False


class Taps:
    """The handles, for any number of threads."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._lives: OrderedDict[str, _Life] = OrderedDict()

    def begin(self, reader: str, slot: Slot) -> Tap:
        """A card came: its handle."""
        tap = Tap(secrets.token_urlsafe(_HANDLE_BYTES), reader, slot)
        with self._lock:
            self._lives[tap.handle] = _Life(tap, self._seconds())
            while len(self._lives) > KEPT_HANDLES:
                self._lives.popitem(last=False)
        return tap

    def end(self, tap: Tap) -> None:
        """The card is gone, or may be another one."""
        with self._lock:
            if (life := self._lives.get(tap.handle)) is not None:
                life.is_over = True

    def find(self, handle: str) -> Tap:
        """The living tap of a handle. Raises TapUnknown, TapOver."""
        with self._lock:
            return self._living(handle).tap

    def is_living(self, tap: Tap) -> bool:
        """Whether the card is there still, as far as is known."""
        with self._lock:
            life = self._lives.get(tap.handle)
            return life is not None and not life.is_over

    def begin_payment(self, handle: str) -> Tap:
        """Reserve the tap for a payment. Raises TapUnknown, TapOver, TapBusy, TapSpent."""
        with self._lock:
            life = self._living(handle)
            if life.is_paying:
                raise TapBusy
            if life.has_paid:
                raise TapSpent
            life.is_paying = True
            return life.tap

    def end_payment(self, tap: Tap, *, has_paid: bool) -> None:
        """The payment has come to its end."""
        with self._lock:
            if (life := self._lives.get(tap.handle)) is not None:
                life.is_paying = False
                life.has_paid = life.has_paid or has_paid
                life.used_at = self._seconds()

    def _living(self, handle: str) -> _Life:
        life = self._lives.get(handle)
        if life is None:
            raise TapUnknown
        now = self._seconds()
        if life.is_over or (now - life.used_at > HANDLE_LIFETIME_S and not life.is_paying):
            life.is_over = True
            raise TapOver
        life.used_at = now
        return life
