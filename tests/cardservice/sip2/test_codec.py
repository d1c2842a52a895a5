"""SIP2's bytes: a published exchange, what real machines send, and anything else."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.sip2 import dates
from cardservice.sip2.codec import (
    FIXED,
    MAX_FIELD,
    ChecksumWrong,
    Code,
    Message,
    Sip2Error,
    checksum,
    clean,
    decode,
    encode,
)

LIBKI = Path(__file__).parents[4] / "shared" / "data" / "sip2" / "libki-388.txt"
LONDON = ZoneInfo("Europe/London")


def exchange() -> list[bytes]:
    """The published request and answer; skips where the data is not there."""
    if not LIBKI.exists():
        pytest.skip(f"no {LIBKI}")
    lines = LIBKI.read_text("ascii").splitlines()
    return [line[2:].encode("ascii") for line in lines if line[:2] in ("> ", "< ")]


def again(message: Message) -> bytes:
    """A message that was read, written."""
    return encode(
        message.code,
        message.fixed,
        message.fields,
        sequence=message.sequence,
        with_checksum=message.has_checksum,
    )


def test_a_published_exchange_is_read_and_written_byte_for_byte() -> None:
    """Libki and a library system, Libki/libki-server#388: both checksums hold."""
    asked, answered = map(decode, exchange())
    assert (asked.code, asked.fixed) == (Code.PATRON_STATUS, ("001", "20250522    154913"))
    assert asked.fields == (("AO", ""), ("AA", "0310000000253"), ("AC", ""), ("AD", "0213"))
    assert (asked.sequence, asked.has_checksum) == (0, True)
    assert answered.fixed[0] == "  Y           "
    assert answered["AE"] == "Libki Teszt"
    assert [again(each) for each in (asked, answered)] == [line + b"\r" for line in exchange()]


def test_a_checksum_that_does_not_hold() -> None:
    asked, _ = exchange()
    for at in range(len(asked)):
        harmed = asked[:at] + bytes([asked[at] ^ 1]) + asked[at + 1 :]
        # Where the trailer's own letters are harmed it is a message without one.
        assert not _holds(harmed), at


def _holds(frame: bytes) -> bool:
    try:
        return decode(frame).has_checksum
    except Sip2Error:
        return False


# Worked by hand: the sum of the bytes, as 16 bits, taken from 65,536.
@pytest.mark.parametrize(
    ("before", "digits"), [(b"", b"0000"), (b"A", b"FFBF"), (b"97AZ", b"FEF5"), (b"\xff" * 257, b"0001")]
)
def test_checksums(before: bytes, digits: bytes) -> None:
    assert checksum(before) == digits


READ = [
    ("a line feed before it", b"\n9900302.00", "99", "030", ()),
    ("a line feed and blanks", b"\r\n  9900302.00", "99", "030", ()),
    ("a zero byte after it", b"9900302.00\x00", "99", "030", ()),
    ("a sequence number alone", b"9900302.00AY3", "99", "030", ()),
    ("no bar at the end", b"9300CNx|COy", "93", "0", (("CN", "x"), ("CO", "y"))),
    ("empty fields", b"9300CN|CO|", "93", "0", (("CN", ""), ("CO", ""))),
    ("a field twice", b"9300CNa|CNb|", "93", "0", (("CN", "a"), ("CN", "b"))),
    ("an unknown field", b"9300CNa|ZQ9|", "93", "0", (("CN", "a"), ("ZQ", "9"))),
    ("bars without anything", b"9300||CNa|||", "93", "0", (("CN", "a"),)),
    ("half a name", b"9300C|CNa|", "93", "0", (("CN", "a"),)),
    ("a name in small letters", b"9300cna|CNb|", "93", "0", (("CN", "b"),)),
    ("a tab in a value", b"9300CNa\tb|", "93", "0", (("CN", "a b"),)),
    ("bytes that are no UTF-8", b"9300CNa\xff|", "93", "0", (("CN", "a\ufffd"),)),
    ("a blank date", b"35" + b" " * 18 + b"AOx|", "35", " " * 18, (("AO", "x"),)),
]


@pytest.mark.parametrize(("name", "frame", "code", "first", "fields"), READ, ids=[row[0] for row in READ])
def test_what_machines_send_is_read(
    name: str, frame: bytes, code: str, first: str, fields: tuple[tuple[str, str], ...]
) -> None:
    found = decode(frame)
    assert (found.code.value, found.fields) == (code, fields), name
    assert found.fixed[0] == first[: len(found.fixed[0])]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"9",
        b"00",
        b"AA",
        b"\xff\xff",
        b"99",
        b"990030",
        b"9300"[:3],
        b"23001" + b"\xe9" * 18,
        b"9" * 5000,
    ],
)
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(Sip2Error):
        decode(frame)


