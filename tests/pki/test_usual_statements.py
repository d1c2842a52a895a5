"""What is cut out by its lengths is what the strict reader reads, and nothing else is taken."""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from pki.errors import PkiError
from pki.statements import StatementKind, TransactionStatement, cose, parse_payload, transaction
from pki.statements.cose import Sign1, decode_sign1, encode_sign1
from pki.statements.usual import read_usual

EDGES = (0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1)
MUTATIONS = 4_000


def advice(**changes: object) -> TransactionStatement:
    """An advice of random identifiers."""
    values: dict[str, object] = {
        "scheme": "ashcombe",
        "id": uuid4(),
        "terminal": "bus-12",
        "sequence": 7,
        "card": uuid4(),
        "kind": StatementKind.ADVICE,
        "service": "transport",
        "action": "single-fare",
        "amount_minor": 280,
        "currency": "GBP",
        "tariff_version": "2026-1",
        "offline": True,
        "details_hmac": os.urandom(32),
        "time": datetime(2026, 6, 15, 10, tzinfo=UTC),
    }
    return TransactionStatement(**values | changes)  # type: ignore[arg-type] # whatever is to be tried


def edges() -> Iterator[TransactionStatement]:
    """Each form of a length and of a number, and each field that can be missing."""
    for number in EDGES:
        yield advice(sequence=number)
        yield advice(amount_minor=number)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(number, 10**14))
        yield advice(time=moment)
    for length in (1, 23, 24, 63, 64):
        yield advice(scheme="s" * length, terminal="t" * length)
        yield advice(service="v" * length, action="a" * length, tariff_version="é" * length)
    yield advice(amount_minor=None)
    yield advice(tariff_version=None, offline=False)
    # What looks like the end, in the middle.
    yield advice(tariff_version="\x20X \x5b", id=UUID(bytes=b"\x0d\x58\x20\x03\x05\x50\x06\x0e" * 2))
    yield advice(replaces=uuid4())
    for length in (8, 16, 23, 24, 25, 64):
        yield advice(kind=StatementKind.REQUEST, offline=False, nonce=os.urandom(length))
    # What looks like a nonce at the end of an advice, and like an HMAC within a nonce.
    yield advice(details_hmac=bytes(15) + b"\x0f\x58\x18" + bytes(14))
    yield advice(kind=StatementKind.REQUEST, offline=False, nonce=b"\x0d\x58\x20\x0e\x1b\x0f\x58\x18" * 3)


def unfit() -> Iterator[bytes]:
    """What no statement is, for its kind alone: an advice with a nonce, requests without one and offline."""
    sold = advice().payload()
    asked = advice(kind=StatementKind.REQUEST, offline=False, nonce=bytes(24)).payload()
    yield bytes([sold[0] + 1]) + sold[1:] + asked[-27:]
    yield bytes([asked[0] - 1]) + asked[1:-27]
    yield asked.replace(b"\x0c\xf4\x0d", b"\x0c\xf5\x0d")


def strictly(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> TransactionStatement | None:
    """What the reader of all statements makes of it; None for what is none."""
    with monkeypatch.context() as alone:
        alone.setattr(transaction, "read_usual", lambda _: None)
        return parsed(payload)


def parsed(payload: bytes) -> TransactionStatement | None:
    """What is made of it; None for what is none."""
    try:
        return parse_payload(payload)
    except PkiError:
        return None


def test_the_same_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = list(edges())
    for statement in statements:
        assert parse_payload(statement.payload()) == statement == strictly(statement.payload(), monkeypatch)
    taken = [statement for statement in statements if read_usual(statement.payload()) is not None]
    assert len(taken) > len(statements) * 2 // 3


def test_nothing_is_taken_that_the_strict_reader_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(162)  # noqa: S311 - the same mutations each time, nothing secret
    payloads = [statement.payload() for statement in edges()]
    taken = 0
    for _ in range(MUTATIONS):
        payload = bytearray(drawn.choice(payloads))
        for _ in range(drawn.randint(1, 2)):
            at = drawn.randrange(len(payload))
            payload[at : at + drawn.randint(0, 1)] = drawn.randbytes(drawn.randint(0, 1))
        usual = read_usual(bytes(payload))
        if usual is not None:
            taken += 1
            assert parsed(bytes(payload)) == strictly(bytes(payload), monkeypatch)
    assert taken > MUTATIONS // 20


def test_what_a_kind_does_not_allow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for payload in unfit():
        assert read_usual(payload) is not None
        assert strictly(payload, monkeypatch) is None
        assert parsed(payload) is None


def test_a_cose_sign1_is_cut_out_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads on both sides of each form of a length; then each byte of one of them changed."""
    messages = [
        encode_sign1(Sign1(bytes(length), os.urandom(64), os.urandom(32)))
        for length in (0, 23, 24, 255, 256, 600)
    ]
    spoilt = bytearray(messages[2])
    for at in range(len(spoilt)):
        spoilt[at] ^= 1
        messages.append(bytes(spoilt))
        spoilt[at] ^= 1
    # A length in two bytes that has room in one.
    messages.append(messages[2].replace(b"\x58\x18" + bytes(24), b"\x59\x00\x18" + bytes(24)))
    for message in messages:
        quickly = _read(message)
        with monkeypatch.context() as alone:
            alone.setattr(cose, "_named", lambda _: None)
            assert quickly == _read(message)


def _read(message: bytes) -> Sign1 | None:
    try:
        return decode_sign1(message)
    except PkiError:
        return None
