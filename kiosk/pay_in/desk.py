"""The one payment that goes on at a kiosk: kept in memory alone, until the person has finished.

The page is gone while the provider's is shown. What was begun is therefore known here, and a page that comes
back, or is loaded anew, asks how it stands.
"""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, time_ns
from typing import Any, Protocol
from uuid import UUID

# As long as a provider lets somebody take to pay (GOV.UK Pay: 90 minutes)
LIFETIME_S = 90 * 60.0


class Agent(Protocol):
    """What is asked of the reader agent."""

    def status(self) -> Mapping[str, Any]:
        """Readers with their taps."""

    def pay_in(self, tap: str, key: str, amount_minor: int, return_url: str) -> Mapping[str, Any]:
        """Begin a payment; once for a key."""

    def pay_in_state(self, key: str) -> Mapping[str, Any]:
        """How it is."""

    def give_pay_in_up(self, key: str) -> Mapping[str, Any]:
        """Give it up; how it is then."""


@dataclass(frozen=True, slots=True)
class _Current:
    """A payment, and whose card it was begun with."""

    key: str
    tap: str
    amount_minor: int
    begun_s: float


class Desk:
    """For any number of threads."""

    def __init__(self, agent: Agent, reader: str, return_url: str) -> None:
        self._agent, self._reader, self._return_url = agent, reader, return_url
        self._lock = threading.Lock()
        self._current: _Current | None = None

    def begin(self, tap: str, amount_minor: int) -> Mapping[str, object]:
        """Begin a payment: where to pay. Asked again for the same, it is the same. Raises as the agent."""
        with self._lock:
            found = self._living()
            if found is None or (found.tap, found.amount_minor) != (tap, amount_minor):
                found = _Current(str(_new_id()), tap, amount_minor, monotonic())
            # Before it is asked: an answer that is lost is asked for again under the same key.
            self._current = found
        told = self._agent.pay_in(tap, found.key, amount_minor, self._return_url)
        return {**_shown(told), "next_url": told.get("next_url")}

    def again(self) -> Mapping[str, object] | None:
        """The payment that goes on, with where to pay it. Raises as the agent."""
        with self._lock:
            found = self._living()
        return None if found is None else self.begin(found.tap, found.amount_minor)

    def look(self) -> Mapping[str, object] | None:
        """How the payment is that goes on, and None where none does. Raises as the agent."""
        with self._lock:
            found = self._living()
        if found is None:
            return None
        told = _shown(self._agent.pay_in_state(found.key))
        if told["state"] != "success" or self._is_there(found.tap):
            return told
        # Whoever stands there now may be somebody else.
        return {**told, "available_minor": None, "owed_minor": None}

    def give_up(self) -> Mapping[str, object] | None:
        """Give it up; how it is then, and None where none goes on. Raises as the agent."""
        with self._lock:
            found = self._living()
        return None if found is None else _shown(self._agent.give_pay_in_up(found.key))

    def forget(self) -> None:
        """The person has finished."""
        with self._lock:
            self._current = None

    def _living(self) -> _Current | None:
        found = self._current
        return None if found is None or monotonic() - found.begun_s > LIFETIME_S else found

    def _is_there(self, tap: str) -> bool:
        readers = self._agent.status().get("readers", [])
        return any(each.get("reader") == self._reader and each.get("tap") == tap for each in readers)


def _shown(told: Mapping[str, Any]) -> dict[str, object]:
    names = ("state", "finished", "amount_minor", "currency", "available_minor", "owed_minor")
    return {name: told.get(name) for name in names}


def _new_id() -> UUID:
    """A UUIDv7 (RFC 9562, 5.7)."""
    number = (time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
