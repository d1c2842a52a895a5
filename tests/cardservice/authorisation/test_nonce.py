"""The nonce's window and what it is bound to, at its boundaries."""

from datetime import UTC, datetime, timedelta

import pytest

from cardservice.authorisation.nonce import Nonces, NonceStale
from cardservice.ids import TerminalId

MADE = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
NONCES, BUS = Nonces(b"k" * 32), TerminalId("bus-12")


@pytest.mark.parametrize("age_ms", [-1_000, 0, 1, 119_999, 120_000])
def test_fresh(age_ms: int) -> None:
    """For 120 seconds; a second ahead, for another process's clock."""
    NONCES.check(NONCES.make(BUS, MADE), BUS, MADE + timedelta(milliseconds=age_ms))


@pytest.mark.parametrize("age_ms", [-1_001, 120_001, 86_400_000])
def test_stale(age_ms: int) -> None:
    """Neither later nor before."""
    with pytest.raises(NonceStale):
        NONCES.check(NONCES.make(BUS, MADE), BUS, MADE + timedelta(milliseconds=age_ms))


def test_bound_to_terminal_key_and_time() -> None:
    """No byte of it can be changed, and it is nobody else's."""
    nonce = NONCES.make(BUS, MADE)
    changed = [nonce[:i] + bytes([nonce[i] ^ 1]) + nonce[i + 1 :] for i in range(len(nonce))]
    for other in (*changed, nonce[:-1], nonce + b"\x00", b"", bytes(24), Nonces(b"l" * 32).make(BUS, MADE)):
        with pytest.raises(NonceStale):
            NONCES.check(other, BUS, MADE)
    with pytest.raises(NonceStale):
        NONCES.check(nonce, TerminalId("bus-13"), MADE)
