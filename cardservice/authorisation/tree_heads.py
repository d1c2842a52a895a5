"""Reading what the service has signed of sealed days, heads and tombstones: by its certificate of then."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from cardservice.context import Context
from cardservice.keys import AUTHORITY
from cardservice.ledger.closing.inclusion import verified_head
from cardservice.pki_store.models import certificate
from pki.statements import (
    LeafTombstone,
    TreeHead,
    open_tombstone,
    signer_sha256,
)
from pki.verification import Purpose, TrustStore, verify


class TreeHeads:
    """Verifies heads and tombstones, each certificate read once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._certificates: dict[bytes | None, x509.Certificate] = {}
        self._keys: dict[bytes | None, ec.EllipticCurvePublicKey] = {}

    def __call__(self, raw: bytes) -> TreeHead:
        """The head. Raises PkiError, and LookupError where its certificate is not on record."""
        leaf = self.certificate_of(raw)
        trust = TrustStore(
            roots=(self._context.certificates["root"],), intermediates=(self._context.issuer_of(leaf),)
        )
        return verified_head(raw, leaf, trust, self._context.scheme.id)

    def tombstone(self, raw: bytes) -> LeafTombstone:
        """The word that a leaf was erased. Raises PkiError, and LookupError."""
        named = signer_sha256(raw)
        if named not in self._keys:
            leaf = self._certificate(named)
            trust = TrustStore(
                roots=(self._context.certificates["root"],), intermediates=(self._context.issuer_of(leaf),)
            )
            held = verify(leaf, Purpose.SERVICE, leaf.not_valid_before_utc, trust, require_status=False)
            self._keys[named] = held.public_key
        return open_tombstone(raw, self._keys[named], self._context.scheme.id)

    def certificate_of(self, raw: bytes) -> x509.Certificate:
        """The certificate that a head names. Raises StatementMalformed, and LookupError."""
        return self._certificate(signer_sha256(raw))

    def _certificate(self, named: bytes | None) -> x509.Certificate:
        if named not in self._certificates:
            self._certificates[named] = self._find(named)
        return self._certificates[named]

    def _find(self, named: bytes | None) -> x509.Certificate:
        current = self._context.keys.answer_certificate
        if named == current.fingerprint(hashes.SHA256()):
            return current
        with self._context.database.reading() as connection:
            der = connection.scalar(
                select(certificate.c.der).where(
                    certificate.c.authority == AUTHORITY, certificate.c.sha256 == named
                )
            )
        if der is None:
            raise LookupError("its certificate is not on record")
        return x509.load_der_x509_certificate(der)
