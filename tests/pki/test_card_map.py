"""The map from a UID to a place: found, signed, refused when stale, and saying nothing without its key."""

from dataclasses import replace
from datetime import timedelta

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSE, COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.errors import CardMapMalformed, CardMapRefused, CardMapStale, CardUnmapped, PkiError
from pki.status_list.allocation import LIST_SIZE
from pki.status_list.card_map import MapKey, etag_of, make_map, map_signer_sha256, open_map, sign_map
from tests.pki.conftest import START, new_key

URI = "https://cards.example/pki/status/1"
KEY, SIGNING, SIGNER = MapKey(bytes(range(32))), new_key(), bytes(range(32, 64))
DAY = timedelta(days=1)
UID, GUID = bytes.fromhex("04a1b2c3d4e5f6"), bytes(range(16))
CARDS = [
    (UID, LIST_SIZE + 17),
    (GUID, LIST_SIZE + 17),
    (b"\x04" * 7, 2 * LIST_SIZE - 1),
    (bytes(4), LIST_SIZE),
]
MAP = make_map(URI, CARDS, KEY, START, START + DAY)
RAW = sign_map(MAP, SIGNING, SIGNER)


def opened(raw: bytes = RAW, key: ec.EllipticCurvePublicKey | None = None) -> dict[bytes, int]:
    card_map = open_map(raw, key or SIGNING.public_key(), URI)
    return {identifier: card_map.index_of(identifier, KEY, START) for identifier, _ in CARDS}


def test_each_card_is_found_at_its_place() -> None:
    assert opened() == {identifier: place - LIST_SIZE for identifier, place in CARDS}
    assert map_signer_sha256(RAW) == SIGNER


@given(st.dictionaries(st.binary(min_size=7, max_size=7), st.integers(0, LIST_SIZE - 1), max_size=300))
@settings(max_examples=100)
def test_whatever_cards_there_are(cards: dict[bytes, int]) -> None:
    card_map = make_map("x/status/0", cards.items(), KEY, START, START + DAY)
    assert {uid: card_map.index_of(uid, KEY, START) for uid in cards} == cards
    with pytest.raises(CardUnmapped):
        card_map.index_of(bytes(16), KEY, START)


@pytest.mark.parametrize(
    ("after", "error"),
    [(DAY, CardMapStale), (2 * DAY, CardMapStale), (-timedelta(minutes=6), CardMapRefused)],
)
def test_it_counts_between_its_dates(after: timedelta, error: type[PkiError]) -> None:
    MAP.index_of(UID, KEY, START + DAY - timedelta(seconds=1))
    with pytest.raises(error):
        MAP.index_of(UID, KEY, START + after)


def test_another_key_is_said_and_finds_nothing() -> None:
    with pytest.raises(CardMapRefused, match="another key"):
        MAP.index_of(UID, MapKey(bytes(32)), START)


def test_without_its_key_no_card_can_be_told() -> None:
    """Neither what was hashed stands there, nor is a card's hash the same under another key."""
    assert UID not in RAW
    assert GUID not in RAW
    other = make_map(URI, CARDS, MapKey(bytes(32)), START, START + DAY)
    hashes = [{each.entries[at : at + 8] for at in range(0, len(each.entries), 11)} for each in (MAP, other)]
    assert not hashes[0] & hashes[1]
    assert repr(KEY) == "MapKey(...)"


def test_signed_by_another_or_of_another_list_or_older() -> None:
    with pytest.raises(CardMapRefused, match="not of its signer"):
        opened(key=new_key().public_key())
    with pytest.raises(CardMapRefused, match="not https://other"):
        open_map(RAW, SIGNING.public_key(), "https://other/status/1")
    newer = make_map(URI, CARDS, KEY, START + DAY, START + 2 * DAY)
    with pytest.raises(CardMapRefused, match="older"):
        open_map(RAW, SIGNING.public_key(), URI, newer)
    assert open_map(RAW, SIGNING.public_key(), URI, MAP) == MAP


def test_what_cannot_be_mapped() -> None:
    with pytest.raises(CardMapRefused, match="status list 0"):
        make_map(URI, [(UID, 3)], KEY, START, START + DAY)
    with pytest.raises(CardMapRefused, match="same UID"):
        make_map(URI, [(UID, LIST_SIZE), (UID, LIST_SIZE + 1)], KEY, START, START + DAY)
    with pytest.raises(ValueError, match="4, 7 or 10"):
        make_map(URI, [(b"12345", LIST_SIZE)], KEY, START, START + DAY)
    with pytest.raises(ValueError, match="32 bytes"):
        MapKey(b"short")


@pytest.mark.parametrize(
    "entries",
    [
        bytes(10),
        b"\x01" * 8 + b"\x10\x00\x00",
        (b"\x01" * 8 + bytes(3)) * 2,
        b"\x02" * 8 + bytes(3) + b"\x01" * 8 + bytes(3),
    ],
    ids=["cut short", "beyond the list", "twice the same", "not in order"],
)
def test_entries_that_could_not_be_looked_up(entries: bytes) -> None:
    """Signed or not: a map that is not in order would find some of its cards and not others."""
    raw = sign_map(replace(MAP, entries=entries), SIGNING, SIGNER)
    with pytest.raises(CardMapMalformed):
        open_map(raw, SIGNING.public_key(), URI)


def test_another_program_reads_it() -> None:
    """`cwt` verifies the signature, and cbor2 reads the claims."""
    pem = SIGNING.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = COSE.new().decode(RAW, COSEKey.from_pem(pem, alg="ES256"))
    claims = cbor2.loads(payload)
    assert claims == {
        2: URI,
        4: int((START + DAY).timestamp()),
        6: int(START.timestamp()),
        -65540: KEY.key_id,
        -65541: MAP.entries,
    }


@given(at=st.integers(0, len(RAW) - 1), bit=st.integers(0, 7))
@settings(max_examples=1_000)
def test_no_changed_bit_is_accepted(at: int, bit: int) -> None:
    changed = bytearray(RAW)
    changed[at] ^= 1 << bit
    try:
        found = open_map(bytes(changed), SIGNING.public_key(), URI)
    except PkiError:
        return
    # The thumbprint alone is not signed: it finds the key, and proves nothing.
    assert found == MAP
    assert map_signer_sha256(bytes(changed)) != SIGNER


@given(st.binary(max_size=300))
@settings(max_examples=500)
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CardMapMalformed):
        open_map(data, SIGNING.public_key(), URI)


def test_its_tag_is_of_its_content() -> None:
    assert etag_of(MAP) == etag_of(open_map(RAW, SIGNING.public_key(), URI))
    assert etag_of(MAP) != etag_of(make_map(URI, CARDS[1:], KEY, START, START + DAY))
