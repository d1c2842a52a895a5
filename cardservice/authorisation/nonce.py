"""The nonce of online requests: a MAC over terminal and time, made by the service and checked without state.

It proves that the card signed after the service gave it out, so that nothing is signed today and posted
tomorrow. Ours: 8 bytes of milliseconds, big-endian, then the first 16 bytes of HMAC-SHA-256.
"""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cardservice.ids import TerminalId

VALIDITY = timedelta(seconds=120)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VALIDITY_MS = VALIDITY // _MILLISECOND
_TIME_BYTES = 8
_MAC_BYTES = 16


class NonceStale(Exception):
    """The nonce is too old, another terminal's, or none of ours."""


@dataclass(frozen=True, slots=True)
class Nonces:
    """Makes and checks nonces under one secret key."""

    key: bytes
    # Prepared with the key once: OpenSSL looks for its functions and pads the key each time it is given one.
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    def make(self, terminal: TerminalId, moment: datetime) -> bytes:
        """The nonce for this terminal as of `moment`; valid for 120 s."""
        stamp = _milliseconds(moment).to_bytes(_TIME_BYTES, "big")
        return stamp + self._mac(terminal, stamp)

    def check(self, nonce: bytes, terminal: TerminalId, moment: datetime) -> None:
        """Return if the nonce was made for this terminal within the last 120 s. Raises NonceStale."""
        stamp, mac = nonce[:_TIME_BYTES], nonce[_TIME_BYTES:]
        if not hmac.compare_digest(mac, self._mac(terminal, stamp)):
            raise NonceStale
        age_ms = _milliseconds(moment) - int.from_bytes(stamp, "big")
        # Another process of the service may have a clock that is a little ahead.
        if not -1_000 <= age_ms <= _VALIDITY_MS:
            raise NonceStale

    def _mac(self, terminal: TerminalId, stamp: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(b"citizen-card nonce\x00" + stamp + terminal.encode())
        return keyed.digest()[:_MAC_BYTES]


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
