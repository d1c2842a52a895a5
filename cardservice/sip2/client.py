"""A connection to another system that speaks SIP2: with time-outs, and with its being away.

What was asked and not answered may have been done: it is not sent again of itself, unless it only looks.
Nobody waits each time anew for a system that is away: for a while after a failure it is said to be at once.
"""

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from cardservice.circulation.errors import LibraryAway
from cardservice.sip2.codec import MAX_MESSAGE, ChecksumWrong, Code, Message, Sip2Error, decode, encode

# Ours: how often a message is sent, or asked for, again.
_TRIES = 3
# Ours: a longest answer; those that list a hundred things are longer than any request.
_MAX_ANSWER = 16 * MAX_MESSAGE
# What may be asked twice.
_LOOKS = frozenset({Code.PATRON_STATUS, Code.PATRON_INFORMATION, Code.ITEM_INFORMATION, Code.SC_STATUS})
_ANSWERED_BY = {
    Code.PATRON_STATUS: Code.PATRON_STATUS_RESPONSE,
    Code.CHECKOUT: Code.CHECKOUT_RESPONSE,
    Code.CHECKIN: Code.CHECKIN_RESPONSE,
    Code.BLOCK_PATRON: Code.PATRON_STATUS_RESPONSE,
    Code.SC_STATUS: Code.ACS_STATUS,
    Code.LOGIN: Code.LOGIN_RESPONSE,
    Code.PATRON_INFORMATION: Code.PATRON_INFORMATION_RESPONSE,
    Code.END_SESSION: Code.END_SESSION_RESPONSE,
    Code.FEE_PAID: Code.FEE_PAID_RESPONSE,
    Code.ITEM_INFORMATION: Code.ITEM_INFORMATION_RESPONSE,
    Code.PATRON_ENABLE: Code.PATRON_ENABLE_RESPONSE,
    Code.HOLD: Code.HOLD_RESPONSE,
    Code.RENEW: Code.RENEW_RESPONSE,
    Code.RENEW_ALL: Code.RENEW_ALL_RESPONSE,
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Where:
    """Another system's port, and who we are there."""

    host: str
    port: int
    user: str
    password: str
    place: str = ""
    encoding: str = "utf-8"
    tls: ssl.SSLContext | None = None
    # For connecting, and for each answer.
    timeout_s: float = 5.0
    # So long after a failure it is not tried again.
    pause_s: float = 10.0
    # After so long without a word it is asked whether it is still there, before anything is changed.
    quiet_s: float = 30.0


class Client:
    """One connection, made when it is wanted and again when it has broken; for any number of threads."""

    def __init__(self, where: Where, clock: Callable[[], float] = time.monotonic) -> None:
        self._where, self._clock = where, clock
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._rest = b""
        self._sequence = 0
        self._heard_at = 0.0
        self._away_until: float | None = None

    def ask(self, code: Code, fixed: Sequence[str], fields: Sequence[tuple[str, str]]) -> Message:
        """The answer. Raises LibraryAway: not there, not in time, not in SIP2, or our account is refused."""
        deadline = self._clock() + self._where.timeout_s
        if not self._lock.acquire(timeout=self._where.timeout_s):
            raise LibraryAway("the other system has too much to do")
        try:
            if self._away_until is not None and self._clock() < self._away_until:
                raise LibraryAway("the other system did not answer a moment ago; it is tried again soon")
            return self._asked(code, fixed, fields, deadline)
        except (OSError, Sip2Error) as error:
            self._drop()
            self._away_until = self._clock() + self._where.pause_s
            raise LibraryAway(f"the other system does not answer: {error}") from error
        finally:
            self._lock.release()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._drop()

    def _asked(
        self,
        code: Code,
        fixed: Sequence[str],
        fields: Sequence[tuple[str, str]],
        deadline: float,
    ) -> Message:
        had_one = self._socket is not None
        if had_one and code not in _LOOKS and self._clock() - self._heard_at > self._where.quiet_s:
            self._look_whether_it_is_there()
        self._connect()
        try:
            found = self._exchange(code, fixed, fields)
        except (OSError, Sip2Error):
            # What was idle may have been ended long ago. Looking changes nothing: it is done again.
            if not (had_one and code in _LOOKS) or self._clock() >= deadline:
                raise
            self._drop()
            self._connect()
            found = self._exchange(code, fixed, fields)
        self._away_until = None
        return found

    def _look_whether_it_is_there(self) -> None:
        try:
            self._exchange(Code.SC_STATUS, ("0", "080", "2.00"), ())
        except (OSError, Sip2Error):
            self._drop()

    def _connect(self) -> None:
        if self._socket is not None:
            return
        where = self._where
        made = socket.create_connection((where.host, where.port), where.timeout_s)
        try:
            self._socket = (
                made if where.tls is None else where.tls.wrap_socket(made, server_hostname=where.host)
            )
        except BaseException:
            made.close()
            raise
        self._rest = b""
        fields = [("CN", where.user), ("CO", where.password)]
        if where.place:
            fields.append(("CP", where.place))
        if self._exchange(Code.LOGIN, ("0", "0"), fields).fixed != ("1",):
            raise Sip2Error("it does not take our name and password")

    def _exchange(self, code: Code, fixed: Sequence[str], fields: Sequence[tuple[str, str]]) -> Message:
        self._sequence = (self._sequence + 1) % 10
        sent = encode(
            code, fixed, fields, encoding=self._where.encoding, sequence=self._sequence, with_checksum=True
        )
        again = encode(Code.REQUEST_ACS_RESEND, (), (), with_checksum=True)
        deadline = self._clock() + self._where.timeout_s
        self._send(sent, deadline)
        for _ in range(_TRIES):
            try:
                found = decode(self._frame(deadline), encoding=self._where.encoding)
            except ChecksumWrong:
                self._send(again, deadline)
                continue
            if found.code is Code.REQUEST_SC_RESEND:
                self._send(sent, deadline)
                continue
            if found.code is not _ANSWERED_BY[code] or found.sequence not in (None, self._sequence):
                raise Sip2Error(f"it answers {found.code.value} to {code.value}")
            self._heard_at = self._clock()
            return found
        raise Sip2Error("nothing comes through as it was sent")

    def _send(self, sent: bytes, deadline: float) -> None:
        self._open(deadline).sendall(sent)

    def _frame(self, deadline: float) -> bytes:
        while True:
            frame, found, rest = self._rest.partition(b"\r")
            if found:
                self._rest = rest
                # Some send a line feed after each.
                if frame.strip(b"\n\x00 "):
                    return frame
                continue
            if len(self._rest) > _MAX_ANSWER:
                raise Sip2Error("its answer has no end")
            got = self._open(deadline).recv(4096)
            if not got:
                raise ConnectionError("it has hung up")
            self._rest += got

    def _open(self, deadline: float) -> socket.socket:
        """The socket, with the time that is left."""
        left_s = deadline - self._clock()
        if self._socket is None or left_s <= 0:
            raise TimeoutError("the time is over")
        self._socket.settimeout(left_s)
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""
