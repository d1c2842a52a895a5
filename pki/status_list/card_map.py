"""From a card's UID to its place in a status list, signed, for terminals that see no certificate.

The form is ours. It holds keyed hashes: who has no key cannot tell which cards there are. Whoever has it can
try out every UID, of which there are some 2^48: so the key is for authenticated terminals alone, and the map
is never published.
"""

import hmac
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware
from pki.errors import (
    CardMapMalformed,
    CardMapRefused,
    CardMapStale,
    CardUnmapped,
    StatementMalformed,
    StatementSignatureInvalid,
)
from pki.statements.cbor import decode_deterministic, deterministic
from pki.statements.cose import (
    ECDSA_SHA256,
    SHA_256,
    SIGNATURE_BYTES,
    TAG_COSE_SIGN1,
    X5T,
    from_der,
    verify_ecdsa,
)
from pki.status_list.allocation import LIST_SIZE, place

MEDIA_TYPE = "application/vnd.citizen-card.map+cwt"  # ours
KEY_BYTES = 32
# ISO/IEC 14443-3:2018, 6.5.4: single, double and triple UIDs; and a GUID
_IDENTIFIER_BYTES = frozenset((4, 7, 10, 16))

# RFC 8392, 3.1; RFC 8392, 9.1.1: below -65536 is for private use. Ours.
_SUBJECT, _EXPIRES, _ISSUED, _KEY_ID, _ENTRIES = 2, 4, 6, -65540, -65541
_CLAIMS = {_SUBJECT, _EXPIRES, _ISSUED, _KEY_ID, _ENTRIES}
_PROTECTED = deterministic({1: -7, 16: MEDIA_TYPE})
_HASH_BYTES, _INDEX_BYTES = 8, 3
_ENTRY_BYTES = _HASH_BYTES + _INDEX_BYTES
# A card has at most a UID and a GUID in it
MAX_MAP_BYTES = 2 * LIST_SIZE * _ENTRY_BYTES + 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
# Ours, as for status lists
_CLOCK_SKEW = timedelta(minutes=5)
_END_OF_CALENDARS = 253_402_300_800


@dataclass(frozen=True, slots=True)
class MapKey:
    """The secret under which identifiers are hashed; it is not printed."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"the key of a card map has {KEY_BYTES} bytes")

    def __repr__(self) -> str:
        return "MapKey(...)"

    @property
    def key_id(self) -> bytes:
        """What a map says of its key, so that a wrong one is noticed and no card is merely not found."""
        return hmac.digest(self.secret, b"citizen-card map key", "sha256")[:_HASH_BYTES]

    def hash(self, identifier: bytes) -> bytes:
        """What stands in the map for a UID or GUID. Raises ValueError for what is neither."""
        if len(identifier) not in _IDENTIFIER_BYTES:
            raise ValueError("a UID has 4, 7 or 10 bytes and a GUID 16")
        return hmac.digest(self.secret, b"citizen-card map" + identifier, "sha256")[:_HASH_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardMap:
    """The cards of one status list. `entries` are sorted: each a hash of 8 bytes and an index of 3."""

    # The address of the status list
    uri: str
    issued_at: datetime
    expires_at: datetime
    key_id: bytes
    entries: bytes

    def __len__(self) -> int:
        return len(self.entries) // _ENTRY_BYTES

    def index_of(self, identifier: bytes, key: MapKey, moment: datetime) -> int:
        """The index in the status list of the card with this UID or GUID.

        Raises CardMapStale where the map is too old to be relied on, CardUnmapped where it does not have the
        card, CardMapRefused for another key or a moment before it was made, ValueError for what is no
        identifier.
        """
        moment = require_aware(moment)
        if moment >= self.expires_at:
            raise CardMapStale(self.expires_at)
        if moment + _CLOCK_SKEW < self.issued_at:
            raise CardMapRefused(
                f"the card map is of {self.issued_at.isoformat()}, which is yet to come; set the clock"
            )
        if not hmac.compare_digest(key.key_id, self.key_id):
            raise CardMapRefused("the card map was made under another key; fetch the key anew")
        wanted = key.hash(identifier)
        at = bisect_left(range(len(self)), wanted, key=lambda number: self._entry(number)[:_HASH_BYTES])
        if at == len(self) or self._entry(at)[:_HASH_BYTES] != wanted:
            raise CardUnmapped("the card map does not have this card, so nothing is known of it")
        return int.from_bytes(self._entry(at)[_HASH_BYTES:], "big")

    def _entry(self, number: int) -> bytes:
        return self.entries[number * _ENTRY_BYTES : (number + 1) * _ENTRY_BYTES]


def make_map(
    uri: str,
    cards: Iterable[tuple[bytes, int]],
    key: MapKey,
    issued_at: datetime,
    expires_at: datetime,
) -> CardMap:
    """The map of these cards, each a UID or GUID with the place that its certificates name.

    Raises CardMapRefused for a place of another list, and where two cards have one hash: draw another key.
    """
    entries: dict[bytes, bytes] = {}
    for identifier, status_index in cards:
        number, index = place(status_index)
        if not uri.endswith(f"/status/{number}"):
            raise CardMapRefused(f"the place {status_index} is in the status list {number}, not {uri}")
        hashed, octets = key.hash(identifier), index.to_bytes(_INDEX_BYTES, "big")
        if entries.setdefault(hashed, octets) != octets:
            raise CardMapRefused("two cards have the same UID, or by chance the same hash: draw another key")
    return CardMap(
        uri=uri,
        issued_at=require_aware(issued_at).replace(microsecond=0),
        expires_at=require_aware(expires_at).replace(microsecond=0),
        key_id=key.key_id,
        entries=b"".join(hashed + entries[hashed] for hashed in sorted(entries)),
    )


def sign_map(card_map: CardMap, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes) -> bytes:
    """The tagged COSE_Sign1 of a map, which names its signer's certificate by SHA-256."""
    claims = {
        _SUBJECT: card_map.uri,
        _EXPIRES: (card_map.expires_at - _EPOCH) // _SECOND,
        _ISSUED: (card_map.issued_at - _EPOCH) // _SECOND,
        _KEY_ID: card_map.key_id,
        _ENTRIES: card_map.entries,
    }
    payload = deterministic(claims, MAX_MAP_BYTES)
    signature = from_der(key.sign(_signature_input(payload), ECDSA_SHA256))
    unprotected = {X5T: [SHA_256, certificate_sha256]}
    return TAG_COSE_SIGN1 + deterministic([_PROTECTED, unprotected, payload, signature], MAX_MAP_BYTES)


