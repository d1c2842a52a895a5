"""Online status of certificates (RFC 6960), in the profile for high volumes (RFC 5019, RFC 9919)."""

from pki.ocsp.cert_id import CertId, cert_id
from pki.ocsp.request import MAX_REQUEST_BYTES, OcspRequest, parse_request
from pki.ocsp.responder import (
    CertificateStatus,
    OcspAnswer,
    OcspResponder,
    OcspSigner,
    SignedBefore,
    StatusSource,
)
from pki.ocsp.response import ResponseStatus

__all__ = [
    "MAX_REQUEST_BYTES",
    "CertId",
    "CertificateStatus",
    "OcspAnswer",
    "OcspRequest",
    "OcspResponder",
    "OcspSigner",
    "ResponseStatus",
    "SignedBefore",
    "StatusSource",
    "cert_id",
    "parse_request",
]
