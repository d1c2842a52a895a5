"""A daemon as its faces see it: `reader-agent run` in a process of its own, its API, its events."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import requests

from tests.reader_agent.world import TRIP
from tests.support import warm
from tests.support.pcsc import wait_until

START_TIMEOUT_S = 30.0
EVENT_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    id: str
    kind: str
    data: dict[str, Any]


class Stream:
    """What a listener has heard so far."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.events: list[Event] = []
        self.text = ""
        self.has_ended = False
        self._response = requests.get(url, headers=headers, stream=True, timeout=(5, 30))
        assert self._response.status_code == 200, self._response.text
        assert self._response.headers["Content-Type"] == "text/event-stream"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for raw in self._response.iter_lines(chunk_size=1):
                line = raw.decode()
                self.text += line + "\n"
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    self.events.append(Event(fields["id"], fields["event"], json.loads(fields["data"])))
                    fields = {}
        except (requests.RequestException, AttributeError):
            pass  # it was closed, from either side
        self.has_ended = True

    def wait(self, kind: str, since: int = 0, **data: object) -> Event:
        """The first event of this kind after `since`, with this data."""

        def found() -> list[Event]:
            return [
                event
                for event in list(self.events)[since:]
                if event.kind == kind and data.items() <= event.data.items()
            ]

        try:
            wait_until(lambda: bool(found()), f"{kind} {data}", EVENT_TIMEOUT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; came: {self.events}") from error
        return found()[0]

    def kinds(self, since: int = 0) -> list[str]:
        """What has come, in order."""
        return [event.kind for event in self.events[since:]]

    def close(self) -> None:
        """Listen no more."""
        # A close alone would wait for the thread that reads.
        if not self.has_ended:
            # It may end now.
            with suppress(OSError, RuntimeError, ValueError):
                self._response.raw.shutdown()
        self._thread.join(EVENT_TIMEOUT_S)
        self._response.close()


@dataclass(slots=True)
class Daemon:
    """`reader-agent run` on an agent's folder."""

    agent: Path
    readers: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    url: str = ""
    token: str = ""
    # Whether the interpreter starts from nothing, which takes a second, as on a terminal that is switched on
    is_cold: bool = False
    process: warm.Begun | subprocess.Popen[bytes] | None = None
    _streams: list[Stream] = field(default_factory=list)

    def start(self, *more: str) -> None:
        """Start it, and return when it answers."""
        options = [option for reader in self.readers for option in ("--reader", reader)]
        command = ["run", "--json", "--agent", str(self.agent), "--port", "0", *options, *more]
        reading, writing = os.pipe()
        with os.fdopen(reading) as said, self.log_file.open("ab") as log:
            with os.fdopen(writing, "w") as out:
                self.process = self._begin(command, out, log)
            line = said.readline()
        if not line:
            self.process.wait(60)
            self.process = None
            raise AssertionError(self.log)
        self.url = json.loads(line)["url"]
        self.token = Path(json.loads(line)["token_file"]).read_text()

    def _begin(self, options: list[str], out: IO[Any], log: IO[Any]) -> warm.Begun | subprocess.Popen[bytes]:
        environment = {**os.environ, **self.environment}
        if not self.is_cold:
            return warm.begin(["reader-agent", *options], environment, out, log)
        program = str(Path(sys.executable).parent / "reader-agent")
        return subprocess.Popen(
            [program, *options], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(60)
        self.process = None
        return status

    def kill(self) -> None:
        """End gunicorn's worker and master as a power failure does."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.send_signal(signal.SIGSTOP)  # it starts no other worker
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def close(self) -> None:
        """End what is still there."""
        for stream in self._streams:
            stream.close()
        if self.process is not None:
            self.stop()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> requests.Response:
        """A GET."""
        return requests.get(self.url + path, headers=self.headers, timeout=60)

    def post(self, path: str, body: object) -> requests.Response:
        """A POST."""
        return requests.post(self.url + path, json=body, headers=self.headers, timeout=120)

    def pay(self, tap: str, key: str | None = None, **more: object) -> requests.Response:
        """A single fare."""
        return self.post(f"/v1/taps/{tap}/pay", {**order(), "key": key or str(uuid4()), **more})

    def status(self) -> dict[str, Any]:
        """GET /v1/status."""
        return dict(self.get("/v1/status").json())

    def listen(self, last_event_id: str | None = None) -> Stream:
        """Listen from here on."""
        resume = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        stream = Stream(f"{self.url}/v1/events", {**self.headers, **resume})
        self._streams.append(stream)
        return stream


def order() -> dict[str, object]:
    """What is paid for in these tests."""
    return {"service": "transport", "action": "single-fare", "details": dict(TRIP)}
