"""What a terminal trusts: the scheme's root, pinned at set-up, and what the service publishes under it.

Which cards are revoked is in the scheme's status lists (`reader_agent.status_lists`); where it has none, in
the complete revocation list of its authority for cards.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.errors import PkiError, StatusListRefused
from pki.profiles import EXAMPLE_ARC
from pki.reading import UNREADABLE, read_certificate, read_crl
from pki.trust import TrustStore
from pki.verification import Purpose, StatusListEvidence, VerifiedCertificate, Verifier
from pki.verification.names import extension
from reader_agent.errors import SchemeChanged, ServiceAnswerInvalid, TrustMissing
from reader_agent.wire import Document, from_rfc3339, to_base64url, to_rfc3339

# Ours: a list has a million places. And so many certificates sign for a service at a time.
_MOST_LISTS = 64
_SIGNERS_IN_MEMORY = 8
_ADDRESS = re.compile(r"https?://[!-~]+/status/[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class SchemeTrust:
    """The scheme's certificates and lists as fetched last. A value: fetching makes another."""

    scheme: str
    store: TrustStore
    # Of those who sign answers and status lists: verified when they are used.
    answer_certificates: tuple[x509.Certificate, ...]
    fetched_at: datetime
    # The addresses of the cards' status lists
    status_lists: tuple[str, ...] = ()
    # What the copies of these say
    lists: tuple[StatusListEvidence, ...] = ()
    # It remembers authorities, and no card: a terminal keeps no list of the cards that it saw.
    _verifier: Verifier = field(init=False, repr=False, compare=False)
    # The few that sign for the service come again with each answer.
    _of_the_service: Verifier = field(init=False, repr=False, compare=False)
    # By SHA-256, as they are named in what they sign
    _signers: dict[bytes | None, x509.Certificate] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_verifier", Verifier(self.store, self.lists))
        object.__setattr__(self, "_of_the_service", Verifier(self.store, remembered=_SIGNERS_IN_MEMORY))
        by_sha256 = {each.fingerprint(hashes.SHA256()): each for each in self.answer_certificates}
        object.__setattr__(self, "_signers", by_sha256)

    @property
    def signed_time(self) -> datetime:
        """The latest moment that an authority has signed: no right clock shows an earlier one."""
        return max(
            *(crl.last_update_utc for crl in self.store.crls),
            *(each.issued_at for each in self.lists),
            datetime.min.replace(tzinfo=UTC),
        )

    @property
    def status_ends(self) -> tuple[datetime, ...]:
        """When each of the lists is to be renewed."""
        ends = [crl.next_update_utc for crl in self.store.crls if crl.next_update_utc is not None]
        return (*ends, *(each.expires_at for each in self.lists))

    def with_lists(self, lists: tuple[StatusListEvidence, ...]) -> "SchemeTrust":
        """The same with other copies of the status lists."""
        return replace(self, lists=lists)

    def verify(
        self, certificate: x509.Certificate, purpose: Purpose, moment: datetime
    ) -> VerifiedCertificate:
        """Whether a certificate holds, by all that is known here. Raises what `pki.verification` does."""
        return self._verifier.verify(certificate, purpose, moment)

    def list_signer(self, certificate_sha256: bytes, moment: datetime) -> ec.EllipticCurvePublicKey:
        """The key of who signs status lists. Raises StatusListRefused, and what `verify` does."""
        if (certificate := self._signers.get(certificate_sha256)) is None:
            raise StatusListRefused("the status list is signed under a certificate that is not known here")
        return self._of_the_service.verify(certificate, Purpose.STATEMENT_SIGNER, moment).public_key

    def answer_key(self, certificate_sha256: bytes | None, moment: datetime) -> ec.EllipticCurvePublicKey:
        """The key that the service signs its answers with at `moment`.

        Raises ServiceAnswerInvalid where its certificate is unknown, revoked, or not the service's.
        """
        if (certificate := self._signers.get(certificate_sha256)) is None:
            raise ServiceAnswerInvalid("it is signed under a certificate that is not known here")
        try:
            return self._of_the_service.verify(certificate, Purpose.SERVICE, moment).public_key
        except PkiError as error:
            raise ServiceAnswerInvalid(f"its certificate is refused: {error}") from error


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
    status_lists = _addresses(answer)
    if (
        status_lists
    ):  # which say it from now on, and are asked for: older lists of cards would only grow stale
        issuers = {issuer.subject for issuer in card_issuers(store)}
        store = replace(store, crls=tuple(crl for crl in store.crls if crl.issuer not in issuers))
    if not store.crls:
        raise ServiceAnswerInvalid(
            "it has no revocation list of this terminal's scheme; is the root the right one?"
        )
    return SchemeTrust(scheme, store, leaves, moment, status_lists)


def card_issuers(store: TrustStore) -> tuple[x509.Certificate, ...]:
    """The authorities that may issue for cards."""
    usage = Purpose.CARD_AUTHENTICATION.profile.decisive_usage(EXAMPLE_ARC)  # PIV's own, under whatever arc
    return tuple(
        each for each in store.intermediates if usage in (extension(each, x509.ExtendedKeyUsage) or ())
    )


def _addresses(answer: Document) -> tuple[str, ...]:
    if answer.is_null("status_lists"):
        return ()
    addresses = answer.texts("status_lists", _MOST_LISTS)
    if not all(_ADDRESS.fullmatch(each) for each in addresses):
        raise ServiceAnswerInvalid("the address of a status list does not end in its number")
    return addresses


def save_trust(trust: SchemeTrust, path: Path) -> None:
    """Keep the trust for later, and for times without a service."""
    certificates = (*trust.store.intermediates, *trust.answer_certificates)
    document = {
        "scheme": trust.scheme,
        "fetched_at": to_rfc3339(trust.fetched_at),
        "certificates": [to_base64url(item.public_bytes(Encoding.DER)) for item in certificates],
        "crls": [to_base64url(crl.public_bytes(Encoding.DER)) for crl in trust.store.crls],
        "status_lists": trust.status_lists,
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
