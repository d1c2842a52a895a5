"""Discovery, key history and printed information: published objects, and bytes that are none."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.piv import PivDataError
from reader_agent.cardspec.piv_data import Discovery, KeyHistory, PrintedInformation
from tests.support.vectors import card_vectors

PUBLISHED = {vector.name: vector for vector in card_vectors("piv-tlv")}


@pytest.mark.parametrize(
    ("name", "takes_global", "prefers_global"),
    [
        ("piv-discovery-apponly-pin", False, False),
        ("piv-discovery-global-preferred", True, True),
        ("gsa-discovery-46-app-pin-only", False, False),
        ("gsa-discovery-27-app-pin-primary", True, False),
        ("gsa-discovery-28-global-pin-primary", True, True),
    ],
)
def test_published_discovery_objects(name: str, takes_global: bool, prefers_global: bool) -> None:
    content = piv.decode_data(bytes.fromhex(PUBLISHED[name].inputs["object"]), piv.ObjectId.DISCOVERY)
    discovery = Discovery.decode(content)
    assert discovery.aid == piv.AID
    assert (discovery.takes_global_pin, discovery.prefers_global_pin) == (takes_global, prefers_global)
    assert not discovery.has_virtual_contact


@pytest.mark.parametrize(
    "content",
    [
        "",
        "4F00",
        "4F0BA000000308000010000100",
        "4F0BA0000003080000100001005F2F0140",
        "5F2F024000",
        "4F01AA5F2F020000",
    ],
)
def test_a_discovery_object_without_what_it_is_for_is_refused(content: str) -> None:
    with pytest.raises(PivDataError):
        Discovery.decode(bytes.fromhex(content))


def test_printed_information_of_a_test_card() -> None:
    printed = PrintedInformation.decode(bytes.fromhex(PUBLISHED["gsa-printed-info-46"].inputs["object"]))
    assert printed.name == "ICAM Card 46 Golden FIPS 201-2 PIV"
    assert (printed.expires_on, printed.serial_number) == ("2032DEC02", "123456789")
    assert PrintedInformation.decode(printed.encode()) == printed


def test_a_key_history_is_framed_as_the_standard_says() -> None:
    # SP 800-73-5 part 1, appendix A: C1 and C2 count the keys, F3 the address, FE the error detection code.
    assert KeyHistory().encode() == bytes.fromhex("C10100C20100F300FE00")
    history = KeyHistory(2, 1, "http://example.org/certs")
    assert KeyHistory.decode(history.encode()) == history


@pytest.mark.parametrize(
    "history",
    [KeyHistory(21), KeyHistory(-1), KeyHistory(20, 1, "http://x"), KeyHistory(0, 1), KeyHistory(0, 0, "x")],
)
def test_a_key_history_that_cannot_be_is_not_written(history: KeyHistory) -> None:
    with pytest.raises(PivDataError):
        history.encode()


@pytest.mark.parametrize("content", ["", "C10100", "C100C20100", "C10100C20100F301FF"])
def test_what_is_no_key_history_is_refused(content: str) -> None:
    with pytest.raises(PivDataError):
        KeyHistory.decode(bytes.fromhex(content))


@pytest.mark.parametrize("puk", ["", "12345", "123456789", "1234567\n", "1234567é"])
def test_what_is_no_puk_is_not_sent_to_a_card(puk: str) -> None:
    with pytest.raises(PivDataError):
        piv.encode_puk(puk)


def test_a_puk_is_eight_bytes() -> None:
    assert piv.encode_puk("12345678") == b"12345678"
    assert piv.encode_puk("123456") == b"123456\xff\xff"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    for read in (Discovery.decode, KeyHistory.decode, PrintedInformation.decode):
        try:
            read(raw)
        except PivDataError:
            continue


def test_a_guid_is_read_from_the_beginning_of_a_chuid() -> None:
    """Also where older elements stand before it; and never from what only looks like one."""
    guid = UUID(int=7)
    chuid = piv.Chuid(guid=guid, expires_on=date(2031, 6, 15), issuer_signature=bytes(900)).encode()
    older = tlv.encode(0xEE, b"\x04\x00") + chuid
    for content in (chuid, older):
        assert piv.decode_guid(piv.encode_data(content)[: piv.CHUID_HEAD_LENGTH]) == guid
    for beginning in (b"", b"\x53", chuid[:80], piv.encode_data(tlv.encode(0x34, bytes(15))), b"\x53\x00"):
        assert piv.decode_guid(beginning) is None
