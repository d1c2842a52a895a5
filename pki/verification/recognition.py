"""Certificates of other schemes, accepted for what the trust list gives their authorities, and no more.

Each recognised authority is an anchor of its own: it vouches for what it has signed itself, never for another
authority, and nothing of the scheme's own counts below it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from pki.clock import require_aware
from pki.errors import EncodingInvalid, PurposeRefused, TrustListRefused
from pki.reading import UNREADABLE
from pki.trust import TrustStore
from pki.trust_list import Recognised, TrustList
from pki.verification.checks import Candidate, issuer_of
from pki.verification.errors import CertificateSignatureInvalid, IssuerUnknown
from pki.verification.names import subject
from pki.verification.purposes import Purpose
from pki.verification.status import HARD_FAIL, RevocationPolicy, StatusEvidence
from pki.verification.verifier import VerifiedCertificate, Verifier


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A recognised authority, with a verifier that trusts it alone."""

    entry: Recognised
    candidate: Candidate
    verifier: Verifier


class RecognisingVerifier:
    """A scheme's own verifier, and one for each authority of its trust list. For several threads, too."""

    def __init__(
        self,
        own: Verifier,
        trust_list: TrustList,
        crls: Iterable[x509.CertificateRevocationList] = (),
        evidence: Sequence[StatusEvidence] = (),
    ) -> None:
        """`trust_list` is one that `verify_trust_list` has returned; the rest is of the other schemes.

        Without a revocation list of theirs nothing passes a policy that wants one. That an authority was
        itself revoked by its scheme is told by the next trust list.
        """
        self._own = own
        self._list = trust_list
        lists = tuple(crls)
        self._neighbours = tuple(
            _Neighbour(
                entry,
                Candidate.of(entry.certificate),
                Verifier(TrustStore(roots=(entry.certificate,), crls=lists), evidence),
            )
            for entry in trust_list.recognised
        )

    def verify(
        self, leaf: x509.Certificate, purpose: Purpose, moment: datetime, policy: RevocationPolicy = HARD_FAIL
    ) -> VerifiedCertificate:
        """As `Verifier.verify`; `recognised` says whose certificate it is where it is another scheme's.

        Raises what that raises; PurposeRefused where the trust list does not give its authority this purpose,
        TrustListRefused where the list does not hold at `moment`.
        """
        try:
            return self._own.verify(leaf, purpose, moment, policy)
        except (IssuerUnknown, CertificateSignatureInvalid):
            signed = self._who_signed(leaf)
            if not signed:
                raise
        return self._verify_neighbours(leaf, signed, purpose, require_aware(moment), policy)

    def _verify_neighbours(
        self,
        leaf: x509.Certificate,
        signed: Sequence[_Neighbour],
        purpose: Purpose,
        moment: datetime,
        policy: RevocationPolicy,
    ) -> VerifiedCertificate:
        if not self._list.issued <= moment <= self._list.expires:
            since, until = self._list.issued.isoformat(), self._list.expires.isoformat()
            raise TrustListRefused(f"the trust list holds from {since} to {until}; fetch a new one")
        for neighbour in signed:
            if purpose.value in neighbour.entry.purposes:
                verified = neighbour.verifier.verify(leaf, purpose, moment, policy)
                return replace(verified, recognised=neighbour.entry.scheme)
        entry = signed[0].entry
        given = ", ".join(sorted({each for found in signed for each in found.entry.purposes}))
        raise PurposeRefused(
            subject(leaf), f"{purpose.value} here: the trust list recognises {entry.scheme} for {given}"
        )

    def _who_signed(self, leaf: x509.Certificate) -> tuple[_Neighbour, ...]:
        """The entries whose key has signed it; several where an authority is listed more than once."""
        return tuple(neighbour for neighbour in self._neighbours if _has_signed(neighbour.candidate, leaf))


def _has_signed(candidate: Candidate, leaf: x509.Certificate) -> bool:
    try:
        issuer_of(leaf, (candidate,))
    except (IssuerUnknown, CertificateSignatureInvalid):
        return False
    except UNREADABLE as error:
        raise EncodingInvalid("the certificate", f"cannot be read ({error})") from error
    return True
