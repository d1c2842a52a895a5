"""What a request for a certificate must be: signed by the key that it names. RFC 2986."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from pki.errors import RequestRefused

_ECDSA = ec.ECDSA(hashes.SHA256())


def checked_key(csr: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """The key of a request that its owner has signed (RFC 2986, 3). Raises RequestRefused."""
    try:
        key = csr.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise RequestRefused("the request's key is not on P-256")
        signed = _is_signed(csr, key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestRefused("the request's key or signature cannot be read") from error
    if not signed:
        raise RequestRefused("the request is not signed by its own key")
    return key


def _is_signed(csr: x509.CertificateSigningRequest, key: ec.EllipticCurvePublicKey) -> bool:
    if csr.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        return csr.is_signature_valid
    # The usual one. `is_signature_valid` would read the key once more, a fifth of the whole check.
    try:
        key.verify(csr.signature, csr.tbs_certrequest_bytes, _ECDSA)
    except InvalidSignature:
        return False
    return True
