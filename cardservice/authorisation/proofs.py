"""The card's proof: its certificate's chain and its signature over the statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, select

from cardservice.authorisation.errors import ProofOfAnotherUse
from cardservice.cards.service import AUTHORITY
from cardservice.database import Database
from cardservice.errors import ProofInvalid, ProofOfAnotherCard
from cardservice.pki_store.models import certificate
from pki.errors import PkiError
from pki.profiles import CARD_AUTHENTICATION
from pki.statements import SignedStatement, verify_statement
from pki.statements.errors import StatementSignatureBare
from pki.verification import Purpose, TrustStore, verify

_COLUMNS = (
    certificate.c.sha256,
    certificate.c.issuer,
    certificate.c.identity,
    certificate.c.not_before,
    certificate.c.not_after,
    certificate.c.revoked_at,
)
# Parsed keys of certificates whose chain has been verified.
KEYS_IN_MEMORY = 100_000


@dataclass(frozen=True, slots=True)
class CardCertificate:
    """What is on record of a card's certificate, without its bytes."""

    sha256: bytes
    # Which of the authority's keys has signed it
    issuer: str
    identity: str
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """A signature that verified, and when its certificate holds."""

    certificate_sha256: bytes
    # Which of the authority's keys has signed it
    issuer: str
    not_before: datetime
    not_after: datetime
    certificate_revoked_at: datetime | None


class CardProofs:
    """Checks proofs against the scheme's trust anchors; remembers the keys of verified chains.

    A key is remembered by its certificate's SHA-256: the certificate itself is read when it is first wanted.
    """

    def __init__(self, trust: TrustStore, database: Database) -> None:
        self._trust, self._database = trust, database
        self._verified_key = lru_cache(KEYS_IN_MEMORY)(self._verify_chain)

    def check(self, known: CardCertificate | None, signed: SignedStatement, scheme_id: str) -> CheckedProof:
        """Check 5, by the certificate that the statement names, else the newest of its card.

        Raises ProofInvalid, ProofOfAnotherUse where the card has signed it as a challenge, and
        ProofOfAnotherCard where another card of the scheme has signed.

        The chain is judged as of the certificate's first day: whether it has expired or was revoked since is
        the card's status, which an advice is not refused for.
        """
        if known is None:
            raise ProofInvalid("no certificate of this scheme is known for the proof")
        key = self._verified_key(known.sha256)
        try:
            verify_statement(signed, scheme_id, key)
        except StatementSignatureBare as error:
            raise ProofOfAnotherUse(str(error)) from error
        except PkiError as error:
            raise ProofInvalid("the card's signature does not verify") from error
        if known.identity != str(signed.statement.card):
            raise ProofOfAnotherCard("another card has signed this statement")
        return CheckedProof(known.sha256, known.issuer, known.not_before, known.not_after, known.revoked_at)

    def _verify_chain(self, thumbprint: bytes) -> ec.EllipticCurvePublicKey:
        der = _read_certificate(self._database, thumbprint)
        # What is remembered for these 32 bytes is of no other certificate, whatever the row says.
        if der is None or sha256(der).digest() != thumbprint:
            raise ProofInvalid("the certificate on record is not the one that its hash names")
        leaf = x509.load_der_x509_certificate(der)
        moment = leaf.not_valid_before_utc
        try:
            verify(leaf, Purpose.CARD_AUTHENTICATION, moment, self._trust, require_status=False)
        except PkiError as error:
            raise ProofInvalid(f"the card's certificate does not verify: {error}") from error
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ProofInvalid("the card's key is not an elliptic-curve key")
        return key


def _read_certificate(database: Database, thumbprint: bytes) -> bytes | None:
    query = select(certificate.c.der).where(
        certificate.c.authority == AUTHORITY, certificate.c.sha256 == thumbprint
    )
    # One statement is a transaction of its own: to begin and end one would be three times the round trips. On
    # SQLite this engine's transactions write.
    begun = database.reading() if database.dialect == "sqlite" else database.posting_engine.connect()
    with begun as connection:
        der: bytes | None = connection.scalar(query)
    return der


def certificates_of(connection: Connection, sha256s: Sequence[bytes]) -> list[CardCertificate]:
    """Those of these thumbprints that the scheme has issued to cards."""
    rows = connection.execute(
        select(*_COLUMNS).where(certificate.c.authority == AUTHORITY, certificate.c.sha256.in_(sha256s))
    )
    return [CardCertificate(*row) for row in rows]


def find_certificate(connection: Connection, card: UUID, sha256: bytes | None) -> CardCertificate | None:
    """The certificate of this thumbprint, or, without one, the newest of the card."""
    columns = certificate.c
    query = select(*_COLUMNS).where(columns.authority == AUTHORITY)
    if sha256 is not None:
        query = query.where(columns.sha256 == sha256)
    else:
        query = query.where(columns.identity == str(card), columns.profile == CARD_AUTHENTICATION.name)
    row = connection.execute(query.order_by(columns.issued_at.desc()).limit(1)).one_or_none()
    return None if row is None else CardCertificate(*row)