def map_signer_sha256(raw: bytes) -> bytes:
    """SHA-256 of the certificate to verify a map with; itself unverified. Raises CardMapMalformed."""
    return _parts(raw)[2]


def open_map(raw: bytes, key: ec.EllipticCurvePublicKey, uri: str, newest: CardMap | None = None) -> CardMap:
    """The map of the list at `uri` that this key has signed, and no older than the `newest` that was held.

    How old it may be is judged whenever a card is looked up. Raises CardMapMalformed, CardMapRefused.
    """
    payload, signature, _ = _parts(raw)
    try:
        verify_ecdsa(key, signature, _signature_input(payload))
    except StatementSignatureInvalid as error:
        raise CardMapRefused(f"the card map is not of its signer: {error}") from error
    card_map = _card_map(payload)
    if card_map.uri != uri:
        raise CardMapRefused(f"this is the card map of {card_map.uri}, not {uri}")
    if newest is not None and card_map.issued_at < newest.issued_at:
        raise CardMapRefused(
            f"the card map of {card_map.issued_at.isoformat()} is older than the one that is held"
        )
    return card_map


def etag_of(card_map: CardMap) -> str:
    """What tells it from others for `If-None-Match`: of the content, whoever has signed it."""
    said = f"{card_map.uri} {card_map.issued_at} {card_map.expires_at} {card_map.key_id.hex()}".encode()
    return sha256(said + card_map.entries).hexdigest()


def _parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Payload, signature and the signer's thumbprint, nothing of it verified."""
    if raw[:1] != TAG_COSE_SIGN1:
        raise CardMapMalformed("a card map is a COSE_Sign1 with its tag 18")
    match _decoded(raw[1:]):
        case [bytes(protected), {34: [-16, bytes(digest)], **others}, bytes(payload), bytes(signature)]:
            if others or len(digest) != 32 or protected != _PROTECTED or len(signature) != SIGNATURE_BYTES:
                raise CardMapMalformed(
                    "a card map has ES256, its type and its signer's x5t with SHA-256 alone"
                )
        case _:
            raise CardMapMalformed("a card map is an array of two headers, payload and signature")
    return payload, signature, digest


def _card_map(payload: bytes) -> CardMap:
    claims = _decoded(payload)
    if not isinstance(claims, dict) or set(claims) != _CLAIMS:
        raise CardMapMalformed("a card map has exactly the claims 2, 4, 6, -65540 and -65541")
    match claims:
        case {2: str(uri), 4: int(expires), 6: int(issued), -65540: bytes(key_id), -65541: bytes(entries)}:
            pass
        case _:
            raise CardMapMalformed("a claim of the card map has a value that it cannot have")
    _require_sorted(entries)
    return CardMap(
        uri=uri, issued_at=_moment(issued), expires_at=_moment(expires), key_id=key_id, entries=entries
    )


def _require_sorted(entries: bytes) -> None:
    """What is looked up by halving has to be in order, and to name places that a list has."""
    if len(entries) % _ENTRY_BYTES:
        raise CardMapMalformed("the last entry of the card map is cut short")
    before = b""
    for at in range(0, len(entries), _ENTRY_BYTES):
        hashed = entries[at : at + _HASH_BYTES]
        if hashed <= before or entries[at + _HASH_BYTES] >= LIST_SIZE >> 16:
            raise CardMapMalformed("the entries of the card map are not in order, or name no place of a list")
        before = hashed


def _decoded(data: bytes) -> object:
    try:
        return decode_deterministic(data, MAX_MAP_BYTES)
    except StatementMalformed as error:
        raise CardMapMalformed(f"the card map cannot be read: {error}") from error


def _signature_input(payload: bytes) -> bytes:
    """The Sig_structure. RFC 9052, 4.4, with empty external data, as in every CWT."""
    return deterministic(["Signature1", _PROTECTED, b"", payload], 2 * MAX_MAP_BYTES)


def _moment(seconds: int) -> datetime:
    if isinstance(seconds, bool) or not 0 < seconds < _END_OF_CALENDARS:
        raise CardMapMalformed("a time of the card map lies outside all calendars")
    return _EPOCH + timedelta(seconds=seconds)
