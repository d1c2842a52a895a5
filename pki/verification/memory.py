"""What was found valid, remembered for as long as the answer could not be another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

from cryptography import x509

from pki.verification.status import Passed

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, both included, an answer holds."""

    since: datetime
    until: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether the answer holds at this moment."""
        return self.since <= moment <= self.until

    def within(self, other: "Window") -> "Window":
        """When both hold."""
        return Window(max(self.since, other.since), min(self.until, other.until))


def window_of(certificates: Iterable[x509.Certificate], status: Iterable[Passed], moment: datetime) -> Window:
    """While these certificates are valid, and what is known of their status says the same as at `moment`."""
    dates = [(each.not_valid_before_utc, each.not_valid_after_utc) for each in certificates]
    since, until = max(start for start, _ in dates), min(end for _, end in dates)
    for passed in status:
        # Stale evidence that was let pass ages on: it is judged anew each time.
        end = passed.finding.next_update
        until = min(until, max(end, moment))
        if passed.next_revocation is not None:
            until = min(until, passed.next_revocation - _INSTANT)
    return Window(since, until)


class Remembered(Generic[KeyT, ValueT]):
    """The last so many answers, each with its window. Safe to share between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[KeyT, tuple[ValueT, Window]] = {}
        self._lock = Lock()

    def find(self, key: KeyT, moment: datetime) -> ValueT | None:
        """The answer, if there is one that holds at `moment`."""
        if not self._size:
            return None
        with self._lock:
            found = self._kept.get(key)
        return found[0] if found is not None and found[1].covers(moment) else None

    def keep(self, key: KeyT, value: ValueT, window: Window) -> None:
        """Remember an answer in place of the oldest."""
        if not self._size:
            return
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (value, window)
            if len(self._kept) > self._size:
                del self._kept[next(iter(self._kept))]
