"""A status list with its signature: a CWT (RFC 8392) in COSE_Sign1. Token Status List, 5.2."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware
from pki.errors import (
    StatementMalformed,
    StatementSignatureInvalid,
    StatusIndexUnknown,
    StatusListMalformed,
    StatusListRefused,
    StatusListStale,
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
from pki.status_list.allocation import place
from pki.status_list.codec import BITS, MAX_INDEXES, CardStatus, StatusList

MEDIA_TYPE = "application/statuslist+cwt"

# RFC 8392, 3.1, and Token Status List, 5.2
_SUBJECT, _EXPIRES, _ISSUED, _STATUS_LIST, _TTL = 2, 4, 6, 65533, 65534
_CLAIMS = {_SUBJECT, _EXPIRES, _ISSUED, _STATUS_LIST, _TTL}
# RFC 9052, 3.1: 1 is the algorithm, ES256 is -7; RFC 9596, 2: 16 is the type of what is signed
_PROTECTED = deterministic({1: -7, 16: MEDIA_TYPE})

# The list can be no longer than what its indexes take uncompressed, and some.
MAX_TOKEN_BYTES = MAX_INDEXES // 4 + 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Ours: a terminal whose clock is a little behind still takes a list that was made a moment ago.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusListToken:
    """A status list, and how long it may be relied on."""

    # The address of the list, which the cards' certificates name
    uri: str
    issued_at: datetime
    expires_at: datetime
    # After so long a newer one should be fetched
    ttl: timedelta
    statuses: StatusList

    def status_of(self, status_index: int) -> CardStatus:
        """The status of the card whose certificates name this place. Raises StatusIndexUnknown.

        Also where the place is one of another list: there its index would be another card's.
        """
        number, index = place(status_index)
        if not self.uri.endswith(f"/status/{number}"):
            raise StatusIndexUnknown(
                f"the place {status_index} is in the status list {number}, not {self.uri}"
            )
        return self.statuses.status(index)

    def require_current(self, moment: datetime) -> None:
        """Return if the list may be relied on at this moment. Raises StatusListStale, StatusListRefused."""
        moment = require_aware(moment)
        if moment >= self.expires_at:
            raise StatusListStale(self.expires_at)
        if moment + _CLOCK_SKEW < self.issued_at:
            raise StatusListRefused(
                f"the status list is of {self.issued_at.isoformat()}, which is yet to come; set the clock"
            )


def sign_token(token: StatusListToken, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes) -> bytes:
    """The tagged COSE_Sign1 of a list, which names its signer's certificate by SHA-256; times in seconds."""
    claims = {
        _SUBJECT: token.uri,
        _EXPIRES: _seconds(token.expires_at),
        _ISSUED: _seconds(token.issued_at),
        _STATUS_LIST: {"bits": BITS, "lst": token.statuses.compressed()},
        _TTL: token.ttl // timedelta(seconds=1),
    }
    payload = deterministic(claims, MAX_TOKEN_BYTES)
    signature = from_der(key.sign(_signature_input(payload), ECDSA_SHA256))
    unprotected = {X5T: [SHA_256, certificate_sha256]}
    return TAG_COSE_SIGN1 + deterministic([_PROTECTED, unprotected, payload, signature], MAX_TOKEN_BYTES)


def open_token(raw: bytes, key: ec.EllipticCurvePublicKey, uri: str, moment: datetime) -> StatusListToken:
    """The list at `uri` that this key has signed, if it may be relied on at `moment`. Token Status List, 8.3.

    Raises StatusListMalformed, StatusListRefused, StatusListStale; ValueError for a naive moment.
    """
    token = read_token(raw, key, uri)
    token.require_current(moment)
    return token


def read_token(raw: bytes, key: ec.EllipticCurvePublicKey, uri: str) -> StatusListToken:
    """The same, however old: for who judges that (`pki.verification`).

    Raises StatusListMalformed, StatusListRefused.
    """
    payload, signature, _ = _parts(raw)
    # The signature comes first: nothing that a stranger wrote is inflated.
    try:
        verify_ecdsa(key, signature, _signature_input(payload))
    except StatementSignatureInvalid as error:
        raise StatusListRefused(f"the status list is not of its signer: {error}") from error
    token = _token(payload)
    if token.uri != uri:
        raise StatusListRefused(f"this is the status list {token.uri}, not {uri}")
    return token


def signer_sha256(raw: bytes) -> bytes:
    """SHA-256 of the certificate to verify a list with; itself unverified. Raises StatusListMalformed."""
    return _parts(raw)[2]


def _parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Payload, signature and the signer's thumbprint, nothing of it verified."""
    if raw[:1] != TAG_COSE_SIGN1:
        raise StatusListMalformed("a status list is a COSE_Sign1 with its tag 18")
    match _decoded(raw[1:]):
        case [bytes(protected), {34: [-16, bytes(digest)], **others}, bytes(payload), bytes(signature)]:
            if others or len(digest) != 32:
                raise StatusListMalformed("a status list names its signer by x5t with SHA-256 alone")
        case _:
            raise StatusListMalformed("a status list is an array of two headers, payload and signature")
    if protected != _PROTECTED:
        raise StatusListMalformed(f"the protected header is not ES256 and {MEDIA_TYPE}")
    if len(signature) != SIGNATURE_BYTES:
        raise StatusListMalformed(f"the signature has not {SIGNATURE_BYTES} bytes")
    return payload, signature, digest


def _token(payload: bytes) -> StatusListToken:
    claims = _decoded(payload)
    if not isinstance(claims, dict) or set(claims) != _CLAIMS:
        raise StatusListMalformed("a status list has exactly the claims 2, 4, 6, 65533 and 65534")
    match claims:
        case {
            2: str(uri),
            4: int(expires),
            6: int(issued),
            65533: {"bits": 2, "lst": bytes(compressed), **others},
            65534: int(ttl),
        } if not others:
            pass
        case _:
            raise StatusListMalformed("a claim of the status list has a value that it cannot have")
    return StatusListToken(
        uri=uri,
        issued_at=_moment(issued),
        expires_at=_moment(expires),
        ttl=timedelta(seconds=_within_bounds(ttl)),
        statuses=StatusList.from_compressed(compressed),
    )


def _decoded(data: bytes) -> object:
    try:
        return decode_deterministic(data, MAX_TOKEN_BYTES)
    except StatementMalformed as error:
        raise StatusListMalformed(f"the status list cannot be read: {error}") from error


def _signature_input(payload: bytes) -> bytes:
    """The Sig_structure. RFC 9052, 4.4, with empty external data, as in every CWT."""
    return deterministic(["Signature1", _PROTECTED, b"", payload], 2 * MAX_TOKEN_BYTES)


def _seconds(moment: datetime) -> int:
    return (require_aware(moment) - _EPOCH) // timedelta(seconds=1)


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=_within_bounds(seconds))


def _within_bounds(seconds: int) -> int:
    # Up to the end of the year 9999, which is as far as any calendar here goes
    if isinstance(seconds, bool) or not 0 < seconds < 253_402_300_800:
        raise StatusListMalformed("a time of the status list lies outside all calendars")
    return seconds
