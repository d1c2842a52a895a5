"""The DER of OCSP responses (RFC 6960, 4.2).

Put together by hand for the same reason that requests are read so: one response may speak of many
certificates, and it is to cost little more than its signature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import OCSPExtensionOID

from pki import der

# RFC 6960, 4.2.1: id-pkix-ocsp-basic
_BASIC = der.object_identifier(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.1"))

# RFC 6960, 4.2.1: CertStatus is [0] and [2] IMPLICIT NULL, or [1] IMPLICIT RevokedInfo
GOOD = bytes((der.context(0, constructed=False), 0))
UNKNOWN = bytes((der.context(2, constructed=False), 0))
_REVOKED = der.context(1)

# RFC 5280, 5.3.1: the numbers of the reasons
_REASON_NUMBERS = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.privilege_withdrawn: 9,
}
_REASONS = {
    reason.name: der.tlv(der.context(0), der.integer(number, der.ENUMERATED))
    for reason, number in _REASON_NUMBERS.items()
} | {x509.ReasonFlags.unspecified.name: b""}


# Each is written several times, and many answers are given in the same second.
_time = lru_cache(maxsize=256)(der.generalized_time)


class ResponseStatus(IntEnum):
    """RFC 6960, 4.2.1: OCSPResponseStatus."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class Validity:
    """When the answer was true, and when there will be a newer one."""

    this_update: datetime
    next_update: datetime


def refusal(status: ResponseStatus) -> bytes:
    """A response that answers nothing, and that nobody signs. RFC 6960, 2.3."""
    return der.tlv(der.SEQUENCE, der.integer(status, der.ENUMERATED))


def revoked(moment: datetime, reason: str) -> bytes:
    """The status of a revoked certificate. RFC 6960, 4.2.1: RevokedInfo."""
    return der.tlv(_REVOKED, _time(moment), _REASONS[reason])


def single_response(cert_id: bytes, status: bytes, validity: Validity) -> bytes:
    """What is said of one certificate. RFC 6960, 4.2.1."""
    return der.tlv(
        der.SEQUENCE,
        cert_id,
        status,
        _time(validity.this_update),
        der.tlv(der.context(0), _time(validity.next_update)),
    )


def response_data(
    responder_key_hash: bytes, produced_at: datetime, singles: Sequence[bytes], nonce: bytes | None
) -> bytes:
    """What is signed. RFC 6960, 4.2.1: ResponseData, the responder named by the SHA-1 of its key."""
    extensions = b""
    if nonce is not None:  # RFC 9654, 2.1: the request's, as it came
        value = der.extension(OCSPExtensionOID.NONCE, der.tlv(der.OCTET_STRING, nonce))
        extensions = der.tlv(der.context(1), der.tlv(der.SEQUENCE, value))
    return der.tlv(
        der.SEQUENCE,
        der.tlv(der.context(2), der.tlv(der.OCTET_STRING, responder_key_hash)),
        _time(produced_at),
        der.tlv(der.SEQUENCE, *singles),
        extensions,
    )


def response(data: bytes, signature: bytes, certificates: bytes) -> bytes:
    """A successful response: the data, ECDSA with SHA-256 over it, the responder's certificates in DER."""
    basic = der.tlv(
        der.SEQUENCE,
        data,
        der.ECDSA_WITH_SHA256,
        der.tlv(der.BIT_STRING, b"\x00", signature),
        der.tlv(der.context(0), der.tlv(der.SEQUENCE, certificates)) if certificates else b"",
    )
    return der.tlv(
        der.SEQUENCE,
        der.integer(ResponseStatus.SUCCESSFUL, der.ENUMERATED),
        der.tlv(der.context(0), der.tlv(der.SEQUENCE, _BASIC, der.tlv(der.OCTET_STRING, basic))),
    )
