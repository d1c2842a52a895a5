"""A page's script as the server sees it: a session with its token, and its event stream."""

import json
import socket
import threading
from contextlib import suppress
from typing import Any
from uuid import uuid4

import requests

from tests.support.pcsc import wait_until

TIMEOUT_S = 60


class Visitor:
    """A browser with one page open."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.session = requests.Session()
        self.session.headers["Accept"] = "application/json"
        self.token = self.get("/csrf-token").json()["csrf_token"]
        self._streams: list[Stream] = []

    def get(self, path: str, **headers: str) -> requests.Response:
        """A GET."""
        return self.session.get(self.url + path, headers=headers, timeout=TIMEOUT_S)

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        """A command, with the token."""
        return self.session.post(
            self.url + path, json=body, headers={"X-CSRFToken": self.token, **headers}, timeout=TIMEOUT_S
        )

    def sell(self, tap: str, key: str | None = None, *, again: bool = False) -> dict[str, Any]:
        """Charge a pasta bake."""
        basket = {"section": "lunch", "items": [{"item": "meal-pasta", "quantity": 1}], "amount_minor": 260}
        payment = {"key": key or str(uuid4()), "again": again}
        answer = self.post(f"/taps/{tap}/sale", {**basket, **payment})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def listen(self, last_event_id: str | None = None) -> "Stream":
        """Open the event stream."""
        stream = Stream(self.url + "/events", last_event_id)
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """Leave."""
        for stream in self._streams:
            stream.close()
        self.session.close()


class Stream:
    """An event stream, and what came by it so far."""

    def __init__(self, url: str, last_event_id: str | None) -> None:
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.text = ""
        self.has_ended = False
        self._response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
        self.status = self._response.status_code
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with suppress(requests.RequestException, AttributeError):  # closed, from either side
            for raw in self._response.iter_lines(chunk_size=1):
                line = raw.decode()
                self.text += line + "\n"
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    if "id" in fields:
                        self.ids.append(fields["id"])
                    self.events.append((fields["event"], json.loads(fields["data"])))
                    fields = {}
        self.has_ended = True

    def wait(self, kind: str, since: int = 0) -> dict[str, Any]:
        """The data of the first event of this kind."""
        wait_until(lambda: any(found == kind for found, _ in self.events[since:]), kind, TIMEOUT_S)
        return next(data for found, data in self.events[since:] if found == kind)

    def close(self) -> None:
        """Listen no more."""
        connection = self._response.raw.connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_S)
        self._response.close()
