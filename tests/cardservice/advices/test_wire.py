"""An entry that is cut out by its lengths is what the strict reader reads, and nothing else is taken."""

import os
import random
from collections.abc import Mapping

import pytest

from cardservice.advices import wire
from cardservice.advices.wire import MAX_FLAT_BYTES, read_entry
from cardservice.authorisation.messages import CardMessage, Message, check_details
from cardservice.errors import DetailsMismatch, MessageRefused
from cardservice.ids import TerminalId
from pki.statements import details_hmac, deterministic
from pki.statements.cose import Sign1, encode_sign1
from tests.pki.test_usual_statements import advice

SALT = bytes(range(16))
BUS = TerminalId("bus-12")
MUTATIONS = 1_500
DETAILS: tuple[Mapping[str, object], ...] = (
    {},
    {"from_stop": "a1", "to_stop": "b1"},
    {"minutes": 60, "note": None, "odd": True, "raw": b"\x50" + SALT},
    {"items": ["tea", {"milk": 1}]},
    {"long": "x" * MAX_FLAT_BYTES},
)


def entry(details: Mapping[str, object], **changes: object) -> bytes:
    """An advice's entry; whose signature it is, nobody asks here."""
    statement = advice(details_hmac=details_hmac(SALT, details), **changes)
    raw = encode_sign1(Sign1(statement.payload(), os.urandom(64), os.urandom(32)))
    return deterministic([statement.card.bytes, raw, details, SALT])


def read(data: bytes) -> Message | str:
    """What it is, but for how it was read; of what is refused, why."""
    found = read_entry("ashcombe", BUS, data)
    if isinstance(found, MessageRefused):
        return f"{found.code}: {found}"
    if isinstance(found, CardMessage):
        return CardMessage(found.signed, dict(found.details), found.details_salt)
    return found


def strictly(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Message | str:
    """The same, with each item looked at."""
    with monkeypatch.context() as alone:
        alone.setattr(wire, "_read_flat", lambda _: None)
        return read(data)


@pytest.mark.parametrize("details", DETAILS, ids=["none", "flat", "types", "nested", "long"])
def test_the_same_advice(details: Mapping[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    data = entry(details)
    found = read(data)
    assert isinstance(found, CardMessage)
    assert found == strictly(data, monkeypatch)
    assert found.details == details


def test_details_are_checked_as_they_came() -> None:
    """What was cut out is what the card signed the HMAC of, or it is refused."""
    right = read_entry("ashcombe", BUS, entry(DETAILS[1]))
    other = read_entry("ashcombe", BUS, entry(DETAILS[1]).replace(b"b1", b"b2"))
    assert isinstance(right, CardMessage)
    assert isinstance(other, CardMessage)
    check_details(right)
    with pytest.raises(DetailsMismatch):
        check_details(other)


def test_nothing_is_taken_that_the_strict_reader_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(162)  # noqa: S311 - the same mutations each time, nothing secret
    entries = [entry(details) for details in DETAILS]
    refused = 0
    for _ in range(MUTATIONS):
        data = bytearray(drawn.choice(entries))
        for _ in range(drawn.randint(1, 2)):
            at = drawn.randrange(len(data))
            data[at : at + drawn.randint(0, 1)] = drawn.randbytes(drawn.randint(0, 1))
        found = read(bytes(data))
        assert found == strictly(bytes(data), monkeypatch)
        refused += isinstance(found, str)
    assert 0 < refused < MUTATIONS
