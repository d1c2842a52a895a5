"""The agent's events, passed on to pages: each page has a connection to the agent.

What the agent tells is told as it is, under its own numbers, so that a page that connects again goes on
from where it was. `agent.lost` and `agent.found` are added, without a number. A page that asks while the
agent is away is told so at once, and everything when it comes.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from time import monotonic
from typing import Any

from kiosk.agent.client import AgentAway, AgentClient, AgentProblem, Stream
from kiosk.errors import TooManyStreams
from kiosk.web import Serving

LOST, FOUND = "agent.lost", "agent.found"
# A page that went away is noticed by writing to it.
HEARTBEAT_S = 5.0
# How often a stream looks whether the server is ending
_SLICE_S = 0.25
_RETRY_AGENT_S = 1.0
# WHATWG HTML, 9.2.6: how long an EventSource waits before it connects again
_RETRY_PAGE_MS = 1000
_MAX_LINE_BYTES = 64 * 1024
_MAX_QUEUED = 1024

_HEARTBEAT = ": still here\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the agent's, or one of the two that are added."""

    kind: str
    data: str
    id: str | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its data, read."""
        value = json.loads(self.data)
        return value if isinstance(value, dict) else {}

    def encoded(self) -> str:
        """As it is sent (WHATWG HTML, 9.2)."""
        number = "" if self.id is None else f"id: {self.id}\n"
        return f"{number}event: {self.kind}\ndata: {self.data}\n\n"


Notice = Callable[[Event], None]


class Relay:
    """Event streams for a bounded number of pages. `notice` is told each event that passes."""

    def __init__(self, agent: AgentClient, serving: Serving, notice: Notice, most: int) -> None:
        self._agent, self._serving, self._notice = agent, serving, notice
        self._free = threading.BoundedSemaphore(most)

    def open(self, last_event_id: str | None) -> Iterator[str]:
        """A stream that goes on until its page goes or the server ends. Raises TooManyStreams."""
        if not self._free.acquire(blocking=False):
            raise TooManyStreams
        return _Closing(self._run(last_event_id), self._free.release)

    def _run(self, last_event_id: str | None) -> Iterator[str]:
        yield f"retry: {_RETRY_PAGE_MS}\n\n"
        at, is_away = last_event_id, False
        while self._serving:
            try:
                stream = self._agent.events(at)
            except (AgentAway, AgentProblem) as error:
                if not is_away:
                    is_away = True
                    yield self._tell(Event(LOST, json.dumps({"reason": error.code})))
                yield from self._pause(_RETRY_AGENT_S)
                continue
            if is_away:
                is_away = False
                yield self._tell(Event(FOUND, "{}"))
            for event in self._read(stream):
                if event is None:
                    yield _HEARTBEAT
                    continue
                at = event.id or at
                yield self._tell(event)

    def _tell(self, event: Event) -> str:
        self._notice(event)
        return event.encoded()

    def _pause(self, seconds: float) -> Iterator[str]:
        until = monotonic() + seconds
        while self._serving and monotonic() < until:
            threading.Event().wait(_SLICE_S)
        yield _HEARTBEAT

    def _read(self, stream: Stream) -> Iterator[Event | None]:
        """The events of a stream to its end; None now and then while there is none."""
        events: queue.Queue[Event | None] = queue.Queue(_MAX_QUEUED)
        # A thread reads, so that the end of the server need not wait for the agent to say something.
        reader = threading.Thread(target=_drain, args=(stream, events), name="events", daemon=True)
        reader.start()
        try:
            quiet_s = 0.0
            while self._serving:
                try:
                    event = events.get(timeout=_SLICE_S)
                except queue.Empty:
                    quiet_s += _SLICE_S
                    if quiet_s >= HEARTBEAT_S:
                        quiet_s = 0.0
                        yield None
                    continue
                if event is None:
                    return
                quiet_s = 0.0
                yield event
        finally:
            stream.cut()
            reader.join()
            stream.close()


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
            try:
                self._items.close()  # type: ignore[attr-defined]  # a generator
            finally:
                self._on_close()


def _drain(stream: Stream, events: "queue.Queue[Event | None]") -> None:
    """Read until the stream ends or is cut, then put None; a page that takes nothing ends it, too."""
    try:
        for event in _parse(stream):
            events.put_nowait(event)
    except (OSError, HTTPException, ValueError, AttributeError, queue.Full):
        # Cut from either side (http.client says so with AttributeError, too), silent for too long, or not
        # events.
        pass
    finally:
        try:
            events.put_nowait(None)
        except queue.Full:
            events.get_nowait()
            events.put_nowait(None)


def _parse(stream: Stream) -> Iterator[Event]:
    """Events as the daemon writes them: one line each of id, event and data."""
    fields: dict[str, str] = {}
    while line := stream.response.readline(_MAX_LINE_BYTES):
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "event" in fields and "data" in fields:
            yield Event(fields["event"], fields["data"], fields.get("id"))
        fields = {}
