"""PIV's data objects against published ones, and against bytes that are none."""

import gzip
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.piv import Chuid, PivDataError
from tests.support.vectors import Vector, card_vectors

PUBLISHED = {vector.name: vector for vector in card_vectors("piv-tlv")}


def published(name: str) -> bytes:
    return bytes.fromhex(PUBLISHED[name].inputs["object"])


def test_a_chuid_is_the_published_bytes() -> None:
    chuid = Chuid(UUID("11223344-5566-7788-9900-112233445566"), date(2030, 1, 1))
    assert piv.encode_data(chuid.encode()) == published("piv-chuid-unsigned")
    assert Chuid.decode(piv.decode_data(published("piv-chuid-unsigned"))) == chuid


def test_the_discovery_object_is_that_of_a_test_card() -> None:
    assert piv.encode_discovery() == published("gsa-discovery-46-app-pin-only")
    assert piv.encode_discovery(b"\x60\x10") == published("gsa-discovery-27-app-pin-primary")


def test_the_application_property_template_is_the_published_one() -> None:
    assert piv.encode_application_property_template() == published("piv-select-apt-minimal")


def test_the_capability_container_has_the_elements_of_a_test_card() -> None:
    ours = tlv.decode(piv.encode_ccc(bytes(14)))
    assert [item.tag for item in ours] == [item.tag for item in tlv.decode(published("gsa-ccc-46"))]
    assert len(ours[0].value) == len(bytes.fromhex(PUBLISHED["gsa-ccc-46"].expected["F0"]))


@pytest.mark.parametrize("vector", card_vectors("piv-apdu"), ids=str)
def test_objects_are_asked_for_by_their_published_tags(vector: Vector) -> None:
    if "object_tag" in vector.inputs:
        tag_list = piv.encode_tag_list(int(vector.inputs["object_tag"], 16))
        assert tag_list in bytes.fromhex(vector.expected["c_apdu"])


@pytest.mark.parametrize("length", [1, 0x7F, 0x80, 0xFF, 0x100, 768])
def test_a_certificate_comes_back_whatever_its_length(length: int) -> None:
    der = b"\x30" * length
    assert piv.decode_certificate(piv.encode_certificate(der)) == der


def test_a_certificate_container_is_framed_as_the_standard_says() -> None:
    # SP 800-73-5 part 1, appendix A: 70 certificate, 71 CertInfo, FE error detection code; in this order.
    assert piv.encode_certificate(b"\xaa\xbb") == bytes.fromhex("7002AABB710100FE00")


def test_a_certificate_object_is_framed_as_we_derived_it() -> None:
    """Witnesses nothing, since it was derived here; a change of the framing shows."""
    expected = PUBLISHED["piv-cert-object-framing"].expected
    raw = piv.encode_data(piv.encode_certificate(bytes(range(256)) * 3))
    assert raw.hex().upper().startswith(expected["prefix"])
    assert raw.hex().upper().endswith(expected["suffix"])
    assert len(raw) == int(expected["total_len"])


def test_a_compressed_certificate_is_unpacked() -> None:
    content = tlv.encode(0x70, gzip.compress(b"\x30" * 900)) + bytes.fromhex("710101FE00")
    assert piv.decode_certificate(content) == b"\x30" * 900


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(bytes(1 << 20)), gzip.compress(b"\x30" * 900)[:-9], b"\x30\x03\x02\x01\x05"],
    ids=["a bomb", "broken off", "not packed"],
)
def test_what_does_not_unpack_to_a_certificate_is_refused(packed: bytes) -> None:
    with pytest.raises(PivDataError):
        piv.decode_certificate(tlv.encode(0x70, packed) + bytes.fromhex("710101FE00"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "3410" + "11" * 16 + "35083230333030313031",  # no FASC-N
        "3019" + "D4" * 25 + "35083230333030313031",  # no GUID
        "3019" + "D4" * 25 + "340F" + "11" * 15 + "35083230333030313031",  # a short GUID
        "3019" + "D4" * 25 + "3410" + "11" * 16 + "35083230333031333031",  # month 13
        "3019" + "D4" * 25 + "3410" + "11" * 16 + "3508FFFFFFFFFFFFFFFF",  # no digits
        "3019" + "D4" * 25 + "3410" + "11" * 16 + "35083230333257303131",  # a week, which Python reads
        "3019" + "D4" * 25 + "3410" + "11" * 16 + "350732303332313233",  # seven digits
    ],
)
def test_a_chuid_without_what_we_need_is_refused(content: str) -> None:
    with pytest.raises(PivDataError):
        Chuid.decode(bytes.fromhex(content))


def test_a_chuid_of_any_year_is_read_as_it_was_written() -> None:
    """Found by fuzzing: strftime writes the year 301 in three digits."""
    chuid = Chuid(UUID(int=1), date(301, 1, 31))
    assert Chuid.decode(chuid.encode()) == chuid


def test_a_public_key_is_taken_out_of_its_template() -> None:
    point = b"\x04" + bytes(range(64))
    assert piv.decode_public_key(bytes.fromhex("7F49438641") + point) == point
    assert piv.encode_public_key(point) == bytes.fromhex("7F49438641") + point


def test_an_rsa_key_is_taken_out_of_its_template() -> None:
    modulus = (1 << 2047) + 12345
    raw = bytes.fromhex("7F4982010981820100") + modulus.to_bytes(256) + bytes.fromhex("8203010001")
    assert piv.encode_rsa_public_key(modulus, 65537) == raw
    assert piv.decode_rsa_public_key(raw) == (modulus, 65537)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "8101C3",
        "8203010001",
        "81008203010001",
        "8101C38200",
        "8101C38209" + "01" * 9,
        "82030100018182018200" + "C3" * 385,
    ],
)
def test_what_holds_no_rsa_key_is_refused(content: str) -> None:
    """A number is missing or empty, or longer than any key of a card."""
    with pytest.raises(PivDataError):
        piv.decode_rsa_public_key(tlv.encode(0x7F49, bytes.fromhex(content)))


@pytest.mark.parametrize(
    "raw", ["", "7F4900", "7F49028600", "7F49438641" + "02" + "00" * 64, "8641" + "04" * 65]
)
def test_what_holds_no_point_is_refused(raw: str) -> None:
    with pytest.raises(PivDataError):
        piv.decode_public_key(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "pin", ["", "12345", "123456789", "12345a", "".join(chr(0xFF10 + digit) for digit in range(6)), "12 456"]
)
def test_what_is_no_pin_is_not_sent_to_a_card(pin: str) -> None:
    with pytest.raises(PivDataError):
        piv.encode_pin(pin)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    for read in (Chuid.decode, piv.decode_certificate, piv.decode_data, piv.decode_public_key):
        try:
            read(raw)
        except PivDataError:
            continue
