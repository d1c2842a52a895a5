"""What has happened, in order: a bounded memory of events, and server-sent events made of them.

An event tells that something happened to a reader, a tap, the service or the queue. It carries handles,
reader names, counts and codes, and nothing about a card or its holder.
"""

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reader_agent.daemon.errors import TooManyStreams

KEPT_EVENTS = 512
# A listener that went away is noticed by writing to it.
HEARTBEAT_S = 5.0
# WHATWG HTML, 9.2.6: how long an EventSource waits before it connects again
RETRY_MS = 1000


class EventKind(StrEnum):
    """What can happen."""

    # The state of everything: what a stream begins with, unless it resumes
    STATUS = "status"
    READER_FOUND = "reader.found"
    READER_LOST = "reader.lost"
    CARD_INSERTED = "card.inserted"
    # The card was read, and is of this scheme as far as is known here
    CARD_READY = "card.ready"
    # It was read, or cannot be, and nothing can be done with it; `reason` says why
    CARD_REFUSED = "card.refused"
    CARD_REMOVED = "card.removed"
    SERVICE_ONLINE = "service.online"
    SERVICE_OFFLINE = "service.offline"
    # How many entries of the outbox wait
    QUEUE = "outbox.queue"


@dataclass(frozen=True, slots=True)
class Event:
    """One event under its number."""

    number: int
    kind: EventKind
    data: Mapping[str, object]


class EventLog:
    """The last events, for any number of threads."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self._number = 0
        self._is_closed = False
        self._changed = threading.Condition()
        # Numbers of another run of the daemon mean nothing in this one.
        self._epoch = secrets.token_hex(4)

    def publish(self, kind: EventKind, data: Mapping[str, object]) -> None:
        """Tell everybody."""
        with self._changed:
            self._number += 1
            self._events.append(Event(self._number, kind, dict(data)))
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits for events any more: the daemon ends."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether the daemon ends."""
        with self._changed:
            return self._is_closed

    @property
    def position(self) -> int:
        """The number of the last event."""
        with self._changed:
            return self._number

    def event_id(self, number: int) -> str:
        """What a listener resumes by."""
        return f"{self._epoch}-{number}"

    def resume_at(self, event_id: str | None) -> int | None:
        """The number after which a listener goes on; None where events are missing in between."""
        epoch, _, text = (event_id or "").partition("-")
        if epoch != self._epoch or not text.isascii() or not text.isdigit() or len(text) > 12:
            return None
        with self._changed:
            oldest = self._number - len(self._events)
            return int(text) if oldest <= int(text) <= self._number else None

    def after(self, number: int, timeout_s: float) -> list[Event] | None:
        """The events after this one, waited for if there is none; None where some were forgotten since."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._number > number, timeout_s)
            if self._number - len(self._events) > number:
                return None
            return [event for event in self._events if event.number > number]


class Streams:
    """Server-sent events (WHATWG HTML, 9.2) of a log, for a bounded number of listeners."""

    def __init__(
        self,
        log: EventLog,
        status: Callable[[], Mapping[str, object]],
        most: int,
    ) -> None:
        self._log, self._status = log, status
        self._free = threading.BoundedSemaphore(most)

    def open(self, last_event_id: str | None) -> Iterator[str]:
        """A stream that goes on until its listener goes or the log is closed. Raises TooManyStreams."""
        if not self._free.acquire(blocking=False):
            raise TooManyStreams
        return _Closing(self._run(last_event_id), self._free.release)

    def _run(self, last_event_id: str | None) -> Iterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        at = self._log.resume_at(last_event_id)
        while not self._log.is_closed:
            if at is None:
                # The position first: what happens meanwhile is told once more, and changes nothing.
                at = self._log.position
                yield self._format(Event(at, EventKind.STATUS, self._status()))
            events = self._log.after(at, HEARTBEAT_S)
            if events is None:
                at = None
                continue
            for event in events:
                yield self._format(event)
                at = event.number
            if not events:
                yield ": still here\n\n"

    def _format(self, event: Event) -> str:
        data = json.dumps(event.data, separators=(",", ":"))
        return f"id: {self._log.event_id(event.number)}\nevent: {event.kind}\ndata: {data}\n\n"


class _Closing(Iterator[str]):
    """An iterator that says when it is closed, also if it never began."""

    def __init__(self, items: Iterator[str], on_close: Callable[[], None]) -> None:
        self._items, self._on_close = items, on_close
        self._is_closed = False

    def __next__(self) -> str:
        return next(self._items)

    def close(self) -> None:
        """Called by the WSGI server at the end, whatever the end was (PEP 3333)."""
        if not self._is_closed:
            self._is_closed = True
            self._on_close()
