"""HTTP to the reader agent's daemon (docs/reader-agent.md, "The daemon").

By the standard library's client, one connection a request: whether a request can have arrived must be
known, no proxy of the environment may see the token, and no redirect is followed.
"""

import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from kiosk.errors import ConfigInvalid, KioskError

CONNECT_TIMEOUT_S = 3.0
ASK_TIMEOUT_S = 15.0
# The daemon asks the service for 20 s, and a card that must be read before it for 30.
PAY_IN_TIMEOUT_S = 60.0
# The daemon itself answers `still_running` after 90 s.
PAY_TIMEOUT_S = 100.0
# A stream says something every 5 s.
SILENCE_TIMEOUT_S = 15.0

# Far more than a holder with a photo of 40 KB, or a catalogue of 1,000 items
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_HANDLE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[a-z0-9-]{1,64}")


class AgentAway(KioskError):
    """The daemon does not answer; `was_sent` tells whether the request may have reached it all the same."""

    code = "agent_away"

    def __init__(self, reason: str, *, was_sent: bool = False) -> None:
        super().__init__(f"the reader agent does not answer ({reason}); is `reader-agent run` running?")
        self.was_sent = was_sent


class AgentProblem(KioskError):
    """The daemon's problem document: its stable code, and the reason that some have."""

    def __init__(self, status: int, code: str, reason: str | None, detail: str) -> None:
        super().__init__(f"the reader agent refuses: {code}")
        self.status, self.code, self.reason, self.detail = status, code, reason, detail


