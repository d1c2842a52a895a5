"""What a request for a certificate must be: signed by the key that it names. RFC 2986."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import RequestRefused


def checked_key(csr: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """The key of a request that its owner has signed (RFC 2986, 3). Raises RequestRefused."""
    try:
        signed, key = csr.is_signature_valid, csr.public_key()
    except (ValueError, TypeError, InvalidSignature) as error:
        raise RequestRefused("the request's key or signature cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestRefused("the request's key is not on P-256")
    if not signed:
        raise RequestRefused("the request is not signed by its own key")
    return key
