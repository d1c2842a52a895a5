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
    yield advice(kind=StatementKind.REQUEST, offline=False, nonce=os.urandom(16))


def strictly(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> TransactionStatement | None:
    """What the reader of all statements makes of it; None for what is none."""
    with monkeypatch.context() as alone:
        alone.setattr(transaction, "read_usual", lambda _: None)
        try:
            return parse_payload(payload)
        except PkiError:
            return None


def test_the_same_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = list(edges())[:-1]
    for statement in statements:
        assert parse_payload(statement.payload()) == statement == strictly(statement.payload(), monkeypatch)
    taken = [statement for statement in statements if read_usual(statement.payload()) is not None]
    assert len(taken) > len(statements) * 3 // 4


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
        if usual is not None and usual.sale.kind == StatementKind.ADVICE:
            taken += 1
            assert parse_payload(bytes(payload)) == strictly(bytes(payload), monkeypatch)
    assert taken > MUTATIONS // 20


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