@pytest.mark.parametrize(
    ("fixed", "fields"),
    [
        (("Y ",), []),
        (("é",), []),
        (("\r",), []),
        (("1",), [("AF", "a|b")]),
        (("1",), [("AF", "a\rb")]),
        (("1",), [("AF", "a\x00b")]),
        (("1",), [("A", "x")]),
        (("1",), [("AZ", "x")]),
        (("1",), [("AF", "x" * (MAX_FIELD + 1))]),
    ],
)
def test_what_would_not_be_read_again_is_not_written(
    fixed: tuple[str, ...], fields: list[tuple[str, str]]
) -> None:
    with pytest.raises(Sip2Error):
        encode(Code.LOGIN_RESPONSE, fixed, fields)


def test_a_longest_value_is_written() -> None:
    assert decode(encode(Code.LOGIN_RESPONSE, ("1",), [("AF", "x" * MAX_FIELD)]))["AF"] == "x" * MAX_FIELD
    assert encode(Code.LOGIN_RESPONSE, ("1",), [("AF", "Ł")], encoding="cp850") == b"941AF?|\r"
    assert encode(Code.REQUEST_SC_RESEND, (), (), sequence=3, with_checksum=True) == b"96AZFEF6\r"


VALUES = st.text(max_size=40).map(clean)
NAMES = st.from_regex(r"[A-X][A-Z0-9]", fullmatch=True).filter(lambda name: name not in ("AY", "AZ"))


@settings(deadline=None)
@given(
    st.sampled_from(sorted(set(Code) - {Code.REQUEST_ACS_RESEND, Code.REQUEST_SC_RESEND})),
    st.data(),
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    st.none() | st.integers(0, 9),
    st.booleans(),
)
def test_what_is_written_is_read_again(
    code: Code,
    data: st.DataObject,
    fields: list[tuple[str, str]],
    sequence: int | None,
    summed: bool,
) -> None:
    letters = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    fixed = tuple(data.draw(st.text(letters, min_size=n, max_size=n)) for n in FIXED[code])
    written = encode(code, fixed, fields, sequence=sequence, with_checksum=summed)
    assert written.count(b"\r") == 1
    assert written.endswith(b"\r")
    assert decode(written[:-1]) == Message(code, fixed, tuple(fields), sequence, summed)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"23001" + rest))
def test_any_bytes_are_read_or_refused(frame: bytes) -> None:
    try:
        found = decode(frame)
    except Sip2Error:
        return
    assert all(value.isprintable() for value in (*found.fixed, *(value for _, value in found.fields)))


DATES = [
    ("20260615    110000", datetime(2026, 6, 15, 10, tzinfo=UTC)),
    ("20261215    110000", datetime(2026, 12, 15, 11, tzinfo=UTC)),
    ("20260615   Z110000", datetime(2026, 6, 15, 11, tzinfo=UTC)),
    ("20260615   Q110000", datetime(2026, 6, 15, 10, tzinfo=UTC)),
    (" " * 18, None),
    ("0" * 18, None),
    ("00000000    000000", None),
    ("20260230    110000", None),
    ("20260615    250000", None),
    ("20260615    11000", None),
    ("٢٠٢٦٠٦١٥    110000", None),
    ("99981231    235959", datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("99991231    235959", None),
    ("00010101    000000", None),
]


@pytest.mark.parametrize(("text", "moment"), DATES)
def test_moments_as_machines_send_them(text: str, moment: datetime | None) -> None:
    assert dates.read(text, LONDON) == moment


def test_moments_as_we_write_them() -> None:
    moment = datetime(2026, 6, 15, 10, 0, 1, tzinfo=UTC)
    assert dates.written(moment, LONDON) == "20260615    110001"
    assert dates.written(moment, LONDON, universal=True) == "20260615   Z100001"
    assert dates.written_day(date(2026, 7, 6)) == "20260706    235959"
    assert dates.read_day(dates.written_day(date(2026, 7, 6))) == date(2026, 7, 6)
    assert dates.read_day("2026-07-06 23:59") == date(2026, 7, 6)
    assert [dates.read_day(text) for text in ("", "06/07/2026", "20260230", "00000000")] == [None] * 4


@settings(deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"[0-9]{8}.{4}[0-9]{6}", fullmatch=True))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    found = dates.read(text, ZoneInfo("America/New_York"))
    assert found is None or found.utcoffset() is not None
    dates.read_day(text)


def test_a_checksum_is_its_own_error() -> None:
    with pytest.raises(ChecksumWrong):
        decode(b"9900302.00AY1AZ0000")
