"""Bytes with something changed: for tests that nothing changed is accepted, and nothing makes a crash."""

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

# Many mutations cannot be read at all, and a busy machine is slow: neither says that a test is wrong.
MUTATED = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes with one to three places changed: a bit, a byte, a piece cut out, doubled or put in."""
    data = original
    for _ in range(draw(st.integers(1, 3))):
        data = _changed(draw, data)
    assume(data != original)
    return data


def _changed(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, max(0, len(data) - 1)))
    length = draw(st.integers(1, 8))
    piece = data[at : at + length]
    old = data[at] if data else 0
    match draw(st.sampled_from(["bit", "byte", "length", "cut", "double", "insert", "end"])):
        case "bit":
            return data[:at] + bytes([old ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        case "byte":
            return data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
        case "length":  # heads of DER and CBOR: what follows is said to be longer or shorter
            change = draw(st.sampled_from([-1, 1, 127]))
            return data[:at] + bytes([old + change & 0xFF]) + data[at + 1 :]
        case "cut":
            return data[:at] + data[at + length :]
        case "double":
            return data[:at] + piece + data[at:]
        case "insert":
            return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
        case _:
            return data[:at]
