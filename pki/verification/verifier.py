"""Whether a certificate may be relied on, for a purpose and at a moment.

The authorities above are validated in full (RFC 5280, 6) and remembered; the leaf itself, which is another
one at every tap, is judged by the few rules that can apply to it, fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware
from pki.errors import EncodingInvalid
from pki.profiles import Profile
from pki.reading import UNREADABLE
from pki.trust import TrustStore
from pki.verification import rfc5280
from pki.verification.authorities import Authorities, ValidatedAuthority
from pki.verification.checks import check_leaf, check_validity, issuer_of
from pki.verification.crl_evidence import CrlEvidence
from pki.verification.memory import Remembered, Window, window_of
from pki.verification.purposes import Purpose, check_purpose
from pki.verification.status import (
    HARD_FAIL,
    NOT_REQUIRED,
    EvidenceKind,
    Finding,
    Passed,
    RevocationPolicy,
    StatusEvidence,
    judge,
)

_Question: TypeAlias = tuple[x509.Certificate, Purpose, RevocationPolicy]

# A trust store is a value, made anew with each fetched list: what is remembered of it goes with it.
_STORES_IN_MEMORY = 4


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A certificate that holds for its purpose at the moment, with the evidence that was used."""

    certificate: x509.Certificate
    # The card's UUID, or the id of the terminal or program
    identity: str
    # By its arc of object identifiers
    scheme: str
    public_key: ec.EllipticCurvePublicKey
    purpose: Purpose
    moment: datetime
    # Issuing authority first, anchor last
    chain: tuple[x509.Certificate, ...]
    # Of the certificate, then of each authority but the anchor; empty where status was not required, or is
    # never told of (RFC 6960, 4.2.2.2.1)
    evidence: tuple[Finding, ...]
    # The id of another scheme, by whose trust list entry it is accepted; None for what is the scheme's own
    recognised: str | None = None

    @property
    def profile(self) -> Profile:
        """The profile that it follows."""
        return self.purpose.profile

    @property
    def crls(self) -> tuple[x509.CertificateRevocationList, ...]:
        """The revocation lists among the evidence."""
        return tuple(
            x509.load_der_x509_crl(source)
            for finding in self.evidence
            if finding.kind is EvidenceKind.CRL
            for source in finding.sources
        )


class Verifier:
    """Verifies certificates under explicit trust anchors. Safe to share between threads."""

    def __init__(
        self, trust: TrustStore, evidence: Sequence[StatusEvidence] = (), *, remembered: int = 0
    ) -> None:
        """`evidence` is what there is besides the store's revocation lists.

        So many certificates that were accepted last are remembered for as long as nothing can change; none
        unless asked for, since a terminal keeps no list of the cards that it saw.
        """
        self._evidence = (CrlEvidence(trust.crls), *evidence)
        self._authorities = Authorities(trust, self._evidence)
        self._accepted: Remembered[_Question, VerifiedCertificate] = Remembered(remembered)

    def verify(
        self, leaf: x509.Certificate, purpose: Purpose, moment: datetime, policy: RevocationPolicy = HARD_FAIL
    ) -> VerifiedCertificate:
        """The certificate with its identity and evidence, if it holds for `purpose` at `moment`.

        Raises EncodingInvalid; IssuerUnknown, CertificateSignatureInvalid, NameRefused, PolicyRefused or
        another ChainInvalid; CertificateNotYetValid, CertificateExpired, PurposeRefused; StatusUnknown,
        StatusStale, CertificateSuspended, CertificateRevoked; ValueError for a naive moment.
        """
        moment = require_aware(moment)
        question = (leaf, purpose, policy)
        known = self._accepted.find(question, moment)
        if known is not None:
            return known if known.moment == moment else replace(known, moment=moment)
        try:
            verified, window = self._verify(leaf, purpose, moment, policy)
        except UNREADABLE as error:
            raise EncodingInvalid("the certificate", f"cannot be read ({error})") from error
        self._accepted.keep(question, verified, window)
        return verified

    def _verify(
        self, leaf: x509.Certificate, purpose: Purpose, moment: datetime, policy: RevocationPolicy
    ) -> tuple[VerifiedCertificate, Window]:
        issuing = issuer_of(leaf, self._authorities.candidates)
        authority = self._authorities.validated(issuing, moment, policy)
        key = check_leaf(leaf)
        check_validity(leaf, moment)
        if authority.constrained:
            self._check_constraints(leaf, authority, moment)
        identity, scheme = check_purpose(leaf, authority.scope, purpose)
        own: tuple[Passed, ...] = ()
        if policy.required and not purpose.profile.no_status:
            known = [found for each in self._evidence for found in each.about(leaf, issuing)]
            own = (judge(leaf, known, moment, policy),)
        evidence = tuple(passed.finding for passed in (*own, *authority.status))
        verified = VerifiedCertificate(
            leaf, identity, scheme, key, purpose, moment, authority.chain, evidence
        )
        return verified, authority.window.within(window_of((leaf,), own, moment))

    def _check_constraints(
        self, leaf: x509.Certificate, authority: ValidatedAuthority, moment: datetime
    ) -> None:
        """RFC 5280, 6.1.3 (b) to (f) and 6.1.5: names and policies, which depend on the whole path."""
        *intermediates, anchor = authority.chain
        rfc5280.validate_path(leaf, (anchor,), intermediates, (), moment, status=False)


def verify(
    leaf: x509.Certificate,
    purpose: Purpose,
    moment: datetime,
    trust: TrustStore,
    *,
    require_status: bool = True,
) -> VerifiedCertificate:
    """As `Verifier.verify` with the store's revocation lists; one verifier is kept for each store.

    Without `require_status` nothing is said of revocation.
    """
    policy = HARD_FAIL if require_status else NOT_REQUIRED
    return _verifier(_SameStore(trust)).verify(leaf, purpose, moment, policy)


class _SameStore:
    """A store as the very object that it is: comparing its lists would take longer than verifying."""

    __slots__ = ("trust",)

    def __init__(self, trust: TrustStore) -> None:
        self.trust = trust

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameStore) and self.trust is other.trust

    def __hash__(self) -> int:
        return id(self.trust)


@lru_cache(_STORES_IN_MEMORY)
def _verifier(same: _SameStore) -> Verifier:
    return Verifier(same.trust)
