"""Certificates and revocation lists from bytes of others: read whole at once, or refused.

`cryptography` reads lazily: what is malformed inside would else show later, in the middle of something, and
as one of several exceptions.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from pki.errors import EncodingInvalid

# The warning, where a program makes errors of them, is for what later versions of `cryptography` refuse.
UNREADABLE = (
    CryptographyDeprecationWarning,
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


def read_certificate(der: bytes) -> x509.Certificate:
    """The certificate in these bytes. Raises EncodingInvalid."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _read_to_the_end(certificate)
        _require_whole_octets(der, certificate.signature)
    except UNREADABLE as error:
        raise EncodingInvalid("the certificate", f"cannot be read ({error})") from error
    return certificate


def read_crl(der: bytes) -> x509.CertificateRevocationList:
    """The list in these bytes; its entries are read when they are looked up. Raises EncodingInvalid."""
    try:
        crl = x509.load_der_x509_crl(der)
        for _ in (crl.issuer, crl.extensions, crl.last_update_utc, crl.next_update_utc):
            pass
        require_whole_octets(crl)
    except UNREADABLE as error:
        raise EncodingInvalid("the revocation list", f"cannot be read ({error})") from error
    return crl


def require_readable(certificate: x509.Certificate) -> x509.Certificate:
    """The same certificate, every part of which can be read. Raises EncodingInvalid."""
    try:
        _read_to_the_end(certificate)
        require_whole_octets(certificate)
    except UNREADABLE as error:
        raise EncodingInvalid("the certificate", f"cannot be read ({error})") from error
    return certificate


def require_whole_octets(signed: x509.Certificate | x509.CertificateRevocationList) -> None:
    """Return if no bits of the signature are unused (X.690, 8.6.2), which nobody signs. Raises ValueError."""
    _require_whole_octets(signed.public_bytes(Encoding.DER), signed.signature)


def _require_whole_octets(der: bytes, signature: bytes) -> None:
    if not der.endswith(b"\x00" + signature):
        raise ValueError("its signature is not a whole number of octets")


def _read_to_the_end(certificate: x509.Certificate) -> None:
    for _ in (
        *(certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key()),
        *(certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        *(certificate.signature_hash_algorithm, certificate.signature_algorithm_parameters),
    ):
        pass
