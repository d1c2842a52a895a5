"""The DER that is written and read by hand, beside what `cryptography` and the standard say."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from pki import der
from pki.errors import DerMalformed


@pytest.mark.parametrize(
    ("size", "octets"),
    [
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "8180"),
        (0xFF, "81ff"),
        (0x100, "820100"),
        (0xFFFF, "82ffff"),
        (0x10000, "83010000"),
        (0x0100_0000, "8401000000"),
    ],
)
def test_lengths_take_their_shortest_form(size: int, octets: str) -> None:
    """X.690, 10.1."""
    assert der.length(size).hex() == octets


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, "020100"), (0x7F, "02017f"), (0x80, "02020080"), (0xFF, "020200ff"), (0x8000, "0203008000")],
)
def test_integers(value: int, octets: str) -> None:
    """X.690, 8.3: the first bit is the sign."""
    assert der.integer(value).hex() == octets
    assert der.read(der.integer(value)).integer() == value


def test_no_negative_integer_is_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        der.integer(-1)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), b"\x17\x0d260102030405Z"),
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
        (datetime.fromisoformat("2026-07-01T01:30:00+01:00"), b"\x17\x0d260701003000Z"),
    ],
)
def test_times_change_their_form_in_2050(moment: datetime, text: bytes) -> None:
    """RFC 5280, 4.1.2.5."""
    assert der.time(moment) == text


@pytest.mark.parametrize(
    "dotted", ["2.5.29.20", "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.4.1.32473", "2.999.128.16384"]
)
def test_object_identifiers(dotted: str) -> None:
    """As cryptography writes them into an extended key usage."""
    oid = x509.ObjectIdentifier(dotted)
    assert der.tlv(der.SEQUENCE, der.object_identifier(oid)) == x509.ExtendedKeyUsage([oid]).public_bytes()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "cut short"),
        ("30", "cut short"),
        ("3001", "cut short"),
        ("30820100", "cut short"),
        ("3082", "not DER's"),
        ("300000", "bytes follow"),
        ("3080", "not DER's"),
        ("30800000", "not DER's"),
        ("308100", "not DER's"),
        ("30820001ff", "not DER's"),
        ("3085ffffffffff", "not DER's"),
        ("3f0100", "several octets"),
    ],
)
def test_what_is_not_der_is_refused(data: str, sentence: str) -> None:
    """X.690, 8.1 and 10.1."""
    with pytest.raises(DerMalformed, match=sentence):
        der.read(bytes.fromhex(data))


@pytest.mark.parametrize("data", ["0200", "02020001", "0202ffff", "0202ff80"])
def test_integers_that_are_not_der(data: str) -> None:
    """X.690, 8.3.2."""
    with pytest.raises(DerMalformed, match="INTEGER"):
        der.read(bytes.fromhex(data)).integer()


@pytest.mark.parametrize(
    ("data", "value"), [("0201ff", -1), ("020180", -128), ("0202ff7f", -129), ("02020080", 128)]
)
def test_negative_integers_are_read(data: str, value: int) -> None:
    assert der.read(bytes.fromhex(data)).integer() == value


def test_more_elements_than_wanted_are_not_read() -> None:
    three = der.tlv(der.SEQUENCE, der.integer(1), der.integer(2), der.integer(3))
    assert [child.integer() for child in der.read(three).children(3)] == [1, 2, 3]
    with pytest.raises(DerMalformed, match="more than 2"):
        der.read(three).children(2)