@dataclass(frozen=True, slots=True)
class Stream:
    """An open event stream: what to read, and the socket to cut it by."""

    response: HTTPResponse
    socket: socket.socket

    def cut(self) -> None:
        """End it, also while another thread reads."""
        with suppress(OSError):  # it may have ended by itself
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give its socket back; nobody may read any more."""
        self.response.close()
        self.socket.close()


class AgentClient:
    """A daemon by its address and the file that its token is in. For any number of threads."""

    def __init__(self, url: str, token_file: Path) -> None:
        self._host, self._port = _address(url)
        self._token_file = token_file
        self._token: str | None = None

    def check(self) -> None:
        """Raises ConfigInvalid where there is no token to be read."""
        self._token = self._read_token()
        if self._token is None:
            raise ConfigInvalid(
                f"there is no token in {self._token_file}; start `reader-agent run` first, as the same user"
            )

    def status(self) -> Mapping[str, Any]:
        """Readers, service, outbox. Raises AgentAway, AgentProblem, as all that follow."""
        return self._ask("GET", "/v1/status")

    def holder(self, tap: str) -> Mapping[str, Any]:
        """The person of a tap's card: recorded by the service as a read of their record."""
        return self._ask("GET", f"/v1/taps/{handle(tap)}/holder")

    def catalogue(self, service: str) -> Mapping[str, Any]:
        """What is offered now."""
        if not _NAME.fullmatch(service):
            raise ConfigInvalid(f"{service!r} is not the name of a service")
        return self._ask("GET", f"/v1/catalogues/{service}")

    def totals(self, service: str, since: str, *, by: str) -> Mapping[str, Any]:
        """What this terminal has sold since a moment (RFC 3339), in groups by a detail of the orders."""
        if not _NAME.fullmatch(service):
            raise ConfigInvalid(f"{service!r} is not the name of a service")
        return self._ask("GET", f"/v1/totals/{service}?{urlencode({'since': since, 'by': by})}")

    def refund(self, key: str, transaction: str, line: int) -> Mapping[str, Any]:
        """Give back a line of a sale; once for a key."""
        return self._ask("POST", "/v1/refunds", {"key": key, "transaction": transaction, "line": line})

    def quote(self, order: Mapping[str, object]) -> Mapping[str, Any]:
        """The price for anybody; what may be charged offline is kept by the agent."""
        return self._ask("POST", "/v1/quotes", order)

    def pay(self, tap: str, key: str, order: Mapping[str, object]) -> Mapping[str, Any]:
        """Have the card pay; the same key and order again give the same payment's answer."""
        return self._ask("POST", f"/v1/taps/{handle(tap)}/pay", {**order, "key": key}, PAY_TIMEOUT_S)

    def pay_in(self, tap: str, key: str, amount_minor: int, return_url: str) -> Mapping[str, Any]:
        """Begin a payment for whoever pays for the card of a tap; once for a key, which is a UUIDv7."""
        asked = {"key": key, "amount_minor": amount_minor, "return_url": return_url}
        return self._ask("POST", f"/v1/taps/{handle(tap)}/pay-in", asked, PAY_IN_TIMEOUT_S)

    def pay_in_state(self, key: str) -> Mapping[str, Any]:
        """How a payment is that was begun under this key."""
        return self._ask("GET", f"/v1/pay-ins/{key}", timeout_s=PAY_IN_TIMEOUT_S)

    def give_pay_in_up(self, key: str) -> Mapping[str, Any]:
        """Give it up; how it is then."""
        return self._ask("POST", f"/v1/pay-ins/{key}/cancellation", {}, PAY_IN_TIMEOUT_S)

    def tell_lost(self, name: str, born_on: str, postcode: str) -> None:
        """Pass on that somebody's cards are lost; what came of it nobody is told."""
        asked = {"name": name, "born_on": born_on, "postcode": postcode}
        self._ask("POST", "/v1/losses", asked, PAY_IN_TIMEOUT_S)

    def events(self, last_event_id: str | None) -> Stream:
        """The event stream, from after this event if the daemon still knows it."""
        resume = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        response, connection = self._open("GET", "/v1/events", None, SILENCE_TIMEOUT_S, resume)
        return Stream(response, connection)

    def _ask(
        self, method: str, path: str, body: object = None, timeout_s: float = ASK_TIMEOUT_S
    ) -> Mapping[str, Any]:
        response, connection = self._open(method, path, body, timeout_s, {})
        try:
            return _document(response)
        finally:
            response.close()
            connection.close()

    def _open(
        self, method: str, path: str, body: object, timeout_s: float, headers: Mapping[str, str]
    ) -> tuple[HTTPResponse, socket.socket]:
        """Send, with the token; once more with a new one if the daemon has been started anew."""
        try:
            return self._send(method, path, body, timeout_s, headers)
        except AgentProblem as problem:
            if problem.code != "token_refused" or (token := self._read_token()) in {None, self._token}:
                raise
            self._token = token
            return self._send(method, path, body, timeout_s, headers)

    def _send(
        self, method: str, path: str, body: object, timeout_s: float, headers: Mapping[str, str]
    ) -> tuple[HTTPResponse, socket.socket]:
        if self._token is None and (token := self._read_token()) is not None:
            self._token = token
        if self._token is None:
            raise AgentAway("it has no token yet")
        connection = HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise AgentAway(error.strerror or type(error).__name__) from error
        used = connection.sock
        used.settimeout(timeout_s)
        content = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._token}", "Connection": "close", **headers}
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            if response.status != 200:
                with response:
                    raise _problem(response)
        except (OSError, HTTPException) as error:
            used.close()
            raise AgentAway(type(error).__name__, was_sent=True) from error
        except AgentProblem:
            used.close()
            raise
        return response, used

    def _read_token(self) -> str | None:
        try:
            return self._token_file.read_text("ascii").strip() or None
        except (OSError, ValueError):
            return None


def handle(tap: str) -> str:
    """A tap's handle as it may stand in an address. Raises AgentProblem as for an unknown one."""
    if not _HANDLE.fullmatch(tap):
        raise AgentProblem(404, "tap_unknown", None, "there is no such tap")
    return tap


def _address(url: str) -> tuple[str, int]:
    """Host and port of the daemon; it is on this machine, and its token goes nowhere else."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or parts.hostname not in {"127.0.0.1", "localhost"} or port is None:
        raise ConfigInvalid(f"{url!r} is not http://127.0.0.1:PORT, where the reader agent listens")
    return "127.0.0.1", port


def _document(response: HTTPResponse) -> Mapping[str, Any]:
    """The answer's JSON object. Raises AgentAway where it is none: it is not the daemon that answers."""
    try:
        value = json.loads(response.read(_MAX_ANSWER_BYTES))
    except (OSError, HTTPException, ValueError) as error:
        raise AgentAway(type(error).__name__, was_sent=True) from error
    if not isinstance(value, dict):
        raise AgentAway("not an object", was_sent=True)
    return value


def _problem(response: HTTPResponse) -> AgentProblem:
    document = _document(response)
    code, reason, detail = (document.get(name) for name in ("code", "reason", "detail"))
    if not isinstance(code, str):
        raise AgentAway("not the reader agent", was_sent=True)
    return AgentProblem(response.status, code, reason if isinstance(reason, str) else None, str(detail or ""))
