"""Keys that sign what is said of status: responders, and the signer of status lists.

Each is certified by an authority for this use alone, and renewed while the certificate before still holds.
The key stays the same: a key file is never written over.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pki.authority import Authority
from pki.clock import require_aware
from pki.errors import KeyExists, KeyNotFound
from pki.keys import KeyStore
from pki.profiles import OCSP_RESPONDER, STATEMENT_SIGNER, Profile

# The key that signs status lists, and its identity in the certificate
STATUS_LIST_SIGNER = "status-list"


@dataclass(frozen=True, slots=True)
class StatusSigner:
    """A key with its certificate."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ocsp_signer(authority: Authority, keys: KeyStore, moment: datetime) -> StatusSigner:
    """The responder of an authority. RFC 6960, 4.2.2.2: certified by the very key that it speaks for."""
    return _signer(authority, keys, OCSP_RESPONDER, f"ocsp-{authority.issuer}", moment)


def status_list_signer(authority: Authority, keys: KeyStore, moment: datetime) -> StatusSigner:
    """Who signs status lists, certified by the service's authority."""
    return _signer(authority, keys, STATEMENT_SIGNER, STATUS_LIST_SIGNER, moment)


def _signer(
    authority: Authority, keys: KeyStore, profile: Profile, name: str, moment: datetime
) -> StatusSigner:
    key = _key(keys, name)
    held = _current(authority, profile, name, key.public_key(), require_aware(moment))
    if held is None:
        request = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        )
        held = authority.issue(request.sign(key, hashes.SHA256()), profile, name, moment)
    return StatusSigner(held, key)


def _key(keys: KeyStore, name: str) -> ec.EllipticCurvePrivateKey:
    try:
        return keys.private_key(name)
    except KeyNotFound:
        try:
            return keys.generate(name)
        except KeyExists:  # another process was faster
            return keys.private_key(name)


def _current(
    authority: Authority, profile: Profile, name: str, key: ec.EllipticCurvePublicKey, moment: datetime
) -> x509.Certificate | None:
    """The newest certificate of this key, if it is good and has a third of its time before it."""
    for issued in authority.store.find_by_identity(authority.name, name):
        if issued.profile != profile.name or issued.issuer != authority.issuer or issued.revoked_at:
            continue
        certificate = x509.load_der_x509_certificate(issued.der)
        renewal = issued.not_after - (issued.not_after - issued.not_before) / 3
        if certificate.public_key() == key and issued.not_before <= moment < renewal:
            return certificate
    return None
