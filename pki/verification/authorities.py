"""Issuing authorities that were validated in full, and remembered for as long as that holds.

That is until the first certificate of the path ends, the first list about it should be renewed, or an entry
of such a list takes effect. Within that time the answer could not be another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from cryptography import x509

from pki.errors import EncodingInvalid
from pki.reading import require_readable
from pki.trust import TrustStore
from pki.verification import rfc5280
from pki.verification.checks import Candidate, check_authority, check_validity, is_constrained, issuer_of
from pki.verification.errors import IssuerUnknown
from pki.verification.memory import Remembered, Window, window_of
from pki.verification.purposes import IssuingScope, issuing_scope
from pki.verification.status import EvidenceKind, Finding, Passed, RevocationPolicy, StatusEvidence, judge

_MAX_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class ValidatedAuthority:
    """An authority, and when it holds."""

    certificate: x509.Certificate
    # From it up to the anchor, both included
    chain: tuple[x509.Certificate, ...]
    # Of each but the anchor, in the same order
    status: tuple[Passed, ...]
    # Whether somebody above limits names or policies: then what is below is judged with the whole path
    constrained: bool
    # What it may issue for
    scope: IssuingScope
    window: Window

    @property
    def anchor(self) -> x509.Certificate:
        """The trusted certificate at the end of the chain."""
        return self.chain[-1]


class Authorities:
    """The authorities of a trust store, validated when they are first needed."""

    def __init__(self, trust: TrustStore, evidence: Sequence[StatusEvidence]) -> None:
        self._trust = replace(
            trust, intermediates=tuple(each for each in trust.intermediates if _is_readable(each))
        )
        self._evidence = evidence
        # Whoever may have issued a certificate
        self.candidates = tuple(Candidate.of(each) for each in (*self._trust.intermediates, *trust.roots))
        self._known: Remembered[tuple[x509.Certificate, RevocationPolicy], ValidatedAuthority] = Remembered(
            _MAX_REMEMBERED
        )

    def validated(
        self, certificate: x509.Certificate, moment: datetime, policy: RevocationPolicy
    ) -> ValidatedAuthority:
        """The authority, if it holds at `moment`. Raises VerificationError."""
        key = (certificate, policy)
        found = self._known.find(key, moment)
        if found is None:
            found = self._validate(certificate, moment, policy)
            self._known.keep(key, found, found.window)
        return found

    def _validate(
        self, certificate: x509.Certificate, moment: datetime, policy: RevocationPolicy
    ) -> ValidatedAuthority:
        check_authority(certificate, below=0)
        chain = self._path(certificate, moment)
        for below, authority in enumerate(chain):
            check_authority(authority, below)
        for authority, issuer in pairwise(chain):
            # Over the very bytes: the library verifies what it writes itself of what it has read
            issuer_of(authority, (Candidate.of(issuer),))
        for authority in reversed(chain):
            check_validity(authority, moment)
        status = self._status(chain, moment, policy) if policy.required else ()
        return ValidatedAuthority(
            certificate,
            chain,
            status,
            any(is_constrained(authority) for authority in chain),
            issuing_scope(certificate, chain[-1]),
            window_of(chain, status, moment),
        )

    def _path(self, certificate: x509.Certificate, moment: datetime) -> tuple[x509.Certificate, ...]:
        """From the authority up to an anchor, without a word on status."""
        if certificate in self._trust.roots:
            return (certificate,)
        try:
            path = self._in_full(certificate, moment, status=False)
        except IssuerUnknown:
            # Says more exactly what is missing, where it is missing at the first step
            issuer_of(certificate, self.candidates)
            raise
        return tuple(reversed(path))

    def _status(
        self, chain: Sequence[x509.Certificate], moment: datetime, policy: RevocationPolicy
    ) -> tuple[Passed, ...]:
        """Of each authority but the anchor: by our own rules, which say what is wrong, and the library's."""
        status = []
        for authority, issuer in pairwise(chain):
            known = [found for evidence in self._evidence for found in evidence.about(authority, issuer)]
            status.append(judge(authority, known, moment, policy))
        # The library knows lists alone, and bears no stale ones.
        if status and all(_is_current_list(passed.finding, moment) for passed in status):
            self._in_full(chain[0], moment, status=True)
        return tuple(status)

    def _in_full(
        self, certificate: x509.Certificate, moment: datetime, *, status: bool
    ) -> tuple[x509.Certificate, ...]:
        # The lists of the authority itself say nothing about it, and may be long.
        crls = [crl for crl in self._trust.crls if crl.issuer != certificate.subject] if status else []
        return rfc5280.validate_path(
            certificate, self._trust.roots, self._trust.intermediates, crls, moment, status=status
        )


def _is_current_list(finding: Finding, moment: datetime) -> bool:
    return finding.kind is EvidenceKind.CRL and moment <= finding.next_update


def _is_readable(certificate: x509.Certificate) -> bool:
    """What cannot be read has issued nothing."""
    try:
        require_readable(certificate)
    except EncodingInvalid:
        return False
    return True
