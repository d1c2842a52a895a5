"""What a terminal trusts: the scheme's root, pinned at set-up, and what the service publishes under it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.errors import PkiError
from pki.reading import UNREADABLE, read_certificate, read_crl
from pki.trust import TrustStore
from pki.verification import Purpose, verify
from reader_agent.errors import SchemeChanged, ServiceAnswerInvalid, TrustMissing
from reader_agent.wire import Document, from_rfc3339, to_base64url, to_rfc3339


@dataclass(frozen=True, slots=True)
class SchemeTrust:
    """The scheme's certificates and revocation lists as fetched last. A value: fetching makes another."""

    scheme: str
    store: TrustStore
    # Certificates under which the service signs its answers: verified when they are used.
    answer_certificates: tuple[x509.Certificate, ...]
    fetched_at: datetime

    @property
    def signed_time(self) -> datetime:
        """The latest moment that an authority has signed: no right clock shows an earlier one."""
        return max(crl.last_update_utc for crl in self.store.crls)

    def answer_key(self, certificate_sha256: bytes | None, moment: datetime) -> ec.EllipticCurvePublicKey:
        """The key that the service signs its answers with at `moment`.

        Raises ServiceAnswerInvalid where its certificate is unknown, revoked, or not the service's.
        """
        for certificate in self.answer_certificates:
            if certificate_sha256 == certificate.fingerprint(hashes.SHA256()):
                try:
                    return verify(certificate, Purpose.SERVICE, moment, self.store).public_key
                except PkiError as error:
                    raise ServiceAnswerInvalid(f"its certificate is refused: {error}") from error
        raise ServiceAnswerInvalid("it is signed under a certificate that is not known here")


def read_trust(
    answer: Document, root: x509.Certificate, known: SchemeTrust | None, moment: datetime
) -> SchemeTrust:
    """The trust that the service published, as far as the pinned root vouches for it.

    Revocation lists never go back: of each issuer the newest one that ever came stays. Raises SchemeChanged,
    ServiceAnswerInvalid.
    """
    scheme = answer.text("scheme")
    if known is not None and known.scheme != scheme:
        raise SchemeChanged(known.scheme, scheme)
    try:
        certificates = [read_certificate(der) for der in answer.octet_list("certificates")]
        crls = [read_crl(der) for der in answer.octet_list("crls")]
    except PkiError as error:
        raise ServiceAnswerInvalid("its certificates or revocation lists cannot be read") from error
    intermediates = tuple(item for item in certificates if _is_issued_by(item, root) and item != root)
    leaves = tuple(
        item for item in certificates if any(_is_issued_by(item, above) for above in intermediates)
    )
    store = TrustStore((root,), intermediates, known.store.crls if known else ()).with_crls(crls)
    if not store.crls:
        raise ServiceAnswerInvalid(
            "it has no revocation list of this terminal's scheme; is the root the right one?"
        )
    return SchemeTrust(scheme, store, leaves, moment)


def save_trust(trust: SchemeTrust, path: Path) -> None:
    """Keep the trust for later, and for times without a service."""
    certificates = (*trust.store.intermediates, *trust.answer_certificates)
    document = {
        "scheme": trust.scheme,
        "fetched_at": to_rfc3339(trust.fetched_at),
        "certificates": [to_base64url(item.public_bytes(Encoding.DER)) for item in certificates],
        "crls": [to_base64url(crl.public_bytes(Encoding.DER)) for crl in trust.store.crls],
    }
    files.replace(path, json.dumps(document, indent=1).encode() + b"\n", mode=0o600)


def load_trust(path: Path, root: x509.Certificate) -> SchemeTrust:
    """The trust that was kept; checked against the root again. Raises TrustMissing."""
    try:
        content = json.loads(path.read_bytes())
        return read_trust(Document(content, "trust"), root, None, from_rfc3339(content["fetched_at"]))
    except (OSError, ValueError, KeyError, ServiceAnswerInvalid) as error:
        raise TrustMissing from error


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True
